//! Texts, found by a hash, and prefixes of texts, found by a binary search.
use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

/// Maps texts, and prefixes of texts, to places.
#[derive(Clone, Debug, Default)]
pub(crate) struct Texts {
    exact: FxHashMap<Box<[u8]>, Vec<usize>>,
    /// Sorted, and each knows the longest other one that is a prefix of it: all prefixes of a text
    /// lie on the way up from the last one that is not after it.
    // INVARIANT: sorted by key, keys are unique; `parent` is less than the prefix's own place.
    prefixes: Vec<Prefix>,
}

#[derive(Clone, Debug)]
struct Prefix {
    key: Box<[u8]>,
    places: Vec<usize>,
    parent: Option<usize>,
}

/// Collects keys.
#[derive(Debug, Default)]
pub(crate) struct Builder {
    exact: FxHashMap<Box<[u8]>, Vec<usize>>,
    prefixes: BTreeMap<Box<[u8]>, Vec<usize>>,
}

impl Builder {
    /// Adds a place under a text. Places must be added in ascending order.
    pub(crate) fn exact(&mut self, text: &[u8], place: usize) {
        push(self.exact.entry(text.into()).or_default(), place);
    }

    /// Adds a place under all texts that start so. Places must be added in ascending order.
    pub(crate) fn prefix(&mut self, text: &[u8], place: usize) {
        push(self.prefixes.entry(text.into()).or_default(), place);
    }

    pub(crate) fn build(self) -> Texts {
        let prefixes = self.prefixes.into_iter();
        let mut texts = Texts {
            exact: self.exact,
            prefixes: prefixes.map(|(key, places)| Prefix { key, places, parent: None }).collect(),
        };
        texts.link();
        texts
    }
}

/// Adds a place where the list ascends.
pub(crate) fn insert(places: &mut Vec<usize>, place: usize) {
    if let Err(at) = places.binary_search(&place) {
        places.insert(at, place);
    }
}

fn push(places: &mut Vec<usize>, place: usize) {
    if places.last() != Some(&place) {
        places.push(place);
    }
}

impl Texts {
    /// Calls `visit` with the places of the text and of each of its prefixes; each list ascends.
    pub(crate) fn find(&self, text: &[u8], mut visit: impl FnMut(&[usize])) {
        if !self.exact.is_empty()
            && let Some(places) = self.exact.get(text)
        {
            visit(places);
        }
        let after = self.prefixes.partition_point(|prefix| *prefix.key <= *text);
        let Some(mut at) = after.checked_sub(1) else { return };
        while let Some(prefix) = self.prefixes.get(at) {
            if text.starts_with(&prefix.key) {
                visit(&prefix.places);
            }
            let Some(parent) = prefix.parent else { return };
            at = parent;
        }
    }

    /// Adds a place under a text or, with `is_prefix`, under all texts that start so.
    pub(crate) fn add(&mut self, text: &[u8], is_prefix: bool, place: usize) {
        if !is_prefix {
            insert(self.exact.entry(text.into()).or_default(), place);
            return;
        }
        match self.prefixes.binary_search_by(|prefix| (*prefix.key).cmp(text)) {
            Ok(at) => {
                if let Some(prefix) = self.prefixes.get_mut(at) {
                    insert(&mut prefix.places, place);
                }
            }
            Err(at) => {
                let prefix = Prefix { key: text.into(), places: vec![place], parent: None };
                self.prefixes.insert(at, prefix);
                self.link();
            }
        }
    }

    /// Takes a place away from a text, or from a prefix, if it is there.
    pub(crate) fn take(&mut self, text: &[u8], is_prefix: bool, place: usize) {
        let places = if is_prefix {
            let at = self.prefixes.binary_search_by(|prefix| (*prefix.key).cmp(text)).ok();
            at.and_then(|at| self.prefixes.get_mut(at)).map(|prefix| &mut prefix.places)
        } else {
            self.exact.get_mut(text)
        };
        if let Some(places) = places
            && let Ok(at) = places.binary_search(&place)
        {
            places.remove(at);
        }
    }

    /// Returns how many places stand under a text, or under a prefix.
    pub(crate) fn count(&self, text: &[u8], is_prefix: bool) -> usize {
        if !is_prefix {
            return self.exact.get(text).map_or(0, Vec::len);
        }
        let at = self.prefixes.binary_search_by(|prefix| (*prefix.key).cmp(text)).ok();
        at.and_then(|at| self.prefixes.get(at)).map_or(0, |prefix| prefix.places.len())
    }

    /// Finds the parents.
    fn link(&mut self) {
        // The prefixes that the last one starts with, shortest first.
        let mut open: Vec<usize> = Vec::new();
        for at in 0..self.prefixes.len() {
            let (before, rest) = self.prefixes.split_at_mut(at);
            let Some(prefix) = rest.first_mut() else { return };
            while let Some(last) = open.last().and_then(|last| before.get(*last)) {
                if prefix.key.starts_with(&last.key) {
                    break;
                }
                open.pop();
            }
            prefix.parent = open.last().copied();
            open.push(at);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.exact.is_empty() && self.prefixes.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_search_finds_what_a_walk_over_all_keys_finds(
            keys in prop::collection::vec(("[ab]{0,4}", any::<bool>()), 0..20),
            text in "[abc]{0,5}",
        ) {
            let mut builder = Builder::default();
            for (place, (key, is_prefix)) in keys.iter().enumerate() {
                if *is_prefix {
                    builder.prefix(key.as_bytes(), place);
                } else {
                    builder.exact(key.as_bytes(), place);
                }
            }
            let mut found = Vec::new();
            builder.build().find(text.as_bytes(), |places| found.extend_from_slice(places));
            found.sort_unstable();
            let expected: Vec<usize> = keys
                .iter()
                .enumerate()
                .filter(|(_, (key, is_prefix))| {
                    if *is_prefix { text.starts_with(key.as_str()) } else { text == *key }
                })
                .map(|(place, _)| place)
                .collect();
            prop_assert_eq!(found, expected);
        }
    }
}
