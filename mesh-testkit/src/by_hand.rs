//! Proxies, services and endpoints made by hand: everything that a test does not mention is empty.
//!
//! ```
//! use mesh_testkit::by_hand;
//!
//! let endpoint = by_hand::endpoint("10.0.0.1", "c1", "eu/west/a");
//! assert_eq!(endpoint.workload.labels.value("topology.kubernetes.io/zone"), "west");
//! assert_eq!(by_hand::shards([endpoint]).endpoints().count(), 1);
//! ```
use std::collections::BTreeMap;
use std::sync::Arc;

use mesh_model::compat::DataPlane;
use mesh_model::endpoint::{
    Address, Endpoint, HealthStatus, MoreAddresses, Place, Provider, Shard, Shards, Template,
    Workload,
};
use mesh_model::name::{
    ClusterId, Hostname, Labels, Locality, Namespace, NetworkId, Protocol, Text,
};
use mesh_model::registry::{
    AutoAllocated, Resolution, Service, ServicePort, TrafficDistribution, UNSPECIFIED,
};
use mesh_model::view::{InterceptionMode, Proxy, ProxyKind};

/// A sidecar in a cluster and a locality, without address, network and labels other than those of
/// its place.
pub fn proxy(cluster: &str, locality: &str) -> Proxy {
    Proxy {
        kind: ProxyKind::Sidecar,
        data_plane: DataPlane::IstioProxy,
        name: "client".into(),
        namespace: Namespace::from("client"),
        cluster: ClusterId::from(cluster),
        network: NetworkId::default(),
        addresses: Box::default(),
        labels: place_labels(cluster, locality),
        locality: Locality::parse(locality),
        service_account: Box::default(),
        node: Box::default(),
        dns_domain: Box::default(),
        interception: InterceptionMode::Redirect,
        network_view: Box::default(),
        metadata: BTreeMap::new(),
        started_with: None,
    }
}

/// A Kubernetes service of namespace `shop` with port `http`, 80.
pub fn service(hostname: &str) -> Service {
    Service {
        hostname: Hostname::from(hostname),
        namespace: Namespace::from("shop"),
        name: hostname.into(),
        provider: Provider::Kubernetes,
        creation: None,
        ports: Box::from([ServicePort {
            name: "http".into(),
            number: 80,
            protocol: Protocol::Http,
            target_port: 0,
        }]),
        resolution: Resolution::ClientSideLb,
        default_address: UNSPECIFIED.into(),
        cluster_vips: Box::default(),
        auto_allocated: AutoAllocated::default(),
        export_to: None,
        labels: Labels::default(),
        selector: Labels::default(),
        mesh_external: false,
        node_local: false,
        publish_not_ready: false,
        traffic_distribution: TrafficDistribution::Any,
        service_accounts: Box::default(),
        alias_of: None,
        aliases: Box::default(),
        race_connects: false,
    }
}

/// A healthy endpoint of port `http`, 80, at target port 8080, with a sidecar.
pub fn endpoint(address: &str, cluster: &str, locality: &str) -> Endpoint {
    Endpoint {
        address: Address::parse(address),
        more_addresses: MoreAddresses::default(),
        port: 8080,
        port_name: "http".into(),
        service_port: 80,
        weight: 0,
        health: HealthStatus::Healthy,
        instance: Text::default(),
        workload: Arc::new(Workload {
            labels: place_labels(cluster, locality),
            place: Arc::new(Place {
                cluster: ClusterId::from(cluster),
                locality: locality.into(),
                ..Place::default()
            }),
            template: Arc::new(Template { tls_mode: "istio".into(), ..Template::default() }),
        }),
    }
}

/// Puts endpoints into one shard for each of their clusters.
pub fn shards(endpoints: impl IntoIterator<Item = Endpoint>) -> Shards {
    let mut by_cluster: BTreeMap<ClusterId, Vec<Endpoint>> = BTreeMap::new();
    for endpoint in endpoints {
        by_cluster.entry(endpoint.workload.place.cluster.clone()).or_default().push(endpoint);
    }
    Shards::new(
        by_cluster.into_iter().map(|(cluster, endpoints)| {
            Arc::new(Shard::new(Provider::Kubernetes, cluster, endpoints))
        }),
    )
}

/// The labels that istiod adds for a cluster and a locality; empty ones are left out.
fn place_labels(cluster: &str, locality: &str) -> Labels {
    let locality = Locality::parse(locality);
    let labels = [
        ("topology.istio.io/cluster", cluster),
        ("topology.kubernetes.io/region", locality.region()),
        ("topology.kubernetes.io/zone", locality.zone()),
        ("topology.istio.io/subzone", locality.sub_zone()),
    ];
    labels.into_iter().filter(|(_, value)| !value.is_empty()).collect()
}
