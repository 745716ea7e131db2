//! `pod_locality`, `proxy_locality`, `augment_labels`, `endpoint_network`, and the gateways of
//! networks: `service_gateways`, `mesh_networks_gateways`, `gateway_resource_gateways`.
use std::collections::BTreeMap;
use std::sync::Arc;

use mesh_model::endpoint::{Address, Gateways, NetworkGateway};
use mesh_model::manifest::Node;
use mesh_model::name::{ClusterId, Labels, Locality, NetworkId};
use mesh_model::registry::gateways::{GatewayService, of_mesh_networks, of_resource, of_service};
use mesh_model::registry::place::{self, NetworkMember, NetworkOf};
use mesh_model::resource::{Resource, decode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answered, read};

type Texts = BTreeMap<String, String>;

fn labels(texts: Texts) -> Labels {
    texts.into_iter().collect()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PodLocality {
    pod_labels: Texts,
    node_labels: Option<Texts>,
}

pub(super) fn pod_locality(input: &Value) -> Answered {
    let PodLocality { pod_labels, node_labels } = read(input)?;
    let node = node_labels.map(labels);
    Ok(json!(place::pod_locality(&labels(pod_labels), node.as_ref())))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProxyLocality {
    labels: Texts,
    node_locality: Parts,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Parts {
    region: String,
    zone: String,
    sub_zone: String,
}

pub(super) fn proxy_locality(input: &Value) -> Answered {
    let ProxyLocality { labels: texts, node_locality: Parts { region, zone, sub_zone } } =
        read(input)?;
    let locality = place::proxy_locality(&labels(texts), &Locality::new(&region, &zone, &sub_zone));
    Ok(json!({
        "region": locality.region(), "zone": locality.zone(), "sub_zone": locality.sub_zone()
    }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Augment {
    labels: Texts,
    cluster: String,
    locality: String,
    node: String,
    network: String,
}

pub(super) fn augment_labels(input: &Value) -> Answered {
    let Augment { labels: texts, cluster, locality, node, network } = read(input)?;
    let (cluster, network) = (ClusterId::from(&*cluster), NetworkId::from(&*network));
    let all = place::augmented(&labels(texts), &cluster, &locality, &node, &network);
    Ok(all.iter().map(|(key, value)| (key.to_owned(), json!(value))).collect())
}

type Networks = BTreeMap<String, Network>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Network {
    #[serde(default)]
    endpoints: Vec<Member>,
    #[serde(default)]
    gateways: Vec<Gateway>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Member {
    FromCidr(String),
    FromRegistry(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Gateway {
    address: Option<String>,
    registry_service_name: Option<String>,
    port: u16,
    /// Ignored upstream.
    #[serde(rename = "locality")]
    _locality: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EndpointNetwork {
    labels: Texts,
    system_namespace_network: String,
    cluster: String,
    ip: String,
    mesh_networks: Networks,
}

pub(super) fn endpoint_network(input: &Value) -> Answered {
    let input: EndpointNetwork = read(input)?;
    let members = input.mesh_networks.iter().flat_map(|(name, network)| {
        network.endpoints.iter().map(move |member| {
            let member = match member {
                Member::FromCidr(range) => NetworkMember::Range(range),
                Member::FromRegistry(name) => NetworkMember::Registry(name),
            };
            (NetworkId::from(name.as_str()), member)
        })
    });
    let cluster = ClusterId::from(&*input.cluster);
    let networks = NetworkOf::new(&cluster, &input.system_namespace_network, members);
    let network = networks.network(input.ip.parse().ok(), &labels(input.labels));
    Ok(json!(network.as_str()))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ServiceGateways {
    cluster: String,
    service: GatewayCandidate,
    mesh_networks: Networks,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GatewayCandidate {
    host: String,
    labels: Texts,
    ports: Vec<u16>,
    external_addresses: Vec<String>,
}

pub(super) fn service_gateways(input: &Value) -> Answered {
    let ServiceGateways { cluster, service, mesh_networks } = read(input)?;
    let claims = |network: &&Network| {
        let claims = |member: &Member| matches!(member, Member::FromRegistry(n) if *n == cluster);
        network.endpoints.iter().any(claims)
    };
    let mut named = Vec::new();
    for (name, network) in mesh_networks.iter().filter(|(_, network)| claims(network)) {
        let services = network
            .gateways
            .iter()
            .filter_map(|gateway| Some((gateway.registry_service_name.as_deref()?, gateway.port)));
        named.extend(services.map(|(host, port)| (NetworkId::from(&**name), host, port)));
    }
    let named: Vec<_> = named.iter().map(|(id, host, port)| (id, *host, *port)).collect();
    let addresses: Vec<_> =
        service.external_addresses.iter().map(|text| Address::parse(text)).collect();
    let candidate = GatewayService {
        cluster: &ClusterId::from(&*cluster),
        hostname: &service.host,
        labels: &labels(service.labels),
        ports: &service.ports,
        addresses: &addresses,
        node_ports: &BTreeMap::new(),
    };
    Ok(print(of_service(&candidate, &named)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NetworksGateways {
    mesh_networks: Networks,
}

pub(super) fn mesh_networks_gateways(input: &Value) -> Answered {
    let NetworksGateways { mesh_networks } = read(input)?;
    let gateways = mesh_networks.iter().flat_map(|(name, network)| {
        let id = NetworkId::from(name.as_str());
        network.gateways.iter().filter_map(move |gateway| {
            Some(of_mesh_networks(&id, gateway.address.as_deref()?, gateway.port))
        })
    });
    Ok(print(gateways))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ResourceGateways {
    cluster: String,
    config_cluster: bool,
    resource: GatewayResource,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GatewayResource {
    labels: Texts,
    gateway_class: String,
    addresses: Vec<Value>,
    listeners: Vec<Value>,
}

pub(super) fn gateway_resource_gateways(input: &Value) -> Answered {
    let ResourceGateways { cluster, config_cluster, resource } = read(input)?;
    let object = json!({
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "Gateway",
        "metadata": { "name": "case", "labels": resource.labels },
        "spec": {
            "gatewayClassName": resource.gateway_class,
            "addresses": resource.addresses,
            "listeners": resource.listeners,
        },
    });
    let decoded = decode(&Node::from(&object), &Arc::from("case"), "default");
    let Some(Resource::KubernetesGateway(gateway)) = decoded.resource else {
        return Err(format!("{:?}", decoded.diagnostics));
    };
    Ok(print(of_resource(&gateway, &ClusterId::from(cluster.as_str()), config_cluster)))
}

/// Gateways as the mesh holds them: sorted, each once.
fn print(gateways: impl IntoIterator<Item = NetworkGateway>) -> Value {
    let text = |gateway: &NetworkGateway| {
        json!({
            "network": gateway.network.as_str(),
            "cluster": gateway.cluster.as_str(),
            "address": gateway.address.to_string(),
            "port": gateway.port,
            "hbone_port": gateway.hbone_port,
        })
    };
    Gateways::new(gateways).iter().map(text).collect()
}
