//! Whether a request came by TLS: what the connection says, or a proxy before that is trusted.
//!
//! ```text
//! x-forwarded-proto ── believed? ──▶ as forwarded ──▶ `require_tls`, which port a redirect keeps
//!                                        └── http or https, else the connection's ──▶ `:scheme`
//! ```
//!
//! # Upstream
//!
//! envoyproxy/envoy `source/common/http/conn_manager_utility.cc`
//! `ConnectionManagerUtility::mutateRequestHeaders`, `getScheme`; `source/common/router/config_impl.cc`
//! `VirtualHostImpl::getRouteFromEntries`.
use mesh_envoy_proto::envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager;

use super::Request;

/// The header by which a proxy says how a request came to it.
pub(super) const FORWARDED_PROTO: &str = "x-forwarded-proto";

/// How a request came to the first proxy.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Came {
    /// The scheme that routes see: `http` or `https`.
    pub(super) scheme: &'static str,
    /// The header `x-forwarded-proto` that routes see: of a trusted proxy whatever it wrote, with
    /// several lines joined.
    pub(super) forwarded: String,
}

impl Came {
    /// What a connection manager makes of a request. One that takes the connection's address as the
    /// client's believes the header only behind trusted proxies; any other always does.
    pub(super) fn new(manager: &HttpConnectionManager, request: &Request, is_tls: bool) -> Self {
        let own = if is_tls { "https" } else { "http" };
        let is_edge = manager.use_remote_address.unwrap_or(false);
        let is_believed = !is_edge || manager.xff_num_trusted_hops > 0;
        let given: Vec<&str> = request
            .headers
            .iter()
            .filter(|(name, _)| is_believed && name.eq_ignore_ascii_case(FORWARDED_PROTO))
            .map(|(_, value)| value.trim_matches([' ', '\t']))
            .collect();
        let forwarded = if given.is_empty() { own.to_owned() } else { given.join(",") };
        let valid = |scheme: &&str| forwarded.eq_ignore_ascii_case(scheme);
        let scheme = ["http", "https"].into_iter().find(valid).unwrap_or(own);
        Self { scheme, forwarded }
    }

    /// Whether it is a request that must come by TLS and did not: only `https` itself is one that did.
    pub(super) fn is_plain(&self) -> bool {
        self.forwarded != "https"
    }
}

#[cfg(test)]
mod tests {
    use mesh_envoy_proto::envoy::config::core::v3::TransportSocket;
    use mesh_envoy_proto::envoy::config::core::v3::{
        Address, SocketAddress, address, socket_address,
    };
    use mesh_envoy_proto::envoy::config::listener::v3::{Filter, FilterChain, Listener, filter};
    use mesh_envoy_proto::envoy::config::route::v3::header_matcher::HeaderMatchSpecifier;
    use mesh_envoy_proto::envoy::config::route::v3::redirect_action::{
        PathRewriteSpecifier, SchemeRewriteSpecifier,
    };
    use mesh_envoy_proto::envoy::config::route::v3::route::Action;
    use mesh_envoy_proto::envoy::config::route::v3::route_match::PathSpecifier;
    use mesh_envoy_proto::envoy::config::route::v3::{
        DirectResponseAction, HeaderMatcher, RedirectAction, Route, RouteConfiguration, RouteMatch,
        VirtualHost,
    };
    use mesh_envoy_proto::envoy::extensions::filters::network::http_connection_manager::v3::http_connection_manager::RouteSpecifier;
    use mesh_envoy_proto::prost_types::Any;
    use mesh_model::compat::EnvoyFeatures;

    use super::super::{Configuration, Outcome, resolve};
    use super::*;

    fn route(prefix: &str, headers: Vec<HeaderMatcher>, action: Action) -> Route {
        let path_specifier = Some(PathSpecifier::Prefix(prefix.to_owned()));
        let condition = RouteMatch { path_specifier, headers, ..RouteMatch::default() };
        Route { r#match: Some(condition), action: Some(action), ..Route::default() }
    }

    /// `/rd` keeps the scheme, `/rs` asks for https, all else is answered 201 for https and 202.
    fn routes(require_tls: i32) -> RouteConfiguration {
        let keep = RedirectAction {
            path_rewrite_specifier: Some(PathRewriteSpecifier::PathRedirect("/n".to_owned())),
            ..RedirectAction::default()
        };
        let https = RedirectAction {
            scheme_rewrite_specifier: Some(SchemeRewriteSpecifier::HttpsRedirect(true)),
            ..RedirectAction::default()
        };
        let answer = |status| {
            Action::DirectResponse(DirectResponseAction {
                status,
                ..DirectResponseAction::default()
            })
        };
        let is_https = HeaderMatcher {
            name: ":scheme".to_owned(),
            header_match_specifier: Some(HeaderMatchSpecifier::ExactMatch("https".to_owned())),
            ..HeaderMatcher::default()
        };
        let routes = vec![
            route("/rd", Vec::new(), Action::Redirect(keep)),
            route("/rs", Vec::new(), Action::Redirect(https)),
            route("/", vec![is_https], answer(201)),
            route("/", Vec::new(), answer(202)),
        ];
        let domains = vec!["*".to_owned()];
        let host = VirtualHost { domains, routes, require_tls, ..VirtualHost::default() };
        RouteConfiguration { virtual_hosts: vec![host], ..RouteConfiguration::default() }
    }

    fn listener(edge: bool, hops: u32, is_tls: bool, require_tls: i32) -> Listener {
        let manager = HttpConnectionManager {
            use_remote_address: Some(edge),
            xff_num_trusted_hops: hops,
            route_specifier: Some(RouteSpecifier::RouteConfig(routes(require_tls))),
            ..HttpConnectionManager::default()
        };
        let config = Some(filter::ConfigType::TypedConfig(Any::from_msg(&manager).unwrap()));
        let chain = FilterChain {
            filters: vec![Filter { config_type: config, ..Filter::default() }],
            transport_socket: is_tls.then(TransportSocket::default),
            ..FilterChain::default()
        };
        let socket = SocketAddress {
            address: "0.0.0.0".to_owned(),
            port_specifier: Some(socket_address::PortSpecifier::PortValue(80)),
            ..SocketAddress::default()
        };
        let address = Some(Address { address: Some(address::Address::SocketAddress(socket)) });
        Listener { address, filter_chains: vec![chain], ..Listener::default() }
    }

    /// The answer's status, or where the client is sent.
    fn asked(listener: Listener, path: &str, forwarded: &[&str]) -> String {
        let listeners = [listener];
        let configuration = Configuration {
            listeners: &listeners,
            routes: &[],
            clusters: &[],
            envoy: EnvoyFeatures::default(),
        };
        let name = || "X-Forwarded-Proto".to_owned();
        let request = Request {
            port: 80,
            host: "svc.test:80".to_owned(),
            path: path.to_owned(),
            headers: forwarded.iter().map(|value| (name(), (*value).to_owned())).collect(),
            ..Request::default()
        };
        match resolve(&configuration, &request).outcome {
            Outcome::Answered { status, .. } => status.to_string(),
            Outcome::Redirected(redirected) => redirected.location,
            Outcome::Forwarded(_) | Outcome::Closed => String::new(),
        }
    }

    /// The header; what `/`, `/rd`, `/rs` become, by a plain connection and by TLS; whether a virtual
    /// host that requires TLS sends the client there.
    type Row<'r> = (&'r [&'r str], [&'r str; 3], [&'r str; 3], [bool; 2]);

    /// As a real Envoy 1.40 does.
    #[test]
    fn a_trusted_proxy_says_how_a_request_came() {
        let (keeps, loses) = ("https://svc.test:80/rs", "https://svc.test/rs");
        let (http, https) = ("http://svc.test:80/n", "https://svc.test:80/n");
        let rows: [Row<'_>; 10] = [
            (&[], ["202", http, loses], ["201", https, keeps], [true, false]),
            (&["http"], ["202", http, loses], ["202", http, loses], [true, true]),
            (&["https"], ["201", https, keeps], ["201", https, keeps], [false, false]),
            (&[" https"], ["201", https, keeps], ["201", https, keeps], [false, false]),
            (&["HTTPS"], ["201", https, keeps], ["201", https, keeps], [true, true]),
            (
                &["Http"],
                ["202", "http://svc.test/n", loses],
                ["202", "http://svc.test/n", loses],
                [true, true],
            ),
            (&["ftp"], ["202", http, keeps], ["201", https, keeps], [true, true]),
            (&["https,http"], ["202", http, keeps], ["201", https, keeps], [true, true]),
            (&["https", "http"], ["202", http, keeps], ["201", https, keeps], [true, true]),
            (&[""], ["404", "404", "404"], ["404", "404", "404"], [false, false]),
        ];
        for (forwarded, plain, tls, sent_to_tls) in rows {
            for (edge, hops) in [(false, 0), (false, 1), (true, 1)] {
                let each = [(false, plain, sent_to_tls[0]), (true, tls, sent_to_tls[1])];
                for (is_tls, expected, is_sent) in each {
                    let of = |path| asked(listener(edge, hops, is_tls, 0), path, forwarded);
                    assert_eq!(["/", "/rd", "/rs"].map(of), expected, "{forwarded:?} {is_tls}");
                    let required = asked(listener(edge, hops, is_tls, 2), "/", forwarded);
                    assert_eq!(
                        required == "https://svc.test:80/",
                        is_sent,
                        "{forwarded:?} {is_tls}"
                    );
                }
            }
            for (is_tls, expected) in [(false, ["202", http, loses]), (true, ["201", https, keeps])]
            {
                let of = |path| asked(listener(true, 0, is_tls, 0), path, forwarded);
                assert_eq!(
                    ["/", "/rd", "/rs"].map(of),
                    expected,
                    "an edge: {forwarded:?} {is_tls}"
                );
            }
        }
    }
}
