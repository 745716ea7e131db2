//! What a change can make different.
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::control_plane::ControlPlane;
use super::map;
use super::{Mesh, Service};
use crate::name::{ClusterId, Hostname, Namespace, NetworkId};
use crate::resource::{ObjectKey, ProxyRef};

/// What a change can make different: everything that differs between the meshes before and after is
/// named here, and for a change of endpoints nothing else.
///
/// The default is that of a change that changes nothing. [`ProxyView::sees`](crate::view::ProxyView::sees)
/// tells whether it concerns a proxy.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "control planes act on every field")]
pub struct Effect {
    /// Services that are new, gone or described differently: ports, addresses, who may see them.
    pub services: BTreeSet<(Hostname, Namespace)>,
    /// Services whose endpoints are different.
    pub endpoints: BTreeSet<(Hostname, Namespace)>,
    /// Hosts, with wildcards, whose routes or policies can be different.
    pub hosts: BTreeSet<Hostname>,
    /// Rules, policies and settings of single namespaces that are new, gone or different.
    pub policies: BTreeSet<ObjectKey>,
    /// Namespaces whose workloads can be under other policies, as clients and as servers.
    pub namespaces: BTreeSet<Namespace>,
    /// Networks that are entered differently, which can change every weight in a mesh of several.
    pub networks: BTreeSet<NetworkId>,
    /// Pods that are new, gone or different, by cluster; and those that `proxies.json` names so.
    pub proxies: BTreeSet<ProxyRef>,
    /// WorkloadEntries that are new, gone or different: ztunnels are told of each, whether a service
    /// selects it or not.
    pub machines: BTreeSet<ObjectKey>,
    /// Settings of the mesh or its topology are different: every view can be.
    pub everything: bool,
}

impl Effect {
    /// Returns whether nothing is different.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Adds what another change makes different.
    pub fn merge(&mut self, other: Self) {
        self.services.extend(other.services);
        self.endpoints.extend(other.endpoints);
        self.hosts.extend(other.hosts);
        self.policies.extend(other.policies);
        self.namespaces.extend(other.namespaces);
        self.networks.extend(other.networks);
        self.proxies.extend(other.proxies);
        self.machines.extend(other.machines);
        self.everything |= other.everything;
    }

    /// Everything that differs between the control planes of two meshes, beside objects.
    pub(super) fn compare(&mut self, before: &Mesh, after: &Mesh) {
        let ids: BTreeSet<&ClusterId> =
            before.planes().keys().chain(after.planes().keys()).collect();
        for id in ids {
            match (before.planes().get(id), after.planes().get(id)) {
                (Some(before), Some(after)) => self.compare_planes(before, after),
                (Some(only), None) | (None, Some(only)) => {
                    self.everything = true;
                    self.services.extend(only.services.iter().map(key));
                    let entries = only.shards.iter();
                    let keys = entries.map(|e| (e.hostname.clone(), e.namespace.clone()));
                    self.endpoints.extend(keys);
                }
                (None, None) => {}
            }
        }
    }

    fn compare_planes(&mut self, before: &Arc<ControlPlane>, after: &Arc<ControlPlane>) {
        if Arc::ptr_eq(before, after) {
            return;
        }
        self.compare_services(before, after);
        for (old, new) in map::differences(&before.shards, &after.shards, |a, b| a == b) {
            let keys = old.into_iter().chain(new);
            self.endpoints.extend(keys.map(|e| (e.hostname.clone(), e.namespace.clone())));
        }
        self.compare_gateways(before, after);
        let is_other = before.config != after.config
            || before.clusters != after.clusters
            || before.cluster_local != after.cluster_local
            || before.destination_rules != after.destination_rules
            || before.virtual_services != after.virtual_services
            || before.sidecars != after.sidecars
            || before.request_authentications != after.request_authentications
            || before.telemetries != after.telemetries
            || before.peer_authentications != after.peer_authentications
            || before.authorization_policies != after.authorization_policies;
        self.everything |= is_other;
    }

    /// The services that only one of two control planes has as they are.
    pub(super) fn compare_services(&mut self, before: &ControlPlane, after: &ControlPlane) {
        if Arc::ptr_eq(&before.services, &after.services) {
            return;
        }
        // A service can be there twice, where two objects say the same.
        let counted = |plane: &ControlPlane| {
            let mut counts: FxHashMap<*const Service, usize> = FxHashMap::default();
            for service in plane.services.iter() {
                *counts.entry(Arc::as_ptr(service)).or_default() += 1;
            }
            counts
        };
        let (old, new) = (counted(before), counted(after));
        let differs = |service: &&Arc<Service>| {
            old.get(&Arc::as_ptr(service)) != new.get(&Arc::as_ptr(service))
        };
        let gone = before.services.iter().filter(differs);
        let come = after.services.iter().filter(differs);
        let mut come: BTreeMap<_, Vec<_>> = come.fold(BTreeMap::new(), grouped);
        for (key, old) in gone.fold(BTreeMap::new(), grouped) {
            // An equal one of another allocation is no other.
            if come.remove(&key).is_none_or(|new| new != old) {
                self.services.insert(key);
            }
        }
        self.services.extend(come.into_keys());
    }

    /// The networks that two control planes enter differently.
    pub(super) fn compare_gateways(&mut self, before: &ControlPlane, after: &ControlPlane) {
        let (old, new) = (&before.named_gateways, &after.named_gateways);
        if Arc::ptr_eq(old, new) && Arc::ptr_eq(&before.gateways, &after.gateways) {
            return;
        }
        let networks = old.iter().chain(new.iter()).map(|gateway| &gateway.network);
        let differs = |network: &&NetworkId| old.of_network(network) != new.of_network(network);
        self.networks.extend(networks.filter(differs).cloned());
    }
}

fn key(service: &Arc<Service>) -> (Hostname, Namespace) {
    (service.hostname.clone(), service.namespace.clone())
}

fn grouped<'s>(
    mut groups: BTreeMap<(Hostname, Namespace), Vec<&'s Arc<Service>>>,
    service: &'s Arc<Service>,
) -> BTreeMap<(Hostname, Namespace), Vec<&'s Arc<Service>>> {
    groups.entry(key(service)).or_default().push(service);
    groups
}
