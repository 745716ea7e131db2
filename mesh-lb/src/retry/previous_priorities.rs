//! Retry priority: attempts leave the priorities that were tried already.
use crate::load::{LevelLoad, Percent, entitled, normalized_total_availability};

/// How often the loads of a retried request are computed anew, in attempts: at least 1.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct UpdateFrequency(
    // INVARIANT: not 0.
    usize,
);

impl UpdateFrequency {
    /// Returns a frequency, none if it is 0.
    pub const fn new(attempts: usize) -> Option<Self> {
        if attempts == 0 { None } else { Some(Self(attempts)) }
    }
}

/// The retries of one request, for [`Balancer::pick_elsewhere`](crate::Balancer::pick_elsewhere).
#[derive(Clone, Debug)]
pub struct PreviousPriorities {
    frequency: UpdateFrequency,
    attempted: Vec<u32>,
    excluded: Vec<bool>,
    adjusted: Vec<LevelLoad>,
}

impl PreviousPriorities {
    /// Begins with the first attempt of a request.
    pub const fn new(frequency: UpdateFrequency) -> Self {
        Self { frequency, attempted: Vec::new(), excluded: Vec::new(), adjusted: Vec::new() }
    }

    /// Takes note of an attempt at a host of this priority.
    pub fn attempt(&mut self, priority: u32) {
        self.attempted.push(priority);
    }

    /// Returns the loads for the next attempt; `original` is what
    /// [`PriorityLoad::spill`](crate::load::PriorityLoad::spill) computed.
    ///
    /// Every so many attempts all attempted priorities are excluded and 100 percent are shared by
    /// the health of the others; if none is left, nothing is excluded any more. Health alone
    /// counts here; whether a priority panics is still the balancer's own state.
    ///
    /// # Upstream
    ///
    /// Envoy `source/extensions/retry/priority/previous_priorities/previous_priorities.cc`,
    /// `PreviousPrioritiesRetryPriority::determinePriorityLoad`.
    pub fn loads<'a>(&'a mut self, original: &'a [LevelLoad]) -> &'a [LevelLoad] {
        if self.attempted.len() < self.frequency.0 {
            return original;
        }
        if self.attempted.len().is_multiple_of(self.frequency.0) && !self.adjust(original) {
            return original;
        }
        // A change in the number of priorities since makes what was computed useless.
        if self.adjusted.len() == original.len() { &self.adjusted } else { original }
    }

    /// Computes the loads without the attempted priorities; returns whether there are any.
    fn adjust(&mut self, original: &[LevelLoad]) -> bool {
        self.excluded.resize(original.len(), false);
        for priority in &self.attempted {
            let priority = usize::try_from(*priority).ok();
            if let Some(excluded) = priority.and_then(|at| self.excluded.get_mut(at)) {
                *excluded = true;
            }
        }
        let mut available = self.exclude(original);
        if available == Percent::NONE {
            self.excluded.fill(false);
            self.attempted.clear();
            available = self.exclude(original);
        }
        if available == Percent::NONE {
            return false;
        }
        self.distribute(available);
        true
    }

    /// Copies the health of what is not excluded; returns the sum of it, capped at 100.
    fn exclude(&mut self, original: &[LevelLoad]) -> Percent {
        self.adjusted.clear();
        self.adjusted.extend(original.iter().zip(&self.excluded).map(|(level, &excluded)| {
            let (health, degraded_health) =
                if excluded { Default::default() } else { (level.health, level.degraded_health) };
            LevelLoad { health, degraded_health, panic: level.panic, ..LevelLoad::default() }
        }));
        normalized_total_availability(&self.adjusted)
    }

    /// What truncation leaves over is shared again in rounds, which is not always what one lump
    /// for the first priority would be.
    fn distribute(&mut self, available: Percent) {
        let mut left = 100;
        while left > 0 {
            for level in &mut self.adjusted {
                give(&mut level.healthy_load, level.health, available, &mut left);
            }
            for level in &mut self.adjusted {
                give(&mut level.degraded_load, level.degraded_health, available, &mut left);
            }
        }
    }
}

fn give(load: &mut Percent, health: Percent, available: Percent, left: &mut u32) {
    let share = entitled(health, available).min(*left);
    *left -= share;
    *load = Percent::saturating(load.get() + share);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::{DataPlane, LevelHosts, PanicThreshold, PriorityLoad};

    fn check(healthy: &[u32], frequency: usize, attempts: &[u32], expected: &[&[u32]]) {
        let hosts: Vec<LevelHosts> =
            healthy.iter().map(|&healthy| LevelHosts::healthy_of(healthy, 100)).collect();
        let mut original = PriorityLoad::default();
        original.spill(DataPlane::Envoy, &hosts, PanicThreshold::OFF);
        let mut retries = PreviousPriorities::new(UpdateFrequency::new(frequency).unwrap());
        let mut loads = Vec::new();
        for &priority in attempts {
            retries.attempt(priority);
            let now = retries.loads(original.levels());
            loads.push(now.iter().map(|level| level.healthy_load.get()).collect::<Vec<_>>());
        }
        assert_eq!(loads, expected);
    }

    #[test]
    fn between_updates_the_last_loads_stay() {
        check(
            &[100, 100, 100],
            2,
            &[0, 0, 1, 1],
            &[&[100, 0, 0], &[0, 100, 0], &[0, 100, 0], &[0, 0, 100]],
        );
    }

    #[test]
    fn when_every_priority_was_tried_it_begins_again() {
        check(&[100, 100], 1, &[0, 1, 0], &[&[0, 100], &[100, 0], &[0, 100]]);
    }

    #[test]
    fn what_rounding_leaves_over_goes_round() {
        // 1 of 3 each; three rounds of 33 and one percent for the first.
        check(&[100, 1, 1, 1], 1, &[0], &[&[0, 34, 33, 33]]);
    }
}
