//! Gateways that a failure takes away: by name, with their cluster or network, or with their pods.
use mesh_model::endpoint::{Address, Endpoint, NetworkGateway};
use mesh_model::name::{ClusterId, Hostname};
use mesh_model::registry::{ControlPlane, Mesh};

use super::common::is_fit;
use super::{Failure, Scenario};

/// The addresses and ports of gateways that clients of one control plane no longer get through, whatever
/// is behind them. One address that stands for several networks is one gateway.
#[derive(Clone, Debug, Default)]
pub(super) struct Fallen<'p>(Vec<(&'p Address, u16)>);

impl Fallen<'_> {
    pub(super) fn contains(&self, dialled: (&Address, u16)) -> bool {
        self.0.contains(&dialled)
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What is left of a gateway; `None` if it has no port any more.
    pub(super) fn left_of(&self, gateway: &NetworkGateway) -> Option<NetworkGateway> {
        let left = |port| if self.contains((&gateway.address, port)) { 0 } else { port };
        let (port, hbone_port) = (left(gateway.port), left(gateway.hbone_port));
        let is_left = port != 0 || hbone_port != 0;
        is_left.then(|| NetworkGateway { port, hbone_port, ..gateway.clone() })
    }
}

impl Scenario {
    /// Finds the gateways that a failure names, and those whose services lose all pods that are ready.
    pub(super) fn fallen<'p>(&self, mesh: &Mesh, plane: &'p ControlPlane) -> Fallen<'p> {
        let mut fallen = Fallen::default();
        if self.failures.is_empty() {
            return fallen;
        }
        for gateway in plane.named_gateways.iter() {
            let lies_in_it = self.takes_place(gateway) || self.takes_pods(mesh, plane, gateway);
            for port in [gateway.port, gateway.hbone_port] {
                let names = |failure: &Failure| failure.hits_gateway(gateway, port);
                if port != 0 && (lies_in_it || self.failures.iter().any(names)) {
                    fallen.0.push((&gateway.address, port));
                }
            }
        }
        fallen
    }

    fn takes_place(&self, gateway: &NetworkGateway) -> bool {
        self.failures.iter().any(|failure| failure.takes_place(gateway))
    }

    /// Whether a failure takes the last ready pod that stands behind the address of a gateway, or every
    /// cluster that has it.
    fn takes_pods(&self, mesh: &Mesh, plane: &ControlPlane, gateway: &NetworkGateway) -> bool {
        let served = mesh.services_of_gateway(plane, gateway);
        let is_down = |cluster: &ClusterId| {
            let is_it =
                |failure: &Failure| matches!(failure, Failure::Cluster(name) if *cluster == **name);
            self.failures.iter().any(is_it)
        };
        if !served.is_empty() && served.iter().all(|(cluster, _)| is_down(cluster)) {
            return true;
        }
        let (mut is_hit, mut is_left) = (false, false);
        for (cluster, host) in &served {
            self.each_ready_pod(plane, (cluster, host), |pod, fails| {
                // Of an address that only `MeshNetworks` lists the network tells which service it is of, unless
                // that of the pods is not known.
                let network = &pod.workload.place.network;
                if !gateway.cluster.is_empty() || network.is_same_or_empty(&gateway.network) {
                    is_hit |= fails;
                    is_left |= !fails;
                }
            });
        }
        is_hit && !is_left
    }

    /// Hands out the pods of a service in a cluster that are ready, and whether they fail.
    fn each_ready_pod(
        &self,
        plane: &ControlPlane,
        (cluster, host): (&ClusterId, &Hostname),
        mut with: impl FnMut(&Endpoint, bool),
    ) {
        for shards in plane.services.of_host(host.as_str()).filter_map(|one| plane.shards(one)) {
            let ranks = self.ranks(shards, host.as_str());
            let own = shards.iter().filter(|shard| shard.cluster == *cluster);
            for pod in own.flat_map(|shard| shard.endpoints()).filter(|pod| is_fit(pod)) {
                with(pod, self.hits(pod, host.as_str(), &ranks));
            }
        }
    }
}
