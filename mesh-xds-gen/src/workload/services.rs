//! Services of a cluster as ztunnels know them.
//!
//! # Upstream
//!
//! istio/istio `pilot/pkg/serviceregistry/ambient/services.go` `selectWorkloadServices`,
//! `constructService`, `constructServiceEntries`.
use std::collections::BTreeMap;
use std::net::IpAddr;

use mesh_envoy_proto::istio::workload::load_balancing::{HealthPolicy, Mode, Scope};
use mesh_envoy_proto::istio::workload::service::Visibility;
use mesh_envoy_proto::istio::workload::{IpFamilies, LoadBalancing, NetworkAddress, Port, Service};
use mesh_model::name::{Cidr, Labels, Protocol};
use mesh_model::registry::{ControlPlane, Manifests, Mesh, TrafficDistribution, allocation};
use mesh_model::resource::mesh_config;
use mesh_model::resource::service_entry::{Resolution, ServiceEntry};
use mesh_model::resource::{
    self, ClusterIp, IpFamily, Meta, PortTarget, ServiceType, TrafficScope,
};

use super::wire::{app_protocol, octets};

/// A service with what workloads are matched by.
#[derive(Clone, Debug)]
pub(super) struct Info<'m> {
    pub(super) service: Service,
    /// The object it is from.
    pub(super) meta: &'m Meta,
    pub(super) is_kubernetes: bool,
    /// The labels that select its workloads.
    pub(super) selector: Option<&'m Labels>,
    /// The names of its ports: their own, and that of the port of the workload.
    pub(super) port_names: BTreeMap<u32, (&'m str, Option<&'m str>)>,
}

impl Info<'_> {
    /// `NAMESPACE/HOST`.
    pub(super) fn key(&self) -> String {
        format!("{}/{}", self.service.namespace, self.service.hostname)
    }

    /// Whether it wins against another of its host in its namespace: it is older, and the other is no
    /// Kubernetes service.
    fn is_better(&self, other: &Self) -> bool {
        self.meta.creation < other.meta.creation && !other.is_kubernetes
    }
}

/// The services of a cluster, one a host and namespace.
#[derive(Clone, Debug, Default)]
pub(super) struct Services<'m>(Vec<Info<'m>>);

impl<'m> Services<'m> {
    pub(super) fn of(mesh: &'m Mesh, plane: &'m ControlPlane) -> Self {
        let manifests = mesh.manifests(plane);
        let mut by_host: BTreeMap<String, BTreeMap<String, Info<'m>>> = BTreeMap::new();
        let kubernetes =
            manifests.services().filter_map(|service| of_service(plane, manifests, service));
        let entries =
            manifests.service_entries().flat_map(|entry| of_entry(mesh, manifests, entry));
        for found in kubernetes.chain(entries) {
            let of_host = by_host.entry(found.service.hostname.clone()).or_default();
            match of_host.get(&found.service.namespace) {
                Some(best) if !found.is_kubernetes && !found.is_better(best) => {}
                Some(_) | None => {
                    of_host.insert(found.service.namespace.clone(), found);
                }
            }
        }
        let services =
            by_host.into_values().flat_map(|of_host| canonical(of_host.into_values().collect()));
        Self(services.collect())
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Info<'m>> {
        self.0.iter()
    }

    /// Those of a namespace that select a workload by its labels.
    pub(super) fn selecting<'s>(
        &'s self,
        namespace: &'s str,
        labels: &'s Labels,
    ) -> impl Iterator<Item = &'s Info<'m>> {
        self.iter().filter(move |found| {
            found.service.namespace == namespace
                && found
                    .selector
                    .is_some_and(|selector| !selector.is_empty() && labels.contains(selector))
        })
    }

    /// The Kubernetes service of a name.
    pub(super) fn kubernetes(&self, namespace: &str, name: &str) -> Option<&Info<'m>> {
        self.iter().find(|found| {
            found.is_kubernetes
                && found.service.namespace == namespace
                && found.service.name == name
        })
    }
}

/// Marks the one of a host that clients of other namespaces mean: the Kubernetes service, else the
/// oldest that they may see.
fn canonical(mut of_host: Vec<Info<'_>>) -> Vec<Info<'_>> {
    let mut chosen: Option<usize> = None;
    for (index, found) in of_host.iter().enumerate() {
        let is_hidden = found.service.visibility == i32::from(Visibility::Namespace);
        let best = chosen.and_then(|index| of_host.get(index));
        if found.is_kubernetes || (!is_hidden && best.is_none_or(|best| found.is_better(best))) {
            chosen = Some(index);
        }
    }
    if let Some(found) = chosen.and_then(|index| of_host.get_mut(index)) {
        found.service.canonical = true;
    }
    of_host
}

fn of_service<'m>(
    plane: &ControlPlane,
    manifests: Manifests<'m>,
    service: &'m resource::Service,
) -> Option<Info<'m>> {
    let (meta, spec) = (&service.meta, &service.spec);
    if spec.kind == ServiceType::ExternalName {
        return None;
    }
    let ports = spec.ports.iter().map(|port| Port {
        service_port: port.port,
        target_port: match &port.target_port {
            Some(PortTarget::Number(number)) => *number,
            Some(PortTarget::Name(_)) => 0,
            None => port.port,
        },
        app_protocol: app_protocol(port.app()).into(),
    });
    let target_name = |target: &'m Option<PortTarget>| match target {
        Some(PortTarget::Name(name)) => Some(&**name),
        Some(PortTarget::Number(_)) | None => None,
    };
    let names = spec.ports.iter();
    let names = names.map(|port| (port.port, (&*port.name, target_name(&port.target_port))));
    let vips: &[ClusterIp] = match &*spec.cluster_ips {
        [] => std::slice::from_ref(&spec.cluster_ip),
        all => all,
    };
    let vips = vips.iter().filter_map(|vip| match vip {
        ClusterIp::Address(address) => Some(network_address(manifests, *address)),
        ClusterIp::Headless | ClusterIp::Unset => None,
    });
    Some(Info {
        service: Service {
            name: meta.name.to_string(),
            namespace: meta.namespace.to_string(),
            hostname: format!("{}.{}.svc.{}", meta.name, meta.namespace, plane.domain),
            addresses: vips.collect(),
            ports: ports.collect(),
            load_balancing: balancing_of_service(manifests, service),
            ip_families: match &*spec.ip_families {
                [IpFamily::Ipv4] => IpFamilies::Ipv4Only.into(),
                [IpFamily::Ipv6] => IpFamilies::Ipv6Only.into(),
                [_, _] => IpFamilies::Dual.into(),
                _ => IpFamilies::Automatic.into(),
            },
            canonical: true,
            ..Service::default()
        },
        meta,
        is_kubernetes: true,
        selector: Some(&spec.selector),
        port_names: names.collect(),
    })
}

fn network_address(manifests: Manifests<'_>, address: IpAddr) -> NetworkAddress {
    NetworkAddress {
        network: manifests.network().to_owned(),
        address: octets(address),
        ..NetworkAddress::default()
    }
}

fn balancing_of_service(
    manifests: Manifests<'_>,
    service: &resource::Service,
) -> Option<LoadBalancing> {
    let spec = &service.spec;
    let found = if spec.internal_traffic_policy == TrafficScope::Local {
        Some(preferring(Mode::Strict, &[Scope::Node]))
    } else {
        let written = Some(&*spec.traffic_distribution).filter(|text| !text.is_empty());
        distributed(manifests, &service.meta, written)
    };
    if !spec.publish_not_ready_addresses {
        return found;
    }
    Some(LoadBalancing {
        health_policy: HealthPolicy::AllowAll.into(),
        ..found.unwrap_or_default()
    })
}

fn preferring(mode: Mode, scopes: &[Scope]) -> LoadBalancing {
    LoadBalancing {
        mode: mode.into(),
        routing_preference: scopes.iter().map(|scope| i32::from(*scope)).collect(),
        ..LoadBalancing::default()
    }
}

/// What the object, its annotations and those of its namespace say of near endpoints.
fn distributed(
    manifests: Manifests<'_>,
    meta: &Meta,
    written: Option<&str>,
) -> Option<LoadBalancing> {
    const KEY: &str = "networking.istio.io/traffic-distribution";
    let of_namespace = manifests.namespace(&meta.namespace);
    let of_namespace = of_namespace.and_then(|namespace| namespace.annotations.get(KEY));
    match TrafficDistribution::resolve(written, meta.annotations.get(KEY), of_namespace) {
        TrafficDistribution::Any => None,
        TrafficDistribution::SameZone => {
            Some(preferring(Mode::Failover, &[Scope::Network, Scope::Region, Scope::Zone]))
        }
        TrafficDistribution::SameNode => Some(preferring(
            Mode::Failover,
            &[Scope::Network, Scope::Region, Scope::Zone, Scope::Subzone, Scope::Node],
        )),
    }
}

/// A service for each host of an entry; none if an address cannot be read, or nobody may see it.
fn of_entry<'m>(mesh: &Mesh, manifests: Manifests<'m>, entry: &'m ServiceEntry) -> Vec<Info<'m>> {
    let (meta, spec) = (&entry.meta, &entry.spec);
    let visibility = match manifests.visibility(&meta.namespace) {
        mesh_config::Visibility::None => return Vec::new(),
        mesh_config::Visibility::Namespace => Visibility::Namespace,
        mesh_config::Visibility::Unspecified | mesh_config::Visibility::Public => {
            Visibility::Public
        }
    };
    let addresses = spec.addresses.iter().map(|text| range(manifests, text));
    let Some(addresses) = addresses.collect::<Option<Vec<_>>>() else { return Vec::new() };
    let ports: Vec<Port> = spec
        .ports
        .iter()
        .map(|port| Port {
            service_port: port.number,
            target_port: if port.target_port == 0 { port.number } else { port.target_port },
            app_protocol: app_protocol(Protocol::parse(&port.protocol)).into(),
        })
        .collect();
    let load_balancing = if spec.resolution == Resolution::None {
        Some(LoadBalancing {
            mode: Mode::Passthrough.into(),
            health_policy: HealthPolicy::AllowAll.into(),
            ..LoadBalancing::default()
        })
    } else {
        distributed(manifests, meta, None)
    };
    let names = spec.ports.iter().map(|port| (port.number, (&*port.name, None)));
    let port_names: BTreeMap<_, _> = names.collect();
    let of_host = |host: &str| Info {
        service: Service {
            name: meta.name.to_string(),
            namespace: meta.namespace.to_string(),
            hostname: host.to_owned(),
            addresses: if addresses.is_empty() {
                allocated(mesh, manifests, entry, host)
            } else {
                addresses.clone()
            },
            ports: ports.clone(),
            subject_alt_names: spec.subject_alt_names.iter().map(ToString::to_string).collect(),
            load_balancing: load_balancing.clone(),
            visibility: visibility.into(),
            ..Service::default()
        },
        meta,
        is_kubernetes: false,
        selector: spec.workload_selector.as_ref().map(|selector| &selector.labels),
        port_names: port_names.clone(),
    };
    spec.hosts.iter().map(AsRef::as_ref).map(of_host).collect()
}

/// An address, or a range without the bits of its hosts; `None` if it is neither.
fn range(manifests: Manifests<'_>, text: &str) -> Option<NetworkAddress> {
    let range: Cidr = text.parse().ok()?;
    let bits = if range.address().is_ipv4() { 32 } else { 128 };
    let length = u32::from(range.prefix_len());
    Some(NetworkAddress {
        length: (length != bits).then_some(length),
        ..network_address(manifests, masked(range.address(), length))
    })
}

fn masked(address: IpAddr, length: u32) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32_u32.saturating_sub(length)).unwrap_or(0);
            IpAddr::from((u32::from(address) & mask).to_be_bytes())
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128_u32.saturating_sub(length)).unwrap_or(0);
            IpAddr::from((u128::from(address) & mask).to_be_bytes())
        }
    }
}

/// The addresses that the control plane allocated for a host of an entry without its own: all of its
/// status, in that order. Those that follow from names (without the flag) only sidecars know.
fn allocated(
    mesh: &Mesh,
    manifests: Manifests<'_>,
    entry: &ServiceEntry,
    host: &str,
) -> Vec<NetworkAddress> {
    let is_wildcard = host.starts_with('*') && entry.spec.resolution != Resolution::DynamicDns;
    if is_wildcard || !mesh.compat().flags.pilot_enable_ip_autoallocate {
        return Vec::new();
    }
    let addresses = allocation::of_status(entry, host);
    addresses.map(|address| network_address(manifests, address)).collect()
}
