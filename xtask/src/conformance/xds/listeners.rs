//! The listeners of a sidecar.
//!
//! Cases describe services as they are in the registry; here they become the objects that such
//! services are read from. Cases call a Kubernetes service `NAME.NAMESPACE`: the rest of its host is
//! put there, and taken off the answer.
use std::collections::BTreeMap;

use mesh_envoy_proto::envoy::config::core::v3::CidrRange;
use mesh_envoy_proto::envoy::config::listener::v3::{Filter, FilterChain, Listener, filter};
use mesh_envoy_proto::envoy::extensions::filters::network::http_connection_manager::v3::{
    HttpConnectionManager, http_connection_manager::RouteSpecifier,
};
use mesh_envoy_proto::envoy::extensions::filters::network::tcp_proxy::v3::{
    TcpProxy, tcp_proxy::ClusterSpecifier,
};
use mesh_envoy_proto::prost::Name;
use mesh_xds_gen::listener::listeners;
use serde::Deserialize;
use serde_json::{Value, json};

use super::mesh;

/// The rest of a Kubernetes host.
const DOMAIN: &str = ".svc.cluster.local";
const NAMESPACE: &str = "default";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Outbound {
    proxy_ip: String,
    ip_family: String,
    outbound_policy: String,
    services_oldest_first: Vec<ServiceInput>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ServiceInput {
    host: String,
    address: String,
    ports: Vec<PortInput>,
    resolution: String,
    registry: String,
    endpoints: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PortInput {
    port: u16,
    protocol: String,
}

impl ServiceInput {
    fn objects(&self) -> Result<Vec<Value>, String> {
        match self.registry.as_str() {
            "Kubernetes" => self.kubernetes(),
            "External" => self.service_entry().map(|entry| vec![entry]),
            other => Err(format!("unknown registry `{other}`")),
        }
    }

    fn kubernetes(&self) -> Result<Vec<Value>, String> {
        let (name, namespace) =
            self.host.split_once('.').ok_or_else(|| format!("host `{}`", self.host))?;
        let is_headless = self.address == "0.0.0.0";
        if is_headless != (self.resolution == "Passthrough") {
            return Err("only services without address are passed through".to_owned());
        }
        let address = if is_headless { "None" } else { &self.address };
        let ports: Vec<Value> = self.ports.iter().map(PortInput::of_service).collect();
        let labels = json!({"kubernetes.io/service-name": name});
        let slice_ports: Vec<Value> = self.ports.iter().map(PortInput::of_slice).collect();
        let endpoint = |address| json!({"addresses": [address], "conditions": {"ready": true}});
        let endpoints: Vec<Value> = self.endpoints.iter().map(endpoint).collect();
        Ok(vec![
            json!({
                "apiVersion": "v1", "kind": "Service",
                "metadata": {"name": name, "namespace": namespace},
                "spec": {"clusterIP": address, "clusterIPs": [address], "ports": ports},
            }),
            json!({
                "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
                "metadata": {"name": name, "namespace": namespace, "labels": labels},
                "addressType": "IPv4", "ports": slice_ports, "endpoints": endpoints,
            }),
        ])
    }

    fn service_entry(&self) -> Result<Value, String> {
        let resolution = match self.resolution.as_str() {
            "ClientSideLB" => "STATIC",
            "Passthrough" => "NONE",
            other => return Err(format!("unknown resolution `{other}`")),
        };
        let addresses: Vec<&str> =
            std::iter::once(&*self.address).filter(|address| *address != "0.0.0.0").collect();
        let endpoint = |address| json!({"address": address});
        let endpoints: Vec<Value> = self.endpoints.iter().map(endpoint).collect();
        let ports: Vec<Value> = self.ports.iter().map(PortInput::of_entry).collect();
        Ok(json!({
            "apiVersion": "networking.istio.io/v1", "kind": "ServiceEntry",
            "metadata": {"name": self.host, "namespace": NAMESPACE},
            "spec": {
                "hosts": [self.host], "addresses": addresses, "ports": ports,
                "resolution": resolution, "endpoints": endpoints, "location": "MESH_INTERNAL",
            },
        }))
    }
}

impl PortInput {
    fn name(&self) -> String {
        format!("p{}", self.port)
    }

    fn of_service(&self) -> Value {
        let transport = if self.protocol == "UDP" { "UDP" } else { "TCP" };
        let known = !matches!(&*self.protocol, "UDP" | "UnsupportedProtocol");
        let protocol = known.then(|| self.protocol.to_lowercase());
        json!({
            "name": self.name(), "port": self.port, "protocol": transport,
            "appProtocol": protocol,
        })
    }

    fn of_slice(&self) -> Value {
        json!({"name": self.name(), "port": self.port, "protocol": "TCP"})
    }

    fn of_entry(&self) -> Value {
        json!({"name": self.name(), "number": self.port, "protocol": self.protocol})
    }
}

pub(super) fn outbound(input: &Outbound) -> Result<Value, String> {
    if input.ip_family != "v4" {
        return Err(format!("unknown family `{}`", input.ip_family));
    }
    let mut objects = vec![mesh::pod(&input.proxy_ip, NAMESPACE)];
    for service in &input.services_oldest_first {
        objects.extend(service.objects()?);
    }
    let settings = json!({"outboundTrafficPolicy": {"mode": input.outbound_policy}});
    let mesh = mesh::of_objects(objects, &settings)?;
    let proxy = mesh.proxy(&mesh::reference(NAMESPACE)).map_err(|error| error.to_string())?;
    let view = mesh.view(&proxy).ok_or("no control plane serves the proxy")?;
    let found = listeners(&view);
    let per_port = found.iter().filter(|listener| !listener.name.starts_with("virtual"));
    let by_name: BTreeMap<&str, Value> =
        per_port.map(|listener| (&*listener.name, print(listener))).collect();
    let text = json!(by_name).to_string().replace(DOMAIN, "");
    serde_json::from_str(&text).map_err(|error| error.to_string())
}

fn print(listener: &Listener) -> Value {
    let chains: Vec<Value> = listener.filter_chains.iter().map(chain).collect();
    json!({"chains": chains, "default": listener.default_filter_chain.as_ref().map(chain)})
}

/// What a chain does and which connections it is for; a cluster's name is absent for requests.
fn chain(chain: &FilterChain) -> Value {
    let given = chain.filter_chain_match.clone().unwrap_or_default();
    let mut printed = match chain.filters.iter().find_map(content) {
        Some(Content::Requests(routes)) => json!({
            "kind": "http", "rds": routes, "alpn": given.application_protocols,
            "transport": given.transport_protocol, "cluster": null,
        }),
        Some(Content::Bytes(cluster)) => json!({"kind": "tcp", "cluster": cluster}),
        None => json!({"kind": null}),
    };
    let ranges: Vec<String> = given.prefix_ranges.iter().map(range).collect();
    for (key, value) in [
        ("name", json!(chain.name)),
        ("server_names", json!(given.server_names)),
        ("prefix_ranges", json!(ranges)),
    ] {
        let is_empty = value.as_str() == Some("") || value.as_array().is_some_and(Vec::is_empty);
        if let (Some(members), false) = (printed.as_object_mut(), is_empty) {
            members.insert(key.to_owned(), value);
        }
    }
    printed
}

fn range(range: &CidrRange) -> String {
    format!("{}/{}", range.address_prefix, range.prefix_len.unwrap_or_default())
}

enum Content {
    /// HTTP, by the name of its routes.
    Requests(String),
    /// TCP, by the cluster.
    Bytes(String),
}

fn content(filter: &Filter) -> Option<Content> {
    let Some(filter::ConfigType::TypedConfig(config)) = &filter.config_type else { return None };
    if config.type_url == HttpConnectionManager::type_url() {
        let manager = config.to_msg::<HttpConnectionManager>().ok()?;
        return Some(Content::Requests(match manager.route_specifier? {
            RouteSpecifier::Rds(rds) => rds.route_config_name,
            RouteSpecifier::RouteConfig(routes) => routes.name,
            RouteSpecifier::ScopedRoutes(routes) => routes.name,
        }));
    }
    if config.type_url != TcpProxy::type_url() {
        return None;
    }
    match config.to_msg::<TcpProxy>().ok()?.cluster_specifier? {
        ClusterSpecifier::Cluster(name) => Some(Content::Bytes(name)),
        ClusterSpecifier::WeightedClusters(_) => None,
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Inbound {
    mtls_mode: String,
    listener_class: String,
    target_port: u16,
}

pub(super) fn inbound(input: &Inbound) -> Result<Value, String> {
    let protocol = match input.listener_class.as_str() {
        "HTTP" => Some("http"),
        "TCP" => Some("tcp"),
        "Auto" => None,
        other => return Err(format!("unknown class `{other}`")),
    };
    let port = json!({
        "name": "p", "port": 80, "targetPort": input.target_port, "appProtocol": protocol,
    });
    let objects = vec![
        mesh::pod("10.0.0.1", NAMESPACE),
        json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {"name": "app", "namespace": NAMESPACE},
            "spec": {"selector": {"app": "app"}, "clusterIP": "10.1.0.1", "ports": [port]},
        }),
        json!({
            "apiVersion": "security.istio.io/v1", "kind": "PeerAuthentication",
            "metadata": {"name": "default", "namespace": NAMESPACE},
            "spec": {"mtls": {"mode": input.mtls_mode}},
        }),
    ];
    let mesh = mesh::of_objects(objects, &json!({}))?;
    let proxy = mesh.proxy(&mesh::reference(NAMESPACE)).map_err(|error| error.to_string())?;
    let view = mesh.view(&proxy).ok_or("no control plane serves the proxy")?;
    let found = listeners(&view);
    let chains = found.iter().flat_map(|listener| &listener.filter_chains).filter(|chain| {
        let given = chain.filter_chain_match.as_ref();
        given.and_then(|given| given.destination_port) == Some(input.target_port.into())
    });
    let chains: Vec<Value> = chains.map(inbound_chain).collect();
    Ok(json!({"destination_port": input.target_port, "chains": chains}))
}

fn inbound_chain(chain: &FilterChain) -> Value {
    let given = chain.filter_chain_match.clone().unwrap_or_default();
    let is_http = matches!(chain.filters.iter().find_map(content), Some(Content::Requests(_)));
    json!({
        "transport": given.transport_protocol,
        "alpn": given.application_protocols,
        "terminate_tls": chain.transport_socket.is_some(),
        "codec": if is_http { "HTTP" } else { "TCP" },
    })
}
