//! Planning turns: which entry is due first, and next, and next.
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use super::tournament::Tournament;
use crate::pick::edf::{Due, InitialPicks, NEVER, due, orderly};

/// As many different weights as are looked at one by one; a tournament is faster beyond.
const MOST_WEIGHTS: usize = 8;

/// A queue for each weight. One thread plans at a time; atomics only carry the state from one to
/// the next.
#[derive(Debug)]
pub(super) struct Queues {
    queues: Box<[Queue]>,
    places: Box<[Place]>,
    // The number of times that a deadline was set; a `u64` does not wrap in practice.
    order_offset: AtomicU64,
    /// Which queue's head is due first, where they are many.
    tournament: Option<Tournament>,
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
    /// Entries have names.
    pub(super) fn new(names: &[u32], weights: &[f64], seed: u64) -> Self {
        let initial = InitialPicks::new(weights, seed);
        let deadlines = initial.deadlines.iter().zip(weights);
        let entries = (0..).zip(names).zip(deadlines);
        let mut entries: Vec<(f64, Place)> = entries
            .map(|((order_offset, &entry), (&deadline, &weight))| {
                let deadline = AtomicU64::new(orderly(deadline).to_bits());
                (weight, Place { entry, deadline, order_offset: AtomicU64::new(order_offset) })
            })
            .collect();
        // Within a weight entries stay in their order.
        entries.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut first = 0;
        let queues = entries.chunk_by(|a, b| a.0.to_bits() == b.0.to_bits()).map(|members| {
            let period = members.first().map_or(f64::INFINITY, |(weight, _)| 1.0 / weight);
            let queue =
                Queue { period, first, end: first + members.len(), at: AtomicUsize::new(first) };
            first = queue.end;
            queue
        });
        let queues: Box<[Queue]> = queues.collect();
        let order_offset = AtomicU64::new(u64::try_from(weights.len()).unwrap_or(u64::MAX));
        let places = entries.into_iter().map(|(_, place)| place).collect();
        let mut planner = Self { queues, places, order_offset, tournament: None };
        if planner.queues.len() > MOST_WEIGHTS {
            let heads: Vec<Due> = planner.queues.iter().map(|queue| planner.head(queue)).collect();
            planner.tournament = Some(Tournament::new(&heads));
        }
        planner.plan(u32::try_from(initial.left).unwrap_or(u32::MAX), |_| {});
        planner
    }

    /// Tells the entries of so many turns.
    pub(super) fn plan(&self, turns: u32, turn: impl FnMut(u32)) {
        match &self.tournament {
            None => self.plan_among_few(turns, turn),
            Some(tournament) => self.plan_among_many(turns, tournament, turn),
        }
    }

    fn plan_among_few(&self, turns: u32, mut turn: impl FnMut(u32)) {
        // What the queues begin with is kept at hand while turns are planned.
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
            let taken = self.take(first, order_offset).zip(heads.get_mut(first.0));
            let Some(((entry, next), head)) = taken else { return };
            *head = next;
            turn(entry);
            order_offset = order_offset.wrapping_add(1);
        }
        self.order_offset.store(order_offset, Ordering::Relaxed);
    }

    fn plan_among_many(&self, turns: u32, tournament: &Tournament, mut turn: impl FnMut(u32)) {
        let mut order_offset = self.order_offset.load(Ordering::Relaxed);
        for _ in 0..turns {
            let first = tournament.winner();
            let Some((entry, next)) = self.take(first, order_offset) else { return };
            tournament.replay(first.0, next);
            turn(entry);
            order_offset = order_offset.wrapping_add(1);
        }
        self.order_offset.store(order_offset, Ordering::Relaxed);
    }

    /// Takes the entry at the head of a queue, which is due, and puts it back; returns it and when the
    /// next head is due.
    #[inline]
    fn take(&self, (queue, due_now): (usize, Due), order_offset: u64) -> Option<(u32, Due)> {
        let queue = self.queues.get(queue)?;
        let at = queue.at.load(Ordering::Relaxed);
        let place = self.places.get(at)?;
        let deadline = f64::from_bits(u64::try_from(due_now >> 64).unwrap_or(0));
        let deadline = orderly(deadline + queue.period).to_bits();
        place.deadline.store(deadline, Ordering::Relaxed);
        place.order_offset.store(order_offset, Ordering::Relaxed);
        let next = if at + 1 == queue.end { queue.first } else { at + 1 };
        if next == at {
            return Some((place.entry, due(deadline, order_offset))); // Nobody else weighs as much.
        }
        queue.at.store(next, Ordering::Relaxed);
        Some((place.entry, self.places.get(next).map_or(NEVER, Place::due)))
    }

    fn head(&self, queue: &Queue) -> Due {
        self.places.get(queue.at.load(Ordering::Relaxed)).map_or(NEVER, Place::due)
    }
}
