//! What changed between two snapshots, and how to make one from the other.
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::snapshot::{Change, Collection, Resource, Snapshot, TypeUrl};

/// What to put in and take out of one snapshot to make another.
///
/// Only types with a change are in it, and only resources whose version differs.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Delta {
    /// INVARIANT: no value is empty.
    types: BTreeMap<TypeUrl, TypeDelta>,
}

/// The changes of one type; a name is in at most one of the lists, and both are sorted by name.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct TypeDelta {
    /// What is new or differs.
    pub changed: Vec<Arc<Resource>>,
    /// The names of what is gone.
    pub removed: Vec<Arc<str>>,
}

impl Delta {
    /// Returns the types with changes, in push order.
    pub fn types(&self) -> impl Iterator<Item = (&TypeUrl, &TypeDelta)> {
        self.types.iter()
    }

    /// Returns the changes of one type; `None` if there are none.
    pub fn of(&self, type_url: &TypeUrl) -> Option<&TypeDelta> {
        self.types.get(type_url)
    }

    /// Adds the changes of a type that is made anew as a whole.
    pub(crate) fn replace(
        &mut self,
        type_url: TypeUrl,
        before: Option<&Collection>,
        after: Vec<Arc<Resource>>,
    ) {
        let nothing = Collection::default();
        let after = Collection::of_any(after);
        self.insert(type_url, TypeDelta::between(before.unwrap_or(&nothing), &after));
    }

    /// Adds the changes of a type of which only these resources are made anew, and these names of
    /// what was there are gone.
    pub(crate) fn patch(
        &mut self,
        type_url: TypeUrl,
        before: Option<&Collection>,
        mut built: Vec<Arc<Resource>>,
        mut removed: Vec<Arc<str>>,
    ) {
        built.sort_by(|a, b| a.name().cmp(b.name()));
        built.dedup_by(|later, kept| later.name() == kept.name());
        built.retain(|new| {
            let old = before.and_then(|before| before.find(new.name()));
            old.is_none_or(|old| !old.has_bytes_of(new))
        });
        removed.sort_unstable();
        self.insert(type_url, TypeDelta { changed: built, removed });
    }

    fn insert(&mut self, type_url: TypeUrl, changes: TypeDelta) {
        if changes != TypeDelta::default() {
            self.types.insert(type_url, changes);
        }
    }

    /// Returns the number of resources changed and removed.
    pub fn len(&self) -> usize {
        self.types.values().map(|it| it.changed.len() + it.removed.len()).sum()
    }

    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        self.types.is_empty()
    }
}

impl TypeDelta {
    fn between(before: &Collection, after: &Collection) -> Self {
        let mut changes = Self::default();
        for (old, new) in Collection::differences(before, after) {
            match (old, new) {
                (_, Some(new)) => changes.changed.push(new.clone()),
                (Some(old), None) => changes.removed.push(old.name().clone()),
                (None, None) => {}
            }
        }
        changes
    }
}

impl Snapshot {
    /// Returns what changed since `previous`: `previous.apply(&self.diff(&previous)) == self`.
    ///
    /// Costs what the two do not share: chunks and collections made by [`Snapshot::apply`] are
    /// skipped where untouched.
    pub fn diff(&self, previous: &Self) -> Delta {
        let mut delta = Delta::default();
        for (type_url, before, after) in pairs(previous, self) {
            delta.insert(type_url, TypeDelta::between(&before, &after));
        }
        delta
    }

    /// Returns the snapshot with these changes made. Everything else is shared with this one.
    #[must_use]
    pub fn apply(&self, delta: &Delta) -> Self {
        delta.types().fold(self.clone(), |snapshot, (type_url, changes)| {
            let mut edits: Vec<Change<'_>> = changes.changed.iter().map(Change::Put).collect();
            edits.extend(changes.removed.iter().map(|name| Change::Take(name)));
            edits.sort_by(|a, b| a.name().cmp(b.name()));
            let collection = snapshot.collection(type_url).cloned().unwrap_or_default();
            snapshot.with_collection(type_url, collection.with(&edits))
        })
    }

    /// Returns an equal snapshot that shares with `previous` whatever they have in common, so that
    /// later comparisons of the two skip it. For a generator that rebuilds from scratch.
    #[must_use]
    pub fn sharing(&self, previous: &Self) -> Self {
        previous.apply(&self.diff(previous))
    }

    /// Returns this snapshot plus what only `previous` has and others may still refer to: the first
    /// phase of make-before-break.
    ///
    /// Sent in push order, clusters of both snapshots are there before the routes turn from the old
    /// to the new ones; this snapshot itself, sent once the proxy has acknowledged the first phase,
    /// then removes the rest. A listener refers but is not referred to, so removing it at once
    /// breaks nothing; and what ztunnels are told must not outlive what it is about: a workload that
    /// is gone gets no traffic, and what a policy allowed that is gone is not allowed, whatever else
    /// the proxy has yet to accept. With [`Retirement::MakeBeforeBreak`](super::Retirement::MakeBeforeBreak) a
    /// session does both phases by itself.
    ///
    /// # Upstream
    ///
    /// envoyproxy/envoy `docs/root/api-docs/xds_protocol.rst`, "Eventual consistency
    /// considerations". istiod does not retain: a route turned away from a removed cluster fails
    /// between the two responses.
    #[must_use]
    pub fn retaining(&self, previous: &Self) -> Self {
        let mut kept = Delta::default();
        for (type_url, before, after) in pairs(previous, self) {
            if GONE_AT_ONCE.contains(&type_url) {
                continue;
            }
            let gone = Collection::differences(&before, &after)
                .filter_map(|(old, new)| new.is_none().then_some(old)?.cloned());
            let changed: Vec<Arc<Resource>> = gone.collect();
            if !changed.is_empty() {
                kept.types.insert(type_url, TypeDelta { changed, removed: Vec::new() });
            }
        }
        self.apply(&kept)
    }
}

/// The types whose resources nothing refers to that breaks without them.
const GONE_AT_ONCE: [TypeUrl; 4] =
    [TypeUrl::LISTENER, TypeUrl::ADDRESS, TypeUrl::WORKLOAD, TypeUrl::AUTHORIZATION];

/// Returns the types in which two snapshots may differ: those whose collections are not one and the
/// same.
pub(super) fn pairs(
    before: &Snapshot,
    after: &Snapshot,
) -> Vec<(TypeUrl, Arc<Collection>, Arc<Collection>)> {
    let of = |snapshot: &Snapshot, type_url: &TypeUrl| {
        snapshot.collection(type_url).cloned().unwrap_or_default()
    };
    let only_before = before.types().filter(|(type_url, _)| after.collection(type_url).is_none());
    only_before
        .chain(after.types())
        .map(|(type_url, _)| (type_url.clone(), of(before, type_url), of(after, type_url)))
        .filter(|(_, before, after)| !Arc::ptr_eq(before, after))
        .collect()
}
