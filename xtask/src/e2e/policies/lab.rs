//! Workloads with random policies: what mesh-authz makes of them, and the listeners of one Envoy with the
//! filters that each workload's proxy would be sent.
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use mesh_authz::{Authorizer, jwt_rules_of_proxy};
use mesh_envoy_proto::json as proto_json;
use mesh_model::Compat;
use mesh_model::compat::DataPlane;
use mesh_model::manifest::Severity;
use mesh_model::registry::{Mesh, Origin, Registry, Source};
use mesh_model::resource::JwtRule;
use mesh_xds_gen::Resources;
use serde_json::{Value, json};

use super::peer::Authority;
use super::request::{METADATA_HEADER, METADATA_KEY, METADATA_NAMESPACE, NUMBER_HEADER};
use super::rules;
use super::token::Signer;
use crate::e2e::random::Random;
use crate::problem::{Attempt, Problem};

/// Every way to normalize paths; each has a mesh of its own.
const NORMALIZATIONS: [&str; 5] =
    ["DEFAULT", "NONE", "BASE", "MERGE_SLASHES", "DECODE_AND_MERGE_SLASHES"];
/// How many workloads the first mesh has, which is the same in every run, and each other one.
const CERTAIN: usize = 2;
const WORKLOADS: usize = 8;
const CLUSTER: &str = "c";

/// A workload, as both sides know it.
#[derive(Debug)]
pub(super) struct Workload {
    address: IpAddr,
    pub(super) authorizer: Authorizer,
    pub(super) jwt_rules: Vec<JwtRule>,
    /// The connection manager of its proxy.
    manager: Value,
    /// The filters of connections that are not HTTP.
    network: Vec<Value>,
}

/// The workloads of all meshes; requests are logged into a file.
pub(super) fn workloads(
    random: &mut Random,
    signer: &Signer,
    log: &Path,
) -> Result<Vec<Workload>, Problem> {
    let mut found = Vec::new();
    for (at, normalization) in NORMALIZATIONS.iter().enumerate() {
        let mesh = mesh(random, signer, at, normalization)?;
        let count = if at == 0 { CERTAIN } else { WORKLOADS };
        for workload in 0..count {
            let name = format!("w{workload}");
            let title = format!("{normalization} {name}");
            let of_workload = Workload::new(&mesh, &name, &address(at, workload), log);
            found.push(of_workload.attempt(format!("make the proxy of {title}"))?);
        }
    }
    Ok(found)
}

fn address(mesh: usize, workload: usize) -> String {
    format!("127.77.{}.{}", mesh + 1, workload + 1)
}

fn mesh(
    random: &mut Random,
    signer: &Signer,
    at: usize,
    normalization: &str,
) -> Result<Arc<Mesh>, Problem> {
    let keys = signer.key_set();
    let mut config = match at {
        0 => rules::certain(&keys),
        _ => {
            let mut config = rules::policies(random, WORKLOADS);
            config.extend(rules::request_authentications(random, WORKLOADS, &keys));
            config
        }
    };
    config.push(rules::provider_entry());
    let count = if at == 0 { CERTAIN } else { WORKLOADS };
    let pods: Vec<Value> =
        (0..count).map(|workload| rules::pod(workload, &address(at, workload))).collect();
    let list = |items: Vec<Value>| json!({"apiVersion": "v1", "kind": "List", "items": items});
    let files = [
        ("mesh.yaml".to_owned(), rules::mesh_config(normalization)),
        ("config/policies.yaml".to_owned(), list(config)),
        (format!("clusters/{CLUSTER}/cluster.yaml"), json!({"name": CLUSTER, "role": "primary"})),
        (format!("clusters/{CLUSTER}/pods.yaml"), list(pods)),
    ];
    let sources = files.into_iter().filter_map(|(path, value)| {
        let origin = Origin::of_path(&path)?;
        Some(Source { origin, name: Arc::from(path), text: value.to_string().into_bytes() })
    });
    let mut registry = Registry::new(Compat::default());
    let found = registry.load(sources.collect::<Vec<_>>());
    match found.into_iter().find(|diagnostic| diagnostic.severity == Severity::Error) {
        Some(diagnostic) => Err(Problem(diagnostic.to_string())),
        None => Ok(registry.mesh()),
    }
}

impl Workload {
    fn new(mesh: &Mesh, name: &str, address: &str, log: &Path) -> Result<Self, Problem> {
        let reference = format!("{CLUSTER}/{}/{name}", rules::NAMESPACE);
        let mut proxy = mesh.proxy(&reference).attempt("find it")?;
        proxy.data_plane = DataPlane::Envoy;
        let view = mesh.view(&proxy).ok_or_else(|| Problem::new("no control plane serves it"))?;
        let listeners = Resources::new(&view).listeners;
        let inbound = listeners.iter().find(|listener| listener.name == "virtualInbound");
        let inbound = inbound.ok_or_else(|| Problem::new("it has no inbound listener"))?;
        let inbound = proto_json::to_value(inbound).attempt("print its inbound listener")?;
        let manager = filters(&inbound, "virtualInbound-catchall-http").next();
        let manager = manager.ok_or_else(|| Problem::new("it has no chain of requests"))?;
        let is_terminal = |filter: &Value| has_name(filter, "envoy.filters.network.tcp_proxy");
        let network = filters(&inbound, "virtualInbound").take_while(|filter| !is_terminal(filter));
        let rules = jwt_rules_of_proxy(mesh, view.plane(), &proxy);
        Ok(Self {
            authorizer: Authorizer::of_proxy(mesh, view.plane(), &proxy),
            jwt_rules: rules.into_iter().cloned().collect(),
            manager: answering(manager.clone(), log),
            network: network.cloned().chain([echo()]).collect(),
            address: address.parse().attempt("read its address")?,
        })
    }

    /// Where requests are sent to.
    pub(super) fn http(&self) -> SocketAddr {
        SocketAddr::new(self.address, rules::HTTP_PORT)
    }

    /// Where bytes are sent to.
    pub(super) fn tcp(&self) -> SocketAddr {
        SocketAddr::new(self.address, rules::TCP_PORT)
    }

    fn listener(
        &self,
        address: SocketAddr,
        filters: &[&Value],
        socket: &Value,
        log: &Value,
    ) -> Value {
        let proxy = json!({
            "name": "envoy.filters.listener.proxy_protocol",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol",
                "allow_requests_without_proxy_protocol": true,
            },
        });
        let inspector = json!({
            "name": "envoy.filters.listener.tls_inspector",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector",
            },
        });
        let (ip, port) = (address.ip(), address.port());
        json!({
            "name": format!("{ip}_{port}"),
            "address": {"socket_address": {"address": ip, "port_value": port}},
            "listener_filters": [proxy, inspector],
            "filter_chains": [
                {
                    "filter_chain_match": {"transport_protocol": "tls"},
                    "filters": filters, "transport_socket": socket,
                },
                {"filters": filters},
            ],
            "access_log": log,
        })
    }
}

/// The filters of a chain by its name.
fn filters<'l>(listener: &'l Value, chain: &'l str) -> impl Iterator<Item = &'l Value> {
    let chains = list(listener, "filterChains").filter(move |found| has_name(found, chain));
    chains.flat_map(|chain| list(chain, "filters"))
}

fn list<'v>(value: &'v Value, key: &str) -> impl Iterator<Item = &'v Value> {
    value.get(key).and_then(Value::as_array).into_iter().flatten()
}

fn has_name(value: &Value, name: &str) -> bool {
    value.get("name").is_some_and(|found| found == name)
}

/// The connection manager as generated, but that it answers by itself what it would forward, tells in
/// its log what its filters said, and lets a header become metadata.
fn answering(mut filter: Value, log: &Path) -> Value {
    let routes = json!({
        "virtual_hosts": [{
            "name": "all",
            "domains": ["*"],
            "routes": [{"match": {"prefix": "/"}, "direct_response": {"status": 200}}],
        }],
    });
    let log = logged(
        log,
        &json!({
            "request": format!("%REQ({NUMBER_HEADER})%"),
            "details": "%RESPONSE_CODE_DETAILS%",
            "rbac": "%DYNAMIC_METADATA(envoy.filters.http.rbac)%",
            "common": "%DYNAMIC_METADATA(envoy.common)%",
        }),
    );
    let to_metadata = json!({
        "name": "envoy.filters.http.header_to_metadata",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.header_to_metadata.v3.Config",
            "request_rules": [{
                "header": METADATA_HEADER,
                "on_header_present": {
                    "metadata_namespace": METADATA_NAMESPACE, "key": METADATA_KEY, "type": "STRING",
                },
            }],
        },
    });
    if let Some(manager) = filter.get_mut("typedConfig").and_then(Value::as_object_mut) {
        manager.insert("routeConfig".to_owned(), routes);
        manager.insert("accessLog".to_owned(), log);
        if let Some(filters) = manager.get_mut("httpFilters").and_then(Value::as_array_mut) {
            filters.insert(0, to_metadata);
        }
    }
    filter
}

/// A log of JSON lines.
fn logged(file: &Path, line: &Value) -> Value {
    json!([{
        "name": "envoy.access_loggers.file",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
            "path": file,
            "log_format": {"json_format": line},
        },
    }])
}

/// In the place of a server: the same bytes back.
fn echo() -> Value {
    json!({
        "name": "envoy.filters.network.echo",
        "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.network.echo.v3.Echo"},
    })
}

/// One Envoy with two listeners for each workload; connections are logged into a file.
pub(super) fn bootstrap(
    workloads: &[Workload],
    authority: &Authority,
    provider: SocketAddr,
    log: &Path,
) -> Value {
    let socket = authority.transport_socket();
    let log = logged(
        log,
        &json!({
            "connection": "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS%",
            "details": "%CONNECTION_TERMINATION_DETAILS%",
            "rbac": "%DYNAMIC_METADATA(envoy.filters.network.rbac)%",
        }),
    );
    let listeners = workloads.iter().flat_map(|workload| {
        let network: Vec<&Value> = workload.network.iter().collect();
        [
            workload.listener(workload.http(), &[&workload.manager], &socket, &json!([])),
            workload.listener(workload.tcp(), &network, &socket, &log),
        ]
    });
    let endpoint = json!({"address": provider.ip(), "port_value": provider.port()});
    let endpoint = json!({"endpoint": {"address": {"socket_address": endpoint}}});
    let cluster = json!({
        "name": rules::PROVIDER_CLUSTER,
        "type": "STATIC",
        "load_assignment": {
            "cluster_name": rules::PROVIDER_CLUSTER,
            "endpoints": [{"lb_endpoints": [endpoint]}],
        },
    });
    json!({"static_resources": {"listeners": listeners.collect::<Vec<_>>(), "clusters": [cluster]}})
}
