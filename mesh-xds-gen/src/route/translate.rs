//! The routes of a VirtualService.
//!
//! ```text
//! http route × match ──does it concern the listener and the proxy?──▶ one Envoy route each
//! ```
//!
//! # Upstream
//!
//! istio/istio `pilot/pkg/networking/core/route/route.go` `BuildHTTPRoutesForVirtualService`,
//! `TranslateRoute`.
use std::collections::BTreeMap;
use std::sync::Arc;

use mesh_envoy_proto::envoy::config::core::v3::Metadata;
use mesh_envoy_proto::envoy::config::route::v3::route::Action;
use mesh_envoy_proto::envoy::config::route::v3::route_action::ClusterSpecifier;
use mesh_envoy_proto::envoy::config::route::v3::route_match::PathSpecifier;
use mesh_envoy_proto::envoy::config::route::v3::{Decorator, Route};
use mesh_envoy_proto::pack;
use mesh_envoy_proto::prost_types::{Any, Struct, Value, value::Kind};
use mesh_model::name::Hostname;
use mesh_model::registry::Service;
use mesh_model::resource::destination_rule::ConsistentHashLb;
use mesh_model::resource::virtual_service::{Destination, HttpMatchRequest, HttpRoute, Retry};
use mesh_model::resource::{Meta, VirtualService};
use mesh_model::view::{Proxy, ProxyView};

use super::headers::Changes;
use super::outbound::ProxyHeaders;
use super::{action, cors, destination, fault, hash_policy, matching, redirect, session};
use crate::name::SubsetKey;

/// Where and for whom a VirtualService is translated.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "the inputs of one function")]
pub struct Translation<'t> {
    /// The proxy.
    pub proxy: &'t Proxy,
    /// The port of the listener; 0 where it has none.
    pub listener_port: u32,
    /// The gateways that the listener is of (`mesh` for sidecars).
    pub gateways: &'t [&'t str],
    /// Whether the listener terminates TLS.
    pub is_tls: bool,
    /// The services that destinations are looked up in.
    pub services: &'t BTreeMap<Hostname, Arc<Service>>,
    /// The retries of routes that do not say it.
    pub default_retry: Option<&'t Retry>,
    /// The headers that the proxy adds.
    pub headers: ProxyHeaders,
    /// What knows the rules of destinations; without it there is no hash policy.
    pub view: Option<&'t ProxyView<'t>>,
}

impl<'t> Translation<'t> {
    /// Returns the routes of a VirtualService in their order; none if no match concerns the listener
    /// and the proxy.
    ///
    /// What follows a route for every request is left out, as is what Envoy refuses together with
    /// everything else when upstream sends it: a redirect with a status that Envoy does not know,
    /// and destinations that all have weight 0.
    pub fn routes(&self, rule: &VirtualService) -> Vec<Route> {
        let mut routes = Vec::new();
        for http in &rule.spec.http {
            if self.add_routes(rule, http, &mut routes) {
                break;
            }
        }
        routes.retain(|route| route.action.is_some());
        routes
    }

    /// Adds the routes of one entry; says whether nothing can follow.
    fn add_routes(&self, rule: &VirtualService, http: &HttpRoute, routes: &mut Vec<Route>) -> bool {
        if http.matches.is_empty() {
            routes.push(self.route(rule, http, None));
            return true;
        }
        for condition in http.matches.iter().filter(|condition| self.concerns(condition)) {
            let route = self.route(rule, http, Some(condition));
            let last = is_catch_all(&route);
            routes.push(route);
            if last {
                return true;
            }
        }
        false
    }

    /// Whether a condition can hold for requests of this proxy at this listener.
    fn concerns(&self, condition: &HttpMatchRequest) -> bool {
        if condition.port != 0 && condition.port != self.listener_port {
            return false;
        }
        if !condition.gateways.is_empty() {
            return condition.gateways.iter().any(|name| self.gateways.contains(&&**name));
        }
        let namespace = &condition.source_namespace;
        self.proxy.labels.contains(&condition.source_labels)
            && (namespace.is_empty() || **namespace == *self.proxy.namespace.as_str())
    }

    fn route(
        &self,
        rule: &VirtualService,
        http: &HttpRoute,
        condition: Option<&HttpMatchRequest>,
    ) -> Route {
        let mut changes = Changes::of(http.headers.as_ref());
        let semantics = rule.semantics();
        let r#match = matching::route_match(condition, semantics);
        let action = if let Some(to) = &http.redirect {
            redirect::redirect(to, self.listener_port, self.is_tls)
        } else if let Some(response) = &http.direct_response {
            Some(redirect::direct_response(response))
        } else if is_nowhere(http) {
            None
        } else {
            let action = action::forward(self, http, semantics, &r#match, &mut changes);
            Some(Action::Route(action))
        };
        let mut route = Route {
            name: route_name(http, condition),
            r#match: Some(r#match),
            metadata: Some(metadata(&rule.meta)),
            request_headers_to_add: changes.request_add,
            request_headers_to_remove: changes.request_remove,
            response_headers_to_add: changes.response_add,
            response_headers_to_remove: changes.response_remove,
            stat_prefix: condition.map(|c| c.stat_prefix.to_string()).unwrap_or_default(),
            action,
            ..Default::default()
        };
        let operation = operation(&route, &rule.meta.name, self.listener_port);
        route.decorator = Some(Decorator { operation, ..Default::default() });
        let filters = &mut route.typed_per_filter_config;
        if let Some(injection) = &http.fault {
            filters.insert(fault::FILTER.to_owned(), pack(&fault::fault(injection)));
        }
        if let Some(policy) = &http.cors_policy {
            filters.insert(cors::FILTER.to_owned(), pack(&cors::policy(policy)));
        }
        if let Some(sessions) = self.sessions(http) {
            filters.insert(session::FILTER.to_owned(), sessions);
        }
        route
    }

    /// The cluster of a destination.
    pub(super) fn cluster(&self, destination: &Destination) -> String {
        let service = self.services.get(&*destination.host).map(Arc::as_ref);
        destination::cluster_name(destination, service, self.listener_port)
    }

    /// How sessions are kept on a route that is forwarded.
    fn sessions(&self, http: &HttpRoute) -> Option<Any> {
        let flags = &self.view?.mesh().compat().flags;
        if http.redirect.is_some() || http.direct_response.is_some() {
            return None;
        }
        // Of several destinations those that get nothing do not count.
        let is_only = http.route.len() == 1;
        let counted = http.route.iter().filter(|to| is_only || to.weight != 0);
        let services = counted.map(|to| {
            let host = &*to.destination.as_ref()?.host;
            self.services.get(host).map(Arc::as_ref)
        });
        session::of_destinations(services, flags)
    }

    /// The consistent hash of a destination.
    pub(super) fn hash(&self, destination: Option<&Destination>) -> Option<&'t ConsistentHashLb> {
        hash_policy::of_destination(self.view?, destination?)
    }
}

/// Whether none of several destinations has a weight.
fn is_nowhere(http: &HttpRoute) -> bool {
    http.route.len() > 1 && http.route.iter().all(|to| to.weight <= 0)
}

/// The names of route and match, joined with a dot; the match's alone begins with it.
fn route_name(http: &HttpRoute, condition: Option<&HttpMatchRequest>) -> String {
    match condition.map(|condition| &*condition.name) {
        None | Some("") => http.name.to_string(),
        Some(name) => format!("{}.{name}", http.name),
    }
}

/// Where the API has its objects.
const VERSION: &str = "/apis/networking.istio.io/v1/namespaces/";

/// The object that a route is from.
fn metadata(meta: &Meta) -> Metadata {
    let (namespace, name) = (meta.namespace.as_str(), &*meta.name);
    let config = [VERSION, namespace, "/virtual-service/", name].concat();
    let config = Value { kind: Some(Kind::StringValue(config)) };
    let fields = Struct { fields: BTreeMap::from([("config".to_owned(), config)]) };
    Metadata {
        filter_metadata: BTreeMap::from([("istio".to_owned(), fields)]),
        ..Default::default()
    }
}

/// What traces call a route: host and port of the only cluster, else the rule's name, and the path.
///
/// # Upstream
///
/// istio/istio `route.go` `GetRouteOperation`.
fn operation(route: &Route, rule: &str, listener_port: u32) -> String {
    let path = match route.r#match.as_ref().and_then(|m| m.path_specifier.as_ref()) {
        Some(PathSpecifier::Prefix(prefix)) => [prefix, "*"].concat(),
        Some(PathSpecifier::Path(path)) => path.clone(),
        Some(PathSpecifier::SafeRegex(regex)) => regex.regex.clone(),
        Some(
            PathSpecifier::ConnectMatcher(_)
            | PathSpecifier::PathSeparatedPrefix(_)
            | PathSpecifier::PathMatchPolicy(_),
        )
        | None => "/*".to_owned(),
    };
    let cluster = single_cluster(route);
    if cluster.matches('|').count() == 3 {
        let key = SubsetKey::parse(cluster);
        return [key.host, ":", &key.port.to_string(), &path].concat();
    }
    [rule, ":", &listener_port.to_string(), &path].concat()
}

/// The only cluster of a route, empty if it has none or several.
fn single_cluster(route: &Route) -> &str {
    if let Some(Action::Route(action)) = &route.action
        && let Some(ClusterSpecifier::Cluster(cluster)) = &action.cluster_specifier
    {
        return cluster;
    }
    ""
}

/// Whether a route takes every request: prefix `/` or regex `.*`, and no other condition.
///
/// # Upstream
///
/// istio/istio `route.go` `IsCatchAllRoute`.
pub fn is_catch_all(route: &Route) -> bool {
    let Some(condition) = &route.r#match else { return false };
    let takes_all = match &condition.path_specifier {
        Some(PathSpecifier::Prefix(prefix) | PathSpecifier::PathSeparatedPrefix(prefix)) => {
            prefix == "/"
        }
        Some(PathSpecifier::SafeRegex(regex)) => regex.regex == ".*",
        Some(
            PathSpecifier::Path(_)
            | PathSpecifier::ConnectMatcher(_)
            | PathSpecifier::PathMatchPolicy(_),
        )
        | None => false,
    };
    takes_all
        && condition.headers.is_empty()
        && condition.query_parameters.is_empty()
        && condition.dynamic_metadata.is_empty()
}

/// Moves the routes that take every request behind the others, as gateways do that serve one host by
/// several VirtualServices.
///
/// # Upstream
///
/// istio/istio `route.go` `SortVHostRoutes`.
pub fn catch_all_last(routes: &mut [Route]) {
    routes.sort_by_key(is_catch_all);
}
