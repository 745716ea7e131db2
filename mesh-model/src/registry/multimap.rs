//! A hash table with several values a key that does not keep the keys.
//!
//! Values of different keys may meet, so who asks looks at what is returned; in turn a million keys cost
//! no more than their hashes.
use std::hash::{Hash, Hasher};

use rustc_hash::{FxHashMap, FxHasher};

/// Values by the hashes of their keys.
#[derive(Clone, Debug)]
pub(crate) struct Multimap<V>(FxHashMap<u64, Values<V>>);

#[derive(Clone, Debug)]
enum Values<V> {
    One(V),
    // Boxed: it is rare, and the other variant is a pointer wide.
    #[expect(clippy::box_collection, reason = "keeps the common variant small")]
    Many(Box<Vec<V>>),
}

impl<V> Default for Multimap<V> {
    fn default() -> Self {
        Self(FxHashMap::default())
    }
}

impl<V> Multimap<V> {
    /// Adds a value.
    pub(crate) fn insert(&mut self, key: &impl Hash, value: V) {
        let key = hash(key);
        let values = match self.0.remove(&key) {
            None => Values::One(value),
            Some(Values::One(known)) => Values::Many(Box::new(vec![known, value])),
            Some(Values::Many(mut list)) => {
                list.push(value);
                Values::Many(list)
            }
        };
        self.0.insert(key, values);
    }

    /// Takes one value out that `is_meant` tells.
    pub(crate) fn remove(&mut self, key: &impl Hash, is_meant: impl Fn(&V) -> bool) {
        let key = hash(key);
        let left = match self.0.remove(&key) {
            None => return,
            Some(Values::One(value)) => (!is_meant(&value)).then_some(Values::One(value)),
            Some(Values::Many(mut list)) => {
                if let Some(index) = list.iter().position(is_meant) {
                    list.remove(index);
                }
                match list.len() {
                    0 | 1 => list.pop().map(Values::One),
                    _ => Some(Values::Many(list)),
                }
            }
        };
        if let Some(left) = left {
            self.0.insert(key, left);
        }
    }

    /// Returns the values of a key, and perhaps some of others.
    pub(crate) fn get(&self, key: &impl Hash) -> &[V] {
        match self.0.get(&hash(key)) {
            None => &[],
            Some(Values::One(value)) => std::slice::from_ref(value),
            Some(Values::Many(list)) => list,
        }
    }
}

fn hash(key: &impl Hash) -> u64 {
    let mut hasher = FxHasher::default();
    key.hash(&mut hasher);
    hasher.finish()
}
