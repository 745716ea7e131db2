//! What shares do not tell of a failure, played through with a seed: balance by connection behind
//! gateways, the ejection of a gateway address, keys that move to other endpoints.
use std::collections::BTreeSet;

use mesh_model::view::{Destination, ProxyView};

use super::{Imbalance, Impact, Outcome};
use crate::balancer::{Balancer, BalancerPolicy, Host, HostFacts, assigned_health};
use crate::health::outlier::OutlierConfig;
use crate::health::status::{HealthFlag, HealthFlags, HealthStatus, HostHealth};
use crate::simulate::{
    EjectionOutcome, EjectionScenario, GatewayScenario, MovedKeys, moved_keys_between,
    play_ejections,
};

/// What outlier detection does to a network behind gateways, one endpoint of which fails.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "a value to report")]
pub struct Ejection {
    /// What was played.
    pub scenario: EjectionScenario,
    /// What became of the requests of one client.
    pub outcome: EjectionOutcome,
}

/// What playing tells of the traffic of one class.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Played {
    /// How evenly requests reach the endpoints behind gateways, if some get traffic.
    pub imbalance: Option<Imbalance>,
    /// What one bad endpoint behind the gateways does, if outlier detection is on.
    pub ejection: Option<Ejection>,
    /// How many keys go elsewhere than before, if keys decide.
    pub moved_keys: Option<MovedKeys>,
}

/// Plays; what many classes have in common it plays once.
#[derive(Clone, Debug)]
pub struct Player {
    seed: u64,
    imbalances: Vec<Imbalance>,
    ejections: Vec<Ejection>,
}

/// As many keys as are tried.
const KEYS: u32 = 2_000;

impl Player {
    /// Begins; the same seed gives the same answers.
    pub const fn new(seed: u64) -> Self {
        Self { seed, imbalances: Vec::new(), ejections: Vec::new() }
    }

    /// Plays what holds for a class after the failure, and what the failure does to its keys.
    pub fn play(&mut self, impact: &Impact<'_, '_>) -> Played {
        let (destination, after) = (impact.destination, impact.outcome());
        let clients = u32::try_from(impact.class.n_proxies).unwrap_or(u32::MAX);
        let imbalance = after.gateway_scenario(destination, clients, self.seed);
        let ejection = after.ejection_scenario(destination, self.seed);
        Played {
            imbalance: imbalance.map(|scenario| self.imbalance(scenario)),
            ejection: ejection.map(|scenario| self.ejection(scenario)),
            moved_keys: impact.after.as_ref().filter(|_| !impact.is_unreachable).and_then(
                |after| {
                    let before = &impact.class.before;
                    before.moved_keys(after, &impact.class.view, destination, self.seed)
                },
            ),
        }
    }

    fn imbalance(&mut self, scenario: GatewayScenario) -> Imbalance {
        if let Some(known) = self.imbalances.iter().find(|known| known.scenario == scenario) {
            return known.clone();
        }
        let played = Imbalance::play(scenario);
        self.imbalances.push(played.clone());
        played
    }

    fn ejection(&mut self, scenario: EjectionScenario) -> Ejection {
        if let Some(known) = self.ejections.iter().find(|known| known.scenario == scenario) {
            return *known;
        }
        let played = Ejection { scenario, outcome: play_ejections(&scenario) };
        self.ejections.push(played);
        played
    }
}

impl Outcome {
    /// Plays a client under the destination's outlier detection while one of the endpoints behind the
    /// gateways that get traffic answers 503; each connection keeps the endpoint that it has. None
    /// without outlier detection, without gateways, or with fewer than two endpoints behind them.
    pub fn ejection(&self, destination: &Destination<'_>, seed: u64) -> Option<Ejection> {
        let scenario = self.ejection_scenario(destination, seed)?;
        Some(Ejection { scenario, outcome: play_ejections(&scenario) })
    }

    fn ejection_scenario(
        &self,
        destination: &Destination<'_>,
        seed: u64,
    ) -> Option<EjectionScenario> {
        let policy = destination.cluster_policy.as_ref()?;
        let hosts = self.hosts_in_use();
        let outlier_detection = OutlierConfig::of(policy.outlier_detection.as_ref()?);
        (hosts.gateways > 0 && hosts.backends > 1).then(|| EjectionScenario {
            gateways: hosts.gateways,
            others: hosts.others,
            backends: hosts.backends,
            outlier_detection,
            seed,
            ..EjectionScenario::default()
        })
    }

    /// Compares where 2,000 random keys go before and after: what is ejected gets none of them, and those that
    /// go to what does not answer are with nobody. None unless keys decide: under ring hash and Maglev.
    pub fn moved_keys(
        &self,
        after: &Self,
        view: &ProxyView<'_>,
        destination: &Destination<'_>,
        seed: u64,
    ) -> Option<MovedKeys> {
        let policy = BalancerPolicy::of(view, destination);
        policy.algorithm.is_consistent().then(|| {
            let [before, after] = [self, after].map(|outcome| outcome.answering(&policy));
            moved_keys_between((&before.0, &before.1), (&after.0, &after.1), KEYS, seed)
        })
    }

    /// The balancer as the client has it, and the addresses that do not answer.
    fn answering(&self, policy: &BalancerPolicy) -> (Balancer, BTreeSet<Box<str>>) {
        let policy = BalancerPolicy { spread: self.spread, ..policy.clone() };
        let (mut silent, mut unfit) = (BTreeSet::new(), BTreeSet::new());
        for (index, endpoint) in self.assignment.endpoints().enumerate() {
            let is_noticed = || self.shares.health(index) != Some(endpoint.health());
            let address = || Host::address_of(endpoint);
            if self.shares.is_silent(index) {
                silent.insert(address());
                unfit.extend(self.shares.is_ejected(index).then(address));
            } else if is_noticed() {
                unfit.insert(address());
            }
        }
        let flags = HealthFlags::of(&[HealthFlag::FailedOutlierCheck]);
        let balancer = Balancer::with_health(&self.assignment, &policy, 0, |endpoint| {
            let is_unfit = !unfit.is_empty() && unfit.contains(&Host::address_of(endpoint));
            HostFacts::from(match is_unfit {
                true => HostHealth::new(HealthStatus::Healthy, flags),
                false => assigned_health(endpoint),
            })
        });
        (balancer, silent)
    }
}
