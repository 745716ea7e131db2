//! How the networks of a mesh are entered from outside.
use std::collections::BTreeMap;
use std::sync::Arc;

use super::Address;
use crate::name::{ClusterId, NetworkId};

/// An address at which a network can be entered.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/model/network.go` `NetworkGateway`.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[expect(clippy::exhaustive_structs, reason = "callers build gateways by hand")]
pub struct NetworkGateway {
    /// The network behind it.
    pub network: NetworkId,
    /// The cluster it runs in; empty for addresses that `MeshNetworks` lists.
    pub cluster: ClusterId,
    /// Its address: an IP, or a host name that only DNS clusters can dial.
    pub address: Address,
    /// The port for mutual TLS with SNI; 0 if it has none.
    pub port: u16,
    /// The port for HBONE; 0 if it has none.
    pub hbone_port: u16,
    /// `namespace/name` of its service account; only `Gateway` resources have one.
    pub service_account: Arc<str>,
}

/// The gateways of every network.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/model/network.go` `NetworkGateways`, `update`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Gateways {
    // INVARIANT: both maps hold sorted lists without duplicates, none of them empty.
    by_network: BTreeMap<NetworkId, Box<[NetworkGateway]>>,
    by_cluster: BTreeMap<(NetworkId, ClusterId), Box<[NetworkGateway]>>,
    scale: u32,
}

impl Gateways {
    /// Indexes gateways; equal ones are one.
    pub fn new(gateways: impl IntoIterator<Item = NetworkGateway>) -> Self {
        let mut all: Vec<NetworkGateway> = gateways.into_iter().collect();
        // By address text, then port, as lists are sorted upstream; the rest makes it total.
        all.sort_by_cached_key(|gateway| {
            (gateway.address.to_string(), gateway.port, gateway.clone())
        });
        all.dedup();
        let mut by_network: BTreeMap<_, Vec<_>> = BTreeMap::new();
        let mut by_cluster: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for gateway in all {
            let key = (gateway.network.clone(), gateway.cluster.clone());
            by_network.entry(gateway.network.clone()).or_default().push(gateway.clone());
            by_cluster.entry(key).or_default().push(gateway);
        }
        let sizes = by_network.values().map(Vec::len).chain(by_cluster.values().map(Vec::len));
        let scale = sizes.fold(0, |scale, size| match scale {
            0 => size,
            _ => lcm(scale, size),
        });
        Self {
            scale: u32::try_from(scale).unwrap_or(u32::MAX),
            by_network: by_network.into_iter().map(|(key, list)| (key, list.into())).collect(),
            by_cluster: by_cluster.into_iter().map(|(key, list)| (key, list.into())).collect(),
        }
    }

    /// Returns the gateways of a network, by address and port.
    pub fn of_network(&self, network: &NetworkId) -> &[NetworkGateway] {
        self.by_network.get(network).map(AsRef::as_ref).unwrap_or_default()
    }

    /// Returns the gateways for an endpoint: those of its network in its own cluster, else all of
    /// its network.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/xds/endpoints/ep_filters.go` `selectNetworkGateways`.
    pub fn of_endpoint(&self, network: &NetworkId, cluster: &ClusterId) -> &[NetworkGateway] {
        match self.by_cluster.get(&(network.clone(), cluster.clone())) {
            Some(gateways) => gateways,
            None => self.of_network(network),
        }
    }

    /// Returns all gateways, network by network.
    pub fn iter(&self) -> impl Iterator<Item = &NetworkGateway> + Clone {
        self.by_network.values().flat_map(|gateways| gateways.iter())
    }

    /// Returns whether the mesh has no gateway, so that it is one network.
    pub fn is_empty(&self) -> bool {
        self.by_network.is_empty()
    }

    /// The factor by which weights are scaled so that every list of gateways can share an
    /// endpoint's weight evenly: the least common multiple of the lists' sizes, 0 without gateways.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/model/network.go` `GetLBWeightScaleFactor`.
    pub const fn weight_scale_factor(&self) -> u32 {
        self.scale
    }
}

/// The least common multiple; saturates.
fn lcm(a: usize, b: usize) -> usize {
    let (mut x, mut y) = (a, b);
    while y != 0 {
        (x, y) = (y, x % y);
    }
    a.checked_div(x).unwrap_or_default().saturating_mul(b)
}
