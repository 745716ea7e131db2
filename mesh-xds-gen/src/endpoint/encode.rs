//! An assignment straight to the bytes of its `ClusterLoadAssignment`.
//!
//! They are those of the message that [`from_assignment`](super::from_assignment) makes, which nobody
//! then has to make: a law of the tests.
use std::net::{IpAddr, Ipv4Addr};
use std::ops::Range;
use std::sync::Arc;

use mesh_lb::assign::{
    AssignedEndpoint, AssignedLocality, AssignedPart, Assignment, PartIdentity, Target, Transport,
};
use mesh_model::endpoint::{Address, Endpoint, HealthStatus};
use mesh_model::name::Locality;
use rustc_hash::FxHashMap;

use super::metadata::{ISTIO, ORIGINAL_DESTINATION, TRANSPORT};
use super::{health_status, host_port};
use crate::encode::Backwards;
use crate::name::SubsetKey;

/// So many endpoints are worth being kept as bytes; fewer are soon encoded again.
const WORTH_KEEPING: usize = 8;
/// As many bytes an endpoint takes, or less.
const USUAL: usize = 160;
/// As many bytes of endpoints are kept; if there are more, all are forgotten.
const MAX_KEPT: usize = 64 << 20;

/// Encodes assignments; its memory is used again and again, and so is what it made of many endpoints
/// that another assignment uses in the same way.
#[derive(Clone, Debug)]
pub struct Encoder {
    bytes: Backwards,
    known: FxHashMap<PartIdentity, Known>,
    /// What the assignment at hand has made: whose it is, and where it begins and ends, from the end.
    made: Vec<(PartIdentity, Range<usize>)>,
    /// Whether the assignment at hand uses what another made.
    is_renewed: bool,
    /// What the last endpoint of an assignment was, its bytes from the port on, and how many of them are
    /// the port's.
    last: Option<Alike>,
    mould: Vec<u8>,
    port: usize,
    /// How many bytes are known.
    kept: usize,
    /// Metadata of nearly all endpoints: Istio's mutual TLS, and a tunnel.
    istio: Box<[u8]>,
    tunnel: Box<[u8]>,
}

/// The bytes of a part.
#[derive(Clone, Debug)]
struct Known {
    within: Arc<[u8]>,
    range: Range<usize>,
}

impl Known {
    fn bytes(&self) -> &[u8] {
        self.within.get(self.range.clone()).unwrap_or_default()
    }
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
            made: Vec::new(),
            is_renewed: false,
            last: None,
            mould: Vec::new(),
            port: 0,
            kept: 0,
            istio: fragment("tlsMode", "istio"),
            tunnel: fragment("tunnel", "http"),
        }
    }
}

impl Encoder {
    /// Encodes an assignment under the name of its cluster.
    pub fn encode(&mut self, name: &str, assignment: &Assignment) -> Arc<[u8]> {
        // Texts are told apart by their addresses, as long as they are there.
        self.last = None;
        let n_endpoints: usize = assignment.localities().map(AssignedLocality::len).sum();
        self.bytes.reserve(n_endpoints.saturating_mul(USUAL));
        for locality in assignment.localities().rev() {
            let mark = self.bytes.len();
            self.locality(locality, name);
            self.bytes.field(2, mark);
        }
        self.bytes.some_text(1, name);
        let whole = self.bytes.take();
        self.remember(&whole);
        whole
    }

    /// Forgets what it made of endpoints, and keeps its memory.
    pub fn forget(&mut self) {
        self.known.clear();
        self.kept = 0;
    }

    /// Keeps what an assignment has made: as part of the whole where all is new, else by itself, so that
    /// a few bytes do not keep many.
    fn remember(&mut self, whole: &Arc<[u8]>) {
        let shares = !std::mem::take(&mut self.is_renewed);
        let mut made = std::mem::take(&mut self.made);
        for (identity, from_end) in made.drain(..) {
            let at = |from_end: usize| whole.len().saturating_sub(from_end);
            let range = at(from_end.end)..at(from_end.start);
            let len = range.len();
            if self.kept.saturating_add(len) > MAX_KEPT {
                self.forget();
            }
            self.kept = self.kept.saturating_add(len);
            let within = if shares {
                Arc::clone(whole)
            } else {
                Arc::from(whole.get(range.clone()).unwrap_or_default())
            };
            let range = if shares { range } else { 0..len };
            self.known.insert(identity, Known { within, range });
        }
        self.made = made;
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
            self.is_renewed = true;
            return self.bytes.push(known.bytes());
        }
        let mark = self.bytes.len();
        self.endpoints(part, name);
        self.made.push((identity, mark..self.bytes.len()));
    }

    fn endpoints(&mut self, part: AssignedPart<'_>, name: &str) {
        if let Some((first, alike)) = part.alike()
            && let Some(cast) = Cast::new(first)
            && alike.clone().all(|endpoint| plain_address(endpoint).is_some())
        {
            self.mould(cast, name);
            for address in alike.rev().filter_map(plain_address) {
                let mark = self.bytes.len();
                self.fill(address);
                self.bytes.field(2, mark);
            }
            return;
        }
        for endpoint in part.endpoints().rev() {
            let mark = self.bytes.len();
            match Cast::new(endpoint) {
                Some(cast) => self.cast(cast, name),
                None => self.endpoint(endpoint, name),
            }
            self.bytes.field(2, mark);
        }
    }

    /// An endpoint that differs from the last one perhaps in its address alone.
    fn cast(&mut self, cast: Cast<'_>, name: &str) {
        self.mould(cast, name);
        self.fill(cast.address);
    }

    /// Makes the mould of an endpoint, unless the last one had the same.
    fn mould(&mut self, cast: Cast<'_>, name: &str) {
        if self.last == Some(cast.of) {
            return;
        }
        let mark = self.bytes.len();
        self.behind_address(cast.endpoint, name);
        self.bytes.number(3, cast.of.port.into());
        self.mould.clear();
        self.mould.extend_from_slice(self.bytes.since(mark));
        self.bytes.back_to(mark);
        // Of the mould, only the port belongs to what stands before it.
        self.port = 1 + varint_len(cast.of.port);
        self.last = Some(cast.of);
    }

    /// An endpoint of the mould, at an address.
    fn fill(&mut self, address: Ipv4Addr) {
        self.bytes.push(&self.mould);
        let text = self.bytes.len();
        self.bytes.ipv4(address);
        let len = self.bytes.len().saturating_sub(text);
        // `Endpoint`, `Address` and `SocketAddress`, of which one holds the other, and the text.
        let narrow = |len: usize| u8::try_from(len).unwrap_or(u8::MAX);
        let socket = narrow(len.saturating_add(2).saturating_add(self.port));
        let [address, endpoint] = [2, 4].map(|more| socket.saturating_add(more));
        self.bytes.push_array([0x0A, endpoint, 0x0A, address, 0x0A, socket, 0x12, narrow(len)]);
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

/// Which endpoints of one assignment differ in their addresses alone.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Alike {
    /// Where the texts are that say whose they are.
    told: [usize; 2],
    port: u16,
    weight: u32,
    health: HealthStatus,
    transport: Transport,
}

/// An endpoint that is dialled by an IPv4 address and no other, and whose TLS is no word of its own.
#[derive(Clone, Copy, Debug)]
struct Cast<'a> {
    endpoint: AssignedEndpoint<'a>,
    address: Ipv4Addr,
    of: Alike,
}

impl<'a> Cast<'a> {
    fn new(endpoint: AssignedEndpoint<'a>) -> Option<Self> {
        let (Target::Direct(to), Some(kind)) = (endpoint.target(), endpoint.kind()) else {
            return None;
        };
        let address = plain_address(to)?;
        let transport = endpoint.transport();
        if transport == Transport::OtherTls {
            return None;
        }
        // Looking at each workload is what takes time.
        let name = kind.name.as_ref().unwrap_or_else(|| &to.workload.name);
        let told = [name, &kind.metadata].map(|text| text.as_ptr().addr());
        let (weight, health) = (endpoint.weight(), endpoint.health());
        let of = Alike { told, port: to.port, weight, health, transport };
        Some(Self { endpoint, address, of })
    }
}

/// The address of an endpoint that has one, of IPv4.
#[inline]
fn plain_address(endpoint: &Endpoint) -> Option<Ipv4Addr> {
    let Address::Ip(IpAddr::V4(address)) = endpoint.address else { return None };
    endpoint.more_addresses.is_empty().then_some(address)
}

/// How many bytes a number takes.
const fn varint_len(number: u16) -> usize {
    match number {
        0..0x80 => 1,
        0x80..0x4000 => 2,
        0x4000.. => 3,
    }
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
