//! Hazards that only shares of traffic show: known defects of the control plane that change where
//! traffic of this mesh goes.
//!
//! ```text
//! a client of each place ─▶ shares as istiod assigns them ┐
//!                        └▶ shares with the defect mended ┴─ differ? ─▶ a finding with both
//! ```
//!
//! Each finding names the switch of [`Fixes`](mesh_model::compat::Fixes) that mends it.
use std::collections::{BTreeMap, BTreeSet};

use mesh_model::Compat;
use mesh_model::endpoint::Shards;
use mesh_model::lint::{Subject, sort};
use mesh_model::manifest::Diagnostic;
use mesh_model::registry::{Mesh, Resolution};
use mesh_model::view::{Destination, Proxy, ProxyView, Subset};

use crate::assign::{Assignment, ClusterForm, Discovery, Supply};
use crate::share::Spread;
use crate::whatif::Outcome;

mod gateway_ejection;
mod gateway_imbalance;
mod gateway_labels;
mod gateway_weights;

/// Finds what known defects do to the traffic of a mesh, by file, line and code.
///
/// Of the clients that suffer from one defect at one service the first is told, and how many others.
pub fn lint(mesh: &Mesh) -> Vec<Diagnostic> {
    let mut found: BTreeMap<(&'static str, String), (Diagnostic, usize)> = BTreeMap::new();
    let clients = clients(mesh);
    for client in &clients {
        let Some(view) = mesh.view(client) else { continue };
        if view.plane().named_gateways.is_empty() {
            continue;
        }
        for destination in destinations(&view) {
            let case = Case { view: &view, destination: &destination };
            for one in [gateway_weights::check(&case), gateway_labels::check(&case)] {
                let Some(one) = one else { continue };
                let key = (one.code, one.object.clone());
                found.entry(key).or_insert((one, 0)).1 += 1;
            }
        }
    }
    let mut found: Vec<Diagnostic> = found.into_values().map(with_others).collect();
    sort(&mut found);
    found
}

/// Adds figures to findings of hazards that a simulation can tell more about: how uneven requests come
/// out behind a gateway that balances connections, what the ejection of a network's only address takes
/// away. Which findings there are stays as it is.
pub fn add_figures(mesh: &Mesh, found: &mut [Diagnostic]) {
    gateway_imbalance::add_figures(mesh, found);
    gateway_ejection::add_figures(mesh, found);
}

/// Says for how many other clients a finding holds too.
fn with_others((mut found, clients): (Diagnostic, usize)) -> Diagnostic {
    let others = clients.saturating_sub(1);
    if others > 0 {
        found.message = format!("{}; so it is for clients of {others} other places", found.message);
    }
    found
}

/// One proxy of each place, kind and namespace.
fn clients(mesh: &Mesh) -> Vec<Proxy> {
    let mut seen = BTreeSet::new();
    let proxies = mesh.proxies().filter_map(|reference| mesh.proxy(&reference).ok());
    proxies
        .filter(|proxy| {
            seen.insert((
                proxy.cluster.clone(),
                proxy.network.clone(),
                proxy.locality.clone(),
                proxy.namespace.clone(),
                proxy.kind,
            ))
        })
        .collect()
}

/// The first port of every service, as a whole: ports share their endpoints.
fn destinations<'m>(view: &ProxyView<'m>) -> Vec<Destination<'m>> {
    let services = view.services().iter();
    let services = services.filter(|service| service.resolution == Resolution::ClientSideLb);
    services
        .filter_map(|service| {
            let port =
                service.ports.iter().find(|port| service.port(port.number) == Some(*port))?;
            Some(view.destination_of(service.clone(), port.clone(), Subset::None))
        })
        .collect()
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
        let gateways = self.view.gateways(form == ClusterForm::Dns);
        let supply = Supply { shards, gateways, compat: &compat };
        let assignment = Assignment::of_supply(self.view, self.destination, form, supply);
        let spread = Spread::of(self.view, self.destination);
        let shares = assignment.shares(&spread);
        let discovery = Discovery::of(self.view, self.destination);
        Outcome { assignment, discovery, spread, shares }
    }

    /// The shares by cluster and priority of both, if they differ.
    fn difference(&self, change: impl FnOnce(&mut Compat)) -> Option<(String, String)> {
        let (now, mended) = (by_cluster(&self.outcome(|_| {})), by_cluster(&self.outcome(change)));
        let differs = now.iter().any(|(place, share)| {
            mended.get(place).is_none_or(|other| (share - other).abs() > 0.5)
        });
        differs.then(|| (text(&now), text(&mended)))
    }

    fn client(&self) -> String {
        let proxy = self.view.proxy();
        format!("`{}` in `{}`", proxy.cluster, proxy.locality)
    }

    /// The service's object.
    fn subject(&self) -> Subject {
        let service = &self.destination.service;
        let plane = Some(&self.view.plane().id);
        let name = (&service.namespace, &*service.name);
        Subject::at(self.view.mesh(), plane, self.kind(), name)
    }

    fn kind(&self) -> &'static str {
        match self.destination.service.provider {
            mesh_model::endpoint::Provider::Kubernetes => "Service",
            mesh_model::endpoint::Provider::External => "ServiceEntry",
        }
    }

    /// The service's object as findings name it.
    fn object(&self) -> String {
        let service = &self.destination.service;
        format!("{}/{}/{}", self.kind(), service.namespace, service.name)
    }
}

fn by_cluster(outcome: &Outcome) -> BTreeMap<(String, u32), f64> {
    let mut sums = BTreeMap::new();
    for cell in outcome.cells() {
        *sums.entry((cell.cluster.to_string(), cell.priority)).or_default() += cell.share;
    }
    sums
}

fn text(shares: &BTreeMap<(String, u32), f64>) -> String {
    let parts = shares.iter().map(|((cluster, priority), share)| {
        let cluster = if cluster.is_empty() { "elsewhere" } else { cluster };
        format!("{cluster} {share:.1}% (priority {priority})")
    });
    parts.collect::<Vec<_>>().join(", ")
}
