//! Who is due first of many: each match keeps its loser, so that a winner that comes back only meets those
//! whom it once beat.
//!
//! ```text
//!       0        the winner of all          a place for each match: the loser, and when it is due
//!       1
//!     2   3
//!    0 1 2 3     contestants
//! ```
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::pick::edf::{Due, NEVER, due};

/// One thread plays at a time; atomics only carry the state from one to the next.
#[derive(Debug)]
pub(super) struct Tournament {
    /// Place 0 is that of the winner; the match in place `i` is between those of `2i` and `2i + 1`.
    // INVARIANT: a power of two, at least the number of contestants.
    matches: Box<[Standing]>,
}

#[derive(Debug)]
struct Standing {
    contestant: AtomicUsize,
    deadline: AtomicU64,
    order_offset: AtomicU64,
}

impl Standing {
    const fn new() -> Self {
        Self {
            contestant: AtomicUsize::new(0),
            deadline: AtomicU64::new(u64::MAX),
            order_offset: AtomicU64::new(u64::MAX),
        }
    }

    #[inline]
    fn load(&self) -> (usize, Due) {
        let deadline = self.deadline.load(Ordering::Relaxed);
        let due = due(deadline, self.order_offset.load(Ordering::Relaxed));
        (self.contestant.load(Ordering::Relaxed), due)
    }

    #[inline]
    fn store(&self, (contestant, due): (usize, Due)) {
        self.contestant.store(contestant, Ordering::Relaxed);
        self.deadline.store(u64::try_from(due >> 64).unwrap_or(0), Ordering::Relaxed);
        let order_offset = u64::try_from(due & Due::from(u64::MAX)).unwrap_or(0);
        self.order_offset.store(order_offset, Ordering::Relaxed);
    }
}

impl Tournament {
    /// Plays all matches between contestants who are due at these times.
    pub(super) fn new(dues: &[Due]) -> Self {
        let leaves = dues.len().next_power_of_two();
        let mut matches: Vec<Standing> = Vec::new();
        matches.resize_with(leaves, Standing::new);
        let tournament = Self { matches: matches.into() };
        let absent = std::iter::repeat((0, NEVER));
        let mut round: Vec<(usize, Due)> =
            dues.iter().copied().enumerate().chain(absent).take(leaves).collect();
        while round.len() > 1 {
            let first = round.len() / 2;
            let pairs = round.chunks_exact(2).zip(tournament.matches.iter().skip(first));
            let winner = |(pair, standing): (&[(usize, Due)], &Standing)| match pair {
                [a, b] if b.1 < a.1 => {
                    standing.store(*a);
                    Some(*b)
                }
                [a, b] => {
                    standing.store(*b);
                    Some(*a)
                }
                _ => None,
            };
            round = pairs.filter_map(winner).collect();
        }
        if let (Some(winner), Some(standing)) = (round.first(), tournament.matches.first()) {
            standing.store(*winner);
        }
        tournament
    }

    /// Returns the contestant who is due first, and when.
    #[inline]
    pub(super) fn winner(&self) -> (usize, Due) {
        self.matches.first().map_or((0, NEVER), Standing::load)
    }

    /// Lets the winner, who is due again, play its matches anew.
    #[inline]
    pub(super) fn replay(&self, winner: usize, due: Due) {
        let mut best = (winner, due);
        let mut place = self.matches.len().wrapping_add(winner) / 2;
        while let Some(standing) = self.matches.get(place).filter(|_| place > 0) {
            let other = standing.load();
            let is_beaten = other.1 < best.1;
            standing.store(if is_beaten { best } else { other });
            best = if is_beaten { other } else { best };
            place /= 2;
        }
        if let Some(standing) = self.matches.first() {
            standing.store(best);
        }
    }
}
