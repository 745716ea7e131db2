//! The cluster that a destination means.
//!
//! # Upstream
//!
//! istio/istio `pilot/pkg/networking/core/route/route.go` `GetDestinationCluster`.
use mesh_model::registry::Service;
use mesh_model::resource::virtual_service::Destination;

/// The cluster of a destination without host, which only Gateway API routes have.
const UNKNOWN_SERVICE: &str = "UnknownService";

/// The name of the cluster for a destination, whether or not anything like it exists.
///
/// Without a port the only one of the service counts, else that of the listener. A service that
/// stands for another gives its name.
pub(super) fn cluster_name(
    destination: &Destination,
    service: Option<&Service>,
    listener_port: u32,
) -> String {
    if destination.host.is_empty() {
        return UNKNOWN_SERVICE.to_owned();
    }
    let alias = service.and_then(|service| service.alias_of.as_ref());
    let host = alias.map_or(&*destination.host, |alias| alias.as_str());
    let only_port = || match service.map(|service| &*service.ports) {
        Some([port]) => u32::from(port.number),
        Some(_) | None => listener_port,
    };
    let port = destination.port.as_ref().map_or_else(only_port, |port| port.number);
    // Ports of rules have 32 bits, which is more than a parsed name has.
    format!("outbound|{port}|{}|{host}", destination.subset)
}
