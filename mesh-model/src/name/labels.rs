//! Labels of workloads and what selects them.
mod layer;
#[cfg(test)]
mod tests;

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use self::layer::Layer;
pub(crate) use self::layer::Layers;
use super::Texts;

/// A key and its value.
type Label = (Arc<str>, Arc<str>);

/// A set of labels, sorted by key; cheap to clone and to share.
///
/// Reading an absent label gives `""`, as rules that compare labels do.
///
/// It may be of two lists, of which either can be shared with others: what a pod's object says, and what its
/// place adds. That shows nowhere: equal sets are equal, and in the same order, of whatever lists they are.
#[derive(Clone, Default)]
pub struct Labels {
    // INVARIANT: sorted by key, keys are unique.
    own: Arc<[Label]>,
    // INVARIANT: no key of it is in `own`.
    over: Option<Layer>,
}

impl Labels {
    /// Returns the value of a label, `None` where it is absent.
    #[inline]
    pub fn get(&self, key: &str) -> Option<&str> {
        match (find(&self.own, key), &self.over) {
            (None, Some(over)) => over.get(key),
            (found, _) => found,
        }
    }

    /// Returns the value of a label, `""` where it is absent.
    pub fn value(&self, key: &str) -> &str {
        self.get(key).unwrap_or_default()
    }

    /// Returns the labels in the order of their keys.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> + Clone {
        self.sorted().map(|(key, value)| (&**key, &**value))
    }

    /// Returns how many labels there are.
    pub fn len(&self) -> usize {
        self.own.len() + self.added().len()
    }

    /// Returns whether there is no label.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns whether every label of `selector` is present here with an equal value; an empty one
    /// selects everything.
    #[inline]
    pub fn contains(&self, selector: &Self) -> bool {
        selector.unsorted().all(|(key, value)| self.get(key) == Some(value))
    }

    /// Returns these labels with others laid over them.
    #[must_use]
    pub fn overlaid(&self, over: &Self) -> Self {
        self.unsorted().chain(over.unsorted()).cloned().collect()
    }

    /// Returns these labels with others laid over them, whose texts are not labels yet.
    ///
    /// These stay the list that they are, but where another value is laid over one; what is added is a list
    /// of its own, which [`Layers`] can share.
    #[must_use]
    pub(crate) fn and<'l>(&self, over: impl IntoIterator<Item = (&'l str, &'l str)>) -> Self {
        let over = over.into_iter().map(|(key, value)| (key.into(), value.into()));
        let mut over = unique(over.collect());
        over.retain(|(key, value)| self.get(key) != Some(value));
        let is_kept = |key: &str| find(&over, key).is_none();
        let own = if self.over.is_none() && over.iter().all(|(key, _)| self.get(key).is_none()) {
            Arc::clone(&self.own)
        } else {
            self.sorted().filter(|(key, _)| is_kept(key)).cloned().collect()
        };
        Self { own, over: Layer::of(over) }
    }

    /// Takes the allocations of another set for what is equal to it: all, one list, or single texts.
    pub(crate) fn share(&mut self, near: &Self) {
        if *self == *near {
            self.clone_from(near);
            return;
        }
        if self.over == near.over {
            self.over.clone_from(&near.over);
        }
        if self.own == near.own {
            self.own.clone_from(&near.own);
            return;
        }
        let mut theirs = &*near.own;
        for (key, value) in Arc::get_mut(&mut self.own).into_iter().flatten() {
            while let [(other, own), rest @ ..] = theirs
                && other <= key
            {
                theirs = rest;
                if other == key {
                    share_text(key, other);
                    share_text(value, own);
                }
            }
        }
    }

    /// Takes the allocations that are known of its texts; not those of a list that is shared already.
    pub(crate) fn share_texts(&mut self, texts: &mut Texts) {
        let own = Arc::get_mut(&mut self.own).into_iter();
        let over = self.over.as_mut().and_then(Layer::get_mut);
        for (key, value) in own.chain(over).flatten() {
            texts.share(key);
            texts.share(value);
        }
    }

    /// Returns the keys that only one of two sets has, or that have other values in each, sorted.
    pub fn differences<'l>(&'l self, other: &'l Self) -> impl Iterator<Item = &'l str> {
        let (mut ours, mut theirs) = self.apart(other);
        let (mut our, mut their) = (ours.next(), theirs.next());
        std::iter::from_fn(move || {
            while let (Some((key, value)), Some((other, own))) = (our, their) {
                // Texts are mostly shared: looking at them is seldom needed.
                let order = if Arc::ptr_eq(key, other) { Ordering::Equal } else { key.cmp(other) };
                our = if order.is_le() { ours.next() } else { our };
                their = if order.is_ge() { theirs.next() } else { their };
                match order {
                    Ordering::Less => return Some(&**key),
                    Ordering::Greater => return Some(&**other),
                    Ordering::Equal if Arc::ptr_eq(value, own) || value == own => {}
                    Ordering::Equal => return Some(&**key),
                }
            }
            let (key, _) = match our {
                Some(label) => {
                    our = ours.next();
                    label
                }
                None => std::mem::replace(&mut their, theirs.next())?,
            };
            Some(&**key)
        })
    }

    /// Returns whether two sets are the same allocations.
    pub fn is_same(&self, other: &Self) -> bool {
        let is_same_layer = match (&self.over, &other.over) {
            (Some(ours), Some(theirs)) => ours.is_same(theirs),
            (ours, theirs) => ours.is_none() && theirs.is_none(),
        };
        is_same_layer && Arc::ptr_eq(&self.own, &other.own)
    }

    /// What is laid over the own labels, sorted.
    fn added(&self) -> &[Label] {
        self.over.as_deref().unwrap_or_default()
    }

    /// The labels, one list after the other.
    #[inline]
    fn unsorted(&self) -> impl Iterator<Item = &Label> {
        self.own.iter().chain(self.over.as_deref().into_iter().flatten())
    }

    /// The labels in the order of their keys.
    fn sorted(&self) -> Sorted<'_> {
        Sorted { own: &self.own, over: self.added() }
    }

    /// The labels of either set without lists that are one allocation. As no key is in both lists of a
    /// set, what differs is all in the others.
    fn apart<'l>(&'l self, other: &'l Self) -> (Sorted<'l>, Sorted<'l>) {
        let (mut ours, mut theirs) = (self.sorted(), other.sorted());
        if std::ptr::eq(ours.own, theirs.own) {
            (ours.own, theirs.own) = (&[], &[]);
        }
        if std::ptr::eq(ours.over, theirs.over) {
            (ours.over, theirs.over) = (&[], &[]);
        }
        (ours, theirs)
    }
}

impl PartialEq for Labels {
    fn eq(&self, other: &Self) -> bool {
        // No key is in both lists of a set: where one list is that of the other set, the other list decides.
        if Arc::ptr_eq(&self.own, &other.own) {
            return self.over == other.over;
        }
        if self.over == other.over {
            return self.own == other.own;
        }
        self.len() == other.len() && self.sorted().eq(other.sorted())
    }
}

impl Eq for Labels {}

impl Ord for Labels {
    fn cmp(&self, other: &Self) -> Ordering {
        if self.is_same(other) { Ordering::Equal } else { self.sorted().cmp(other.sorted()) }
    }
}

impl PartialOrd for Labels {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Hash for Labels {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.len().hash(state);
        self.sorted().for_each(|label| label.hash(state));
    }
}

/// The labels of two lists that have no key in common, in the order of their keys.
#[derive(Clone)]
struct Sorted<'l> {
    own: &'l [Label],
    over: &'l [Label],
}

impl<'l> Iterator for Sorted<'l> {
    type Item = &'l Label;

    #[inline]
    fn next(&mut self) -> Option<&'l Label> {
        if let [label, rest @ ..] = self.over
            && self.own.first().is_none_or(|(key, _)| label.0 < *key)
        {
            self.over = rest;
            return Some(label);
        }
        let (label, rest) = self.own.split_first()?;
        self.own = rest;
        Some(label)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let len = self.own.len() + self.over.len();
        (len, Some(len))
    }
}

impl ExactSizeIterator for Sorted<'_> {}

/// Returns the value of a label of a sorted list.
#[inline]
fn find<'l>(labels: &'l [Label], key: &str) -> Option<&'l str> {
    // Of few labels nearly all are told apart by their lengths, which are here; a binary search
    // reads the text of each key that it meets. They are in order, and are met from the end that the key is
    // likely to be nearer to: `version` is mostly the last.
    if labels.len() <= 32 {
        let is_key = |(other, _): &&Label| **other == *key;
        let is_late = key.as_bytes().first().is_some_and(|first| *first > b'm');
        let found = if is_late { labels.iter().rfind(is_key) } else { labels.iter().find(is_key) };
        return found.map(|(_, value)| &**value);
    }
    let index = labels.binary_search_by(|(other, _)| (**other).cmp(key)).ok()?;
    labels.get(index).map(|(_, value)| &**value)
}

/// Returns labels sorted by key; of several values of one key the last counts.
fn unique(mut labels: Vec<Label>) -> Vec<Label> {
    labels.sort_by(|a, b| a.0.cmp(&b.0));
    labels.dedup_by(|later, label| {
        let is_same = later.0 == label.0;
        if is_same {
            std::mem::swap(later, label);
        }
        is_same
    });
    labels
}

/// Takes the allocation of another text if it is equal.
pub(crate) fn share_text(text: &mut Arc<str>, near: &Arc<str>) {
    if !Arc::ptr_eq(text, near) && *text == *near {
        text.clone_from(near);
    }
}

impl<K: Into<Arc<str>>, V: Into<Arc<str>>> FromIterator<(K, V)> for Labels {
    /// Collects labels; of several values of one key the last counts.
    fn from_iter<I: IntoIterator<Item = (K, V)>>(labels: I) -> Self {
        let labels = labels.into_iter().map(|(key, value)| (key.into(), value.into()));
        let labels = unique(labels.collect());
        if labels.is_empty() {
            return Self::default();
        }
        Self { own: Arc::from(labels), over: None }
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// Which workloads an object means, by their labels.
///
/// What an absent or an empty selector means differs by kind; see the kinds.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "a selector is its labels")]
pub struct Selector {
    /// The labels that a workload must have.
    pub match_labels: Labels,
}

impl Selector {
    /// Returns whether the selector holds no label.
    pub fn is_empty(&self) -> bool {
        self.match_labels.is_empty()
    }

    /// Returns whether labels fulfil the selector; an empty one selects everything.
    pub fn selects(&self, labels: &Labels) -> bool {
        labels.contains(&self.match_labels)
    }
}
