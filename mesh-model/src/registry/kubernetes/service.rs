//! A Kubernetes Service as the mesh knows it.
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use super::Cluster;
use crate::endpoint::{Address, Provider};
use crate::name::{Hostname, Identity, Labels, Namespace};
use crate::registry::{
    AutoAllocated, ExportTo, Resolution, Service, ServicePort, TrafficDistribution, UNSPECIFIED,
};
use crate::resource::{self, ClusterIp, NodeAddressType, ServiceType, TrafficScope};

const EXPORT_TO: &str = "networking.istio.io/exportTo";
const TRAFFIC_DISTRIBUTION: &str = "networking.istio.io/traffic-distribution";
const CANONICAL_ACCOUNTS: &str = "alpha.istio.io/canonical-serviceaccounts";
const KUBERNETES_ACCOUNTS: &str = "alpha.istio.io/kubernetes-serviceaccounts";
const NODE_SELECTOR: &str = "traffic.istio.io/nodeSelector";

/// Converts a service of one cluster.
///
/// `namespace` holds the annotations of the service's namespace, if that is known.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/serviceregistry/kube/conversion.go` `ConvertService`.
pub(crate) fn convert(
    service: &resource::Service,
    cluster: &Cluster<'_>,
    namespace: Option<&Labels>,
) -> Service {
    let meta = &service.meta;
    let spec = &service.spec;
    let alias_of = (spec.kind == ServiceType::ExternalName && !spec.external_name.is_empty())
        .then(|| Hostname::from(&*spec.external_name));
    let resolution = match (&alias_of, spec.cluster_ip) {
        (_, ClusterIp::Headless) => Resolution::Passthrough,
        (Some(_), ClusterIp::Unset | ClusterIp::Address(_)) => Resolution::Alias,
        (None, ClusterIp::Unset | ClusterIp::Address(_)) => Resolution::ClientSideLb,
    };
    let addresses = addresses(spec);
    let annotation = |key| meta.annotations.get(key).filter(|text| !text.is_empty());
    Service {
        hostname: hostname(&meta.name, &meta.namespace, cluster.domain),
        namespace: meta.namespace.clone(),
        name: Arc::from(&*meta.name),
        provider: Provider::Kubernetes,
        creation: meta.creation,
        ports: spec.ports.iter().filter_map(port).collect(),
        resolution,
        default_address: addresses.first().cloned().unwrap_or_else(|| UNSPECIFIED.into()),
        cluster_vips: Box::from([(cluster.id.clone(), addresses.into())]),
        auto_allocated: AutoAllocated::default(),
        export_to: annotation(EXPORT_TO)
            .map(|text| ExportTo::parse(text.split(',').map(str::trim))),
        labels: meta.labels.clone(),
        selector: spec.selector.clone(),
        mesh_external: alias_of.is_some(),
        node_local: spec.internal_traffic_policy == TrafficScope::Local,
        publish_not_ready: spec.publish_not_ready_addresses,
        traffic_distribution: TrafficDistribution::resolve(
            Some(&spec.traffic_distribution),
            meta.annotations.get(TRAFFIC_DISTRIBUTION),
            namespace.and_then(|annotations| annotations.get(TRAFFIC_DISTRIBUTION)),
        ),
        service_accounts: service_accounts(meta, cluster),
        alias_of,
        aliases: Box::default(),
        race_connects: false,
    }
}

/// `NAME.NAMESPACE.svc.DOMAIN`.
pub(crate) fn hostname(name: &str, namespace: &Namespace, domain: &str) -> Hostname {
    Hostname::from(&*[name, ".", namespace.as_str(), ".svc.", domain].concat())
}

/// The addresses in the service's own cluster; one that stands for none where there is none.
fn addresses(spec: &resource::ServiceSpec) -> Vec<Arc<str>> {
    let text = |ip: &ClusterIp| match ip {
        ClusterIp::Address(address) => Some(Arc::from(address.to_string())),
        ClusterIp::Headless | ClusterIp::Unset => None,
    };
    match text(&spec.cluster_ip) {
        None => vec![UNSPECIFIED.into()],
        Some(_) if spec.cluster_ips.len() > 1 => spec.cluster_ips.iter().filter_map(text).collect(),
        Some(address) => vec![address],
    }
}

/// A port; `None` for a number that is none.
fn port(port: &resource::ServicePort) -> Option<ServicePort> {
    Some(ServicePort {
        name: Arc::from(&*port.name),
        number: u16::try_from(port.port).ok()?,
        protocol: port.app(),
        target_port: 0,
    })
}

/// The identities that annotations allow servers to show.
fn service_accounts(meta: &resource::Meta, cluster: &Cluster<'_>) -> Box<[Arc<str>]> {
    let list = |key| {
        let text = meta.annotations.value(key);
        text.split(',').filter(|_| !text.is_empty())
    };
    let identity = |name: &str| {
        let identity = Identity {
            trust_domain: cluster.trust_domain.clone(),
            namespace: meta.namespace.clone(),
            service_account: name.into(),
        };
        Arc::from(identity.to_string())
    };
    list(CANONICAL_ACCOUNTS).map(Arc::from).chain(list(KUBERNETES_ACCOUNTS).map(identity)).collect()
}

/// Where a service can be reached from outside its cluster.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct ExternalAddresses {
    /// The addresses, in the order in which they are known.
    pub(crate) addresses: Vec<Address>,
    /// What a service port is on these addresses, where they are nodes; empty: the same.
    pub(crate) node_ports: BTreeMap<u16, u16>,
}

/// Returns where a service can be reached from outside its cluster: its load balancer, then
/// `externalIPs`; of a NodePort service with a node selector the external addresses of those nodes.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/serviceregistry/kube/conversion.go` `ConvertService`;
/// `controller/controller.go` `updateServiceNodePortAddresses`.
pub(crate) fn external_addresses(
    service: &resource::Service,
    cluster: &Cluster<'_>,
) -> ExternalAddresses {
    let spec = &service.spec;
    let external_ips = spec.external_ips.iter().copied().map(Address::Ip);
    match spec.kind {
        ServiceType::LoadBalancer => {
            let ingress = service.status.load_balancer.ingress.iter();
            let points = ingress.filter_map(|point| match (point.ip, &*point.hostname) {
                (Some(ip), _) => Some(Address::Ip(ip)),
                (None, "") => None,
                (None, host) => Some(Address::Host(host.into())),
            });
            let addresses = points.chain(external_ips).collect();
            ExternalAddresses { addresses, node_ports: BTreeMap::new() }
        }
        ServiceType::NodePort => node_port_addresses(service, cluster),
        ServiceType::ClusterIp | ServiceType::ExternalName => {
            ExternalAddresses { addresses: external_ips.collect(), node_ports: BTreeMap::new() }
        }
    }
}

fn node_port_addresses(service: &resource::Service, cluster: &Cluster<'_>) -> ExternalAddresses {
    let spec = &service.spec;
    let mut addresses: Vec<Address> = spec.external_ips.iter().copied().map(Address::Ip).collect();
    let selector = service.meta.annotations.get(NODE_SELECTOR);
    let Some(selector) = selector.and_then(node_selector) else {
        return ExternalAddresses { addresses, node_ports: BTreeMap::new() };
    };
    if addresses.is_empty() {
        let nodes = cluster.nodes.iter().filter(|node| node.meta.labels.contains(&selector));
        addresses = nodes.filter_map(|node| external_ip(node)).collect();
    }
    let port = |port: &resource::ServicePort| {
        Some((u16::try_from(port.port).ok()?, u16::try_from(port.node_port).ok()?))
    };
    ExternalAddresses { addresses, node_ports: spec.ports.iter().filter_map(port).collect() }
}

/// The labels that annotation `traffic.istio.io/nodeSelector` holds as JSON.
fn node_selector(text: &str) -> Option<Labels> {
    let labels: BTreeMap<String, String> = serde_json::from_str(text).ok()?;
    Some(labels.into_iter().collect())
}

fn external_ip(node: &resource::Node) -> Option<Address> {
    let address =
        node.status.addresses.iter().find(|address| address.kind == NodeAddressType::ExternalIp)?;
    Some(
        address
            .address
            .parse::<IpAddr>()
            .map_or_else(|_| Address::Host(Arc::from(&*address.address)), Address::Ip),
    )
}
