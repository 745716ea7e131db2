//! Weighted turns among weights that do not change: the picks of [`Edf`](super::edf::Edf), sooner.
//!
//! Weights that stay leave nothing to decide at a pick: turns are planned ahead, a block at a time,
//! and a pick takes the next ticket. Entries of one weight take turns among themselves, whatever the
//! others do, since each is put back later than all of them; so planning looks at a queue for each
//! weight, and only the heads of the queues meet.
//!
//! ```text
//! weight 1:  4 7 9 …  ┐
//! weight 2:  0 5 …    ├─▶ the head that is due first ─▶ 1 0 2 1 4 … (planned)
//! weight 5:  1 2 3 …  ┘                                   ▲ ticket
//! ```
mod few;
mod loose;
mod plan;
mod tournament;

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use self::few::Few;
pub(crate) use self::loose::LooseTurns;
use self::plan::Queues;
use crate::number::double;

/// A scheduler over entries `0..n` whose weights stay, shared between threads: a pick takes no lock
/// and never waits.
///
/// Picks are those of an [`Edf`](super::edf::Edf) with the same weights and seed, one for one.
/// Several threads share them out among themselves. A thread that comes while another one still
/// plans, because it was interrupted, takes a turn of a sequence that has the same shares and needs
/// no plan.
///
/// # Examples
///
/// ```
/// use mesh_lb::pick::turns::Turns;
///
/// let turns = Turns::with_picks(&[1.0, 2.0], 0);
/// let picks: Vec<u32> = (0..6).filter_map(|_| turns.pick()).collect();
/// assert_eq!(picks, [1, 0, 1, 1, 0, 1]);
/// ```
#[derive(Debug)]
pub struct Turns {
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Nobody,
    Alone,
    Several(Box<Planned>),
}

impl Turns {
    /// Creates a scheduler in the state after as many picks as the seed says, as
    /// [`Edf::with_picks`](super::edf::Edf::with_picks) does.
    pub fn with_picks(weights: &[f64], seed: u64) -> Self {
        let kind = match weights {
            [] => Kind::Nobody,
            [_] => Kind::Alone,
            _ => Kind::Several(Box::new(Planned::new(weights, seed))),
        };
        Self { kind }
    }

    /// Returns the entry that is due first and puts it back; none if there are no entries. Does not
    /// allocate.
    #[inline]
    pub fn pick(&self) -> Option<u32> {
        match &self.kind {
            Kind::Nobody => None,
            Kind::Alone => Some(0),
            Kind::Several(planned) => Some(planned.pick()),
        }
    }
}

/// As many turns as are planned at once; a power of two.
const BLOCK: u64 = 64;
const BLOCK_LEN: u32 = 64;
/// Two blocks.
const RING: usize = 128;

#[derive(Debug)]
struct Planned {
    tickets: Tickets,
    // INVARIANT: a multiple of `BLOCK`; the turns before it, as far back as the ring goes, stand in
    // the ring, that of ticket `t` in place `t % RING`.
    until: AtomicU64,
    /// Whether a thread is planning. Who finds it set goes on without a plan.
    is_planning: AtomicBool,
    ring: [AtomicU32; RING],
    planner: Planner,
    spread: Spread,
}

/// The next ticket, on cache lines of its own: it is what changes at each pick.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Tickets {
    next: AtomicU64,
}

#[derive(Debug)]
enum Planner {
    /// For few entries.
    Row(Few),
    Queues(Queues),
}

impl Planned {
    fn new(weights: &[f64], seed: u64) -> Self {
        let names: Vec<u32> = (0..).take(weights.len()).collect();
        Self {
            tickets: Tickets::default(),
            until: AtomicU64::new(0),
            is_planning: AtomicBool::new(false),
            ring: [const { AtomicU32::new(0) }; RING],
            planner: Planner::new(&names, weights, seed),
            spread: Spread::new(weights),
        }
    }

    #[inline]
    fn pick(&self) -> u32 {
        let ticket = self.tickets.next.fetch_add(1, Ordering::Relaxed);
        if self.is_planned_for(ticket) { self.turn(ticket) } else { self.plan_for(ticket) }
    }

    /// Whether the turn of this ticket and the block after it are planned, and it is in the ring.
    #[inline]
    fn is_planned_for(&self, ticket: u64) -> bool {
        let ahead = self.until.load(Ordering::Acquire).wrapping_sub(ticket);
        ahead.wrapping_sub(BLOCK + 1) < BLOCK
    }

    #[inline]
    fn turn(&self, ticket: u64) -> u32 {
        let place = usize::try_from(ticket % (2 * BLOCK)).unwrap_or(0);
        self.ring.get(place).map_or(0, |turn| turn.load(Ordering::Relaxed))
    }

    #[cold]
    #[inline(never)]
    fn plan_for(&self, ticket: u64) -> u32 {
        self.plan(ticket);
        let ahead = self.until.load(Ordering::Acquire).wrapping_sub(ticket);
        let is_in_ring = ahead.wrapping_sub(1) < 2 * BLOCK;
        if is_in_ring { self.turn(ticket) } else { self.spread.entry(ticket) }
    }

    fn plan(&self, ticket: u64) {
        if self.is_planning.swap(true, Ordering::Acquire) {
            return;
        }
        let mut until = self.until.load(Ordering::Relaxed);
        if until.saturating_add(2 * BLOCK) <= ticket {
            // Others have gone on without a plan while a thread that planned was interrupted.
            until = ticket - ticket % BLOCK;
        }
        while until <= ticket.saturating_add(BLOCK) {
            let half = usize::try_from(until % (2 * BLOCK)).unwrap_or(0);
            let mut block = self.ring.iter().skip(half).take(RING / 2);
            self.planner.plan(BLOCK_LEN, |entry| {
                if let Some(turn) = block.next() {
                    turn.store(entry, Ordering::Relaxed);
                }
            });
            until += BLOCK;
            self.until.store(until, Ordering::Release);
        }
        self.is_planning.store(false, Ordering::Release);
    }
}

/// Entries by weight for any ticket at once: tickets go round a circle by the golden section, which
/// fills it evenly, and each entry has its arc.
#[derive(Debug)]
struct Spread {
    /// Where each arc ends.
    ends: Box<[f64]>,
}

impl Spread {
    fn new(weights: &[f64]) -> Self {
        let mut sum = 0.0;
        let ends = weights.iter().map(|weight| {
            sum += if weight.is_finite() { weight.max(0.0) } else { 0.0 };
            sum
        });
        Self { ends: ends.collect() }
    }

    fn entry(&self, ticket: u64) -> u32 {
        let turned = ticket.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        let at = double(turned) / double(1 << 32) * self.ends.last().copied().unwrap_or(0.0);
        let entry = self.ends.partition_point(|end| *end <= at);
        u32::try_from(entry.min(self.ends.len().saturating_sub(1))).unwrap_or(0)
    }
}

impl Planner {
    fn new(names: &[u32], weights: &[f64], seed: u64) -> Self {
        let row = Few::new(names, weights, seed).map(Self::Row);
        row.unwrap_or_else(|| Self::Queues(Queues::new(names, weights, seed)))
    }

    /// Tells the entries of so many turns.
    fn plan(&self, turns: u32, turn: impl FnMut(u32)) {
        match self {
            Self::Row(few) => few.plan(turns, turn),
            Self::Queues(queues) => queues.plan(turns, turn),
        }
    }
}

fn name_at(names: &[u32], entry: u32) -> u32 {
    let entry = usize::try_from(entry).ok().and_then(|entry| names.get(entry));
    entry.copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pick::edf::Edf;

    fn weight_at(weights: &[f64], entry: u32) -> f64 {
        weights.get(entry as usize).copied().unwrap_or(0.0)
    }

    fn check(weights: &[f64], seed: u64, picks: usize) {
        let entries = u32::try_from(weights.len()).unwrap();
        let edf = Edf::with_picks(entries, seed, |entry| weight_at(weights, entry));
        let turns = Turns::with_picks(weights, seed);
        let named: Vec<(u32, f64)> = (0..).zip(weights.iter().copied()).collect();
        let loose = LooseTurns::new(&named, seed);
        for pick in 0..picks {
            let expected = edf.pick(|entry| weight_at(weights, entry));
            assert_eq!(turns.pick(), expected, "{weights:?} {seed} {pick}");
            assert_eq!(loose.as_ref().map(LooseTurns::pick), expected, "{weights:?} {seed} {pick}");
        }
    }

    #[test]
    fn planned_turns_are_those_of_a_tree() {
        for seed in [0, 1, 17, 123_456_789, u64::MAX] {
            check(&[1.0, 2.0, 1.0, 5.0, 2.0, 0.3, 5.0, 1.0], seed, 1000);
            check(&[1.0, 2.0, 1.0, 5.0, 2.0, 0.3, 5.0, 1.0, 2.0], seed, 1000);
            check(&[60.0, 30.0, 10.0], seed, 10_000);
            check(&[1.0, 0.1, 3.0, 0.7], seed, 10_000);
            check(&[3.0], seed, 5);
            check(&[1.0; 40], seed, 300);
            check(&[1.0, f64::from(u32::MAX)], seed, 300);
        }
        check(&[], 7, 3);
    }

    #[test]
    fn many_weights_take_turns_too() {
        for weights in [17_u32, 32, 33, 99, 700] {
            let weights: Vec<f64> = (1..=weights).map(|n| f64::from(n * 7919 % 1000 + 1)).collect();
            check(&weights, 5, 1500);
        }
    }

    #[test]
    fn odd_weights_come_last_and_all_are_picked_from() {
        check(&[1.0, -1.0, 1.0, f64::NAN], 0, 20);
        check(&[1.0, 0.0, f64::INFINITY, f64::MAX, f64::MIN_POSITIVE], 3, 300);
        let odd = Turns::with_picks(&[0.0, f64::NAN], 3);
        assert!((0..10).all(|_| odd.pick().is_some()));
    }

    /// Picks of each of 100 entries, weighing 1 to 5, by two threads at once.
    fn counts(pick: impl Fn(&Turns) -> Option<u32> + Sync) -> Vec<u32> {
        let weights: Vec<f64> = (0..100_u32).map(|entry| f64::from(entry % 5 + 1)).collect();
        let turns = Turns::with_picks(&weights, 7);
        let counts = [const { AtomicU32::new(0) }; 100];
        let picks = || {
            for entry in (0..30_000).filter_map(|_| pick(&turns)) {
                counts[entry as usize].fetch_add(1, Ordering::Relaxed);
            }
        };
        std::thread::scope(|scope| [0, 1].map(|_| drop(scope.spawn(picks))));
        counts.iter().map(|count| count.load(Ordering::Relaxed)).collect()
    }

    #[test]
    fn threads_share_turns_by_weight() {
        let counts = counts(Turns::pick);
        assert_eq!(counts.iter().sum::<u32>(), 60_000);
        for (entry, count) in (0..).zip(counts) {
            let expected: u32 = 200 * (entry % 5 + 1);
            assert!(count.abs_diff(expected) <= expected / 10 + 20, "{entry}: {count}");
        }
    }

    #[test]
    fn who_finds_another_one_planning_goes_on_by_the_same_weights() {
        let weights: Vec<f64> = (0..10_u32).map(|entry| f64::from(entry % 5)).collect();
        let turns = Turns::with_picks(&weights, 0);
        let Kind::Several(planned) = &turns.kind else { panic!("several") };
        planned.is_planning.store(true, Ordering::Relaxed);
        let mut counts = [0_u32; 10];
        (0..2000).filter_map(|_| turns.pick()).for_each(|e| counts[e as usize] += 1);
        for (count, entry) in counts.into_iter().zip(0_u32..) {
            assert!(count.abs_diff(entry % 5 * 100) <= 3, "{counts:?}");
        }
        assert_eq!(Spread::new(&[0.0, f64::NAN]).entry(7), 1);
    }
}
