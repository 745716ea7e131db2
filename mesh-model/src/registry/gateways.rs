//! Which objects are gateways of a network, and at which addresses.
//!
//! # Upstream
//!
//! istio/istio `pilot/pkg/serviceregistry/kube/controller/network.go` `getGatewayDetails`,
//! `extractGatewaysInner`, `handleGatewayResource`; `pilot/pkg/model/network.go` `reload`.
use std::collections::BTreeMap;
use std::sync::Arc;

use super::place::NETWORK;
use crate::endpoint::{Address, NetworkGateway};
use crate::name::{ClusterId, Labels, NetworkId};

const GATEWAY_PORT: &str = "networking.istio.io/gatewayPort";
/// The port for mutual TLS of a gateway that does not say another.
const DEFAULT_PORT: u16 = 15443;
/// The port for HBONE.
const HBONE_PORT: u16 = 15008;

/// A service that may be a gateway.
#[derive(Debug)]
#[expect(clippy::exhaustive_structs, reason = "the inputs of one function")]
pub struct GatewayService<'s> {
    /// The cluster that it is in.
    pub cluster: &'s ClusterId,
    /// Its host.
    pub hostname: &'s str,
    /// Its labels.
    pub labels: &'s Labels,
    /// Its ports that are not UDP.
    pub ports: &'s [u16],
    /// Where it can be reached from outside the cluster.
    pub addresses: &'s [Address],
    /// What a service port is on these addresses where they are nodes.
    pub node_ports: &'s BTreeMap<u16, u16>,
}

/// A gateway that `MeshNetworks` names by its service: network, host and port.
pub type RegistryGateway<'n> = (&'n NetworkId, &'n str, u16);

/// Returns the gateways that a service is: by its network label, else because `MeshNetworks` names
/// it in its cluster (`registry` holds what networks that claim the cluster name).
pub fn of_service(
    service: &GatewayService<'_>,
    registry: &[RegistryGateway<'_>],
) -> Vec<NetworkGateway> {
    let details = match service.labels.value(NETWORK) {
        "" => registry
            .iter()
            .filter(|(_, host, _)| *host == service.hostname)
            .map(|(network, _, port)| ((*network).clone(), *port, 0))
            .collect(),
        network => Vec::from_iter(labelled(network, service)),
    };
    let mut gateways = Vec::new();
    for address in service.addresses {
        for (network, port, hbone_port) in &details {
            gateways.push(NetworkGateway {
                network: network.clone(),
                cluster: service.cluster.clone(),
                address: address.clone(),
                port: service.node_ports.get(port).copied().unwrap_or(*port),
                hbone_port: *hbone_port,
                service_account: Arc::from(""),
            });
        }
    }
    gateways
}

/// The network and ports of a service with a network label; `None` if it listens on neither port.
fn labelled(network: &str, service: &GatewayService<'_>) -> Option<(NetworkId, u16, u16)> {
    let wanted = match service.labels.value(GATEWAY_PORT).parse::<i64>() {
        Ok(port) => u16::try_from(port).unwrap_or_default(),
        Err(_) => DEFAULT_PORT,
    };
    let listening = |port| if service.ports.contains(&port) { port } else { 0 };
    let (port, hbone_port) = (listening(wanted), listening(HBONE_PORT));
    (port != 0 || hbone_port != 0).then(|| (NetworkId::from(network), port, hbone_port))
}

/// A gateway that `MeshNetworks` lists by address; it belongs to no cluster and speaks no HBONE.
pub fn of_mesh_networks(network: &NetworkId, address: &str, port: u16) -> NetworkGateway {
    NetworkGateway {
        network: network.clone(),
        cluster: ClusterId::default(),
        address: Address::parse(address),
        port,
        hbone_port: 0,
        service_account: Arc::from(""),
    }
}
