//! The listeners of one proxy (LDS).
//!
//! ```text
//! virtualOutbound ◀── catch_all      what no service explains
//! BIND_PORT       ◀── outbound ─▶ stream_routes, http ─▶ emit      what the workload sends
//! virtualInbound  ◀── inbound ─▶ tls, inspectors       what it receives
//! BIND_PORT       ◀── gateway ─▶ rules, tls ─▶ http    what a gateway receives
//! ```
//!
//! # Upstream
//!
//! istio/istio `pilot/pkg/networking/core/listener.go` `BuildListeners`.
mod catch_all;
mod chain;
mod connection_settings;
mod context;
mod dynamic_dns;
mod emit;
mod filters;
mod gateway;
mod headers;
mod http;
mod inbound;
mod inbound_chain;
mod inspectors;
mod outbound;
mod route_name;
mod stream_routes;
mod tcp;
mod tls;
mod topology;
mod wire;

use mesh_envoy_proto::envoy::config::listener::v3::{Filter, Listener, filter};
use mesh_model::view::{ProxyKind, ProxyView};

use self::context::Context;
pub(crate) use self::filters::{ALPN, METADATA_EXCHANGE, MYSQL, STATS, fault, router};
pub use self::gateway::{PassedThrough, passed_through};

/// Returns the listeners of a proxy, sorted by name.
///
/// Of sidecars and gateways; waypoints and ztunnels have none here.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/networking/core/listener.go` `BuildListeners`.
pub fn listeners(view: &ProxyView<'_>) -> Vec<Listener> {
    let mut found = match view.proxy().kind {
        ProxyKind::Sidecar => sidecar(&Context::new(view)),
        ProxyKind::Router => gateway::listeners(&Context::new(view)),
        ProxyKind::Waypoint | ProxyKind::Ztunnel => Vec::new(),
    };
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found.dedup_by(|later, kept| later.name == kept.name);
    found
}

fn sidecar(context: &Context<'_, '_>) -> Vec<Listener> {
    let mut found = outbound::listeners(context);
    found.extend(catch_all::virtual_outbound(context));
    found.extend(inbound::listeners(context));
    found
}

/// Returns the route configurations that listeners refer to, sorted, each once.
pub fn route_names(listeners: &[Listener]) -> Vec<String> {
    let chains = listeners
        .iter()
        .flat_map(|listener| listener.filter_chains.iter().chain(&listener.default_filter_chain));
    let mut names: Vec<String> =
        chains.flat_map(|chain| &chain.filters).filter_map(route_name).collect();
    names.sort();
    names.dedup();
    names
}

fn route_name(filter: &Filter) -> Option<String> {
    let Some(filter::ConfigType::TypedConfig(config)) = &filter.config_type else { return None };
    route_name::of_manager(config)
}
