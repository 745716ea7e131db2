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
use proto::http_connection_manager::{PathWithEscapedSlashesAction, RouteSpecifier, UpgradeConfig};
use proto::{HttpConnectionManager, HttpFilter};

use super::context::Context;
use super::filters;
use super::wire::{ZERO, filter};
use super::{connection_settings, dynamic_dns, headers, topology};
use crate::route::session;
use crate::secret::over_ads;

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
    /// Those of the workload, by routes of this name, perhaps after what looks their hosts up.
    Outbound { routes: String, lookup: Option<Box<HttpFilter>> },
    /// Those of the workload to any host, by routes that stand here.
    Anywhere { routes: Box<RouteConfiguration> },
    /// Those of the workload that names its proxy, by routes of this name.
    ForwardProxy { routes: String },
    /// Those that a gateway receives, by routes of this name, after what decides who may call.
    Gateway { routes: String },
}

impl Class {
    const fn kind(&self) -> Kind {
        match self {
            Self::Inbound { .. } => Kind::Inbound,
            Self::Outbound { .. } | Self::Anywhere { .. } => Kind::Outbound,
            Self::ForwardProxy { .. } => Kind::ForwardProxy,
            Self::Gateway { .. } => Kind::Gateway,
        }
    }
}

/// The kind of a [`Class`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    Inbound,
    Outbound,
    ForwardProxy,
    Gateway,
}

/// Builds the filter.
pub(super) fn http_connection_manager(context: &Context<'_, '_>, http: Http) -> Filter {
    let kind = http.class.kind();
    let signals = context.signals(kind == Kind::Inbound);
    let (http_filters, route_specifier) = filters_and_routes(context, http.class, http.protocol);
    let mut manager = HttpConnectionManager {
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
        http_protocol_options: http1_options(context, kind),
        http2_protocol_options: (kind == Kind::Inbound && http.protocol.is_http2())
            .then(core::Http2ProtocolOptions::default),
        stream_idle_timeout: Some(ZERO),
        use_remote_address: Some(kind == Kind::Gateway),
        proxy_100_continue: true,
        upgrade_configs: vec![UpgradeConfig {
            upgrade_type: "websocket".to_owned(),
            ..UpgradeConfig::default()
        }],
        request_id_extension: Some(request_id(signals.samples_by_id)),
        route_specifier: Some(route_specifier),
        ..normalized(context.config().path_normalization.normalization)
    };
    connection_settings::apply(&context.connections, &mut manager);
    headers::apply(context, kind, &mut manager);
    if kind == Kind::Gateway {
        topology::apply(context, &mut manager);
    }
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

fn http1_options(context: &Context<'_, '_>, kind: Kind) -> Option<core::Http1ProtocolOptions> {
    let accept_http_10 = context.allows_http10();
    let is_forward_proxy = kind == Kind::ForwardProxy;
    let preserves_case = headers::preserves_case(context);
    let is_written = accept_http_10 || preserves_case || is_forward_proxy || kind == Kind::Gateway;
    is_written.then(|| core::Http1ProtocolOptions {
        allow_absolute_url: is_forward_proxy.then_some(true),
        accept_http_10,
        header_key_format: preserves_case.then(headers::stateful_case),
        ..core::Http1ProtocolOptions::default()
    })
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
    let kind = class.kind();
    let mut found = Vec::new();
    let mut lookup = None;
    if flags.pilot_enable_metadata_exchange {
        found.push(filters::http_metadata_exchange(headers::exchange(context, kind)));
    }
    let routes = match class {
        Class::Inbound { routes, authorization } => {
            found.extend(authorization);
            RouteSpecifier::RouteConfig(*routes)
        }
        Class::Gateway { routes } => {
            found.extend(context.authorization.http.iter().cloned());
            RouteSpecifier::Rds(discovered(routes))
        }
        Class::Anywhere { routes } => RouteSpecifier::RouteConfig(*routes),
        Class::Outbound { routes, lookup: filter } => {
            lookup = filter;
            RouteSpecifier::Rds(discovered(routes))
        }
        Class::ForwardProxy { routes } => RouteSpecifier::Rds(discovered(routes)),
    };
    if protocol == Protocol::GrpcWeb {
        found.push(filters::grpc_web());
    }
    found.push(filters::grpc_stats());
    if kind != Kind::Inbound && flags.pilot_enable_alpn_filter {
        found.push(filters::alpn());
    }
    found.extend([filters::fault(), filters::cors()]);
    found.extend(context.signals(kind == Kind::Inbound).http_stats.iter().cloned());
    if kind != Kind::Inbound {
        found.extend(session::unset_filter(flags));
    }
    found.extend(lookup.map(|filter| *filter));
    if matches!(kind, Kind::Outbound | Kind::ForwardProxy) {
        found.extend(dynamic_dns::of_any(context));
    }
    found.push(filters::router(headers::hides_debugging(context)));
    (found, routes)
}

fn discovered(name: String) -> proto::Rds {
    let config_source = core::ConfigSource { initial_fetch_timeout: Some(ZERO), ..over_ads() };
    proto::Rds { config_source: Some(config_source), route_config_name: name }
}
