//! The load of each priority, and the priority of each request.
use mesh_model::compat::DataPlane;

use super::data_plane;
use super::degraded::{self, Availability};
use super::overprovision::{LevelHosts, Percent};
use super::panic::{self, PanicThreshold};

/// What one priority can carry and what it is given.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct LevelLoad {
    /// What its healthy hosts can carry.
    pub health: Percent,
    /// What its degraded hosts can carry.
    pub degraded_health: Percent,
    /// The share of all traffic that goes to its healthy hosts (in panic: to all its hosts).
    pub healthy_load: Percent,
    /// The share of all traffic that goes to its degraded hosts.
    pub degraded_load: Percent,
    /// Whether health no longer counts inside this priority.
    pub panic: bool,
}

/// Where one request goes.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct PriorityChoice {
    /// The index of the priority.
    pub priority: u32,
    /// Which of its hosts.
    pub availability: Availability,
}

/// The shares of traffic of the priorities of one cluster.
///
/// Keep the value and [`spill`](Self::spill) again when health changes: it reuses its memory.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct PriorityLoad {
    levels: Vec<LevelLoad>,
    available: Percent,
    total_panic: bool,
}

impl PriorityLoad {
    /// Splits traffic over priorities, spilling what one cannot carry onto the next.
    ///
    /// `hosts` holds the highest priority first. Afterwards healthy and degraded loads together
    /// sum to 100, with three exceptions: no priorities at all; [`DataPlane::Ztunnel`] without a
    /// healthy host; and, in Envoy, health that is truncated to 0 everywhere although some host
    /// is available and not every priority panics (a factor below 100 can do that).
    /// Calling this again does not allocate once it has seen as many priorities.
    ///
    /// # Examples
    ///
    /// Truncation loses 2 of 100 here; the first priority with health receives them:
    ///
    /// ```
    /// use mesh_lb::load::{DataPlane, LevelHosts, PanicThreshold, PriorityLoad};
    ///
    /// let mut load = PriorityLoad::default();
    /// let hosts = [25, 25, 20].map(|healthy| LevelHosts::healthy_of(healthy, 100));
    /// let mut loads = |panic| {
    ///     load.spill(DataPlane::Envoy, &hosts, panic);
    ///     load.levels().iter().map(|level| level.healthy_load.get()).collect::<Vec<_>>()
    /// };
    /// assert_eq!(loads(PanicThreshold::OFF), [37, 35, 28]);
    /// assert_eq!(loads(PanicThreshold::default()), [34, 33, 33]); // All panic: hosts count.
    /// ```
    ///
    /// # Upstream
    ///
    /// Envoy `source/extensions/load_balancing_policies/common/load_balancer_impl.cc`,
    /// `LoadBalancerBase::recalculatePerPriorityState` and `recalculatePerPriorityPanic`. Envoy
    /// keeps old loads where it assigns none; here each call starts from zero. grpc-go
    /// `internal/xds/balancer/priority`. ztunnel `src/state.rs`, `load_balance`.
    pub fn spill(&mut self, plane: DataPlane, hosts: &[LevelHosts], threshold: PanicThreshold) {
        self.levels.clear();
        self.total_panic = false;
        match plane {
            DataPlane::IstioProxy | DataPlane::Envoy => self.spill_by_health(hosts, threshold),
            DataPlane::Grpc => {
                if !self.first_usable(hosts)
                    && let Some(last) = self.levels.last_mut()
                {
                    last.healthy_load = Percent::ALL;
                }
            }
            DataPlane::Ztunnel => {
                self.first_usable(hosts);
            }
        }
    }

    fn first_usable(&mut self, hosts: &[LevelHosts]) -> bool {
        let found = data_plane::first_usable(hosts, &mut self.levels);
        self.available = if found { Percent::ALL } else { Percent::NONE };
        found
    }

    fn spill_by_health(&mut self, hosts: &[LevelHosts], threshold: PanicThreshold) {
        self.levels.extend(hosts.iter().map(|level| {
            let (health, degraded_health) = level.health();
            LevelLoad { health, degraded_health, ..LevelLoad::default() }
        }));
        self.available = normalized_total_availability(&self.levels);
        if self.available == Percent::NONE && threshold == PanicThreshold::OFF {
            if let Some(first) = self.levels.first_mut() {
                first.healthy_load = Percent::ALL;
            }
            return;
        }
        self.total_panic = self.available != Percent::ALL && self.all_panic(hosts, threshold);
        if self.total_panic {
            panic::distribute_by_hosts(hosts, &mut self.levels);
        } else if self.available != Percent::NONE {
            degraded::distribute(&mut self.levels, self.available);
        }
    }

    /// Marks the priorities that panic; returns whether all of them do.
    fn all_panic(&mut self, hosts: &[LevelHosts], threshold: PanicThreshold) -> bool {
        for (level, hosts) in self.levels.iter_mut().zip(hosts) {
            level.panic = threshold.is_panic(hosts);
        }
        !self.levels.is_empty() && self.levels.iter().all(|level| level.panic)
    }

    /// Returns the priorities, the highest first.
    pub fn levels(&self) -> &[LevelLoad] {
        &self.levels
    }

    /// Returns the sum of all health and degraded health, capped at 100. At 100 nothing panics.
    pub const fn normalized_total_availability(&self) -> Percent {
        self.available
    }

    /// Returns whether every priority is in panic, so that loads follow numbers of hosts.
    pub const fn is_total_panic(&self) -> bool {
        self.total_panic
    }

    /// Returns the priority for a request with this hash, or random number.
    ///
    /// Every hundredth of the hashes stands for one percent of load: healthy loads in order, then
    /// degraded loads in order. If no load was assigned the answer is the first priority.
    ///
    /// # Upstream
    ///
    /// Envoy `source/extensions/load_balancing_policies/common/load_balancer_impl.cc`,
    /// `LoadBalancerBase::choosePriority`.
    pub fn choose(&self, hash: u64) -> PriorityChoice {
        let healthy = self.levels.iter().map(|level| level.healthy_load);
        let degraded = self.levels.iter().map(|level| level.degraded_load);
        choose_priority(hash, healthy, degraded)
    }
}

/// Chooses by loads that are given, as after a retry priority has replaced them; otherwise
/// [`PriorityLoad::choose`].
pub fn choose_priority(
    hash: u64,
    healthy: impl Iterator<Item = Percent>,
    degraded: impl Iterator<Item = Percent>,
) -> PriorityChoice {
    let wanted = u32::try_from(hash % 100).unwrap_or(0);
    let mut reached = 0;
    let healthy = (0..).zip(healthy).map(|(index, load)| (index, load, Availability::Healthy));
    let degraded = (0..).zip(degraded).map(|(index, load)| (index, load, Availability::Degraded));
    for (priority, load, availability) in healthy.chain(degraded) {
        reached += load.get();
        if wanted < reached {
            return PriorityChoice { priority, availability };
        }
    }
    PriorityChoice { priority: 0, availability: Availability::Healthy }
}

/// Returns what all priorities together can carry, capped at 100.
pub(crate) fn normalized_total_availability(levels: &[LevelLoad]) -> Percent {
    let sum: u32 =
        levels.iter().map(|level| level.health.get() + level.degraded_health.get()).sum();
    Percent::saturating(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spilled(plane: DataPlane, healthy: &[u32], threshold: u32) -> PriorityLoad {
        let hosts: Vec<LevelHosts> =
            healthy.iter().map(|&healthy| LevelHosts::healthy_of(healthy, 100)).collect();
        let mut load = PriorityLoad::default();
        load.spill(plane, &hosts, PanicThreshold::new(threshold));
        load
    }

    fn check(plane: DataPlane, healthy: &[u32], threshold: u32, expected: &[u32]) {
        let load = spilled(plane, healthy, threshold);
        let loads: Vec<u32> = load.levels().iter().map(|level| level.healthy_load.get()).collect();
        assert_eq!(loads, expected, "{plane:?} {healthy:?} {threshold}");
    }

    #[test]
    fn envoy_spills_what_a_priority_cannot_carry() {
        check(DataPlane::Envoy, &[71, 71, 100], 50, &[99, 1, 0]);
        check(DataPlane::Envoy, &[25, 100, 100], 50, &[35, 65, 0]);
    }

    #[test]
    fn the_rounding_remainder_goes_to_the_first_with_health() {
        check(DataPlane::Envoy, &[0, 25, 25, 20], 0, &[0, 37, 35, 28]);
    }

    #[test]
    fn one_priority_in_panic_keeps_the_spilled_loads() {
        check(DataPlane::Envoy, &[5, 65], 50, &[8, 92]);
        let load = spilled(DataPlane::Envoy, &[5, 65], 50);
        assert_eq!(
            load.levels().iter().map(|level| level.panic).collect::<Vec<_>>(),
            [true, false]
        );
        assert!(!load.is_total_panic());
    }

    #[test]
    fn without_panic_and_without_health_the_first_priority_gets_everything() {
        check(DataPlane::Envoy, &[0, 0], 0, &[100, 0]);
    }

    #[test]
    fn grpc_fails_over_whole_and_to_the_last_if_all_fail() {
        check(DataPlane::Grpc, &[1, 100], 50, &[100, 0]);
        check(DataPlane::Grpc, &[0, 1, 100], 50, &[0, 100, 0]);
        check(DataPlane::Grpc, &[0, 0], 50, &[0, 100]);
    }

    #[test]
    fn ztunnel_uses_the_best_rank_or_nothing() {
        check(DataPlane::Ztunnel, &[0, 1, 100], 50, &[0, 100, 0]);
        check(DataPlane::Ztunnel, &[0, 0], 50, &[0, 0]);
    }

    #[test]
    fn no_priorities_are_not_total_panic() {
        for plane in [DataPlane::Envoy, DataPlane::Grpc, DataPlane::Ztunnel] {
            check(plane, &[], 50, &[]);
            assert!(!spilled(plane, &[], 50).is_total_panic());
        }
    }
}
