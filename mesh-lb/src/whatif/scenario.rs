//! What fails together, and what then holds for a proxy.
use std::sync::Arc;

use mesh_model::Compat;
use mesh_model::endpoint::{Address, Endpoint, Gateways, HealthStatus, Shard, Shards};
use mesh_model::name::ClusterId;
use mesh_model::view::{Destination, ProxyView};

use super::common::Outcomes;
use super::failure::Rank;
use super::overload::Numbers;
use super::{Failure, Outcome};
use crate::assign::{AssignedEndpoint, ClusterForm, Discovery, Supply, Target};
use crate::share::Spread;

/// Things that fail at the same time.
///
/// Endpoints that fail are unhealthy (or gone) for the control plane, which sends them or not as it
/// does at any time. A gateway has no health in EDS: clients notice by themselves that it is gone. It
/// counts as failed if it is named, if its cluster or network is, or if everything behind it fails.
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
    /// They become unhealthy and still count to the size of their priority.
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
    host: &'s str,
    ranks: Ranks<'s>,
    /// The endpoints afterwards, if some fail.
    shards: Option<Shards>,
    /// The gateways afterwards, if some are gone.
    gateways: Option<Gateways>,
    is_gateway_hit: bool,
}

impl<'s> Failed<'s> {
    /// Whether neither endpoints nor gateways fail.
    pub(super) const fn is_nothing(&self) -> bool {
        self.shards.is_none() && !self.is_gateway_hit
    }

    /// What assignments are then computed from.
    pub(super) fn supply<'f>(&'f self, compat: &'f Compat) -> Supply<'f> {
        Supply {
            shards: self.shards.as_ref().unwrap_or(self.before),
            gateways: self.gateways.as_ref().unwrap_or(self.gateways_before),
            compat,
        }
    }

    /// The endpoints afterwards, if some fail.
    pub(super) const fn shards(&self) -> Option<&Shards> {
        self.shards.as_ref()
    }
}

impl Scenario {
    /// Computes where a proxy's traffic goes while all of this has failed.
    pub fn outcome(&self, view: &ProxyView<'_>, destination: &Destination<'_>) -> Outcome {
        let by = (Discovery::of(view, destination), Spread::of(view, destination));
        let of = (view, destination);
        let numbers = Numbers::default();
        self.with_failed(view, destination, |failed| {
            Outcomes::default().add(of, (self, failed), by, &numbers).0
        })
    }

    /// Hands out what is left of a destination.
    pub(super) fn with_failed<T>(
        &self,
        view: &ProxyView<'_>,
        destination: &Destination<'_>,
        with: impl FnOnce(&Failed<'_>) -> T,
    ) -> T {
        let service = &destination.service;
        let is_dns = ClusterForm::of(service.resolution) == ClusterForm::Dns;
        let none = Shards::default();
        let shards = view.shards(service).map_or(&none, AsRef::as_ref);
        let gateways = view.gateways(is_dns);
        with(&self.failed(shards, gateways, service.hostname.as_str()))
    }

    /// What is left of a service's endpoints and of the gateways.
    fn failed<'s>(&self, shards: &'s Shards, gateways: &'s Gateways, host: &'s str) -> Failed<'s> {
        let ranks = self.ranks(shards, host);
        let left = self.shards(shards, host, &ranks);
        let fails = |gateway| self.failures.iter().any(|failure| failure.hits_gateway(gateway));
        Failed {
            before: shards,
            gateways_before: gateways,
            host,
            shards: left,
            gateways: self.gateways(gateways),
            is_gateway_hit: gateways.iter().any(fails),
            ranks,
        }
    }

    /// The endpoints after the failure, if some fail.
    fn shards(&self, shards: &Shards, host: &str, ranks: &Ranks<'_>) -> Option<Shards> {
        let fails = |endpoint: &Endpoint| self.hits(endpoint, host, ranks);
        let hits =
            |shard: &Arc<Shard>| -> Box<[bool]> { shard.endpoints().iter().map(fails).collect() };
        let hits: Vec<Box<[bool]>> = shards.iter().map(hits).collect();
        let left = |(shard, hits): (&Arc<Shard>, &[bool])| {
            if !hits.contains(&true) {
                return shard.clone();
            }
            let endpoints = shard.endpoints().iter().zip(hits);
            let endpoints: Vec<Endpoint> = match self.loss {
                Loss::Removed => {
                    endpoints.filter(|(_, fails)| !**fails).map(|(one, _)| one.clone()).collect()
                }
                Loss::Unhealthy => endpoints
                    .map(|(endpoint, fails)| match fails {
                        true => Endpoint { health: HealthStatus::Unhealthy, ..endpoint.clone() },
                        false => endpoint.clone(),
                    })
                    .collect(),
            };
            Arc::new(shard.renewed(endpoints))
        };
        let is_hit = hits.iter().any(|hits| hits.contains(&true));
        is_hit.then(|| Shards::new(shards.iter().zip(hits.iter().map(AsRef::as_ref)).map(left)))
    }

    /// The gateways after the failure, if it removes some.
    fn gateways(&self, gateways: &Gateways) -> Option<Gateways> {
        let fails = |gateway| self.failures.iter().any(|failure| failure.hits_gateway(gateway));
        if self.loss == Loss::Unhealthy || !gateways.iter().any(fails) {
            return None;
        }
        Some(Gateways::new(gateways.iter().filter(|gateway| !fails(gateway)).cloned()))
    }

    /// The service's endpoints in order, if a failure speaks of a part of them: an endpoint fails on
    /// all of its ports.
    fn ranks<'s>(&self, shards: &'s Shards, host: &str) -> Ranks<'s> {
        let is_partial = |failure: &Failure| matches!(failure, Failure::Service(..));
        if host.is_empty() || !self.failures.iter().any(is_partial) {
            return Ranks::default();
        }
        let keys =
            shards.endpoints().map(|endpoint| (&endpoint.workload.cluster, &endpoint.address));
        let mut order: Vec<(usize, Key<'s>)> = keys.enumerate().collect();
        order.sort_by_key(|(index, key)| (*key, *index));
        order.dedup_by_key(|(_, key)| *key);
        order.sort_by_key(|(index, _)| *index);
        let mut by_key: Vec<(Key<'s>, u32)> =
            (0..).zip(order).map(|(rank, (_, key))| (key, rank)).collect();
        by_key.sort_unstable();
        Ranks(by_key)
    }

    fn hits(&self, endpoint: &Endpoint, host: &str, ranks: &Ranks<'_>) -> bool {
        let rank = ranks.of(endpoint);
        self.failures.iter().any(|failure| failure.hits(endpoint, host, rank))
    }

    /// Whether a client no longer gets through a gateway.
    pub(super) fn is_gateway_lost(
        &self,
        endpoint: AssignedEndpoint<'_>,
        failed: &Failed<'_>,
    ) -> bool {
        let gateway = match endpoint.target() {
            Target::Gateway(gateway) | Target::DoubleTunnel(gateway) => gateway,
            Target::Direct(_) | Target::Tunnel(_) => return false,
        };
        let mut behind = endpoint.fronts().peekable();
        self.failures.iter().any(|failure| failure.hits_gateway(gateway))
            || (behind.peek().is_some()
                && behind.all(|behind| self.hits(behind, failed.host, &failed.ranks)))
    }
}

type Key<'s> = (&'s ClusterId, &'s Address);

/// The place of each address of a service, sorted by address.
#[derive(Debug, Default)]
struct Ranks<'s>(Vec<(Key<'s>, u32)>);

impl Ranks<'_> {
    fn of(&self, endpoint: &Endpoint) -> Rank {
        let key = (&endpoint.workload.cluster, &endpoint.address);
        let found = self.0.binary_search_by(|(known, _)| known.cmp(&key)).ok();
        let index = found.and_then(|found| self.0.get(found)).map(|(_, rank)| *rank);
        match index {
            Some(index) => Rank { index, total: u32::try_from(self.0.len()).unwrap_or(u32::MAX) },
            None => Rank::default(),
        }
    }
}
