//! Where the pods of a service are.
//!
//! Slices hold endpoints by the million: what the mesh does not read of them is not kept, and what most
//! of them do not have takes no room.
mod packed;

use std::net::IpAddr;
use std::ops::Deref;
use std::sync::Arc;

pub use self::packed::{EntryTarget, SliceEndpoints, SliceEntry};
use super::Meta;
use super::service::Transport;
use crate::manifest::Node;
use crate::manifest::decode::{Cursor, Decode, choice, clip, message, text};

message! {
    /// Kubernetes `discovery.k8s.io/v1` `EndpointSlice`: what the mesh reads of it.
    ///
    /// The service is that of label `kubernetes.io/service-name`. Zones, hints and topology of the
    /// slice are not read: a locality is that of the pod's node.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/serviceregistry/kube/controller/endpointslice.go`.
    pub struct EndpointSlice ignoring unknown {
        /// Name, namespace, labels.
        meta: Meta = (elsewhere),
        /// What the addresses are.
        address_type: AddressType = "addressType",
        /// The endpoints.
        endpoints: SliceEndpoints = "endpoints",
        /// The ports, which every endpoint of the slice has.
        ports: Box<[SlicePort]> = "ports",
    }
}

choice! {
    /// What the addresses of a slice are.
    pub enum AddressType default Ipv4 {
        /// IPv4 addresses.
        Ipv4 = "IPv4",
        /// IPv6 addresses.
        Ipv6 = "IPv6",
        /// Host names; the mesh ignores such slices.
        Fqdn = "FQDN",
    }
}

message! {
    /// An endpoint of a slice, as slices are made of it.
    pub struct SliceEndpoint ignoring unknown {
        /// Its addresses; consumers use each as an endpoint of its own.
        addresses: EndpointAddresses = "addresses",
        /// Its state.
        conditions: EndpointConditions = "conditions",
        /// The object that it is, as a rule a pod.
        target_ref: Option<Box<TargetRef>> = "targetRef",
    }
}

message! {
    /// The state of an endpoint; absent conditions are unknown, which is not false.
    #[derive(Copy, Eq)]
    pub struct EndpointConditions ignoring unknown {
        /// Whether it takes traffic; unknown counts as yes.
        ready: Option<bool> = "ready",
        /// Whether it answers, ending or not.
        serving: Option<bool> = "serving",
        /// Whether it is ending.
        terminating: Option<bool> = "terminating",
    }
}

message! {
    /// The object that an endpoint is.
    pub struct TargetRef ignoring unknown {
        /// The kind.
        kind: TargetKind = "kind",
        /// The name.
        name: Box<str> = "name",
        /// The namespace, empty for that of the slice.
        namespace: Box<str> = "namespace",
    }
}

/// What kind of object an endpoint is.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "only pods are told apart from the rest")]
pub enum TargetKind {
    /// A pod of the cluster.
    Pod,
    /// Anything else, which is not looked for.
    #[default]
    Other,
}

impl Decode for TargetKind {
    fn decode(node: &Node, cursor: &mut Cursor) -> Option<Self> {
        let text = text(node, cursor)?;
        Some(if text == "Pod" { Self::Pod } else { Self::Other })
    }
}

message! {
    /// A port of a slice.
    pub struct SlicePort ignoring unknown {
        /// The name of the service's port.
        name: Box<str> = "name",
        /// The number; absent: all ports.
        port: Option<u32> = "port",
        /// The transport.
        protocol: Transport = "protocol",
        /// The protocol as the service's port has it.
        app_protocol: Option<Box<str>> = "appProtocol",
    }
}

/// An address of an endpoint.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "what is no address is a name")]
pub enum EndpointAddress {
    /// An IP address.
    Ip(IpAddr),
    /// Anything else: a host name, or what should have been an address.
    Name(Arc<str>),
}

impl Decode for EndpointAddress {
    fn decode(node: &Node, cursor: &mut Cursor) -> Option<Self> {
        let text = text(node, cursor)?;
        Some(text.parse().map_or_else(|_| Self::Name(text.into()), Self::Ip))
    }
}

/// The addresses of an endpoint, nearly always one, which takes no room of its own then.
#[derive(Clone, Debug, PartialEq)]
pub struct EndpointAddresses(Addresses);

#[derive(Clone, Debug, PartialEq)]
enum Addresses {
    One(EndpointAddress),
    // INVARIANT: not one.
    Other(Box<[EndpointAddress]>),
}

impl Default for EndpointAddresses {
    fn default() -> Self {
        Self(Addresses::Other(Box::default()))
    }
}

impl Deref for EndpointAddresses {
    type Target = [EndpointAddress];

    fn deref(&self) -> &[EndpointAddress] {
        match &self.0 {
            Addresses::One(address) => std::slice::from_ref(address),
            Addresses::Other(addresses) => addresses,
        }
    }
}

impl FromIterator<EndpointAddress> for EndpointAddresses {
    fn from_iter<I: IntoIterator<Item = EndpointAddress>>(addresses: I) -> Self {
        let mut addresses = addresses.into_iter();
        let (first, second) = (addresses.next(), addresses.next());
        Self(match (first, second) {
            (Some(only), None) => Addresses::One(only),
            (first, second) => {
                Addresses::Other(first.into_iter().chain(second).chain(addresses).collect())
            }
        })
    }
}

impl<const N: usize> From<[EndpointAddress; N]> for EndpointAddresses {
    fn from(addresses: [EndpointAddress; N]) -> Self {
        addresses.into_iter().collect()
    }
}

impl Decode for EndpointAddresses {
    fn decode(node: &Node, cursor: &mut Cursor) -> Option<Self> {
        Some(Vec::decode(node, cursor)?.into_iter().collect())
    }
}

impl EndpointSlice {
    /// Warns of what is ignored: slices of names, addresses that are none, ports beyond the last.
    pub(super) fn check(&self, node: &Node, cursor: &mut Cursor) {
        for (index, port) in self.ports.iter().enumerate() {
            let Some(number) = port.port.filter(|number| !(1..=65_535).contains(number)) else {
                continue;
            };
            let field = format!("ports[{index}].port");
            let message = format!("`{number}` is not the number of a port");
            let place = node.locate(&field);
            let help = "write a number of 1 to 65535";
            cursor.field(&field, |cursor| cursor.warn("PORT-RANGE", place, message, help));
        }
        if self.address_type == AddressType::Fqdn {
            let message =
                "the mesh ignores slices of host names: the service has none of these endpoints";
            let help = "use a ServiceEntry with resolution DNS";
            let place = node.locate("addressType");
            cursor.field("addressType", |cursor| cursor.warn("SLICE-FQDN", place, message, help));
            return;
        }
        for (endpoint, entry) in self.endpoints.iter().enumerate() {
            for (address, name) in entry.addresses().enumerate() {
                let EndpointAddress::Name(name) = name else { continue };
                let field = format!("endpoints[{endpoint}].addresses[{address}]");
                let message = format!("`{}` is not an IP address", clip(&name));
                let place = node.locate(&field);
                let help = "write the address of a pod; host names need a ServiceEntry";
                cursor.field(&field, |cursor| cursor.warn("ADDRESS", place, message, help));
            }
        }
    }
}
