//! Where requests go: the route configurations (RDS) of one proxy.
//!
//! ```text
//! name ──▶ egress listener ──▶ services, VirtualServices ──▶ wrappers (port, hosts, routes)
//!                                                              │ domains, each used once
//!                                                              ▼
//!          catch-all ──────────────────────────────────▶ virtual hosts, sorted
//! ```
//!
//! # Upstream
//!
//! istio/istio `pilot/pkg/networking/core/httproute.go`, `core/route/route.go`.
mod action;
mod catch_all;
mod cors;
mod destination;
pub mod domains;
mod fault;
pub mod hash_policy;
mod headers;
mod matching;
mod mirror;
mod outbound;
mod redirect;
pub mod retry;
pub(crate) mod session;
mod translate;
mod value;
mod virtual_host;
mod wrapper;

use mesh_envoy_proto::envoy::config::route::v3::RouteConfiguration;
use mesh_model::view::ProxyView;

pub use self::catch_all::OutboundPolicy;
pub(crate) use self::outbound::virtual_hosts as outbound_virtual_hosts;
pub use self::outbound::{Outbound, ProxyHeaders};
pub use self::translate::{Translation, catch_all_last, is_catch_all};

/// The route configurations of these names, sorted by name, each once.
///
/// # Examples
///
/// ```no_run
/// # fn example(view: &mesh_model::view::ProxyView<'_>) {
/// let routes = mesh_xds_gen::route::routes(view, ["80", "8080"]);
/// assert_eq!(routes.len(), 2);
/// # }
/// ```
pub fn routes<'n>(
    view: &ProxyView<'_>,
    names: impl IntoIterator<Item = &'n str>,
) -> Vec<RouteConfiguration> {
    let names: std::collections::BTreeSet<&str> = names.into_iter().collect();
    names.into_iter().map(|name| route_configuration(view, name)).collect()
}

/// The route configuration of one name, as a sidecar asks for it: `PORT`, `HOST:PORT` for a service
/// whose protocol is detected, `unix://PATH`, or `http_proxy`.
///
/// Any other name gets a configuration without virtual hosts.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/networking/core/httproute.go` `buildSidecarOutboundHTTPRouteConfig`.
pub fn route_configuration(view: &ProxyView<'_>, name: &str) -> RouteConfiguration {
    outbound::of_view(view, name)
}
