//! Security policies that lie in a namespace where nobody is.
use std::collections::BTreeSet;

use super::Subject;
use super::scene::Scene;
use crate::manifest::Diagnostic;
use crate::name::{Labels, Namespace, nearest_name};
use crate::registry::Store;
use crate::resource::{Meta, PolicyTargetReference};

pub(super) fn check(scene: &Scene<'_>, found: &mut Vec<Diagnostic>) {
    let namespaces = Namespaces::of(scene);
    // Of a mesh in which nobody is at all nothing can be told.
    if !namespaces.has_workloads {
        return;
    }
    for store in scene.stores() {
        for object in store.authorization_policies.values() {
            let spec = &object.spec;
            let selector = spec.selector.as_ref().map(|selector| &selector.match_labels);
            let refs = (spec.target_ref.as_ref(), &*spec.target_refs);
            if concerns_all(selector, refs) {
                found.extend(namespaces.check("AuthorizationPolicy", &object.meta));
            }
        }
        for object in store.peer_authentications.values() {
            let selector = object.spec.selector.as_ref().map(|selector| &selector.match_labels);
            if concerns_all(selector, (None, &[])) {
                found.extend(namespaces.check("PeerAuthentication", &object.meta));
            }
        }
        for object in store.request_authentications.values() {
            let spec = &object.spec;
            let selector = spec.selector.as_ref().map(|selector| &selector.match_labels);
            let refs = (spec.target_ref.as_ref(), &*spec.target_refs);
            if concerns_all(selector, refs) {
                found.extend(namespaces.check("RequestAuthentication", &object.meta));
            }
        }
    }
}

/// Whether a policy means every workload of its namespace: of one that selects some, or that is attached by
/// reference, other findings tell that it meets nobody.
fn concerns_all(
    selector: Option<&Labels>,
    (target_ref, target_refs): (Option<&PolicyTargetReference>, &[PolicyTargetReference]),
) -> bool {
    selector.is_none_or(Labels::is_empty) && target_ref.is_none() && target_refs.is_empty()
}

/// The namespaces of the mesh.
struct Namespaces<'s, 'm> {
    scene: &'s Scene<'m>,
    known: BTreeSet<&'m str>,
    has_workloads: bool,
}

impl<'s, 'm> Namespaces<'s, 'm> {
    /// Those in which anything is that a policy could be there for, and those that there are.
    ///
    /// A namespace that has an object of its own is no typo: its first workload may not be there yet, and
    /// who makes a namespace with its policies first does well. So is one with a service or a group of
    /// machines, which register when they start. Objects of every cluster count: those of `config/` are for
    /// all control planes.
    fn of(scene: &'s Scene<'m>) -> Self {
        let parts = &scene.mesh.parts;
        let stores: Vec<&'m Store> = [&*parts.config]
            .into_iter()
            .chain(parts.clusters.values().map(|part| &*part.store))
            .collect();
        let own = |store: &'m Store| store.namespaces.values().map(|object| &*object.meta.name);
        let mut known: BTreeSet<&str> = stores.iter().flat_map(|store| own(store)).collect();
        known.extend(stores.iter().flat_map(|store| metas(store)).map(|of| of.namespace.as_str()));
        known.insert(&scene.plane.config.root_namespace);
        let has_workloads = !scene.workloads.is_empty();
        Self { scene, known, has_workloads }
    }

    /// `HZ-POLICY-NAMESPACE`: it concerns nobody.
    fn check(&self, kind: &'static str, meta: &Meta) -> Option<Diagnostic> {
        let namespace: &Namespace = &meta.namespace;
        let is_named = || {
            let mut named = self.scene.mesh.named_proxies();
            named.any(|proxy| proxy.split('/').nth(1) == Some(namespace.as_str()))
        };
        if self.known.contains(namespace.as_str()) || is_named() {
            return None;
        }
        let message = format!(
            "nothing else of the mesh is in namespace `{namespace}`, and no workload: the policy concerns \
             nobody"
        );
        let meant = nearest_name(namespace.as_str(), self.known.iter().copied());
        let help = match meant {
            Some(near) => format!("did you mean namespace `{near}`?"),
            None => "correct `metadata.namespace`, or deploy what it is for".to_owned(),
        };
        let subject = Subject::of(self.scene.mesh, &self.scene.plane.id, kind, meta);
        Some(subject.warning("HZ-POLICY-NAMESPACE", "metadata.namespace", (message, &help)))
    }
}

/// What shows that a namespace is in use.
fn metas(store: &Store) -> impl Iterator<Item = &Meta> {
    let pods = store.pods.values().map(|object| &object.meta);
    let services = store.services.values().map(|object| &object.meta);
    let entries = store.service_entries.values().map(|object| &object.meta);
    let machines = store.workload_entries.values().map(|object| &object.meta);
    let groups = store.workload_groups.values().map(|object| &object.meta);
    let accounts = store.service_accounts.values().map(|object| &object.meta);
    let gateways = store.kubernetes_gateways.values().map(|object| &object.meta);
    pods.chain(services)
        .chain(entries)
        .chain(machines)
        .chain(groups)
        .chain(accounts)
        .chain(gateways)
}
