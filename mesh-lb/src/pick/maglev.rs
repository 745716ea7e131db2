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
    /// How far it is to each of the slots that come after this one: the first is the skip.
    strides: [usize; AHEAD],
    target: f64,
    /// The part of a round, 2^64, that lies between a slot and the next number's, once it is needed.
    apart: Option<u64>,
}

/// As many steps of a permutation are looked at at once, at most: what is found in the first ones does
/// not have to be known before the next are taken.
const AHEAD: usize = 8;

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
        let mut round = Round::new(weights, length);
        let mut table = vec![0; length];
        let mut free = vec![u64::MAX; length.div_ceil(64)];
        // While most slots are free the first step is likely to find one. A walk takes `length / free`
        // steps; looking at all that is left takes `free`.
        let (most, some, few) = (length - length / 3, length / 6, length.isqrt());
        let (hosts, slots) = (&mut candidates, &mut table);
        round.fill(hosts, slots, most, |one| one.take_next(length, &mut free));
        round.fill(hosts, slots, some, |one| one.take_slot::<4>(length, &mut free));
        round.fill(hosts, slots, few, |one| one.take_slot::<AHEAD>(length, &mut free));
        let divisor = Divisor::new(length);
        let mut last = untaken(&free, length);
        round.fill(hosts, slots, 0, |one| one.take_last(divisor, &mut last));
        Self { table: table.into(), divisor }
    }

    /// Returns the host in the slot of `hash`. A retried selection counts its attempts from 0;
    /// each disturbs the hash in its own way. None if there are no hosts.
    ///
    /// # Upstream
    ///
    /// Envoy `source/extensions/load_balancing_policies/maglev/maglev_lb.cc`,
    /// `OriginalMaglevTable::chooseHost`.
    #[inline]
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
        .map(|(key, host, weight)| {
            let skip = index(xx_hash_64(key.as_bytes(), 1), slots - 1).unwrap_or(0) + 1;
            let mut far = 0;
            Candidate {
                host,
                weight,
                slot: index(xx_hash_64(key.as_bytes(), 0), slots).unwrap_or(0),
                strides: [(); AHEAD].map(|()| {
                    far = around(far, skip, slots);
                    far
                }),
                target: 0.0,
                apart: None,
            }
        })
        .collect()
}

/// Whose turn it is: everybody's once an iteration, but for those who have had more than their weight.
struct Round {
    /// The first of the candidates that are looked at, as many as a word has bits.
    first: usize,
    /// Those of them whose turn is still to come, a bit each.
    due: u64,
    /// The number of the iteration, from 1.
    iteration: f64,
    max: f64,
    /// Whether all weigh the same, so that it is everybody's turn.
    is_even: bool,
    /// How many slots are left.
    free: usize,
}

impl Round {
    fn new(weights: &NormalizedWeights, free: usize) -> Self {
        let max = weights.max();
        let is_even = weights.min() >= max;
        // The first look goes on to the first candidate of the first iteration.
        Self { first: usize::MAX - LOOK, due: 0, iteration: 0.0, max, is_even, free }
    }

    /// Fills the table until so many slots are left; `take` takes one.
    #[inline]
    fn fill(
        &mut self,
        candidates: &mut [Candidate],
        table: &mut [u32],
        left: usize,
        mut take: impl FnMut(&mut Candidate) -> usize,
    ) {
        while self.free > left && !candidates.is_empty() {
            if self.due == 0 {
                self.look_on(candidates);
                continue;
            }
            let next = usize::try_from(self.due.trailing_zeros()).unwrap_or(0);
            self.due &= self.due - 1;
            let Some(candidate) = candidates.get_mut(self.first + next) else { return };
            candidate.target += self.max;
            if let Some(slot) = table.get_mut(take(candidate)) {
                *slot = candidate.host;
            }
            self.free -= 1;
        }
    }

    /// Finds out who of the next candidates is due. Nobody's turn changes it for another one.
    #[inline]
    fn look_on(&mut self, candidates: &[Candidate]) {
        self.first += LOOK;
        if self.first >= candidates.len() {
            self.first = 0;
            self.iteration += 1.0;
        }
        let next = candidates.iter().skip(self.first).take(LOOK);
        if self.is_even {
            self.due = u64::MAX >> (LOOK - next.len());
            return;
        }
        for (bit, one) in next.enumerate() {
            self.due |= u64::from(self.iteration * one.weight >= one.target) << bit;
        }
    }
}

/// As many candidates are looked at at once as a word has bits.
const LOOK: usize = 64;

impl Candidate {
    /// Takes the next free slot of this host's own permutation of the table, step by step. Which slots
    /// are free is kept a bit each: most steps look at nothing else.
    #[inline]
    fn take_next(&mut self, slots: usize, free: &mut [u64]) -> usize {
        let [skip, ..] = self.strides;
        let mut slot = self.slot;
        // Some slot is free, and as many steps as there are slots visit every one.
        while bit(free, slot) == 0 {
            slot = around(slot, skip, slots);
        }
        self.take(slot, slots, free)
    }

    /// The same, `N` steps at once.
    #[inline]
    fn take_slot<const N: usize>(&mut self, slots: usize, free: &mut [u64]) -> usize {
        let mut here = self.slot;
        let slot = loop {
            let mut ahead = [here; N];
            for (slot, stride) in ahead.iter_mut().skip(1).zip(self.strides) {
                *slot = around(here, stride, slots);
            }
            let found =
                (0..).zip(ahead).fold(0, |found, (step, slot)| found | bit(free, slot) << step);
            if found != 0 {
                // No branch: nobody could foresee which one it is.
                let at = usize::try_from(found.trailing_zeros()).unwrap_or(0);
                break ahead.get(at).copied().unwrap_or(here);
            }
            here = around(here, self.strides.get(N - 1).copied().unwrap_or(0), slots);
        };
        self.take(slot, slots, free)
    }

    #[inline]
    fn take(&mut self, slot: usize, slots: usize, free: &mut [u64]) -> usize {
        if let Some(word) = free.get_mut(slot / 64) {
            *word &= !(1 << (slot % 64));
        }
        let [skip, ..] = self.strides;
        self.slot = around(slot, skip, slots);
        slot
    }

    /// Takes the free slot that comes next in this host's permutation when few are left: how far
    /// away each is follows from the inverse of the skip, which is less work than to walk there.
    ///
    /// Of a round of 2^64, which wraps as words do, the way to a slot is a product. What is rounded up
    /// in it adds up to less than a step, which is at least 2^41.
    fn take_last(&mut self, slots: Divisor, free: &mut Vec<u32>) -> usize {
        let wide = |number: usize| u64::try_from(number).unwrap_or(0);
        let [skip, ..] = self.strides.map(wide);
        let apart = *self.apart.get_or_insert_with(|| {
            let apart = (u128::from(inverse(skip, slots)) << 64).div_ceil(slots.len().into());
            u64::try_from(apart).unwrap_or(0)
        });
        let here = wide(self.slot);
        let mut next = None;
        for (place, slot) in free.iter().enumerate() {
            let away = u64::from(*slot).wrapping_sub(here).wrapping_mul(apart);
            next = match next {
                Some((least, _)) if least <= away => next,
                Some(_) | None => Some((away, place)),
            };
        }
        let Some((_, place)) = next else { return usize::MAX };
        let slot = u64::from(free.swap_remove(place));
        self.slot = usize::try_from(slots.remainder(slot + skip)).unwrap_or(0);
        usize::try_from(slot).unwrap_or(usize::MAX)
    }
}

/// Goes on from a slot, round and round; neither number is more than the number of slots.
#[inline]
fn around(slot: usize, stride: usize, slots: usize) -> usize {
    let next = slot.wrapping_add(stride);
    // Below the length this wraps to something larger, so the lesser is the remainder.
    next.min(next.wrapping_sub(slots))
}

/// Returns the bit of a slot; 1 beyond the table, so that no walk goes on there.
#[inline]
fn bit(bits: &[u64], slot: usize) -> u64 {
    bits.get(slot / 64).map_or(1, |word| (word >> (slot % 64)) & 1)
}

/// Returns the slots whose bit is set.
fn untaken(bits: &[u64], slots: usize) -> Vec<u32> {
    let mut free = Vec::new();
    for (word, first) in bits.iter().zip((0_u32..).step_by(64)) {
        let mut left = *word;
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
        for size in [2, 7, 65_537, 1_000_003] {
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
