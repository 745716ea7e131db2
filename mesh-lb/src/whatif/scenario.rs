//! What fails together, and what then holds for a proxy.
use std::sync::Arc;

use mesh_model::Compat;
use mesh_model::endpoint::{Address, Endpoint, Gateways, HealthStatus, Provider, Shard, Shards};
use mesh_model::name::ClusterId;
use mesh_model::view::{Destination, ProxyView};

use super::common::{Outcomes, is_fit};
use super::failure::Rank;
use super::fallen::Fallen;
use super::outcome::fronts;
use super::overload::Numbers;
use super::{Failure, Outcome};
use crate::assign::{AssignedEndpoint, Assignment, ClusterForm, Discovery, Id, Supply, Target};
use crate::share::Spread;

/// Things that fail at the same time.
///
/// Endpoints that fail are unhealthy (or gone) for the control plane, which sends them or not as it
/// does at any time; those that are draining or terminating end so. A gateway has no health in EDS: it fails
/// if it is named, with its cluster or network, or with the last ready pod of its service.
///
/// What ServiceEntries and WorkloadEntries list has no health for the control plane: it stays in use, and does
/// not answer. (A machine that reports its health would be left out; [`Loss::Removed`] says that.)
///
/// Pods that a ServiceEntry selects are its endpoints while they are ready: those that fail are gone.
///
/// A gateway by host name is one gateway: how many addresses the control plane resolves it to, and sends,
/// nobody else knows. Their shares together are its own, unless hosts count (RANDOM, `maxEjectionPercent`, the
/// health of a priority); it fails by its name, with all of them.
///
/// Before and after alike shares are of what is answered. Nobody answers at a gateway that has failed or
/// has no ready endpoint behind it, and nobody gets to an endpoint of another network by its own address,
/// which istiod sends where that network has no gateway. What clients send there is lost unless they
/// notice and send elsewhere, as gRPC's do. Envoy notices by outlier detection, as far as it may eject: where
/// failures to connect count (a threshold of 0 counts nothing), and up to `maxEjectionPercent` of all hosts of
/// the cluster, the first by priority, then in order. Told is how things are once there was traffic enough
/// to eject, and before an ejection ends.
#[derive(Clone, Debug, Default, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "callers name failures and what they do")]
pub struct Scenario {
    /// What fails.
    pub failures: Vec<Failure>,
    /// What a failure does to endpoints.
    pub loss: Loss,
}

/// What a failure does to endpoints.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "an endpoint stays known or does not")]
pub enum Loss {
    /// They become unhealthy and still count to the size of their priority; those without health stay as
    /// they are for the control plane, and pods that ServiceEntries select go.
    #[default]
    Unhealthy,
    /// They are removed, so that the health of what is left is not lowered.
    Removed,
}

/// What a scenario leaves of one service.
#[derive(Debug)]
pub(super) struct Failed<'s> {
    before: &'s Shards,
    gateways_before: &'s Gateways,
    fallen: &'s Fallen<'s>,
    /// The endpoints afterwards, if some fail.
    shards: Option<Shards>,
    /// Those of them that are down and of which the control plane is not told, by shard and index; none
    /// at all if it is told of all.
    untold: Untold,
    /// The gateways afterwards, if some are gone.
    gateways: Option<Gateways>,
}

impl<'s> Failed<'s> {
    /// Whether neither endpoints nor gateways fail.
    pub(super) const fn is_nothing(&self) -> bool {
        self.shards.is_none() && self.fallen.is_empty()
    }

    /// What assignments are then computed from.
    pub(super) fn supply<'f>(&'f self, compat: &'f Compat) -> Supply<'f> {
        Supply {
            shards: self.shards.as_ref().unwrap_or(self.before),
            gateways: self.gateways.as_ref().unwrap_or(self.gateways_before),
            counts_names: true,
            compat,
        }
    }

    /// Whether an endpoint may answer, by what the control plane is told and what it is not.
    pub(super) fn is_up(&self, (shard, index): Id, endpoint: &Endpoint) -> bool {
        self.untold.is_up((shard, index), endpoint)
    }

    /// What is down without the control plane being told.
    pub(super) const fn untold(&self) -> &Untold {
        &self.untold
    }

    /// The endpoints afterwards, if some are gone: others then have their places.
    pub(super) fn moved_shards(&self) -> Option<&Shards> {
        let count = |shards: &Shards| shards.endpoints().count();
        self.shards.as_ref().filter(|after| count(after) != count(self.before))
    }
}

/// Endpoints that are down and of which the control plane is not told, by shard and index; none at all if it
/// is told of all.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Untold(Arc<[Box<[bool]>]>);

impl Untold {
    /// Whether an endpoint may answer, by what the control plane is told and what it is not.
    pub(super) fn is_up(&self, (shard, index): Id, endpoint: &Endpoint) -> bool {
        let is_untold = || {
            let shard = self.0.get(usize::try_from(shard).ok()?)?;
            shard.get(usize::try_from(index).ok()?).copied()
        };
        is_fit(endpoint) && (self.0.is_empty() || is_untold() != Some(true))
    }
}

impl Scenario {
    /// Computes where a proxy's traffic goes while all of this has failed.
    pub fn outcome(&self, view: &ProxyView<'_>, destination: &Destination<'_>) -> Outcome {
        self.outcome_by(view, destination, Outcomes::default())
    }

    /// The same for another form of cluster than the one that the service has by itself.
    pub fn outcome_of_form(
        &self,
        view: &ProxyView<'_>,
        destination: &Destination<'_>,
        form: ClusterForm,
    ) -> Outcome {
        self.outcome_by(view, destination, Outcomes::of_form(form))
    }

    fn outcome_by(
        &self,
        view: &ProxyView<'_>,
        destination: &Destination<'_>,
        mut outcomes: Outcomes,
    ) -> Outcome {
        let by = (Discovery::of(view, destination), Spread::of(view, destination));
        let of = (view, destination);
        let numbers = Numbers::default();
        let fallen = self.fallen(view.mesh(), view.plane());
        self.with_failed((view, &fallen), destination, |failed| {
            outcomes.add(of, failed, by, &numbers).0
        })
    }

    /// Hands out what is left of a destination.
    pub(super) fn with_failed<T>(
        &self,
        (view, fallen): (&ProxyView<'_>, &Fallen<'_>),
        destination: &Destination<'_>,
        with: impl FnOnce(&Failed<'_>) -> T,
    ) -> T {
        let service = &destination.service;
        let is_dns = ClusterForm::of(service.resolution).is_dns();
        let none = Shards::default();
        let shards = view.shards(service).map_or(&none, AsRef::as_ref);
        let gateways =
            view.gateways(is_dns || view.mesh().compat().flags.resolve_hostname_gateways);
        let host = service.hostname.as_str();
        let ranks = self.ranks(shards, host);
        let (after, untold) = self.shards(shards, host, &ranks).unzip();
        with(&Failed {
            before: shards,
            gateways_before: gateways,
            fallen,
            shards: after,
            untold: untold.map(|untold| Untold(untold.into())).unwrap_or_default(),
            gateways: self.gateways(gateways, fallen),
        })
    }

    /// The endpoints after the failure, if some fail, and which of them are down without the control plane
    /// being told.
    fn shards(
        &self,
        shards: &Shards,
        host: &str,
        ranks: &Ranks<'_>,
    ) -> Option<(Shards, Vec<Box<[bool]>>)> {
        let fails = |endpoint: &Endpoint| self.hits(endpoint, host, ranks);
        let hits =
            |shard: &Arc<Shard>| -> Box<[bool]> { shard.endpoints().iter().map(fails).collect() };
        let hits: Vec<Box<[bool]>> = shards.iter().map(hits).collect();
        if !hits.iter().any(|hits| hits.contains(&true)) {
            return None;
        }
        // What has no endpoint left is no shard.
        let left = shards.iter().zip(&hits).map(|(shard, hits)| self.left_of(shard, hits));
        let left = left.filter(|(shard, _)| !shard.endpoints().is_empty());
        let (left, mut untold): (Vec<Arc<Shard>>, Vec<Box<[bool]>>) = left.unzip();
        if !untold.iter().any(|silent| silent.contains(&true)) {
            untold.clear();
        }
        Some((Shards::new(left), untold))
    }

    /// What is left of a shard of which some endpoints fail, and which of them are down without the control
    /// plane being told.
    fn left_of(&self, shard: &Arc<Shard>, hits: &[bool]) -> (Arc<Shard>, Box<[bool]>) {
        if !hits.contains(&true) {
            return (Arc::clone(shard), hits.into());
        }
        let removes =
            |endpoint: &Endpoint| self.loss == Loss::Removed || is_selected_pod(shard, endpoint);
        let all = shard.endpoints().iter().zip(hits);
        let left = all.filter(|(endpoint, fails)| !**fails || !removes(endpoint));
        let (endpoints, untold): (Vec<Endpoint>, Vec<bool>) = left
            .map(|(endpoint, fails)| match fails {
                true => {
                    let after = Endpoint { health: failed(endpoint.health), ..endpoint.clone() };
                    (after, endpoint.health == HealthStatus::Unknown)
                }
                false => (endpoint.clone(), false),
            })
            .unzip();
        (Arc::new(shard.renewed(endpoints)), untold.into())
    }

    /// The gateways after the failure, if it removes some.
    fn gateways(&self, gateways: &Gateways, fallen: &Fallen<'_>) -> Option<Gateways> {
        if self.loss == Loss::Unhealthy || fallen.is_empty() {
            return None;
        }
        let left = Gateways::new(gateways.iter().filter_map(|gateway| fallen.left_of(gateway)));
        (left != *gateways).then_some(left)
    }

    /// The service's endpoints in order, if a failure speaks of a part of them: an endpoint fails on
    /// all of its ports.
    pub(super) fn ranks<'s>(&self, shards: &'s Shards, host: &str) -> Ranks<'s> {
        let is_partial = |failure: &Failure| matches!(failure, Failure::Service(..));
        if host.is_empty() || !self.failures.iter().any(is_partial) {
            return Ranks::default();
        }
        Ranks::of_each(shards)
    }

    pub(super) fn hits(&self, endpoint: &Endpoint, host: &str, ranks: &Ranks<'_>) -> bool {
        let rank = ranks.of(endpoint);
        self.failures.iter().any(|failure| failure.hits(endpoint, host, rank))
    }
}

/// Finds what a client sends to and nobody answers, by the order of the assignment; none if everything
/// answers. It is the same before a failure and after.
///
/// Nobody gets to an endpoint of another network by its own address, which istiod sends where its network
/// has no gateway. A gateway has no health in EDS: it answers if it is there and an endpoint behind it does.
pub(super) fn lost(
    view: &ProxyView<'_>,
    assignment: &Assignment,
    failed: &Failed<'_>,
) -> Vec<bool> {
    let own = &view.proxy().network;
    let fronts = fronts(assignment, |id, endpoint| failed.is_up(id, endpoint));
    let is_lost = |endpoint: AssignedEndpoint<'_>| match endpoint.target() {
        Target::Gateway(_) | Target::DoubleTunnel(_) => {
            let dialled = endpoint.target().dialled();
            failed.fallen.contains(dialled) || fronts.get(&dialled) != Some(&true)
        }
        Target::Direct(to) | Target::Tunnel(to) => {
            // The control plane is told of what is unhealthy, and clients are.
            let is_down = || endpoint.id().is_some_and(|id| is_fit(to) && !failed.is_up(id, to));
            !to.workload.place.network.is_same_or_empty(own) || is_down()
        }
    };
    if !assignment.endpoints().any(is_lost) {
        return Vec::new();
    }
    assignment.endpoints().map(is_lost).collect()
}

/// Whether an endpoint is a pod that a ServiceEntry selects: those are endpoints as long as they are ready, and
/// the only ones of their registry with a health.
fn is_selected_pod(shard: &Shard, endpoint: &Endpoint) -> bool {
    shard.provider == Provider::External && endpoint.health != HealthStatus::Unknown
}

/// The health of an endpoint that fails: one that is ending ends, and of one without health nobody is told.
const fn failed(health: HealthStatus) -> HealthStatus {
    match health {
        HealthStatus::Unknown => HealthStatus::Unknown,
        HealthStatus::Healthy | HealthStatus::Unhealthy => HealthStatus::Unhealthy,
        HealthStatus::Draining | HealthStatus::Terminating => HealthStatus::Terminating,
    }
}

type Key<'s> = (&'s ClusterId, &'s Address);

/// The place of each address of a service, sorted by address.
#[derive(Debug, Default)]
pub(super) struct Ranks<'s>(Vec<(Key<'s>, u32)>);

impl<'s> Ranks<'s> {
    pub(super) fn of_each(shards: &'s Shards) -> Self {
        let keys = shards
            .endpoints()
            .map(|endpoint| (&endpoint.workload.place.cluster, &endpoint.address));
        let mut order: Vec<(usize, Key<'s>)> = keys.enumerate().collect();
        order.sort_by_key(|(index, key)| (*key, *index));
        order.dedup_by_key(|(_, key)| *key);
        order.sort_by_key(|(index, _)| *index);
        let mut by_key: Vec<(Key<'s>, u32)> =
            (0..).zip(order).map(|(rank, (_, key))| (key, rank)).collect();
        by_key.sort_unstable();
        Self(by_key)
    }

    pub(super) const fn len(&self) -> usize {
        self.0.len()
    }

    fn of(&self, endpoint: &Endpoint) -> Rank {
        let key = (&endpoint.workload.place.cluster, &endpoint.address);
        let found = self.0.binary_search_by(|(known, _)| known.cmp(&key)).ok();
        let index = found.and_then(|found| self.0.get(found)).map(|(_, rank)| *rank);
        match index {
            Some(index) => Rank { index, total: u32::try_from(self.0.len()).unwrap_or(u32::MAX) },
            None => Rank::default(),
        }
    }
}
