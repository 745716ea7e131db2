//! What gRPC clients and servers without a proxy are told: the same mesh, in the part of Envoy's
//! language that they read.
//!
//! ```text
//! HOST:PORT ─▶ listener ─▶ route configuration ─▶ clusters ─▶ endpoints        a client
//! xds.istio.io/grpc/lds/inbound/IP:PORT ─▶ listener with TLS and policies      a server
//! ```
//!
//! Every name is asked for: nothing is sent unasked, and what has no answer is left out. [`accept`]
//! says what such a client takes; [`asked`] what one asks that wants all that it can see.
//!
//! # Upstream
//!
//! istio/istio `pilot/pkg/networking/grpcgen`.
pub mod accept; // Reading order: names, then resources as a client meets them.
pub mod name;

mod cluster;
mod inbound;
mod outbound;
mod route;
mod tls;

use std::collections::BTreeSet;
use std::net::IpAddr;

use mesh_envoy_proto::envoy::config::listener::v3::Listener;
use mesh_envoy_proto::envoy::config::route::v3::RouteConfiguration;
use mesh_envoy_proto::envoy::extensions::filters::network::http_connection_manager::v3::{
    HttpConnectionManager, http_connection_manager::RouteSpecifier,
};
use mesh_model::view::ProxyView;

pub use self::cluster::clusters;
use self::name::{INBOUND_PREFIX, ListenerNames};
pub use self::route::routes;
use crate::name::SubsetKey;

/// Returns the names of the listeners that a client asks for which wants every service port that it
/// can see, and as a server its own ports: sorted, each once.
///
/// A sidecar in its place tells both: a service port that can be seen has an outbound cluster there,
/// a port of its own an inbound one. Its own ports are asked for at its first address, if that is an
/// IPv4 one.
pub fn asked(view: &ProxyView<'_>) -> Vec<String> {
    let own = match view.proxy().addresses.first() {
        Some(IpAddr::V4(address)) => Some(format!("{INBOUND_PREFIX}{address}")),
        Some(IpAddr::V6(_)) | None => None,
    };
    let mut found = BTreeSet::new();
    for cluster in crate::cluster::clusters(view) {
        let key = SubsetKey::parse(&cluster.name);
        match (key.direction, &own) {
            ("outbound", _) if key.subset.is_empty() && !key.host.is_empty() => {
                found.insert(format!("{}:{}", key.host, key.port));
            }
            ("inbound", Some(own)) => {
                found.insert(format!("{own}:{}", key.port));
            }
            _ => {}
        }
    }
    found.into_iter().collect()
}

/// Returns the listeners of these names, by name; no names mean every service.
///
/// A host with several ports asked for without one gets a listener for each; a port that a service
/// has twice, for TCP and UDP, gets two of one name, as upstream.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/networking/grpcgen/lds.go` `BuildListeners`.
pub fn listeners<'n>(
    view: &ProxyView<'_>,
    names: impl IntoIterator<Item = &'n str>,
) -> Vec<Listener> {
    let names = ListenerNames::new(names, view.proxy());
    let mut found = outbound::listeners(view, &names);
    found.extend(inbound::listeners(view, &names));
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found
}

/// Returns the route configurations that listeners refer to, sorted, each once.
pub fn route_names(listeners: &[Listener]) -> Vec<String> {
    let found: BTreeSet<String> = listeners.iter().filter_map(route_name).collect();
    found.into_iter().collect()
}

/// Returns the host by which a client may ask for a listener beside its name, which has a port.
pub(crate) fn host_of(listener: &Listener) -> Option<&str> {
    listener.api_listener.as_ref()?;
    Some(name::split_host_port(&listener.name)?.0)
}

fn route_name(listener: &Listener) -> Option<String> {
    let config = listener.api_listener.as_ref()?.api_listener.as_ref()?;
    match config.to_msg::<HttpConnectionManager>().ok()?.route_specifier? {
        RouteSpecifier::Rds(rds) => Some(rds.route_config_name),
        RouteSpecifier::RouteConfig(_) | RouteSpecifier::ScopedRoutes(_) => None,
    }
}

/// Returns the clusters that route configurations send to, sorted, each once; what is mirrored goes
/// to clusters that gRPC does not know of.
pub fn cluster_names(routes: &[RouteConfiguration]) -> Vec<String> {
    use mesh_envoy_proto::envoy::config::route::v3::{route::Action, route_action};
    let hosts = routes.iter().flat_map(|routes| &routes.virtual_hosts);
    let mut found = BTreeSet::new();
    for route in hosts.flat_map(|host| &host.routes) {
        let Some(Action::Route(action)) = &route.action else { continue };
        match &action.cluster_specifier {
            Some(route_action::ClusterSpecifier::Cluster(name)) => {
                found.insert(name.clone());
            }
            Some(route_action::ClusterSpecifier::WeightedClusters(weighted)) => {
                found.extend(weighted.clusters.iter().map(|cluster| cluster.name.clone()));
            }
            Some(_) | None => {}
        }
    }
    found.into_iter().collect()
}

/// Returns the cluster that serves a listener of a port of which no rule is.
fn cluster_of(host: &str, port: u16) -> String {
    crate::name::ClusterName::outbound(port, "", host).to_string()
}
