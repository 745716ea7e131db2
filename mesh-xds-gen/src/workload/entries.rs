//! Machines as workloads: WorkloadEntries, and the endpoints that ServiceEntries list.
//!
//! # Upstream
//!
//! istio/istio `pilot/pkg/serviceregistry/ambient/workloads.go` `workloadEntryWorkloadBuilder`,
//! `serviceEntryWorkloadBuilder`, `constructServicesFromWorkloadEntry`.
use std::collections::BTreeMap;
use std::net::IpAddr;

use mesh_envoy_proto::istio::workload::{Port, PortList, Workload, WorkloadType};
use mesh_model::name::{Labels, Locality};
use mesh_model::resource::service_entry::{Resolution, ServiceEntry};
use mesh_model::resource::{WorkloadEntry, WorkloadEntrySpec};

use super::Cluster;
use super::services::Info;
use super::wire::{canonical, locality, octets, tunnel};

/// The workloads of the machines.
pub(super) fn workloads(cluster: &Cluster<'_>) -> Vec<Workload> {
    let machines = cluster.manifests.workload_entries().map(|entry| machine(cluster, entry));
    let entries = cluster.manifests.service_entries();
    machines.chain(entries.flat_map(|entry| listed(cluster, entry))).collect()
}

fn machine(cluster: &Cluster<'_>, entry: &WorkloadEntry) -> Workload {
    let meta = &entry.meta;
    let (namespace, name) = (meta.namespace.as_str(), &*meta.name);
    let labels = entry.spec.labels.overlaid(&meta.labels);
    let services: Vec<&Info<'_>> = cluster.services.selecting(namespace, &labels).collect();
    let group = meta.annotations.get("istio.io/autoRegistrationGroup");
    let label = labels.get("service.istio.io/workload-name");
    let kind = "networking.istio.io/WorkloadEntry";
    let mut workload = Workload {
        uid: format!("{}/{kind}/{namespace}/{name}", cluster.plane.id),
        authorization_policies: cluster.policies(&meta.namespace, &labels),
        workload_name: group.or(label).unwrap_or(name).to_owned(),
        ..endpoint(cluster, &entry.spec, &services, (namespace, name))
    };
    name_canonically(&mut workload, &labels);
    tunnel(&mut workload, &labels, &meta.annotations);
    workload
}

/// The endpoints of an entry; one that is resolved by DNS and lists none has its hosts.
fn listed(cluster: &Cluster<'_>, entry: &ServiceEntry) -> Vec<Workload> {
    let (meta, spec) = (&entry.meta, &entry.spec);
    let is_of_entry = |found: &&Info<'_>| {
        !found.is_kubernetes
            && found.meta.name == meta.name
            && found.meta.namespace == meta.namespace
    };
    let services: Vec<&Info<'_>> = cluster.services.iter().filter(is_of_entry).collect();
    let by_dns = match spec.resolution {
        Resolution::Dns | Resolution::DynamicDns | Resolution::DnsRoundRobin => true,
        Resolution::None | Resolution::Static => false,
    };
    if spec.endpoints.is_empty() && by_dns && spec.workload_selector.is_none() {
        let of_host = |found: &&Info<'_>| {
            let address = found.service.hostname.as_str().into();
            let spec = WorkloadEntrySpec { address, ..WorkloadEntrySpec::default() };
            endpoint_of(cluster, entry, &spec, &[*found])
        };
        return services.iter().map(of_host).collect();
    }
    // The network of an endpoint is also that of those after it: so it is upstream.
    let mut network: &str = "";
    let mut found = Vec::new();
    for spec in spec.endpoints.iter().filter(|_| !services.is_empty()) {
        network = if spec.network.is_empty() { network } else { &spec.network };
        let mut workload = endpoint_of(cluster, entry, spec, &services);
        if !network.is_empty() {
            network.clone_into(&mut workload.network);
        }
        found.push(workload);
    }
    found
}

fn endpoint_of(
    cluster: &Cluster<'_>,
    entry: &ServiceEntry,
    spec: &WorkloadEntrySpec,
    services: &[&Info<'_>],
) -> Workload {
    let meta = &entry.meta;
    let (namespace, name) = (meta.namespace.as_str(), &*meta.name);
    let (id, kind) = (&cluster.plane.id, "networking.istio.io/ServiceEntry");
    let mut workload = Workload {
        uid: format!("{id}/{kind}/{namespace}/{name}/{}", spec.address),
        authorization_policies: cluster.policies(&meta.namespace, &meta.labels),
        workload_name: name.to_owned(),
        ..endpoint(cluster, spec, services, (namespace, name))
    };
    name_canonically(&mut workload, &meta.labels);
    tunnel(&mut workload, &meta.labels, &meta.annotations);
    workload
}

fn name_canonically(workload: &mut Workload, labels: &Labels) {
    let (name, revision) = canonical(labels, &workload.workload_name);
    workload.canonical_name = name;
    workload.canonical_revision = revision;
}

/// What a machine says itself.
fn endpoint(
    cluster: &Cluster<'_>,
    spec: &WorkloadEntrySpec,
    services: &[&Info<'_>],
    (namespace, name): (&str, &str),
) -> Workload {
    let address = spec.address.parse::<IpAddr>().ok();
    let known = cluster.workload(String::new(), namespace, name);
    let place = Locality::parse(&spec.locality);
    Workload {
        network: if spec.network.is_empty() {
            known.network.clone()
        } else {
            spec.network.to_string()
        },
        hostname: if address.is_some() { String::new() } else { spec.address.to_string() },
        addresses: address.map(octets).into_iter().collect(),
        service_account: spec.service_account.to_string(),
        services: services.iter().map(|found| (found.key(), ports(spec, found))).collect(),
        locality: locality(place.region(), place.zone(), place.sub_zone()),
        capacity: (spec.weight > 0).then_some(spec.weight),
        workload_type: WorkloadType::Pod.into(),
        ..known
    }
}

/// The ports of a service on a machine, by the names that the machine gives.
fn ports(spec: &WorkloadEntrySpec, found: &Info<'_>) -> PortList {
    let named: &BTreeMap<Box<str>, u32> = &spec.ports;
    let ports = found.service.ports.iter().filter_map(|port| {
        let (name, target) = found.port_names.get(&port.service_port).copied().unwrap_or_default();
        let target_port = match target {
            Some(target) => *named.get(target)?,
            None => match named.get(name) {
                Some(number) => *number,
                None if !found.is_kubernetes && port.target_port == 0 => port.service_port,
                None => port.target_port,
            },
        };
        Some(Port { service_port: port.service_port, target_port, ..Port::default() })
    });
    PortList { ports: ports.collect() }
}
