//! What is remembered twice and closes no more than once: a text may hold one piece of junk by the million.
use std::hash::BuildHasher as _;
use std::sync::Arc;

use rustc_hash::{FxBuildHasher, FxHashMap};

use super::Broken;
use crate::registry::Registry;

/// What is known to be remembered of one text.
#[derive(Debug, Default)]
pub(in crate::registry) struct Repeated {
    /// How many of what the registry remembers were looked at.
    seen: usize,
    /// Where in the list they are, by a number that equal ones share.
    by_number: FxHashMap<u64, Vec<usize>>,
}

impl Registry {
    /// Forgets what was remembered since the last time and is equal to something before it.
    pub(in crate::registry) fn forget_repeated(&mut self, known: &mut Repeated) {
        if known.seen >= self.parts.broken.len() {
            return;
        }
        let broken = Arc::make_mut(&mut self.parts.broken);
        for candidate in broken.split_off(known.seen) {
            let number = number_of(&candidate);
            let others = known.by_number.entry(number).or_default();
            if others.iter().all(|other| broken.get(*other) != Some(&candidate)) {
                others.push(broken.len());
                broken.push(candidate);
            }
        }
        known.seen = broken.len();
    }
}

fn number_of(broken: &Broken) -> u64 {
    FxBuildHasher.hash_one((&broken.object, &broken.origin, &broken.reason))
}
