//! In which fields two objects differ that should be equal.
use std::collections::BTreeMap;

use crate::manifest::decode::push_index;
use crate::manifest::{Entry, FieldName, Node, Value};
use crate::registry::Key;

/// How the other's object is another.
#[derive(Clone, Copy, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum State {
    Missing,
    Different,
}

/// An object that is not the other's.
pub(super) struct Drift<'m> {
    pub(super) key: Key<'m>,
    /// The first field that differs; the name of an object that is missing.
    pub(super) field: String,
    /// How many fields differ.
    pub(super) fields: usize,
}

/// Objects by kind and by what is the matter.
#[derive(Default)]
pub(super) struct Drifted<'m> {
    pub(super) objects: BTreeMap<(&'static str, State), Vec<Drift<'m>>>,
}

impl<'m> Drifted<'m> {
    /// Adds an object that the other does not have.
    pub(super) fn missing(&mut self, kind: &'static str, key: Key<'m>) {
        let drift = Drift { key, field: "metadata.name".to_owned(), fields: 0 };
        self.objects.entry((kind, State::Missing)).or_default().push(drift);
    }

    /// Adds an object that the other has, if what they say differs.
    pub(super) fn different(
        &mut self,
        kind: &'static str,
        key: Key<'m>,
        [own, other]: [Option<&Node>; 2],
    ) {
        let mut differing = Differing { path: "spec".to_owned(), first: None, count: 0 };
        differing.compare(own, other);
        let Differing { first, count: fields, .. } = differing;
        let Some(field) = first else { return };
        let drift = Drift { key, field, fields };
        self.objects.entry((kind, State::Different)).or_default().push(drift);
    }
}

/// The fields that differ, found so far. A field that only one of the two has is one, whatever stands below
/// it; so is an item of a list by its index.
struct Differing {
    /// Where the comparison is.
    path: String,
    /// The first field in the order of the own node, what it does not have coming last.
    first: Option<String>,
    count: usize,
}

impl Differing {
    fn compare(&mut self, own: Option<&Node>, other: Option<&Node>) {
        match (own.map(|node| &node.value), other.map(|node| &node.value)) {
            (Some(Value::Map(own)), Some(Value::Map(other))) => self.maps(own, other),
            (Some(Value::List(own)), Some(Value::List(other))) => {
                for index in 0..own.len().max(other.len()) {
                    let length = self.path.len();
                    push_index(&mut self.path, index);
                    self.compare(own.get(index), other.get(index));
                    self.path.truncate(length);
                }
            }
            (own, other) if own == other => {}
            _ => {
                self.count += 1;
                self.first.get_or_insert_with(|| self.path.clone());
            }
        }
    }

    fn maps(&mut self, own: &[Entry], other: &[Entry]) {
        let mut others: BTreeMap<&FieldName, &Node> =
            other.iter().map(|entry| (&entry.key, &entry.node)).collect();
        let pairs = own.iter().map(|entry| (&entry.key, Some(&entry.node)));
        let pairs: Vec<_> = pairs.map(|(key, node)| (key, node, others.remove(key))).collect();
        let rest = other.iter().filter(|entry| others.contains_key(&entry.key));
        let rest = rest.map(|entry| (&entry.key, None, Some(&entry.node)));
        for (key, own, other) in pairs.into_iter().chain(rest) {
            let length = self.path.len();
            self.path.push('.');
            self.path.push_str(key);
            self.compare(own, other);
            self.path.truncate(length);
        }
    }
}
