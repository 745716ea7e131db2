//! `auto_mtls`, `transport_sockets`.
use mesh_envoy_proto::envoy::config::cluster::v3::cluster::{DiscoveryType, TransportSocketMatch};
use mesh_envoy_proto::envoy::config::core::v3::{TransportSocket, transport_socket};
use mesh_envoy_proto::envoy::extensions::transport_sockets::internal_upstream::v3::InternalUpstreamTransport;
use mesh_envoy_proto::prost_types;
use mesh_envoy_proto::prost_types::value::Kind;
use mesh_model::resource::MutualTlsMode;
use mesh_model::resource::destination_rule::{ClientTlsMode, ClientTlsSettings};
use mesh_model::view::mtls::ClientSide;
use mesh_xds_gen::cluster::socket::{Choice, Sockets};
use mesh_xds_gen::cluster::tls::{self, Demand, Origin};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::super::{Answered, read};
use super::{kind_named, named, traffic_policy};

const MODES: [(&str, ClientTlsMode); 4] = [
    ("DISABLE", ClientTlsMode::Disable),
    ("SIMPLE", ClientTlsMode::Simple),
    ("MUTUAL", ClientTlsMode::Mutual),
    ("ISTIO_MUTUAL", ClientTlsMode::IstioMutual),
];
const ORIGINS: [(&str, Origin); 2] =
    [("user_supplied", Origin::User), ("auto_detected", Origin::Automatic)];
const PREFIX: &str = "envoy.transport_sockets.";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AutomaticInput {
    tls: Value,
    auto_mtls: bool,
    mesh_external: bool,
    service_mtls_mode: String,
    service_accounts: Vec<String>,
    default_sni: String,
}

pub(super) fn automatic(input: &Value) -> Answered {
    let input: AutomaticInput = read(input)?;
    let policy = traffic_policy(&json!({ "tls": input.tls }))?;
    let modes = [
        ("STRICT", MutualTlsMode::Strict),
        ("PERMISSIVE", MutualTlsMode::Permissive),
        ("DISABLE", MutualTlsMode::Disable),
        // Of a service outside the mesh the mode is not known.
        ("UNKNOWN", MutualTlsMode::Permissive),
    ];
    let client = ClientSide {
        has_sidecar: true,
        rule: None,
        auto_mtls: input.auto_mtls,
        mesh_external: input.mesh_external || input.service_mtls_mode == "UNKNOWN",
        passthrough: false,
        endpoint_tls_modes: &[],
        namespace_mode: named(&input.service_mtls_mode, &modes)?,
    };
    let (settings, origin) = tls::settings(&Demand {
        given: policy.tls.as_ref(),
        is_automatic: client.is_auto_mutual(),
        default_sni: &input.default_sni,
        accounts: &input.service_accounts,
        certificates: None,
        keeps_own: input.mesh_external,
    });
    let context = ORIGINS.iter().find(|(_, known)| *known == origin).map(|(name, _)| name);
    Ok(json!({ "tls": settings.as_deref().map(print_settings), "context": context }))
}

fn print_settings(settings: &ClientTlsSettings) -> Value {
    let mode = MODES.iter().find(|(_, mode)| *mode == settings.mode).map(|(name, _)| *name);
    let mut fields = Map::from_iter([("mode".to_owned(), json!(mode))]);
    if !settings.subject_alt_names.is_empty() {
        fields.insert("subject_alt_names".to_owned(), json!(settings.subject_alt_names));
    }
    if !settings.sni.is_empty() {
        fields.insert("sni".to_owned(), json!(settings.sni));
    }
    fields.into()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SocketsInput {
    tls_mode: Option<String>,
    context: String,
    send_hbone: bool,
    discovery_type: String,
}

pub(super) fn sockets(input: &Value) -> Answered {
    let input: SocketsInput = read(input)?;
    let mode = input.tls_mode.as_deref().map(|mode| named(mode, &MODES)).transpose()?;
    let is_tls = mode.is_some_and(|mode| mode != ClientTlsMode::Disable);
    let tls = TransportSocket { name: format!("{PREFIX}tls"), config_type: None };
    let sockets = Sockets::new(
        is_tls.then_some(tls),
        Choice {
            mode,
            origin: named(&input.context, &ORIGINS)?,
            sends_hbone: input.send_hbone,
            keeps_destination: kind_named(&input.discovery_type)? == DiscoveryType::OriginalDst,
        },
    );
    let matches: Vec<Value> = sockets.matches.iter().map(print_match).collect();
    Ok(json!({ "transport_socket": sockets.single.as_ref().map(name), "matches": matches }))
}

fn name(socket: &TransportSocket) -> &str {
    socket.name.strip_prefix(PREFIX).unwrap_or(&socket.name)
}

fn print_match(entry: &TransportSocketMatch) -> Value {
    let socket = entry.transport_socket.as_ref();
    let criterion = entry.r#match.as_ref().map(print_criterion);
    let mut fields = Map::from_iter([
        ("name".to_owned(), json!(entry.name)),
        ("socket".to_owned(), json!(socket.map(name))),
        ("match".to_owned(), json!(criterion)),
    ]);
    let inner = socket.and_then(inner).filter(|inner| name(inner) != "raw_buffer");
    if let Some(inner) = inner {
        fields.insert("inner".to_owned(), json!(name(&inner)));
    }
    fields.into()
}

fn print_criterion(criterion: &prost_types::Struct) -> Value {
    let texts = criterion.fields.iter().filter_map(|(key, value)| match &value.kind {
        Some(Kind::StringValue(text)) => Some((key.clone(), json!(text))),
        _ => None,
    });
    texts.collect::<Map<_, _>>().into()
}

/// What a tunnel carries.
fn inner(socket: &TransportSocket) -> Option<TransportSocket> {
    let Some(transport_socket::ConfigType::TypedConfig(any)) = &socket.config_type else {
        return None;
    };
    any.to_msg::<InternalUpstreamTransport>().ok()?.transport_socket
}
