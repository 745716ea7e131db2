//! Labels of workloads and what selects them.
use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use super::Texts;

/// A set of labels, sorted by key; cheap to clone and to share.
///
/// Reading an absent label gives `""`, as rules that compare labels do.
#[derive(Clone, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Labels(
    // INVARIANT: sorted by key, keys are unique.
    Arc<[(Arc<str>, Arc<str>)]>,
);

impl Labels {
    /// Returns the value of a label, `None` where it is absent.
    #[inline]
    pub fn get(&self, key: &str) -> Option<&str> {
        // Of few labels nearly all are told apart by their lengths, which are here; a binary search
        // reads the text of each key that it meets. They are in order, and are met from the end that the key is
        // likely to be nearer to: `version` is mostly the last.
        if self.0.len() <= 32 {
            let is_key = |(other, _): &&(Arc<str>, Arc<str>)| **other == *key;
            let is_late = key.as_bytes().first().is_some_and(|first| *first > b'm');
            let found =
                if is_late { self.0.iter().rfind(is_key) } else { self.0.iter().find(is_key) };
            return found.map(|(_, value)| &**value);
        }
        let index = self.0.binary_search_by(|(other, _)| (**other).cmp(key)).ok()?;
        self.0.get(index).map(|(_, value)| &**value)
    }

    /// Returns the value of a label, `""` where it is absent.
    pub fn value(&self, key: &str) -> &str {
        self.get(key).unwrap_or_default()
    }

    /// Returns the labels in the order of their keys.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> + Clone {
        self.0.iter().map(|(key, value)| (&**key, &**value))
    }

    /// Returns how many labels there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns whether there is no label.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns whether every label of `selector` is present here with an equal value; an empty one
    /// selects everything.
    #[inline]
    pub fn contains(&self, selector: &Self) -> bool {
        selector.iter().all(|(key, value)| self.get(key) == Some(value))
    }

    /// Returns these labels with others laid over them.
    #[must_use]
    pub fn overlaid(&self, over: &Self) -> Self {
        self.0.iter().chain(&*over.0).cloned().collect()
    }

    /// Returns these labels with others laid over them, whose texts are not labels yet.
    #[must_use]
    pub(crate) fn and<'l>(&self, over: impl IntoIterator<Item = (&'l str, &'l str)>) -> Self {
        let over = over.into_iter().map(|(key, value)| (key.into(), value.into()));
        self.0.iter().cloned().chain(over).collect()
    }

    /// Takes the allocations of another set for what is equal to it: all, or single texts.
    pub(crate) fn share(&mut self, near: &Self) {
        if *self == *near {
            self.clone_from(near);
            return;
        }
        let mut theirs = &*near.0;
        for (key, value) in Arc::get_mut(&mut self.0).into_iter().flatten() {
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

    /// Takes the allocations that are known of its texts; not those of a set that is shared already.
    pub(crate) fn share_texts(&mut self, texts: &mut Texts) {
        for (key, value) in Arc::get_mut(&mut self.0).into_iter().flatten() {
            texts.share(key);
            texts.share(value);
        }
    }

    /// Returns the keys that only one of two sets has, or that have other values in each, sorted.
    pub fn differences<'l>(&'l self, other: &'l Self) -> impl Iterator<Item = &'l str> {
        let (mut ours, mut theirs) = match self.is_same(other) {
            true => (&[][..], &[][..]),
            false => (&*self.0, &*other.0),
        };
        std::iter::from_fn(move || {
            while let ([(key, value), rest @ ..], [(other, own), others @ ..]) = (ours, theirs) {
                // Texts are mostly shared: looking at them is seldom needed.
                let order = if Arc::ptr_eq(key, other) { Ordering::Equal } else { key.cmp(other) };
                ours = if order.is_le() { rest } else { ours };
                theirs = if order.is_ge() { others } else { theirs };
                match order {
                    Ordering::Less => return Some(&**key),
                    Ordering::Greater => return Some(&**other),
                    Ordering::Equal if Arc::ptr_eq(value, own) || value == own => {}
                    Ordering::Equal => return Some(&**key),
                }
            }
            let ((key, _), rest) = ours.split_first().or_else(|| theirs.split_first())?;
            (ours, theirs) = (rest, &[]);
            Some(&**key)
        })
    }

    /// Returns whether two sets are one allocation.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
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
        let mut labels: Vec<(Arc<str>, Arc<str>)> =
            labels.into_iter().map(|(key, value)| (key.into(), value.into())).collect();
        if labels.is_empty() {
            return Self::default();
        }
        labels.sort_by(|a, b| a.0.cmp(&b.0));
        labels.dedup_by(|later, label| {
            let is_same = later.0 == label.0;
            if is_same {
                std::mem::swap(later, label);
            }
            is_same
        });
        Self(Arc::from(labels))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().copied().collect()
    }

    #[test]
    fn an_empty_value_does_not_select_an_absent_label() {
        assert!(!labels(&[]).contains(&labels(&[("a", "")])));
        assert!(labels(&[("a", "")]).contains(&labels(&[("a", "")])));
        assert!(labels(&[("a", "1"), ("b", "2")]).contains(&labels(&[("b", "2")])));
    }

    #[test]
    fn differences_are_named_once_whichever_set_they_are_in() {
        let check = |a: &[(&str, &str)], b: &[(&str, &str)], expected: &[&str]| {
            let (a, b) = (labels(a), labels(b));
            assert!(a.differences(&b).eq(expected.iter().copied()), "{a:?} {b:?}");
            assert!(b.differences(&a).eq(expected.iter().copied()), "{b:?} {a:?}");
        };
        check(&[("a", "1"), ("b", "2")], &[("a", "1"), ("b", "2")], &[]);
        check(&[("a", "1"), ("c", "2")], &[("b", "1"), ("c", "3")], &["a", "b", "c"]);
        check(&[("a", "1")], &[("a", ""), ("b", ""), ("c", "")], &["a", "b", "c"]);
    }

    #[test]
    fn what_is_equal_is_shared_and_nothing_else_changes() {
        let near = labels(&[("a", "1"), ("c", "2"), ("d", "3")]);
        for pairs in [&[("a", "1"), ("b", "0"), ("c", "9")][..], &[("d", "3")], &[("e", "")], &[]] {
            let mut shared = labels(pairs);
            shared.share(&near);
            assert_eq!(shared, labels(pairs));
        }
        let mut equal = labels(&[("a", "1"), ("c", "2"), ("d", "3")]);
        equal.share(&near);
        assert!(equal.is_same(&near));
    }

    #[test]
    fn the_last_value_of_a_key_counts() {
        assert_eq!(labels(&[("a", "1"), ("b", "0"), ("a", "2")]).value("a"), "2");
        assert_eq!(labels(&[("a", "1")]).overlaid(&labels(&[("a", "2")])).value("a"), "2");
    }
}
