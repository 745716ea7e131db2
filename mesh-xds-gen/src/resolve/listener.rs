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
use mesh_envoy_proto::envoy::extensions::filters::network::redis_proxy::v3::RedisProxy;
use mesh_envoy_proto::envoy::extensions::filters::network::tcp_proxy::v3::TcpProxy;

use super::Request;
use crate::name::{VIRTUAL_INBOUND_LISTENER, VIRTUAL_OUTBOUND_LISTENER};

/// What a chain does with a connection.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "callers look at all")]
pub enum Content {
    /// It reads requests.
    Requests(Box<HttpConnectionManager>),
    /// It sends everything on.
    Connection(Box<TcpProxy>),
    /// It reads commands of Redis, and sends each where its key says.
    Commands(Box<RedisProxy>),
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

/// What of a connection decides about its chain.
#[derive(Clone, Copy, Debug)]
pub(super) struct Connection<'c> {
    pub(super) port: u16,
    pub(super) address: Option<IpAddr>,
    /// The server name; empty: none.
    pub(super) server_name: &'c str,
    /// What inspectors find below the protocol: `tls` or `raw_buffer`.
    pub(super) transport: &'c str,
    /// The protocols that they find, in the client's order.
    pub(super) protocols: &'c [&'c str],
}

impl<'c> Connection<'c> {
    /// The connection of a request: HTTP is found in plain text, and in TLS what browsers offer.
    pub(super) fn of(request: &'c Request) -> Self {
        let is_tls = !request.sni.is_empty();
        Self {
            port: request.port,
            address: request.address,
            server_name: &request.sni,
            transport: if is_tls { "tls" } else { "raw_buffer" },
            protocols: if is_tls { &["h2", "http/1.1"] } else { &["http/1.1"] },
        }
    }
}

/// The chain with the most specific match, by port, then address, then server name, then transport,
/// then protocol; else the default one. A step is not taken back: where chains of the port have
/// no match for the rest, those of any port are not asked.
pub(super) fn chain<'l>(
    listener: &'l Listener,
    connection: &Connection<'_>,
) -> Option<&'l FilterChain> {
    let mut left: Vec<&FilterChain> = listener.filter_chains.iter().collect();
    narrow(&mut left, |given| match given.destination_port {
        None => Some(0),
        Some(port) => (port == u32::from(connection.port)).then_some(1),
    });
    narrow(&mut left, |given| match connection.address {
        _ if given.prefix_ranges.is_empty() => Some(0),
        Some(address) => given.prefix_ranges.iter().filter_map(|it| covers(it, address)).max(),
        None => None,
    });
    narrow(&mut left, |given| match &*given.server_names {
        [] => Some(0),
        names => names.iter().filter_map(|it| server_name(it, connection.server_name)).max(),
    });
    narrow(&mut left, |given| match &*given.transport_protocol {
        "" => Some(0),
        transport => (transport == connection.transport).then_some(1),
    });
    narrow(&mut left, |given| match &*given.application_protocols {
        [] => Some(0),
        protocols => {
            let spoken = connection.protocols;
            let first = spoken.iter().position(|one| protocols.iter().any(|it| it == one))?;
            Some(spoken.len() - first)
        }
    });
    left.first().copied().or(listener.default_filter_chain.as_ref())
}

/// Keeps the chains that are the most specific in one respect.
fn narrow(left: &mut Vec<&FilterChain>, rank: impl Fn(&FilterChainMatch) -> Option<usize>) {
    let any = FilterChainMatch::default();
    let rank = |chain: &FilterChain| rank(chain.filter_chain_match.as_ref().unwrap_or(&any));
    let best = left.iter().filter_map(|chain| rank(chain)).max();
    left.retain(|chain| best.is_some() && rank(chain) == best);
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

/// What the chain does: the first of its filters that reads requests or sends everything on. Such a filter
/// ends a chain.
pub(super) fn content(chain: &FilterChain) -> Option<Content> {
    chain.filters.iter().find_map(|filter| {
        let Some(filter::ConfigType::TypedConfig(config)) = &filter.config_type else {
            return None;
        };
        // A message of another type is none of these.
        let requests = || config.to_msg().ok().map(|it| Content::Requests(Box::new(it)));
        let commands = || config.to_msg().ok().map(|it| Content::Commands(Box::new(it)));
        let connection = || config.to_msg().ok().map(|it| Content::Connection(Box::new(it)));
        requests().or_else(commands).or_else(connection)
    })
}
