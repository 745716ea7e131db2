//! The listeners of servers: one chain, with TLS or without, and who may call.
//!
//! # Upstream
//!
//! istio/istio `pilot/pkg/networking/grpcgen/lds.go` `buildInboundListeners`,
//! `buildInboundFilterChains`, `buildInboundFilterChain`.
use std::collections::BTreeSet;

use mesh_authz::compile::Chain;
use mesh_envoy_proto::envoy::config::core::v3 as core;
use mesh_envoy_proto::envoy::config::listener::v3::{Filter, FilterChain, Listener, filter};
use mesh_envoy_proto::envoy::config::route::v3::{
    NonForwardingAction, Route, RouteConfiguration, RouteMatch, VirtualHost, route, route_match,
};
use mesh_envoy_proto::envoy::extensions::filters::network::http_connection_manager::v3::{
    HttpConnectionManager, HttpFilter, http_connection_manager::RouteSpecifier,
};
use mesh_envoy_proto::pack;
use mesh_model::resource::MutualTlsMode;
use mesh_model::view::ProxyView;

use super::name::{INBOUND_PREFIX, ListenerNames, split_host_port};
use super::tls;
use crate::endpoint::socket_address;
use crate::listener::router;
use crate::rbac;

/// The label by which clients know that a workload speaks mutual TLS.
const TLS_MODE: &str = "security.istio.io/tlsMode";

/// Builds the listeners that are asked for and whose port a service of the workload has.
pub(super) fn listeners(view: &ProxyView<'_>, names: &ListenerNames) -> Vec<Listener> {
    let mut names = names.inbound().peekable();
    if names.peek().is_none() {
        return Vec::new();
    }
    let targets = view.service_targets();
    let ports: BTreeSet<u16> = targets.iter().map(|target| target.target_port).collect();
    let filters = filters(view);
    names.filter_map(|name| listener(view, name, &ports, &filters)).collect()
}

fn listener(
    view: &ProxyView<'_>,
    name: &str,
    ports: &BTreeSet<u16>,
    filters: &[HttpFilter],
) -> Option<Listener> {
    let (address, port) = split_host_port(name.strip_prefix(INBOUND_PREFIX)?)?;
    let port = port.parse().ok().filter(|port| ports.contains(port))?;
    let address = socket_address(address.to_owned(), port);
    Some(Listener {
        name: name.to_owned(),
        address: Some(core::Address {
            address: Some(core::address::Address::SocketAddress(address)),
        }),
        filter_chains: vec![chain(is_mutual(view, port), filters)],
        ..Listener::default()
    })
}

/// Whether clients have to speak mutual TLS. A server cannot do both: one that is labelled as
/// speaking it gets TLS from every client, and one that is not gets none.
fn is_mutual(view: &ProxyView<'_>, port: u16) -> bool {
    let proxy = view.proxy();
    match view.server_mode(&proxy.namespace, &proxy.labels).of_port(port) {
        MutualTlsMode::Strict => true,
        MutualTlsMode::Disable => false,
        MutualTlsMode::Permissive | MutualTlsMode::Unset => proxy.labels.value(TLS_MODE) == "istio",
    }
}

fn filters(view: &ProxyView<'_>) -> Vec<HttpFilter> {
    let chain = Chain::of_grpc_server(view.mesh(), view.plane(), view.proxy());
    let mut filters = rbac::grpc_filters(&chain);
    filters.push(router(false));
    filters
}

fn chain(is_mutual: bool, filters: &[HttpFilter]) -> FilterChain {
    let suffix = if is_mutual { "mtls" } else { "plaintext" };
    let manager = HttpConnectionManager {
        http_filters: filters.to_vec(),
        route_specifier: Some(RouteSpecifier::RouteConfig(to_the_server())),
        ..HttpConnectionManager::default()
    };
    FilterChain {
        name: format!("inbound-{suffix}"),
        filters: vec![Filter {
            name: format!("inbound-hcm{suffix}"),
            config_type: Some(filter::ConfigType::TypedConfig(pack(&manager))),
        }],
        transport_socket: is_mutual.then(tls::downstream),
        ..FilterChain::default()
    }
}

/// Every call is for the program itself.
fn to_the_server() -> RouteConfiguration {
    let everything = RouteMatch {
        path_specifier: Some(route_match::PathSpecifier::Prefix("/".to_owned())),
        ..RouteMatch::default()
    };
    let route = Route {
        r#match: Some(everything),
        action: Some(route::Action::NonForwardingAction(NonForwardingAction {})),
        ..Route::default()
    };
    RouteConfiguration {
        name: "inbound".to_owned(),
        virtual_hosts: vec![VirtualHost {
            domains: vec!["*".to_owned()],
            routes: vec![route],
            ..VirtualHost::default()
        }],
        ..RouteConfiguration::default()
    }
}
