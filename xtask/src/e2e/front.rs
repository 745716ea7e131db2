//! The listener in front of an Envoy that is configured by hand: plain HTTP, routed by path.
use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::e2e::envoy::Envoy;
use crate::problem::Problem;

const NAME: &str = "front";

/// The listener's configuration: at any port of a loopback address, for any host.
pub(super) fn listener(address: &str, routes: &[Value]) -> Value {
    let manager = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": NAME,
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}]},
        "http_filters": [{
            "name": "envoy.filters.http.router",
            "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"},
        }],
    });
    let filter = json!({
        "name": "envoy.filters.network.http_connection_manager",
        "typed_config": manager,
    });
    json!({
        "name": NAME,
        "address": {"socket_address": {"address": address, "port_value": 0}},
        "filter_chains": [{"filters": [filter]}],
    })
}

/// The address and port that the listener got.
pub(super) fn address(envoy: &Envoy) -> Result<SocketAddr, Problem> {
    let found = envoy.listeners()?.get(NAME).copied();
    found.ok_or_else(|| Problem(format!("Envoy names no listener `{NAME}`")))
}
