//! Hazards that only shares of traffic show: known defects of the control plane that change where
//! traffic of this mesh goes, weights that 32 bits do not hold, and keys that do not stay where they are.
//!
//! ```text
//! a client of each class ─▶ shares as istiod assigns them ┐
//!                        └▶ shares with the defect mended ┴─ differ? ─▶ a finding with both
//! ```
//!
//! A finding of a defect names the switch of [`Fixes`](mesh_model::compat::Fixes) that mends it.
use std::collections::{BTreeMap, BTreeSet};

use mesh_model::Compat;
use mesh_model::endpoint::{HealthStatus, Shards};
use mesh_model::lint::{Subject, sort};
use mesh_model::manifest::Diagnostic;
use mesh_model::registry::{Mesh, Resolution, Service};
use mesh_model::view::{Destination, Proxy, ProxyView, Subset};

use crate::assign::{Assignment, ClusterForm, Discovery, Supply};
use crate::share::Spread;
use crate::whatif::{Asked, Outcome, distinct_views, services_and_subsets};

mod gateway_ejection;
mod gateway_imbalance;
mod gateway_labels;
mod gateway_weights;
mod hash_stability;
mod weight_overflow;
mod written;

/// What one rule finds for a client and a destination.
type Rule = fn(&Case<'_, '_>) -> Option<Diagnostic>;

/// Finds what known defects do to the traffic of a mesh, and where one endpoint less moves many keys,
/// by file, line and code.
///
/// Of the clients that suffer from one hazard at one service the first is told, at the first port and
/// subset where it does, and how many others; of keys that move one client is told, and others are not
/// looked at.
pub fn lint(mesh: &Mesh) -> Vec<Diagnostic> {
    type Of = (&'static str, String);
    let mut found: BTreeMap<Of, (Diagnostic, BTreeSet<usize>)> = BTreeMap::new();
    for (index, view) in distinct_views(mesh, &proxies(mesh)).iter().enumerate() {
        let of_gateways: &[Rule] = &[gateway_weights::check, gateway_labels::check];
        let has_gateways = !view.plane().named_gateways.is_empty();
        let of_gateways = if has_gateways { of_gateways } else { &[] };
        for destination in balanced(view) {
            let case = Case { view, destination: &destination };
            let is_remote = !of_gateways.is_empty() && leaves_network(view, &destination.service);
            let of_gateways = if is_remote { of_gateways } else { &[] };
            for check in of_gateways {
                let Some(one) = check(&case) else { continue };
                let key = (one.code, case.object());
                found.entry(key).or_insert((one, BTreeSet::new())).1.insert(index);
            }
            if let Some(one) = weight_overflow::check(&case) {
                let key = (one.code, case.object());
                found.entry(key).or_insert((one, BTreeSet::new())).1.insert(index);
            }
            // Playing it takes time; one class that has it is enough.
            let key = (hash_stability::CODE, case.object());
            if !found.contains_key(&key)
                && let Some(one) = hash_stability::check(&case)
            {
                found.insert(key, (one, BTreeSet::new()));
            }
        }
    }
    let told = |(one, clients): (Diagnostic, BTreeSet<usize>)| with_others(one, clients.len());
    let mut found: Vec<Diagnostic> = found.into_values().map(told).collect();
    sort(&mut found);
    found
}

/// All clients.
fn proxies(mesh: &Mesh) -> Vec<Proxy> {
    mesh.clients().filter_map(|reference| mesh.proxy(&reference).ok()).collect()
}

/// Adds figures to findings of hazards that a simulation can tell more about: how uneven requests come
/// out behind a gateway that balances connections, what the ejection of a network's only address takes
/// away. Which findings there are stays as it is.
pub fn add_figures(mesh: &Mesh, found: &mut [Diagnostic]) {
    gateway_imbalance::add_figures(mesh, found);
    gateway_ejection::add_figures(mesh, found);
}

/// Says that a finding holds for other clients too.
fn with_others(mut found: Diagnostic, clients: usize) -> Diagnostic {
    let more = match clients.saturating_sub(1) {
        0 => return found,
        1 => "one other class of clients is hit, too, with shares of its own".to_owned(),
        others => {
            format!("{others} other classes of clients are hit, too, with shares of their own")
        }
    };
    found.message = format!("{}; {more}", found.message);
    found
}

/// Every port and subset of the services whose endpoints the proxy balances over.
fn balanced<'m>(view: &ProxyView<'m>) -> impl Iterator<Item = Destination<'m>> {
    let asked = services_and_subsets(view).into_iter();
    let asked = asked.filter(|asked| asked.service.resolution == Resolution::ClientSideLb);
    asked.map(|Asked { service, port, subset }| {
        view.destination_of(service, port, Subset::from(&*subset))
    })
}

/// Those of them that have endpoints in other networks than the proxy's.
fn destinations<'m>(view: &ProxyView<'m>) -> impl Iterator<Item = Destination<'m>> {
    balanced(view).filter(|destination| leaves_network(view, &destination.service))
}

/// Whether a service has endpoints in other networks than the proxy's.
fn leaves_network(view: &ProxyView<'_>, service: &Service) -> bool {
    let shards = view.shards(service).into_iter().flat_map(|shards| shards.iter());
    let mut cohorts = shards.flat_map(|shard| shard.cohorts());
    cohorts.any(|of| of.cohort().workload().place.network != view.proxy().network)
}

/// A client and a destination.
struct Case<'c, 'm> {
    view: &'c ProxyView<'m>,
    destination: &'c Destination<'m>,
}

impl Case<'_, '_> {
    /// Where traffic goes when the mesh's switches are changed.
    fn outcome(&self, change: impl FnOnce(&mut Compat)) -> Outcome {
        let mut compat = self.view.mesh().compat().clone();
        change(&mut compat);
        let form = ClusterForm::of(self.destination.service.resolution);
        let none = Shards::default();
        let shards = self.view.shards(&self.destination.service).map_or(&none, AsRef::as_ref);
        let gateways = self.view.gateways(form.is_dns());
        let supply = Supply { shards, gateways, counts_names: false, compat: &compat };
        let assignment = Assignment::of_supply(self.view, self.destination, form, supply);
        let spread = Spread::of(self.view, self.destination);
        let discovery = Discovery::of(self.view, self.destination);
        Outcome::of_assignment(assignment, (discovery, spread))
    }

    /// The shares by cluster of both, at the first step of failover where they differ.
    fn difference(&self, change: impl FnOnce(&mut Compat)) -> Option<Difference> {
        let (now, mended) = (steps(&self.outcome(|_| {})), steps(&self.outcome(change)));
        let none = BTreeMap::new();
        let pairs = (0..now.len().max(mended.len()))
            .map(|step| (step, now.get(step).unwrap_or(&none), mended.get(step).unwrap_or(&none)));
        let (step, now, mended) = pairs.into_iter().find(|(_, now, mended)| differ(now, mended))?;
        let Destination { service, port, subset, .. } = self.destination;
        let subset = if subset.is_empty() { String::new() } else { format!(" subset `{subset}`") };
        let after = match step {
            0 => String::new(),
            1 => "once what they use first has failed, ".to_owned(),
            step => format!("once what they use in the first {step} steps has failed, "),
        };
        let now = format!(
            "{after}clients like {} send `{}:{}`{subset} {}",
            self.client(),
            service.hostname,
            port.number,
            text(now)
        );
        Some(Difference { now, mended: text(mended) })
    }

    /// The client, and where it is.
    fn client(&self) -> String {
        let proxy = self.view.proxy();
        format!("`{}` in `{}`", proxy.reference(), proxy.locality)
    }

    /// The service's object.
    fn subject(&self) -> Subject {
        let (mesh, plane) = (self.view.mesh(), &self.view.plane().id);
        Subject::of_service(mesh, plane, &self.destination.service)
    }

    /// The port of the destination in the service's object.
    fn port_field(&self) -> String {
        let ports = &self.destination.service.ports;
        let at = ports.iter().position(|port| port.number == self.destination.port.number);
        at.map_or_else(|| "spec.ports".to_owned(), |at| format!("spec.ports[{at}]"))
    }

    fn kind(&self) -> &'static str {
        match self.destination.service.provider {
            mesh_model::endpoint::Provider::Kubernetes => "Service",
            mesh_model::endpoint::Provider::External => "ServiceEntry",
        }
    }

    /// What tells one service from another: its object, one of ServiceEntries by its host.
    fn object(&self) -> String {
        let service = &self.destination.service;
        format!("{}/{}/{}", self.kind(), service.namespace, service.name)
    }
}

/// What clients send, and what they would send with a defect mended.
struct Difference {
    now: String,
    mended: String,
}

/// Shares by cluster.
type ByCluster = BTreeMap<String, f64>;

/// Where traffic goes while all is fit, and then while one more priority has failed each time, as long
/// as that makes a difference.
fn steps(outcome: &Outcome) -> Vec<ByCluster> {
    let steps = (0..outcome.assignment.n_priorities()).map(|step| {
        let shares = outcome.assignment.shares_with(&outcome.spread, |endpoint| {
            match endpoint.locality().priority() < step {
                true => HealthStatus::Unhealthy,
                false => endpoint.health(),
            }
        });
        by_cluster(&outcome.with_shares(shares))
    });
    let mut steps: Vec<ByCluster> = steps.collect();
    steps.dedup_by(|a, b| !differ(a, b));
    steps
}

fn differ(a: &ByCluster, b: &ByCluster) -> bool {
    let share = |of: &ByCluster, cluster: &String| of.get(cluster).copied().unwrap_or_default();
    a.keys().chain(b.keys()).any(|cluster| (share(a, cluster) - share(b, cluster)).abs() > 0.5)
}

fn by_cluster(outcome: &Outcome) -> ByCluster {
    let mut sums = ByCluster::new();
    for cell in outcome.cells() {
        *sums.entry(cell.cluster.to_string()).or_default() += cell.share;
    }
    sums
}

fn text(shares: &ByCluster) -> String {
    let parts = shares.iter().filter(|(_, share)| **share >= 0.05).map(|(cluster, share)| {
        let cluster = if cluster.is_empty() { "several clusters" } else { cluster };
        format!("{cluster} {share:.1}%")
    });
    let parts: Vec<String> = parts.collect();
    if parts.is_empty() { "nowhere".to_owned() } else { parts.join(", ") }
}
