//! The route configuration of a sidecar's outbound listener.
//!
//! # Upstream
//!
//! istio/istio `pilot/pkg/networking/core/httproute.go` `buildSidecarOutboundHTTPRouteConfig`,
//! `BuildSidecarOutboundVirtualHosts`.
use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use mesh_envoy_proto::envoy::config::route::v3::{RouteConfiguration, VirtualHost};
use mesh_model::name::{Hostname, Protocol};
use mesh_model::registry::{AutoAllocated, MESH, Service};
use mesh_model::resource::virtual_service::Retry;
use mesh_model::resource::{MeshConfig, VirtualService};
use mesh_model::view::network::address;
use mesh_model::view::{Egress, Proxy, ProxyView};
use prost::Message;

use super::catch_all::{self, OutboundPolicy};
use super::domains::DomainList;
use super::translate::Translation;
use super::virtual_host::Draft;
use super::{encode, virtual_host, wrapper};

/// The route configuration of a proxy's explicit HTTP proxy port.
const HTTP_PROXY: &str = "http_proxy";
const UNIX: &str = "unix://";
const MAX_DIRECT_RESPONSE_BODY: u32 = 1_048_576;

/// What the routes of one egress listener depend on.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "the inputs of one function")]
pub struct Outbound<'o> {
    /// The proxy.
    pub proxy: &'o Proxy,
    /// The services that the listener imports, in the order in which they count.
    pub services: &'o [Arc<Service>],
    /// The VirtualServices that it imports, in the order in which they count.
    pub virtual_services: &'o [Arc<VirtualService>],
    /// Whether the listener is an HTTP proxy: clients name any host and port.
    pub is_http_proxy: bool,
    /// What happens to other hosts.
    pub policy: OutboundPolicy,
    /// The retries of routes that do not say it.
    pub default_retry: Option<&'o Retry>,
    /// The headers that the proxy adds.
    pub headers: ProxyHeaders,
    /// Whether proxies of both families get the addresses of both.
    pub dual_stack: bool,
    /// What knows the rules of destinations; without it there is no hash policy.
    pub view: Option<&'o ProxyView<'o>>,
}

/// The headers that a proxy adds to requests, as far as routes say it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "one switch a header")]
pub struct ProxyHeaders {
    /// `x-envoy-attempt-count`.
    pub attempt_count: bool,
    /// `x-forwarded-host`, where the host changes.
    pub x_forwarded_host: bool,
}

impl Default for ProxyHeaders {
    fn default() -> Self {
        Self { attempt_count: true, x_forwarded_host: false }
    }
}

impl ProxyHeaders {
    /// What a proxy's settings say.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/networking/util/proxy_headers.go` `GetProxyHeaders`.
    pub fn of(proxy: &Proxy, config: &MeshConfig) -> Self {
        let settings = proxy.settings(config);
        let Some(headers) = &settings.proxy_headers else { return Self::default() };
        let no_count = headers.attempt_count.as_ref().and_then(|count| count.disabled);
        let host = headers.x_forwarded_host.as_ref().and_then(|host| host.enabled);
        Self { attempt_count: no_count != Some(true), x_forwarded_host: host == Some(true) }
    }
}

/// A name that a sidecar asks for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Wanted {
    port: u32,
    /// Whether only one host is meant: its protocol is detected.
    is_detected: bool,
}

impl Wanted {
    fn parse(name: &str) -> Option<Self> {
        if name.starts_with(UNIX) || name == HTTP_PROXY {
            return Some(Self { port: 0, is_detected: false });
        }
        let (is_detected, port) = match name.split_once(':') {
            Some((_, port)) => (true, port),
            None => (false, name),
        };
        Some(Self { port: port.parse().ok()?, is_detected })
    }
}

/// The route configuration that a view gives for a name.
pub(super) fn of_view(view: &ProxyView<'_>, name: &str) -> RouteConfiguration {
    let Some(wanted) = Wanted::parse(name) else { return configuration(name, None) };
    Outbound::of_view(view, wanted.port, name).configuration(name)
}

/// The same as bytes.
pub(super) fn encoded_of_view(view: &ProxyView<'_>, name: &str) -> Bytes {
    match Wanted::parse(name) {
        Some(wanted) => Outbound::of_view(view, wanted.port, name).encoded(wanted, name),
        None => configuration(name, None).encode_to_vec().into(),
    }
}

/// The virtual hosts of a port in the order in which they are built, as the egress listener has them
/// that the port or the name means; without the one for all other hosts.
///
/// # Upstream
///
/// istio/istio `httproute.go` `BuildSidecarOutboundVirtualHosts`.
pub(crate) fn virtual_hosts(view: &ProxyView<'_>, name: &str, port: u32) -> Vec<VirtualHost> {
    let outbound = Outbound::of_view(view, port, name);
    let services = outbound.services_at(outbound.port(port));
    let translation = outbound.translation(outbound.port(port), &services);
    let hosts = outbound.hosts(&translation).into_iter();
    hosts.map(|host| host.message(&translation)).collect()
}

fn is_http_proxy(egress: &Egress) -> bool {
    let port = egress.listener.as_ref().and_then(|listener| listener.port.as_ref());
    port.is_some_and(|port| Protocol::parse(&port.protocol) == Protocol::HttpProxy)
}

/// What every route configuration has; without virtual hosts for a name that nothing stands for.
pub(super) fn configuration(name: &str, hosts: Option<Vec<VirtualHost>>) -> RouteConfiguration {
    let is_known = hosts.is_some();
    RouteConfiguration {
        name: name.to_owned(),
        virtual_hosts: hosts.unwrap_or_default(),
        validate_clusters: Some(false),
        max_direct_response_body_size_bytes: is_known.then_some(MAX_DIRECT_RESPONSE_BODY),
        ignore_port_in_host_matching: is_known,
        ..Default::default()
    }
}

impl<'o> Outbound<'o> {
    fn of_view(view: &'o ProxyView<'_>, port: u32, name: &str) -> Self {
        let config = &view.plane().config;
        let egress = view.scope().egress_for_route(port, name);
        Outbound {
            proxy: view.proxy(),
            services: egress.map(|egress| &*egress.services).unwrap_or_default(),
            virtual_services: egress.map(|egress| &*egress.virtual_services).unwrap_or_default(),
            is_http_proxy: egress.is_some_and(is_http_proxy),
            policy: OutboundPolicy::in_force(view.scope(), config),
            default_retry: config.default_http_retry_policy.as_ref(),
            headers: ProxyHeaders::of(view.proxy(), config),
            dual_stack: view.mesh().compat().flags.istio_dual_stack,
            view: Some(view),
        }
    }

    /// Returns the route configuration of a name.
    pub fn configuration(&self, name: &str) -> RouteConfiguration {
        let Some(wanted) = Wanted::parse(name) else { return configuration(name, None) };
        let services = self.services_at(self.port(wanted.port));
        let translation = self.translation(self.port(wanted.port), &services);
        let hosts = self.sorted_hosts(&translation, wanted, name).into_iter();
        let hosts = hosts.map(|host| host.message(&translation)).chain(self.catch_all(wanted));
        configuration(name, Some(hosts.collect()))
    }

    /// The same as bytes.
    fn encoded(&self, wanted: Wanted, name: &str) -> Bytes {
        let services = self.services_at(self.port(wanted.port));
        let translation = self.translation(self.port(wanted.port), &services);
        let hosts = self.sorted_hosts(&translation, wanted, name);
        let frame = configuration(name, Some(Vec::new()));
        encode::configuration(&translation, &frame, &hosts, self.catch_all(wanted).as_ref())
    }

    /// The port that services are looked for at: all of them for clients that name any.
    fn port(&self, wanted: u32) -> u32 {
        if self.is_http_proxy { 0 } else { wanted }
    }

    fn translation<'t>(
        &'t self,
        port: u32,
        services: &'t BTreeMap<Hostname, Arc<Service>>,
    ) -> Translation<'t> {
        Translation {
            proxy: self.proxy,
            listener_port: port,
            gateways: &[MESH],
            is_tls: false,
            services,
            default_retry: self.default_retry,
            headers: self.headers,
            view: self.view,
        }
    }

    /// The virtual host for all other hosts.
    fn catch_all(&self, wanted: Wanted) -> Option<VirtualHost> {
        (!wanted.is_detected).then(|| catch_all::virtual_host(&self.policy, self.headers))
    }

    /// The virtual hosts that a name means, by name.
    fn sorted_hosts(
        &self,
        translation: &Translation<'_>,
        wanted: Wanted,
        name: &str,
    ) -> Vec<Draft> {
        let mut hosts = self.hosts(translation);
        if wanted.is_detected {
            hosts = only(hosts, name);
        }
        hosts.sort_by(|a, b| a.name.cmp(&b.name));
        hosts
    }

    fn hosts(&self, translation: &Translation<'_>) -> Vec<Draft> {
        let port = translation.listener_port;
        let rules: Vec<&Arc<VirtualService>> = self
            .virtual_services
            .iter()
            .filter(|rule| port == 80 || concerns(rule, translation.services))
            .collect();
        let owners = wrapper::owners(self.virtual_services, self.services);
        let wrappers = wrapper::wrappers(translation, &rules, &owners);
        let mut by_port = virtual_host::by_port(translation, wrappers, self.dual_stack);
        if port != 0 {
            return by_port.remove(&port).unwrap_or_default();
        }
        // Bare names mean port 80; at other ports only those with the port say where to.
        for (_, hosts) in by_port.iter_mut().filter(|(number, _)| **number != 80) {
            for host in hosts.iter_mut() {
                host.domains.retain(|domain| domain.contains(':'));
            }
            hosts.retain(|host| !host.domains.is_empty());
        }
        by_port.into_values().flatten().collect()
    }

    /// The services with a port, reduced to it; all of them for port 0. Of one host the last stays.
    fn services_at(&self, port: u32) -> BTreeMap<Hostname, Arc<Service>> {
        if port == 0 {
            let services = self.services.iter();
            return services.map(|service| (service.hostname.clone(), service.clone())).collect();
        }
        let Ok(number) = u16::try_from(port) else { return BTreeMap::new() };
        let reduced = self.services.iter().filter_map(|service| {
            let reduced = at_port(service, number, self.proxy)?;
            Some((reduced.hostname.clone(), reduced))
        });
        reduced.collect()
    }
}

/// The service reduced to a port, with the address that the proxy knows it by.
fn at_port(service: &Arc<Service>, number: u16, proxy: &Proxy) -> Option<Arc<Service>> {
    let port = service.port(number)?;
    let default_address = address(service, proxy);
    let host = service.hostname.as_str();
    let is_lower = !host.contains(char::is_uppercase);
    let is_reduced = service.ports.len() == 1
        && is_lower
        && default_address == service.default_address
        && service.auto_allocated == AutoAllocated::default();
    if is_reduced {
        return Some(service.clone());
    }
    Some(Arc::new(Service {
        hostname: Hostname::from(&*host.to_lowercase()),
        ports: Box::from([port.clone()]),
        default_address,
        auto_allocated: AutoAllocated::default(),
        ..(**service).clone()
    }))
}

/// Whether a VirtualService has a host of one of the services, or one that matches it either way.
///
/// # Upstream
///
/// istio/istio `httproute.go` `selectVirtualServices`.
fn concerns(rule: &VirtualService, services: &BTreeMap<Hostname, Arc<Service>>) -> bool {
    rule.spec.hosts.iter().any(|host| {
        let host = Hostname::from(&*host.to_lowercase());
        services.contains_key(&host) || services.keys().any(|known| known.matches(host.as_str()))
    })
}

/// The one virtual host that a name means takes every request; several stay as they are.
///
/// # Upstream
///
/// istio/istio `httproute.go` `getVirtualHostsForSniffedServicePort`.
fn only(mut hosts: Vec<Draft>, name: &str) -> Vec<Draft> {
    let without_port = split_port(name);
    hosts.retain(|host| host.domains.iter().any(|domain| domain == name || domain == without_port));
    if let [host] = hosts.as_mut_slice() {
        host.domains = DomainList::any();
    }
    hosts
}

/// The host of `HOST:PORT`, without brackets; `""` for what is no such text.
fn split_port(name: &str) -> &str {
    let Some((host, _)) = name.rsplit_once(':') else { return "" };
    let inner = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    inner.unwrap_or(if host.contains(':') { "" } else { host })
}
