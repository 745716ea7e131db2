//! Writing an outbound listener.
//!
//! # Upstream
//!
//! istio/istio `pilot/pkg/networking/core/listener.go` `buildListenerFromEntry`.
use mesh_envoy_proto::envoy::config::core::v3::TrafficDirection;
use mesh_envoy_proto::envoy::config::listener::v3::listener::{
    ConnectionBalanceConfig, connection_balance_config,
};
use mesh_envoy_proto::envoy::config::listener::v3::{
    AdditionalAddress, FilterChain, FilterChainMatch, Listener,
};
use mesh_envoy_proto::prost_types::Duration;
use mesh_model::name::Protocol;

use super::catch_all;
use super::chain::{Chain, Content};
use super::context::Context;
use super::filters::{http_inspector, tls_inspector};
use super::http::{Class, Http, http_connection_manager};
use super::outbound::Binding;
use super::wire::{ZERO, address, duration};
use crate::name::{ListenerName, Transport};

/// How long a connection may take to finish its TLS handshake.
pub(super) const CONNECT_TIMEOUT: Duration = Duration { seconds: 15, nanos: 0 };

/// A listener before it is written.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) binding: Binding,
    pub(super) port: u16,
    /// What the listener is said to speak.
    pub(super) protocol: Protocol,
    /// Whether it takes no more services.
    pub(super) is_locked: bool,
    /// Whether applications name the proxy themselves.
    pub(super) is_forward_proxy: bool,
    pub(super) chains: Vec<Chain>,
}

/// Further addresses of a listener.
fn additional_addresses(
    binds: impl IntoIterator<Item: AsRef<str>>,
    port: u16,
) -> Vec<AdditionalAddress> {
    let of_bind = |bind: &str| AdditionalAddress {
        address: Some(address(bind, port)),
        ..AdditionalAddress::default()
    };
    binds.into_iter().map(|bind| of_bind(bind.as_ref())).collect()
}

/// The other addresses that stand for all: with dual stack, of a proxy of both families.
pub(super) fn other_wildcards(context: &Context<'_, '_>, port: u16) -> Vec<AdditionalAddress> {
    let is_dual = context.flags().istio_dual_stack;
    additional_addresses(context.wildcards().iter().skip(1).filter(|_| is_dual), port)
}

/// Writes a listener; `None` if it has no address.
pub(super) fn emit(context: &Context<'_, '_>, entry: &Entry) -> Option<Listener> {
    let bind = entry.binding.primary();
    if bind.is_empty() {
        return None;
    }
    let name = ListenerName { bind, port: entry.port, transport: Transport::Tcp }.to_string();
    let has_names = entry.chains.iter().any(|chain| !chain.sni_hosts.is_empty());
    let has_http = entry.chains.iter().any(|chain| chain.needs_http);
    let detection = context.config().protocol_detection_timeout;
    let (chains, default) = filter_chains(context, entry, &name);
    let more = entry.binding.addresses.iter().skip(1);
    let is_bound = entry.binding.binds_to_port;
    Some(Listener {
        address: Some(address(bind, entry.port)),
        additional_addresses: additional_addresses(more, entry.port),
        filter_chains: chains,
        default_filter_chain: default,
        listener_filters: has_names
            .then(tls_inspector)
            .into_iter()
            .chain(has_http.then(http_inspector))
            .collect(),
        listener_filters_timeout: Some(match detection.filter(|_| has_http) {
            Some(timeout) => duration(timeout),
            None => ZERO,
        }),
        continue_on_listener_filters_timeout: true,
        traffic_direction: TrafficDirection::Outbound.into(),
        connection_balance_config: exact_balance(context, "OUTBOUND_LISTENER_EXACT_BALANCE"),
        bind_to_port: (!is_bound).then_some(false),
        max_connections_to_accept_per_socket_event: is_bound.then_some(1),
        name,
        ..Listener::default()
    })
}

/// Spreads connections exactly over threads, if metadata asks for it.
pub(super) fn exact_balance(
    context: &Context<'_, '_>,
    key: &str,
) -> Option<ConnectionBalanceConfig> {
    use connection_balance_config::{BalanceType, ExactBalance};
    context.balances(key).then_some(ConnectionBalanceConfig {
        balance_type: Some(BalanceType::ExactBalance(ExactBalance {})),
    })
}

/// The chains, and the one for what none of them matches.
fn filter_chains(
    context: &Context<'_, '_>,
    entry: &Entry,
    name: &str,
) -> (Vec<FilterChain>, Option<FilterChain>) {
    let mut chains = Vec::new();
    let mut default = None;
    for chain in &entry.chains {
        let written = FilterChain {
            filter_chain_match: chain.filter_chain_match(context.allows_http10_at_inspection()),
            filters: match &chain.content {
                Content::Network(filters) => filters.clone(),
                Content::Http { routes, protocol, lookup } => {
                    let routes = routes.clone();
                    let class = if entry.is_forward_proxy {
                        Class::ForwardProxy { routes }
                    } else {
                        Class::Outbound { routes, lookup: lookup.clone() }
                    };
                    let stat_prefix = format!("outbound_{name};");
                    let http = Http { stat_prefix, protocol: *protocol, class };
                    vec![http_connection_manager(context, http)]
                }
            },
            metadata: chain.metadata.clone(),
            transport_socket_connect_timeout: Some(CONNECT_TIMEOUT),
            ..FilterChain::default()
        };
        if chain.matches_all() { default = Some(written) } else { chains.push(written) }
    }
    match default {
        Some(only) if chains.is_empty() => (vec![only], None),
        Some(default) => (chains, Some(default)),
        None => (chains, Some(passthrough(context))),
    }
}

fn passthrough(context: &Context<'_, '_>) -> FilterChain {
    FilterChain {
        name: "PassthroughFilterChain".to_owned(),
        filter_chain_match: Some(FilterChainMatch::default()),
        filters: catch_all::filters(context),
        ..FilterChain::default()
    }
}
