//! What a control plane knows now that it did not before, found by comparing allocations.
use std::sync::Arc;

use super::control_plane::ServiceShards;
use super::objects::Store;
use super::{ControlPlane, Mesh, map};
use crate::name::{Hostname, Namespace};

/// What two revisions of a control plane do not share.
///
/// Equal parts of other allocations count as different.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "callers act on every field")]
pub struct Difference {
    /// The services whose endpoints are different, by host.
    pub endpoints: Vec<(Hostname, Namespace)>,
    /// Whether what workloads demand of requests and tell of traffic is different: authorization,
    /// tokens, telemetry.
    pub policies: bool,
    /// Whether what workloads demand of connections is different (PeerAuthentication).
    pub mutual_tls: bool,
    /// Whether anything else is.
    pub rest: bool,
}

impl ControlPlane {
    /// Returns what is not shared with an earlier revision; the endpoints only where the rest is.
    pub fn difference(&self, before: &Self) -> Difference {
        let shares_rest = Arc::ptr_eq(&self.clusters, &before.clusters)
            && Arc::ptr_eq(&self.config, &before.config)
            && Arc::ptr_eq(&self.gateways, &before.gateways)
            && Arc::ptr_eq(&self.named_gateways, &before.named_gateways)
            && Arc::ptr_eq(&self.destination_rules, &before.destination_rules)
            && Arc::ptr_eq(&self.cluster_local, &before.cluster_local)
            && self.id == before.id
            && self.domain == before.domain
            && self.imports_alike(before);
        if !shares_rest {
            return Difference { rest: true, ..Difference::default() };
        }
        let policies = !Arc::ptr_eq(&self.authorization_policies, &before.authorization_policies)
            || !Arc::ptr_eq(&self.telemetries, &before.telemetries)
            || !Arc::ptr_eq(&self.request_authentications, &before.request_authentications)
            || self.broken != before.broken;
        let mutual_tls = !Arc::ptr_eq(&self.peer_authentications, &before.peer_authentications)
            || self.broken != before.broken;
        let is_same = |a: &Arc<ServiceShards>, b: &Arc<ServiceShards>| a.shares_with(b);
        let pairs = map::differences(&before.shards, &self.shards, is_same).into_iter();
        let either = pairs.filter_map(|(old, new)| new.or(old));
        let endpoints = either.map(|found| (found.hostname.clone(), found.namespace.clone()));
        Difference { endpoints: endpoints.collect(), policies, mutual_tls, rest: false }
    }

    /// Whether what scopes are made of is shared with another revision: proxies then import what
    /// they did.
    pub(crate) fn imports_alike(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.services, &other.services)
            && Arc::ptr_eq(&self.virtual_services, &other.virtual_services)
            && Arc::ptr_eq(&self.sidecars, &other.sidecars)
            && Arc::ptr_eq(&self.default_service_export_to, &other.default_service_export_to)
            && self.config.root_namespace == other.config.root_namespace
    }
}

impl ServiceShards {
    fn shares_with(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shards, &other.shards)
    }
}

impl Mesh {
    /// Whether two meshes are one revision: nothing was changed in between.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.parts, &other.parts) && std::ptr::eq(self.compat(), other.compat())
    }

    /// Whether what is not a control plane's is as in another revision, pods and services of single
    /// clusters excepted: switches, settings, networks, gateways, namespaces, policies that are not
    /// understood.
    pub fn settings_are_same(&self, other: &Self) -> bool {
        let (parts, others) = (&self.parts, &other.parts);
        let clusters = parts.clusters.iter().zip(&others.clusters);
        std::ptr::eq(self.compat(), other.compat())
            && Arc::ptr_eq(self.config(), other.config())
            && Arc::ptr_eq(self.networks(), other.networks())
            && std::ptr::eq(self.broken(), other.broken())
            && parts.clusters.len() == others.clusters.len()
            && configures_alike(&parts.config, &others.config)
            && clusters.into_iter().all(|((id, part), (other_id, other))| {
                id == other_id
                    && part.description == other.description
                    && configures_alike(&part.store, &other.store)
            })
    }
}

/// Whether two stores have the same objects that views read and no control plane indexes.
fn configures_alike(store: &Arc<Store>, other: &Arc<Store>) -> bool {
    Arc::ptr_eq(store, other)
        || (store.gateways == other.gateways && store.namespaces == other.namespaces)
}
