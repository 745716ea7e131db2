//! The listeners of a gateway: one an address, with a chain for what each of its servers receives.
//!
//! ```text
//! groups of servers ─▶ HTTP: one chain, routes by name
//!                   ─▶ HTTPS: one chain a server, by server name         ─▶ listener BIND_PORT
//!                   ─▶ TCP, TLS: chains of rules, or of every cluster
//! ```
//!
//! # Upstream
//!
//! istio/istio `pilot/pkg/networking/core/gateway.go` `buildGatewayListeners`;
//! `listener.go` `buildGatewayListener`.
mod auto_passthrough;
mod rules;
mod tls;

use std::collections::BTreeMap;

use mesh_envoy_proto::envoy::config::core::v3::{TrafficDirection, TransportSocket};
use mesh_envoy_proto::envoy::config::listener::v3::{
    Filter, FilterChain, FilterChainMatch, Listener, ListenerFilter,
};
use mesh_model::name::Protocol;
use mesh_model::resource::gateway::ServerTlsMode;
use mesh_model::view::gateway_servers::ClaimedHosts;
use mesh_model::view::{GatewayServer, GatewayServers, ServerGroup};

use super::connection_settings::buffer_limit;
use super::context::Context;
use super::emit::{CONNECT_TIMEOUT, exact_balance, other_wildcards};
use super::filters::{proxy_protocol, tls_inspector};
use super::http::{Class, Http, http_connection_manager};
use super::tcp::ListenPort;
use super::topology::reads_proxy_protocol;
use super::wire::address;
use crate::name::{ListenerName, RouteName, Transport};

pub use self::auto_passthrough::{PassedThrough, passed_through};

/// A chain before it is written.
#[derive(Clone, Debug, Default)]
struct Chain {
    /// The server names that match; none, or `*` among them: any.
    sni_hosts: Vec<String>,
    application_protocols: Vec<String>,
    transport_socket: Option<TransportSocket>,
    filters: Vec<Filter>,
}

/// Builds the listeners.
pub(super) fn listeners(context: &Context<'_, '_>) -> Vec<Listener> {
    let merged = context.view.gateway_servers();
    let mut builder =
        Builder { context, servers: &merged, sni_hosts: BTreeMap::new(), chains: BTreeMap::new() };
    for group in merged.groups() {
        // Without privileges the operating system refuses these.
        if !(context.is_unprivileged() && group.port < 1024) {
            builder.add(group);
        }
    }
    let listeners = builder.chains.iter();
    listeners.filter_map(|((bind, port), chains)| listener(context, bind, *port, chains)).collect()
}

struct Builder<'b, 'v, 'm> {
    context: &'b Context<'v, 'm>,
    servers: &'b GatewayServers,
    /// The server names by which connections of a port are passed on.
    sni_hosts: BTreeMap<u16, ClaimedHosts>,
    chains: BTreeMap<(String, u16), Vec<Chain>>,
}

impl Builder<'_, '_, '_> {
    fn add(&mut self, group: &ServerGroup) {
        let bind = match &*group.bind {
            "" => self.context.wildcard().to_owned(),
            bind => bind.to_owned(),
        };
        let name = ListenerName { bind: &bind, port: group.port, transport: Transport::Tcp };
        let stat_prefix = format!("outbound_{name};");
        let mut found = Vec::new();
        if let Some(route) = group.route.as_ref().filter(|_| group.protocol.is_http()) {
            let routes = RouteName::from(route).to_string();
            found.push(self.http(stat_prefix, group.protocol, routes));
        } else {
            for server in self.servers.of_group(group) {
                found.extend(self.of_server(server, &stat_prefix));
            }
        }
        self.chains.entry((bind, group.port)).or_default().extend(found);
    }

    /// The chain of requests.
    fn http(&self, stat_prefix: String, protocol: Protocol, routes: String) -> Chain {
        let http = Http { stat_prefix, protocol, class: Class::Gateway { routes } };
        let filters = vec![http_connection_manager(self.context, http)];
        Chain { filters, ..Chain::default() }
    }

    fn of_server(&mut self, server: &GatewayServer, stat_prefix: &str) -> Vec<Chain> {
        match &server.route {
            Some(route) if server.is_terminated_https() => {
                let own = Some(server.server.name.to_string()).filter(|name| !name.is_empty());
                let stat_prefix = own.unwrap_or_else(|| stat_prefix.to_owned());
                let routes = RouteName::from(route).to_string();
                vec![self.terminated(server, self.http(stat_prefix, server.protocol, routes))]
            }
            Some(_) | None if server.passes_tls() => self.passed(server),
            Some(_) | None => {
                let filters = rules::of_connections(self.context, server);
                let chain = filters.map(|filters| Chain { filters, ..Chain::default() });
                chain.map(|chain| self.terminated(server, chain)).into_iter().collect()
            }
        }
    }

    /// The chain behind the server's TLS, if it has any.
    fn terminated(&self, server: &GatewayServer, chain: Chain) -> Chain {
        let transport_socket = tls::socket(self.context, server);
        Chain { sni_hosts: server.sni_hosts(), transport_socket, ..chain }
    }

    /// The chains of a server that passes TLS on.
    fn passed(&mut self, server: &GatewayServer) -> Vec<Chain> {
        let mode = server.server.tls.as_ref().map(|tls| tls.mode);
        if mode == Some(ServerTlsMode::AutoPassthrough) {
            return auto_passthrough::chains(self.context, &server.sni_hosts());
        }
        let claimed = self.sni_hosts.entry(server.port).or_default();
        rules::of_server_names(self.context, server, claimed)
    }
}

/// The port that filters are told: the server's own, not the one listened on.
fn listen_port(server: &GatewayServer) -> ListenPort<'_> {
    let name = server.server.port.as_ref().map(|port| &*port.name).unwrap_or_default();
    ListenPort { number: server.number, protocol: server.protocol, name }
}

/// Writes a listener; `None` if no connection would match.
fn listener(
    context: &Context<'_, '_>,
    bind: &str,
    port: u16,
    chains: &[Chain],
) -> Option<Listener> {
    if chains.is_empty() {
        return None;
    }
    let is_any = context.wildcard() == bind;
    let more = if is_any { other_wildcards(context, port) } else { Vec::new() };
    Some(Listener {
        name: ListenerName { bind, port, transport: Transport::Tcp }.to_string(),
        address: Some(address(bind, port)),
        additional_addresses: more,
        listener_filters: listener_filters(context, chains),
        filter_chains: chains.iter().map(filter_chain).collect(),
        traffic_direction: TrafficDirection::Outbound.into(),
        access_log: context.outbound.listener_logs.clone(),
        connection_balance_config: exact_balance(context, "OUTBOUND_LISTENER_EXACT_BALANCE"),
        max_connections_to_accept_per_socket_event: Some(1),
        per_connection_buffer_limit_bytes: buffer_limit(&context.connections),
        ..Listener::default()
    })
}

fn listener_filters(context: &Context<'_, '_>, chains: &[Chain]) -> Vec<ListenerFilter> {
    let needs_tls =
        chains.iter().any(|chain| !chain.sni_hosts.is_empty() || chain.transport_socket.is_some());
    let proxy_protocol = reads_proxy_protocol(context).then(proxy_protocol);
    proxy_protocol.into_iter().chain(needs_tls.then(tls_inspector)).collect()
}

fn filter_chain(chain: &Chain) -> FilterChain {
    FilterChain {
        filter_chain_match: chain.filter_chain_match(),
        filters: chain.filters.clone(),
        transport_socket: chain.transport_socket.clone(),
        transport_socket_connect_timeout: Some(CONNECT_TIMEOUT),
        ..FilterChain::default()
    }
}

impl Chain {
    /// The match as it is written; `None` for a chain that matches everything.
    fn filter_chain_match(&self) -> Option<FilterChainMatch> {
        let is_any = self.sni_hosts.iter().any(|host| host == "*");
        let mut server_names = if is_any { Vec::new() } else { self.sni_hosts.clone() };
        server_names.sort();
        let application_protocols = self.application_protocols.clone();
        (!server_names.is_empty() || !application_protocols.is_empty()).then(|| FilterChainMatch {
            server_names,
            application_protocols,
            ..FilterChainMatch::default()
        })
    }
}
