//! Connections of a gateway that are not read: where VirtualServices send them.
//!
//! # Upstream
//!
//! istio/istio `pilot/pkg/networking/core/gateway.go` `buildGatewayNetworkFiltersFromTCPRoutes`,
//! `buildGatewayNetworkFiltersFromTLSRoutes`.
use mesh_envoy_proto::envoy::config::listener::v3::Filter;
use mesh_model::resource::VirtualService;
use mesh_model::resource::gateway::ServerTlsMode;
use mesh_model::resource::virtual_service::RouteDestination;
use mesh_model::view::GatewayServer;
use mesh_model::view::gateway_servers::ClaimedHosts;

use super::super::context::Context;
use super::super::filters::tcp_metadata_exchange;
use super::super::tcp::{leads_somewhere, to_destinations};
use super::{Chain, listen_port};

/// The VirtualServices of a server, in the order in which they count.
fn rules_of<'a>(
    context: &'a Context<'_, '_>,
    server: &'a GatewayServer,
) -> impl Iterator<Item = &'a VirtualService> {
    let proxy = context.proxy();
    let rules = &context.view.plane().virtual_services;
    let bound = rules.visible_to(&proxy.namespace, &server.gateway).map(AsRef::as_ref);
    bound.filter(|rule: &&VirtualService| {
        rule.spec.hosts.iter().any(|host| server.serves(host, &rule.meta.namespace))
    })
}

/// Whether a condition is for a server: of all that it says its port and gateways count.
fn concerns(server: &GatewayServer, port: u32, gateways: &[Box<str>]) -> bool {
    (port == 0 || port == u32::from(server.number))
        && (gateways.is_empty() || gateways.contains(&server.gateway))
}

/// The filters of connections, TLS or not, whose bytes a `tcp` route sends on; `None` if none does.
pub(super) fn of_connections(
    context: &Context<'_, '_>,
    server: &GatewayServer,
) -> Option<Vec<Filter>> {
    let mut routes =
        rules_of(context, server).flat_map(|rule| rule.spec.tcp.iter().map(move |tcp| (rule, tcp)));
    let (rule, route) = routes.find(|(_, route)| {
        let mut matches = route.matches.iter();
        let holds = route.matches.is_empty()
            || matches.any(|entry| concerns(server, entry.port, &entry.gateways));
        holds && leads_somewhere(&route.route)
    })?;
    let is_mutual =
        server.server.tls.as_ref().is_some_and(|tls| tls.mode == ServerTlsMode::IstioMutual);
    let exchange = is_mutual && context.flags().pilot_enable_metadata_exchange;
    let exchange = exchange.then(tcp_metadata_exchange);
    Some(exchange.into_iter().chain(forwarding(context, rule, &route.route, server)).collect())
}

/// The chains of TLS that is passed on, by the server names of `tls` routes; a match with a name that
/// is taken on this port is left out.
pub(super) fn of_server_names(
    context: &Context<'_, '_>,
    server: &GatewayServer,
    claimed: &mut ClaimedHosts,
) -> Vec<Chain> {
    let mut found = Vec::new();
    for rule in rules_of(context, server) {
        for route in rule.spec.tls.iter().filter(|route| leads_somewhere(&route.route)) {
            for entry in &route.matches {
                if concerns(server, entry.port, &entry.gateways)
                    && claimed.claim(&entry.sni_hosts, &server.server.bind)
                {
                    found.push(Chain {
                        sni_hosts: entry.sni_hosts.iter().map(ToString::to_string).collect(),
                        filters: forwarding(context, rule, &route.route, server),
                        ..Chain::default()
                    });
                }
            }
        }
    }
    found
}

/// What decides who may connect, then what sends on.
fn forwarding(
    context: &Context<'_, '_>,
    rule: &VirtualService,
    destinations: &[RouteDestination],
    server: &GatewayServer,
) -> Vec<Filter> {
    let end = to_destinations(context, rule, destinations, listen_port(server));
    context.authorization.network.iter().cloned().chain(end).collect()
}
