//! The filters that ask external authorizers.
//!
//! # Upstream
//!
//! istio/istio `pilot/pkg/security/authz/builder/extauthz.go` `buildExtAuthz`.
use mesh_envoy_proto::envoy::config::core::v3::{
    ApiVersion, GrpcService, HeaderValue, HttpUri, grpc_service, http_uri,
};
use mesh_envoy_proto::envoy::extensions::filters::http::ext_authz::v3 as http;
use mesh_envoy_proto::envoy::extensions::filters::network::ext_authz::v3 as network;
use mesh_envoy_proto::envoy::r#type::matcher::v3::{
    ListStringMatcher, MetadataMatcher, StringMatcher, ValueMatcher, metadata_matcher,
    string_matcher, value_matcher,
};
use mesh_envoy_proto::envoy::r#type::v3::HttpStatus;
use mesh_envoy_proto::prost_types::Duration;
use mesh_model::name;
use mesh_model::resource::MeshConfig;
use mesh_model::resource::mesh_config::{
    ExtAuthzGrpcProvider, ExtAuthzHttpProvider, ExtAuthzRequestBody, ProviderKind,
};

use super::{HTTP, NETWORK, STAT_PREFIX};
use crate::name::ClusterName;

/// How long an authorizer may take where nothing is said.
const TIMEOUT: Duration = Duration { seconds: 600, nanos: 0 };

/// The filter of requests; `None` if there is no such authorizer.
pub(super) fn of_requests(config: &MeshConfig, name: &str) -> Option<http::ExtAuthz> {
    let enabled = Some(enabled(HTTP, name));
    match provider(config, name)? {
        ProviderKind::EnvoyExtAuthzGrpc(grpc) => Some(http::ExtAuthz {
            filter_enabled_metadata: enabled,
            services: Some(http::ext_authz::Services::GrpcService(grpc_service(grpc)?)),
            ..settings(
                grpc.fail_open,
                &grpc.status_on_error,
                grpc.include_request_body_in_check.as_ref(),
            )
        }),
        ProviderKind::EnvoyExtAuthzHttp(asked) => Some(http::ExtAuthz {
            filter_enabled_metadata: enabled,
            allowed_headers: headers(told(asked)),
            services: Some(http::ext_authz::Services::HttpService(http_service(asked)?)),
            ..settings(
                asked.fail_open,
                &asked.status_on_error,
                asked.include_request_body_in_check.as_ref(),
            )
        }),
        ProviderKind::Zipkin(_)
        | ProviderKind::Lightstep(_)
        | ProviderKind::Datadog(_)
        | ProviderKind::Stackdriver(_)
        | ProviderKind::OpenCensus(_)
        | ProviderKind::SkyWalking(_)
        | ProviderKind::OpenTelemetry(_)
        | ProviderKind::Prometheus(_)
        | ProviderKind::EnvoyFileAccessLog(_)
        | ProviderKind::EnvoyHttpAls(_)
        | ProviderKind::EnvoyTcpAls(_)
        | ProviderKind::EnvoyOtelAls(_)
        | ProviderKind::Sds(_) => None,
    }
}

/// The filter of connections; `None` if there is no such authorizer, or it is not asked over gRPC.
pub(super) fn of_connections(config: &MeshConfig, name: &str) -> Option<network::ExtAuthz> {
    let ProviderKind::EnvoyExtAuthzGrpc(grpc) = provider(config, name)? else { return None };
    Some(network::ExtAuthz {
        stat_prefix: STAT_PREFIX.to_owned(),
        grpc_service: Some(grpc_service(grpc)?),
        failure_mode_allow: grpc.fail_open,
        transport_api_version: ApiVersion::V3.into(),
        filter_enabled_metadata: Some(enabled(NETWORK, name)),
        ..network::ExtAuthz::default()
    })
}

fn provider<'p>(config: &'p MeshConfig, name: &str) -> Option<&'p ProviderKind> {
    let mut providers = config.extension_providers.iter();
    providers.find(|provider| *provider.name == *name)?.kind.as_ref()
}

/// What both kinds have in common. `clearRouteCache` of a provider is read by no one upstream: filters go without it.
fn settings(
    failure_mode_allow: bool,
    status: &str,
    body: Option<&ExtAuthzRequestBody>,
) -> http::ExtAuthz {
    http::ExtAuthz {
        transport_api_version: ApiVersion::V3.into(),
        failure_mode_allow,
        status_on_error: status.parse().ok().map(|code| HttpStatus { code }),
        with_request_body: body.map(|body| http::BufferSettings {
            max_request_bytes: body.max_request_bytes,
            allow_partial_message: body.allow_partial_message,
            pack_as_bytes: body.pack_as_bytes,
        }),
        ..http::ExtAuthz::default()
    }
}

/// Only those are asked about that the filter before it found.
fn enabled(filter: &str, provider: &str) -> MetadataMatcher {
    use metadata_matcher::{PathSegment, path_segment::Segment};
    let key = "istio_ext_authz_shadow_effective_policy_id".to_owned();
    let prefix = string_matcher::MatchPattern::Prefix(format!("istio-ext-authz-{provider}"));
    let matcher = StringMatcher { match_pattern: Some(prefix), ignore_case: false };
    MetadataMatcher {
        filter: filter.to_owned(),
        path: vec![PathSegment { segment: Some(Segment::Key(key)) }],
        value: Some(ValueMatcher {
            match_pattern: Some(value_matcher::MatchPattern::StringMatch(matcher)),
        }),
        ..MetadataMatcher::default()
    }
}

/// The host of `[namespace/]host`, and the cluster of its port.
fn cluster(service: &str, port: u32) -> Option<(&str, String)> {
    let host = service.split_once('/').map_or(service, |(_, host)| host);
    let port = u16::try_from(port).ok()?;
    Some((host, ClusterName::outbound(port, "", host).to_string()))
}

fn timeout(written: Option<name::Duration>) -> Option<Duration> {
    let written =
        written.map(|time| Duration { seconds: time.as_secs(), nanos: time.subsec_nanos() });
    Some(written.unwrap_or(TIMEOUT))
}

fn grpc_service(grpc: &ExtAuthzGrpcProvider) -> Option<GrpcService> {
    let (host, cluster_name) = cluster(&grpc.service, grpc.port)?;
    let service = grpc_service::EnvoyGrpc {
        cluster_name,
        authority: host.to_owned(),
        ..grpc_service::EnvoyGrpc::default()
    };
    Some(GrpcService {
        timeout: timeout(grpc.timeout),
        target_specifier: Some(grpc_service::TargetSpecifier::EnvoyGrpc(service)),
        ..GrpcService::default()
    })
}

fn http_service(asked: &ExtAuthzHttpProvider) -> Option<http::HttpService> {
    let (host, cluster) = cluster(&asked.service, asked.port)?;
    let added = asked.include_additional_headers_in_check.iter();
    let headers_to_add: Vec<HeaderValue> = added
        .map(|(key, value)| HeaderValue {
            key: key.to_string(),
            value: value.to_string(),
            ..HeaderValue::default()
        })
        .collect();
    let response = http::AuthorizationResponse {
        allowed_upstream_headers: headers(&asked.headers_to_upstream_on_allow),
        allowed_client_headers: headers(&asked.headers_to_downstream_on_deny),
        allowed_client_headers_on_success: headers(&asked.headers_to_downstream_on_allow),
        ..http::AuthorizationResponse::default()
    };
    Some(http::HttpService {
        server_uri: Some(HttpUri {
            uri: format!("http://{host}"),
            timeout: timeout(asked.timeout),
            http_upstream_type: Some(http_uri::HttpUpstreamType::Cluster(cluster)),
        }),
        path_prefix: asked.path_prefix.to_string(),
        authorization_request: (!headers_to_add.is_empty()).then(|| http::AuthorizationRequest {
            headers_to_add,
            ..http::AuthorizationRequest::default()
        }),
        authorization_response: (response != http::AuthorizationResponse::default())
            .then_some(response),
        ..http::HttpService::default()
    })
}

/// The headers of the request that the authorizer is told.
fn told(asked: &ExtAuthzHttpProvider) -> &[Box<str>] {
    match asked.include_request_headers_in_check.as_slice() {
        [] => &asked.include_headers_in_check,
        named => named,
    }
}

/// Names of headers; `None` for none.
fn headers(names: &[Box<str>]) -> Option<ListStringMatcher> {
    use string_matcher::MatchPattern::{Exact, Prefix, Suffix};
    let matcher = |name: &str| {
        let pattern = match (name.strip_prefix('*'), name.strip_suffix('*')) {
            (Some(suffix), _) => Suffix(suffix.to_owned()),
            (None, Some(prefix)) => Prefix(prefix.to_owned()),
            (None, None) => Exact(name.to_owned()),
        };
        StringMatcher { match_pattern: Some(pattern), ignore_case: true }
    };
    (!names.is_empty())
        .then(|| ListStringMatcher { patterns: names.iter().map(|name| matcher(name)).collect() })
}
