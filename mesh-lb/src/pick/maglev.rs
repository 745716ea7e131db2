//! Maglev: a table of hosts that a hash indexes, nearly even and hardly disturbed by change.
use std::fmt;

use super::hash::xx_hash_64;
use super::weight::NormalizedWeights;
use crate::number::{double, index};

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
    // INVARIANT: 2^64 divided by the length of the table; 0 if that is 0.
    reciprocal: u64,
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
        let reciprocal = u64::try_from((1_u128 << 64) / u128::from(size.0)).unwrap_or(u64::MAX);
        let mut maglev = Self { table: vec![0; length].into(), reciprocal };
        let mut taken = vec![0_u64; length.div_ceil(64)];
        let mut last = Vec::new();
        let max = weights.max();
        let mut free = length;
        let mut iteration = 0;
        while free > 0 {
            iteration += 1;
            let turn = double(iteration);
            for candidate in &mut candidates {
                if turn * candidate.weight < candidate.target {
                    continue;
                }
                candidate.target += max;
                if last.is_empty() && free.saturating_mul(free) <= length {
                    last = untaken(&taken, length);
                }
                let slot = if last.is_empty() {
                    candidate.take_slot(length, &mut taken)
                } else {
                    candidate.take_last(size.0, &mut last, |product| maglev.slot(product))
                };
                if let Some(slot) = maglev.table.get_mut(slot) {
                    *slot = candidate.host;
                }
                free -= 1;
                if free == 0 {
                    break;
                }
            }
        }
        maglev
    }

    /// The remainder by the length of the table, by multiplication: the quotient is at most one too
    /// small.
    #[inline]
    fn slot(&self, hash: u64) -> u64 {
        let length = u64::try_from(self.table.len()).unwrap_or(u64::MAX);
        let product = u128::from(hash) * u128::from(self.reciprocal);
        let quotient = u64::try_from(product >> 64).unwrap_or(0);
        let rest = hash - quotient * length;
        if rest >= length { rest - length } else { rest }
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
        let slot = self.slot(hash);
        self.table.get(usize::try_from(slot).ok()?).copied()
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
}

impl Candidate {
    /// Takes the free slot that comes next in this host's permutation when few are left: how far
    /// away each is follows from the inverse of the skip, which is less work than to walk there.
    fn take_last(
        &mut self,
        slots: u32,
        free: &mut Vec<u32>,
        remainder: impl Fn(u64) -> u64,
    ) -> usize {
        let skip = u64::try_from(self.skip).unwrap_or(1);
        let inverse = *self.inverse.get_or_insert_with(|| inverse(skip, slots.into()));
        let here = u64::try_from(self.slot).unwrap_or(0);
        let away = |slot: u32| {
            let ahead = u64::from(slot) + u64::from(slots) - here;
            remainder(remainder(ahead) * inverse)
        };
        let next = free.iter().map(|&slot| away(slot)).enumerate().min_by_key(|found| found.1);
        let Some((place, _)) = next else { return usize::MAX };
        let slot = usize::try_from(free.swap_remove(place)).unwrap_or(usize::MAX);
        let after = slot.saturating_add(self.skip);
        let slots = usize::try_from(slots).unwrap_or(usize::MAX);
        self.slot = if after >= slots { after - slots } else { after };
        slot
    }
}

fn untaken(taken: &[u64], slots: usize) -> Vec<u32> {
    let is_free = |slot: usize| taken.get(slot / 64).is_some_and(|w| w & (1 << (slot % 64)) == 0);
    (0..slots).filter(|slot| is_free(*slot)).filter_map(|slot| u32::try_from(slot).ok()).collect()
}

/// Returns the inverse of a number modulo a prime that does not divide it: its power to the prime
/// less 2.
fn inverse(number: u64, prime: u64) -> u64 {
    let (mut base, mut exponent, mut power) = (number % prime, prime.saturating_sub(2), 1);
    while exponent > 0 {
        if exponent % 2 == 1 {
            power = power * base % prime;
        }
        base = base * base % prime;
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
