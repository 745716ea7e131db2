//! Maglev: a table of hosts that a hash indexes, nearly even and hardly disturbed by change.
use std::fmt;

use super::hash::xx_hash_64;
use super::weight::NormalizedWeights;
use crate::number::{Divisor, index};

/// The number of slots of a table: a prime, at most 5,000,011; 65,537 by default.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct TableSize(
    // INVARIANT: prime, at most MAX_TABLE_SIZE.
    u32,
);

/// The largest table.
pub const MAX_TABLE_SIZE: u32 = 5_000_011;

/// The size of a Maglev table is not a prime, or too large.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct InvalidTableSize {
    size: u64,
}

impl fmt::Display for InvalidTableSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = self.size;
        write!(f, "maglev table size `{size}` is not a prime number of at most {MAX_TABLE_SIZE}")
    }
}

impl std::error::Error for InvalidTableSize {}

impl Default for TableSize {
    fn default() -> Self {
        Self(65_537)
    }
}

impl TableSize {
    /// Returns a size.
    ///
    /// # Errors
    ///
    /// `size` is not a prime number, or above [`MAX_TABLE_SIZE`].
    pub fn new(size: u64) -> Result<Self, InvalidTableSize> {
        let invalid = InvalidTableSize { size };
        let slots = u32::try_from(size).map_err(|_| invalid)?;
        let divides = |divisor: u32| slots.is_multiple_of(divisor);
        let is_prime = slots >= 2 && !(2..slots).take_while(|d| d * d <= slots).any(divides);
        if slots <= MAX_TABLE_SIZE && is_prime { Ok(Self(slots)) } else { Err(invalid) }
    }

    /// Returns the number of slots.
    pub const fn get(self) -> u32 {
        self.0
    }
}

/// A Maglev table: built once, then looked up without a lock.
#[derive(Clone, Debug, Default)]
pub struct Maglev {
    // INVARIANT: empty without hosts, else as long as the table size.
    table: Box<[u32]>,
    // INVARIANT: that of the length of the table.
    divisor: Divisor,
}

struct Candidate {
    host: u32,
    weight: f64,
    slot: usize,
    skip: usize,
    target: f64,
    /// The inverse of `skip` modulo the table size, once it is needed.
    inverse: Option<u64>,
}

impl Maglev {
    /// Builds the table of `weights`; `key` names each host, as for a
    /// [ring](super::ring_hash::Ring::new).
    ///
    /// # Examples
    ///
    /// ```
    /// use mesh_lb::pick::maglev::{Maglev, TableSize};
    /// use mesh_lb::pick::weight::NormalizedWeights;
    ///
    /// let keys = ["127.0.0.1:90", "127.0.0.1:91", "127.0.0.1:92"];
    /// let weights = NormalizedWeights::flat(&[1, 2, 3]);
    /// let size = TableSize::new(17).unwrap();
    /// let maglev = Maglev::new(size, &weights, |host| keys[host as usize]);
    /// let slots = |host| maglev.table().iter().filter(|&&slot| slot == host).count();
    /// assert_eq!([0, 1, 2].map(slots), [3, 6, 8]);
    /// ```
    ///
    /// # Upstream
    ///
    /// Envoy `source/extensions/load_balancing_policies/maglev/maglev_lb.cc`,
    /// `OriginalMaglevTable::constructImplementationInternals`. The compact and the one-host form
    /// of newer versions choose the same hosts.
    pub fn new<'k>(
        size: TableSize,
        weights: &NormalizedWeights,
        key: impl Fn(u32) -> &'k str,
    ) -> Self {
        let Ok(length) = usize::try_from(size.0) else { return Self::default() };
        let mut candidates = candidates(length, weights, key);
        if candidates.is_empty() {
            return Self::default();
        }
        let mut round = Round { at: 0, iteration: 1.0, max: weights.max() };
        let mut table = vec![0; length];
        let mut taken = vec![0_u64; length.div_ceil(64)];
        let mut free = length;
        // A walk takes `length / free` steps; looking at all that is left takes `free` longer ones.
        let few = (length / 2).isqrt();
        while free > few {
            let Some(candidate) = round.next(&mut candidates) else { break };
            let slot = candidate.take_slot(length, &mut taken);
            if let Some(slot) = table.get_mut(slot) {
                *slot = candidate.host;
            }
            free -= 1;
        }
        let divisor = Divisor::new(length);
        let mut last = untaken(&taken, length);
        while !last.is_empty() {
            let Some(candidate) = round.next(&mut candidates) else { break };
            if let Some(slot) = table.get_mut(candidate.take_last(divisor, &mut last)) {
                *slot = candidate.host;
            }
        }
        Self { table: table.into(), divisor }
    }

    /// Returns the host in the slot of `hash`. A retried selection counts its attempts from 0;
    /// each disturbs the hash in its own way. None if there are no hosts.
    ///
    /// # Upstream
    ///
    /// Envoy `source/extensions/load_balancing_policies/maglev/maglev_lb.cc`,
    /// `OriginalMaglevTable::chooseHost`.
    pub fn pick(&self, hash: u64, attempt: u32) -> Option<u32> {
        let hash = if attempt > 0 { hash ^ u64::from(attempt).wrapping_neg() } else { hash };
        self.table.get(self.divisor.index(hash)?).copied()
    }

    /// Gives the hosts other numbers.
    pub(crate) fn rename(&mut self, name: impl Fn(u32) -> u32) {
        self.table.iter_mut().for_each(|host| *host = name(*host));
    }

    /// Returns the host of each slot; empty if there are no hosts.
    pub const fn table(&self) -> &[u32] {
        &self.table
    }
}

/// Returns the hosts ascending by key, equal keys in the order of the hosts.
fn candidates<'k>(
    slots: usize,
    weights: &NormalizedWeights,
    key: impl Fn(u32) -> &'k str,
) -> Vec<Candidate> {
    let mut hosts: Vec<(&str, u32, f64)> =
        weights.hosts().iter().map(|&(host, weight)| (key(host), host, weight)).collect();
    hosts.sort_by_key(|&(key, ..)| key);
    hosts
        .into_iter()
        .map(|(key, host, weight)| Candidate {
            host,
            weight,
            slot: index(xx_hash_64(key.as_bytes(), 0), slots).unwrap_or(0),
            skip: index(xx_hash_64(key.as_bytes(), 1), slots - 1).unwrap_or(0) + 1,
            target: 0.0,
            inverse: None,
        })
        .collect()
}

/// Whose turn it is: everybody's once an iteration, but for those who have had more than their weight.
struct Round {
    at: usize,
    /// The number of the iteration, from 1.
    iteration: f64,
    max: f64,
}

impl Round {
    /// Returns the candidate that takes a slot; none if there are no candidates.
    #[inline]
    fn next<'c>(&mut self, candidates: &'c mut [Candidate]) -> Option<&'c mut Candidate> {
        loop {
            let begin = self.at;
            let rest = candidates.get(begin..).unwrap_or_default();
            let due = |one: &Candidate| self.iteration * one.weight >= one.target;
            if let Some(step) = rest.iter().position(due) {
                self.at = begin + step + 1;
                let candidate = candidates.get_mut(begin + step)?;
                candidate.target += self.max;
                return Some(candidate);
            }
            if candidates.is_empty() {
                return None;
            }
            self.at = 0;
            self.iteration += 1.0;
        }
    }
}

impl Candidate {
    /// Takes the next free slot of this host's own permutation of the table. Which slots are taken
    /// is kept a bit each: most steps of a nearly full table look at nothing else.
    #[inline]
    fn take_slot(&mut self, slots: usize, taken: &mut [u64]) -> usize {
        // Some slot is free, and as many steps as there are slots visit every one.
        let (mut here, skip) = (self.slot, self.skip);
        loop {
            let slot = here;
            // Below the length this wraps to something larger, so the lesser is the remainder.
            let next = slot.wrapping_add(skip);
            here = next.min(next.wrapping_sub(slots));
            let Some(word) = taken.get_mut(slot / 64) else { return usize::MAX };
            if (*word >> (slot % 64)) & 1 == 0 {
                *word |= 1 << (slot % 64);
                self.slot = here;
                return slot;
            }
        }
    }

    /// Takes the free slot that comes next in this host's permutation when few are left: how far
    /// away each is follows from the inverse of the skip, which is less work than to walk there.
    fn take_last(&mut self, slots: Divisor, free: &mut Vec<u32>) -> usize {
        let length = slots.len();
        let wide = |number: usize| u64::try_from(number).unwrap_or(0);
        let skip = wide(self.skip);
        let inverse = *self.inverse.get_or_insert_with(|| inverse(skip, slots));
        // The step at which this host's permutation, begun at slot 0, comes to a slot.
        let step = |slot: u64| slots.remainder(slot * inverse);
        let here = step(wide(self.slot));
        let away = |slot: u32| {
            // Of the two numbers of steps one wraps to something larger.
            let steps = step(slot.into()).wrapping_sub(here);
            steps.min(steps.wrapping_add(length))
        };
        let next = free.iter().map(|&slot| away(slot)).enumerate().min_by_key(|found| found.1);
        let Some((place, _)) = next else { return usize::MAX };
        let slot = u64::from(free.swap_remove(place));
        self.slot = usize::try_from(slots.remainder(slot + skip)).unwrap_or(0);
        usize::try_from(slot).unwrap_or(usize::MAX)
    }
}

/// Returns the slots of which no bit is set.
fn untaken(taken: &[u64], slots: usize) -> Vec<u32> {
    let mut free = Vec::new();
    for (word, first) in taken.iter().zip((0_u32..).step_by(64)) {
        let mut left = !word;
        while left != 0 {
            free.push(first + left.trailing_zeros());
            left &= left - 1;
        }
    }
    // The last word has bits of slots beyond the table.
    free.retain(|&slot| usize::try_from(slot).is_ok_and(|slot| slot < slots));
    free
}

/// Returns the inverse of a number modulo a prime that does not divide it: its power to the prime
/// less 2.
fn inverse(number: u64, prime: Divisor) -> u64 {
    let (mut base, mut exponent, mut power) = (number, prime.len().saturating_sub(2), 1);
    while exponent > 0 {
        if exponent % 2 == 1 {
            power = prime.remainder(power * base);
        }
        base = prime.remainder(base * base);
        exponent /= 2;
    }
    power
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(size: u64, valid: bool) {
        assert_eq!(TableSize::new(size).is_ok(), valid, "{size}");
    }

    #[test]
    fn a_table_has_a_prime_number_of_slots() {
        for size in [2, 3, 7, 65_537, 5_000_011] {
            check(size, true);
        }
        for size in [0, 1, 4, 8, 65_536, 5_000_021, u64::MAX] {
            check(size, false);
        }
    }

    #[test]
    fn a_table_without_hosts_picks_none() {
        let maglev = Maglev::new(TableSize::default(), &NormalizedWeights::default(), |_| "");
        assert_eq!(maglev.pick(7, 0), None);
    }

    #[test]
    fn the_slot_of_a_hash_is_its_remainder() {
        let keys: Vec<String> = (0..7).map(|key| key.to_string()).collect();
        let weights = NormalizedWeights::flat(&[1; 7]);
        for size in [2, 7, 65_537, 5_000_011] {
            let size = TableSize::new(size).unwrap();
            let maglev = Maglev::new(size, &weights, |host| &keys[host as usize]);
            for hash in [0, 1, 6, 7, 65_536, u64::MAX - 1, u64::MAX, 0x1234_5678_9abc_def0] {
                let slot = usize::try_from(hash % u64::from(size.get())).unwrap();
                assert_eq!(maglev.pick(hash, 0), Some(maglev.table()[slot]));
                assert_eq!(maglev.pick(hash, 1), maglev.pick(!hash, 0));
            }
        }
    }
}
