//! The resources of one type: sorted, in chunks that versions of a collection share.
//!
//! ```text
//! before  [a b c] [d e f] [g h i]
//!            │       ╳       │       e changed: one chunk of three is new
//! after   [a b c] [d E f] [g h i]
//! ```
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, OnceLock};

use super::{Resource, Version};

/// As many resources as a chunk is filled with; one twice as long is split.
const CHUNK: usize = 32;

type Chunk = Arc<[Arc<Resource>]>;

/// The resources of one type, sorted by name (bytewise), each name once.
#[derive(Clone, Default)]
pub struct Collection {
    /// INVARIANT: no chunk is empty; names ascend strictly within and across chunks.
    chunks: Box<[Chunk]>,
    len: usize,
    /// Computed when first asked for: only state-of-the-world responses need it.
    version: OnceLock<Version>,
    /// What a name brings beside the resource of that name. Computed when first asked for: only
    /// clients that ask for single addresses need it.
    brought: OnceLock<BTreeMap<Arc<str>, Vec<Arc<Resource>>>>,
}

impl Collection {
    /// INVARIANT of the argument: names ascend strictly.
    pub(super) fn of_sorted(resources: impl IntoIterator<Item = Arc<Resource>>) -> Self {
        let resources: Vec<Arc<Resource>> = resources.into_iter().collect();
        Self::of_chunks(resources.chunks(CHUNK).map(Into::into).collect())
    }

    /// Collects resources in any order; of several with one name the first counts.
    pub(crate) fn of_any(mut resources: Vec<Arc<Resource>>) -> Self {
        resources.sort_by(|a, b| a.name().cmp(b.name()));
        resources.dedup_by(|later, kept| later.name() == kept.name());
        Self::of_sorted(resources)
    }

    fn of_chunks(chunks: Vec<Chunk>) -> Self {
        let len = chunks.iter().map(|chunk| chunk.len()).sum();
        Self { chunks: chunks.into(), len, version: OnceLock::new(), brought: OnceLock::new() }
    }

    /// Returns the resources in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Resource>> {
        self.chunks.iter().flat_map(|chunk| chunk.iter())
    }

    /// Returns the resource of that name.
    pub fn find(&self, name: &str) -> Option<&Arc<Resource>> {
        let chunk = self.chunks.get(self.chunk_of(name))?;
        let index = chunk.binary_search_by(|resource| (**resource.name()).cmp(name)).ok()?;
        chunk.get(index)
    }

    /// Returns what a name brings beside the resource of that name, in the order of their names.
    pub(crate) fn brought_by(&self, name: &str) -> &[Arc<Resource>] {
        let brought = self.brought.get_or_init(|| {
            let mut brought: BTreeMap<Arc<str>, Vec<Arc<Resource>>> = BTreeMap::new();
            for resource in self.iter() {
                for name in resource.brought_by() {
                    brought.entry(name.clone()).or_default().push(resource.clone());
                }
            }
            brought
        });
        brought.get(name).map_or(&[], Vec::as_slice)
    }

    /// Returns the number of resources.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns the version of the whole: the SHA-256 over the names and versions in order, computed
    /// once.
    pub fn version(&self) -> Version {
        *self.version.get_or_init(|| {
            Version::of_all(self.iter().map(|resource| (&**resource.name(), resource.version())))
        })
    }

    /// Walks over the names that differ between two collections, in order: what `before` held and
    /// what `after` holds. Chunks that both share are not looked into.
    pub(crate) fn differences<'a>(before: &'a Self, after: &'a Self) -> Differences<'a> {
        Differences { before: Cursor::new(before), after: Cursor::new(after) }
    }

    /// Returns the collection with these changes: a resource to put in, or only a name to take out.
    /// Chunks without a change are shared.
    ///
    /// INVARIANT of the argument: names ascend strictly.
    pub(crate) fn with(&self, changes: &[Change<'_>]) -> Self {
        let mut chunks: Vec<Chunk> = Vec::with_capacity(self.chunks.len() + 1);
        let mut rest = changes;
        for (index, chunk) in self.chunks.iter().enumerate() {
            let is_last = index + 1 == self.chunks.len();
            let end = if is_last {
                rest.len()
            } else {
                rest.partition_point(|change| self.chunk_of(change.name()) <= index)
            };
            let (mine, later) = rest.split_at(end);
            rest = later;
            match mine {
                [] => chunks.push(chunk.clone()),
                _ => push_chunks(&mut chunks, merge(chunk, mine)),
            }
        }
        if self.chunks.is_empty() {
            push_chunks(&mut chunks, merge(&[], rest));
        }
        Self::of_chunks(chunks)
    }

    /// Returns the chunk in which a name is, or would be put: the last that does not begin behind
    /// it.
    fn chunk_of(&self, name: &str) -> usize {
        self.chunks
            .partition_point(|chunk| chunk.first().is_some_and(|first| &**first.name() <= name))
            .saturating_sub(1)
    }
}

impl PartialEq for Collection {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && Self::differences(self, other).next().is_none()
    }
}

impl Eq for Collection {}

impl fmt::Debug for Collection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(self.iter().map(|resource| (resource.name(), resource.version())))
            .finish()
    }
}

/// One edit of a collection.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Change<'a> {
    Put(&'a Arc<Resource>),
    Take(&'a str),
}

impl<'a> Change<'a> {
    pub(crate) fn name(self) -> &'a str {
        match self {
            Change::Put(resource) => resource.name(),
            Change::Take(name) => name,
        }
    }
}

fn merge(chunk: &[Arc<Resource>], changes: &[Change<'_>]) -> Vec<Arc<Resource>> {
    let mut merged = Vec::with_capacity(chunk.len() + changes.len());
    let mut old = chunk.iter().peekable();
    for change in changes {
        while let Some(resource) = old.next_if(|resource| &**resource.name() < change.name()) {
            merged.push(resource.clone());
        }
        old.next_if(|resource| &**resource.name() == change.name());
        if let Change::Put(resource) = change {
            merged.push((*resource).clone());
        }
    }
    merged.extend(old.cloned());
    merged
}

fn push_chunks(chunks: &mut Vec<Chunk>, resources: Vec<Arc<Resource>>) {
    if resources.len() <= 2 * CHUNK {
        if !resources.is_empty() {
            chunks.push(resources.into());
        }
    } else {
        chunks.extend(resources.chunks(CHUNK).map(Chunk::from));
    }
}

/// See [`Collection::differences`].
#[derive(Clone, Debug)]
pub(crate) struct Differences<'a> {
    before: Cursor<'a>,
    after: Cursor<'a>,
}

/// One name that differs: what was there, what is there now.
pub(crate) type Difference<'a> = (Option<&'a Arc<Resource>>, Option<&'a Arc<Resource>>);

#[derive(Clone, Debug)]
struct Cursor<'a> {
    chunks: &'a [Chunk],
    /// What is left of the chunk before `chunks`.
    rest: &'a [Arc<Resource>],
}

impl<'a> Cursor<'a> {
    fn new(collection: &'a Collection) -> Self {
        Self { chunks: &collection.chunks, rest: &[] }
    }

    fn peek(&self) -> Option<&'a Arc<Resource>> {
        self.rest.first().or_else(|| self.chunks.first()?.first())
    }

    fn next(&mut self) -> Option<&'a Arc<Resource>> {
        if self.rest.is_empty() {
            let (chunk, chunks) = self.chunks.split_first()?;
            (self.rest, self.chunks) = (chunk, chunks);
        }
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(first)
    }
}

impl Differences<'_> {
    fn skip_shared(&mut self) {
        while self.before.rest.is_empty() && self.after.rest.is_empty() {
            match (self.before.chunks.split_first(), self.after.chunks.split_first()) {
                (Some((before, rest_before)), Some((after, rest_after)))
                    if Arc::ptr_eq(before, after) =>
                {
                    (self.before.chunks, self.after.chunks) = (rest_before, rest_after);
                }
                _ => return,
            }
        }
    }
}

impl<'a> Iterator for Differences<'a> {
    type Item = Difference<'a>;

    fn next(&mut self) -> Option<Difference<'a>> {
        loop {
            self.skip_shared();
            let order = match (self.before.peek(), self.after.peek()) {
                (None, None) => return None,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(before), Some(after)) => before.name().cmp(after.name()),
            };
            match order {
                Ordering::Less => return Some((self.before.next(), None)),
                Ordering::Greater => return Some((None, self.after.next())),
                Ordering::Equal => {
                    let (before, after) = (self.before.next(), self.after.next());
                    let same = before.zip(after).is_some_and(|(before, after)| {
                        Arc::ptr_eq(before, after) || before.is_like(after)
                    });
                    if !same {
                        return Some((before, after));
                    }
                }
            }
        }
    }
}
