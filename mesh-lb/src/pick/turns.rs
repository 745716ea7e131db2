//! Weighted turns among weights that do not change: the picks of [`Edf`], sooner.
//!
//! Entries of one weight take turns among themselves, whatever the others do: each is put back later
//! than all of them. So a queue for each weight is enough, and only the heads of the queues meet.
//!
//! ```text
//! weight 1:  4 7 9 …  ┐
//! weight 2:  0 5 …    ├─▶ the head that is due first
//! weight 5:  1 2 3 …  ┘
//! ```
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use super::edf::{Edf, InitialPicks, orderly};

/// As many different weights as are looked at one by one; a tree is faster beyond.
const MOST_WEIGHTS: usize = 12;

/// A scheduler over entries `0..n` whose weights stay, shared between threads: a pick takes no lock.
///
/// Picks are those of an [`Edf`] with the same weights and seed, one for one, as long as one thread
/// picks; see there for several.
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
    Queues(Queues),
    Tree(Box<Tree>),
}

#[derive(Debug)]
struct Tree {
    edf: Edf,
    weights: Box<[f64]>,
}

impl Turns {
    /// Creates a scheduler in the state after as many picks as the seed says, as
    /// [`Edf::with_picks`] does.
    pub fn with_picks(weights: &[f64], seed: u64) -> Self {
        let kind = match Queues::new(weights, seed) {
            Some(queues) => Kind::Queues(queues),
            None => {
                let entries = u32::try_from(weights.len()).unwrap_or(u32::MAX);
                let edf = Edf::with_picks(entries, seed, |entry| weight_at(weights, entry));
                Kind::Tree(Box::new(Tree { edf, weights: weights.into() }))
            }
        };
        Self { kind }
    }

    /// Returns the entry that is due first and puts it back; none if there are no entries. Does not
    /// allocate.
    #[inline]
    pub fn pick(&self) -> Option<u32> {
        match &self.kind {
            Kind::Queues(queues) => queues.pick(),
            Kind::Tree(tree) => tree.edf.pick(|entry| weight_at(&tree.weights, entry)),
        }
    }
}

fn weight_at(weights: &[f64], entry: u32) -> f64 {
    let entry = usize::try_from(entry).ok().and_then(|entry| weights.get(entry));
    entry.copied().unwrap_or(0.0)
}

#[derive(Debug)]
struct Queues {
    queues: Box<[Queue]>,
    // The number of times that a deadline was set.
    order_offset: AtomicU64,
}

/// The entries of one weight, each for ever in the place that it has.
#[derive(Debug)]
struct Queue {
    /// The time between two turns of an entry: 1 divided by the weight.
    period: f64,
    // INVARIANT: below the number of places, of which there is at least one.
    head: AtomicUsize,
    places: Box<[Place]>,
}

#[derive(Debug)]
struct Place {
    entry: u32,
    // INVARIANT: the bits of a double that is not negative: they are ordered as it is.
    deadline: AtomicU64,
    order_offset: AtomicU64,
}

/// The head of a queue as it was looked at.
#[derive(Clone, Copy)]
struct Head<'q> {
    queue: &'q Queue,
    place: &'q Place,
    at: usize,
    deadline: u64,
    order_offset: u64,
}

impl Queues {
    /// `None` if there are too many different weights.
    fn new(weights: &[f64], seed: u64) -> Option<Self> {
        let initial = InitialPicks::new(weights, seed);
        let mut queues: Vec<(u64, Queue)> = Vec::new();
        let mut places: Vec<Vec<Place>> = Vec::new();
        let deadlines = initial.deadlines.iter().zip(weights);
        for (number, (&deadline, &weight)) in (0_u32..).zip(deadlines) {
            let bits = weight.to_bits();
            let known = queues.iter().position(|(of, _)| *of == bits);
            let at = match known {
                Some(at) => at,
                None if queues.len() == MOST_WEIGHTS => return None,
                None => {
                    let (head, none) = (AtomicUsize::new(0), Box::default());
                    queues.push((bits, Queue { period: 1.0 / weight, head, places: none }));
                    places.push(Vec::new());
                    queues.len() - 1
                }
            };
            let place = Place {
                entry: number,
                deadline: AtomicU64::new(orderly(deadline).to_bits()),
                order_offset: AtomicU64::new(number.into()),
            };
            places.get_mut(at)?.push(place);
        }
        let filled = queues.into_iter().zip(places);
        let queues = filled.map(|((_, queue), places)| Queue { places: places.into(), ..queue });
        let entries = u64::try_from(weights.len()).unwrap_or(u64::MAX);
        let scheduler = Self { queues: queues.collect(), order_offset: AtomicU64::new(entries) };
        for _ in 0..initial.left {
            scheduler.pick();
        }
        Some(scheduler)
    }

    #[inline]
    fn pick(&self) -> Option<u32> {
        loop {
            let mut heads = self.queues.iter().filter_map(Queue::head);
            let mut due = heads.next()?;
            for head in heads {
                let is_sooner = head.deadline < due.deadline
                    || (head.deadline == due.deadline && head.order_offset < due.order_offset);
                if is_sooner {
                    due = head;
                }
            }
            let next = orderly(f64::from_bits(due.deadline) + due.queue.period).to_bits();
            let claimed = due.place.deadline.compare_exchange(
                due.deadline,
                next,
                Ordering::Relaxed,
                Ordering::Relaxed,
            );
            if claimed.is_err() {
                continue; // Another thread has picked it.
            }
            // Two threads may set the same number: deadlines that are equal besides are rare.
            let order_offset = self.order_offset.load(Ordering::Relaxed);
            self.order_offset.store(order_offset + 1, Ordering::Relaxed);
            due.place.order_offset.store(order_offset, Ordering::Relaxed);
            due.queue.advance(due.at);
            return Some(due.place.entry);
        }
    }
}

impl Queue {
    #[inline]
    fn head(&self) -> Option<Head<'_>> {
        let at = self.head.load(Ordering::Relaxed);
        let place = self.places.get(at)?;
        Some(Head {
            queue: self,
            place,
            at,
            deadline: place.deadline.load(Ordering::Relaxed),
            order_offset: place.order_offset.load(Ordering::Relaxed),
        })
    }

    /// Moves on from a place, unless another thread has done so.
    #[inline]
    fn advance(&self, from: usize) {
        let next = if from + 1 == self.places.len() { 0 } else { from + 1 };
        let _other = self.head.compare_exchange(from, next, Ordering::Relaxed, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(weights: &[f64], seed: u64, picks: usize) {
        let entries = u32::try_from(weights.len()).unwrap();
        let edf = Edf::with_picks(entries, seed, |entry| weight_at(weights, entry));
        let turns = Turns::with_picks(weights, seed);
        for pick in 0..picks {
            let expected = edf.pick(|entry| weight_at(weights, entry));
            assert_eq!(turns.pick(), expected, "{weights:?} {seed} {pick}");
        }
    }

    #[test]
    fn queues_pick_as_a_tree_does() {
        for seed in [0, 1, 17, 123_456_789, u64::MAX] {
            check(&[1.0, 2.0, 1.0, 5.0, 2.0, 0.3, 5.0, 1.0], seed, 200);
            check(&[3.0], seed, 5);
            check(&[1.0; 40], seed, 100);
            check(&[1.0, f64::from(u32::MAX)], seed, 100);
        }
        check(&[], 7, 3);
    }

    #[test]
    fn many_weights_take_turns_too() {
        let weights: Vec<f64> = (1..100_u32).map(f64::from).collect();
        check(&weights, 5, 500);
    }

    #[test]
    fn odd_weights_come_last_and_all_are_picked_from() {
        check(&[1.0, -1.0, 1.0, f64::NAN], 0, 20);
        let odd = Turns::with_picks(&[0.0, f64::NAN], 3);
        assert!((0..10).all(|_| odd.pick().is_some()));
    }

    #[test]
    fn threads_share_turns_by_weight() {
        let weights: Vec<f64> = (0..100_u32).map(|entry| f64::from(entry % 5 + 1)).collect();
        let turns = Turns::with_picks(&weights, 7);
        let picks = |_| {
            let mut counts = vec![0_u32; 100];
            (0..30_000).filter_map(|_| turns.pick()).for_each(|e| counts[e as usize] += 1);
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
}
