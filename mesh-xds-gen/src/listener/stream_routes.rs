//! The chains of a port that is not read as HTTP: by rules for TCP or for TLS, else to the service.
//!
//! # Upstream
//!
//! istio/istio `pilot/pkg/networking/core/tls.go` `buildSidecarOutboundTCPFilterChainOpts`,
//! `buildSidecarOutboundTLSFilterChainOpts`.
use std::collections::BTreeSet;

use mesh_envoy_proto::envoy::config::core::v3::Metadata;
use mesh_envoy_proto::envoy::config::listener::v3::Filter;
use mesh_model::endpoint::Provider;
use mesh_model::name::{Hostname, Labels};
use mesh_model::registry::{MESH, Resolution, Service, UNSPECIFIED};
use mesh_model::resource::VirtualService;
use mesh_model::view::{IpFamilies, network};

use super::chain::{Chain, Content};
use super::context::Context;
use super::dynamic_dns;
use super::tcp::{ListenPort, leads_somewhere, to_destinations, to_service};
use super::wire::config_metadata;

/// What is asked for: a service on a listener.
pub(super) struct Target<'a> {
    pub(super) service: &'a Service,
    pub(super) port: ListenPort<'a>,
    /// The first address that the listener has.
    pub(super) bind: &'a str,
    /// The service's ranges, where they tell it from others on the listener.
    pub(super) cidrs: Vec<String>,
    /// Whether the ranges are single pods.
    pub(super) is_pod: bool,
    /// The VirtualServices that the egress listener imports.
    pub(super) rules: Vec<&'a VirtualService>,
}

/// The VirtualServices that have a host in common with a service.
pub(super) fn rules_for<'a>(
    rules: impl Iterator<Item = &'a VirtualService>,
    host: &Hostname,
) -> Vec<&'a VirtualService> {
    let concerns = |rule: &&VirtualService| rule.spec.hosts.iter().any(|name| host.matches(name));
    rules.filter(concerns).collect()
}

/// Builds the chains.
pub(super) fn chains(context: &Context<'_, '_>, target: Target<'_>) -> Vec<Chain> {
    if target.port.protocol.is_tls() {
        tls_chains(context, target)
    } else {
        tcp_chains(context, &target)
    }
}

/// The parts of a match that the proxy itself decides on.
struct Static<'a> {
    gateways: &'a [Box<str>],
    source_labels: &'a Labels,
    port: u32,
    source_namespace: &'a str,
}

impl Static<'_> {
    fn holds(&self, context: &Context<'_, '_>, port: ListenPort<'_>) -> bool {
        let proxy = context.proxy();
        (self.gateways.is_empty() || self.gateways.iter().any(|name| **name == *MESH))
            && proxy.labels.contains(self.source_labels)
            && (self.port == 0 || self.port == u32::from(port.number))
            && (self.source_namespace.is_empty()
                || self.source_namespace == proxy.namespace.as_str())
    }
}

fn metadata(rule: &VirtualService) -> Option<Metadata> {
    let meta = &rule.meta;
    Some(config_metadata("virtual-service", meta.namespace.as_str(), &meta.name))
}

fn texts(subnets: &[Box<str>]) -> Vec<String> {
    subnets.iter().map(ToString::to_string).collect()
}

fn tcp_chains(context: &Context<'_, '_>, target: &Target<'_>) -> Vec<Chain> {
    let Target { service, port, cidrs, rules, .. } = target;
    let mut found = Vec::new();
    let mut is_covered = false;
    let routes = rules.iter().flat_map(|rule| rule.spec.tcp.iter().map(move |tcp| (*rule, tcp)));
    for (rule, route) in routes.filter(|(_, route)| leads_somewhere(&route.route)) {
        let filters = || Content::Network(to_destinations(context, rule, &route.route, *port));
        let mut held = route.matches.iter().filter(|entry| {
            let part = Static {
                gateways: &entry.gateways,
                source_labels: &entry.source_labels,
                port: entry.port,
                source_namespace: &entry.source_namespace,
            };
            part.holds(context, *port)
        });
        let ends = route.matches.is_empty()
            || held.clone().any(|entry| entry.destination_subnets.is_empty() || port.number == 0);
        if ends {
            found.push(Chain {
                metadata: metadata(rule),
                cidrs: cidrs.clone(),
                content: filters(),
                ..Chain::default()
            });
            return found;
        }
        let mut subnets: Vec<String> =
            held.by_ref().flat_map(|entry| texts(&entry.destination_subnets)).collect();
        if !subnets.is_empty() {
            subnets.sort();
            let mut own = cidrs.clone();
            own.sort();
            is_covered |= subnets == own;
            found.push(Chain { cidrs: subnets, content: filters(), ..Chain::default() });
        }
    }
    if !is_covered {
        let content = Content::Network(to_service(context, service, *port));
        found.push(Chain { cidrs: cidrs.clone(), content, ..Chain::default() });
    }
    found
}

fn tls_chains(context: &Context<'_, '_>, target: Target<'_>) -> Vec<Chain> {
    let port = target.port;
    let mut cidrs = target.cidrs.clone();
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    let routes =
        target.rules.iter().flat_map(|rule| rule.spec.tls.iter().map(move |tls| (*rule, tls)));
    for (rule, route) in routes.filter(|(_, route)| leads_somewhere(&route.route)) {
        for entry in &route.matches {
            let part = Static {
                gateways: &entry.gateways,
                source_labels: &entry.source_labels,
                port: entry.port,
                source_namespace: &entry.source_namespace,
            };
            if !part.holds(context, port) {
                continue;
            }
            if !entry.destination_subnets.is_empty() && port.number > 0 {
                cidrs = texts(&entry.destination_subnets);
            }
            let key =
                format!("{}|{}", entry.sni_hosts.join(","), entry.destination_subnets.join(","));
            if seen.insert(key) {
                found.push(Chain {
                    metadata: metadata(rule),
                    sni_hosts: texts(&entry.sni_hosts),
                    cidrs: cidrs.clone(),
                    content: Content::Network(to_destinations(context, rule, &route.route, port)),
                    ..Chain::default()
                });
            }
        }
    }
    if found.is_empty() {
        let target = Target { cidrs, ..target };
        found.push(Chain {
            sni_hosts: server_names(context, &target),
            content: Content::Network(to_named_service(context, target.service, port)),
            cidrs: target.cidrs,
            ..Chain::default()
        });
    }
    found
}

/// The filters of TLS to a service. What is looked up by the server name passes first what decides
/// who may call the workload itself, as upstream, with the policies of the service's namespace.
fn to_named_service(
    context: &Context<'_, '_>,
    service: &Service,
    port: ListenPort<'_>,
) -> Vec<Filter> {
    let mut found = to_service(context, service, port);
    if let Some(lookup) = dynamic_dns::of_server_name(context, service, port.number) {
        found.insert(found.len().saturating_sub(1), lookup);
        found.splice(0..0, crate::rbac::of_connections_to(context.view, &service.namespace));
    }
    found
}

/// The server names that tell a service from others on its listener; none where its address does.
fn server_names(context: &Context<'_, '_>, target: &Target<'_>) -> Vec<String> {
    let service = target.service;
    let wildcard = context.wildcard();
    let address = listen_address(context, service);
    let address = if address.contains('/') { "" } else { &*address };
    let is_dynamic = service.hostname.is_wildcard() && service.resolution == Resolution::DynamicDns;
    let needs_name = !target.cidrs.is_empty()
        || address.is_empty()
        || (address == wildcard && target.bind == wildcard)
        || is_dynamic;
    if target.is_pod || !needs_name {
        return Vec::new();
    }
    let mut names = vec![service.hostname.as_str().to_owned()];
    for alias in &service.aliases {
        names.push(alias.as_str().to_owned());
        names.extend(alternates(alias.as_str(), &context.proxy().dns_domain));
    }
    names
}

/// The address that a listener for a service is on.
pub(super) fn listen_address(context: &Context<'_, '_>, service: &Service) -> std::sync::Arc<str> {
    let proxy = context.proxy();
    let address = network::address(service, proxy);
    let is_external = service.provider == Provider::External;
    if is_external && proxy.ip_families() == IpFamilies::V6 && *address == *UNSPECIFIED {
        return "::".into();
    }
    address
}

/// The shorter names of a Kubernetes host that a proxy of a domain may use, the absolute one too.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/networking/core/httproute.go` `GenerateAltVirtualHosts`.
fn alternates(host: &str, domain: &str) -> Vec<String> {
    let mut found = Vec::new();
    let Some((namespace, cluster)) = domain.split_once(".svc.") else { return found };
    found.push(format!("{host}."));
    let Some(prefix) = host.strip_suffix(cluster).and_then(|rest| rest.strip_suffix(".svc."))
    else {
        return found;
    };
    let Some((name, owner)) = prefix.rsplit_once('.') else { return found };
    if owner == namespace {
        found.push(name.to_owned());
    }
    found.push(format!("{prefix}.svc"));
    found.push(prefix.to_owned());
    found
}
