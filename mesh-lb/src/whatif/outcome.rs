//! Where the traffic of one destination goes, by place and by endpoint.
use std::collections::BTreeMap;

use mesh_model::endpoint::{Address, Endpoint};
use mesh_model::name::{ClusterId, Locality, NetworkId};
use mesh_model::view::{Destination, ProxyView};

use super::Scenario;
use super::common::{each_received, is_fit};
use super::scenario::Untold;
use super::shift::Parts;
use crate::assign::{AssignedEndpoint, Assignment, Discovery, Id, Target};
use crate::share::{Shares, Spread};

/// Where the traffic of one destination goes.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Outcome {
    /// The endpoints in use.
    pub assignment: Assignment,
    /// How the cluster finds endpoints; where the client chooses, shares are all 0.
    pub discovery: Discovery,
    /// How the cluster spreads traffic.
    pub spread: Spread,
    /// What each gets.
    pub shares: Shares,
    pub(super) untold: Untold,
}

/// The traffic of one priority that goes to one cluster in one locality.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "a value that later stages read")]
pub struct Cell {
    /// Where it goes.
    pub locality: Locality,
    /// The cluster; empty for a gateway that several stand behind.
    pub cluster: ClusterId,
    /// The priority.
    pub priority: u32,
    /// The share, in percent of the destination's traffic.
    pub share: f64,
}

impl Outcome {
    /// Computes where a proxy's traffic goes at present, of what is answered.
    pub fn now(view: &ProxyView<'_>, destination: &Destination<'_>) -> Self {
        Scenario::default().outcome(view, destination)
    }

    /// The outcome of an assignment whose endpoints answer if they are healthy.
    pub(crate) fn of_assignment(
        assignment: Assignment,
        (discovery, spread): (Discovery, Spread),
    ) -> Self {
        let shares = assignment.shares(&spread);
        Self { assignment, discovery, spread, shares, untold: Untold::default() }
    }

    /// The same with other shares.
    pub(crate) fn with_shares(&self, shares: Shares) -> Self {
        Self { shares, ..self.clone() }
    }

    /// The outcome of a destination that does not exist.
    pub fn nowhere() -> Self {
        Self {
            assignment: Assignment::default(),
            discovery: Discovery::default(),
            spread: Spread::default(),
            shares: Shares::default(),
            untold: Untold::default(),
        }
    }

    /// Returns the traffic by priority, locality and cluster, in that order; what gets nothing is
    /// there with a share of 0.
    pub fn cells(&self) -> Vec<Cell> {
        let mut cells: Vec<Cell> = Vec::with_capacity(self.assignment.localities().len());
        let parts = Parts::of(&self.assignment);
        let localities = self.assignment.localities();
        let priorities = localities
            .flat_map(|locality| std::iter::repeat_n(locality.priority(), locality.parts().len()));
        for ((place, share), priority) in parts.shares(&self.shares).zip(priorities) {
            let (locality, cluster) = place;
            let is_same = |cell: &&mut Cell| {
                cell.priority == priority && cell.cluster == *cluster && cell.locality == *locality
            };
            // Neighbours mostly share their place.
            match cells.iter_mut().rev().find(is_same) {
                Some(cell) => cell.share += share,
                None => {
                    let (locality, cluster) = place.clone();
                    cells.push(Cell { locality, cluster, priority, share });
                }
            }
        }
        cells.sort_by(|a, b| {
            (a.priority, &a.locality, &a.cluster).cmp(&(b.priority, &b.locality, &b.cluster))
        });
        cells
    }

    /// Returns what each workload's endpoint receives in the end, in percent of the destination's
    /// traffic. What a gateway gets is divided over the endpoints behind it that are fit, by their
    /// weights: which of them it takes is its own affair.
    pub fn received(&self) -> Vec<(&Endpoint, f64)> {
        let mut received: Vec<(&Endpoint, f64)> = Vec::new();
        let shares = self.shares.endpoints();
        let is_up = |id, endpoint: &Endpoint| self.untold.is_up(id, endpoint);
        each_received(&self.assignment, is_up, |sent_to, _, endpoint, fraction| {
            let share = shares.get(sent_to).copied().unwrap_or_default();
            received.push((endpoint, share * fraction));
        });
        received
    }

    /// Returns whether every request fails: none is sent to an endpoint that answers, or to a gateway
    /// with one behind it. Where the client's own destination is kept none of the endpoints that it may
    /// ask for answers; hosts that are looked up are always reached.
    pub fn is_unreachable(&self) -> bool {
        self.is_unreachable_by(&silent(&self.assignment), None)
    }

    /// The same, given what is sent to and does not answer (none if everything does) and the client's
    /// network. In panic Envoy sends to what is unhealthy, too, and may be answered.
    pub(super) fn is_unreachable_by(&self, silent: &[bool], own: Option<&NetworkId>) -> bool {
        match self.discovery {
            Discovery::Eds | Discovery::StrictDns | Discovery::LogicalDns => {
                let used = self.shares.endpoints().iter().enumerate();
                let mut used = used.filter(|(_, share)| **share > 0.0);
                !used.any(|(index, _)| silent.get(index) != Some(&true))
            }
            Discovery::OriginalDestination => self.asked_for(silent, own) == Some(false),
            Discovery::DynamicForwardProxy | Discovery::Alias => false,
        }
    }

    /// Whether one of the endpoints answers that a client may ask for; `None` where it does not choose by
    /// itself, or none is known.
    ///
    /// The address that it asks for is dialled, be it in the subset or not, and whatever the control plane
    /// thinks of it.
    pub(super) fn asked_for(&self, silent: &[bool], own: Option<&NetworkId>) -> Option<bool> {
        if self.discovery != Discovery::OriginalDestination {
            return None;
        }
        let all = self.assignment.endpoints().enumerate();
        let known = all.filter_map(|(index, one)| match one.target() {
            Target::Direct(direct) | Target::Tunnel(direct) => {
                Some((direct, is_fit(direct) && silent.get(index) != Some(&true)))
            }
            Target::Gateway(_) | Target::DoubleTunnel(_) => None,
        });
        let left_out = self.assignment.dropped().filter(|(_, reason)| reason.is_of_picking());
        let left_out = left_out.map(|(endpoint, _)| (endpoint, is_fit(endpoint)));
        let is_near = |(endpoint, _): &(&Endpoint, bool)| {
            own.is_none_or(|own| endpoint.workload.place.network.is_same_or_empty(own))
        };
        let mut known = known.chain(left_out).filter(is_near).peekable();
        known.peek()?;
        Some(known.any(|(_, is_fit)| is_fit))
    }
}

/// Whether an endpoint behind it is up, for each gateway address that is sent to. One host stands for all
/// localities behind an address.
pub(super) fn fronts(
    assignment: &Assignment,
    is_up: impl Fn(Id, &Endpoint) -> bool,
) -> BTreeMap<(&Address, u16), bool> {
    let mut fit: BTreeMap<(&Address, u16), bool> = BTreeMap::new();
    for endpoint in assignment.endpoints().filter(|one| is_gateway(one.target())) {
        let any = endpoint.behind().any(|(id, behind)| is_up(id, behind));
        *fit.entry(endpoint.target().dialled()).or_default() |= any;
    }
    fit
}

/// What is sent to and has nobody behind it, by the order of the assignment; none if all have.
fn silent(assignment: &Assignment) -> Vec<bool> {
    let fronts = fronts(assignment, |_, endpoint| is_fit(endpoint));
    if fronts.values().all(|is_fit| *is_fit) {
        return Vec::new();
    }
    let is_silent = |endpoint: AssignedEndpoint<'_>| {
        let target = endpoint.target();
        is_gateway(target) && fronts.get(&target.dialled()) != Some(&true)
    };
    assignment.endpoints().map(is_silent).collect()
}

const fn is_gateway(target: Target<'_>) -> bool {
    matches!(target, Target::Gateway(_) | Target::DoubleTunnel(_))
}

/// The clusters that the traffic of each gateway address ends in: the one that all endpoints behind it are of,
/// whatever their localities; `None` if they are of several.
pub(super) fn clusters_behind(
    assignment: &Assignment,
) -> BTreeMap<(&Address, u16), Option<&ClusterId>> {
    let mut clusters: BTreeMap<(&Address, u16), Option<&ClusterId>> = BTreeMap::new();
    for endpoint in assignment.endpoints().filter(|one| is_gateway(one.target())) {
        for cluster in endpoint.fronts().map(|front| &front.workload.place.cluster) {
            let known = clusters.entry(endpoint.target().dialled()).or_insert(Some(cluster));
            *known = known.filter(|known| *known == cluster);
        }
    }
    clusters
}
