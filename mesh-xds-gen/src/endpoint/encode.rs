//! An assignment straight to the bytes of its `ClusterLoadAssignment`.
//!
//! They are those of the message that [`from_assignment`](super::from_assignment) makes, which nobody
//! then has to make: a law of the tests.
use std::net::{IpAddr, Ipv4Addr};
use std::ops::Range;

use bytes::Bytes;
use mesh_lb::assign::{
    AssignedEndpoint, AssignedLocality, AssignedPart, Assignment, PartIdentity, Target, Transport,
};
use mesh_model::endpoint::Address;
use mesh_model::name::Locality;
use rustc_hash::FxHashMap;

use super::cast::{Cast, Mould, plain_address, varint_len};
use super::metadata::{ISTIO, ORIGINAL_DESTINATION, TRANSPORT};
use super::whole::Whole;
use super::{health_status, host_port};
use crate::encode::{Backwards, Pool};
use crate::name::SubsetKey;

const WORKLOAD: &str = "workload";
/// So many endpoints are worth being kept as bytes; fewer are soon encoded again.
const WORTH_KEEPING: usize = 8;
/// So long is an assignment whose parts are kept within it: it shares its memory with few others.
const WORTH_SHARING: usize = 16 << 10;
/// As many bytes an endpoint takes, or less.
const USUAL: usize = 160;
/// As many bytes of endpoints are kept; if there are more, all are forgotten.
const MAX_KEPT: usize = 64 << 20;

/// Encodes assignments; its memory is used again and again, and so is what it made of many endpoints
/// that another assignment uses in the same way.
#[derive(Clone, Debug)]
pub struct Encoder {
    bytes: Backwards,
    known: FxHashMap<PartIdentity, Bytes>,
    /// What the assignment at hand has made: whose it is, and where it begins and ends, from the end.
    made: Vec<(PartIdentity, Range<usize>)>,
    /// Whether the assignment at hand uses what another made.
    is_renewed: bool,
    /// What the last endpoint of the assignment at hand was.
    mould: Mould,
    again: Again,
    /// What the last whole service's endpoints are as bytes.
    whole: Whole,
    /// Localities, most of which are met again and again.
    places: Places,
    /// How many bytes are known.
    kept: usize,
    /// Metadata of nearly all endpoints: Istio's mutual TLS, and a tunnel.
    istio: Box<[u8]>,
    tunnel: Box<[u8]>,
}

/// What of the assignment at hand is other where its endpoints listen to another port.
#[derive(Clone, Debug, Default)]
pub(super) struct Again {
    /// How long it is without its name, which comes first.
    len: usize,
    /// Where the ports are, each by how many bytes it is from the end.
    pub(super) ports: Vec<usize>,
    /// Whether ports stand elsewhere too, or are not known, or there is more to be remembered.
    pub(super) is_other: bool,
}

/// Localities as `LocalityLbEndpoints` names them, by the addresses of their texts, which endpoints share; a set
/// after the other, in each the last one first.
#[derive(Clone, Debug)]
struct Places(Box<[Option<Named>]>);

/// A locality, held so that no other text takes its address, and the bytes that name it.
type Named = (Locality, Box<[u8]>);

impl Default for Places {
    fn default() -> Self {
        Self(vec![None; Self::SETS * Self::WAYS].into())
    }
}

impl Places {
    /// So many sets there are, and so many of one are known at most; the one that came first goes for another.
    const SETS: usize = 32;
    const WAYS: usize = 4;

    fn put(&mut self, bytes: &mut Backwards, locality: &Locality) {
        let Self(slots) = self;
        let text = locality.text();
        // Texts lie some words apart from each other.
        let set = text.as_ptr().addr() / 16 % Self::SETS * Self::WAYS;
        let set = slots.get_mut(set..set + Self::WAYS).unwrap_or_default();
        let known = set.iter().flatten().find(|(known, _)| std::ptr::eq(known.text(), text));
        if let Some((_, written)) = known {
            return bytes.push(written);
        }
        let mark = bytes.len();
        place(bytes, locality);
        bytes.field(1, mark);
        if let [.., last] = set {
            *last = Some((locality.clone(), bytes.since(mark).into()));
            set.rotate_right(1);
        }
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
            mould: Mould::default(),
            again: Again::default(),
            whole: Whole::default(),
            places: Places::default(),
            kept: 0,
            istio: fragment("tlsMode", "istio"),
            tunnel: fragment("tunnel", "http"),
        }
    }
}

impl Encoder {
    /// Encodes an assignment under the name of its cluster.
    pub fn encode(&mut self, name: &str, assignment: &Assignment) -> Bytes {
        self.encode_in(name, assignment, &mut Pool::default())
    }

    /// The same, one of many.
    pub(super) fn encode_in(
        &mut self,
        name: &str,
        assignment: &Assignment,
        pool: &mut Pool,
    ) -> Bytes {
        self.whole.begin_subset(assignment);
        self.written(name, assignment, pool)
    }

    /// The same of a service of which subsets are encoded next: what is the same of them is written once.
    pub(super) fn encode_whole(
        &mut self,
        name: &str,
        assignment: &Assignment,
        pool: &mut Pool,
    ) -> Bytes {
        self.whole.begin();
        let bytes = self.written(name, assignment, pool);
        self.whole.end(assignment, &bytes, &self.again);
        bytes
    }

    fn written(&mut self, name: &str, assignment: &Assignment, pool: &mut Pool) -> Bytes {
        self.mould.clear();
        self.again.ports.clear();
        self.again.is_other = false;
        self.bytes.reserve(assignment.n_endpoints_of_service().saturating_mul(USUAL));
        for locality in assignment.localities().rev() {
            let mark = self.bytes.len();
            self.locality(locality, name);
            self.bytes.field(2, mark);
        }
        self.again.len = self.bytes.len();
        self.bytes.some_text(1, name);
        let whole = self.bytes.take(pool);
        self.remember(&whole);
        whole
    }

    /// Encodes the assignment that it has encoded last under another name, and with endpoints that listen
    /// to the port `to` where those listen to `from`.
    ///
    /// `None` if that is not soon done: it is then to be encoded as any other.
    pub(super) fn encode_again(
        &mut self,
        name: &str,
        (from, to): (u16, u16),
        pool: &mut Pool,
    ) -> Option<Bytes> {
        let Again { len, ports, is_other } = &self.again;
        if *is_other || varint_len(from) != varint_len(to) {
            return None;
        }
        self.bytes.restore(*len);
        for port in ports {
            self.bytes.replace(*port, from, to)?;
        }
        self.bytes.some_text(1, name);
        Some(self.bytes.take(pool))
    }

    /// Forgets what it made of endpoints, and keeps its memory.
    pub fn forget(&mut self) {
        self.known.clear();
        (self.whole, self.kept) = (Whole::default(), 0);
    }

    /// Keeps what an assignment has made: as part of the whole where that is long and all is new, else by
    /// itself, so that a few bytes do not keep many.
    fn remember(&mut self, whole: &Bytes) {
        let shares = !std::mem::take(&mut self.is_renewed) && whole.len() >= WORTH_SHARING;
        let mut made = std::mem::take(&mut self.made);
        for (identity, from_end) in made.drain(..) {
            let at = |from_end: usize| whole.len().saturating_sub(from_end);
            let range = at(from_end.end)..at(from_end.start);
            let len = range.len();
            if self.kept.saturating_add(len) > MAX_KEPT {
                self.forget();
            }
            self.kept = self.kept.saturating_add(len);
            let Some(part) = whole.get(range) else { continue };
            let kept = if shares { whole.slice_ref(part) } else { Bytes::copy_from_slice(part) };
            self.known.insert(identity, kept);
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
        self.places.put(&mut self.bytes, locality.locality());
    }

    fn part(&mut self, part: AssignedPart<'_>, name: &str) {
        if self.whole.put(part, &mut self.bytes, &mut self.again).is_some() {
            return;
        }
        let (mark, ports) = (self.bytes.len(), self.again.ports.len());
        self.new_part(part, name);
        self.whole.note(part, mark..self.bytes.len(), ports..self.again.ports.len());
    }

    /// The endpoints of a part, or what is known of it.
    fn new_part(&mut self, part: AssignedPart<'_>, name: &str) {
        let identity = if part.len() < WORTH_KEEPING { None } else { part.identity() };
        let Some(identity) = identity else { return self.endpoints(part, name) };
        self.again.is_other = true;
        if let Some(known) = self.known.get(&identity) {
            self.is_renewed = true;
            return self.bytes.push(known);
        }
        let mark = self.bytes.len();
        self.endpoints(part, name);
        self.made.push((identity, mark..self.bytes.len()));
    }

    fn endpoints(&mut self, part: AssignedPart<'_>, name: &str) {
        let Some((first, alike)) = part.alike() else { return self.each(part, name) };
        let Some(cast) = Cast::new(first) else { return self.each(part, name) };
        let others = part.len().saturating_sub(1);
        if others == 0 {
            return self.one(&cast, name);
        }
        if !alike.clone().all(|of| plain_address(of).is_some()) {
            return self.each(part, name);
        }
        // The last one comes first; the others are written as that one is.
        let mut addresses = alike.rev().filter_map(plain_address);
        if let Some(address) = addresses.next() {
            self.one(&cast.at(address), name);
        }
        for address in addresses.take(others) {
            let mark = self.bytes.len();
            self.bytes.push(self.mould.bytes());
            self.address(address, cast.port());
            self.bytes.field(2, mark);
        }
    }

    /// The endpoints of a part one by one.
    fn each(&mut self, part: AssignedPart<'_>, name: &str) {
        for endpoint in part.endpoints().rev() {
            if let Some(cast) = Cast::new(endpoint) {
                self.one(&cast, name);
                continue;
            }
            let mark = self.bytes.len();
            self.endpoint(endpoint, name);
            self.bytes.field(2, mark);
        }
    }

    fn one(&mut self, cast: &Cast<'_>, name: &str) {
        let mark = self.bytes.len();
        self.cast(cast, name);
        self.bytes.field(2, mark);
    }

    /// An endpoint that differs from the last one perhaps in its address and in whose it is alone: it is written
    /// as that one was from the port on.
    fn cast(&mut self, cast: &Cast<'_>, name: &str) {
        match self.mould.filled(cast) {
            Some(bytes) => self.bytes.push(bytes),
            None => {
                let mark = self.bytes.len();
                let told = self.behind_address(cast.endpoint, name);
                self.bytes.number(3, cast.port().into());
                self.mould.set(cast, (&self.bytes, mark), &told);
            }
        }
        self.address(cast.address, cast.port());
    }

    /// The address before a port.
    #[inline]
    fn address(&mut self, address: Ipv4Addr, port: u16) {
        let text = self.bytes.len();
        if !self.again.is_other {
            // Behind the tag.
            self.again.ports.push(text.saturating_sub(1));
        }
        self.bytes.ipv4(address);
        let len = self.bytes.len().saturating_sub(text);
        // `Endpoint`, `Address` and `SocketAddress`, of which one holds the other, and the text; of what
        // follows, only the port belongs to them.
        let narrow = |len: usize| u8::try_from(len).unwrap_or(u8::MAX);
        let socket = narrow(len.saturating_add(3).saturating_add(varint_len(port)));
        let [address, endpoint] = [2, 4].map(|more| socket.saturating_add(more));
        self.bytes.push_array([0x0A, endpoint, 0x0A, address, 0x0A, socket, 0x12, narrow(len)]);
    }

    /// `LbEndpoint`.
    fn endpoint(&mut self, endpoint: AssignedEndpoint<'_>, name: &str) {
        let target = endpoint.target();
        self.again.is_other |= !matches!(target, Target::Gateway(_));
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

    /// What follows the host: health, metadata and weight. Returns where the text is that says whose it is.
    fn behind_address(&mut self, endpoint: AssignedEndpoint<'_>, name: &str) -> Range<usize> {
        self.bytes.wrapped(4, endpoint.weight());
        let mark = self.bytes.len();
        let told = self.metadata(endpoint, name);
        self.bytes.field(3, mark);
        let health = i32::from(health_status(endpoint.health()));
        self.bytes.some_number(2, u64::try_from(health).unwrap_or_default());
        told
    }

    /// `Metadata`: filters by name, the last one first. Returns where the text is that says whose it is.
    fn metadata(&mut self, endpoint: AssignedEndpoint<'_>, name: &str) -> Range<usize> {
        let target = endpoint.target();
        let mark = self.bytes.len();
        match target {
            Target::Gateway(gateway) | Target::DoubleTunnel(gateway) => {
                self.bytes.push(gateway.cluster.as_str().as_bytes());
                self.bytes.push(b";;;;");
            }
            Target::Direct(to) | Target::Tunnel(to) => match endpoint.kind() {
                Some(kind) => {
                    self.bytes.push(kind.metadata.as_bytes());
                    let name = kind.name.as_ref().unwrap_or_else(|| to.workload_name());
                    self.bytes.push(name.as_bytes());
                }
                None => self.bytes.push(to.metadata().as_bytes()),
            },
        }
        let told = mark..self.bytes.len();
        if matches!(target, Target::DoubleTunnel(_)) {
            self.bytes.field(3, mark);
            value(&mut self.bytes, WORKLOAD, mark);
            let outer = self.bytes.len();
            let key = SubsetKey::parse(name);
            let text = format!("{}:{}", key.host, key.port);
            text_value(&mut self.bytes, "hbone_target_address", &text);
            self.bytes.field(5, outer);
            value(&mut self.bytes, "double_hbone", outer);
            filter(&mut self.bytes, ISTIO, mark);
        } else {
            whose(&mut self.bytes, mark);
        }
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
        told
    }
}

/// `Locality`.
fn place(bytes: &mut Backwards, locality: &Locality) {
    bytes.some_text(3, locality.sub_zone());
    bytes.some_text(2, locality.zone());
    bytes.some_text(1, locality.region());
}

/// `Address` of a socket or, of whatever has port 0, a pipe.
fn socket(bytes: &mut Backwards, address: &Address, port: u16) {
    let mark = bytes.len();
    if matches!(address, Address::Unix(_)) || port == 0 {
        bytes.some_text(1, &address.to_string());
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

/// The metadata of Istio's filter around the text that says whose an endpoint is.
fn whose(bytes: &mut Backwards, mark: usize) {
    // Of the messages that hold one another, the outermost is 25 bytes longer than the text.
    if let Ok(len @ 0..=102) = u8::try_from(bytes.len().saturating_sub(mark)) {
        let [value, entry, fields, filter] = [2, 14, 16, 25].map(|more| len.saturating_add(more));
        bytes.push_array([0x12, value, 0x1A, len]);
        bytes.push_array(*b"\x0A\x08workload");
        return bytes.push_array([
            0x0A, filter, 0x0A, 5, b'i', b's', b't', b'i', b'o', 0x12, fields, 0x0A, entry,
        ]);
    }
    bytes.field(3, mark);
    value(bytes, WORKLOAD, mark);
    filter(bytes, ISTIO, mark);
}

/// Which transport an endpoint needs.
fn transport(bytes: &mut Backwards, key: &str, text: &str) {
    let mark = bytes.len();
    text_value(bytes, key, text);
    filter(bytes, TRANSPORT, mark);
}
