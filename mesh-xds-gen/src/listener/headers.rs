//! Which headers a proxy adds, as its own settings say.
//!
//! # Upstream
//!
//! istio/istio `pilot/pkg/networking/util/proxy_headers.go` `GetProxyHeadersFromProxyConfig`.
use mesh_envoy_proto::envoy::config::core::v3::TypedExtensionConfig;
use mesh_envoy_proto::envoy::config::core::v3::http1_protocol_options::{
    HeaderKeyFormat, header_key_format::HeaderFormat,
};
use mesh_envoy_proto::envoy::extensions::filters::network::http_connection_manager::v3 as proto;
use mesh_envoy_proto::envoy::extensions::http::header_formatters::preserve_case::v3::PreserveCaseFormatterConfig;
use mesh_envoy_proto::pack;
use mesh_model::resource::mesh_config::{
    ForwardClientCertDetails as Forward, MetadataExchangeMode, ProxyHeaders,
};
use proto::HttpConnectionManager;
use proto::http_connection_manager::{
    ForwardClientCertDetails, ServerHeaderTransformation, SetCurrentClientCertDetails,
};

use super::context::Context;
use super::filters::Side;
use super::http::Kind;

fn headers<'c>(context: &'c Context<'_, '_>) -> Option<&'c ProxyHeaders> {
    context.settings.proxy_headers.as_ref()
}

/// Writes what a filter of requests does to headers.
pub(super) fn apply(context: &Context<'_, '_>, kind: Kind, manager: &mut HttpConnectionManager) {
    let is_inbound = matches!(kind, Kind::Inbound | Kind::Gateway);
    manager.server_name = if is_inbound { "istio-envoy".to_owned() } else { String::new() };
    if kind == Kind::Inbound {
        manager.forward_client_cert_details = ForwardClientCertDetails::AppendForward.into();
        manager.set_current_client_cert_details = Some(client_certificate(None));
    }
    let Some(headers) = headers(context) else { return };
    if let Some(server) = &headers.server {
        if server.disabled == Some(true) {
            manager.server_name.clear();
            manager.server_header_transformation = ServerHeaderTransformation::PassThrough.into();
        } else if !server.value.is_empty() {
            manager.server_name = server.value.to_string();
        }
    }
    let request_id = headers.request_id.as_ref().and_then(|id| id.disabled);
    manager.generate_request_id = (request_id == Some(true)).then_some(false);
    let port = headers.x_forwarded_port.as_ref().and_then(|port| port.enabled);
    manager.append_x_forwarded_port = port == Some(true);
    if kind == Kind::Inbound {
        if let Some(details) = forwarded(headers.forwarded_client_cert) {
            manager.forward_client_cert_details = details.into();
        }
        let told = client_certificate(headers.set_current_client_cert_details.as_ref());
        manager.set_current_client_cert_details = Some(told);
    }
}

/// What happens to what clients say of certificates; `None` where nothing is asked for.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/networking/util/util.go` `MeshConfigToEnvoyForwardClientCertDetails`.
pub(super) const fn forwarded(details: Forward) -> Option<ForwardClientCertDetails> {
    Some(match details {
        Forward::Undefined => return None,
        Forward::Sanitize => ForwardClientCertDetails::Sanitize,
        Forward::ForwardOnly => ForwardClientCertDetails::ForwardOnly,
        Forward::AppendForward => ForwardClientCertDetails::AppendForward,
        Forward::SanitizeSet => ForwardClientCertDetails::SanitizeSet,
        Forward::AlwaysForwardOnly => ForwardClientCertDetails::AlwaysForwardOnly,
    })
}

/// What of the client's certificate applications are told.
fn client_certificate(
    asked: Option<&mesh_model::resource::mesh_config::SetCurrentClientCertDetails>,
) -> SetCurrentClientCertDetails {
    SetCurrentClientCertDetails {
        subject: Some(asked.and_then(|asked| asked.subject).unwrap_or(true)),
        cert: asked.and_then(|asked| asked.cert).unwrap_or(false),
        chain: asked.and_then(|asked| asked.chain).unwrap_or(false),
        dns: asked.and_then(|asked| asked.dns).unwrap_or(true),
        uri: asked.and_then(|asked| asked.uri).unwrap_or(true),
        ..SetCurrentClientCertDetails::default()
    }
}

/// Whether HTTP/1 headers keep their case.
pub(super) fn preserves_case(context: &Context<'_, '_>) -> bool {
    headers(context).and_then(|headers| headers.preserve_http1_header_case) == Some(true)
}

/// The format of headers that keep their case.
pub(super) fn stateful_case() -> HeaderKeyFormat {
    let formatter = TypedExtensionConfig {
        name: "preserve_case".to_owned(),
        typed_config: Some(pack(&PreserveCaseFormatterConfig::default())),
    };
    HeaderKeyFormat { header_format: Some(HeaderFormat::StatefulFormatter(formatter)) }
}

/// Whether Envoy's own headers are left out.
pub(super) fn hides_debugging(context: &Context<'_, '_>) -> bool {
    let asked = headers(context).and_then(|headers| headers.envoy_debug_headers.as_ref());
    asked.and_then(|headers| headers.disabled) == Some(true)
}

/// With whom metadata is exchanged.
pub(super) fn exchange(context: &Context<'_, '_>, kind: Kind) -> Side {
    let asked = headers(context).and_then(|headers| headers.metadata_exchange_headers.as_ref());
    let stays = asked.is_some_and(|asked| asked.mode == MetadataExchangeMode::InMesh);
    match kind {
        Kind::Inbound => Side::Downstream,
        Kind::Outbound | Kind::Gateway if stays => Side::UpstreamInMesh,
        Kind::Outbound | Kind::Gateway | Kind::ForwardProxy => Side::Upstream,
    }
}
