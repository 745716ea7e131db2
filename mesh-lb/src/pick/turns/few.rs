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
}

/// An entry in the row.
#[derive(Debug)]
struct Standing {
    entry: AtomicU32,
    // The bits of doubles that are not negative.
    deadline: AtomicU64,
    period: AtomicU64,
}

/// The same while turns are planned.
#[derive(Clone, Copy, Debug)]
struct Due {
    entry: u32,
    // INVARIANT: neither this nor the period is negative or NaN, so that no sum of them is.
    deadline: f64,
    /// The time between two turns: 1 divided by the weight.
    period: f64,
}

impl Few {
    /// Entries have names; `None` if there are too many.
    pub(super) fn new(names: &[u32], weights: &[f64], seed: u64) -> Option<Self> {
        if weights.len() > MOST_ENTRIES {
            return None;
        }
        let initial = InitialPicks::new(weights, seed);
        let entries = names.iter().zip(weights).zip(initial.deadlines);
        let entries = entries.map(|((entry, weight), deadline)| Due {
            entry: *entry,
            deadline: orderly(deadline),
            period: orderly(1.0 / weight),
        });
        let mut row: Vec<Due> = entries.collect();
        row.sort_by(|a, b| a.deadline.total_cmp(&b.deadline));
        let few = Self { row: row.into_iter().map(Standing::new).collect() };
        few.plan(u32::try_from(initial.left).unwrap_or(u32::MAX), |_| {});
        Some(few)
    }

    /// Tells the entries of so many turns.
    #[inline]
    pub(super) fn plan(&self, turns: u32, turn: impl FnMut(u32)) {
        // Rows of a known length stay in registers.
        match self.row.len() {
            2 => self.plan_row::<2>(turns, turn),
            3 => self.plan_row::<3>(turns, turn),
            4 => self.plan_row::<4>(turns, turn),
            _ => self.plan_row::<MOST_ENTRIES>(turns, turn),
        }
    }

    /// `N` is the length of the row; of `MOST_ENTRIES` the row may be a part.
    fn plan_row<const N: usize>(&self, turns: u32, mut turn: impl FnMut(u32)) {
        let mut row = [Due { entry: 0, deadline: f64::INFINITY, period: f64::INFINITY }; N];
        for (due, standing) in row.iter_mut().zip(&self.row) {
            *due = standing.due();
        }
        let length = if N == MOST_ENTRIES { self.row.len() } else { N };
        for _ in 0..turns {
            let Some(first) = row.first_mut() else { return };
            turn(first.entry);
            first.deadline += first.period;
            let due = *first;
            for at in 1..N {
                match row.get(at) {
                    Some(other) if at < length && other.deadline <= due.deadline => {
                        row.swap(at - 1, at);
                    }
                    Some(_) | None => break,
                }
            }
        }
        for (standing, due) in self.row.iter().zip(row) {
            standing.put(due);
        }
    }
}

impl Standing {
    const fn new(due: Due) -> Self {
        Self {
            entry: AtomicU32::new(due.entry),
            deadline: AtomicU64::new(due.deadline.to_bits()),
            period: AtomicU64::new(due.period.to_bits()),
        }
    }

    fn due(&self) -> Due {
        Due {
            entry: self.entry.load(Ordering::Relaxed),
            deadline: f64::from_bits(self.deadline.load(Ordering::Relaxed)),
            period: f64::from_bits(self.period.load(Ordering::Relaxed)),
        }
    }

    fn put(&self, due: Due) {
        self.entry.store(due.entry, Ordering::Relaxed);
        self.deadline.store(due.deadline.to_bits(), Ordering::Relaxed);
        self.period.store(due.period.to_bits(), Ordering::Relaxed);
    }
}
