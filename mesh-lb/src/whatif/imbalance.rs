//! How evenly requests reach the endpoints behind gateways, played through.
//!
//! Shares say what every endpoint gets in the long run, if each request is balanced. A gateway balances
//! connections: what few clients send over few of them lands on few endpoints.
use std::collections::BTreeSet;

use mesh_model::endpoint::Endpoint;
use mesh_model::view::Destination;

use super::Outcome;
use crate::assign::Target;
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
    /// answer. None if no gateway gets traffic, or fewer than two endpoints are behind them.
    pub fn imbalance(
        &self,
        destination: &Destination<'_>,
        clients: u32,
        seed: u64,
    ) -> Option<Imbalance> {
        let mut gateways = BTreeSet::new();
        let mut backends = BTreeSet::new();
        for (endpoint, share) in self.assignment.endpoints().zip(self.shares.endpoints()) {
            let target = endpoint.target();
            if matches!(target, Target::Gateway(_) | Target::DoubleTunnel(_)) && *share > 0.0 {
                gateways.insert((target.address().to_string(), target.port()));
                backends.extend(endpoint.fronts().map(key));
            }
        }
        if gateways.is_empty() || backends.len() < 2 {
            return None;
        }
        let policy = destination.cluster_policy.as_deref();
        let pool = policy.and_then(|policy| policy.connection_pool.as_ref());
        let limit = pool.and_then(|pool| pool.http.as_ref());
        let limit = limit.map_or(0, |http| http.max_requests_per_connection);
        let narrow = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let scenario = GatewayScenario {
            clients,
            gateways: narrow(gateways.len()),
            backends: narrow(backends.len()),
            max_requests_per_connection: u32::try_from(limit).unwrap_or(0),
            seed,
            ..GatewayScenario::default()
        };
        let (by_connection, by_request) = (through_gateways(&scenario), directly(&scenario));
        Some(Imbalance { scenario, by_connection, by_request })
    }
}

/// What tells endpoints apart, be they behind one gateway or several.
fn key(endpoint: &Endpoint) -> (String, String, u16) {
    (endpoint.workload.cluster.to_string(), endpoint.address.to_string(), endpoint.port)
}
