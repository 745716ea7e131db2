//! A sorted map whose versions share what they have in common.
//!
//! ```text
//! Map ──▶ inner ──▶ inner ──▶ leaf: up to 16 entries in order
//!              └──▶ leaf (shared by the version before)
//! ```
//!
//! A change copies the nodes on the way to its entry, as far as another version holds them too, so that
//! it costs the logarithm of the size; a map that nobody shares is changed in place.
use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

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
    // INVARIANT: no child is empty; `first` is the first entry below it; all leaves are equally deep.
    Inner(Vec<Child<E>>),
}

#[derive(Clone)]
struct Child<E> {
    first: E,
    node: Arc<Node<E>>,
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

    /// Returns the entry before a key: the one that is nearest to it, if any.
    pub(crate) fn before(&self, key: Key<'_>) -> Option<&E> {
        let mut node = &*self.root;
        loop {
            match node {
                Node::Leaf(entries) => {
                    let index = entries.partition_point(|entry| entry.key() < key);
                    return entries.get(index.checked_sub(1)?);
                }
                Node::Inner(children) => node = &children.get(child_of(children, key))?.node,
            }
        }
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
            let left = std::mem::replace(&mut self.root, Arc::new(Node::Leaf(Vec::new())));
            let left = child(left).into_iter().chain([right]).collect();
            self.root = Arc::new(Node::Inner(left));
        }
        self.len += usize::from(before.is_none());
        before
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

    fn first(&self) -> Option<&E> {
        match self {
            Self::Leaf(entries) => entries.first(),
            Self::Inner(children) => children.first().map(|child| &child.first),
        }
    }
}

/// A node with the entry that it starts with; `None` if it is empty.
fn child<E: Entry>(node: Arc<Node<E>>) -> Option<Child<E>> {
    let first = node.first()?.clone();
    Some(Child { first, node })
}

/// The child that a key is in, if it is in any.
fn child_of<E: Entry>(children: &[Child<E>], key: Key<'_>) -> usize {
    children.partition_point(|child| child.first.key() <= key).saturating_sub(1)
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
                    (
                        None,
                        halved(entries, index).and_then(|right| child(Arc::new(Node::Leaf(right)))),
                    )
                }
            }
        }
        Node::Inner(children) => {
            let index = child_of(children, entry.key());
            let Some(place) = children.get_mut(index) else { return (None, None) };
            let (before, split) = insert(Arc::make_mut(&mut place.node), entry);
            if let Some(first) = place.node.first() {
                place.first = first.clone();
            }
            let Some(right) = split else { return (before, None) };
            children.insert(index + 1, right);
            let right = halved(children, index + 1);
            (before, right.and_then(|right| child(Arc::new(Node::Inner(right)))))
        }
    }
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
            match place.node.first() {
                Some(first) => place.first = first.clone(),
                None => drop(children.remove(index)),
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
    let right = children.remove(index + 1).node;
    let Some(left) = children.get_mut(index) else { return };
    match (Arc::make_mut(&mut left.node), &*right) {
        (Node::Leaf(entries), Node::Leaf(more)) => entries.extend(more.iter().cloned()),
        (Node::Inner(entries), Node::Inner(more)) => entries.extend(more.iter().cloned()),
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

impl<'m, E> Iterator for Iter<'m, E> {
    type Item = &'m E;

    fn next(&mut self) -> Option<&'m E> {
        loop {
            if let Some(entry) = self.leaf.next() {
                return Some(entry);
            }
            let mut node = loop {
                match self.above.last_mut()?.next() {
                    Some(child) => break &child.node,
                    None => drop(self.above.pop()),
                }
            };
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
    /// A map of entries in the order of their keys, all different: level by level, all nodes full.
    fn of_sorted(entries: Vec<E>) -> Self {
        let len = entries.len();
        let mut level: Vec<Arc<Node<E>>> =
            chunks(entries).map(|leaf| Arc::new(Node::Leaf(leaf))).collect();
        while level.len() > 1 {
            let children = level.into_iter().filter_map(child).collect();
            level = chunks(children).map(|inner| Arc::new(Node::Inner(inner))).collect();
        }
        Self { root: level.pop().unwrap_or_default(), len }
    }
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
    let (mut left, mut right) = (before.iter().peekable(), after.iter().peekable());
    loop {
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
    fn a_map_of_sorted_entries_is_the_one_of_insertions() {
        for len in [0, 1, 16, 17, 256, 257, 300] {
            let words = || (0..len).map(|number| Word(format!("{number:03}"), number));
            let (sorted, mut inserted) = (words().collect::<Map<_>>(), Map::default());
            words().for_each(|word| drop(inserted.insert(word)));
            assert_eq!(sorted, inserted);
            assert!(words().all(|word| sorted.get(word.key()) == Some(&word)));
        }
    }

    #[test]
    fn a_map_that_is_emptied_is_an_empty_map() {
        check((0..100).map(|number| (true, number)).chain((0..100).map(|number| (false, number))));
    }
}
