//! What a workload's proxy does with a connection that comes in.
//!
//! ```text
//! connection ─▶ inspectors ─▶ filter chain ─▶ TLS ended or passed on ─▶ request or connection
//!               TLS, ALPN     port, transport
//! ```
//!
//! # Upstream
//!
//! envoyproxy/envoy `source/common/listener_manager/active_tcp_socket.cc` `newConnection`,
//! `source/common/listener_manager/filter_chain_manager_impl.cc` `findFilterChain`,
//! `source/common/network/filter_matcher.cc`.
use mesh_envoy_proto::envoy::config::core::v3::transport_socket::ConfigType;
use mesh_envoy_proto::envoy::config::listener::v3::listener_filter_chain_match_predicate::Rule;
use mesh_envoy_proto::envoy::config::listener::v3::{
    FilterChain, Listener, ListenerFilterChainMatchPredicate as Predicate,
};
use mesh_envoy_proto::envoy::extensions::transport_sockets::tls::v3::DownstreamTlsContext;

use super::listener::{self, Connection, Content};
use super::{Configuration, Outcome, Reason, Request, Resolution, nowhere, of_content};

/// The listener filter that finds TLS.
const TLS_INSPECTOR: &str = "envoy.filters.listener.tls_inspector";
/// The listener filter that finds HTTP in plain text.
const HTTP_INSPECTOR: &str = "envoy.filters.listener.http_inspector";

/// A connection as it comes to the workload.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[expect(clippy::exhaustive_structs, reason = "callers describe connections")]
pub struct Arrival {
    /// The port that the client dialled.
    pub port: u16,
    /// What it comes over.
    pub over: Over,
    /// What is in it.
    pub speaks: Speaks,
}

/// What a connection comes over.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[expect(clippy::exhaustive_enums, reason = "callers name all of them")]
pub enum Over {
    /// Plain text.
    PlainText,
    /// Mutual TLS of the mesh: the client shows a certificate of the mesh, and offers Istio's
    /// protocol names.
    MutualTls,
    /// TLS of the client's own: it has no certificate of the mesh, and offers what browsers do.
    Tls,
}

/// What is in a connection.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[expect(clippy::exhaustive_enums, reason = "callers name both")]
pub enum Speaks {
    /// Requests of HTTP.
    Http,
    /// Anything else.
    Bytes,
}

/// What happens to a connection that comes in.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Received<'l> {
    /// The chain that takes it, if any does.
    pub chain: Option<&'l FilterChain>,
    /// What the chain does; `None` where there is none, or one that says nothing.
    pub content: Option<Content>,
    /// Whether the proxy ends TLS; what is encrypted and not ended is passed on as it came.
    pub ends_tls: bool,
    /// Where it goes: of HTTP a request to `/`. Who may call is not asked here.
    pub resolution: Resolution,
}

/// Says what a listener does with a connection that comes in.
pub fn receive<'l>(
    configuration: &Configuration<'_>,
    listener: &'l Listener,
    arrival: &Arrival,
) -> Received<'l> {
    let nowhere =
        Resolution { listener: listener.name.clone(), reason: Reason::NoFilterChain, ..nowhere() };
    let chain = listener::chain(listener, &inspected(listener, arrival));
    let content = chain.and_then(listener::content);
    let (Some(chain), Some(read)) = (chain, &content) else {
        return Received { chain, content, ends_tls: false, resolution: nowhere };
    };
    let ends_tls = chain.transport_socket.is_some();
    let resolution = match refusal(chain, read, arrival) {
        Some(reason) => Resolution { outcome: Outcome::Closed, reason, ..nowhere },
        None => of_content(configuration, read, &request(arrival.port), ends_tls, nowhere),
    };
    Received { chain: Some(chain), content, ends_tls, resolution }
}

/// Why a chain does not take the connection after all.
fn refusal(chain: &FilterChain, content: &Content, arrival: &Arrival) -> Option<Reason> {
    let ends_tls = chain.transport_socket.is_some();
    let is_tls = arrival.over != Over::PlainText;
    if ends_tls && (!is_tls || (arrival.over == Over::Tls && demands_certificate(chain))) {
        return Some(Reason::HandshakeFails);
    }
    let is_readable = arrival.speaks == Speaks::Http && is_tls == ends_tls;
    let reads_requests = matches!(content, Content::Requests(_));
    (reads_requests && !is_readable).then_some(Reason::NotRequests)
}

fn demands_certificate(chain: &FilterChain) -> bool {
    let Some(ConfigType::TypedConfig(config)) =
        chain.transport_socket.as_ref().and_then(|socket| socket.config_type.as_ref())
    else {
        return false;
    };
    let context = config.to_msg::<DownstreamTlsContext>().unwrap_or_default();
    context.require_client_certificate == Some(true)
}

/// A request as good as any other: inbound routes take all.
fn request(port: u16) -> Request {
    let (method, path) = ("GET".to_owned(), "/".to_owned());
    Request { port, method, path, host: "any.invalid".to_owned(), ..Request::default() }
}

/// What inspectors find of a connection; what none looks at is plain text of nobody knows what.
fn inspected(listener: &Listener, arrival: &Arrival) -> Connection<'static> {
    let looks = |name: &str| {
        let mut filters = listener.listener_filters.iter().filter(|filter| filter.name == name);
        filters.any(|filter| {
            let is_off = |rule| holds(rule, arrival.port);
            !filter.filter_disabled.as_ref().is_some_and(is_off)
        })
    };
    let is_tls = arrival.over != Over::PlainText && looks(TLS_INSPECTOR);
    let protocols: &[&str] = match (arrival.over, arrival.speaks) {
        (Over::PlainText, Speaks::Http) if looks(HTTP_INSPECTOR) => &["http/1.1"],
        (Over::MutualTls, Speaks::Http) if is_tls => &["istio-http/1.1", "istio", "http/1.1"],
        (Over::MutualTls, Speaks::Bytes) if is_tls => &["istio-peer-exchange", "istio"],
        (Over::Tls, Speaks::Http) if is_tls => &["h2", "http/1.1"],
        (Over::PlainText | Over::MutualTls | Over::Tls, Speaks::Http | Speaks::Bytes) => &[],
    };
    Connection {
        port: arrival.port,
        address: None,
        server_name: "",
        transport: if is_tls { "tls" } else { "raw_buffer" },
        protocols,
    }
}

/// Whether a condition on the port that was dialled holds; a range does not have its end.
fn holds(predicate: &Predicate, port: u16) -> bool {
    match &predicate.rule {
        Some(Rule::OrMatch(set)) => set.rules.iter().any(|rule| holds(rule, port)),
        Some(Rule::AndMatch(set)) => set.rules.iter().all(|rule| holds(rule, port)),
        Some(Rule::NotMatch(rule)) => !holds(rule, port),
        Some(Rule::AnyMatch(any)) => *any,
        Some(Rule::DestinationPortRange(range)) => {
            (range.start..range.end).contains(&i32::from(port))
        }
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use mesh_envoy_proto::envoy::config::core::v3::TransportSocket;
    use mesh_envoy_proto::envoy::config::listener::v3::{
        Filter, FilterChainMatch, ListenerFilter, filter,
    };
    use mesh_envoy_proto::envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager;
    use mesh_envoy_proto::envoy::extensions::filters::network::tcp_proxy::v3::TcpProxy;
    use mesh_envoy_proto::{pack, prost_types};
    use mesh_model::compat::EnvoyFeatures;

    use super::*;

    fn chain(
        name: &str,
        port: u32,
        transport: &str,
        protocols: &[&str],
        is_http: bool,
    ) -> FilterChain {
        let config: prost_types::Any = if is_http {
            pack(&HttpConnectionManager::default())
        } else {
            pack(&TcpProxy::default())
        };
        let context =
            DownstreamTlsContext { require_client_certificate: Some(true), ..Default::default() };
        let ends_tls = name.contains("mutual");
        FilterChain {
            name: name.to_owned(),
            filter_chain_match: Some(FilterChainMatch {
                destination_port: (port != 0).then_some(port),
                transport_protocol: transport.to_owned(),
                application_protocols: protocols.iter().map(|it| (*it).to_owned()).collect(),
                ..FilterChainMatch::default()
            }),
            filters: vec![Filter {
                config_type: Some(filter::ConfigType::TypedConfig(config)),
                ..Filter::default()
            }],
            transport_socket: ends_tls.then(|| TransportSocket {
                config_type: Some(ConfigType::TypedConfig(pack(&context))),
                ..TransportSocket::default()
            }),
            ..FilterChain::default()
        }
    }

    /// A port that demands mutual TLS, one that has none, and all others, which take either.
    fn listener() -> Listener {
        let inspector = |name: &str, off: i32| ListenerFilter {
            name: name.to_owned(),
            filter_disabled: Some(Predicate {
                rule: Some(Rule::DestinationPortRange(
                    mesh_envoy_proto::envoy::r#type::v3::Int32Range { start: off, end: off + 1 },
                )),
            }),
            ..ListenerFilter::default()
        };
        Listener {
            filter_chains: vec![
                chain("mutual-http", 80, "tls", &["istio-http/1.1"], true),
                chain("mutual", 80, "tls", &[], false),
                chain("plain", 90, "raw_buffer", &[], true),
                chain("any-http", 0, "raw_buffer", &["http/1.1"], true),
                chain("any", 0, "raw_buffer", &[], false),
                chain("any-tls", 0, "tls", &[], false),
            ],
            listener_filters: vec![inspector(TLS_INSPECTOR, 90), inspector(HTTP_INSPECTOR, 80)],
            ..Listener::default()
        }
    }

    fn check(port: u16, over: Over, speaks: Speaks, expected: &str) {
        let configuration = Configuration {
            listeners: &[],
            routes: &[],
            clusters: &[],
            envoy: EnvoyFeatures::default(),
        };
        let arrival = Arrival { port, over, speaks };
        let listener = listener();
        let found = receive(&configuration, &listener, &arrival);
        let chain = found.chain.map_or("", |chain| &*chain.name);
        let reason = found.resolution.reason.code();
        assert_eq!(format!("{chain} {reason}"), expected, "{arrival:?}");
    }

    #[test]
    fn a_port_with_chains_of_its_own_does_not_fall_back_to_those_of_any_port() {
        check(80, Over::PlainText, Speaks::Http, " no_filter_chain");
        check(80, Over::PlainText, Speaks::Bytes, " no_filter_chain");
        check(81, Over::PlainText, Speaks::Http, "any-http no_route_configuration");
        check(81, Over::PlainText, Speaks::Bytes, "any connection");
    }

    #[test]
    fn tls_is_ended_for_who_has_a_certificate_and_passed_on_where_nobody_ends_it() {
        check(80, Over::MutualTls, Speaks::Http, "mutual-http no_route_configuration");
        check(80, Over::MutualTls, Speaks::Bytes, "mutual connection");
        check(80, Over::Tls, Speaks::Http, "mutual handshake_fails");
        check(81, Over::Tls, Speaks::Http, "any-tls connection");
    }

    #[test]
    fn where_no_inspector_looks_tls_is_taken_for_plain_text() {
        check(90, Over::PlainText, Speaks::Http, "plain no_route_configuration");
        check(90, Over::MutualTls, Speaks::Http, "plain not_requests");
        check(90, Over::PlainText, Speaks::Bytes, "plain not_requests");
    }
}
