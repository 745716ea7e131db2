//! Planning turns of few entries: they stand in the order in which they are due, and who had a turn goes
//! back behind all that are due before it or at the same time.
//!
//! Turns by weights come round in patterns that a processor foresees, so that a plan does not wait for
//! one comparison after the other.
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::pick::edf::{InitialPicks, orderly};

/// As many entries as stand in one row; queues are faster beyond.
const MOST_ENTRIES: usize = 8;

/// The row. One thread plans at a time; atomics only carry the state from one to the next.
#[derive(Debug)]
pub(super) struct Few {
    // INVARIANT: at most `MOST_ENTRIES`, each entry once, by the deadline, then in the order in which
    // deadlines were set.
    row: Box<[Standing]>,
    /// The time between two turns of each entry: 1 divided by its weight.
    // INVARIANT: none is negative or NaN, so that no sum with a deadline is.
    periods: [f64; MOST_ENTRIES],
}

/// An entry in the row.
#[derive(Debug)]
struct Standing {
    entry: AtomicU32,
    // The bits of a double that is not negative.
    deadline: AtomicU64,
}

/// The same while a block is planned.
#[derive(Clone, Copy, Debug, Default)]
struct Due {
    entry: u32,
    deadline: f64,
}

impl Few {
    /// `None` if there are too many entries.
    pub(super) fn new(weights: &[f64], seed: u64) -> Option<Self> {
        if weights.len() > MOST_ENTRIES {
            return None;
        }
        let initial = InitialPicks::new(weights, seed);
        let deadlines = initial.deadlines.into_iter().map(orderly);
        let mut row: Vec<(u32, f64)> = (0..).zip(deadlines).collect();
        row.sort_by(|a, b| a.1.total_cmp(&b.1));
        let standing = |(entry, deadline): (u32, f64)| Standing {
            entry: AtomicU32::new(entry),
            deadline: AtomicU64::new(deadline.to_bits()),
        };
        let mut periods = [f64::INFINITY; MOST_ENTRIES];
        for (period, weight) in periods.iter_mut().zip(weights) {
            *period = orderly(1.0 / weight);
        }
        let few = Self { row: row.into_iter().map(standing).collect(), periods };
        let discarded = AtomicU32::new(0);
        few.plan((0..initial.left).map(|_| &discarded));
        Some(few)
    }

    /// Fills a block with the entries that come next.
    pub(super) fn plan<'t>(&self, block: impl Iterator<Item = &'t AtomicU32>) {
        let mut row = [Due::default(); MOST_ENTRIES];
        for (due, standing) in row.iter_mut().zip(&self.row) {
            *due = standing.due();
        }
        let row = row.get_mut(..self.row.len()).unwrap_or_default();
        for turn in block {
            let Some((first, others)) = row.split_first_mut() else { return };
            turn.store(first.entry, Ordering::Relaxed);
            let due = Due { deadline: first.deadline + self.period(first.entry), ..*first };
            let mut gap = first;
            for other in others {
                if due.deadline < other.deadline {
                    break;
                }
                *gap = *other;
                gap = other;
            }
            *gap = due;
        }
        for (standing, due) in self.row.iter().zip(row) {
            standing.entry.store(due.entry, Ordering::Relaxed);
            standing.deadline.store(due.deadline.to_bits(), Ordering::Relaxed);
        }
    }

    #[inline]
    fn period(&self, entry: u32) -> f64 {
        let entry = usize::try_from(entry).unwrap_or(0) % MOST_ENTRIES;
        self.periods.get(entry).copied().unwrap_or(f64::INFINITY)
    }
}

impl Standing {
    fn due(&self) -> Due {
        Due {
            entry: self.entry.load(Ordering::Relaxed),
            deadline: f64::from_bits(self.deadline.load(Ordering::Relaxed)),
        }
    }
}
