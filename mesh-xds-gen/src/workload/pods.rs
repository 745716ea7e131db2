//! Pods as workloads.
//!
//! # Upstream
//!
//! istio/istio `pilot/pkg/serviceregistry/ambient/workloads.go` `podWorkloadBuilder`,
//! `matchingServicesWithoutSelectors`, `constructServices`; `nodes.go` `nodeLocality`.
use mesh_envoy_proto::istio::workload::{
    Locality, NetworkMode, Port, PortList, Workload, WorkloadStatus, WorkloadType,
};
use mesh_model::registry::manifests::{named_port, workload_name};
use mesh_model::resource::{Pod, PodPhase, Readiness};

use super::services::Info;
use super::wire::{canonical, locality, octets, tunnel};
use super::{Cluster, slices};

/// The workloads of the pods that have an address and have not ended.
pub(super) fn workloads(cluster: &Cluster<'_>) -> Vec<Workload> {
    cluster.manifests.pods().filter_map(|pod| workload(cluster, pod)).collect()
}

fn workload(cluster: &Cluster<'_>, pod: &Pod) -> Option<Workload> {
    let (meta, spec) = (&pod.meta, &pod.spec);
    let addresses: Vec<Vec<u8>> = pod.status.addresses().map(octets).collect();
    let has_ended = matches!(pod.status.phase, PodPhase::Succeeded | PodPhase::Failed);
    if has_ended || addresses.is_empty() {
        return None;
    }
    let (namespace, name) = (meta.namespace.as_str(), &*meta.name);
    let uid = format!("{}//Pod/{namespace}/{name}", cluster.plane.id);
    let mut services: Vec<&Info<'_>> =
        cluster.services.selecting(namespace, &meta.labels).collect();
    for service in slices::services_of_pod(cluster, namespace, name) {
        let is_new = |known: &&Info<'_>| known.service.hostname != service.service.hostname;
        if services.iter().all(is_new) {
            services.push(service);
        }
    }
    let is_healthy = pod.status.readiness == Readiness::Ready && meta.deletion.is_none();
    let status = if is_healthy { WorkloadStatus::Healthy } else { WorkloadStatus::Unhealthy };
    let workload_name = workload_name(pod);
    let (canonical_name, canonical_revision) = canonical(&meta.labels, workload_name);
    let mut workload = Workload {
        addresses,
        service_account: spec.service_account_name.to_string(),
        node: spec.node_name.to_string(),
        services: services.iter().map(|found| (found.key(), ports(pod, found))).collect(),
        authorization_policies: cluster.policies(&meta.namespace, &meta.labels),
        status: status.into(),
        locality: node_locality(cluster, &spec.node_name),
        network_mode: if spec.host_network {
            NetworkMode::HostNetwork.into()
        } else {
            NetworkMode::Standard.into()
        },
        workload_name: workload_name.to_owned(),
        workload_type: WorkloadType::Pod.into(),
        canonical_name,
        canonical_revision,
        ..cluster.workload(uid, namespace, name)
    };
    tunnel(&mut workload, &meta.labels, &meta.annotations);
    Some(workload)
}

/// The ports of a service on a pod; one with a name that no container has is left out.
fn ports(pod: &Pod, found: &Info<'_>) -> PortList {
    let ports = found.service.ports.iter().filter_map(|port| {
        let names = found.port_names.get(&port.service_port).copied().unwrap_or_default();
        let target_port = match names {
            (_, Some(target)) => named_port(pod, target)?.into(),
            (name, None) if !found.is_kubernetes && !name.is_empty() => match named_port(pod, name)
            {
                Some(named) => named.into(),
                None if port.target_port == 0 => port.service_port,
                None => port.target_port,
            },
            (_, None) => port.target_port,
        };
        Some(Port { service_port: port.service_port, target_port, ..Port::default() })
    });
    PortList { ports: ports.collect() }
}

fn node_locality(cluster: &Cluster<'_>, node: &str) -> Option<Locality> {
    let labels = &cluster.manifests.node(node)?.labels;
    locality(
        labels.value("topology.kubernetes.io/region"),
        labels.value("topology.kubernetes.io/zone"),
        labels.value("topology.istio.io/subzone"),
    )
}
