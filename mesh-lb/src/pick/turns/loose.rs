//! Turns that need not be taken exactly once each: those that come next stand in one word, the first in
//! its lowest bits.
//!
//! ```text
//! 1 01 00 10 00   two bits a turn: 0, 2, 0, 1, and then the 1 above them says that no more are planned
//! ```
//!
//! A pick reads the word and writes back the rest. Threads that pick at the same moment may take the same
//! turns, which changes no share.
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::{Planner, Spread, name_at};

/// A scheduler over entries whose weights stay, shared between threads without lock. One after another
/// its picks are those of [`Turns`](super::Turns), by the entries' own names.
#[derive(Debug)]
pub(crate) struct LooseTurns {
    // INVARIANT: never 0; the turns, and a 1 above the last.
    word: AtomicU64,
    /// The bits of a turn.
    // INVARIANT: from 1 to 32, and all names fit.
    width: u32,
    plans: Box<Plans>,
}

#[derive(Debug)]
struct Plans {
    planner: Planner,
    width: u32,
    names: Box<[u32]>,
    /// Whether a thread is planning. Who finds it set goes on without a plan.
    is_planning: AtomicBool,
    spread: Spread,
    /// Turns that were taken without a plan.
    unplanned: AtomicU64,
}

/// A word without turns.
const NONE: u64 = 1;

impl LooseTurns {
    /// Creates a scheduler over entries with these names and weights in the state after as many picks as
    /// the seed says; `None` without entries.
    pub(crate) fn new(entries: &[(u32, f64)], seed: u64) -> Option<Self> {
        let (names, weights): (Vec<u32>, Vec<f64>) = entries.iter().copied().unzip();
        let most = names.iter().max()?;
        let plans = Plans {
            planner: Planner::new(&names, &weights, seed),
            is_planning: AtomicBool::new(false),
            spread: Spread::new(&weights),
            unplanned: AtomicU64::new(0),
            width: most.checked_ilog2().unwrap_or(0) + 1,
            names: names.into(),
        };
        Some(Self { word: AtomicU64::new(NONE), width: plans.width, plans: Box::new(plans) })
    }

    /// Returns the name of the entry that is due first and puts it back. Does not allocate.
    #[inline]
    pub(crate) fn pick(&self) -> u32 {
        let word = self.word.load(Ordering::Relaxed);
        if word == NONE { self.plan() } else { self.take(word) }
    }

    #[inline]
    fn take(&self, word: u64) -> u32 {
        let rest = word.wrapping_shr(self.width);
        self.word.store(rest, Ordering::Relaxed);
        let turn = word ^ rest.wrapping_shl(self.width);
        u32::try_from(turn & u64::from(u32::MAX)).unwrap_or(0)
    }

    #[cold]
    #[inline(never)]
    fn plan(&self) -> u32 {
        let plans = &*self.plans;
        if plans.is_planning.swap(true, Ordering::Acquire) {
            return plans.unplanned();
        }
        let word = match self.word.load(Ordering::Relaxed) {
            NONE => plans.word(),
            planned => planned, // By another thread, a moment ago.
        };
        let turn = self.take(word);
        plans.is_planning.store(false, Ordering::Release);
        turn
    }
}

impl Plans {
    fn word(&self) -> u64 {
        let (mut word, mut bits) = (0, 0);
        self.planner.plan(63 / self.width, |entry| {
            word |= u64::from(entry).wrapping_shl(bits);
            bits = bits.wrapping_add(self.width);
        });
        word | NONE.wrapping_shl(bits)
    }

    #[cold]
    fn unplanned(&self) -> u32 {
        let ticket = self.unplanned.fetch_add(1, Ordering::Relaxed);
        name_at(&self.names, self.spread.entry(ticket))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;

    use super::*;

    fn check(entries: &[(u32, f64)], expected: &[u32]) {
        let turns = LooseTurns::new(entries, 0).unwrap();
        assert_eq!(expected.iter().map(|_| turns.pick()).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn entries_are_called_by_their_names() {
        check(&[(3, 1.0), (5, 2.0)], &[5, 3, 5, 5, 3, 5]);
        check(&[(0, 1.0), (u32::MAX, 2.0)], &[u32::MAX, 0, u32::MAX, u32::MAX]);
        check(&[(0, 1.0), (1, 1.0)], &[0, 1].repeat(70));
        check(&[(7, 3.0)], &[7, 7]);
        assert!(LooseTurns::new(&[], 0).is_none());
    }

    #[test]
    fn threads_share_turns_by_weight() {
        let turns = LooseTurns::new(&[(0, 60.0), (1, 30.0), (2, 10.0)], 7).unwrap();
        let counts = [const { AtomicU32::new(0) }; 3];
        let picks = || {
            for _ in 0..30_000 {
                counts[turns.pick() as usize].fetch_add(1, Ordering::Relaxed);
            }
        };
        std::thread::scope(|scope| [0, 1].map(|_| drop(scope.spawn(picks))));
        for (count, expected) in counts.iter().zip([36_000_u32, 18_000, 6_000]) {
            let count = count.load(Ordering::Relaxed);
            assert!(count.abs_diff(expected) <= expected / 10, "{counts:?}");
        }
    }

    #[test]
    fn who_finds_another_one_planning_goes_on_by_the_same_weights() {
        let turns = LooseTurns::new(&[(1, 3.0), (2, 1.0)], 7).unwrap();
        turns.plans.is_planning.store(true, Ordering::Relaxed);
        let ones = (0..1000).filter(|_| turns.pick() == 1).count();
        assert!((745..=755).contains(&ones), "{ones}");
    }
}
