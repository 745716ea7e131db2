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
use crate::resource::{GatewayAddress, GatewayListener, KubernetesGateway};

const GATEWAY_PORT: &str = "networking.istio.io/gatewayPort";
/// The port for mutual TLS of a gateway that does not say another.
const DEFAULT_PORT: u16 = 15443;
/// The class of gateways that stand for those of other clusters.
const REMOTE_CLASS: &str = "istio-remote";
const GATEWAY_ACCOUNT: &str = "gateway.istio.io/service-account";
const LISTENER_PROTOCOL: &str = "gateway.istio.io/listener-protocol";
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

/// Returns the gateways that a `Gateway` of the Gateway API with a network label is: for each of its
/// addresses with a type, one a listener that passes mutual TLS through and one a listener of HBONE,
/// which has its port for both; a listener that is both makes two.
///
/// `is_home`: the cluster is the config cluster; only there gateways of class `istio-remote` stand for
/// those of clusters that cannot be read.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/serviceregistry/kube/controller/network.go` `handleGatewayResource`;
/// `pkg/kube/util.go` `IsAutoPassthrough`.
pub fn of_resource(
    gateway: &KubernetesGateway,
    cluster: &ClusterId,
    is_home: bool,
) -> Vec<NetworkGateway> {
    let (meta, spec) = (&gateway.meta, &gateway.spec);
    let network = meta.labels.value(NETWORK);
    let is_remote = *spec.gateway_class_name == *REMOTE_CLASS;
    if network.is_empty() || (is_remote && !is_home) {
        return Vec::new();
    }
    let account = match meta.annotations.get(GATEWAY_ACCOUNT) {
        Some(name) => name.to_owned(),
        None if is_remote => format!("{}-{REMOTE_CLASS}", meta.name),
        None => meta.name.to_string(),
    };
    let account: Arc<str> = format!("{}/{account}", meta.namespace).into();
    let mut gateways = Vec::new();
    for address in spec.addresses.iter().filter(|address| has_usable_type(address)) {
        let entered = |port, hbone_port| NetworkGateway {
            network: NetworkId::from(network),
            cluster: cluster.clone(),
            address: Address::parse(&address.value),
            port,
            hbone_port,
            service_account: account.clone(),
        };
        for listener in &spec.listeners {
            let Ok(port) = u16::try_from(listener.port) else { continue };
            if passes_mutual_tls(listener, &meta.labels) {
                gateways.push(entered(port, 0));
            }
            if *listener.protocol == *"HBONE" {
                gateways.push(entered(port, port));
            }
        }
    }
    gateways
}

fn has_usable_type(address: &GatewayAddress) -> bool {
    matches!(address.kind.as_deref(), Some("IPAddress" | "Hostname"))
}

/// Whether a listener is for mutual TLS that is passed through: it says so, or has the port for it.
fn passes_mutual_tls(listener: &GatewayListener, labels: &Labels) -> bool {
    let Some(tls) = &listener.tls else { return false };
    let says_so = tls.options.get(LISTENER_PROTOCOL).is_some_and(|it| **it == *"auto-passthrough");
    let port = labels.get(GATEWAY_PORT).map_or_else(|| DEFAULT_PORT.to_string(), str::to_owned);
    says_so || listener.port.to_string() == port
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
