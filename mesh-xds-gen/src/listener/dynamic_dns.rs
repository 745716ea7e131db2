//! The filters that look up hosts as requests and TLS name them.
//!
//! # Upstream
//!
//! istio/istio `pilot/pkg/networking/core/listener_builder.go` `buildHTTPConnectionManager`;
//! `networkfilter.go` `buildSNIDFPFilter`.
use mesh_envoy_proto::envoy::config::listener::v3::Filter;
use mesh_envoy_proto::envoy::extensions::common::dynamic_forward_proxy::v3::DnsCacheConfig;
use mesh_envoy_proto::envoy::extensions::filters::http::dynamic_forward_proxy::v3 as http;
use mesh_envoy_proto::envoy::extensions::filters::network::http_connection_manager::v3::HttpFilter;
use mesh_envoy_proto::envoy::extensions::filters::network::sni_dynamic_forward_proxy::v3 as sni;
use mesh_model::registry::Service;

use super::catch_all;
use super::context::Context;
use super::wire::{filter, http_filter};
use crate::cluster::dynamic_dns::{cache_of_any, cache_of_service, is_for};

fn of_requests(cache: DnsCacheConfig) -> HttpFilter {
    let cache = http::filter_config::ImplementationSpecifier::DnsCacheConfig(cache);
    let config = http::FilterConfig {
        implementation_specifier: Some(cache),
        ..http::FilterConfig::default()
    };
    http_filter("envoy.filters.http.dynamic_forward_proxy", &config)
}

/// Looks up what requests to a service name; `None` for a service that is looked up otherwise.
pub(super) fn of_service(context: &Context<'_, '_>, service: &Service) -> Option<HttpFilter> {
    let cache = || cache_of_service(context.proxy(), context.flags(), service);
    is_for(service).then(|| of_requests(cache()))
}

/// Looks up what requests name that no service explains; `None` unless they are treated so.
pub(super) fn of_any(context: &Context<'_, '_>) -> Option<HttpFilter> {
    let cache = || cache_of_any(context.proxy(), context.flags());
    catch_all::looks_up(context).then(|| of_requests(cache()))
}

/// Looks up what TLS to a service names, on a port; `None` for a service that is looked up otherwise.
pub(super) fn of_server_name(
    context: &Context<'_, '_>,
    service: &Service,
    port: u16,
) -> Option<Filter> {
    let config = || sni::FilterConfig {
        dns_cache_config: Some(cache_of_service(context.proxy(), context.flags(), service)),
        port_specifier: Some(sni::filter_config::PortSpecifier::PortValue(port.into())),
        ..sni::FilterConfig::default()
    };
    let name = "envoy.extensions.filters.network.sni_dynamic_forward_proxy";
    is_for(service).then(|| filter(name, &config()))
}
