//! The networks of the mesh, and how they are entered.
mod validate;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::manifest::decode::{self, Cursor, Message, message, oneof};
use crate::manifest::{Diagnostic, Node, Value};

/// `MeshNetworks`.
///
/// # Upstream
///
/// istio/api `mesh/v1alpha1/network.proto`.
#[derive(Clone, Debug, Default, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "a message of public fields, like the others")]
pub struct MeshNetworks {
    /// The networks by name; one of which nothing is said (`n1:`) is empty.
    pub networks: BTreeMap<Box<str>, Network>,
}

impl Message for MeshNetworks {
    fn overlay(&mut self, node: &Node, cursor: &mut Cursor) {
        const NAME: (&str, &str) = ("networks", "networks");
        cursor.unknown_fields(node, &[&[NAME]]);
        let mut networks = BTreeMap::<Box<str>, Option<Network>>::new();
        decode::field(node, cursor, NAME, &mut networks);
        let networks = networks.into_iter();
        self.networks.extend(networks.map(|(name, network)| (name, network.unwrap_or_default())));
    }
}

impl MeshNetworks {
    /// Reads a document; without any error only, otherwise there are no networks.
    pub fn decode(document: &Node, file: &Arc<str>) -> (Self, Vec<Diagnostic>) {
        let mut cursor = Cursor::default();
        let mut networks = Self::default();
        // Null: an empty document.
        if !document.is_null() && cursor.expect_map(document) {
            networks.overlay(document, &mut cursor);
        }
        (networks, cursor.into_diagnostics(file, "MeshNetworks"))
    }

    /// Reads what can be read around errors: good for nothing but to look for more that is wrong.
    pub(super) fn partial(document: &Node) -> Self {
        let mut networks = Self::default();
        if matches!(document.value, Value::Map(_)) {
            networks.overlay(document, &mut Cursor::partial());
        }
        networks
    }
}

message! {
    /// A network: endpoints reach each other directly.
    pub struct Network {
        /// Which endpoints are in it.
        endpoints: Vec<NetworkEndpoints> = "endpoints",
        /// How it is entered from other networks.
        gateways: Vec<NetworkGateway> = "gateways",
    }
}

oneof! {
    /// Some endpoints of a network.
    pub enum NetworkEndpoints or Nothing {
        /// None: `{}`.
        _,
        /// Those in a range of addresses.
        FromCidr(Box<str>) = "fromCidr" | "from_cidr",
        /// Those of a cluster.
        FromRegistry(Box<str>) = "fromRegistry" | "from_registry",
    }
}

message! {
    /// A gateway into a network.
    pub struct NetworkGateway {
        /// Where it is; validation refuses a gateway that does not say it.
        target: Option<GatewayTarget> = (oneof GatewayTarget),
        /// The port.
        port: u32 = "port",
        /// Never used.
        locality: Box<str> = "locality",
    }
}

oneof! {
    /// Where a gateway is.
    pub enum GatewayTarget {
        /// The addresses of a service, by its host, in the clusters that `fromRegistry` names.
        RegistryServiceName(Box<str>) = "registryServiceName" | "registry_service_name",
        /// An address or a host name.
        Address(Box<str>) = "address",
    }
}
