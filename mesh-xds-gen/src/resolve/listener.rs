//! Which listener and filter chain take a connection.
//!
//! # Upstream
//!
//! envoyproxy/envoy `source/common/listener_manager/active_tcp_listener.cc`
//! `getBalancedHandlerByAddress`, `filter_chain_manager_impl.cc` `findFilterChain`.
use std::net::IpAddr;

use mesh_envoy_proto::envoy::config::core::v3::{
    Address, CidrRange, address::Address as Kind, socket_address::PortSpecifier,
};
use mesh_envoy_proto::envoy::config::listener::v3::{
    FilterChain, FilterChainMatch, Listener, filter,
};
use mesh_envoy_proto::envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager;
use mesh_envoy_proto::envoy::extensions::filters::network::tcp_proxy::v3::TcpProxy;
use mesh_envoy_proto::prost::Name;

use super::Request;
use crate::name::{VIRTUAL_INBOUND_LISTENER, VIRTUAL_OUTBOUND_LISTENER};

/// What a chain does with a connection.
pub(super) enum Content {
    /// It reads requests.
    Requests(Box<HttpConnectionManager>),
    /// It sends everything on.
    Connection(Box<TcpProxy>),
}

/// The listener of the address, else that of all addresses of the port, else the one that takes what
/// no other does.
pub(super) fn find<'l>(listeners: &'l [Listener], request: &Request) -> Option<&'l Listener> {
    let at_port = |listener: &&Listener| {
        listener.name != VIRTUAL_INBOUND_LISTENER
            && listener.name != VIRTUAL_OUTBOUND_LISTENER
            && addresses(listener).any(|(_, port)| port == u32::from(request.port))
    };
    let is_at = |listener: &&Listener, wanted: IpAddr| {
        addresses(listener).any(|(address, _)| address.parse() == Ok(wanted))
    };
    let is_everywhere = |listener: &&Listener| {
        addresses(listener).any(|(address, _)| {
            address.parse::<IpAddr>().is_ok_and(|address| address.is_unspecified())
        })
    };
    let candidates: Vec<&Listener> = listeners.iter().filter(at_port).collect();
    let exact = request
        .address
        .and_then(|wanted| candidates.iter().find(|listener| is_at(listener, wanted)));
    let found = exact.or_else(|| candidates.iter().find(|listener| is_everywhere(listener)));
    // Where nothing is captured, listeners are on the machine's own addresses.
    let own = || candidates.iter().find(|listener| is_bound(listener));
    let catch_all = || listeners.iter().find(|it| it.name == VIRTUAL_OUTBOUND_LISTENER);
    found.or_else(own).copied().or_else(catch_all)
}

/// Whether a listener is a real socket, so that whoever sends to its port sends to it.
fn is_bound(listener: &Listener) -> bool {
    listener.bind_to_port != Some(false)
}

fn addresses(listener: &Listener) -> impl Iterator<Item = (&str, u32)> {
    let more = listener.additional_addresses.iter().map(|more| more.address.as_ref());
    let all = std::iter::once(listener.address.as_ref()).chain(more);
    all.flatten().filter_map(|address: &Address| match &address.address {
        Some(Kind::SocketAddress(socket)) => match socket.port_specifier {
            Some(PortSpecifier::PortValue(port)) => Some((&*socket.address, port)),
            Some(PortSpecifier::NamedPort(_)) | None => None,
        },
        Some(Kind::Pipe(_) | Kind::EnvoyInternalAddress(_)) | None => None,
    })
}

/// The chain with the most specific match, by port, then address, then server name, then transport,
/// then protocol; else the default one.
pub(super) fn chain<'l>(listener: &'l Listener, request: &Request) -> Option<&'l FilterChain> {
    let mut best: Option<([usize; 5], &FilterChain)> = None;
    for chain in &listener.filter_chains {
        let any = FilterChainMatch::default();
        let given = chain.filter_chain_match.as_ref().unwrap_or(&any);
        let Some(rank) = rank(given, request) else { continue };
        if best.is_none_or(|(highest, _)| rank > highest) {
            best = Some((rank, chain));
        }
    }
    best.map(|(_, chain)| chain).or(listener.default_filter_chain.as_ref())
}

/// How specific a match is; `None` if it does not hold.
fn rank(given: &FilterChainMatch, request: &Request) -> Option<[usize; 5]> {
    let port = match given.destination_port {
        None => 0,
        Some(port) if port == u32::from(request.port) => 1,
        Some(_) => return None,
    };
    let address = match request.address {
        _ if given.prefix_ranges.is_empty() => 0,
        Some(address) => given.prefix_ranges.iter().filter_map(|it| covers(it, address)).max()?,
        None => return None,
    };
    let names = &given.server_names;
    let name = if names.is_empty() {
        0
    } else {
        names.iter().filter_map(|name| server_name(name, &request.sni)).max()?
    };
    let is_tls = !request.sni.is_empty();
    let transport = match &*given.transport_protocol {
        "" => 0,
        "tls" if is_tls => 1,
        "raw_buffer" if !is_tls => 1,
        _ => return None,
    };
    // What the inspectors find: HTTP in plain text, what browsers offer in TLS.
    let spoken: &[&str] = if is_tls { &["h2", "http/1.1"] } else { &["http/1.1"] };
    let protocols = &given.application_protocols;
    let protocol = match protocols.iter().any(|protocol| spoken.contains(&&**protocol)) {
        _ if protocols.is_empty() => 0,
        true => 1,
        false => return None,
    };
    Some([port, address, name, transport, protocol])
}

/// The length of a range with the address in it, plus one.
fn covers(range: &CidrRange, address: IpAddr) -> Option<usize> {
    let length = range.prefix_len.unwrap_or(0);
    let (network, bits, width) = match (range.address_prefix.parse().ok()?, address) {
        (IpAddr::V4(network), IpAddr::V4(address)) => {
            (u128::from(u32::from(network)), u128::from(u32::from(address)), 32)
        }
        (IpAddr::V6(network), IpAddr::V6(address)) => {
            (u128::from(network), u128::from(address), 128)
        }
        _ => return None,
    };
    let shift = width - length.min(width);
    let part = |bits: u128| bits.checked_shr(shift).unwrap_or(0);
    (part(network) == part(bits)).then(|| usize::try_from(length).unwrap_or(0) + 1)
}

/// How much of a server name a pattern says; all of it is most.
fn server_name(pattern: &str, name: &str) -> Option<usize> {
    match pattern.strip_prefix('*') {
        Some(rest) => (name.len() > rest.len() && name.ends_with(rest)).then(|| rest.len() + 1),
        None => (pattern == name).then_some(usize::MAX),
    }
}

/// What the chain does: its last filter.
pub(super) fn content(chain: &FilterChain) -> Option<Content> {
    chain.filters.iter().find_map(|filter| {
        let Some(filter::ConfigType::TypedConfig(config)) = &filter.config_type else {
            return None;
        };
        if config.type_url == HttpConnectionManager::type_url() {
            return config.to_msg().ok().map(|it| Content::Requests(Box::new(it)));
        }
        let is_proxy = config.type_url == TcpProxy::type_url();
        let proxy = config.to_msg().ok().filter(|_| is_proxy);
        proxy.map(|it| Content::Connection(Box::new(it)))
    })
}
