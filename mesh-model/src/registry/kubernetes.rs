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
mod service;
mod workload;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

pub(crate) use self::endpoints::{Workloads, endpoints_of_service};
pub(crate) use self::service::{convert, external_addresses, hostname};
pub(crate) use self::workload::{pod_port, workload_name, workload_of_pod};
use super::place::NetworkOf;
use crate::name::{ClusterId, Namespace, TrustDomain};
use crate::resource::{Node, Pod, PodPhase, Readiness};

/// What conversions read of one cluster.
#[derive(Debug)]
pub(crate) struct Cluster<'o> {
    pub(crate) id: ClusterId,
    pub(crate) trust_domain: TrustDomain,
    pub(crate) domain: &'o str,
    pub(crate) networks: NetworkOf,
    pub(crate) nodes: BTreeMap<&'o str, &'o Node>,
    pub(crate) pods: Pods<'o>,
}

/// The pods of a cluster, by name and by address.
#[derive(Debug, Default)]
pub(crate) struct Pods<'o> {
    by_name: BTreeMap<(&'o str, &'o str), &'o Arc<Pod>>,
    /// Ready ones only; of several with one address the first by namespace and name.
    by_address: BTreeMap<(&'o str, IpAddr), &'o Arc<Pod>>,
}

impl<'o> Pods<'o> {
    pub(crate) fn new(pods: impl IntoIterator<Item = &'o Arc<Pod>>) -> Self {
        let mut index = Self::default();
        for pod in pods {
            let namespace = pod.meta.namespace.as_str();
            index.by_name.insert((namespace, &pod.meta.name), pod);
            if let Some(address) = pod.status.pod_ip
                && is_ready(pod)
            {
                index.by_address.entry((namespace, address)).or_insert(pod);
            }
        }
        index
    }

    /// Returns a pod by name.
    pub(crate) fn get(&self, namespace: &str, name: &str) -> Option<&'o Arc<Pod>> {
        self.by_name.get(&(namespace, name)).copied()
    }

    /// Returns the ready pods of a namespace, by name.
    pub(crate) fn ready_in<'p>(
        &'p self,
        namespace: &'p Namespace,
    ) -> impl Iterator<Item = &'o Arc<Pod>> + use<'p, 'o> {
        let name = namespace.as_str();
        self.by_name
            .range((name, "")..)
            .take_while(move |((owner, _), _)| *owner == name)
            .map(|(_, pod)| *pod)
            .filter(|pod| is_ready(pod))
    }

    /// Returns the ready pod of a namespace that has an address.
    pub(crate) fn at(&self, namespace: &Namespace, address: IpAddr) -> Option<&'o Arc<Pod>> {
        self.by_address.get(&(namespace.as_str(), address)).copied()
    }
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
