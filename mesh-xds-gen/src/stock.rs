//! What a stock Envoy is not sent: the filters that only Istio's build of it knows.
use mesh_envoy_proto::envoy::config::cluster::v3::Cluster;
use mesh_envoy_proto::envoy::config::listener::v3::{Filter, FilterChain, Listener, filter};
use mesh_envoy_proto::envoy::config::route::v3::RouteConfiguration;
use mesh_envoy_proto::envoy::extensions::filters::network::http_connection_manager::v3::{
    HttpConnectionManager, http_connection_manager::RouteSpecifier,
};
use mesh_envoy_proto::pack;
use mesh_envoy_proto::prost::Name;
use mesh_envoy_proto::prost_types::Any;

use crate::listener::{ALPN, METADATA_EXCHANGE, MYSQL, STATS};

/// The filters that a stock Envoy refuses: Istio's own, and one of those that Envoy's authors do not build in.
const UNKNOWN: [&str; 4] = [METADATA_EXCHANGE, ALPN, STATS, MYSQL];

fn is_unknown(name: &str) -> bool {
    UNKNOWN.contains(&name)
}

/// Leaves out of a listener what a stock Envoy refuses.
pub fn adapt_listener(listener: &mut Listener) {
    let chains = listener.filter_chains.iter_mut().chain(&mut listener.default_filter_chain);
    chains.for_each(adapt_chain);
}

/// Leaves out of a cluster what a stock Envoy refuses.
pub fn adapt_cluster(cluster: &mut Cluster) {
    cluster.filters.retain(|filter| !is_unknown(&filter.name));
}

/// Leaves out of a route configuration what a stock Envoy refuses.
pub fn adapt_route(routes: &mut RouteConfiguration) {
    routes.typed_per_filter_config.retain(|name, _| !is_unknown(name));
    for host in &mut routes.virtual_hosts {
        host.typed_per_filter_config.retain(|name, _| !is_unknown(name));
        for route in &mut host.routes {
            route.typed_per_filter_config.retain(|name, _| !is_unknown(name));
        }
    }
}

fn adapt_chain(chain: &mut FilterChain) {
    chain.filters.retain(|filter| !is_unknown(&filter.name));
    chain.filters.iter_mut().for_each(adapt_filter);
}

fn adapt_filter(filter: &mut Filter) {
    let Some(filter::ConfigType::TypedConfig(config)) = &mut filter.config_type else { return };
    if config.type_url == HttpConnectionManager::type_url() {
        adapt_manager(config);
    }
}

/// Bytes that are no such filter stay as they are.
fn adapt_manager(config: &mut Any) {
    let Ok(mut manager) = config.to_msg::<HttpConnectionManager>() else { return };
    manager.http_filters.retain(|filter| !is_unknown(&filter.name));
    if let Some(RouteSpecifier::RouteConfig(routes)) = &mut manager.route_specifier {
        adapt_route(routes);
    }
    *config = pack(&manager);
}
