//! Many entries at once.
use std::sync::Arc;

use super::bound::Bound;
use super::{Child, Entry, Key, Map, Node, WIDTH, inner_after};

impl<E: Entry> FromIterator<E> for Map<E> {
    fn from_iter<I: IntoIterator<Item = E>>(entries: I) -> Self {
        let entries: Vec<E> = entries.into_iter().collect();
        let mut keys = entries.iter().zip(entries.iter().skip(1));
        if keys.all(|(one, next)| one.key() < next.key()) {
            return Self::of_sorted(entries);
        }
        let mut map = Self::default();
        for entry in entries {
            map.insert(entry);
        }
        map
    }
}

impl<E: Entry> Map<E> {
    /// Puts entries in whose keys have none, in any order: each near the one before.
    pub(crate) fn extend_new(&mut self, entries: Vec<E>) {
        let entries = sorted(entries);
        if self.is_empty() {
            *self = Self::of_sorted(entries);
            return;
        }
        for entry in entries {
            self.insert(entry);
        }
    }

    /// A map of entries in the order of their keys, all different: level by level, all nodes full.
    fn of_sorted(entries: Vec<E>) -> Self {
        let len = entries.len();
        let mut level: Vec<Child<E>> = Vec::with_capacity(len.div_ceil(WIDTH));
        for entries in chunks(entries) {
            let last = level.last().and_then(|child| match &*child.node {
                Node::Leaf(entries) => entries.last(),
                Node::Inner(_) => None,
            });
            let from = last.zip(entries.first());
            let from = from.map_or(Bound::LEAST, |(a, b)| Bound::between(a.key(), b.key()));
            level.push(Child { from, node: Arc::new(Node::Leaf(entries)) });
        }
        while level.len() > 1 {
            level = chunks(level).filter_map(inner_after).collect();
        }
        Self { root: level.pop().map(|child| child.node).unwrap_or_default(), len }
    }
}

/// The entries in the order of their keys, which are looked for once.
fn sorted<E: Entry>(entries: Vec<E>) -> Vec<E> {
    let mut order: Vec<(Key<'_>, usize)> =
        entries.iter().enumerate().map(|(index, entry)| (entry.key(), index)).collect();
    order.sort_unstable();
    let order: Vec<usize> = order.into_iter().map(|(_, index)| index).collect();
    let mut entries: Vec<Option<E>> = entries.into_iter().map(Some).collect();
    order.into_iter().filter_map(|index| entries.get_mut(index)?.take()).collect()
}

/// The parts of a list that fit into nodes.
fn chunks<T>(list: Vec<T>) -> impl Iterator<Item = Vec<T>> {
    let mut list = list.into_iter();
    std::iter::from_fn(move || {
        // Exactly as large as it is.
        let mut chunk = Vec::with_capacity(list.len().min(WIDTH));
        chunk.extend(list.by_ref().take(WIDTH));
        (!chunk.is_empty()).then_some(chunk)
    })
}
