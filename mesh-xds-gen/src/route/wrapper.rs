//! What virtual hosts are made of: a port, hosts, services, and the routes that they share.
//!
//! # Upstream
//!
//! istio/istio `pilot/pkg/networking/core/route/route.go` `BuildSidecarVirtualHostWrapper`.
use std::collections::BTreeMap;
use std::sync::Arc;

use mesh_envoy_proto::envoy::config::route::v3::route::Action;
use mesh_envoy_proto::envoy::config::route::v3::route_action::ClusterSpecifier;
use mesh_envoy_proto::envoy::config::route::v3::{Decorator, Route, RouteAction};
use mesh_model::compat::DataPlane;
use mesh_model::name::most_specific;
use mesh_model::name::{Hostname, Namespace, Protocol};
use mesh_model::registry::{Resolution, Service, ServicePort};
use mesh_model::resource::VirtualService;
use mesh_model::resource::destination_rule::ConsistentHashLb;
use mesh_model::resource::virtual_service::Semantics;
use rustc_hash::FxHashSet;

use super::retry::PreviousHosts;
use super::translate::Translation;
use super::{action, hash_policy, matching, retry};
use crate::name::{ClusterName, host_port};

/// Hosts and services with the same routes at one port.
#[derive(Clone, Debug)]
pub(super) struct Wrapper {
    /// The port of the services.
    pub(super) port: u32,
    /// Hosts that no service has.
    pub(super) hosts: Vec<String>,
    /// The services.
    pub(super) services: Vec<Arc<Service>>,
    /// What happens to requests.
    pub(super) routes: Routes,
}

/// The routes of a virtual host.
#[derive(Clone, Debug)]
pub(super) enum Routes {
    /// Those of a VirtualService, which several virtual hosts may have.
    OfRule(Arc<Vec<Route>>),
    /// The one of a service's port that no VirtualService has.
    Default {
        /// The service.
        service: Arc<Service>,
        /// Its port.
        port: u16,
    },
}

/// Which VirtualService has the most specific host for each service.
pub(super) type Owners<'r> = BTreeMap<&'r Hostname, &'r VirtualService>;

/// Finds the VirtualService with the most specific host for each service; of equal hosts the first.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/model/sidecar.go` `computeWildcardHostVirtualServiceIndex`.
pub(super) fn owners<'r>(
    rules: &'r [Arc<VirtualService>],
    services: &'r [Arc<Service>],
) -> Owners<'r> {
    let mut by_host: BTreeMap<Hostname, &VirtualService> = BTreeMap::new();
    for rule in rules {
        for host in &rule.spec.hosts {
            by_host.entry(Hostname::from(&**host)).or_insert(rule);
        }
    }
    let wildcards: Vec<&Hostname> = by_host.keys().filter(|host| host.is_wildcard()).collect();
    let owner = |service: &'r Arc<Service>| {
        let host = &service.hostname;
        let best = match by_host.get_key_value(host) {
            Some((found, _)) => found,
            None => most_specific(host, wildcards.iter().copied())?,
        };
        Some((host, *by_host.get(best)?))
    };
    services.iter().filter_map(owner).collect()
}

/// The wrappers of VirtualServices in their order, then those of services that none of them claims.
pub(super) fn wrappers(
    translation: &Translation<'_>,
    rules: &[&Arc<VirtualService>],
    owners: &Owners<'_>,
) -> Vec<Wrapper> {
    let mut found: Vec<Wrapper> =
        rules.iter().flat_map(|rule| of_rule(translation, rule, owners)).collect();
    let claimed: FxHashSet<&Hostname> = found
        .iter()
        .flat_map(|wrapper| &wrapper.services)
        .map(|service| &service.hostname)
        .collect();
    let services = translation.services.values();
    let plain: Vec<Wrapper> = services
        .filter(|service| {
            !claimed.contains(&service.hostname) && service.resolution != Resolution::Alias
        })
        .flat_map(of_service)
        .collect();
    found.extend(plain);
    found
}

/// Whether requests to a port are looked at: HTTP, or what may turn out to be.
fn is_http_or_detected(port: &ServicePort) -> bool {
    port.protocol.is_http() || port.protocol == Protocol::Unsupported
}

/// A wrapper for every port of the services that a VirtualService is for, port 80 first.
fn of_rule(
    translation: &Translation<'_>,
    rule: &Arc<VirtualService>,
    owners: &Owners<'_>,
) -> Vec<Wrapper> {
    let routes = translation.routes(rule);
    if routes.is_empty() {
        return Vec::new();
    }
    let routes = Routes::OfRule(Arc::new(routes));
    let semantics = rule.semantics();
    let (hosts, mut services) = separate(translation, rule, owners);
    if semantics == Semantics::Gateway {
        let own = |namespace: &Namespace| *namespace == rule.meta.namespace;
        services.retain(|service| own(&service.namespace) || own(&translation.proxy.namespace));
        if services.is_empty() {
            return Vec::new();
        }
    }
    let mut by_port: BTreeMap<(bool, u32), Vec<Arc<Service>>> = BTreeMap::new();
    for service in &services {
        for port in service.ports.iter().filter(|port| is_http_or_detected(port)) {
            let number = u32::from(port.number);
            by_port.entry((number != 80, number)).or_default().push(service.clone());
        }
    }
    if by_port.is_empty() && translation.listener_port == 80 {
        by_port.insert((false, 80), Vec::new());
    }
    let ports = by_port.into_iter().map(|((_, port), services)| (port, services));
    let each = std::iter::repeat_n((hosts, routes), ports.len());
    let wrapper = |((port, services), (hosts, routes))| Wrapper { port, hosts, services, routes };
    ports.zip(each).map(wrapper).collect()
}

/// The hosts of a VirtualService: those that no service has, and the services.
///
/// # Upstream
///
/// istio/istio `route.go` `separateVSHostsAndServices`.
fn separate(
    translation: &Translation<'_>,
    rule: &VirtualService,
    owners: &Owners<'_>,
) -> (Vec<String>, Vec<Arc<Service>>) {
    let (mut hosts, mut services) = (Vec::new(), Vec::new());
    let lower = rule.spec.hosts.iter().map(|host| Hostname::from(&*host.to_lowercase()));
    let (wildcards, exact): (Vec<_>, Vec<_>) = lower.partition(Hostname::is_wildcard);
    for host in exact {
        match translation.services.get(&host) {
            Some(service) => services.push(service.clone()),
            None => hosts.push(host.as_str().to_owned()),
        }
    }
    for host in wildcards {
        let mut is_plain = true;
        if rule.semantics() != Semantics::Gateway {
            for (name, service) in translation.services {
                if !name.matches(host.as_str()) {
                    continue;
                }
                is_plain = false;
                if owners.get(name).is_some_and(|owner| is_same(owner, rule)) {
                    services.push(service.clone());
                }
            }
        }
        if is_plain {
            hosts.push(host.as_str().to_owned());
        }
    }
    (hosts, services)
}

fn is_same(a: &VirtualService, b: &VirtualService) -> bool {
    a.meta.name == b.meta.name && a.meta.namespace == b.meta.namespace
}

/// A wrapper with the default route for every port of a service.
fn of_service(service: &Arc<Service>) -> impl Iterator<Item = Wrapper> {
    service.ports.iter().filter(|port| is_http_or_detected(port)).map(|port| Wrapper {
        port: u32::from(port.number),
        hosts: Vec::new(),
        services: vec![service.clone()],
        routes: Routes::Default { service: service.clone(), port: port.number },
    })
}

/// The key by which the default route of a service knows requests again.
pub(super) fn default_hash<'t>(
    translation: &Translation<'t>,
    service: &Service,
    port: u16,
) -> Option<&'t ConsistentHashLb> {
    hash_policy::of_service(translation.view?, service, port)
}

/// The route of a service that no VirtualService has.
pub(super) fn default_route_of(
    translation: &Translation<'_>,
    service: &Service,
    port: u16,
) -> Route {
    let hash = default_hash(translation, service, port);
    default_route(translation, service.hostname.as_str(), port, hash)
}

/// The route to a host and port that no VirtualService has.
///
/// # Upstream
///
/// istio/istio `route.go` `BuildDefaultHTTPOutboundRoute`.
pub(super) fn default_route(
    translation: &Translation<'_>,
    host: &str,
    port: u16,
    hash: Option<&ConsistentHashLb>,
) -> Route {
    let cluster = ClusterName::outbound(port, "", host).to_string();
    let mut forward = RouteAction {
        cluster_specifier: Some(ClusterSpecifier::Cluster(cluster)),
        retry_policy: retry::policy(translation.default_retry, PreviousHosts::Avoided),
        hash_policy: hash.and_then(hash_policy::policy).into_iter().collect(),
        ..Default::default()
    };
    // Upstream does not look at the proxy here: gRPC clients get the same.
    action::set_timeout(&mut forward, None, DataPlane::IstioProxy);
    let mut operation = host_port(host, u32::from(port));
    operation.push_str("/*");
    Route {
        name: "default".to_owned(),
        r#match: Some(matching::everything()),
        decorator: Some(Decorator { operation, ..Default::default() }),
        action: Some(Action::Route(forward)),
        ..Default::default()
    }
}
