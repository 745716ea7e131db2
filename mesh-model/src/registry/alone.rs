//! One object of a cluster described by itself, for a proxy that asks about its own.
use std::sync::Arc;

use super::discovery::Discovery;
use super::external::{Instance, Machines, is_healthy, selected_by_service};
use super::index::members;
use super::kubernetes::{self, Addresses, Cluster, Pods};
use super::place::{NETWORK, NetworkOf};
use super::{SYSTEM_NAMESPACE, Service, Store};
use crate::endpoint::{Address, Workload};
use crate::name::{ClusterId, Labels, NetworkId, Text, TrustDomain};
use crate::resource::{self, MeshNetworks, Pod, WorkloadEntry};

/// Describes one pod of a cluster, whether its namespace is discovered or not.
pub(crate) fn workload_of(
    id: &ClusterId,
    trust_domain: &TrustDomain,
    store: &Store,
    networks: &MeshNetworks,
    pod: &Pod,
) -> Workload {
    with_cluster(id, trust_domain, store, networks, |cluster| {
        kubernetes::workload_of_pod(pod, cluster)
    })
}

/// Describes one machine of a cluster.
pub(super) fn workload_of_machine(
    id: &ClusterId,
    trust_domain: &TrustDomain,
    store: &Store,
    networks: &MeshNetworks,
    (entry, is_of_config): (&WorkloadEntry, bool),
) -> Arc<Workload> {
    with_cluster(id, trust_domain, store, networks, |cluster| {
        Instance::of_workload_entry(entry, cluster, is_of_config).workload
    })
}

/// The ports of a machine that a service of its cluster leads to, by the names of the service's ports; none where it
/// is not selected.
pub(crate) fn machine_ports(
    (id, trust_domain, store): (&ClusterId, &TrustDomain, &Store),
    networks: &MeshNetworks,
    (entry, is_of_config): (&WorkloadEntry, bool),
    (service, object): (&Service, &resource::Service),
) -> Vec<(Text, u16)> {
    with_cluster(id, trust_domain, store, networks, |cluster| {
        let machines = Machines::new([entry], cluster, is_of_config);
        let endpoints = selected_by_service(service, object, &machines);
        endpoints.into_iter().map(|endpoint| (endpoint.port_name, endpoint.port)).collect()
    })
}

/// Whether a WorkloadEntry stands for a machine at an address.
pub(crate) fn may_be_machine_at(entry: &WorkloadEntry, address: &Address) -> bool {
    Address::parse(&entry.spec.address) == *address && is_healthy(entry)
}

/// Hands out a cluster as conversions of what does not refer to other objects read it.
fn with_cluster<T>(
    id: &ClusterId,
    trust_domain: &TrustDomain,
    store: &Store,
    networks: &MeshNetworks,
    with: impl FnOnce(&Cluster<'_>) -> T,
) -> T {
    let system = store.namespace(SYSTEM_NAMESPACE).map(|meta| meta.labels.value(NETWORK));
    let networks = NetworkOf::new(id, system.unwrap_or_default(), members(networks));
    let addresses = Addresses::default();
    let pods = undiscovered(store, &addresses);
    let (domain, nodes) = ("", &store.nodes);
    let dual_stack = false; // Slices are other objects.
    with(&Cluster { id, trust_domain, domain, networks: &networks, nodes, pods, dual_stack })
}

/// What `MeshNetworks` alone says of the network of a pod.
pub(crate) fn listed_network(id: &ClusterId, networks: &MeshNetworks, pod: &Pod) -> NetworkId {
    let networks = NetworkOf::new(id, "", members(networks));
    networks.network(pod.status.pod_ip, &Labels::default())
}

/// Converts a service as its own cluster has it, not merged with those of other clusters.
pub(crate) fn service_of(
    id: &ClusterId,
    trust_domain: &TrustDomain,
    store: &Store,
    domain: &str,
    service: &resource::Service,
) -> Service {
    let (networks, addresses) = (NetworkOf::default(), Addresses::default());
    let pods = undiscovered(store, &addresses);
    let nodes = &store.nodes;
    let dual_stack = false; // It is of endpoints only.
    let cluster =
        Cluster { id, trust_domain, domain, networks: &networks, nodes, pods, dual_stack };
    let namespace = store.namespace(service.meta.namespace.as_str());
    kubernetes::convert(service, &cluster, namespace.map(|meta| &meta.annotations))
}

fn undiscovered<'o>(store: &'o Store, by_address: &'o Addresses) -> Pods<'o> {
    Pods { by_name: &store.pods, by_address, discovery: Discovery::everywhere() }
}
