//! What a proxy does with a request: its own configuration, read as Envoy reads it.
//!
//! ```text
//! request ─▶ listener ─▶ filter chain ─▶ virtual host ─▶ route ─▶ destinations, redirect or answer
//!            port, address  SNI, protocol    host        path, headers
//! ```
//!
//! It works on generated resources alone, so that what is answered is what was sent. Nothing here
//! draws: shares are told instead of a choice.
//!
//! # Upstream
//!
//! envoyproxy/envoy `source/common/router/config_impl.cc`, `source/common/http/header_utility.cc`,
//! `source/common/http/conn_manager_utility.cc`,
//! `source/common/listener_manager/filter_chain_manager_impl.cc`.
mod action;
mod arrival;
mod condition;
mod domain;
mod listener;
mod path;
mod re2;
mod redirect;
mod scheme;
mod text;
mod underscore;

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use mesh_envoy_proto::envoy::config::cluster::v3::Cluster;
use mesh_envoy_proto::envoy::config::listener::v3::Listener;
use mesh_envoy_proto::envoy::config::route::v3::RouteConfiguration;
use mesh_envoy_proto::envoy::extensions::filters::network::http_connection_manager::v3::{
    HttpConnectionManager, http_connection_manager::RouteSpecifier,
};
use mesh_model::compat::EnvoyFeatures;
use mesh_model::view::{ProxyView, Subset, network};

pub use self::action::{AbortStatus, Changes, Delay, Fault, Forward, Share};
pub use self::arrival::{Arrival, Over, Received, Speaks, receive};
use self::listener::Connection;
pub use self::listener::Content;
use self::path::Normal;
use self::re2::Alphabet;
pub use self::redirect::Redirected;
use self::scheme::Came;

/// What a proxy holds.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "the inputs of one function")]
pub struct Configuration<'c> {
    /// The listeners.
    pub listeners: &'c [Listener],
    /// The route configurations that they name.
    pub routes: &'c [RouteConfiguration],
    /// The clusters.
    pub clusters: &'c [Cluster],
    /// What the proxy's release does.
    pub envoy: EnvoyFeatures,
}

/// A request as the proxy receives it.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "callers describe requests")]
pub struct Request {
    /// The port that it is sent to.
    pub port: u16,
    /// The address that it is sent to; `None` where the host's is unknown.
    pub address: Option<IpAddr>,
    /// The method.
    pub method: String,
    /// The host, with or without port.
    pub host: String,
    /// The path, with its query.
    pub path: String,
    /// Other headers, in any case; several of one name are one list.
    pub headers: Vec<(String, String)>,
    /// The server name of TLS; empty: plain text.
    pub sni: String,
}

/// What happens to a request.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Resolution {
    /// The listener, empty if none takes it.
    pub listener: String,
    /// The route configuration, empty for connections that are not read as HTTP.
    pub route_config: String,
    /// The virtual host, empty if none has the host.
    pub virtual_host: String,
    /// The route's name, which may be empty for one that matches.
    pub route: String,
    /// What happens.
    pub outcome: Outcome,
    /// What is injected before.
    pub fault: Option<Fault>,
    /// The headers that change, whatever the destination.
    pub changes: Changes,
    /// Why.
    pub reason: Reason,
}

/// The end of a request at the proxy.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "callers act on every end")]
pub enum Outcome {
    /// It is sent on.
    Forwarded(Box<Forward>),
    /// The client is sent elsewhere.
    Redirected(Redirected),
    /// The proxy answers itself.
    Answered {
        /// The status.
        status: u32,
        /// The text.
        body: String,
    },
    /// The connection ends.
    Closed,
}

/// Why a request ends as it does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Reason {
    /// No listener takes the port, and nothing is taken that no listener knows.
    NoListener,
    /// The listener has no chain for such a connection.
    NoFilterChain,
    /// The connection is not read as HTTP: it goes where its chain says.
    Connection,
    /// The chain ends TLS, and the client speaks none or has no certificate of the mesh.
    HandshakeFails,
    /// The chain reads HTTP, and something else arrives.
    NotRequests,
    /// A header has an underscore in its name.
    HeaderRejected,
    /// The path cannot be normalized, or may not have what it has.
    PathRejected,
    /// The path has an escaped slash, and the client is sent to the one without.
    PathRedirected,
    /// The route configuration is not there.
    NoRouteConfiguration,
    /// No virtual host has the host.
    NoVirtualHost,
    /// No route of the virtual host matches.
    NoRoute,
    /// The virtual host demands TLS.
    TlsRequired,
    /// A route matches.
    Route,
    /// A route matches that says nothing.
    NoAction,
}

impl Reason {
    /// The stable code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::NoListener => "no_listener",
            Self::NoFilterChain => "no_filter_chain",
            Self::Connection => "connection",
            Self::HandshakeFails => "handshake_fails",
            Self::NotRequests => "not_requests",
            Self::HeaderRejected => "header_rejected",
            Self::PathRejected => "path_rejected",
            Self::PathRedirected => "path_redirected",
            Self::NoRouteConfiguration => "no_route_configuration",
            Self::NoVirtualHost => "no_virtual_host",
            Self::NoRoute => "no_route",
            Self::TlsRequired => "tls_required",
            Self::Route => "route",
            Self::NoAction => "no_action",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoListener => "no listener takes this port",
            Self::NoFilterChain => "the listener has no filter chain for such a connection",
            Self::Connection => "the connection is not read as HTTP and goes where its chain says",
            Self::HandshakeFails => {
                "the proxy ends TLS, and the client speaks none or has no certificate of the mesh"
            }
            Self::NotRequests => "the connection is read as HTTP, and something else arrives",
            Self::HeaderRejected => "a header has an underscore in its name",
            Self::PathRejected => "the path cannot be normalized, or has an escaped slash",
            Self::PathRedirected => {
                "the path has an escaped slash, and the client is sent to the one without"
            }
            Self::NoRouteConfiguration => "the route configuration does not exist",
            Self::NoVirtualHost => "no virtual host has this host",
            Self::NoRoute => "no route of the virtual host matches",
            Self::TlsRequired => "the virtual host demands TLS",
            Self::Route => "the first route that matches",
            Self::NoAction => "the route that matches says neither where to go nor what to answer",
        })
    }
}

/// The address that a proxy's workload would send a request for a host to: the host itself, or that
/// of the service that it names in full or short.
pub fn address_of(view: &ProxyView<'_>, host: &str, port: u16) -> Option<IpAddr> {
    let name = domain::without_port(host);
    let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    if let Ok(address) = bare.parse() {
        return Some(address);
    }
    let destination = view.destination(bare, port, Subset::None).ok()?;
    let address = network::address(&destination.service, view.proxy());
    address.parse().ok().filter(|address: &IpAddr| !address.is_unspecified())
}

/// What happens to what no listener takes.
fn nowhere() -> Resolution {
    Resolution {
        listener: String::new(),
        route_config: String::new(),
        virtual_host: String::new(),
        route: String::new(),
        outcome: Outcome::Closed,
        fault: None,
        changes: Changes::default(),
        reason: Reason::NoListener,
    }
}

/// Says what happens to a request.
pub fn resolve(configuration: &Configuration<'_>, request: &Request) -> Resolution {
    let Some(listener) = listener::find(configuration.listeners, request) else {
        return nowhere();
    };
    let found = Resolution { listener: listener.name.clone(), ..nowhere() };
    let Some(chain) = listener::chain(listener, &Connection::of(request)) else {
        return Resolution { reason: Reason::NoFilterChain, ..found };
    };
    match listener::content(chain) {
        Some(content) => {
            // A chain with a transport socket ends TLS.
            let ends_tls = chain.transport_socket.is_some();
            of_content(configuration, &content, request, ends_tls, found)
        }
        None => Resolution { reason: Reason::NoFilterChain, ..found },
    }
}

/// What happens to a request once its chain is known.
fn of_content(
    configuration: &Configuration<'_>,
    content: &Content,
    request: &Request,
    ends_tls: bool,
    found: Resolution,
) -> Resolution {
    match content {
        Content::Connection(proxy) => {
            let forward = Box::new(action::of_connection(proxy, configuration.clusters));
            let outcome = Outcome::Forwarded(forward);
            Resolution { outcome, reason: Reason::Connection, ..found }
        }
        // Envoy takes even the lines of HTTP for commands.
        Content::Commands(proxy) => {
            let forward = Box::new(action::of_commands(proxy, configuration.clusters));
            let outcome = Outcome::Forwarded(forward);
            Resolution { outcome, reason: Reason::Connection, ..found }
        }
        Content::Requests(manager) => {
            let Some(request) = underscore::seen(manager, request) else {
                let outcome = Outcome::Answered { status: 400, body: String::new() };
                return Resolution { outcome, reason: Reason::HeaderRejected, ..found };
            };
            let came = Came::new(manager, &request, ends_tls);
            let routing = Routing { configuration, request: &request, came };
            routing.of_manager(manager, found)
        }
    }
}

/// A request past its connection.
struct Routing<'r> {
    configuration: &'r Configuration<'r>,
    request: &'r Request,
    came: Came,
}

impl Routing<'_> {
    fn of_manager(&self, manager: &HttpConnectionManager, found: Resolution) -> Resolution {
        let answer = |status, reason, found: Resolution| {
            let outcome = Outcome::Answered { status, body: String::new() };
            Resolution { outcome, reason, ..found }
        };
        let envoy = self.configuration.envoy;
        let path = match path::normal(manager, envoy, self.request) {
            Normal::Seen(path) => path,
            Normal::Redirected(location) => {
                let outcome = Outcome::Redirected(Redirected { status: 307, location });
                return Resolution { outcome, reason: Reason::PathRedirected, ..found };
            }
            Normal::Rejected => return answer(400, Reason::PathRejected, found),
        };
        let all = self.configuration.routes;
        let (name, routes) = match &manager.route_specifier {
            Some(RouteSpecifier::RouteConfig(routes)) => (&*routes.name, Some(routes)),
            Some(RouteSpecifier::Rds(rds)) => {
                let name = &*rds.route_config_name;
                (name, all.iter().find(|routes| routes.name == name))
            }
            Some(RouteSpecifier::ScopedRoutes(_)) | None => ("", None),
        };
        let found = Resolution { route_config: name.to_owned(), ..found };
        let Some(routes) = routes else {
            return answer(404, Reason::NoRouteConfiguration, found);
        };
        let Some(host) = domain::virtual_host(routes, &self.request.host) else {
            return answer(404, Reason::NoVirtualHost, found);
        };
        let found = Resolution { virtual_host: host.name.clone(), ..found };
        let alphabet = if envoy.re2_use_latin1_mode { Alphabet::Latin1 } else { Alphabet::Utf8 };
        let seen = condition::Seen::new(self.request, &path, self.came.clone(), alphabet);
        if self.came.forwarded.is_empty() {
            // Envoy looks for no route then.
            return answer(404, Reason::NoRoute, found);
        }
        if host.require_tls != 0 && self.came.is_plain() {
            let outcome = Outcome::Redirected(redirect::to_tls(&seen));
            return Resolution { outcome, reason: Reason::TlsRequired, ..found };
        }
        let matches = |condition| condition::matches(&seen, condition);
        let route = host.routes.iter().find(|route| route.r#match.as_ref().is_some_and(matches));
        match route {
            Some(route) => {
                let of_hosts = action::Levels { route, host, routes };
                action::of_route(&of_hosts, &seen, self.configuration.clusters, found)
            }
            None => answer(404, Reason::NoRoute, found),
        }
    }
}

/// A span of time as std has it; what is negative is none.
fn span(duration: &mesh_envoy_proto::prost_types::Duration) -> Option<Duration> {
    let seconds = u64::try_from(duration.seconds).ok()?;
    Some(Duration::new(seconds, u32::try_from(duration.nanos).ok()?))
}
