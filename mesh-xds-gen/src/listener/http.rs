//! The filter of requests.
//!
//! # Upstream
//!
//! istio/istio `pilot/pkg/networking/core/listener_builder.go` `buildHTTPConnectionManager`.
use mesh_envoy_proto::envoy::config::core::v3 as core;
use mesh_envoy_proto::envoy::config::listener::v3::Filter;
use mesh_envoy_proto::envoy::config::route::v3::RouteConfiguration;
use mesh_envoy_proto::envoy::extensions::filters::network::http_connection_manager::v3 as proto;
use mesh_envoy_proto::envoy::extensions::request_id::uuid::v3::UuidRequestIdConfig;
use mesh_envoy_proto::pack;
use mesh_model::name::Protocol;
use mesh_model::resource::mesh_config::PathNormalizationType;
use proto::http_connection_manager::{
    ForwardClientCertDetails, PathWithEscapedSlashesAction, RouteSpecifier,
    SetCurrentClientCertDetails, UpgradeConfig,
};
use proto::{HttpConnectionManager, HttpFilter};

use super::context::Context;
use super::filters::{self, Side};
use super::wire::{ZERO, filter, over_ads};

const NAME: &str = "envoy.filters.network.http_connection_manager";

/// What differs between the filters of requests.
pub(super) struct Http {
    /// The prefix of its statistics, with the delimiter.
    pub(super) stat_prefix: String,
    /// What the port speaks.
    pub(super) protocol: Protocol,
    /// Which requests.
    pub(super) class: Class,
}

/// Which requests pass.
pub(super) enum Class {
    /// Those to the workload, by routes that stand here, after what decides who may call.
    Inbound { routes: Box<RouteConfiguration>, authorization: Vec<HttpFilter> },
    /// Those of the workload, by routes of this name.
    Outbound { routes: String },
    /// Those of the workload that names its proxy, by routes of this name.
    ForwardProxy { routes: String },
}

impl Class {
    const fn is_inbound(&self) -> bool {
        matches!(self, Self::Inbound { .. })
    }
}

/// Builds the filter.
pub(super) fn http_connection_manager(context: &Context<'_, '_>, http: Http) -> Filter {
    let is_inbound = http.class.is_inbound();
    let signals = context.signals(is_inbound);
    let is_forward_proxy = matches!(http.class, Class::ForwardProxy { .. });
    let (http_filters, route_specifier) = filters_and_routes(context, http.class, http.protocol);
    let manager = HttpConnectionManager {
        stat_prefix: http.stat_prefix,
        http_filters,
        tracing: signals.tracing.clone(),
        access_log: signals.http_logs.clone(),
        common_http_protocol_options: context.idle_timeout.map(|timeout| {
            core::HttpProtocolOptions {
                idle_timeout: Some(timeout),
                ..core::HttpProtocolOptions::default()
            }
        }),
        http_protocol_options: http1_options(context, is_forward_proxy),
        http2_protocol_options: (is_inbound && http.protocol.is_http2())
            .then(core::Http2ProtocolOptions::default),
        server_name: if is_inbound { "istio-envoy".to_owned() } else { String::new() },
        stream_idle_timeout: Some(ZERO),
        use_remote_address: Some(false),
        forward_client_cert_details: if is_inbound {
            ForwardClientCertDetails::AppendForward.into()
        } else {
            0
        },
        set_current_client_cert_details: is_inbound.then(client_certificate),
        proxy_100_continue: true,
        upgrade_configs: vec![UpgradeConfig {
            upgrade_type: "websocket".to_owned(),
            ..UpgradeConfig::default()
        }],
        request_id_extension: Some(request_id(signals.samples_by_id)),
        route_specifier: Some(route_specifier),
        ..normalized(context.config().path_normalization.normalization)
    };
    filter(NAME, &manager)
}

/// Everything that path normalization decides, and nothing else.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/networking/core/listener_builder.go` `buildHTTPConnectionManager`.
fn normalized(normalization: PathNormalizationType) -> HttpConnectionManager {
    use PathNormalizationType::{Base, DecodeAndMergeSlashes, Default, MergeSlashes, None};
    let action = match normalization {
        DecodeAndMergeSlashes => PathWithEscapedSlashesAction::UnescapeAndForward,
        None | Default | Base | MergeSlashes => PathWithEscapedSlashesAction::KeepUnchanged,
    };
    HttpConnectionManager {
        normalize_path: Some(normalization != None),
        merge_slashes: matches!(normalization, MergeSlashes | DecodeAndMergeSlashes),
        path_with_escaped_slashes_action: action.into(),
        ..HttpConnectionManager::default()
    }
}

fn http1_options(
    context: &Context<'_, '_>,
    is_forward_proxy: bool,
) -> Option<core::Http1ProtocolOptions> {
    let accept_http_10 = context.allows_http10();
    (accept_http_10 || is_forward_proxy).then(|| core::Http1ProtocolOptions {
        allow_absolute_url: is_forward_proxy.then_some(true),
        accept_http_10,
        ..core::Http1ProtocolOptions::default()
    })
}

/// What of the client's certificate applications are told.
fn client_certificate() -> SetCurrentClientCertDetails {
    SetCurrentClientCertDetails {
        subject: Some(true),
        dns: true,
        uri: true,
        ..SetCurrentClientCertDetails::default()
    }
}

fn request_id(samples_by_id: bool) -> proto::RequestIdExtension {
    let config = UuidRequestIdConfig {
        use_request_id_for_trace_sampling: Some(samples_by_id),
        ..UuidRequestIdConfig::default()
    };
    proto::RequestIdExtension { typed_config: Some(pack(&config)) }
}

/// The filters in their order, and where routes are found.
fn filters_and_routes(
    context: &Context<'_, '_>,
    class: Class,
    protocol: Protocol,
) -> (Vec<HttpFilter>, RouteSpecifier) {
    let flags = context.flags();
    let is_inbound = class.is_inbound();
    let side = if is_inbound { Side::Downstream } else { Side::Upstream };
    let mut found = Vec::new();
    if flags.pilot_enable_metadata_exchange {
        found.push(filters::http_metadata_exchange(side));
    }
    let routes = match class {
        Class::Inbound { routes, authorization } => {
            found.extend(authorization);
            RouteSpecifier::RouteConfig(*routes)
        }
        Class::Outbound { routes } | Class::ForwardProxy { routes } => {
            RouteSpecifier::Rds(discovered(routes))
        }
    };
    if protocol == Protocol::GrpcWeb {
        found.push(filters::grpc_web());
    }
    found.push(filters::grpc_stats());
    if !is_inbound && flags.pilot_enable_alpn_filter {
        found.push(filters::alpn());
    }
    found.extend([filters::fault(), filters::cors()]);
    found.extend(context.signals(is_inbound).http_stats.iter().cloned());
    found.push(filters::router(false));
    (found, routes)
}

fn discovered(name: String) -> proto::Rds {
    let config_source = core::ConfigSource { initial_fetch_timeout: Some(ZERO), ..over_ads() };
    proto::Rds { config_source: Some(config_source), route_config_name: name }
}
