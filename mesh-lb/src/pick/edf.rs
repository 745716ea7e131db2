//! Earliest deadline first: weighted round robin with fractional weights.
//!
//! Each entry is due `1 / weight` after it was last picked; the entry that is due first is next.
//! Equal deadlines keep the order in which they were set.
use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;

use crate::number::{double, truncated};

/// A scheduler over entries `0..n`.
///
/// Weights are asked for again whenever an entry is put back, so a change of weight acts one pick
/// late, as upstream. An entry whose weight is not positive is due after all others.
///
/// # Examples
///
/// ```
/// use mesh_lb::pick::edf::Edf;
///
/// let weight = |entry: u32| f64::from(entry + 1); // 1 and 2
/// let mut edf = Edf::with_picks(2, 0, weight);
/// let picks: Vec<u32> = (0..6).filter_map(|_| edf.pick(weight)).collect();
/// assert_eq!(picks, [1, 0, 1, 1, 0, 1]);
/// ```
///
/// # Upstream
///
/// Envoy `source/common/upstream/edf_scheduler.h`, `EdfScheduler`.
#[derive(Clone, Debug, Default)]
pub struct Edf {
    queue: BinaryHeap<Entry>,
    current_time: f64,
    // The number of times that a deadline was set; a `u64` does not wrap in practice.
    order_offset: u64,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    deadline: f64,
    order_offset: u64,
    entry: u32,
}

impl Ord for Entry {
    /// The greatest entry, which a heap keeps on top, is the one that is due first.
    fn cmp(&self, other: &Self) -> Ordering {
        other
            .deadline
            .total_cmp(&self.deadline)
            .then_with(|| other.order_offset.cmp(&self.order_offset))
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Entry {}

/// Initial picks are taken modulo this number.
const MAX_INITIAL_PICKS: u32 = 429_496_729;
/// What is added to each weight while the initial picks are computed.
const EPSILON: f64 = 1e-13;

impl Edf {
    /// Creates a scheduler of `entries` entries in the state after as many picks as the low 32
    /// bits of `seed` say (modulo 429,496,729), in time that does not depend on that number.
    ///
    /// # Upstream
    ///
    /// Envoy `source/common/upstream/edf_scheduler.h`, `EdfScheduler::createWithPicks`.
    pub fn with_picks(entries: u32, seed: u64, mut weight: impl FnMut(u32) -> f64) -> Self {
        let picks = u32::try_from(seed & u64::from(u32::MAX)).unwrap_or(0) % MAX_INITIAL_PICKS;
        let weights: Vec<f64> = (0..entries).map(|entry| weight(entry) + EPSILON).collect();
        let sum = weights.iter().fold(0.0, |sum, weight| sum + weight);
        let share = f64::from(picks) / sum;

        let mut scheduler = Self { order_offset: u64::from(entries), ..Self::default() };
        let mut done: u64 = 0;
        scheduler.queue = (0..entries)
            .zip(&weights)
            .map(|(entry, &weight)| {
                let mut taken = truncated(weight * f64::from(picks) / sum);
                if taken > 0 && f64::from(taken) / weight >= share {
                    taken -= 1;
                }
                done += u64::from(taken);
                let last = f64::from(taken) / weight;
                scheduler.current_time = scheduler.current_time.max(last);
                let deadline = (f64::from(taken) + 1.0) / weight;
                Entry { deadline: orderly(deadline), order_offset: entry.into(), entry }
            })
            .collect();
        // At most a few an entry: each share was truncated and then lowered by at most one.
        let left = u64::from(picks).saturating_sub(done).min(3 * u64::from(entries));
        for _ in 0..left {
            scheduler.pick(&mut weight);
        }
        scheduler
    }

    /// Adds `entry`, due `1 / weight` from now.
    pub fn add(&mut self, entry: u32, weight: f64) {
        let deadline = orderly(self.current_time + 1.0 / weight);
        self.queue.push(Entry { deadline, order_offset: self.order_offset, entry });
        self.order_offset += 1;
    }

    /// Returns the entry that is due first and puts it back with the weight it has now; none if
    /// there are no entries. Does not allocate.
    pub fn pick(&mut self, weight: impl FnOnce(u32) -> f64) -> Option<u32> {
        let mut top = self.queue.peek_mut()?;
        let entry = top.entry;
        self.current_time = top.deadline;
        let deadline = orderly(self.current_time + 1.0 / weight(entry));
        *top = Entry { deadline, order_offset: self.order_offset, entry };
        self.order_offset += 1;
        drop::<PeekMut<'_, _>>(top);
        Some(entry)
    }

    /// Returns the number of entries.
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// Returns whether there are no entries.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }
}

/// Returns the deadline, or the end of time for what a weight that is not positive makes of it.
fn orderly(deadline: f64) -> f64 {
    if deadline >= 0.0 { deadline } else { f64::INFINITY }
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
        let mut edf = Edf::with_picks(u32::try_from(weights.len()).unwrap(), seed, weight);
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
    fn a_change_of_weight_acts_one_pick_late() {
        let mut edf = Edf::with_picks(2, 0, |_| 1.0);
        let heavy = |entry: u32| if entry == 0 { 4.0 } else { 1.0 };
        let picks: Vec<u32> = (0..6).filter_map(|_| edf.pick(heavy)).collect();
        assert_eq!(picks, [0, 1, 0, 0, 0, 1]);
    }

    #[test]
    fn equal_weights_are_scheduled_only_during_slow_start() {
        assert!(!is_scheduled(&[3, 3], InSlowStart::No));
        assert!(is_scheduled(&[3, 3], InSlowStart::Yes));
        assert!(is_scheduled(&[3, 3, 4], InSlowStart::No));
        assert!(!is_scheduled(&[3], InSlowStart::Yes));
    }
}
