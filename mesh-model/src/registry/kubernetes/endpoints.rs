//! The endpoints that a cluster's slices list for a service.
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::workload::workload_without_pod;
use super::{Cluster, workload_of_pod};
use crate::endpoint::{Address, Discoverability, Endpoint, HealthStatus, Workload};
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
pub(crate) fn endpoints_of_service(
    service: Option<&Service>,
    slices: &[&EndpointSlice],
    cluster: &Cluster<'_>,
    discoverability: Discoverability,
    workloads: &mut Workloads,
) -> Vec<Endpoint> {
    let mut seen = BTreeSet::new();
    let mut endpoints = Vec::new();
    for slice in slices {
        if slice.address_type == AddressType::Fqdn {
            continue;
        }
        for entry in &slice.endpoints {
            let health = health(service, entry);
            for address in &entry.addresses {
                let Some(workload) =
                    workload(slice, entry, address, cluster, discoverability, workloads)
                else {
                    continue;
                };
                for port in &slice.ports {
                    let endpoint = endpoint(address, port, health, &workload);
                    if seen.insert((endpoint.address.clone(), endpoint.port_name.clone())) {
                        endpoints.push(endpoint);
                    }
                }
            }
        }
    }
    endpoints
}

/// The workloads of one cluster met so far: each pod is described once.
#[derive(Debug, Default)]
pub(crate) struct Workloads(BTreeMap<(Box<str>, Box<str>, Discoverability), Arc<Workload>>);

impl Workloads {
    /// Describes a pod, or returns the description it has.
    pub(crate) fn of_pod(
        &mut self,
        pod: &Pod,
        cluster: &Cluster<'_>,
        discoverability: Discoverability,
    ) -> Arc<Workload> {
        let key = (pod.meta.namespace.as_str().into(), pod.meta.name.clone(), discoverability);
        let describe = || Arc::new(Workload { discoverability, ..workload_of_pod(pod, cluster) });
        self.0.entry(key).or_insert_with(describe).clone()
    }
}

/// What an address runs in; `None` if it refers to a pod that is not there.
fn workload(
    slice: &EndpointSlice,
    entry: &SliceEndpoint,
    address: &EndpointAddress,
    cluster: &Cluster<'_>,
    discoverability: Discoverability,
    workloads: &mut Workloads,
) -> Option<Arc<Workload>> {
    let ip = match address {
        EndpointAddress::Ip(ip) => Some(*ip),
        EndpointAddress::Name(_) => None,
    };
    let pod = match &entry.target_ref {
        Some(target) if *target.kind == *"Pod" => {
            let namespace = match &*target.namespace {
                "" => slice.meta.namespace.as_str(),
                namespace => namespace,
            };
            let pod = cluster.pods.get(namespace, &target.name)?;
            if pod.status.phase == PodPhase::Failed {
                return None;
            }
            Some(pod)
        }
        Some(_) | None => ip.and_then(|ip| cluster.pods.at(&slice.meta.namespace, ip)),
    };
    Some(match pod {
        Some(pod) => workloads.of_pod(pod, cluster, discoverability),
        None => Arc::new(Workload { discoverability, ..workload_without_pod(ip, cluster) }),
    })
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

fn endpoint(
    address: &EndpointAddress,
    port: &SlicePort,
    health: HealthStatus,
    workload: &Arc<Workload>,
) -> Endpoint {
    Endpoint {
        address: match address {
            EndpointAddress::Ip(ip) => Address::Ip(*ip),
            EndpointAddress::Name(name) => Address::Host(Arc::from(&**name)),
        },
        more_addresses: Box::default(),
        port: port.port.and_then(|number| u16::try_from(number).ok()).unwrap_or_default(),
        port_name: Arc::from(&*port.name),
        service_port: 0,
        weight: 0,
        health,
        workload: workload.clone(),
    }
}
