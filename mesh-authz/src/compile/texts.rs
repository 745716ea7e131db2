//! Texts and prefixes of texts, found by one binary search.

/// Maps texts, and prefixes of texts, to places.
///
/// The keys are sorted, and each knows the longest other key that is a prefix of it and was given as
/// one. All prefixes of a text lie on the way up from the last key that is not after it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Texts {
    // INVARIANT: sorted by key, keys are unique; `parent` is less than the entry's own place.
    entries: Box<[Entry]>,
}

#[derive(Clone, Debug)]
struct Entry {
    key: Box<[u8]>,
    /// Places to visit where the text is the key.
    exact: Box<[usize]>,
    /// Places to visit where the text starts with the key.
    prefix: Box<[usize]>,
    parent: Option<usize>,
}

/// Collects keys.
#[derive(Debug, Default)]
pub(crate) struct Builder {
    keys: std::collections::BTreeMap<Box<[u8]>, [Vec<usize>; 2]>,
}

impl Builder {
    /// Adds a place under a text. Places must be added in ascending order.
    pub(crate) fn exact(&mut self, text: &[u8], place: usize) {
        push(&mut self.keys.entry(text.into()).or_default()[0], place);
    }

    /// Adds a place under all texts that start so. Places must be added in ascending order.
    pub(crate) fn prefix(&mut self, text: &[u8], place: usize) {
        push(&mut self.keys.entry(text.into()).or_default()[1], place);
    }

    pub(crate) fn build(self) -> Texts {
        let mut entries: Vec<Entry> = Vec::with_capacity(self.keys.len());
        // The keys given as prefixes that the last key starts with, shortest first.
        let mut open: Vec<usize> = Vec::new();
        for (key, [exact, prefix]) in self.keys {
            while let Some(last) = open.last().and_then(|last| entries.get(*last)) {
                if key.starts_with(&last.key) {
                    break;
                }
                open.pop();
            }
            let parent = open.last().copied();
            if !prefix.is_empty() {
                open.push(entries.len());
            }
            entries.push(Entry { key, exact: exact.into(), prefix: prefix.into(), parent });
        }
        Texts { entries: entries.into() }
    }
}

fn push(places: &mut Vec<usize>, place: usize) {
    if places.last() != Some(&place) {
        places.push(place);
    }
}

impl Texts {
    /// Calls `visit` with the places of the text and of each of its prefixes; each list ascends.
    pub(crate) fn find(&self, text: &[u8], visit: impl FnMut(&[usize])) {
        let after = self.entries.partition_point(|entry| *entry.key <= *text);
        self.visit(after, text, |byte| byte, visit);
    }

    /// Finds a text in any case of ASCII letters among keys in lower case.
    pub(crate) fn find_ignoring_case(&self, text: &[u8], visit: impl FnMut(&[usize])) {
        let lower = || text.iter().map(u8::to_ascii_lowercase);
        let after = self.entries.partition_point(|entry| entry.key.iter().copied().le(lower()));
        self.visit(after, text, |byte| byte.to_ascii_lowercase(), visit);
    }

    fn visit(
        &self,
        after: usize,
        text: &[u8],
        fold: impl Fn(u8) -> u8,
        mut visit: impl FnMut(&[usize]),
    ) {
        let Some(mut at) = after.checked_sub(1) else { return };
        let Some(last) = self.entries.get(at) else { return };
        let pairs = last.key.iter().zip(text);
        let common = pairs.take_while(|(key, byte)| **key == fold(**byte)).count();
        if common == text.len() && common == last.key.len() {
            visit(&last.exact);
        }
        while let Some(entry) = self.entries.get(at) {
            if entry.key.len() <= common && !entry.prefix.is_empty() {
                visit(&entry.prefix);
            }
            let Some(parent) = entry.parent else { return };
            at = parent;
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
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
