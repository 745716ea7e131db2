//! Zone-aware routing of a balancer: the cluster that the callers form, and what follows from it.
use std::sync::Arc;

use mesh_model::name::Locality;
use rustc_hash::FxHashSet;

use super::level::LevelInput;
use super::policy::BalancerPolicy;
use super::{Balancer, Change, Host, assigned_health};
use crate::assign::{AssignedEndpoint, Assignment};
use crate::health::status::{CoarseHealth, HostHealth};
use crate::load::{
    DataPlane, LevelHosts, NoZoneRouting, Zone, ZoneChoice, ZoneRouting, ZoneUse, Zones,
    explain_zones,
};

/// The cluster that the callers themselves form, of which the picking proxy is one: what
/// [zone-aware routing](super::Balancer::with_local_cluster) compares a destination with.
///
/// It is what the proxy is assigned of its own workload's cluster
/// ([`ClusterForm::SelfDiscovery`](crate::assign::ClusterForm::SelfDiscovery) where istiod sends it).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LocalCluster {
    // INVARIANT: the caller's own locality first, if it is there at all; the others ascending.
    zones: Box<[Zone<Locality>]>,
    has_local_locality: bool,
    hosts: LevelHosts,
}

impl LocalCluster {
    /// Counts the callers in the health that they are assigned with. Only the first priority counts:
    /// Envoy refuses others in this cluster.
    pub fn new(assignment: &Assignment) -> Self {
        Self::with_health(assignment, assigned_health)
    }

    /// Counts the callers in the health that `health` says.
    pub fn with_health(
        assignment: &Assignment,
        health: impl Fn(AssignedEndpoint<'_>) -> HostHealth,
    ) -> Self {
        let mut seen: FxHashSet<Box<str>> = FxHashSet::default();
        let mut hosts = LevelHosts::default();
        let mut zones: Vec<Zone<Locality>> = Vec::new();
        for locality in assignment.localities().filter(|locality| locality.priority() == 0) {
            let name = locality.locality().clone();
            let mut zone = Zone { locality: name, total: 0, healthy: 0, healthy_weight: 0 };
            let new = locality.endpoints().filter(|one| seen.insert(Host::address_of(*one)));
            for (endpoint, health) in new.map(|endpoint| (endpoint, health(endpoint))) {
                zone.total += 1;
                hosts.excluded += u32::from(health.is_excluded());
                match health.coarse() {
                    CoarseHealth::Healthy => {
                        zone.healthy += 1;
                        zone.healthy_weight += u64::from(endpoint.weight());
                    }
                    CoarseHealth::Degraded => hosts.degraded += 1,
                    CoarseHealth::Unhealthy => {}
                }
            }
            hosts.total += zone.total;
            hosts.healthy += zone.healthy;
            zones.extend((zone.total > 0).then_some(zone));
        }
        let own = assignment.client();
        zones.sort_by_cached_key(|zone| in_order(&zone.locality, own));
        let has_local_locality = zones.first().is_some_and(|zone| zone.locality == *own);
        Self { zones: zones.into(), has_local_locality, hosts }
    }
}

/// By what localities are ordered: the caller's own comes first, the others ascend.
///
/// # Upstream
///
/// Envoy `source/common/upstream/upstream_impl.cc`, `PriorityStateManager::updateClusterPrioritySet`.
pub(super) fn in_order(locality: &Locality, own: &Locality) -> (bool, Locality) {
    (locality != own, locality.clone())
}

impl Balancer {
    /// Returns the balancer of a caller that is one of this cluster, which is routed by zone: the hosts
    /// of its own locality take what they can, and what remains goes where there are more hosts than
    /// callers. This one stays as it is.
    ///
    /// Balancers made of it by an [update](Self::update) know the cluster, too; when the cluster changes
    /// this is to be called again, and only what routing compares is computed again. Nothing changes
    /// where zones do not matter: [`Balancer::zone_routing`] says whether they do, and if not, why.
    /// They never do for ring hash and Maglev, priorities below the first and localities that
    /// [share by weight](crate::share::Spread::locality_weighted).
    ///
    /// # Examples
    ///
    /// Four of ten callers are here, and two of ten hosts: half of the requests stay.
    ///
    /// ```
    /// use std::sync::Arc;
    ///
    /// use mesh_lb::assign::{Assignment, Input};
    /// use mesh_lb::{Balancer, BalancerPolicy, LocalCluster};
    /// use mesh_model::{Compat, endpoint::Gateways};
    /// use mesh_testkit::by_hand;
    ///
    /// let assignment = |here: usize, there: usize| {
    ///     let places = [vec!["eu/west/a"; here], vec!["eu/west/b"; there]].concat();
    ///     let shards = by_hand::shards(places.iter().enumerate().map(|(number, place)| {
    ///         by_hand::endpoint(&format!("10.0.0.{number}"), "c1", place)
    ///     }));
    ///     let (proxy, service) = (by_hand::proxy("c1", "eu/west/a"), by_hand::service("cart.shop"));
    ///     let (compat, gateways) = (Compat::default(), Gateways::default());
    ///     let port = service.port(80).unwrap();
    ///     Assignment::compute(&Input::new(&proxy, &compat, (&service, port), &shards, &gateways))
    /// };
    /// let balancer = Balancer::new(&assignment(2, 8), &BalancerPolicy::default());
    /// let callers = Arc::new(LocalCluster::new(&assignment(4, 6)));
    /// let balancer = balancer.with_local_cluster(callers, 0);
    /// let routing = balancer.zone_routing().unwrap().unwrap();
    /// assert_eq!(routing.local_percent_to_route(), 5_000); // Of 10,000.
    /// ```
    ///
    /// # Upstream
    ///
    /// Envoy `source/extensions/load_balancing_policies/common/load_balancer_impl.cc`,
    /// `ZoneAwareLoadBalancerBase::resizePerPriorityState`, `regenerateLocalityRoutingStructures`.
    pub fn with_local_cluster(&self, local: Arc<LocalCluster>, now_ms: u64) -> Self {
        let inputs = self.levels.iter().map(|level| level.input().clone()).collect();
        let change = self.change(&self.policy, now_ms);
        self.assembled(inputs, Change { local: Some(local), ..change })
    }

    /// Returns how requests to the first priority find their zone, or why zones do not matter; none if
    /// the callers' own cluster is not known, or localities share by weight, whatever the zones are.
    pub fn zone_routing(&self) -> Option<Result<&ZoneRouting, NoZoneRouting>> {
        let zones = self.zones.as_ref().filter(|_| !self.policy.spread.locality_weighted);
        zones.map(|zones| zones.routing.as_ref().map_err(|why| *why))
    }

    /// Explains how requests to the first priority find their zone, one line a step; none if the callers'
    /// own cluster is not known, or zones are not looked at there: ring hash and Maglev.
    pub fn explain_zones(&self) -> Option<Vec<String>> {
        let zones = self.zones.as_ref().filter(|_| !self.policy.algorithm.is_consistent())?;
        match self.policy.spread.data_plane {
            DataPlane::IstioProxy | DataPlane::Envoy => {}
            DataPlane::Grpc | DataPlane::Ztunnel => return None,
        }
        if self.policy.spread.locality_weighted {
            return Some(vec!["zones do not matter: localities share by weight".to_owned()]);
        }
        let first = self.levels.first().map(|level| level.input());
        let config = &self.policy.zone_aware;
        let mut steps =
            sides(&zones.cluster, first, |local, upstream| explain_zones(config, local, upstream));
        match self.policy.zone_routing_enabled {
            0 => steps = vec!["zones do not matter: routing by zone is off".to_owned()],
            100.. => {}
            part => steps.push(format!("only {part} % of the requests are routed by zone")),
        }
        Some(steps)
    }

    pub(super) fn local_cluster(&self) -> Option<Arc<LocalCluster>> {
        self.zones.as_ref().map(|zones| Arc::clone(&zones.cluster))
    }
}

/// How the requests of a balancer's first priority find their zone.
#[derive(Clone, Debug)]
pub(super) struct ZoneRules {
    pub(super) cluster: Arc<LocalCluster>,
    pub(super) routing: Result<ZoneRouting, NoZoneRouting>,
}

impl ZoneRules {
    pub(super) fn new(
        cluster: Arc<LocalCluster>,
        first: Option<&LevelInput>,
        policy: &BalancerPolicy,
    ) -> Self {
        let routing = sides(&cluster, first, |local, upstream| match policy.spread.data_plane {
            DataPlane::IstioProxy | DataPlane::Envoy => {
                ZoneRouting::new(&policy.zone_aware, local, upstream)
            }
            DataPlane::Grpc | DataPlane::Ztunnel => Err(NoZoneRouting::OtherDataPlane),
        });
        Self { cluster, routing }
    }

    /// Draws where a request goes.
    #[inline(never)]
    pub(super) fn choose(
        &self,
        policy: &BalancerPolicy,
        mut random: impl FnMut() -> u64,
    ) -> ZoneChoice {
        let (routing_enabled, spread) = (policy.zone_routing_enabled, &policy.spread);
        let sample = match routing_enabled {
            1..100 if self.routing.is_ok() => random(),
            _ => 0,
        };
        let zone_use = ZoneUse { routing_enabled, on_panic: spread.on_panic };
        let routing = self.routing.as_ref().map_err(|why| *why);
        zone_use.choose(routing, sample, &self.cluster.hosts, spread.panic_threshold, random)
    }
}

/// Hands out both sides that routing compares: the callers, and the hosts of the first priority.
fn sides<T>(
    cluster: &LocalCluster,
    first: Option<&LevelInput>,
    compare: impl FnOnce(&Zones<'_, &Locality>, &Zones<'_, &Locality>) -> T,
) -> T {
    let callers: Vec<Zone<&Locality>> = cluster
        .zones
        .iter()
        .map(|zone| {
            let Zone { total, healthy, healthy_weight, .. } = *zone;
            Zone { locality: &zone.locality, total, healthy, healthy_weight }
        })
        .collect();
    let hosts = first.map(LevelInput::zones).unwrap_or_default();
    let local = Zones { zones: &callers, has_local_locality: cluster.has_local_locality };
    let has_local_locality = first.is_some_and(|first| first.has_local_locality);
    let upstream = Zones { zones: &hosts, has_local_locality };
    compare(&local, &upstream)
}
