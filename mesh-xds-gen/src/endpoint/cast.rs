//! Endpoints that differ in their addresses alone: what follows the address is written once.
use std::net::{IpAddr, Ipv4Addr};
use std::ops::Range;

use mesh_lb::assign::{AssignedEndpoint, Target, Transport};
use mesh_model::endpoint::{Address, Endpoint, HealthStatus};

use crate::encode::Backwards;

/// How an endpoint is told, beside whose it is and its address.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Alike {
    port: u16,
    weight: u32,
    health: HealthStatus,
    transport: Transport,
}

/// An endpoint that is dialled by a port of an IPv4 address and no other, and whose TLS is no word of its own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cast<'a> {
    pub(super) endpoint: AssignedEndpoint<'a>,
    pub(super) address: Ipv4Addr,
    /// Whose it is: the workload's name, and what follows it.
    told: [&'a str; 2],
    of: Alike,
}

impl<'a> Cast<'a> {
    pub(super) fn new(endpoint: AssignedEndpoint<'a>) -> Option<Self> {
        let (Target::Direct(to), Some(kind)) = (endpoint.target(), endpoint.kind()) else {
            return None;
        };
        let address = plain_address(to)?;
        let transport = endpoint.transport();
        if transport == Transport::OtherTls || to.port == 0 {
            return None;
        }
        // Looking at each workload is what takes time.
        let told = [kind.name.as_ref().unwrap_or_else(|| to.workload_name()), &*kind.metadata];
        let (weight, health) = (endpoint.weight(), endpoint.health());
        let of = Alike { port: to.port, weight, health, transport };
        Some(Self { endpoint, address, told, of })
    }

    /// Another one, at another address.
    pub(super) const fn at(self, address: Ipv4Addr) -> Self {
        Self { address, ..self }
    }

    pub(super) const fn port(&self) -> u16 {
        self.of.port
    }
}

/// What an assignment's last endpoint was, and its bytes from the port on.
#[derive(Clone, Debug, Default)]
pub(super) struct Mould {
    of: Option<Alike>,
    bytes: Vec<u8>,
    /// Where the text is among them that says whose an endpoint is.
    told: Range<usize>,
}

impl Mould {
    /// Is of no endpoint.
    pub(super) const fn clear(&mut self) {
        self.of = None;
    }

    /// Is of an endpoint that was written from a mark on. `told` is where the text is that says whose it is, from
    /// the end of the bytes.
    pub(super) fn set(
        &mut self,
        cast: &Cast<'_>,
        (bytes, mark): (&Backwards, usize),
        told: &Range<usize>,
    ) {
        let at = |from_end: usize| bytes.len().saturating_sub(from_end);
        (self.of, self.told) = (Some(cast.of), at(told.end)..at(told.start));
        self.bytes.clear();
        self.bytes.extend_from_slice(bytes.since(mark));
    }

    /// The bytes of an endpoint from the port on; `None` where more is to be written than whose it is, in as many
    /// bytes.
    #[inline]
    pub(super) fn filled(&mut self, cast: &Cast<'_>) -> Option<&[u8]> {
        let [name, metadata] = cast.told.map(str::as_bytes);
        let place = self.bytes.get_mut(self.told.clone())?;
        let (of_name, of_metadata) = place.split_at_mut_checked(name.len())?;
        if self.of != Some(cast.of) || of_metadata.len() != metadata.len() {
            return None;
        }
        of_name.copy_from_slice(name);
        of_metadata.copy_from_slice(metadata);
        Some(&self.bytes)
    }

    /// The bytes of the last endpoint.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// The address of an endpoint that has one, of IPv4.
#[inline]
pub(super) fn plain_address(endpoint: &Endpoint) -> Option<Ipv4Addr> {
    let Address::Ip(IpAddr::V4(address)) = endpoint.address else { return None };
    endpoint.more_addresses.is_empty().then_some(address)
}

/// How many bytes a number takes.
pub(super) const fn varint_len(number: u16) -> usize {
    match number {
        0..0x80 => 1,
        0x80..0x4000 => 2,
        0x4000.. => 3,
    }
}
