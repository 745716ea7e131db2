//! The endpoints that a cluster's slices list for a service.
use std::net::IpAddr;
use std::sync::Arc;

use rustc_hash::{FxBuildHasher, FxHashMap, FxHashSet};

use super::workload::workload_without_pod;
use super::{Cluster, workload_of_pod};
use crate::endpoint::{Address, Discoverability, Endpoint, HealthStatus, Workload};
use crate::name::{Labels, NetworkId};
use crate::registry::Service;
use crate::resource::{
    AddressType, EndpointAddress, EndpointSlice, Pod, PodPhase, SliceEndpoint, SlicePort,
};

/// Returns the endpoints of a service in one cluster: slices by name, then endpoints, addresses and
/// ports in order; of several with one address and port name the first.
///
/// `service` is `None` where slices exist without their service.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/serviceregistry/kube/controller/endpointslice.go`
/// `updateEndpointCacheForSlice`, `endpointSliceCache.get`.
pub(crate) fn endpoints_of_service<'o>(
    service: Option<&Service>,
    slices: &'o [Arc<EndpointSlice>],
    cluster: &Cluster<'o>,
    discoverability: Discoverability,
    workloads: &mut Workloads<'o>,
) -> Vec<Endpoint> {
    let of_slice = |slice: &Arc<EndpointSlice>| slice.endpoints.len() * slice.ports.len();
    let expected: usize = slices.iter().map(of_slice).sum();
    let mut seen = FxHashSet::with_capacity_and_hasher(expected, FxBuildHasher);
    let mut endpoints = Vec::with_capacity(expected);
    for slice in slices {
        if slice.address_type == AddressType::Fqdn {
            continue;
        }
        let ports: Vec<_> =
            slice.ports.iter().filter_map(|written| Some((written, port(written)?))).collect();
        for entry in &slice.endpoints {
            let health = health(service, entry);
            for address in &entry.addresses {
                let found = workload(slice, entry, address, cluster, discoverability, workloads);
                let Some(workload) = found else { continue };
                let address = address_of(address);
                for (written, (port_name, port)) in &ports {
                    if seen.insert((address.clone(), &*written.name)) {
                        let (address, port_name) = (address.clone(), port_name.clone());
                        let workload = workload.clone();
                        endpoints.push(endpoint(address, (port_name, *port), health, workload));
                    }
                }
            }
        }
    }
    endpoints
}

/// The workloads of one cluster met so far: each is described once.
#[derive(Debug, Default)]
pub(crate) struct Workloads<'o> {
    of_pods: FxHashMap<(&'o str, &'o str, Discoverability), Arc<Workload>>,
    /// By network.
    without_pod: FxHashMap<(NetworkId, Discoverability), Arc<Workload>>,
}

impl<'o> Workloads<'o> {
    /// The workloads of endpoints that a cluster's slices gave before, which are as they were.
    pub(crate) fn of(endpoints: &'o [Endpoint]) -> Self {
        let mut known = Self::default();
        let mut last: Option<&Arc<Workload>> = None;
        for Endpoint { workload, .. } in endpoints {
            if last.is_some_and(|last| Arc::ptr_eq(last, workload)) {
                continue;
            }
            last = Some(workload);
            if workload.instance.is_empty() {
                let key = (workload.network.clone(), workload.discoverability);
                known.without_pod.insert(key, workload.clone());
            } else {
                let namespace = workload.namespace.as_str();
                let key = (namespace, &*workload.instance, workload.discoverability);
                known.of_pods.insert(key, workload.clone());
            }
        }
        known
    }

    /// The same without a pod, which is no longer as it was.
    pub(crate) fn without(mut self, namespace: &str, name: &str) -> Self {
        self.of_pods.retain(|(owner, instance, _), _| (*owner, *instance) != (namespace, name));
        self
    }

    /// Describes a pod, or returns the description it has.
    fn of_pod(
        &mut self,
        pod: &'o Pod,
        cluster: &Cluster<'_>,
        discoverability: Discoverability,
    ) -> Arc<Workload> {
        let key = (pod.meta.namespace.as_str(), &*pod.meta.name, discoverability);
        let describe = || Arc::new(Workload { discoverability, ..workload_of_pod(pod, cluster) });
        self.of_pods.entry(key).or_insert_with(describe).clone()
    }

    /// Describes what no pod is known of.
    fn of_address(
        &mut self,
        address: Option<IpAddr>,
        cluster: &Cluster<'_>,
        discoverability: Discoverability,
    ) -> Arc<Workload> {
        let network = cluster.networks.network(address, &Labels::default());
        let describe =
            || Arc::new(Workload { discoverability, ..workload_without_pod(&network, cluster) });
        let key = (network.clone(), discoverability);
        self.without_pod.entry(key).or_insert_with(describe).clone()
    }
}

/// What an address runs in; `None` if it refers to a pod that is not there.
fn workload<'o>(
    slice: &'o EndpointSlice,
    entry: &'o SliceEndpoint,
    address: &EndpointAddress,
    cluster: &Cluster<'o>,
    discoverability: Discoverability,
    workloads: &mut Workloads<'o>,
) -> Option<Arc<Workload>> {
    let ip = match address {
        EndpointAddress::Ip(ip) => Some(*ip),
        EndpointAddress::Name(_) => None,
    };
    let Some((namespace, name)) = pod_of(slice, entry) else {
        let pod = ip.and_then(|ip| cluster.pods.at(slice.meta.namespace.as_str(), ip));
        return Some(match pod {
            Some(pod) => workloads.of_pod(pod, cluster, discoverability),
            None => workloads.of_address(ip, cluster, discoverability),
        });
    };
    if let Some(known) = workloads.of_pods.get(&(namespace, name, discoverability)) {
        return Some(known.clone());
    }
    let pod = cluster.pods.get(namespace, name)?;
    let has_failed = pod.status.phase == PodPhase::Failed;
    (!has_failed).then(|| workloads.of_pod(pod, cluster, discoverability))
}

/// The namespace and name of the pod that an entry of a slice refers to.
pub(crate) fn pod_of<'o>(
    slice: &'o EndpointSlice,
    entry: &'o SliceEndpoint,
) -> Option<(&'o str, &'o str)> {
    let target = entry.target_ref.as_ref().filter(|target| *target.kind == *"Pod")?;
    let namespace = match &*target.namespace {
        "" => slice.meta.namespace.as_str(),
        namespace => namespace,
    };
    Some((namespace, &target.name))
}

fn health(service: Option<&Service>, entry: &SliceEndpoint) -> HealthStatus {
    HealthStatus::of_conditions(
        entry.conditions.ready,
        entry.conditions.serving,
        entry.conditions.terminating,
        service.is_some(),
        service.is_some_and(Service::has_session_label),
    )
}

/// The name of a port, shared by all endpoints of the slice, and its number, 0 where it has none; no
/// port where the number is none.
fn port(port: &SlicePort) -> Option<(Arc<str>, u16)> {
    let number = u16::try_from(port.port.unwrap_or_default()).ok()?;
    Some((Arc::from(&*port.name), number))
}

fn address_of(address: &EndpointAddress) -> Address {
    match address {
        EndpointAddress::Ip(ip) => Address::Ip(*ip),
        EndpointAddress::Name(name) => Address::Host(Arc::from(&**name)),
    }
}

fn endpoint(
    address: Address,
    (port_name, port): (Arc<str>, u16),
    health: HealthStatus,
    workload: Arc<Workload>,
) -> Endpoint {
    Endpoint {
        address,
        more_addresses: Box::default(),
        port,
        port_name,
        service_port: 0,
        weight: 0,
        health,
        workload,
    }
}
