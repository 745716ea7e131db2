//! How the networks of a mesh are entered, as a control plane finds out.
use super::cluster::ClusterIndex;
use super::plane::Plane;
use crate::endpoint::{Address, NetworkGateway};
use crate::name::{ClusterId, NetworkId, Protocol};
use crate::registry::discovery::Discovery;
use crate::registry::gateways::{self, RegistryGateway};
use crate::registry::place::NETWORK;
use crate::registry::{Store, kubernetes};
use crate::resource;
use crate::resource::mesh_networks::{GatewayTarget, Network, NetworkEndpoints};
use crate::resource::{KubernetesGateway, MeshNetworks};

/// Returns the gateways of all networks: those of each cluster, then what `MeshNetworks` lists.
pub(super) fn all(plane: &Plane<'_>) -> Vec<NetworkGateway> {
    let networks = &plane.index.around.networks;
    let mut found = Vec::new();
    for (index, store) in plane.members() {
        of_services(plane, index, store, &mut found);
        let is_home = index.id == *plane.id;
        if is_home {
            let objects = plane.all(|store| &store.kubernetes_gateways);
            objects.for_each(|object| of_object(plane, &index.id, object, &mut found));
        } else {
            let discovery = Discovery::new(&plane.index.around.config, store);
            let objects = store.kubernetes_gateways.iter();
            objects
                .filter(|object| discovery.contains(object.meta.namespace.as_str()))
                .for_each(|object| of_object(plane, &index.id, object, &mut found));
        }
    }
    for (network, settings) in &networks.networks {
        let network = NetworkId::from(&**network);
        for gateway in &settings.gateways {
            if let Some(GatewayTarget::Address(address)) = &gateway.target
                && let Ok(port) = u16::try_from(gateway.port)
            {
                found.push(gateways::of_mesh_networks(&network, address, port));
            }
        }
    }
    found.retain(|gateway| gateway.address != Address::Unknown);
    found
}

/// Whether a service can be a gateway.
pub(crate) fn is_candidate(networks: &MeshNetworks, object: &resource::Service) -> bool {
    let is_named = networks
        .networks
        .values()
        .flat_map(|network| &network.gateways)
        .any(|gateway| matches!(gateway.target, Some(GatewayTarget::RegistryServiceName(_))));
    is_named || !object.meta.labels.value(NETWORK).is_empty()
}

fn of_services(
    plane: &Plane<'_>,
    index: &ClusterIndex,
    store: &Store,
    found: &mut Vec<NetworkGateway>,
) {
    let around = &plane.index.around;
    let id = &index.id;
    let named = registry_gateways(&around.networks, id);
    let named: Vec<RegistryGateway<'_>> =
        named.iter().map(|(network, host, port)| (network, *host, *port)).collect();
    let cluster = index.cluster(store, around);
    for object in store.services.iter().filter(|object| is_candidate(&around.networks, object)) {
        let key = (object.meta.namespace.as_str(), &*object.meta.name);
        let Some(service) = index.service(key) else { continue };
        let external = kubernetes::external_addresses(object, &cluster);
        let ports = service.ports.iter().filter(|port| port.protocol != Protocol::Udp);
        let ports: Vec<u16> = ports.map(|port| port.number).collect();
        let candidate = gateways::GatewayService {
            cluster: id,
            hostname: service.hostname.as_str(),
            labels: &service.labels,
            ports: &ports,
            addresses: &external.addresses,
            node_ports: &external.node_ports,
        };
        found.extend(gateways::of_service(&candidate, &named));
    }
}

fn of_object(
    plane: &Plane<'_>,
    cluster: &ClusterId,
    object: &KubernetesGateway,
    found: &mut Vec<NetworkGateway>,
) {
    if plane.index.around.compat.flags.pilot_multi_network_discover_gateway_api {
        found.extend(gateways::of_resource(object, cluster, cluster == plane.id));
    }
}

/// The gateways that networks which claim a cluster name by service.
fn registry_gateways<'n>(
    networks: &'n MeshNetworks,
    cluster: &ClusterId,
) -> Vec<(NetworkId, &'n str, u16)> {
    let claims = |network: &Network| {
        let mut endpoints = network.endpoints.iter();
        endpoints.any(|entry| {
            matches!(entry, NetworkEndpoints::FromRegistry(name) if **name == *cluster.as_str())
        })
    };
    let mut found = Vec::new();
    for (id, network) in networks.networks.iter().filter(|(_, network)| claims(network)) {
        for gateway in &network.gateways {
            if let Some(GatewayTarget::RegistryServiceName(name)) = &gateway.target
                && let Ok(port) = u16::try_from(gateway.port)
            {
                found.push((NetworkId::from(&**id), &**name, port));
            }
        }
    }
    found
}
