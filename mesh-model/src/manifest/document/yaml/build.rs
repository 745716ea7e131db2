//! The tree of a document from the events of the parser, on a stack of its own.
use std::borrow::Cow;
use std::collections::HashSet;

use granit_parser::{ScalarStyle, Tag};
use rustc_hash::FxHashMap;

use super::scalar;
use crate::manifest::document::limits::{self, Limits};
use crate::manifest::document::{Fault, key};
use crate::manifest::{Entry, FieldName, Node, Place, Value};

type Result<T> = std::result::Result<T, Fault>;

/// A document being read.
pub(super) struct Builder<'l> {
    limits: &'l Limits,
    /// The lists and maps that have begun, the innermost last.
    open: Vec<Open>,
    root: Option<Node>,
    anchors: FxHashMap<usize, Anchored>,
    aliases: usize,
    /// What the document may have.
    allowed: Size,
    /// What it may still have.
    left: Size,
    /// What anchors may still keep: a value in several anchors is kept as often.
    left_to_keep: Size,
}

/// A list or a map that has begun.
struct Open {
    collection: Collection,
    anchor: usize,
    place: Place,
}

enum Collection {
    List(Vec<Node>),
    Map {
        entries: Vec<Entry>,
        /// A key that waits for its value.
        key: Option<Key>,
        /// The maps that `<<` names, in the order of their precedence.
        merged: Vec<Vec<Entry>>,
    },
}

/// A key of a map.
enum Key {
    Text(FieldName, Place),
    Merge,
}

/// A value that has a name.
struct Anchored {
    node: Node,
    size: Size,
    depth: usize,
}

/// How much a value weighs.
#[derive(Clone, Copy, Default)]
struct Size {
    values: usize,
    bytes: usize,
}

impl Size {
    /// Takes away a part; `None` if it is not there.
    fn minus(self, part: Self) -> Option<Self> {
        let values = self.values.checked_sub(part.values)?;
        Some(Self { values, bytes: self.bytes.checked_sub(part.bytes)? })
    }
}

/// Returns the size of a tree, and how deep it is.
fn measure(node: &Node) -> (Size, usize) {
    let mut total = Size { values: 1, bytes: 0 };
    let mut deepest = 0;
    let mut add = |node: &Node, key: Option<&str>| {
        let (size, depth) = measure(node);
        total.values += size.values + usize::from(key.is_some());
        total.bytes += size.bytes + key.map_or(0, str::len);
        deepest = deepest.max(depth);
    };
    match &node.value {
        Value::Null | Value::Bool(_) | Value::Integer(_) | Value::Float(_) => return (total, 0),
        Value::String(text) => return (Size { values: 1, bytes: text.len() }, 0),
        Value::List(items) => items.iter().for_each(|item| add(item, None)),
        Value::Map(entries) => entries.iter().for_each(|e| add(&e.node, Some(&e.key))),
    }
    (total, deepest + 1)
}

impl<'l> Builder<'l> {
    /// Begins a document of `length` bytes.
    pub(super) fn new(length: usize, limits: &'l Limits) -> Self {
        let allowed = Size { values: limits.values_in(length), bytes: limits.bytes_in(length) };
        let anchors = FxHashMap::default();
        let (open, root, aliases) = (Vec::new(), None, 0);
        let (left, left_to_keep) = (allowed, allowed);
        Self { limits, open, root, anchors, aliases, allowed, left, left_to_keep }
    }

    /// Ends the document; an empty one is null.
    pub(super) fn finish(self, start: Place) -> Node {
        self.root.unwrap_or(Node { value: Value::Null, place: start, indent: None })
    }

    pub(super) fn scalar(
        &mut self,
        text: Cow<'_, str>,
        style: ScalarStyle,
        tag: Option<&Tag>,
        anchor: usize,
        (place, indent): (Place, Option<u32>),
    ) -> Result<()> {
        if text.len() > self.limits.scalar_bytes {
            return Err(limits::scalar_bytes(self.limits, place));
        }
        self.spend(Size { values: 1, bytes: text.len() }, place)?;
        if style == ScalarStyle::Plain && text == "<<" && self.begin_merge(tag) {
            return Ok(());
        }
        if tag.is_none() && anchor == 0 && self.take_known_key(&text, place) {
            return Ok(());
        }
        let value = scalar::value(text, style, tag, place)?;
        if scalar::is_without_value(&value) && (anchor != 0 || !self.expects_key()) {
            return Err(scalar::without_value(place));
        }
        self.complete(Node { value, place, indent }, anchor)
    }

    /// Whether what comes next is a key.
    fn expects_key(&self) -> bool {
        let open = self.open.last().map(|open| &open.collection);
        matches!(open, Some(Collection::Map { key: None, .. }))
    }

    pub(super) fn begin_list(&mut self, anchor: usize, place: Place) -> Result<()> {
        self.begin(Collection::List(Vec::new()), anchor, place)
    }

    pub(super) fn begin_map(&mut self, anchor: usize, place: Place) -> Result<()> {
        let map = Collection::Map { entries: Vec::new(), key: None, merged: Vec::new() };
        self.begin(map, anchor, place)
    }

    fn begin(&mut self, collection: Collection, anchor: usize, place: Place) -> Result<()> {
        if self.open.len() >= self.limits.depth() {
            return Err(limits::depth(self.limits, place));
        }
        self.spend(Size { values: 1, bytes: 0 }, place)?;
        self.open.push(Open { collection, anchor, place });
        Ok(())
    }

    /// Ends the innermost list or map.
    pub(super) fn end(&mut self) -> Result<()> {
        let Some(Open { collection, anchor, place }) = self.open.pop() else { return Ok(()) };
        let value = match collection {
            Collection::List(items) => Value::List(items),
            Collection::Map { mut entries, merged, .. } => {
                if let Some(fault) = key::duplicate(&entries) {
                    return Err(fault);
                }
                merge(&mut entries, merged);
                Value::Map(entries)
            }
        };
        self.complete(Node { value, place, indent: None }, anchor)
    }

    /// Puts a copy of what an anchor names.
    pub(super) fn alias(&mut self, anchor: usize, place: Place) -> Result<()> {
        self.aliases += 1;
        if self.aliases > self.limits.aliases {
            return Err(limits::aliases(self.limits, place));
        }
        let Some(anchored) = self.anchors.get(&anchor) else {
            let message = "the alias stands inside of its own anchor";
            return Err(Fault::new("YAML-ALIAS", place, message, "write the value out"));
        };
        if self.open.len() + anchored.depth > self.limits.depth() {
            return Err(limits::depth(self.limits, place));
        }
        self.left = remaining(self.left, anchored.size, self.allowed, place)?;
        // The copy keeps its places: what is right or wrong stands at the anchor.
        let node = anchored.node.clone();
        self.complete(node, 0)
    }

    /// Takes a value that is whole: into the list or the map that is open, or as the document.
    fn complete(&mut self, node: Node, anchor: usize) -> Result<()> {
        if anchor != 0 {
            self.keep(&node, anchor)?;
        }
        let Some(open) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        match &mut open.collection {
            Collection::List(items) => items.push(node),
            Collection::Map { entries, key, merged } => match key.take() {
                None => {
                    let place = node.place;
                    *key = Some(Key::Text(key_text(node)?, place));
                }
                Some(Key::Text(text, place)) => entries.push(Entry { key: text, place, node }),
                Some(Key::Merge) => merge_sources(node, merged)?,
            },
        }
        Ok(())
    }

    fn keep(&mut self, node: &Node, anchor: usize) -> Result<()> {
        let (size, depth) = measure(node);
        self.left_to_keep = remaining(self.left_to_keep, size, self.allowed, node.place)?;
        self.anchors.insert(anchor, Anchored { node: node.clone(), size, depth });
        Ok(())
    }

    fn spend(&mut self, size: Size, place: Place) -> Result<()> {
        self.left = remaining(self.left, size, self.allowed, place)?;
        Ok(())
    }

    /// Takes a word that is a key as such; no frequent one means anything but its text.
    fn take_known_key(&mut self, text: &str, place: Place) -> bool {
        let open = self.open.last_mut().map(|open| &mut open.collection);
        let Some(Collection::Map { key: key @ None, .. }) = open else { return false };
        *key = FieldName::known(text).map(|word| Key::Text(word, place));
        key.is_some()
    }

    /// Takes `<<` as the key that it is where a key is expected.
    fn begin_merge(&mut self, tag: Option<&Tag>) -> bool {
        let is_merge = tag.is_none_or(|tag| scalar::core_type(tag).as_deref() == Some("merge"));
        match self.open.last_mut().map(|open| &mut open.collection) {
            Some(Collection::Map { key: key @ None, .. }) if is_merge => {
                *key = Some(Key::Merge);
                true
            }
            Some(Collection::Map { .. } | Collection::List(_)) | None => false,
        }
    }
}

/// Takes a part away from what is left of what is allowed.
fn remaining(left: Size, part: Size, allowed: Size, place: Place) -> Result<Size> {
    left.minus(part).ok_or_else(|| {
        if left.values < part.values {
            limits::values(allowed.values, place)
        } else {
            limits::expanded_bytes(allowed.bytes, place)
        }
    })
}

/// Returns the text of a key, which kubectl makes of booleans and numbers too.
fn key_text(node: Node) -> Result<FieldName> {
    match node.value {
        Value::String(text) => Ok(text.into()),
        Value::Bool(value) => Ok(value.to_string().into()),
        Value::Integer(number) => key::of_integer(number).map(Into::into).ok_or_else(|| {
            let message = "kubectl takes no number of 64 bits without a sign as a key";
            Fault::new("YAML-NUMBER", node.place, message, "put the key in quotes")
        }),
        Value::Float(number) => Ok(key::of_float(number).into()),
        Value::Null | Value::List(_) | Value::Map(_) => {
            let help = "put the key in quotes";
            Err(Fault::new("YAML-KEY", node.place, "the key is not a text", help))
        }
    }
}

/// Takes what `<<` names: a map or a list of maps.
fn merge_sources(node: Node, merged: &mut Vec<Vec<Entry>>) -> Result<()> {
    let place = node.place;
    let sources = match node.value {
        Value::List(items) => items,
        value @ (Value::Map(_)
        | Value::Null
        | Value::Bool(_)
        | Value::Integer(_)
        | Value::Float(_)
        | Value::String(_)) => vec![Node { value, place, indent: None }],
    };
    for source in sources {
        let Value::Map(entries) = source.value else {
            let help = "name a map, or put the key in quotes";
            return Err(Fault::new(
                "YAML",
                source.place,
                "only maps can be merged with `<<`",
                help,
            ));
        };
        merged.push(entries);
    }
    Ok(())
}

/// Adds the entries of the merged maps whose keys are not there yet: own keys count before merged
/// ones, earlier maps before later ones.
fn merge(entries: &mut Vec<Entry>, merged: Vec<Vec<Entry>>) {
    if merged.is_empty() {
        return;
    }
    let mut known: HashSet<FieldName> = entries.iter().map(|entry| entry.key.clone()).collect();
    for entry in merged.into_iter().flatten() {
        if known.insert(entry.key.clone()) {
            entries.push(entry);
        }
    }
}
