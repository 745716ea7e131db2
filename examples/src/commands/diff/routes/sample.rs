//! A request for each route: one that meets its conditions as far as a request can be made of them.
use std::collections::BTreeSet;

use mesh_envoy_proto::envoy::config::route::v3::header_matcher::HeaderMatchSpecifier;
use mesh_envoy_proto::envoy::config::route::v3::query_parameter_matcher::QueryParameterMatchSpecifier;
use mesh_envoy_proto::envoy::config::route::v3::route::Action;
use mesh_envoy_proto::envoy::config::route::v3::route_action::ClusterSpecifier;
use mesh_envoy_proto::envoy::config::route::v3::route_match::PathSpecifier;
use mesh_envoy_proto::envoy::config::route::v3::{Route, RouteMatch, VirtualHost};
use mesh_envoy_proto::envoy::r#type::matcher::v3::StringMatcher;
use mesh_envoy_proto::envoy::r#type::matcher::v3::string_matcher::MatchPattern;
use mesh_xds_gen::resolve::Request;

use super::{Held, differing, expression};

/// A host that no virtual host names, for those that take any.
const STRANGER: &str = "elsewhere.invalid";

/// The simplest request, to nobody.
pub(super) fn plain() -> Request {
    Request { method: "GET".to_owned(), path: "/".to_owned(), ..Request::default() }
}

/// Requests to the virtual hosts that differ, or that send to a cluster that came or went (`names`).
pub(super) fn of_routes(held: &[Held; 2], names: &BTreeSet<&str>) -> Vec<Request> {
    let [old, new] = held;
    let sends = |host: &VirtualHost| {
        let mut clusters = host.routes.iter().flat_map(clusters);
        clusters.any(|cluster| names.contains(cluster))
    };
    let mut requests = Vec::new();
    for (routes, others) in [(&old.routes, &new.routes), (&new.routes, &old.routes)] {
        for (config, host) in differing(routes, others, sends) {
            let Some(port) = port_of(&config.name) else { continue };
            let name = host.domains.first().map_or("*", |domain| bare(domain));
            let name = if name == "*" { STRANGER.to_owned() } else { name.replace('*', "any") };
            let sni = if config.name.starts_with("https.") { name.clone() } else { String::new() };
            let base = Request { port, host: name, sni, ..plain() };
            let of_routes = host.routes.iter().filter_map(|route| route.r#match.as_ref());
            requests.extend(of_routes.map(|condition| meeting(&base, condition)));
            requests.push(base);
        }
    }
    requests
}

/// The clusters that a route sends to.
fn clusters(route: &Route) -> Vec<&str> {
    let Some(Action::Route(action)) = &route.action else { return Vec::new() };
    match &action.cluster_specifier {
        Some(ClusterSpecifier::Cluster(name)) => vec![name],
        Some(ClusterSpecifier::WeightedClusters(all)) => {
            all.clusters.iter().map(|cluster| &*cluster.name).collect()
        }
        _ => Vec::new(),
    }
}

/// The port that a route configuration is for: `80`, `host:80`, `http.80`, `https.443.NAME.GATEWAY.NAMESPACE`.
fn port_of(name: &str) -> Option<u16> {
    let of_gateway = name.strip_prefix("http.").or_else(|| name.strip_prefix("https."));
    match of_gateway {
        Some(rest) => rest.split('.').next()?.parse().ok(),
        None => name.rsplit(':').next()?.parse().ok(),
    }
}

fn bare(domain: &str) -> &str {
    match domain.rsplit_once(':') {
        Some((name, port)) if port.parse::<u16>().is_ok() || port == "*" => name,
        _ => domain,
    }
}

/// A request that meets a condition. What a condition turns around (`withoutHeaders`) is left out of the
/// request, which mostly meets it so; if not, it takes another route, on both sides alike.
fn meeting(base: &Request, condition: &RouteMatch) -> Request {
    let mut request = base.clone();
    match &condition.path_specifier {
        Some(PathSpecifier::Prefix(path) | PathSpecifier::Path(path))
        | Some(PathSpecifier::PathSeparatedPrefix(path)) => request.path.clone_from(path),
        Some(PathSpecifier::SafeRegex(matcher)) => {
            if let Some(path) = expression::example(&matcher.regex) {
                request.path = path;
            }
        }
        _ => {}
    }
    for matcher in condition.headers.iter().filter(|matcher| !matcher.invert_match) {
        let value = match &matcher.header_match_specifier {
            Some(HeaderMatchSpecifier::StringMatch(text)) => example(text),
            Some(HeaderMatchSpecifier::PresentMatch(true)) | None => Some("any".to_owned()),
            _ => None,
        };
        match (&*matcher.name, value) {
            (_, None) => {}
            (":method", Some(value)) => request.method = value,
            (":authority", Some(value)) => request.host = value,
            (name, Some(value)) if !name.starts_with(':') => {
                request.headers.push((name.to_owned(), value));
            }
            _ => {}
        }
    }
    let parameters = condition.query_parameters.iter().filter_map(|matcher| {
        let value = match &matcher.query_parameter_match_specifier {
            Some(QueryParameterMatchSpecifier::StringMatch(text)) => example(text)?,
            _ => "any".to_owned(),
        };
        Some(format!("{}={value}", matcher.name))
    });
    let parameters: Vec<String> = parameters.collect();
    if !parameters.is_empty() {
        request.path = format!("{}?{}", request.path, parameters.join("&"));
    }
    request
}

/// A text that a pattern takes.
fn example(matcher: &StringMatcher) -> Option<String> {
    match &matcher.match_pattern {
        Some(
            MatchPattern::Exact(text)
            | MatchPattern::Prefix(text)
            | MatchPattern::Suffix(text)
            | MatchPattern::Contains(text),
        ) => Some(text.clone()),
        Some(MatchPattern::SafeRegex(matcher)) => expression::example(&matcher.regex),
        _ => None,
    }
}
