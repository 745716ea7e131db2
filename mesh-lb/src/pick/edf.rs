//! Earliest deadline first: weighted round robin with fractional weights.
//!
//! Each entry is due `1 / weight` after it was last picked; the entry that is due first is next.
//! Equal deadlines keep the order in which they were set.
//!
//! ```text
//!        1              a tree of winners: each node names the entry below it that is due first;
//!      1   2            a pick takes the root's, puts it back, and plays its matches anew
//!     0 1 2 3
//! ```
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::number::{double, truncated};

/// A scheduler over entries `0..n`, shared between threads: a pick takes no lock.
///
/// Weights are asked for again whenever an entry is put back, so a change of weight acts one pick
/// late, as upstream. An entry whose weight is not positive is due after all others.
///
/// Picks by one thread are upstream's, one for one. Picks of several threads at once are spread by
/// the same weights; a thread may then miss an entry that another one is just putting back, which
/// makes good for it with a later pick.
///
/// # Examples
///
/// ```
/// use mesh_lb::pick::edf::Edf;
///
/// let weight = |entry: u32| f64::from(entry + 1); // 1 and 2
/// let edf = Edf::with_picks(2, 0, weight);
/// let picks: Vec<u32> = (0..6).filter_map(|_| edf.pick(weight)).collect();
/// assert_eq!(picks, [1, 0, 1, 1, 0, 1]);
/// ```
///
/// # Upstream
///
/// Envoy `source/common/upstream/edf_scheduler.h`, `EdfScheduler`, where each thread has its own.
#[derive(Debug, Default)]
pub struct Edf {
    entries: Box<[Entry]>,
    // INVARIANT: twice as long as `leaves`; node `i` has the children `2i` and `2i + 1`, node
    // `leaves + e` is the leaf of entry `e`. Nodes above no entry name `entries.len()`.
    winners: Box<[AtomicU32]>,
    // INVARIANT: a power of two, at least the number of entries; 0 if there are none.
    leaves: usize,
    // The number of times that a deadline was set; a `u64` does not wrap in practice.
    order_offset: AtomicU64,
}

#[derive(Debug)]
struct Entry {
    // INVARIANT: the bits of a double that is not negative: they are ordered as it is.
    deadline: AtomicU64,
    order_offset: AtomicU64,
}

/// What decides a match: the deadline, then the order in which deadlines were set.
pub(super) type Due = u128;

pub(super) const NEVER: Due = u128::MAX;

impl Entry {
    fn new(deadline: f64, order_offset: u64) -> Self {
        let deadline = AtomicU64::new(orderly(deadline).to_bits());
        Self { deadline, order_offset: AtomicU64::new(order_offset) }
    }

    #[inline]
    fn due(&self) -> Due {
        let deadline = self.deadline.load(Ordering::Relaxed);
        due(deadline, self.order_offset.load(Ordering::Relaxed))
    }
}

#[inline]
pub(super) fn due(deadline: u64, order_offset: u64) -> Due {
    (Due::from(deadline) << 64) | Due::from(order_offset)
}

/// Initial picks are taken modulo this number.
const MAX_INITIAL_PICKS: u32 = 429_496_729;
/// What is added to each weight while the initial picks are computed.
const EPSILON: f64 = 1e-13;

/// The state after as many picks as a seed says, but for a few.
pub(super) struct InitialPicks {
    /// When each entry is due.
    pub(super) deadlines: Vec<f64>,
    /// Picks that are still to be made.
    pub(super) left: u64,
}

impl InitialPicks {
    /// Takes the low 32 bits of the seed, modulo 429,496,729.
    pub(super) fn new(weights: &[f64], seed: u64) -> Self {
        let picks = u32::try_from(seed & u64::from(u32::MAX)).unwrap_or(0) % MAX_INITIAL_PICKS;
        let shifted = weights.iter().map(|weight| weight + EPSILON);
        let sum = shifted.clone().fold(0.0, |sum, weight| sum + weight);
        let share = f64::from(picks) / sum;
        let mut done: u64 = 0;
        let initial = shifted.map(|weight| {
            let mut taken = truncated(weight * f64::from(picks) / sum);
            if taken > 0 && f64::from(taken) / weight >= share {
                taken -= 1;
            }
            done += u64::from(taken);
            (f64::from(taken) + 1.0) / weight
        });
        let deadlines = initial.collect();
        // At most a few an entry: each share was truncated and then lowered by at most one.
        let entries = u64::try_from(weights.len()).unwrap_or(u64::MAX);
        let left = u64::from(picks).saturating_sub(done).min(entries.saturating_mul(3));
        Self { deadlines, left }
    }
}

impl Edf {
    /// Creates a scheduler of `entries` entries in the state after as many picks as the low 32
    /// bits of `seed` say (modulo 429,496,729), in time that does not depend on that number.
    ///
    /// # Upstream
    ///
    /// Envoy `source/common/upstream/edf_scheduler.h`, `EdfScheduler::createWithPicks`.
    pub fn with_picks(entries: u32, seed: u64, mut weight: impl FnMut(u32) -> f64) -> Self {
        let weights: Vec<f64> = (0..entries).map(&mut weight).collect();
        let InitialPicks { deadlines, left } = InitialPicks::new(&weights, seed);
        let initial = (0_u64..).zip(deadlines);
        let initial = initial.map(|(order_offset, deadline)| Entry::new(deadline, order_offset));
        let scheduler = Self::of_entries(initial.collect());
        for _ in 0..left {
            scheduler.pick(&mut weight);
        }
        scheduler
    }

    fn of_entries(entries: Box<[Entry]>) -> Self {
        if entries.is_empty() {
            return Self::default();
        }
        let leaves = entries.len().next_power_of_two();
        let none = u32::try_from(entries.len()).unwrap_or(u32::MAX);
        let bottom = (0..none).chain(std::iter::repeat(none)).take(leaves);
        let winners = std::iter::repeat_n(none, leaves).chain(bottom);
        let scheduler = Self {
            order_offset: AtomicU64::new(none.into()),
            winners: winners.map(AtomicU32::new).collect(),
            leaves,
            entries,
        };
        for node in (1..leaves).rev() {
            let [(a, due_a), (b, due_b)] = [2 * node, 2 * node + 1].map(|n| scheduler.winner(n));
            scheduler.declare(node, if due_b < due_a { b } else { a });
        }
        scheduler
    }

    /// Returns the entry that is due first and puts it back with the weight it has now; none if
    /// there are no entries. Does not allocate.
    #[inline]
    pub fn pick(&self, mut weight: impl FnMut(u32) -> f64) -> Option<u32> {
        loop {
            let entry = self.winners.get(1)?.load(Ordering::Relaxed);
            let index = usize::try_from(entry).ok()?;
            let picked = self.entries.get(index)?;
            let deadline = picked.deadline.load(Ordering::Relaxed);
            let next = orderly(f64::from_bits(deadline) + 1.0 / weight(entry)).to_bits();
            // Two threads may set the same number: deadlines that are equal besides are rare.
            let order_offset = self.order_offset.load(Ordering::Relaxed);
            let (set, relaxed) = (&picked.deadline, Ordering::Relaxed);
            if set.compare_exchange(deadline, next, relaxed, relaxed).is_err() {
                continue; // Another thread has picked it.
            }
            self.order_offset.store(order_offset + 1, Ordering::Relaxed);
            picked.order_offset.store(order_offset, Ordering::Relaxed);
            self.play(index, entry, due(next, order_offset));
            return Some(entry);
        }
    }

    /// Plays the matches of an entry from its leaf to the root.
    #[inline]
    fn play(&self, index: usize, entry: u32, due: Due) {
        let (mut best, mut best_due) = (entry, due);
        let mut node = self.leaves + index;
        while node > 1 {
            let (other, other_due) = self.winner(node ^ 1);
            if other_due < best_due {
                (best, best_due) = (other, other_due);
            }
            node /= 2;
            self.declare(node, best);
        }
    }

    #[inline]
    fn winner(&self, node: usize) -> (u32, Due) {
        let entry = self.winners.get(node).map_or(u32::MAX, |w| w.load(Ordering::Relaxed));
        let found = usize::try_from(entry).ok().and_then(|entry| self.entries.get(entry));
        (entry, found.map_or(NEVER, Entry::due))
    }

    #[inline]
    fn declare(&self, node: usize, entry: u32) {
        if let Some(winner) = self.winners.get(node) {
            winner.store(entry, Ordering::Relaxed);
        }
    }

    /// Returns the number of entries.
    pub const fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns whether there are no entries.
    pub const fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

/// Returns the deadline, or the end of time for what a weight that is not positive makes of it.
#[inline]
pub(super) fn orderly(deadline: f64) -> f64 {
    if deadline >= 0.0 { deadline.abs() } else { f64::INFINITY }
}

/// Returns whether a list of hosts is scheduled by weight at all: at least two hosts, and weights
/// that differ or a host in slow start. Otherwise the policy's unweighted pick is used.
///
/// # Upstream
///
/// Envoy `source/extensions/load_balancing_policies/common/load_balancer_impl.cc`,
/// `EdfLoadBalancerBase::refresh`.
pub fn is_scheduled(weights: &[u32], slow_start: InSlowStart) -> bool {
    match weights {
        [] | [_] => false,
        [first, others @ ..] => {
            slow_start == InSlowStart::Yes || others.iter().any(|weight| weight != first)
        }
    }
}

/// Whether a balancer has hosts in slow start.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "it has or it has not")]
pub enum InSlowStart {
    /// Its latest host entered its slow start window within the last window.
    Yes,
    /// None has.
    No,
}

/// Returns the effective double of a weight that configuration states as a whole number.
pub(crate) fn weight_of(weight: u32) -> f64 {
    double(weight.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(weights: &[f64], seed: u64, expected: &[u32]) {
        let weight = |entry: u32| weights.get(entry as usize).copied().unwrap_or(0.0);
        let edf = Edf::with_picks(u32::try_from(weights.len()).unwrap(), seed, weight);
        let picks: Vec<u32> = expected.iter().filter_map(|_| edf.pick(weight)).collect();
        assert_eq!(picks, expected);
    }

    #[test]
    fn the_seed_says_where_in_the_cycle_picking_begins() {
        check(&[1.0, 2.0], 0, &[1, 0, 1, 1, 0, 1]);
        check(&[1.0, 2.0], 1, &[0, 1, 1, 0, 1, 1]);
    }

    #[test]
    fn only_the_low_half_of_the_seed_counts() {
        check(&[1.0, 2.0], 1 << 32, &[1, 0, 1, 1, 0, 1]);
    }

    #[test]
    fn an_entry_without_weight_is_never_picked_again() {
        check(&[1.0, -1.0, 1.0], 0, &[0, 2, 0, 2]);
        check(&[0.0, f64::NAN], 0, &[0, 1]);
    }

    #[test]
    fn a_scheduler_without_entries_picks_none() {
        assert_eq!(Edf::with_picks(0, 7, |_| 1.0).pick(|_| 1.0), None);
        assert_eq!(Edf::default().pick(|_| 1.0), None);
        check(&[3.0], 7, &[0, 0]);
    }

    #[test]
    fn a_change_of_weight_acts_one_pick_late() {
        let edf = Edf::with_picks(2, 0, |_| 1.0);
        let heavy = |entry: u32| if entry == 0 { 4.0 } else { 1.0 };
        let picks: Vec<u32> = (0..6).filter_map(|_| edf.pick(heavy)).collect();
        assert_eq!(picks, [0, 1, 0, 0, 0, 1]);
    }

    #[test]
    fn threads_share_a_scheduler_by_its_weights() {
        let weight = |entry: u32| f64::from(entry % 5 + 1);
        let edf = Edf::with_picks(100, 7, weight);
        let picks = |_| {
            let mut counts = vec![0_u32; 100];
            (0..30_000).filter_map(|_| edf.pick(weight)).for_each(|e| counts[e as usize] += 1);
            counts
        };
        let all = std::thread::scope(|scope| {
            [0, 1].map(|thread| scope.spawn(move || picks(thread))).map(|t| t.join().unwrap())
        });
        for entry in 0..100_usize {
            let count = all.iter().map(|counts| counts[entry]).sum::<u32>();
            let expected = 200 * (u32::try_from(entry).unwrap() % 5 + 1);
            assert!(count.abs_diff(expected) <= expected / 10 + 4, "{entry}: {count}");
        }
    }

    #[test]
    fn equal_weights_are_scheduled_only_during_slow_start() {
        assert!(!is_scheduled(&[3, 3], InSlowStart::No));
        assert!(is_scheduled(&[3, 3], InSlowStart::Yes));
        assert!(is_scheduled(&[3, 3, 4], InSlowStart::No));
        assert!(!is_scheduled(&[3], InSlowStart::Yes));
    }
}
