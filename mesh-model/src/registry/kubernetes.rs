//! What one Kubernetes cluster contributes: its services and the endpoints behind them.
//!
//! ```text
//! Service ──service──▶ registry::Service       EndpointSlice + Pod + Node ──endpoints──▶ Endpoint
//! ```
//!
//! # Upstream
//!
//! istio/istio `pilot/pkg/serviceregistry/kube`.
mod endpoints;
mod known;
mod service;
mod slice_change;
mod workload;
mod workloads;

use std::hash::BuildHasher;
use std::net::IpAddr;
use std::sync::Arc;

use hashbrown::HashTable;
use rustc_hash::FxBuildHasher;

pub(crate) use self::endpoints::{endpoints_of_service, pod_of};
pub(crate) use self::service::{convert, external_addresses, hostname};
pub(crate) use self::slice_change::SliceChange;

pub(crate) use self::workload::{pod_port, workload_name, workload_of_pod};
pub(crate) use self::workloads::Workloads;
use super::discovery::Discovery;
use super::objects::ByName;
use super::place::NetworkOf;
use crate::name::{ClusterId, TrustDomain};
use crate::resource::{Node, Pod, PodPhase, Readiness};

/// What conversions read of one cluster.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cluster<'o> {
    pub(crate) id: &'o ClusterId,
    pub(crate) trust_domain: &'o TrustDomain,
    pub(crate) domain: &'o str,
    pub(crate) networks: &'o NetworkOf,
    pub(crate) nodes: &'o ByName<Node>,
    pub(crate) pods: Pods<'o>,
    /// Whether a pod of both IP families may be one endpoint (flag `ISTIO_DUAL_STACK`).
    pub(crate) dual_stack: bool,
}

impl<'o> Cluster<'o> {
    /// Returns a node by name.
    pub(crate) fn node(&self, name: &str) -> Option<&'o Node> {
        self.nodes.get(("", name)).map(|node| &**node)
    }
}

/// The pods of a cluster that are discovered, by name and by address.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pods<'o> {
    pub(crate) by_name: &'o ByName<Pod>,
    pub(crate) by_address: &'o Addresses,
    pub(crate) discovery: Discovery<'o>,
}

impl<'o> Pods<'o> {
    /// Returns a pod by name.
    pub(crate) fn get(&self, namespace: &str, name: &str) -> Option<&'o Arc<Pod>> {
        self.by_name.get((namespace, name)).filter(|_| self.discovery.contains(namespace))
    }

    /// Returns the ready pods of a namespace, by name.
    pub(crate) fn ready_in(&self, namespace: &'o str) -> impl Iterator<Item = &'o Arc<Pod>> {
        let pods = self.by_name.with_first(namespace);
        pods.filter(|pod| is_ready(pod)).filter(|_| self.discovery.contains(namespace))
    }

    /// Returns the ready pod of a namespace that has an address: the first by name.
    pub(crate) fn at(&self, namespace: &str, address: IpAddr) -> Option<&'o Arc<Pod>> {
        let pods = self.by_address.at(address).filter(|pod| pod.meta.namespace == *namespace);
        pods.min_by_key(|pod| &pod.meta.name).filter(|_| self.discovery.contains(namespace))
    }
}

/// The ready pods of a cluster by their first address.
#[derive(Clone, Debug, Default)]
pub(crate) struct Addresses(
    // INVARIANT: each has an address, by whose hash it stands here.
    HashTable<Arc<Pod>>,
);

impl Addresses {
    /// Makes room for so many pods.
    pub(crate) fn with_room_for(pods: usize) -> Self {
        Self(HashTable::with_capacity(pods))
    }

    /// Adds a pod, if it is ready.
    pub(crate) fn add(&mut self, pod: &Arc<Pod>) {
        if let Some(address) = pod.status.pod_ip.filter(|_| is_ready(pod)) {
            let of = |other: &Arc<Pod>| hash_of(other.status.pod_ip);
            self.0.insert_unique(hash_of(Some(address)), pod.clone(), of);
        }
    }

    /// Takes a pod out.
    pub(crate) fn remove(&mut self, pod: &Pod) {
        let meta = &pod.meta;
        let is_it = |other: &Arc<Pod>| {
            other.meta.name == meta.name && other.meta.namespace == meta.namespace
        };
        if let Ok(found) = self.0.find_entry(hash_of(pod.status.pod_ip), is_it) {
            found.remove();
        }
    }

    fn at(&self, address: IpAddr) -> impl Iterator<Item = &Arc<Pod>> {
        let pods = self.0.iter_hash(hash_of(Some(address)));
        pods.filter(move |pod| pod.status.pod_ip == Some(address))
    }
}

fn hash_of(address: Option<IpAddr>) -> u64 {
    FxBuildHasher.hash_one(address)
}

/// Whether a pod takes traffic: it has an address, is not ending, and its condition `Ready` is true.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/serviceregistry/kube/controller/pod.go` `shouldPodBeInEndpoints`,
/// `IsPodReady`.
pub(crate) fn is_ready(pod: &Pod) -> bool {
    !matches!(pod.status.phase, PodPhase::Failed | PodPhase::Succeeded)
        && pod.status.pod_ip.is_some()
        && pod.meta.deletion.is_none()
        && pod.status.readiness == Readiness::Ready
}
