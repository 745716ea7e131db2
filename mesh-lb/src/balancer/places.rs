//! Where the lists of a priority have got to in their turns.
//!
//! Lists come and go: with panic, with weights of localities, with endpoints. Where each of them has got
//! to stays, by its place, for as long as there are balancers that are made of one another.
use std::collections::BTreeMap;
use std::sync::Arc;

use super::policy::BalancerPolicy;
use crate::load::Availability;
use crate::number::mixed;
use crate::pick::round_robin::RoundRobin;

/// The place of a list in its priority.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct List {
    /// Which hosts are in it; none: all, in panic.
    pub(super) wanted: Option<Availability>,
    /// The index of its locality; none: it is that of the whole priority.
    pub(super) locality: Option<usize>,
}

/// Where the lists of one priority have got to, each worker in each. Clones share the turns.
///
/// # Upstream
///
/// Envoy `source/extensions/load_balancing_policies/round_robin/round_robin_lb.h`, `rr_indexes_`, from
/// which nothing is ever taken; priorities are never taken from a `PrioritySet` either.
#[derive(Clone, Debug, Default)]
pub(super) struct Places {
    turns: BTreeMap<(List, usize), Arc<RoundRobin>>,
    /// How often the turns of its localities have begun.
    begun: u64,
}

impl Places {
    /// Returns what the turns of localities are seeded with that begin now: 0 the first time, then
    /// something else each time. Upstream draws a random number; here it follows from how often they
    /// began, so that the same changes give the same picks.
    pub(super) fn begin(&mut self) -> u64 {
        let begun = self.begun;
        self.begun = begun.wrapping_add(1);
        if begun == 0 { 0 } else { mixed(begun.wrapping_mul(0x9e37_79b9_7f4a_7c15)) }
    }

    /// Returns the turns of a worker in a list: those there are, or new ones that begin at its seed.
    pub(super) fn turns(
        &mut self,
        list: List,
        worker: usize,
        policy: &BalancerPolicy,
    ) -> Arc<RoundRobin> {
        let new = || Arc::new(RoundRobin::new(policy.seed_of(worker)));
        Arc::clone(self.turns.entry((list, worker)).or_insert_with(new))
    }
}
