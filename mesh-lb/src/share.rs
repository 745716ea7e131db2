//! What share of a destination's traffic each priority, locality and endpoint gets.
//!
//! ```text
//! Assignment ─health─▶ host counts ─load─▶ priorities ─weights─▶ localities ─weights─▶ endpoints
//! ```
//!
//! The shares are those of Envoy with the settings that istiod gives the cluster: weighted picks in the
//! long run, before retries and connection limits.
use mesh_model::compat::Compat;
use mesh_model::endpoint::HealthStatus;
use mesh_model::resource::destination_rule::{LbPolicy, SimpleLb};
use mesh_model::view::{Destination, ProxyView};
use rustc_hash::FxHashSet;

use crate::assign::{AssignedEndpoint, Assignment, EffectiveSetting, supports_unhealthy_endpoints};
use crate::load::{
    Availability, DataPlane, LevelHosts, LocalityHosts, LocalityWeights, Overprovisioning,
    PanicThreshold, PriorityLoad,
};

/// How a cluster spreads traffic over its assignment.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "callers set single fields over the default")]
pub struct Spread {
    /// The program that spreads.
    pub data_plane: DataPlane,
    /// Below which health a priority uses all of its hosts.
    pub panic_threshold: PanicThreshold,
    /// Whether localities of a priority share by their weights instead of by their hosts.
    pub locality_weighted: bool,
    /// Whether endpoints share by their weights (RANDOM ignores them).
    pub host_weighted: bool,
    /// How much more than its share a host carries.
    pub overprovisioning: Overprovisioning,
}

impl Default for Spread {
    /// Envoy as istiod configures it without any rule: panic off.
    fn default() -> Self {
        Self {
            data_plane: DataPlane::Envoy,
            panic_threshold: PanicThreshold::OFF,
            locality_weighted: false,
            host_weighted: true,
            overprovisioning: Overprovisioning::default(),
        }
    }
}

impl Spread {
    /// What istiod configures for a destination.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/networking/core/cluster_traffic_policy.go` `applyLoadBalancer`,
    /// `applyOutlierDetection`; `loadbalancer/loadbalancer.go` `ApplyToCluster`.
    pub fn of(view: &ProxyView<'_>, destination: &Destination<'_>) -> Self {
        let compat = view.mesh().compat();
        let policy = destination.cluster_policy.as_deref();
        let load_balancer = policy.and_then(|policy| policy.load_balancer.as_ref());
        let outlier_detection = policy.and_then(|policy| policy.outlier_detection.as_ref());
        let distribution = destination.service.traffic_distribution;
        let config = &view.plane().config;
        let setting = EffectiveSetting::new(
            load_balancer,
            distribution,
            config.zone_aware_lb_setting.as_ref(),
            Some(&config.locality_lb_setting),
        );
        let algorithm = load_balancer.and_then(|settings| settings.policy.as_ref());
        let is_random = matches!(algorithm, Some(LbPolicy::Simple(SimpleLb::Random)));
        let percent = outlier_detection.map(|block| block.min_health_percent);
        let fails_over = outlier_detection.is_some() || setting.forces_failover();
        if view.proxy().data_plane == DataPlane::Grpc {
            return Self::of_grpc(algorithm);
        }
        Self {
            data_plane: view.proxy().data_plane,
            panic_threshold: panic_threshold(compat, distribution, percent),
            locality_weighted: is_locality_weighted(compat, setting, fails_over),
            host_weighted: !is_random,
            overprovisioning: Overprovisioning::default(),
        }
    }

    /// What a gRPC client makes of a policy: localities by weight, unless it is least request, which
    /// looks at the whole priority; weights of endpoints only on a ring. There is no panic, and the
    /// weight of a locality stands as long as one of its endpoints is ready.
    fn of_grpc(algorithm: Option<&LbPolicy>) -> Self {
        let least = [SimpleLb::LeastRequest, SimpleLb::LeastConn];
        let is_least =
            matches!(algorithm, Some(LbPolicy::Simple(simple)) if least.contains(simple));
        Self {
            data_plane: DataPlane::Grpc,
            panic_threshold: PanicThreshold::OFF,
            locality_weighted: !is_least,
            host_weighted: matches!(algorithm, Some(LbPolicy::ConsistentHash(_))),
            overprovisioning: Overprovisioning::new(u32::MAX).unwrap_or_default(),
        }
    }
}

/// `minHealthPercent`, where there is outlier detection and unhealthy endpoints are not forced; without
/// it off where unhealthy endpoints are sent, else Envoy's default.
fn panic_threshold(
    compat: &Compat,
    distribution: mesh_model::registry::TrafficDistribution,
    min_health_percent: Option<i32>,
) -> PanicThreshold {
    let sends = |percent| supports_unhealthy_endpoints(&compat.flags, distribution, percent);
    match min_health_percent {
        Some(percent) => {
            let percent = u32::try_from(percent).unwrap_or_default();
            // Where unhealthy endpoints are sent whatever is asked, panic stays off.
            if sends(i32::MAX) { PanicThreshold::OFF } else { PanicThreshold::new(percent) }
        }
        None if sends(0) => PanicThreshold::OFF,
        None => PanicThreshold::default(),
    }
}

fn is_locality_weighted(compat: &Compat, setting: EffectiveSetting<'_>, fails_over: bool) -> bool {
    if compat.flags.enable_locality_weighted_lb_config {
        return !matches!(setting, EffectiveSetting::ZoneAware(_));
    }
    match setting {
        EffectiveSetting::None | EffectiveSetting::ZoneAware(_) => false,
        EffectiveSetting::Distribution(_) => true,
        EffectiveSetting::Locality(setting) => {
            let orders = !setting.failover.is_empty() || !setting.failover_priority.is_empty();
            !setting.distribute.is_empty() || (fails_over && orders)
        }
    }
}

/// How a host counts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Fitness {
    Healthy,
    Unhealthy,
    /// Draining: neither healthy nor part of the total.
    Excluded,
    /// Not there: a host before it has its address.
    Repeated,
}

impl Fitness {
    const fn of(status: HealthStatus) -> Self {
        match status {
            HealthStatus::Unknown | HealthStatus::Healthy => Self::Healthy,
            HealthStatus::Unhealthy | HealthStatus::Terminating => Self::Unhealthy,
            HealthStatus::Draining => Self::Excluded,
        }
    }
}

/// Shares of a destination's traffic, in percent of all of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Shares {
    load: PriorityLoad,
    hosts: Vec<LevelHosts>,
    localities: Vec<f64>,
    endpoints: Vec<f64>,
    healths: Vec<HealthStatus>,
}

impl Shares {
    /// Returns the health of an endpoint that the shares were computed with, by its index among
    /// [`Assignment::endpoints`].
    pub fn health(&self, index: usize) -> Option<HealthStatus> {
        self.healths.get(index).copied()
    }

    /// Returns the load of each priority, as Envoy rounds it.
    pub const fn load(&self) -> &PriorityLoad {
        &self.load
    }

    /// Returns the host counts that the load came from.
    pub fn hosts(&self) -> &[LevelHosts] {
        &self.hosts
    }

    /// Returns the share of each locality, in the order of [`Assignment::localities`].
    pub fn localities(&self) -> &[f64] {
        &self.localities
    }

    /// Returns the share of each endpoint, in the order of [`Assignment::endpoints`].
    pub fn endpoints(&self) -> &[f64] {
        &self.endpoints
    }

    /// Returns whether some traffic reaches an endpoint.
    pub fn is_reachable(&self) -> bool {
        self.endpoints.iter().any(|share| *share > 0.0)
    }
}

impl Assignment {
    /// Computes the shares with every endpoint in the health that it is assigned with.
    pub fn shares(&self, spread: &Spread) -> Shares {
        self.shares_with(spread, |endpoint| endpoint.health())
    }

    /// Computes the shares with health as `health` says.
    ///
    /// Of several hosts with one address, in whatever localities, Envoy has the first; so a gateway
    /// that stands for endpoints of several localities counts with its weight in the first of them.
    ///
    /// # Upstream
    ///
    /// envoyproxy/envoy `source/extensions/clusters/eds/eds.cc`
    /// `BatchUpdateHelper::updateLocalityEndpoints`.
    pub fn shares_with(
        &self,
        spread: &Spread,
        health: impl Fn(AssignedEndpoint<'_>) -> HealthStatus,
    ) -> Shares {
        let mut healths = Vec::new();
        let mut seen = FxHashSet::default();
        let is_envoy = matches!(spread.data_plane, DataPlane::IstioProxy | DataPlane::Envoy);
        let groups: Vec<GroupHosts> = self
            .localities()
            .map(|locality| GroupHosts {
                priority: locality.priority(),
                weight: locality.weight().unwrap_or_default(),
                hosts: locality
                    .endpoints()
                    .map(|endpoint| {
                        let status = health(endpoint);
                        healths.push(status);
                        let target = endpoint.target();
                        // Envoy keeps the first of several hosts with one address.
                        if is_envoy && !seen.insert((target.address(), target.port())) {
                            return (0, Fitness::Repeated);
                        }
                        (endpoint.weight(), Fitness::of(status))
                    })
                    .collect(),
            })
            .collect();
        Shares { healths, ..compute(spread, &groups) }
    }
}

/// One locality of one priority.
struct GroupHosts {
    priority: u32,
    weight: u32,
    /// Weight and fitness of each host.
    hosts: Vec<(u32, Fitness)>,
}

impl GroupHosts {
    fn count(&self, fitness: Fitness) -> u32 {
        let count = self.hosts.iter().filter(|(_, of)| *of == fitness).count();
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    fn total(&self) -> u32 {
        let total = u32::try_from(self.hosts.len()).unwrap_or(u32::MAX);
        total.saturating_sub(self.count(Fitness::Repeated))
    }

    fn locality(&self) -> LocalityHosts {
        LocalityHosts {
            weight: self.weight,
            total: self.total(),
            healthy: self.count(Fitness::Healthy),
            degraded: 0,
            excluded: self.count(Fitness::Excluded),
        }
    }

    /// The weight that each host has in a pick; 0 if it is not among the candidates.
    fn candidates<'g>(
        &'g self,
        spread: &'g Spread,
        panics: bool,
    ) -> impl Iterator<Item = f64> + 'g {
        self.hosts.iter().map(move |(weight, fitness)| {
            let is_candidate = match fitness {
                Fitness::Healthy => true,
                Fitness::Unhealthy | Fitness::Excluded => panics,
                Fitness::Repeated => false,
            };
            let weight = if spread.host_weighted { f64::from(*weight) } else { 1.0 };
            if is_candidate { weight } else { 0.0 }
        })
    }
}

fn compute(spread: &Spread, groups: &[GroupHosts]) -> Shares {
    let levels = groups.iter().map(|group| group.priority).max().map_or(0, |last| last + 1);
    let of_level = |level: u32| groups.iter().filter(move |group| group.priority == level);
    let hosts: Vec<LevelHosts> = (0..levels)
        .map(|level| {
            let sum = |count: fn(&GroupHosts) -> u32| {
                of_level(level).fold(0_u32, |sum, group| sum.saturating_add(count(group)))
            };
            let healthy = sum(|group| group.count(Fitness::Healthy));
            let excluded = sum(|group| group.count(Fitness::Excluded));
            let overprovisioning = spread.overprovisioning;
            let level = LevelHosts::healthy_of(healthy, sum(GroupHosts::total));
            LevelHosts { excluded, overprovisioning, ..level }
        })
        .collect();
    let mut load = PriorityLoad::default();
    load.spill(spread.data_plane, &hosts, spread.panic_threshold);

    let mut localities = vec![0.0; groups.len()];
    let mut of_hosts: Vec<Vec<f64>> = vec![Vec::new(); groups.len()];
    for (level, loads) in (0..levels).zip(load.levels()) {
        let share = f64::from(loads.healthy_load.get());
        let members: Vec<usize> = (0..groups.len())
            .filter(|&i| groups.get(i).is_some_and(|g| g.priority == level))
            .collect();
        let of_members: Vec<&GroupHosts> = members.iter().filter_map(|&i| groups.get(i)).collect();
        let split = split_level(spread, &of_members, share, loads.panic);
        for (index, hosts) in members.into_iter().zip(split) {
            if let Some(slot) = localities.get_mut(index) {
                *slot = hosts.iter().sum();
            }
            if let Some(slot) = of_hosts.get_mut(index) {
                *slot = hosts;
            }
        }
    }
    let endpoints = of_hosts.into_iter().flatten().collect();
    Shares { load, hosts, localities, endpoints, healths: Vec::new() }
}

/// Splits a priority's share over the hosts of its localities; nothing where none is a candidate.
fn split_level(spread: &Spread, groups: &[&GroupHosts], share: f64, panics: bool) -> Vec<Vec<f64>> {
    let weights: Vec<Vec<f64>> =
        groups.iter().map(|group| group.candidates(spread, panics).collect()).collect();
    let sums: Vec<f64> = weights.iter().map(|weights| weights.iter().sum()).collect();
    let of_localities = locality_fractions(spread, groups, panics).unwrap_or_else(|| {
        let total: f64 = sums.iter().sum();
        let part = |sum: &f64| if total > 0.0 { sum / total } else { 0.0 };
        sums.iter().map(part).collect()
    });
    weights
        .into_iter()
        .zip(sums)
        .zip(of_localities)
        .map(|((weights, sum), fraction)| {
            let of_host =
                |weight: f64| if sum > 0.0 { share * fraction * weight / sum } else { 0.0 };
            weights.into_iter().map(of_host).collect()
        })
        .collect()
}

/// The part of a priority that each of its localities gets by its weight; `None` where hosts decide:
/// no locality weighting, no positive weight, or panic.
fn locality_fractions(spread: &Spread, groups: &[&GroupHosts], panics: bool) -> Option<Vec<f64>> {
    if !spread.locality_weighted || panics {
        return None;
    }
    let localities: Vec<LocalityHosts> = groups.iter().map(|group| group.locality()).collect();
    LocalityWeights::new(&localities, spread.overprovisioning, Availability::Healthy)?.fractions()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(priority: u32, weight: u32, healthy: usize, unhealthy: usize) -> GroupHosts {
        let hosts =
            [vec![(1, Fitness::Healthy); healthy], vec![(1, Fitness::Unhealthy); unhealthy]];
        GroupHosts { priority, weight, hosts: hosts.concat() }
    }

    fn check(spread: &Spread, groups: &[GroupHosts], localities: &[f64]) {
        let shares = compute(spread, groups);
        let close = |(a, b): (&f64, &f64)| (a - b).abs() < 1e-9;
        assert!(shares.localities.iter().zip(localities).all(close), "{:?}", shares.localities);
        let endpoints: f64 = shares.endpoints.iter().sum();
        assert!((endpoints - localities.iter().sum::<f64>()).abs() < 1e-9);
    }

    #[test]
    fn a_half_healthy_priority_spills_the_rest() {
        check(&Spread::default(), &[group(0, 2, 1, 1), group(1, 2, 2, 0)], &[70.0, 30.0]);
    }

    #[test]
    fn localities_share_by_hosts_unless_they_are_weighted() {
        let groups = [group(0, 9, 1, 0), group(0, 1, 3, 0)];
        check(&Spread::default(), &groups, &[25.0, 75.0]);
        let weighted = Spread { locality_weighted: true, ..Spread::default() };
        check(&weighted, &groups, &[90.0, 10.0]);
    }

    #[test]
    fn nothing_is_reachable_where_nothing_is_healthy_and_panic_is_off() {
        let groups = [group(0, 2, 0, 2)];
        check(&Spread::default(), &groups, &[0.0]);
        let panic = Spread { panic_threshold: PanicThreshold::new(50), ..Spread::default() };
        check(&panic, &groups, &[100.0]);
    }
}
