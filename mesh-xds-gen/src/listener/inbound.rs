//! The listeners of what the workload receives.
//!
//! ```text
//! Sidecar ingress, else service targets ─▶ one configuration a port ─▶ chains by mutual TLS and protocol
//! ```
//!
//! # Upstream
//!
//! istio/istio `pilot/pkg/networking/core/listener_inbound.go` `buildInboundListeners`,
//! `buildInboundChainConfigs`, `inboundVirtualListener`, `inboundCustomListener`.
use std::collections::BTreeMap;

use mesh_envoy_proto::envoy::config::core::v3::TrafficDirection;
use mesh_envoy_proto::envoy::config::listener::v3::{
    FilterChain, FilterChainMatch, Listener, ListenerFilter,
};
use mesh_model::name::Protocol;
use mesh_model::resource::Sidecar;
use mesh_model::resource::sidecar::{CaptureMode, IngressListener};

use super::context::{Context, Reserved};
use super::emit::{exact_balance, other_wildcards};
use super::filters::{original_dst, original_src, tcp_metadata_exchange};
use super::inbound_chain::{Inbound, Kind, chains};
use super::inspectors::inspectors;
use super::tcp::{forward, tcp_proxy};
use super::wire::{ZERO, address, config_metadata, duration};
use crate::cluster::stat_name::StatName;
use crate::name::{BLACK_HOLE_CLUSTER, ListenerName, Transport, VIRTUAL_INBOUND_LISTENER};

/// Builds the listeners.
pub(super) fn listeners(context: &Context<'_, '_>) -> Vec<Listener> {
    let configs = configs(context);
    let mut found = Vec::new();
    for config in configs.values().filter(|config| config.binds_to_port) {
        found.push(real_listener(context, config));
    }
    if context.is_captured() {
        found.push(virtual_inbound(context, &configs));
    }
    found
}

/// The ports of the workload: those of its Sidecar, else those of its services.
fn configs(context: &Context<'_, '_>) -> BTreeMap<u16, Inbound> {
    let sidecar = context.view.scope().sidecar();
    match sidecar.filter(|sidecar| !sidecar.spec.ingress.is_empty()) {
        Some(sidecar) => {
            let mut found = BTreeMap::new();
            for ingress in &sidecar.spec.ingress {
                if let Some(config) = of_ingress(context, sidecar, ingress) {
                    found.entry(config.port).or_insert(config);
                }
            }
            found
        }
        None if context.is_captured() => of_services(context),
        None => BTreeMap::new(),
    }
}

/// One configuration a target port; the oldest service decides.
fn of_services(context: &Context<'_, '_>) -> BTreeMap<u16, Inbound> {
    let wildcard = context.wildcard();
    let mut found = BTreeMap::new();
    for target in context.view.service_targets() {
        let (port, protocol) = (target.target_port, target.port.protocol);
        if !context.can_bind(false, wildcard, port, protocol, Reserved::AndVirtual) {
            continue;
        }
        found.entry(port).or_insert_with(|| Inbound {
            kind: Kind::Port,
            bind: wildcard.to_owned(),
            port,
            protocol,
            host: target.service.hostname.as_str().to_owned(),
            kubernetes: StatName::kubernetes_name(&target.service)
                .map(|(name, namespace)| (name.into(), namespace.into())),
            service_port: target.port.number,
            port_name: (&*target.port.name).into(),
            metadata: None,
            binds_to_port: false,
        });
    }
    found
}

/// The configuration of a Sidecar's ingress listener; `None` where its port is taken.
fn of_ingress(
    context: &Context<'_, '_>,
    sidecar: &Sidecar,
    ingress: &IngressListener,
) -> Option<Inbound> {
    let written = ingress.port.as_ref()?;
    let port = u16::try_from(written.number).ok()?;
    let protocol = Protocol::parse(&written.protocol);
    let binds_to_port = match ingress.capture_mode {
        CaptureMode::Default => !context.is_captured(),
        CaptureMode::None => true,
        CaptureMode::Iptables => false,
    };
    let bind = match &*ingress.bind {
        "" => own_address(context),
        bind => bind.to_owned(),
    };
    if !context.can_bind(binds_to_port, &ingress.bind, port, protocol, Reserved::Static) {
        return None;
    }
    // A Sidecar of the root namespace is taken for one of the workload's.
    let (namespace, name) = (&context.proxy().namespace, &sidecar.meta.name);
    Some(Inbound {
        kind: Kind::Port,
        bind,
        port,
        protocol,
        host: format!("{name}.{namespace}"),
        kubernetes: None,
        service_port: port,
        port_name: written.name.clone(),
        metadata: Some(config_metadata("sidecar", namespace.as_str(), name)),
        binds_to_port,
    })
}

/// The proxy's first address that others can reach.
fn own_address(context: &Context<'_, '_>) -> String {
    let addresses = &context.proxy().addresses;
    let is_global = |address: &&std::net::IpAddr| {
        let is_link_local = match address {
            std::net::IpAddr::V4(address) => address.is_link_local() || address.is_broadcast(),
            std::net::IpAddr::V6(address) => address.is_unicast_link_local(),
        };
        !(address.is_unspecified()
            || address.is_loopback()
            || address.is_multicast()
            || is_link_local)
    };
    addresses.iter().find(is_global).map(ToString::to_string).unwrap_or_default()
}

/// The listener that receives redirected traffic.
fn virtual_inbound(context: &Context<'_, '_>, configs: &BTreeMap<u16, Inbound>) -> Listener {
    let mut filter_chains = vec![blackhole(context)];
    for port in passthrough_ports(context, configs) {
        filter_chains.extend(chains(context, &passthrough(context, port)));
    }
    for config in configs.values().filter(|config| !config.binds_to_port) {
        filter_chains.extend(chains(context, config));
    }
    let mut listener_filters = vec![original_dst()];
    listener_filters.extend(context.is_tproxy().then(original_src));
    listener_filters.extend(inspectors(&filter_chains));
    Listener {
        transparent: context.is_tproxy().then_some(true),
        additional_addresses: other_wildcards(context, context.inbound_port()),
        ..inbound(
            context,
            VIRTUAL_INBOUND_LISTENER.to_owned(),
            (context.wildcard(), context.inbound_port()),
            filter_chains,
            listener_filters,
        )
    }
}

/// A listener that applications' clients reach without redirection.
fn real_listener(context: &Context<'_, '_>, config: &Inbound) -> Listener {
    let filter_chains = chains(context, config);
    let listener_filters = inspectors(&filter_chains);
    let name = ListenerName { bind: &config.bind, port: config.port, transport: Transport::Tcp };
    let place = (&*config.bind, config.port);
    inbound(context, name.to_string(), place, filter_chains, listener_filters)
}

fn inbound(
    context: &Context<'_, '_>,
    name: String,
    (bind, port): (&str, u16),
    filter_chains: Vec<FilterChain>,
    listener_filters: Vec<ListenerFilter>,
) -> Listener {
    Listener {
        name,
        address: Some(address(bind, port)),
        filter_chains,
        listener_filters,
        listener_filters_timeout: Some(
            context.config().protocol_detection_timeout.map_or(ZERO, duration),
        ),
        continue_on_listener_filters_timeout: true,
        traffic_direction: TrafficDirection::Inbound.into(),
        access_log: context.inbound.listener_logs.clone(),
        connection_balance_config: exact_balance(context, "INBOUND_LISTENER_EXACT_BALANCE"),
        max_connections_to_accept_per_socket_event: Some(1),
        ..Listener::default()
    }
}

/// Stops connections that would come back for ever.
fn blackhole(context: &Context<'_, '_>) -> FilterChain {
    let exchange = context.flags().pilot_enable_metadata_exchange.then(tcp_metadata_exchange);
    let stats = context.inbound.tcp_stats.iter().cloned();
    let end = tcp_proxy(&forward(BLACK_HOLE_CLUSTER));
    FilterChain {
        name: "virtualInbound-blackhole".to_owned(),
        filter_chain_match: Some(FilterChainMatch {
            destination_port: Some(context.inbound_port().into()),
            ..FilterChainMatch::default()
        }),
        filters: exchange.into_iter().chain(stats).chain([end]).collect(),
        ..FilterChain::default()
    }
}

/// The ports without a service that have chains of their own: 0 stands for all others, then those
/// that a PeerAuthentication names.
fn passthrough_ports(
    context: &Context<'_, '_>,
    configs: &BTreeMap<u16, Inbound>,
) -> impl Iterator<Item = u16> {
    let proxy = context.proxy();
    let mode = context.view.server_mode(&proxy.namespace, &proxy.labels);
    let named: Vec<u16> = mode.ports.keys().filter_map(|port| u16::try_from(*port).ok()).collect();
    let targets = context.view.service_targets();
    let has_ingress = configs.values().any(|config| config.metadata.is_some());
    let is_known = move |port: &u16, configs: &BTreeMap<u16, Inbound>| {
        configs.contains_key(port)
            || (!has_ingress && targets.iter().any(|target| target.target_port == *port))
    };
    let others: Vec<u16> =
        named.into_iter().filter(|port| *port != 0 && !is_known(port, configs)).collect();
    std::iter::once(0).chain(others)
}

fn passthrough(context: &Context<'_, '_>, port: u16) -> Inbound {
    Inbound {
        kind: Kind::Passthrough,
        bind: context.wildcard().to_owned(),
        port,
        protocol: Protocol::Unsupported,
        host: String::new(),
        kubernetes: None,
        service_port: 0,
        port_name: VIRTUAL_INBOUND_LISTENER.into(),
        metadata: None,
        binds_to_port: false,
    }
}
