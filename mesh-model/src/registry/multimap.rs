//! A hash table with several values a key that does not keep the keys.
//!
//! Values of different keys may meet, so who asks looks at what is returned; in turn a million keys cost
//! no more than half of their hashes.
use std::hash::{Hash, Hasher};

use rustc_hash::{FxHashMap, FxHasher};

/// Values by the hashes of their keys.
#[derive(Clone, Debug)]
pub(crate) struct Multimap<V> {
    one: FxHashMap<u32, V>,
    // INVARIANT: only of hashes that `one` has too, and no list is empty.
    more: FxHashMap<u32, Vec<V>>,
}

impl<V> Default for Multimap<V> {
    fn default() -> Self {
        Self { one: FxHashMap::default(), more: FxHashMap::default() }
    }
}

impl<V> Multimap<V> {
    /// Adds a value.
    pub(crate) fn insert(&mut self, key: &impl Hash, value: V) {
        let key = hash(key);
        let Some(before) = self.one.insert(key, value) else { return };
        self.more.entry(key).or_default().push(before);
    }

    /// Takes one value out that `is_meant` tells.
    pub(crate) fn remove(&mut self, key: &impl Hash, is_meant: impl Fn(&V) -> bool) {
        let key = hash(key);
        let is_first = self.one.get(&key).is_some_and(&is_meant);
        let Some(list) = self.more.get_mut(&key) else {
            if is_first {
                self.one.remove(&key);
            }
            return;
        };
        if is_first {
            let last = list.pop();
            self.one.extend(last.map(|last| (key, last)));
        } else if let Some(index) = list.iter().position(is_meant) {
            list.remove(index);
        }
        if list.is_empty() {
            self.more.remove(&key);
        }
    }

    /// Returns the values of a key, and perhaps some of others.
    pub(crate) fn get(&self, key: &impl Hash) -> Values<'_, V> {
        let key = hash(key);
        let more = if self.more.is_empty() { None } else { self.more.get(&key) };
        let more = more.map(Vec::as_slice).unwrap_or_default();
        self.one.get(&key).into_iter().chain(more)
    }
}

/// The values of a key, and perhaps some of others.
pub(crate) type Values<'m, V> =
    std::iter::Chain<std::option::IntoIter<&'m V>, std::slice::Iter<'m, V>>;

/// A key's hash, both halves of it in one.
fn hash(key: &impl Hash) -> u32 {
    let mut hasher = FxHasher::default();
    key.hash(&mut hasher);
    let [a, b, c, d, e, f, g, h] = hasher.finish().to_le_bytes();
    u32::from_le_bytes([a, b, c, d]) ^ u32::from_le_bytes([e, f, g, h])
}

#[cfg(test)]
mod tests {
    use super::Multimap;

    #[test]
    fn each_key_has_the_values_that_were_added_and_not_taken_out() {
        let mut map = Multimap::default();
        for value in 0..5 {
            map.insert(&"a", value);
        }
        map.insert(&"b", 7);
        for value in [4, 0, 9] {
            map.remove(&"a", |known| *known == value);
        }
        let mut left: Vec<i32> = map.get(&"a").copied().collect();
        left.sort_unstable();
        assert_eq!(left, [1, 2, 3]);
        for value in [1, 2, 3] {
            map.remove(&"a", |known| *known == value);
        }
        assert_eq!(map.get(&"a").count(), 0);
        assert!(map.get(&"b").eq([&7]));
    }
}
