//! The listeners of clients: one a host and port, which only says where the routes are.
//!
//! # Upstream
//!
//! istio/istio `pilot/pkg/networking/grpcgen/lds.go` `buildOutboundListeners`.
use mesh_envoy_proto::envoy::config::core::v3 as core;
use mesh_envoy_proto::envoy::config::listener::v3::{ApiListener, Listener};
use mesh_envoy_proto::envoy::extensions::filters::network::http_connection_manager::v3::{
    HttpConnectionManager, HttpFilter, Rds, http_connection_manager::RouteSpecifier,
};
use mesh_envoy_proto::pack;
use mesh_model::registry::{Service, ServicePort};
use mesh_model::view::{ProxyView, network};

use super::cluster_of;
use super::name::ListenerNames;
use crate::endpoint::socket_address;
use crate::listener::{fault, router};
use crate::name::host_port;
use crate::route::session;

/// Builds the listeners of the services that are asked for, in the services' order.
pub(super) fn listeners(view: &ProxyView<'_>, names: &ListenerNames) -> Vec<Listener> {
    let mut found = Vec::new();
    for service in view.services() {
        let Some(wanted) = names.of_host(service.hostname.as_str()) else { continue };
        // A program may use several forms of one name.
        for requested in &wanted.requested {
            let ports = service.ports.iter().filter(|port| wanted.has_port(port.number));
            found.extend(ports.map(|port| listener(view, service, port, requested)));
        }
    }
    found
}

fn listener(
    view: &ProxyView<'_>,
    service: &Service,
    port: &ServicePort,
    requested: &str,
) -> Listener {
    let address = network::address(service, view.proxy()).to_string();
    let address = socket_address(address, port.number);
    let manager = HttpConnectionManager {
        http_filters: filters(view, service),
        route_specifier: Some(RouteSpecifier::Rds(Rds {
            config_source: Some(over_ads()),
            route_config_name: cluster_of(service.hostname.as_str(), port.number),
        })),
        ..HttpConnectionManager::default()
    };
    Listener {
        name: host_port(requested, port.number.into()),
        address: Some(core::Address {
            address: Some(core::address::Address::SocketAddress(address)),
        }),
        api_listener: Some(ApiListener { api_listener: Some(pack(&manager)) }),
        ..Listener::default()
    }
}

fn filters(view: &ProxyView<'_>, service: &Service) -> Vec<HttpFilter> {
    let flags = &view.mesh().compat().flags;
    let sessions = session::filter(service, flags);
    sessions.into_iter().chain([fault(), router(false)]).collect()
}

/// Resources of the stream that the listener came by; without the version that Envoy wants.
pub(super) fn over_ads() -> core::ConfigSource {
    core::ConfigSource {
        config_source_specifier: Some(core::config_source::ConfigSourceSpecifier::Ads(
            core::AggregatedConfigSource {},
        )),
        ..core::ConfigSource::default()
    }
}
