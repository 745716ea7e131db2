//! How evenly requests reach the endpoints behind gateways, played through.
//!
//! Shares say what every endpoint gets in the long run, if each request is balanced. A gateway balances
//! connections: what few clients send over few of them lands on few endpoints.
use std::collections::BTreeSet;

use mesh_model::endpoint::Endpoint;
use mesh_model::view::Destination;

use super::Outcome;
use crate::assign::{AssignedEndpoint, Target};
use crate::simulate::{GatewayScenario, Spreading, directly, through_gateways};

/// The requests of some clients, through gateways and as they would be without.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "a value to report")]
pub struct Imbalance {
    /// What was played.
    pub scenario: GatewayScenario,
    /// What each endpoint got when the gateways picked one a connection.
    pub by_connection: Spreading,
    /// What each would have got if every request were balanced.
    pub by_request: Spreading,
}

impl Outcome {
    /// Plays the requests of `clients` like this one through the gateways that get traffic, with the
    /// limit of requests a connection that the destination's policy sets; the same seed gives the same
    /// answer. None if no gateway gets traffic, or fewer than two endpoints behind them are fit.
    pub fn imbalance(
        &self,
        destination: &Destination<'_>,
        clients: u32,
        seed: u64,
    ) -> Option<Imbalance> {
        self.gateway_scenario(destination, clients, seed).map(Imbalance::play)
    }

    /// Returns what there is to play.
    pub(super) fn gateway_scenario(
        &self,
        destination: &Destination<'_>,
        clients: u32,
        seed: u64,
    ) -> Option<GatewayScenario> {
        let Hosts { gateways, backends, .. } = self.hosts_in_use();
        if gateways == 0 || backends < 2 {
            return None;
        }
        let policy = destination.cluster_policy.as_deref();
        let pool = policy.and_then(|policy| policy.connection_pool.as_ref());
        let limit = pool.and_then(|pool| pool.http.as_ref());
        let limit = limit.map_or(0, |http| http.max_requests_per_connection);
        Some(GatewayScenario {
            clients,
            gateways,
            backends,
            max_requests_per_connection: u32::try_from(limit).unwrap_or(0),
            seed,
            ..GatewayScenario::default()
        })
    }

    /// Counts what gets traffic, and what is fit of what stands behind gateways.
    pub(super) fn hosts_in_use(&self) -> Hosts {
        let mut gateways = BTreeSet::new();
        let mut others = BTreeSet::new();
        for (endpoint, share) in self.assignment.endpoints().zip(self.shares.endpoints()) {
            let target = endpoint.target();
            let address = || (target.address().to_string(), target.port());
            if *share <= 0.0 {
                continue;
            }
            if matches!(target, Target::Gateway(_) | Target::DoubleTunnel(_)) {
                gateways.insert(address());
            } else {
                others.insert(address());
            }
        }
        // One address stands for the endpoints behind it of all localities; it sends on to those that are fit.
        let is_used = |endpoint: &AssignedEndpoint<'_>| {
            let target = endpoint.target();
            matches!(target, Target::Gateway(_) | Target::DoubleTunnel(_))
                && gateways.contains(&(target.address().to_string(), target.port()))
        };
        let behind = self.assignment.endpoints().filter(is_used).flat_map(AssignedEndpoint::behind);
        let fit = behind.filter(|(id, endpoint)| self.untold.is_up(*id, endpoint));
        let backends: BTreeSet<_> = fit.map(|(_, endpoint)| key(endpoint)).collect();
        let narrow = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        Hosts {
            gateways: narrow(gateways.len()),
            backends: narrow(backends.len()),
            others: narrow(others.len()),
        }
    }
}

impl Imbalance {
    pub(super) fn play(scenario: GatewayScenario) -> Self {
        let (by_connection, by_request) = (through_gateways(&scenario), directly(&scenario));
        Self { scenario, by_connection, by_request }
    }
}

/// What a client sends to, and what is behind it.
pub(super) struct Hosts {
    /// Addresses of gateways.
    pub(super) gateways: u32,
    /// Endpoints behind these that are fit.
    pub(super) backends: u32,
    /// Endpoints that it reaches by themselves.
    pub(super) others: u32,
}

/// What tells endpoints apart, be they behind one gateway or several.
fn key(endpoint: &Endpoint) -> (String, String, u16) {
    (endpoint.workload.place.cluster.to_string(), endpoint.address.to_string(), endpoint.port)
}
