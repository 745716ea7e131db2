//! Addresses of endpoint slices that are no pods' as workloads.
//!
//! # Upstream
//!
//! istio/istio `pilot/pkg/serviceregistry/ambient/workloads.go` `endpointSlicesBuilder`,
//! `matchingServicesWithoutSelectors`.
use std::collections::BTreeSet;
use std::net::IpAddr;

use mesh_envoy_proto::istio::workload::{NetworkMode, Port, PortList, Workload, WorkloadStatus};
use mesh_model::resource::{
    AddressType, EndpointAddress, EndpointSlice, EntryTarget, SliceEntry, TargetKind, Transport,
};

use super::Cluster;
use super::services::Info;
use super::wire::octets;

const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// The workloads of slices: of nothing but their service anything is known.
pub(super) fn workloads(cluster: &Cluster<'_>) -> Vec<Workload> {
    let slices = cluster.manifests.endpoint_slices();
    let slices = slices.filter(|slice| slice.address_type != AddressType::Fqdn);
    slices.flat_map(|slice| of_slice(cluster, slice)).collect()
}

/// The Kubernetes services whose slices name a pod.
pub(super) fn services_of_pod<'c>(
    cluster: &'c Cluster<'c>,
    namespace: &'c str,
    pod: &'c str,
) -> impl Iterator<Item = &'c Info<'c>> {
    let names = move |target: EntryTarget<'_>| {
        target.kind == TargetKind::Pod && target.namespace == namespace && target.name == pod
    };
    let slices = cluster
        .manifests
        .endpoint_slices()
        .filter(move |slice| slice.endpoints.iter().filter_map(SliceEntry::target).any(names));
    slices.filter_map(|slice| service(cluster, slice))
}

fn service<'c>(cluster: &Cluster<'c>, slice: &EndpointSlice) -> Option<&'c Info<'c>> {
    let name = slice.meta.labels.get(SERVICE_NAME)?;
    cluster.services.kubernetes(slice.meta.namespace.as_str(), name)
}

fn of_slice(cluster: &Cluster<'_>, slice: &EndpointSlice) -> Vec<Workload> {
    let Some(service) = service(cluster, slice) else { return Vec::new() };
    let mut seen = BTreeSet::new();
    let is_pod = |entry: &SliceEntry<'_>| {
        entry.target().is_some_and(|target| target.kind == TargetKind::Pod)
    };
    let mut found = Vec::new();
    for entry in slice.endpoints.iter().filter(|entry| !is_pod(entry)) {
        let addresses: Option<Vec<IpAddr>> =
            entry.addresses().map(|address| ip(&address)).collect();
        let Some(addresses) = addresses else { continue };
        let Some(first) = addresses.first().copied() else { continue };
        if seen.insert(first) {
            found.push(workload(cluster, slice, service, entry, &addresses, first));
        }
    }
    found
}

const fn ip(address: &EndpointAddress) -> Option<IpAddr> {
    match address {
        EndpointAddress::Ip(address) => Some(*address),
        EndpointAddress::Name(_) => None,
    }
}

fn workload(
    cluster: &Cluster<'_>,
    slice: &EndpointSlice,
    service: &Info<'_>,
    entry: SliceEntry<'_>,
    addresses: &[IpAddr],
    first: IpAddr,
) -> Workload {
    let (namespace, name) = (slice.meta.namespace.as_str(), &*slice.meta.name);
    let (id, kind) = (&cluster.plane.id, "discovery.k8s.io/EndpointSlice");
    let is_ready = entry.conditions.ready.unwrap_or(true);
    let status = if is_ready { WorkloadStatus::Healthy } else { WorkloadStatus::Unhealthy };
    Workload {
        addresses: addresses.iter().copied().map(octets).collect(),
        services: [(service.key(), ports(slice, service))].into(),
        status: status.into(),
        // Such an address may be that of something else too.
        network_mode: NetworkMode::HostNetwork.into(),
        ..cluster.workload(format!("{id}/{kind}/{namespace}/{name}/{first}"), namespace, name)
    }
}

fn ports(slice: &EndpointSlice, service: &Info<'_>) -> PortList {
    let ports = slice.ports.iter().filter(|port| port.protocol == Transport::Tcp);
    let ports = ports.filter_map(|port| {
        let target_port = port.port?;
        let is_named = |found: &&Port| {
            service
                .port_names
                .get(&found.service_port)
                .is_some_and(|(name, _)| **name == *port.name)
        };
        let of_service = service.service.ports.iter().find(is_named)?;
        Some(Port { service_port: of_service.service_port, target_port, ..Port::default() })
    });
    PortList { ports: ports.collect() }
}
