//! Planning turns: which entry is due first, and next, and next.
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::pick::edf::{Due, InitialPicks, NEVER, due, orderly};

/// As many different weights as are looked at one by one; a tree is faster beyond.
const MOST_WEIGHTS: usize = 32;

/// A queue for each weight. One thread plans at a time; atomics only carry the state from one to
/// the next.
#[derive(Debug)]
pub(super) struct Queues {
    // INVARIANT: at most `MOST_WEIGHTS`.
    queues: Box<[Queue]>,
    places: Box<[Place]>,
    // The number of times that a deadline was set; a `u64` does not wrap in practice.
    order_offset: AtomicU64,
}

/// The entries of one weight, each for ever in the place that it has.
#[derive(Debug)]
struct Queue {
    /// The time between two turns of an entry: 1 divided by the weight.
    period: f64,
    // INVARIANT: `first..end` are places, at least one.
    first: usize,
    end: usize,
    /// The place of the entry that is next.
    at: AtomicUsize,
}

#[derive(Debug)]
struct Place {
    entry: u32,
    // INVARIANT: the bits of a double that is not negative: they are ordered as it is.
    deadline: AtomicU64,
    order_offset: AtomicU64,
}

impl Place {
    #[inline]
    fn due(&self) -> Due {
        let deadline = self.deadline.load(Ordering::Relaxed);
        due(deadline, self.order_offset.load(Ordering::Relaxed))
    }
}

impl Queues {
    /// Entries have names; `None` if there are too many different weights.
    pub(super) fn new(names: &[u32], weights: &[f64], seed: u64) -> Option<Self> {
        let initial = InitialPicks::new(weights, seed);
        let mut members: Vec<(f64, Vec<Place>)> = Vec::new();
        let deadlines = initial.deadlines.iter().zip(weights);
        for ((order_offset, &entry), (&deadline, &weight)) in (0..).zip(names).zip(deadlines) {
            let is_same = |(of, _): &(f64, Vec<Place>)| of.to_bits() == weight.to_bits();
            let queue = members.iter().position(is_same).unwrap_or(members.len());
            if queue == MOST_WEIGHTS {
                return None;
            }
            if queue == members.len() {
                members.push((weight, Vec::new()));
            }
            members.get_mut(queue)?.1.push(Place {
                entry,
                deadline: AtomicU64::new(orderly(deadline).to_bits()),
                order_offset: AtomicU64::new(order_offset),
            });
        }
        let mut places: Vec<Place> = Vec::with_capacity(weights.len());
        let mut queues = Vec::with_capacity(members.len());
        for (weight, members) in members {
            let first = places.len();
            places.extend(members);
            let (end, at) = (places.len(), AtomicUsize::new(first));
            queues.push(Queue { period: 1.0 / weight, first, end, at });
        }
        let order_offset = AtomicU64::new(u64::try_from(weights.len()).unwrap_or(u64::MAX));
        let planner = Self { queues: queues.into(), places: places.into(), order_offset };
        planner.plan(u32::try_from(initial.left).unwrap_or(u32::MAX), |_| {});
        Some(planner)
    }

    /// Tells the entries of so many turns.
    pub(super) fn plan(&self, turns: u32, mut turn: impl FnMut(u32)) {
        // What the queues begin with is kept at hand while the block is planned.
        let mut heads = [NEVER; MOST_WEIGHTS];
        for (head, queue) in heads.iter_mut().zip(&self.queues) {
            *head = self.head(queue);
        }
        let heads = heads.get_mut(..self.queues.len()).unwrap_or_default();
        let mut order_offset = self.order_offset.load(Ordering::Relaxed);
        for _ in 0..turns {
            let mut first = (0, NEVER);
            for (queue, head) in heads.iter().enumerate() {
                first = if *head < first.1 { (queue, *head) } else { first };
            }
            let (Some(queue), Some(head)) = (self.queues.get(first.0), heads.get_mut(first.0))
            else {
                return;
            };
            let at = queue.at.load(Ordering::Relaxed);
            let Some(place) = self.places.get(at) else { return };
            turn(place.entry);
            let deadline = f64::from_bits(u64::try_from(first.1 >> 64).unwrap_or(0));
            let deadline = orderly(deadline + queue.period).to_bits();
            place.deadline.store(deadline, Ordering::Relaxed);
            place.order_offset.store(order_offset, Ordering::Relaxed);
            let next = if at + 1 == queue.end { queue.first } else { at + 1 };
            *head = if next == at {
                due(deadline, order_offset) // Nobody else weighs as much.
            } else {
                queue.at.store(next, Ordering::Relaxed);
                self.places.get(next).map_or(NEVER, Place::due)
            };
            order_offset = order_offset.wrapping_add(1);
        }
        self.order_offset.store(order_offset, Ordering::Relaxed);
    }

    fn head(&self, queue: &Queue) -> Due {
        self.places.get(queue.at.load(Ordering::Relaxed)).map_or(NEVER, Place::due)
    }
}
