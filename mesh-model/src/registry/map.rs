//! A sorted map whose versions share what they have in common.
//!
//! ```text
//! Map ──▶ inner ──▶ inner ──▶ leaf: up to 16 entries in order
//!              └──▶ leaf (shared by the version before)
//! ```
//!
//! A change copies the nodes on the way to its entry, as far as another version holds them too, so that
//! it costs the logarithm of the size; a map that nobody shares is changed in place.
mod bound;
mod build;

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use self::bound::Bound;

/// What an entry is found by.
pub(crate) type Key<'k> = (&'k str, &'k str);

/// A value that knows its key.
pub(crate) trait Entry: Clone {
    /// The key; it never changes while the value is in a map.
    fn key(&self) -> Key<'_>;
}

/// How many entries a node holds at most.
const WIDTH: usize = 16;

/// A sorted map; cloning it is cheap.
#[derive(Clone)]
pub(crate) struct Map<E> {
    root: Arc<Node<E>>,
    len: usize,
}

#[derive(Clone)]
enum Node<E> {
    Leaf(Vec<E>),
    // INVARIANT: no child is empty; all leaves are equally deep.
    Inner(Vec<Child<E>>),
}

struct Child<E> {
    // INVARIANT: after all entries before the child, and not after those of it; of a node's first child it
    // says nothing, for that has all that come before the second.
    from: Bound,
    node: Arc<Node<E>>,
}

impl<E> Clone for Child<E> {
    fn clone(&self) -> Self {
        Self { from: self.from.clone(), node: Arc::clone(&self.node) }
    }
}

impl<E> Default for Map<E> {
    fn default() -> Self {
        Self { root: Arc::new(Node::Leaf(Vec::new())), len: 0 }
    }
}

impl<E: Entry> Map<E> {
    /// Returns the entry of a key.
    pub(crate) fn get(&self, key: Key<'_>) -> Option<&E> {
        let mut node = &*self.root;
        loop {
            match node {
                Node::Leaf(entries) => {
                    let index = entries.binary_search_by(|entry| entry.key().cmp(&key)).ok()?;
                    return entries.get(index);
                }
                Node::Inner(children) => node = &children.get(child_of(children, key))?.node,
            }
        }
    }

    /// Returns the entry of a key, or else one that is near it, if any.
    pub(crate) fn nearest(&self, key: Key<'_>) -> Result<&E, Option<&E>> {
        let mut node = &*self.root;
        loop {
            match node {
                Node::Leaf(entries) => {
                    let found = entries.binary_search_by(|entry| entry.key().cmp(&key));
                    let near = found.map_err(|index| index.saturating_sub(1));
                    return match near {
                        Ok(index) => entries.get(index).ok_or(None),
                        Err(index) => Err(entries.get(index)),
                    };
                }
                Node::Inner(children) => match children.get(child_of(children, key)) {
                    Some(child) => node = &child.node,
                    None => return Err(None),
                },
            }
        }
    }

    /// Returns how many entries there are.
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// Returns whether there is no entry.
    pub(crate) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns whether a key has an entry.
    pub(crate) fn contains(&self, key: Key<'_>) -> bool {
        self.get(key).is_some()
    }

    /// Puts an entry in; returns the one of the same key that it takes the place of.
    pub(crate) fn insert(&mut self, entry: E) -> Option<E> {
        let (before, split) = insert(Arc::make_mut(&mut self.root), entry);
        if let Some(right) = split {
            let node = std::mem::replace(&mut self.root, Arc::new(Node::Leaf(Vec::new())));
            let left = Child { from: Bound::LEAST, node };
            self.root = Arc::new(Node::Inner([left, right].into()));
        }
        self.len += usize::from(before.is_none());
        before
    }

    /// Returns the entry of a key to be changed.
    pub(crate) fn get_mut(&mut self, key: Key<'_>) -> Option<&mut E> {
        let mut node = Arc::make_mut(&mut self.root);
        loop {
            match node {
                Node::Leaf(entries) => {
                    let index = entries.binary_search_by(|entry| entry.key().cmp(&key)).ok()?;
                    return entries.get_mut(index);
                }
                Node::Inner(children) => {
                    let index = child_of(children, key);
                    node = Arc::make_mut(&mut children.get_mut(index)?.node);
                }
            }
        }
    }

    /// Takes the entry of a key out.
    pub(crate) fn remove(&mut self, key: Key<'_>) -> Option<E> {
        if !self.contains(key) {
            return None;
        }
        let before = remove(Arc::make_mut(&mut self.root), key);
        self.len -= usize::from(before.is_some());
        let only = match &*self.root {
            Node::Inner(children) if children.len() <= 1 => {
                Some(children.first().map(|child| child.node.clone()).unwrap_or_default())
            }
            Node::Inner(_) | Node::Leaf(_) => None,
        };
        if let Some(only) = only {
            self.root = only;
        }
        before
    }

    /// Returns the entries in the order of their keys.
    pub(crate) fn iter(&self) -> Iter<'_, E> {
        self.range(("", ""))
    }

    /// The same, as maps call it that keep keys beside their values.
    pub(crate) fn values(&self) -> Iter<'_, E> {
        self.iter()
    }

    /// Returns the entries from a key on, in the order of their keys.
    pub(crate) fn range(&self, from: Key<'_>) -> Iter<'_, E> {
        let mut above = Vec::new();
        let mut node = &*self.root;
        loop {
            match node {
                Node::Leaf(entries) => {
                    let start = entries.partition_point(|entry| entry.key() < from);
                    let leaf = entries.get(start..).unwrap_or_default().iter();
                    return Iter { above, leaf };
                }
                Node::Inner(children) => {
                    let index = child_of(children, from);
                    let Some(child) = children.get(index) else {
                        return Iter { above, leaf: [].iter() };
                    };
                    above.push(children.get(index + 1..).unwrap_or_default().iter());
                    node = &child.node;
                }
            }
        }
    }

    /// Returns the entries whose key has a first part, in the order of the second.
    pub(crate) fn with_first<'m>(&'m self, first: &'m str) -> impl Iterator<Item = &'m E> + Clone {
        self.range((first, "")).take_while(move |entry| entry.key().0 == first)
    }

    /// Whether two maps are one version: nothing differs.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.root, &other.root)
    }
}

impl<E> Default for Node<E> {
    fn default() -> Self {
        Self::Leaf(Vec::new())
    }
}

impl<E: Entry> Node<E> {
    const fn len(&self) -> usize {
        match self {
            Self::Leaf(entries) => entries.len(),
            Self::Inner(children) => children.len(),
        }
    }

    const fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The child that a key is in, if it is in any.
fn child_of<E: Entry>(children: &[Child<E>], key: Key<'_>) -> usize {
    children.partition_point(|child| child.from.cmp_key(key).is_le()).saturating_sub(1)
}

/// Puts an entry below a node; returns what it replaced, and what no longer fits. As deep as the
/// tree, whose depth is the logarithm of its size.
fn insert<E: Entry>(node: &mut Node<E>, entry: E) -> (Option<E>, Option<Child<E>>) {
    match node {
        Node::Leaf(entries) => {
            match entries.binary_search_by(|known| known.key().cmp(&entry.key())) {
                Ok(index) => {
                    let before =
                        entries.get_mut(index).map(|known| std::mem::replace(known, entry));
                    (before, None)
                }
                Err(index) => {
                    entries.reserve_exact(1);
                    entries.insert(index, entry);
                    (None, halved(entries, index).and_then(|right| leaf_after(entries, right)))
                }
            }
        }
        Node::Inner(children) => {
            let index = child_of(children, entry.key());
            let Some(place) = children.get_mut(index) else { return (None, None) };
            let (before, split) = insert(Arc::make_mut(&mut place.node), entry);
            let Some(right) = split else { return (before, None) };
            children.insert(index + 1, right);
            (before, halved(children, index + 1).and_then(inner_after))
        }
    }
}

/// A leaf with what follows other entries.
fn leaf_after<E: Entry>(before: &[E], entries: Vec<E>) -> Option<Child<E>> {
    let from = Bound::between(before.last()?.key(), entries.first()?.key());
    Some(Child { from, node: Arc::new(Node::Leaf(entries)) })
}

/// A node with what follows other children.
fn inner_after<E>(children: Vec<Child<E>>) -> Option<Child<E>> {
    let from = children.first()?.from.clone();
    Some(Child { from, node: Arc::new(Node::Inner(children)) })
}

/// Takes half of a list that grew too long; what grows at its end keeps all but the last.
fn halved<T>(list: &mut Vec<T>, grown_at: usize) -> Option<Vec<T>> {
    if list.len() <= WIDTH {
        return None;
    }
    let at_end = grown_at + 1 == list.len();
    Some(list.split_off(if at_end { WIDTH } else { WIDTH / 2 }))
}

/// Takes an entry out below a node. As deep as the tree.
fn remove<E: Entry>(node: &mut Node<E>, key: Key<'_>) -> Option<E> {
    match node {
        Node::Leaf(entries) => {
            let index = entries.binary_search_by(|entry| entry.key().cmp(&key)).ok()?;
            Some(entries.remove(index))
        }
        Node::Inner(children) => {
            let index = child_of(children, key);
            let place = children.get_mut(index)?;
            let before = remove(Arc::make_mut(&mut place.node), key);
            if place.node.is_empty() {
                children.remove(index);
            }
            join(children, index);
            join(children, index.saturating_sub(1));
            before
        }
    }
}

/// Joins a child with the one after it, if both are small.
fn join<E: Entry>(children: &mut Vec<Child<E>>, index: usize) {
    let (Some(left), Some(right)) = (children.get(index), children.get(index + 1)) else { return };
    if left.node.len() + right.node.len() > WIDTH / 2 {
        return;
    }
    let Child { from, node: right } = children.remove(index + 1);
    let Some(left) = children.get_mut(index) else { return };
    match (Arc::make_mut(&mut left.node), &*right) {
        (Node::Leaf(entries), Node::Leaf(more)) => entries.extend(more.iter().cloned()),
        (Node::Inner(entries), Node::Inner(more)) => {
            let start = entries.len();
            entries.extend(more.iter().cloned());
            // It is the first one no longer.
            if let Some(child) = entries.get_mut(start) {
                child.from = from;
            }
        }
        // Not reached: all leaves are equally deep.
        (Node::Leaf(_), Node::Inner(_)) | (Node::Inner(_), Node::Leaf(_)) => {}
    }
}

/// The entries of a map in order.
pub(crate) struct Iter<'m, E> {
    above: Vec<std::slice::Iter<'m, Child<E>>>,
    leaf: std::slice::Iter<'m, E>,
}

impl<E> Clone for Iter<'_, E> {
    fn clone(&self) -> Self {
        Self { above: self.above.clone(), leaf: self.leaf.clone() }
    }
}

impl<'m, E> Iter<'m, E> {
    /// Goes to the leaf that the next entry is in, if there is one.
    fn settle(&mut self) {
        while self.leaf.as_slice().is_empty() {
            let Some(children) = self.above.last_mut() else { return };
            let Some(child) = children.next() else {
                self.above.pop();
                continue;
            };
            let mut node = &child.node;
            self.leaf = loop {
                match &**node {
                    Node::Leaf(entries) => break entries.iter(),
                    Node::Inner(children) => {
                        let mut rest = children.iter();
                        let Some(first) = rest.next() else { break [].iter() };
                        self.above.push(rest);
                        node = &first.node;
                    }
                }
            };
        }
    }

    fn peek(&self) -> Option<&'m E> {
        self.leaf.as_slice().first()
    }

    /// Passes over nodes that follow next in both and are one allocation: nothing differs there.
    fn pass_shared(&mut self, other: &mut Self) {
        loop {
            if !self.leaf.as_slice().is_empty() && !other.leaf.as_slice().is_empty() {
                if !std::ptr::eq(self.leaf.as_slice(), other.leaf.as_slice()) {
                    return;
                }
                (self.leaf, other.leaf) = ([].iter(), [].iter());
            }
            let ends = |iter: &Self| iter.leaf.as_slice().is_empty();
            if ends(self) && ends(other) {
                self.pass_shared_children(other);
            }
            self.settle();
            other.settle();
            if ends(self) || ends(other) {
                return;
            }
        }
    }

    /// The same for nodes that are whole.
    fn pass_shared_children(&mut self, other: &mut Self) {
        while let (Some(ours), Some(theirs)) = (self.above.last_mut(), other.above.last_mut()) {
            if ours.as_slice().is_empty() && theirs.as_slice().is_empty() {
                self.above.pop();
                other.above.pop();
                continue;
            }
            let pairs = ours.as_slice().iter().zip(theirs.as_slice());
            let is_shared = |(a, b): &(&Child<E>, &Child<E>)| Arc::ptr_eq(&a.node, &b.node);
            let shared = pairs.take_while(is_shared).count();
            if shared == 0 {
                return;
            }
            ours.nth(shared - 1);
            theirs.nth(shared - 1);
        }
    }
}

impl<'m, E> Iterator for Iter<'m, E> {
    type Item = &'m E;

    fn next(&mut self) -> Option<&'m E> {
        if self.leaf.as_slice().is_empty() {
            self.settle();
        }
        self.leaf.next()
    }
}

impl<E: Entry + PartialEq> PartialEq for Map<E> {
    fn eq(&self, other: &Self) -> bool {
        self.is_same(other) || (self.len == other.len && self.iter().eq(other.iter()))
    }
}

impl<E: Entry + fmt::Debug> fmt::Debug for Map<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter().map(|entry| (entry.key(), entry))).finish()
    }
}

/// Returns the pairs of entries that differ between two maps, in the order of their keys.
pub(crate) fn differences<'m, E: Entry>(
    before: &'m Map<E>,
    after: &'m Map<E>,
    is_equal: impl Fn(&E, &E) -> bool,
) -> Vec<(Option<&'m E>, Option<&'m E>)> {
    let mut found = Vec::new();
    if before.is_same(after) {
        return found;
    }
    let (mut left, mut right) = (before.iter(), after.iter());
    loop {
        left.pass_shared(&mut right);
        let order = match (left.peek(), right.peek()) {
            (None, None) => return found,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(a), Some(b)) => a.key().cmp(&b.key()),
        };
        let a = if order.is_le() { left.next() } else { None };
        let b = if order.is_ge() { right.next() } else { None };
        if !matches!((a, b), (Some(a), Some(b)) if is_equal(a, b)) {
            found.push((a, b));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[derive(Clone, Debug, PartialEq)]
    struct Word(String, u32);

    impl Entry for Word {
        fn key(&self) -> Key<'_> {
            ("", &self.0)
        }
    }

    /// A map after changes, and the same as a `BTreeMap`.
    fn check(changes: impl Iterator<Item = (bool, u32)>) {
        let (mut map, mut model) = (Map::default(), BTreeMap::new());
        for (index, (puts, number)) in changes.enumerate() {
            let (old, old_model) = (map.clone(), model.clone());
            let (name, value) = (number.to_string(), u32::try_from(index).unwrap());
            if puts {
                let before = map.insert(Word(name.clone(), value));
                assert_eq!(before.map(|word| word.1), model.insert(name.clone(), value));
            } else {
                assert_eq!(map.remove(("", &name)).map(|word| word.1), model.remove(&name));
            }
            same(&map, &model);
            same(&old, &old_model);
            let next = map.range(("", &name)).next().map(|word| &word.0);
            assert_eq!(next, model.range(name..).next().map(|(name, _)| name));
            let found = differences(&old, &map, |a, b| a == b).len();
            assert_eq!(found, usize::from(model != old_model));
        }
    }

    fn same(map: &Map<Word>, model: &BTreeMap<String, u32>) {
        assert_eq!(map.len, model.len());
        assert!(map.iter().map(|word| (&word.0, &word.1)).eq(model.iter()));
        assert!(model.keys().all(|name| map.contains(("", name))));
    }

    #[test]
    fn versions_hold_what_a_sorted_map_would() {
        check((0..300).map(|number| (true, number * 7919 % 300)));
        // A linear congruential generator: as many removals as insertions, among few names.
        let mut state = 1_u32;
        check((0..2_000).map(move |_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state & 0x8000 != 0, (state >> 16) % 200)
        }));
    }

    #[test]
    fn trees_of_three_levels_grow_and_shrink() {
        let (mut map, mut model) = (Map::default(), BTreeMap::new());
        let mut state = 7_u32;
        for index in 0..40_000_u32 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let name = ((state >> 16) % 3_000).to_string();
            // Mostly filled for a while, then mostly emptied, and again.
            if (state & 0xF000 > 0x4000) == ((index / 8_000) % 2 == 0) {
                let before = map.insert(Word(name.clone(), index));
                assert_eq!(before.map(|word| word.1), model.insert(name, index));
            } else {
                assert_eq!(map.remove(("", &name)).map(|word| word.1), model.remove(&name));
            }
            if index % 499 == 0 {
                same(&map, &model);
                let old = map.clone();
                map.insert(Word("2000".into(), index));
                map.insert(Word("0".into(), index));
                model.extend([("2000".to_owned(), index), ("0".to_owned(), index)]);
                assert_eq!(differences(&old, &map, |a, b| a == b).len(), 2);
            }
        }
    }

    #[test]
    fn a_map_of_sorted_entries_is_the_one_of_insertions() {
        for len in [0, 1, 16, 17, 256, 257, 300] {
            let words = || (0..len).map(|number| Word(format!("{number:03}"), number));
            let (sorted, mut inserted) = (words().collect::<Map<_>>(), Map::default());
            words().for_each(|word| drop(inserted.insert(word)));
            assert_eq!(sorted, inserted);
            let mut extended = Map::default();
            let (one, other): (Vec<_>, Vec<_>) = words().rev().partition(|word| word.1 % 3 == 0);
            extended.extend_new(other);
            extended.extend_new(one);
            assert_eq!(extended, inserted);
            assert!(words().all(|word| sorted.get(word.key()) == Some(&word)));
        }
    }

    #[test]
    fn a_map_that_is_emptied_is_an_empty_map() {
        check((0..100).map(|number| (true, number)).chain((0..100).map(|number| (false, number))));
    }
}
