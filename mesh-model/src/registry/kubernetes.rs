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
use std::sync::{Arc, OnceLock};

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use rustc_hash::FxBuildHasher;

pub(crate) use self::endpoints::{endpoints_of_service, pod_of};
pub(crate) use self::known::Common;
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
        let pods = self
            .by_address
            .at(address, self.by_name)
            .filter(|pod| pod.meta.namespace == *namespace);
        pods.min_by_key(|pod| &pod.meta.name).filter(|_| self.discovery.contains(namespace))
    }
}

/// The ready pods of a cluster by their first address, from when one is looked for: slices mostly name their pods.
#[derive(Clone, Debug, Default)]
pub(crate) struct Addresses(
    // INVARIANT: each has an address, by whose hash it stands here, and stands here once.
    OnceLock<HashTable<Arc<Pod>>>,
);

impl Addresses {
    /// Takes note of a pod that is new, if it is ready.
    pub(crate) fn add(&mut self, pod: &Arc<Pod>) {
        if let Some(pods) = self.0.get_mut() {
            add(pods, pod);
        }
    }

    /// Takes a pod out.
    pub(crate) fn remove(&mut self, pod: &Pod) {
        let Some(pods) = self.0.get_mut() else { return };
        if let Ok(found) = pods.find_entry(hash_of(pod), |other| is_same(other, pod)) {
            found.remove();
        }
    }

    /// The pods of an address; `all` are those of the cluster.
    fn at(&self, address: IpAddr, all: &ByName<Pod>) -> impl Iterator<Item = &Arc<Pod>> {
        let pods = self.0.get_or_init(|| {
            let mut pods = HashTable::with_capacity(all.len());
            all.iter().for_each(|pod| add(&mut pods, pod));
            pods
        });
        let pods = pods.iter_hash(hash_of_address(Some(address)));
        pods.filter(move |pod| pod.status.pod_ip == Some(address))
    }
}

/// Adds a pod, if it is ready; what was read with others that changed may be there already.
fn add(pods: &mut HashTable<Arc<Pod>>, pod: &Arc<Pod>) {
    if pod.status.pod_ip.is_none() || !is_ready(pod) {
        return;
    }
    match pods.entry(hash_of(pod), |other| is_same(other, pod), |other| hash_of(other)) {
        Entry::Occupied(mut known) => *known.get_mut() = Arc::clone(pod),
        Entry::Vacant(place) => {
            place.insert(Arc::clone(pod));
        }
    }
}

fn is_same(a: &Pod, b: &Pod) -> bool {
    a.meta.name == b.meta.name && a.meta.namespace == b.meta.namespace
}

fn hash_of(pod: &Pod) -> u64 {
    hash_of_address(pod.status.pod_ip)
}

fn hash_of_address(address: Option<IpAddr>) -> u64 {
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
