//! Locality weights: what share of a priority each of its localities gets.
//!
//! A locality keeps its weight as long as `100 / factor` of its hosts are available; below that
//! its weight falls with them.
use super::degraded::Availability;
use super::overprovision::Overprovisioning;
use crate::pick::edf::weight_of;
use crate::pick::turns::LooseTurns;

/// The weight of one locality of a priority, and its hosts counted by health.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct LocalityHosts {
    /// The weight that configuration gives it; unset is 0, and means no traffic.
    pub weight: u32,
    /// All hosts.
    pub total: u32,
    /// The hosts that are healthy.
    pub healthy: u32,
    /// The hosts that are degraded.
    pub degraded: u32,
    /// The hosts that do not count in denominators.
    pub excluded: u32,
}

impl LocalityHosts {
    pub(super) const fn eligible(&self, availability: Availability) -> u32 {
        match availability {
            Availability::Healthy => self.healthy,
            Availability::Degraded => self.degraded,
        }
    }

    /// Returns the weight that is left: hosts count, never their weights.
    ///
    /// # Upstream
    ///
    /// Envoy `source/extensions/load_balancing_policies/common/locality_wrr.cc`,
    /// `LocalityWrr::effectiveLocalityWeight`.
    pub(crate) fn effective_weight(
        &self,
        factor: Overprovisioning,
        availability: Availability,
    ) -> f64 {
        let counted = self.total.saturating_sub(self.excluded);
        if counted == 0 {
            return 0.0;
        }
        let ratio = 1.0 * f64::from(self.eligible(availability)) / f64::from(counted);
        let factor = f64::from(factor.get()) / 100.0;
        weight_of(self.weight) * (factor * ratio).min(1.0)
    }
}

/// The effective weights of the localities of a priority, for its healthy or its degraded hosts.
#[derive(Clone, Debug, PartialEq)]
pub struct LocalityWeights {
    effective: Box<[f64]>,
}

impl LocalityWeights {
    /// Computes the weights of `localities`, which all have a weight if any has one. There are
    /// none, and the pick ignores localities, if the priority has no eligible host at all.
    ///
    /// # Examples
    ///
    /// Half of the first locality's hosts are gone: 1 × 140 % × 50 %.
    ///
    /// ```
    /// use mesh_lb::load::{Availability, LocalityHosts, LocalityWeights, Overprovisioning};
    ///
    /// let locality = LocalityHosts { weight: 1, total: 2, healthy: 1, ..LocalityHosts::default() };
    /// let other = LocalityHosts { weight: 2, total: 1, healthy: 1, ..LocalityHosts::default() };
    /// let factor = Overprovisioning::default();
    /// let weights = LocalityWeights::new(&[locality, other], factor, Availability::Healthy);
    /// assert_eq!(weights.unwrap().effective(), [0.7, 2.0]);
    /// ```
    pub fn new(
        localities: &[LocalityHosts],
        factor: Overprovisioning,
        availability: Availability,
    ) -> Option<Self> {
        localities.iter().any(|locality| locality.eligible(availability) > 0).then(|| Self {
            effective: localities
                .iter()
                .map(|locality| locality.effective_weight(factor, availability))
                .collect(),
        })
    }

    /// Takes the weights as they stand, whatever the health of a locality, as long as it has an eligible
    /// host (none: a host at all, as in panic). There are none if no locality has one.
    ///
    /// # Upstream
    ///
    /// Envoy `source/extensions/load_balancing_policies/common/thread_aware_lb_impl.cc`,
    /// `normalizeLocalityWeights`, does so for rings and tables.
    pub fn standing(
        localities: &[LocalityHosts],
        availability: Option<Availability>,
    ) -> Option<Self> {
        let eligible = |locality: &LocalityHosts| {
            availability.map_or(locality.total, |availability| locality.eligible(availability))
        };
        let weight = |locality: &LocalityHosts| {
            if eligible(locality) > 0 { weight_of(locality.weight) } else { 0.0 }
        };
        let has_host = localities.iter().any(|locality| eligible(locality) > 0);
        has_host.then(|| Self { effective: localities.iter().map(weight).collect() })
    }

    /// Returns the effective weight of each locality.
    pub const fn effective(&self) -> &[f64] {
        &self.effective
    }

    /// Returns the share of the priority's traffic that each locality gets; none if every weight
    /// is 0, when traffic goes to all eligible hosts of the priority alike.
    pub fn fractions(&self) -> Option<Vec<f64>> {
        let sum: f64 = self.effective.iter().sum();
        (sum > 0.0).then(|| self.effective.iter().map(|weight| weight / sum).collect())
    }

    /// Returns the scheduler that picks among localities of positive weight, none if there are
    /// none. Its `seed` is one random number a priority, the same for both availabilities.
    ///
    /// # Upstream
    ///
    /// Envoy `source/extensions/load_balancing_policies/common/locality_wrr.cc`,
    /// `LocalityWrr::rebuildLocalityScheduler`.
    pub fn scheduler(&self, seed: u64) -> Option<LocalityScheduler> {
        let eligible = (0..).zip(self.effective.iter().copied());
        let eligible: Vec<(u32, f64)> = eligible.filter(|(_, weight)| *weight > 0.0).collect();
        Some(LocalityScheduler { turns: LooseTurns::new(&eligible, seed)? })
    }
}

/// Picks localities in turn, by weight; shared between threads without lock. Threads that pick at the
/// same moment may take the same turn, which changes no share.
#[derive(Debug)]
// What one worker changes lies on no cache line of another.
#[repr(align(128))]
pub struct LocalityScheduler {
    turns: LooseTurns,
}

impl LocalityScheduler {
    /// Returns the index of the locality that is due.
    ///
    /// One after another these are the picks of [`Turns`](crate::pick::turns::Turns).
    #[inline]
    pub fn pick(&self) -> u32 {
        self.turns.pick()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(localities: &[(u32, u32, u32)], expected: Option<&[u32]>) {
        let localities: Vec<LocalityHosts> = localities
            .iter()
            .map(|&(weight, healthy, total)| LocalityHosts {
                weight,
                total,
                healthy,
                ..LocalityHosts::default()
            })
            .collect();
        let factor = Overprovisioning::default();
        let picks = LocalityWeights::new(&localities, factor, Availability::Healthy)
            .and_then(|weights| weights.scheduler(0))
            .map(|scheduler| (0..6).map(|_| scheduler.pick()).collect::<Vec<_>>());
        assert_eq!(picks.as_deref(), expected);
    }

    #[test]
    fn localities_without_weight_or_health_are_never_picked() {
        check(&[(0, 1, 1), (1, 1, 1), (5, 0, 1), (1, 1, 1)], Some(&[1, 3, 1, 3, 1, 3]));
    }

    #[test]
    fn without_any_weight_or_without_any_host_there_is_no_scheduler() {
        check(&[(0, 1, 1), (0, 1, 1)], None);
        check(&[(1, 0, 1), (1, 0, 0)], None);
        check(&[], None);
    }
}
