//! `resolve_mtls_mode` and `mtls_connection`.
use std::collections::BTreeMap;
use std::sync::Arc;

use mesh_model::manifest::Node;
use mesh_model::name::{Labels, Namespace};
use mesh_model::registry::PeerAuthentications;
use mesh_model::resource::{self, MutualTlsMode, PeerAuthentication, Resource};
use mesh_model::view::mtls::{ClientSide, ClientTls, Connection, Transport};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::Rejection;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Resolve {
    root_namespace: String,
    workload: Workload,
    peer_authentications: Vec<Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Workload {
    namespace: String,
    labels: BTreeMap<String, String>,
}

pub(super) fn resolve(input: &Value) -> Result<Value, Rejection> {
    let input = Resolve::deserialize(input).map_err(|error| error.to_string())?;
    let objects: Result<Vec<_>, _> = input.peer_authentications.iter().map(object).collect();
    let root = Namespace::from(&*input.root_namespace);
    let index = PeerAuthentications::new(objects?, &root);
    let labels: Labels = input.workload.labels.into_iter().collect();
    let mode = index.server_mode(&Namespace::from(&*input.workload.namespace), &labels);
    let ports: Map<String, Value> =
        mode.ports.iter().map(|(port, mode)| (port.to_string(), json!(name(*mode)))).collect();
    Ok(json!({ "mode": name(mode.mode), "ports": ports }))
}

fn object(value: &Value) -> Result<Arc<PeerAuthentication>, Rejection> {
    let mut decoded = resource::decode(&Node::from(value), &Arc::from("case"), "default");
    if let Some(problem) = decoded.diagnostics.pop() {
        return Err(problem.to_string());
    }
    match decoded.resource {
        Some(Resource::PeerAuthentication(object)) => Ok(Arc::new(object)),
        _ => Err(format!("not a PeerAuthentication: {value}")),
    }
}

const fn name(mode: MutualTlsMode) -> &'static str {
    match mode {
        MutualTlsMode::Unset => "UNSET",
        MutualTlsMode::Disable => "DISABLE",
        MutualTlsMode::Permissive => "PERMISSIVE",
        MutualTlsMode::Strict => "STRICT",
    }
}

fn mode(name: &str) -> Result<MutualTlsMode, Rejection> {
    match name {
        "DISABLE" => Ok(MutualTlsMode::Disable),
        "PERMISSIVE" => Ok(MutualTlsMode::Permissive),
        "STRICT" => Ok(MutualTlsMode::Strict),
        _ => Err(format!("unknown mode `{name}`")),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Connect {
    client_has_sidecar: bool,
    destination_rule_tls_mode: Option<String>,
    enable_auto_mtls: bool,
    mesh_external: bool,
    passthrough: bool,
    all_endpoint_tls_modes: Vec<String>,
    namespace_mode: Option<String>,
    endpoint_tls_mode: String,
    endpoint_effective_mode: String,
}

pub(super) fn connection(input: &Value) -> Result<Value, Rejection> {
    let input = Connect::deserialize(input).map_err(|error| error.to_string())?;
    let endpoint_tls_modes: Vec<&str> =
        input.all_endpoint_tls_modes.iter().map(String::as_str).collect();
    let client = ClientSide {
        has_sidecar: input.client_has_sidecar,
        rule: input.destination_rule_tls_mode.as_deref().map(client_tls).transpose()?,
        auto_mtls: input.enable_auto_mtls,
        mesh_external: input.mesh_external,
        passthrough: input.passthrough,
        endpoint_tls_modes: &endpoint_tls_modes,
        // Nobody says anything: PERMISSIVE.
        namespace_mode: mode(input.namespace_mode.as_deref().unwrap_or("PERMISSIVE"))?,
    };
    let (of_endpoint, demanded) =
        (&*input.endpoint_tls_mode, mode(&input.endpoint_effective_mode)?);
    let transport = client.transport(of_endpoint, demanded);
    let sent = match transport {
        Transport::Plaintext => "plaintext",
        Transport::IstioMutual => "istio_mtls",
        Transport::Tls => "tls",
        Transport::UserMutual => "mtls_user_certs",
    };
    Ok(match transport.meets(of_endpoint, demanded) {
        Connection::MutualTls => json!({ "transport": sent, "connection": "mtls" }),
        Connection::Plaintext => json!({ "transport": sent, "connection": "plaintext" }),
        Connection::Fails => json!({ "transport": sent, "connection": "fail" }),
        Connection::Unknown => json!({ "transport": sent }),
    })
}

fn client_tls(name: &str) -> Result<ClientTls, Rejection> {
    match name {
        "DISABLE" => Ok(ClientTls::Disable),
        "SIMPLE" => Ok(ClientTls::Simple),
        "MUTUAL" => Ok(ClientTls::Mutual),
        "ISTIO_MUTUAL" => Ok(ClientTls::IstioMutual),
        _ => Err(format!("unknown TLS mode `{name}`")),
    }
}
