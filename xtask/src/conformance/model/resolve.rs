//! Resolution functions: `pod_locality`, `endpoint_network`, `resolve_host`, `cluster_local`,
//! `endpoint_health`, `traffic_distribution`.
use std::collections::BTreeMap;

use mesh_model::endpoint::HealthStatus;
use mesh_model::name::{ClusterId, Hostname, Labels, Locality, NetworkId};
use mesh_model::registry::ClusterLocalHosts;
use mesh_model::registry::TrafficDistribution;
use mesh_model::registry::place::{self, NetworkMember, NetworkOf};
use serde::Deserialize;
use serde_json::{Value, json};

type Texts = BTreeMap<String, String>;

fn labels(texts: Texts) -> Labels {
    texts.into_iter().collect()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct PodLocality {
    pod_labels: Texts,
    node_labels: Option<Texts>,
}

pub(super) fn pod_locality(input: PodLocality) -> Value {
    let node = input.node_labels.map(labels);
    let text = place::pod_locality(&labels(input.pod_labels), node.as_ref());
    let parts = Locality::parse(&text);
    json!({
        "locality": text,
        "region": parts.region(),
        "zone": parts.zone(),
        "subzone": parts.sub_zone(),
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct EndpointNetwork {
    pod_labels: Texts,
    system_namespace_network: String,
    mesh_networks: MeshNetworks,
    cluster_id: String,
    ip: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MeshNetworks {
    networks: BTreeMap<String, Network>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Network {
    endpoints: Vec<Member>,
    /// They do not decide where an endpoint is.
    #[serde(default, rename = "gateways")]
    _gateways: Vec<Gateway>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
enum Member {
    FromCidr(String),
    FromRegistry(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Gateway {
    #[serde(rename = "address")]
    _address: String,
    #[serde(rename = "port")]
    _port: u16,
}

pub(super) fn endpoint_network(input: EndpointNetwork) -> Value {
    let members = input.mesh_networks.networks.iter().flat_map(|(name, network)| {
        network.endpoints.iter().map(move |member| {
            let member = match member {
                Member::FromCidr(range) => NetworkMember::Range(range),
                Member::FromRegistry(name) => NetworkMember::Registry(name),
            };
            (NetworkId::from(name.as_str()), member)
        })
    });
    let cluster = ClusterId::from(&*input.cluster_id);
    let networks = NetworkOf::new(&cluster, &input.system_namespace_network, members);
    let network = networks.network(input.ip.parse().ok(), &labels(input.pod_labels));
    json!({ "network": network.as_str() })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ShortHost {
    host: String,
    namespace: String,
    domain: String,
}

pub(super) fn host(input: ShortHost) -> Value {
    json!({ "host": Hostname::resolve(&input.host, &input.namespace, &input.domain).as_str() })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct ClusterLocal {
    service_settings: Vec<ServiceSettings>,
    host: String,
    discovery_host: String,
    domain: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ServiceSettings {
    settings: Settings,
    hosts: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Settings {
    cluster_local: bool,
}

pub(super) fn cluster_local(input: ClusterLocal) -> Value {
    let settings = input.service_settings.iter();
    let settings = settings
        .map(|entry| (entry.settings.cluster_local, entry.hosts.iter().map(String::as_str)));
    let hosts = ClusterLocalHosts::new(settings, &input.discovery_host, &input.domain);
    json!({ "clusterLocal": hosts.contains(&Hostname::from(&*input.host)) })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct EndpointHealth {
    conditions: Conditions,
    service_known: bool,
    persistent_session: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Conditions {
    ready: Option<bool>,
    serving: Option<bool>,
    terminating: Option<bool>,
}

pub(super) fn endpoint_health(input: EndpointHealth) -> Value {
    let Conditions { ready, serving, terminating } = input.conditions;
    let (known, session) = (input.service_known, input.persistent_session);
    let status = HealthStatus::of_conditions(ready, serving, terminating, known, session);
    json!({ "health": format!("{status:?}") })
}

const TRAFFIC_DISTRIBUTION: &str = "networking.istio.io/traffic-distribution";

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Distribution {
    spec: Option<String>,
    service_annotations: Texts,
    namespace_annotations: Texts,
}

pub(super) fn traffic_distribution(input: Distribution) -> Value {
    let annotation =
        |annotations: &Texts| annotations.get(TRAFFIC_DISTRIBUTION).map(ToOwned::to_owned);
    let distribution = TrafficDistribution::resolve(
        input.spec.as_deref(),
        annotation(&input.service_annotations).as_deref(),
        annotation(&input.namespace_annotations).as_deref(),
    );
    json!({ "trafficDistribution": distribution.as_str() })
}
