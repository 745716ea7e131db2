//! Who follows routes: the proxies that a VirtualService is for, and the rules that count for them.
//!
//! ```text
//! pods ─one a namespace─▶ clients ─bound and exported to─▶ who follows ─▶ rule in force for each
//! ```
use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::sync::Arc;

use super::scene::Scene;
use crate::name::{Hostname, Labels, Namespace};
use crate::registry::{ExportTo, MESH, MergedRule, Service, Services};
use crate::resource::VirtualService;
use crate::view::{ProxyKind, Scope, has_proxy, kind_of_pod};

/// The proxies that a control plane serves.
pub(super) struct Clients<'s, 'm> {
    scene: &'s Scene<'m>,
    all: Vec<Client<'s>>,
}

/// The proxies of a namespace, or those of one set of labels where labels tell them apart.
pub(super) struct Client<'s> {
    pub(super) namespace: &'s Namespace,
    labels: &'s Labels,
    is_sidecar: bool,
    /// What its Sidecar imports; computed where a finding depends on it only.
    scope: OnceCell<Option<Scope>>,
}

/// What a route asks of the proxies that follow it.
#[derive(Clone, Copy)]
pub(super) struct Asked<'m> {
    pub(super) gateways: &'m [Box<str>],
    pub(super) namespace: &'m str,
    pub(super) labels: &'m Labels,
}

/// A way to routes: the object with the hosts, and the conditions one of which must hold, in each list
/// that is not empty.
pub(super) struct Way<'m> {
    pub(super) root: &'m VirtualService,
    pub(super) asked: Vec<Vec<Asked<'m>>>,
}

impl<'s, 'm> Clients<'s, 'm> {
    pub(super) fn of(scene: &'s Scene<'m>) -> Self {
        let divided = divided(scene);
        let root = &scene.plane.config.root_namespace;
        let mut seen = BTreeSet::new();
        let mut all = Vec::new();
        for (pod, workload) in &scene.workloads {
            let is_sidecar = match kind_of_pod(pod, root) {
                _ if has_proxy(pod) != Some(true) => continue,
                ProxyKind::Sidecar => true,
                ProxyKind::Router => false,
                ProxyKind::Waypoint | ProxyKind::Ztunnel => continue,
            };
            let (namespace, labels) = (&workload.namespace, &workload.labels);
            let told_apart = (!is_sidecar || divided.contains(namespace)).then_some(labels);
            let is_served = || {
                let plane = scene.mesh.control_plane_of(workload.place.cluster.as_str());
                plane.is_some_and(|plane| plane.id == scene.plane.id)
            };
            let key = (namespace, is_sidecar, told_apart);
            if !seen.contains(&key) && is_served() {
                seen.insert(key);
                all.push(Client { namespace, labels, is_sidecar, scope: OnceCell::new() });
            }
        }
        Self { scene, all }
    }

    /// The clients that follow routes of an object to a host. A client whose Sidecar imports neither is
    /// none.
    pub(super) fn of_routes<'c>(
        &'c self,
        ways: &[Way<'_>],
    ) -> impl Iterator<Item = &'c Client<'s>> {
        self.all.iter().filter(|client| ways.iter().any(|way| self.follows(client, way)))
    }

    /// Whether the Sidecar of a client, if it has one, imports the routes.
    pub(super) fn imports(&self, client: &Client<'_>, ways: &[Way<'_>]) -> bool {
        let Some(scope) = self.scope(client) else { return true };
        let mut imported = scope.egress().iter().flat_map(|egress| &egress.virtual_services);
        imported.any(|object| ways.iter().any(|way| way.root.meta == object.meta))
    }

    fn scope<'c>(&self, client: &'c Client<'_>) -> Option<&'c Scope> {
        let plane = self.scene.plane;
        let made = client.scope.get_or_init(|| {
            let sidecar = plane.sidecar(client.namespace, client.labels);
            let sidecar = sidecar.filter(|_| client.is_sidecar);
            let flags = &self.scene.mesh.compat().flags;
            sidecar.map(|sidecar| Scope::of_sidecar(plane, flags, client.namespace, Some(sidecar)))
        });
        made.as_ref()
    }

    fn follows(&self, client: &Client<'_>, way: &Way<'_>) -> bool {
        let root = way.root;
        let own = &root.meta.namespace;
        let written = &root.spec.export_to;
        let default = &self.scene.plane.config.default_virtual_service_export_to;
        let names = if written.is_empty() { default } else { written };
        let is_asked = |asked: &Asked<'_>| {
            (asked.gateways.is_empty() || self.is_bound(client, asked.gateways, own))
                && (asked.namespace.is_empty() || *asked.namespace == *client.namespace.as_str())
                && client.labels.contains(asked.labels)
        };
        ExportTo::parse(names.iter().map(AsRef::as_ref)).reaches(own, client.namespace)
            && way.asked.iter().all(|list| list.is_empty() || list.iter().any(is_asked))
            && self.is_bound(client, &root.spec.gateways, own)
    }

    /// Whether a proxy is one of the gateways, or a sidecar where those are meant.
    fn is_bound(&self, client: &Client<'_>, gateways: &[Box<str>], own: &Namespace) -> bool {
        if client.is_sidecar {
            return gateways.is_empty() || gateways.iter().any(|name| **name == *MESH);
        }
        let stores = self.scene.stores();
        gateways.iter().any(|name| {
            let (namespace, name) = name.split_once('/').unwrap_or((".", name));
            let namespace = if namespace == "." { own.as_str() } else { namespace };
            let mut found = stores.iter().filter_map(|it| it.gateways.get((namespace, name)));
            found.any(|gateway| client.labels.contains(&gateway.spec.selector))
        })
    }

    /// The services of a host that a client sees; one a namespace.
    pub(super) fn visible<'c>(
        &'c self,
        client: &'c Client<'_>,
        host: &'c Hostname,
    ) -> impl Iterator<Item = &'m Arc<Service>> + use<'c, 'm, 's> {
        let default = &self.scene.plane.default_service_export_to;
        let all = self.scene.plane.services.of_host(host.as_str());
        all.filter(move |service| Services::is_visible(service, client.namespace, default))
    }

    /// The rule in force for what a client sends to a service.
    pub(super) fn rule(&self, client: &Client<'_>, service: &Service) -> Option<&'m MergedRule> {
        let rules = &self.scene.plane.destination_rules;
        let destination = (&service.hostname, &service.namespace);
        rules.of_client(client.namespace, destination, Some(client.labels))
    }
}

/// The namespaces in which Sidecars or rules are for some proxies only.
fn divided<'m>(scene: &Scene<'m>) -> BTreeSet<&'m Namespace> {
    let rules = scene.rules.iter().map(|rule| rule.object);
    let rules = rules.filter(|object| object.spec.workload_selector.is_some());
    let sidecars = scene.plane.sidecars.values().flatten();
    let sidecars = sidecars.filter(|object| object.spec.workload_selector.is_some());
    let of_rules = rules.map(|object| &object.meta.namespace);
    of_rules.chain(sidecars.map(|object| &object.meta.namespace)).collect()
}
