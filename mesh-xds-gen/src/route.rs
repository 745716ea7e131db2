//! Where requests go: the route configurations (RDS) of one proxy.
//!
//! ```text
//! name ──▶ egress listener ──▶ services, VirtualServices ──▶ wrappers (port, hosts, routes)
//!                                                              │ domains, each used once
//!                                                              ▼
//!          catch-all ──────────────────────────────────▶ virtual hosts, sorted
//! ```
//!
//! A gateway's virtual hosts are those of its servers (`gateway`).
//!
//! # Upstream
//!
//! istio/istio `pilot/pkg/networking/core/httproute.go`, `core/route/route.go`.
mod action;
mod catch_all;
mod cors;
mod destination;
pub mod domains;
mod encode;
mod fault;
mod gateway;
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

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use mesh_envoy_proto::envoy::config::route::v3::RouteConfiguration;
use mesh_model::view::{ProxyKind, ProxyView};
use prost::Message;

pub use self::catch_all::OutboundPolicy;
pub(crate) use self::outbound::virtual_hosts as outbound_virtual_hosts;
pub use self::outbound::{Outbound, ProxyHeaders};
pub use self::translate::{Translation, catch_all_last, is_catch_all};

/// The routes of requests for hosts that no service explains, where each is looked up.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/networking/core/listener_builder.go`
/// `buildAllowAnyDynamicDNSRouteConfig`.
pub(crate) fn allow_any_dynamic_dns(view: &ProxyView<'_>) -> RouteConfiguration {
    let headers = ProxyHeaders::of(view.proxy(), &view.plane().config);
    let host = catch_all::virtual_host(&OutboundPolicy::AllowAnyDynamicDns, headers);
    outbound::configuration(&host.name.clone(), Some(vec![host]))
}

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
    let names: BTreeSet<&str> = names.into_iter().collect();
    if view.proxy().kind == ProxyKind::Router {
        return gateway::Gateway::new(view).configurations(names);
    }
    names.into_iter().map(|name| route_configuration(view, name)).collect()
}

/// The same as bytes, each with its name: what [`routes`] gives, encoded.
pub fn encoded<'n>(
    view: &ProxyView<'_>,
    names: impl IntoIterator<Item = &'n str>,
) -> Vec<(Arc<str>, Bytes)> {
    if view.proxy().kind == ProxyKind::Router {
        let messages = routes(view, names).into_iter();
        return messages.map(|routes| (routes.name.as_str().into(), bytes(&routes))).collect();
    }
    let names: BTreeSet<&str> = names.into_iter().collect();
    let names = names.into_iter();
    names.map(|name| (name.into(), outbound::encoded_of_view(view, name))).collect()
}

fn bytes(routes: &RouteConfiguration) -> Bytes {
    routes.encode_to_vec().into()
}

/// The route configuration of one name, as a sidecar asks for it: `PORT`, `HOST:PORT` for a service
/// whose protocol is detected, `unix://PATH`, or `http_proxy`; as a gateway: `http.PORT` or
/// `https.PORT.NAME.GATEWAY.NAMESPACE`, each with a server's bind at its end if it has one.
///
/// Any other name gets a configuration without virtual hosts.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/networking/core/httproute.go` `buildSidecarOutboundHTTPRouteConfig`;
/// `gateway.go` `buildGatewayHTTPRouteConfig`.
pub fn route_configuration(view: &ProxyView<'_>, name: &str) -> RouteConfiguration {
    if view.proxy().kind == ProxyKind::Router {
        let mut found = gateway::Gateway::new(view).configurations([name]);
        return found.pop().unwrap_or_default();
    }
    outbound::of_view(view, name)
}
