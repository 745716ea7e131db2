//! What outcomes have in common: clients that may use the same endpoints differ in shares alone.
use std::collections::BTreeMap;
use std::sync::Arc;

use mesh_model::endpoint::{Address, Endpoint, HealthStatus};
use mesh_model::name::NetworkId;
use mesh_model::view::{Destination, ProxyView};

use super::Outcome;
use super::overload::Numbers;
use super::scenario::{Failed, lost};
use super::shift::Parts;
use crate::assign::{Assignment, Bases, Basis, ClusterForm, Discovery, Id, Rank, Target};
use crate::health::outlier::OutlierConfig;
use crate::load::DataPlane;
use crate::share::{HostTable, Shares, Spread};

/// Outcomes of one destination while the same has failed.
#[derive(Clone, Debug, Default)]
pub(super) struct Outcomes {
    /// The form of the cluster; `None`: what its service has by itself.
    form: Option<ClusterForm>,
    bases: Bases,
    commons: Vec<Common>,
}

/// What outcomes have in common whose assignments are on one basis.
#[derive(Clone, Debug)]
pub(super) struct Common {
    // Held, so that no other takes its address.
    basis: Arc<Basis>,
    /// The clients' network, which decides what they get to.
    network: NetworkId,
    hosts: HostTable,
    parts: Parts,
    portions: Box<[Portion]>,
    /// What is sent to and does not answer, by index; none if everything does.
    lost: Box<[bool]>,
    /// The shares that were computed last.
    // INVARIANT: at most `KEPT`.
    known: Vec<Known>,
}

/// The shares of clients that rank localities alike.
#[derive(Clone, Debug)]
struct Known {
    ranks: Arc<[Rank]>,
    by: (Discovery, Spread),
    shares: Shares,
}

/// So many of the shares that were computed last are known.
const KEPT: usize = 8;

/// What an endpoint carries of what is sent to it, or to a gateway before it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Portion {
    /// The index of what is sent to among the endpoints of an assignment.
    pub(super) sent_to: usize,
    /// The number of the endpoint.
    pub(super) carrier: u32,
    pub(super) fraction: f64,
}

impl Outcomes {
    /// None yet, of another form of cluster than the one that a service has by itself.
    pub(super) fn of_form(form: ClusterForm) -> Self {
        Self { form: Some(form), ..Self::default() }
    }

    /// Computes an outcome; also says by its place among [`commons`](Self::commons) what it has in common
    /// with others.
    pub(super) fn add(
        &mut self,
        (view, destination): (&ProxyView<'_>, &Destination<'_>),
        failed: &Failed<'_>,
        by: (Discovery, Spread),
        numbers: &Numbers,
    ) -> (Outcome, usize) {
        let supply = failed.supply(view.mesh().compat());
        let form = self.form.unwrap_or(ClusterForm::of(destination.service.resolution));
        let assignment = Assignment::of_bases(view, destination, form, (supply, &mut self.bases));
        let network = &view.proxy().network;
        let is_known = |common: &Common| {
            Arc::ptr_eq(&common.basis, assignment.basis()) && common.network == *network
        };
        let at = self.commons.iter().position(is_known).unwrap_or_else(|| {
            let lost = lost(view, &assignment, failed);
            let hosts = hosts(&assignment, destination, by.1, lost.clone());
            self.commons.push(Common {
                basis: Arc::clone(assignment.basis()),
                network: network.clone(),
                hosts,
                parts: Parts::of(&assignment),
                portions: portions(&assignment, numbers, failed),
                lost: lost.into(),
                known: Vec::with_capacity(KEPT),
            });
            self.commons.len() - 1
        });
        let shares = match self.commons.get_mut(at) {
            Some(common) => common.shares(&assignment, by),
            None => assignment.no_shares(),
        };
        let (discovery, spread) = by;
        let untold = failed.untold().clone();
        (Outcome { assignment, discovery, spread, shares, untold }, at)
    }

    /// What they have in common.
    pub(super) fn commons(&self) -> &[Common] {
        &self.commons
    }
}

impl Common {
    fn shares(&mut self, assignment: &Assignment, by: (Discovery, Spread)) -> Shares {
        let ranks = assignment.ranks();
        let is_of = |known: &&Known| known.by == by && known.ranks == *ranks;
        if let Some(known) = self.known.iter().rev().find(is_of) {
            return known.shares.clone();
        }
        let (discovery, spread) = by;
        let shares = match discovery.picks() {
            true => self.hosts.shares(assignment, &spread),
            false => self.hosts.no_shares(),
        };
        if self.known.len() == KEPT {
            self.known.remove(0);
        }
        self.known.push(Known { ranks: Arc::clone(ranks), by, shares: shares.clone() });
        shares
    }

    pub(super) const fn parts(&self) -> &Parts {
        &self.parts
    }

    /// Whether nothing is answered of what an outcome sends.
    pub(super) fn is_unreachable(&self, outcome: &Outcome) -> bool {
        outcome.is_unreachable_by(&self.lost, Some(&self.network))
    }

    /// Whether endpoints are known that a client may ask for by itself.
    pub(super) fn is_asked_for(&self, outcome: &Outcome) -> bool {
        outcome.asked_for(&self.lost, Some(&self.network)).is_some()
    }

    pub(super) const fn portions(&self) -> &[Portion] {
        &self.portions
    }
}

/// The hosts as a client has them: of what is lost it sends elsewhere what it notices.
///
/// A gRPC client does not get connected. Envoy ejects hosts to which it cannot connect, if outlier detection
/// counts that, and no more than `maxEjectionPercent` of all hosts of the cluster; a name that DNS
/// resolves counts as one host.
fn hosts(
    assignment: &Assignment,
    destination: &Destination<'_>,
    spread: Spread,
    lost: Vec<bool>,
) -> HostTable {
    if spread.data_plane == DataPlane::Grpc {
        return HostTable::new(assignment, &spread, |(index, endpoint)| {
            let is_lost = lost.get(index) == Some(&true);
            if is_lost { HealthStatus::Unhealthy } else { endpoint.health() }
        });
    }
    let is_lost = !lost.is_empty();
    let hosts = HostTable::new(assignment, &spread, |(_, endpoint)| endpoint.health())
        .without_answer_of(lost);
    let policy = destination.cluster_policy.as_deref().filter(|_| is_lost);
    let detection = policy.and_then(|policy| policy.outlier_detection.as_ref());
    match detection.map(OutlierConfig::of).filter(OutlierConfig::ejects_unreachable) {
        Some(config) => hosts.ejecting(|silent, hosts| config.ejectable(silent, hosts)),
        None => hosts,
    }
}

fn portions(assignment: &Assignment, numbers: &Numbers, failed: &Failed<'_>) -> Box<[Portion]> {
    let mut portions = Vec::with_capacity(assignment.localities().map(|of| of.len()).sum());
    let is_up = |id, endpoint: &Endpoint| failed.is_up(id, endpoint);
    each_received(assignment, is_up, |sent_to, id, _, fraction| {
        let number = numbers.of(id);
        portions.extend(number.map(|carrier| Portion { sent_to, carrier, fraction }));
    });
    portions.into()
}

/// Calls `with` for each endpoint that receives something in the end, with the index of what is sent to
/// and the part of that which it receives.
///
/// What a gateway address gets is divided over the endpoints behind it that are up, in whatever
/// localities, by their weights.
pub(super) fn each_received<'a>(
    assignment: &'a Assignment,
    is_up: impl Fn(Id, &Endpoint) -> bool,
    mut with: impl FnMut(usize, Id, &'a Endpoint, f64),
) {
    let mut behind: BTreeMap<(&Address, u16), Vec<(Id, &'a Endpoint)>> = BTreeMap::new();
    let mut gateways = Vec::new();
    for (index, endpoint) in assignment.endpoints().enumerate() {
        match (endpoint.target(), endpoint.id()) {
            (Target::Direct(direct) | Target::Tunnel(direct), Some(id)) => {
                with(index, id, direct, 1.0);
            }
            (Target::Gateway(_) | Target::DoubleTunnel(_), _) | (_, None) => {
                let address = endpoint.target().dialled();
                let fit = endpoint.behind().filter(|(id, behind)| is_up(*id, behind));
                behind.entry(address).or_default().extend(fit);
                gateways.push((index, address));
            }
        }
    }
    for (index, address) in gateways {
        let fit = behind.get(&address).map(Vec::as_slice).unwrap_or_default();
        let weight = |behind: &Endpoint| f64::from(behind.effective_weight());
        let total: f64 = fit.iter().map(|(_, behind)| weight(behind)).sum();
        fit.iter().for_each(|(id, behind)| with(index, *id, behind, weight(behind) / total));
    }
}

pub(super) const fn is_fit(endpoint: &Endpoint) -> bool {
    matches!(endpoint.health, HealthStatus::Unknown | HealthStatus::Healthy)
}
