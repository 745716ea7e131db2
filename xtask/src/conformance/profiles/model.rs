//! Cases of mesh-model: from pods and node ids to proxies, injection, what a ztunnel is told.
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use mesh_model::compat::DataPlane;
use mesh_model::manifest::Node;
use mesh_model::name::{ClusterId, Labels, NetworkId};
use mesh_model::registry::TrafficDistribution;
use mesh_model::resource::mesh_config::{MeshConfig, ProxyConfig};
use mesh_model::resource::{Json, Resource, decode};
use mesh_model::view::injection::Candidate;
use mesh_model::view::node_id::{self, IstioVersion, NodeId};
use mesh_model::view::{PodSite, Proxy, WorkloadBalancing};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answered, read};

type Texts = BTreeMap<String, String>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NodeIdInput {
    node_id: String,
    #[serde(default)]
    instance_ips: Vec<String>,
    #[serde(default)]
    namespace: String,
}

pub(super) fn parse_node_id(input: &Value) -> Answered {
    let input: NodeIdInput = read(input)?;
    let ips: Vec<&str> = input.instance_ips.iter().map(String::as_str).collect();
    Ok(match NodeId::parse(&input.node_id, &ips) {
        Ok(node) => json!({
            "type": node.kind.as_str(),
            "ip_addresses": node.addresses,
            "id": node.id,
            "dns_domain": node.dns_domain,
            "config_namespace": node.config_namespace(&input.namespace),
            "ip_mode": node.ip_families().as_str(),
        }),
        Err(error) => json!({ "error": error.to_string() }),
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Version {
    version: String,
}

pub(super) fn istio_version(input: &Value) -> Answered {
    let Version { version } = read(input)?;
    let IstioVersion { major, minor, patch } = IstioVersion::parse(&version);
    Ok(json!({ "version": [major, minor, patch] }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Addresses {
    ip_addresses: Vec<IpAddr>,
}

pub(super) fn global_unicast_ip(input: &Value) -> Answered {
    let Addresses { ip_addresses } = read(input)?;
    Ok(json!({ "ip": node_id::global_unicast(&ip_addresses) }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Metadata {
    #[serde(rename = "key")]
    _key: String,
    value: Value,
}

impl Metadata {
    fn json(&self) -> Json {
        match &self.value {
            Value::String(text) => Json::String(text.as_str().into()),
            Value::Bool(value) => Json::Bool(*value),
            Value::Number(number) => Json::Number(number.as_f64().unwrap_or_default()),
            Value::Null | Value::Array(_) | Value::Object(_) => Json::Null,
        }
    }
}

pub(super) fn metadata_bool(input: &Value) -> Answered {
    let metadata: Metadata = read(input)?;
    Ok(match node_id::switch(&metadata.json()) {
        Ok(value) => json!({ "value": value }),
        Err(error) => json!({ "error": error.to_string() }),
    })
}

pub(super) fn metadata_list(input: &Value) -> Answered {
    let metadata: Metadata = read(input)?;
    Ok(json!({ "value": node_id::list(metadata.json().as_str().unwrap_or_default()) }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Injection {
    namespace: String,
    namespace_labels: Texts,
    pod_labels: Texts,
    pod_annotations: Texts,
    host_network: bool,
    revision: String,
}

impl Default for Injection {
    fn default() -> Self {
        let none = Texts::new;
        Self {
            namespace: "app".to_owned(),
            namespace_labels: none(),
            pod_labels: none(),
            pod_annotations: none(),
            host_network: false,
            revision: "default".to_owned(),
        }
    }
}

pub(super) fn injection(input: &Value) -> Answered {
    let input: Injection = read(input)?;
    let labels = |texts: &Texts| -> Labels { texts.clone().into_iter().collect() };
    let candidate = Candidate {
        namespace: &input.namespace,
        namespace_labels: &labels(&input.namespace_labels),
        labels: &labels(&input.pod_labels),
        annotations: &labels(&input.pod_annotations),
        host_network: input.host_network,
        revision: &input.revision,
    };
    let injected = candidate.is_injected();
    Ok(json!({
        "webhook": candidate.webhook().map(|webhook| webhook.as_str()),
        "injected": injected,
        "templates": injected.then(|| candidate.templates()),
    }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PodToProxy {
    cluster: String,
    pod: serde_json::Map<String, Value>,
    #[serde(default)]
    cluster_network: String,
    cluster_domain: Option<String>,
    mesh_default_config: Option<Value>,
}

pub(super) fn pod_to_proxy(input: &Value) -> Answered {
    let mut input: PodToProxy = read(input)?;
    input.pod.insert("apiVersion".to_owned(), json!("v1"));
    input.pod.insert("kind".to_owned(), json!("Pod"));
    let file = Arc::from("case");
    let decoded = decode(&Node::from(&Value::Object(input.pod)), &file, "default");
    let Some(Resource::Pod(pod)) = decoded.resource else {
        return Err(format!("{:?}", decoded.diagnostics));
    };
    let settings = match &input.mesh_default_config {
        Some(settings) => ProxyConfig::decode(&Node::from(settings), &file).0,
        None => MeshConfig::default().default_config,
    };
    let site = PodSite {
        cluster: &ClusterId::from(&*input.cluster),
        network: &NetworkId::from(&*input.cluster_network),
        domain: input.cluster_domain.as_deref().unwrap_or("cluster.local"),
        settings: &settings,
        root_namespace: &MeshConfig::default().root_namespace,
    };
    Ok(json!({ "proxy": Proxy::of_pod(&pod, &site).map(|proxy| print(&proxy)) }))
}

fn print(proxy: &Proxy) -> Value {
    let texts = proxy.metadata.iter().filter_map(|(key, value)| Some((key, value.as_str()?)));
    json!({
        "type": proxy.kind.as_str(),
        "node_id": proxy.node_id(),
        "ip_mode": proxy.ip_families().as_str(),
        "proxyless_grpc": proxy.data_plane == DataPlane::Grpc,
        "metadata": texts.collect::<BTreeMap<_, _>>(),
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Balancing {
    kind: Option<String>,
    resolution: Option<String>,
    traffic_distribution: Option<String>,
    internal_traffic_policy: Option<String>,
    #[serde(default)]
    publish_not_ready_addresses: bool,
}

pub(super) fn ztunnel_load_balancing(input: &Value) -> Answered {
    let input: Balancing = read(input)?;
    let is_entry = input.kind.as_deref() == Some("ServiceEntry");
    let told = if is_entry && input.resolution.as_deref() == Some("NONE") {
        WorkloadBalancing::PASSTHROUGH
    } else if input.internal_traffic_policy.as_deref() == Some("Local") {
        WorkloadBalancing::NODE_LOCAL
    } else {
        let distribution = input.traffic_distribution.as_deref();
        WorkloadBalancing::of(TrafficDistribution::resolve(distribution, None, None))
    };
    let told = if input.publish_not_ready_addresses { told.publishing_not_ready() } else { told };
    let preference: Vec<&str> = told.routing_preference.iter().map(|s| s.as_str()).collect();
    Ok(json!({
        "mode": told.mode.as_str(),
        "routing_preference": preference,
        "health_policy": told.health_policy.as_str(),
    }))
}
