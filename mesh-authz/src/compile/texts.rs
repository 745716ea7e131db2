//! Texts, found by a hash, and prefixes of texts, found by a binary search.
use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

/// Maps texts, and prefixes of texts, to places.
#[derive(Clone, Debug, Default)]
pub(crate) struct Texts {
    exact: FxHashMap<Box<[u8]>, Box<[usize]>>,
    /// Sorted, and each knows the longest other one that is a prefix of it: all prefixes of a text
    /// lie on the way up from the last one that is not after it.
    // INVARIANT: sorted by key, keys are unique; `parent` is less than the prefix's own place.
    prefixes: Box<[Prefix]>,
}

#[derive(Clone, Debug)]
struct Prefix {
    key: Box<[u8]>,
    places: Box<[usize]>,
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
        let mut prefixes: Vec<Prefix> = Vec::with_capacity(self.prefixes.len());
        // The prefixes that the last one starts with, shortest first.
        let mut open: Vec<usize> = Vec::new();
        for (key, places) in self.prefixes {
            while let Some(last) = open.last().and_then(|last| prefixes.get(*last)) {
                if key.starts_with(&last.key) {
                    break;
                }
                open.pop();
            }
            let parent = open.last().copied();
            open.push(prefixes.len());
            prefixes.push(Prefix { key, places: places.into(), parent });
        }
        let exact = self.exact.into_iter().map(|(key, places)| (key, places.into())).collect();
        Texts { exact, prefixes: prefixes.into() }
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
