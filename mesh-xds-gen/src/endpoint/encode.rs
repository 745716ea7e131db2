//! An assignment straight to the bytes of its `ClusterLoadAssignment`.
//!
//! They are those of the message that [`from_assignment`](super::from_assignment) makes, which nobody
//! then has to make: a law of the tests.
use std::net::IpAddr;
use std::sync::Arc;

use mesh_envoy_proto::envoy::config::core::v3 as core;
use mesh_envoy_proto::envoy::config::endpoint::v3::lb_endpoint::HostIdentifier;
use mesh_lb::assign::{
    AssignedEndpoint, AssignedLocality, AssignedPart, Assignment, PartIdentity, Target, Transport,
};
use mesh_model::endpoint::{Address, HealthStatus};
use mesh_model::name::Locality;
use prost::Message;
use prost_types::value::Kind;
use rustc_hash::FxHashMap;

use super::metadata::{ISTIO, ORIGINAL_DESTINATION, TRANSPORT};
use super::{health_status, host_port, lb_endpoint};
use crate::encode::{Backwards, Stencil, mark};
use crate::name::SubsetKey;

/// So many endpoints are worth being kept as bytes; fewer are soon encoded again.
const WORTH_KEEPING: usize = 8;
/// As many bytes of endpoints are kept; if there are more, all are forgotten.
const MAX_KEPT: usize = 64 << 20;
/// As many moulds are kept: they are told apart by ports and weights.
const MAX_MOULDS: usize = 1_024;
/// The length of the longest IP address.
const MAX_IP: usize = 45;
/// The texts of a mould.
const ADDRESS: usize = 0;
const NAME: usize = 1;
const METADATA: usize = 2;

/// Encodes assignments; its memory is used again and again, and so is what it made of many endpoints
/// that another assignment uses in the same way.
#[derive(Clone, Debug)]
pub struct Encoder {
    bytes: Backwards,
    known: FxHashMap<PartIdentity, Arc<[u8]>>,
    moulds: FxHashMap<MouldKey, Arc<Stencil>>,
    /// The mould of the last endpoint.
    last: Option<(MouldKey, Arc<Stencil>)>,
    /// How many bytes are known.
    kept: usize,
    /// Metadata of nearly all endpoints: Istio's mutual TLS, and a tunnel.
    istio: Box<[u8]>,
    tunnel: Box<[u8]>,
}

impl Default for Encoder {
    fn default() -> Self {
        let fragment = |key, value| {
            let mut bytes = Backwards::default();
            transport(&mut bytes, key, value);
            Box::from(bytes.as_slice())
        };
        Self {
            bytes: Backwards::default(),
            known: FxHashMap::default(),
            moulds: FxHashMap::default(),
            last: None,
            kept: 0,
            istio: fragment("tlsMode", "istio"),
            tunnel: fragment("tunnel", "http"),
        }
    }
}

impl Encoder {
    /// Encodes an assignment under the name of its cluster.
    pub fn encode(&mut self, name: &str, assignment: &Assignment) -> Arc<[u8]> {
        for locality in assignment.localities().rev() {
            let mark = self.bytes.len();
            self.locality(locality, name);
            self.bytes.field(2, mark);
        }
        self.bytes.some_text(1, name);
        self.bytes.take()
    }

    /// `LocalityLbEndpoints`.
    fn locality(&mut self, locality: AssignedLocality<'_>, name: &str) {
        self.bytes.some_number(5, locality.priority().into());
        if let Some(weight) = locality.weight() {
            self.bytes.wrapped(3, weight);
        }
        for part in locality.parts().rev() {
            self.part(part, name);
        }
        let mark = self.bytes.len();
        place(&mut self.bytes, locality.locality());
        self.bytes.field(1, mark);
    }

    /// The endpoints of a part, or what is known of it.
    fn part(&mut self, part: AssignedPart<'_>, name: &str) {
        let identity = if part.len() < WORTH_KEEPING { None } else { part.identity() };
        let Some(identity) = identity else { return self.endpoints(part, name) };
        if let Some(known) = self.known.get(&identity) {
            return self.bytes.push(known);
        }
        let mark = self.bytes.len();
        self.endpoints(part, name);
        let len = self.bytes.len().saturating_sub(mark);
        let made: Arc<[u8]> = self.bytes.as_slice().get(..len).unwrap_or_default().into();
        self.keep(made.len());
        self.known.insert(identity, made);
    }

    fn endpoints(&mut self, part: AssignedPart<'_>, name: &str) {
        for endpoint in part.endpoints().rev() {
            let mark = self.bytes.len();
            if !Cast::new(endpoint).is_some_and(|cast| self.cast(cast)) {
                self.endpoint(endpoint, name);
            }
            self.bytes.field(2, mark);
        }
    }

    /// An endpoint that differs in texts alone from others of its mould, which is made if there is none;
    /// returns whether it could be.
    fn cast(&mut self, cast: Cast<'_>) -> bool {
        if self.last.as_ref().is_none_or(|(last, _)| *last != cast.of) {
            let known = self.moulds.get(&cast.of).cloned();
            self.last = known.or_else(|| self.mould(cast)).map(|mould| (cast.of, mould));
        }
        let Some((_, mould)) = &self.last else { return false };
        let mut room = [0; MAX_IP];
        let address = written(cast.address, &mut room);
        let text = |number| match number {
            ADDRESS => address,
            NAME => cast.name,
            _ => cast.metadata,
        };
        mould.fill(text, &mut self.bytes);
        true
    }

    fn mould(&mut self, cast: Cast<'_>) -> Option<Arc<Stencil>> {
        let mould = Arc::new(cast.mould()?);
        if self.moulds.len() >= MAX_MOULDS {
            self.moulds.clear();
        }
        self.moulds.insert(cast.of, Arc::clone(&mould));
        Some(mould)
    }

    /// Makes room for more bytes to be kept: if they are too many, all are forgotten.
    fn keep(&mut self, len: usize) {
        if self.kept.saturating_add(len) > MAX_KEPT {
            self.known.clear();
            self.kept = 0;
        }
        self.kept = self.kept.saturating_add(len);
    }

    /// `LbEndpoint`.
    fn endpoint(&mut self, endpoint: AssignedEndpoint<'_>, name: &str) {
        let target = endpoint.target();
        self.behind_address(endpoint, name);
        let mark = self.bytes.len();
        if let Target::Direct(endpoint) = target {
            for address in endpoint.more_addresses.iter().rev() {
                let mark = self.bytes.len();
                socket(&mut self.bytes, address, target.port());
                self.bytes.field(1, mark);
                self.bytes.field(4, mark);
            }
        }
        let inner = self.bytes.len();
        match target {
            Target::Tunnel(_) => internal(&mut self.bytes, "connect_originate", target),
            Target::DoubleTunnel(_) => internal(&mut self.bytes, "inner_connect_originate", target),
            Target::Direct(_) | Target::Gateway(_) => {
                socket(&mut self.bytes, target.address(), target.port());
            }
        }
        self.bytes.field(1, inner);
        self.bytes.field(1, mark);
    }

    /// What follows the host: health, metadata and weight.
    fn behind_address(&mut self, endpoint: AssignedEndpoint<'_>, name: &str) {
        self.bytes.wrapped(4, endpoint.weight());
        let mark = self.bytes.len();
        self.metadata(endpoint, name);
        self.bytes.field(3, mark);
        let health = i32::from(health_status(endpoint.health()));
        self.bytes.some_number(2, u64::try_from(health).unwrap_or_default());
    }

    /// `Metadata`: filters by name, the last one first.
    fn metadata(&mut self, endpoint: AssignedEndpoint<'_>, name: &str) {
        let target = endpoint.target();
        let mark = self.bytes.len();
        let whole = mark;
        match target {
            Target::Gateway(gateway) | Target::DoubleTunnel(gateway) => {
                self.bytes.push(gateway.cluster.as_str().as_bytes());
                self.bytes.push(b";;;;");
            }
            Target::Direct(to) | Target::Tunnel(to) => match endpoint.kind() {
                Some(kind) => {
                    self.bytes.push(kind.metadata.as_bytes());
                    self.bytes.push(to.workload.name.as_bytes());
                }
                None => self.bytes.push(to.workload.metadata().as_bytes()),
            },
        }
        self.bytes.field(3, mark);
        value(&mut self.bytes, "workload", mark);
        if matches!(target, Target::DoubleTunnel(_)) {
            let outer = self.bytes.len();
            let key = SubsetKey::parse(name);
            let text = format!("{}:{}", key.host, key.port);
            text_value(&mut self.bytes, "hbone_target_address", &text);
            self.bytes.field(5, outer);
            value(&mut self.bytes, "double_hbone", outer);
        }
        filter(&mut self.bytes, ISTIO, whole);
        match (endpoint.transport(), endpoint.tls_mode()) {
            (Transport::Tunnel, _) => self.bytes.push(&self.tunnel),
            (_, Some("istio")) => self.bytes.push(&self.istio),
            (_, Some(mode)) => transport(&mut self.bytes, "tlsMode", mode),
            (_, None) => {}
        }
        if matches!(target, Target::Tunnel(_) | Target::DoubleTunnel(_)) {
            let mark = self.bytes.len();
            text_value(&mut self.bytes, "local", &host_port(target));
            filter(&mut self.bytes, ORIGINAL_DESTINATION, mark);
        }
    }
}

/// Which endpoints differ in their addresses and in whose they are alone.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
struct MouldKey {
    port: u16,
    weight: u32,
    health: HealthStatus,
    transport: Transport,
}

/// An endpoint that has a mould: it is dialled by an IP address and no other, and its TLS is no word of its
/// own.
#[derive(Clone, Copy, Debug)]
struct Cast<'a> {
    endpoint: AssignedEndpoint<'a>,
    address: IpAddr,
    name: &'a str,
    metadata: &'a str,
    of: MouldKey,
}

impl<'a> Cast<'a> {
    fn new(endpoint: AssignedEndpoint<'a>) -> Option<Self> {
        let (Target::Direct(to), Some(kind)) = (endpoint.target(), endpoint.kind()) else {
            return None;
        };
        let Address::Ip(address) = to.address else { return None };
        let (weight, health) = (endpoint.weight(), endpoint.health());
        let (port, transport) = (to.port, endpoint.transport());
        if !to.more_addresses.is_empty() || transport == Transport::OtherTls {
            return None;
        }
        let of = MouldKey { port, weight, health, transport };
        let (name, metadata) = (&*to.workload.name, &*kind.metadata);
        Some(Self { endpoint, address, name, metadata, of })
    }

    /// The stencil of its message with marks for the texts.
    fn mould(self) -> Option<Stencil> {
        let mut message = lb_endpoint(self.endpoint, "");
        let filters = &mut message.metadata.as_mut()?.filter_metadata;
        let workload = filters.get_mut(ISTIO)?.fields.get_mut("workload")?;
        workload.kind = Some(Kind::StringValue([mark(NAME), mark(METADATA)].concat()));
        if let Some(HostIdentifier::Endpoint(endpoint)) = &mut message.host_identifier
            && let Some(core::address::Address::SocketAddress(socket)) =
                endpoint.address.as_mut().and_then(|address| address.address.as_mut())
        {
            socket.address = mark(ADDRESS);
        }
        Stencil::cut(&message.encode_to_vec())
    }
}

/// An address as text.
fn written(address: IpAddr, room: &mut [u8; MAX_IP]) -> &str {
    let mut len = 0_usize;
    let mut push = |byte| {
        if let Some(place) = room.get_mut(len) {
            *place = byte;
            len += 1;
        }
    };
    match address {
        // Printed here: nearly all are such, and there are many.
        IpAddr::V4(address) => {
            for (index, octet) in address.octets().into_iter().enumerate() {
                if index > 0 {
                    push(b'.');
                }
                if octet >= 100 {
                    push(b'0' + octet / 100);
                }
                if octet >= 10 {
                    push(b'0' + octet / 10 % 10);
                }
                push(b'0' + octet % 10);
            }
        }
        IpAddr::V6(address) => address.to_string().into_bytes().into_iter().for_each(push),
    }
    let text = room.get(..len).unwrap_or_default();
    std::str::from_utf8(text).unwrap_or_default()
}

/// `Locality`.
fn place(bytes: &mut Backwards, locality: &Locality) {
    bytes.some_text(3, locality.sub_zone());
    bytes.some_text(2, locality.zone());
    bytes.some_text(1, locality.region());
}

/// `Address` of a socket or a pipe.
fn socket(bytes: &mut Backwards, address: &Address, port: u16) {
    let mark = bytes.len();
    if let Address::Unix(path) = address {
        bytes.some_text(1, path);
        return bytes.field(2, mark);
    }
    bytes.number(3, port.into());
    match address {
        Address::Ip(IpAddr::V4(ip)) => {
            let text = bytes.len();
            bytes.ipv4(*ip);
            bytes.field(2, text);
        }
        Address::Ip(ip @ IpAddr::V6(_)) => bytes.text(2, &ip.to_string()),
        Address::Host(text) => bytes.some_text(2, text),
        Address::Unix(_) | Address::Unknown => {}
    }
    bytes.field(1, mark);
}

/// `Address` of a listener inside the proxy.
fn internal(bytes: &mut Backwards, listener: &str, target: Target<'_>) {
    let mark = bytes.len();
    bytes.some_text(2, &host_port(target));
    bytes.text(1, listener);
    bytes.field(3, mark);
}

/// A member of a structure, its text.
fn text_value(bytes: &mut Backwards, key: &str, text: &str) {
    let mark = bytes.len();
    bytes.text(3, text);
    value(bytes, key, mark);
}

/// A member of a structure, around its value.
fn value(bytes: &mut Backwards, key: &str, mark: usize) {
    bytes.field(2, mark);
    bytes.text(1, key);
    bytes.field(1, mark);
}

/// The metadata of a filter, around its structure.
fn filter(bytes: &mut Backwards, name: &str, mark: usize) {
    bytes.field(2, mark);
    bytes.text(1, name);
    bytes.field(1, mark);
}

/// Which transport an endpoint needs.
fn transport(bytes: &mut Backwards, key: &str, text: &str) {
    let mark = bytes.len();
    text_value(bytes, key, text);
    filter(bytes, TRANSPORT, mark);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_written_as_they_are_printed() {
        let longest = "1111:2222:3333:4444:5555:6666:7777:8888";
        for text in ["0.0.0.0", "10.96.0.7", "255.255.255.255", "1.20.100.9", "::1", longest] {
            let address: IpAddr = text.parse().unwrap();
            assert_eq!(written(address, &mut [0; MAX_IP]), address.to_string());
        }
    }
}
