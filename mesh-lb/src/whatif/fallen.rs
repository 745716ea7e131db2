//! Gateways that a failure takes away: by name, with their cluster or network, or with their pods.
use mesh_model::endpoint::{Gateways, NetworkGateway};
use mesh_model::name::NetworkId;
use mesh_model::registry::{ControlPlane, Mesh};

use super::Scenario;

/// The gateways that clients of one control plane no longer get through, whatever is behind them.
#[derive(Clone, Debug, Default)]
pub(super) struct Fallen<'p>(Vec<&'p NetworkGateway>);

impl Fallen<'_> {
    pub(super) fn contains(&self, gateway: &NetworkGateway) -> bool {
        self.0.contains(&gateway)
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Scenario {
    /// Finds the gateways that a failure names, and those whose service loses all of its pods.
    pub(super) fn fallen<'p>(&self, mesh: &Mesh, plane: &'p ControlPlane) -> Fallen<'p> {
        if self.failures.is_empty() {
            return Fallen::default();
        }
        let is_named =
            |gateway: &&NetworkGateway| self.failures.iter().any(|it| it.hits_gateway(gateway));
        let has_lost_its_pods = |gateway: &&NetworkGateway| self.takes_pods(mesh, plane, gateway);
        let gateways = plane.named_gateways.iter();
        Fallen(gateways.filter(|one| is_named(one) || has_lost_its_pods(one)).collect())
    }

    /// Whether a failure hits every pod that stands behind the address of a gateway.
    fn takes_pods(&self, mesh: &Mesh, plane: &ControlPlane, gateway: &NetworkGateway) -> bool {
        let Some(host) = mesh.service_of_gateway(plane, gateway) else { return false };
        let mut services = plane.services.of_host(host.as_str());
        services.any(|service| {
            let Some(shards) = plane.shards(service) else { return false };
            let ranks = self.ranks(shards, host.as_str());
            let own = shards.iter().filter(|shard| shard.cluster == gateway.cluster);
            let mut own = own.flat_map(|shard| shard.endpoints()).peekable();
            own.peek().is_some() && own.all(|one| self.hits(one, host.as_str(), &ranks))
        })
    }
}

/// Whether a network was entered through gateways and has none left.
pub(super) fn is_cut_off(network: &NetworkId, before: &Gateways, after: &Gateways) -> bool {
    !before.of_network(network).is_empty() && after.of_network(network).is_empty()
}
