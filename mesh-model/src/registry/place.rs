//! Where a workload is: its locality, its network and the labels that say so.
use std::net::IpAddr;

use crate::name::{Cidr, ClusterId, Labels, Locality, NetworkId};

/// Label with the region.
pub const REGION: &str = "topology.kubernetes.io/region";
/// Label with the zone.
pub const ZONE: &str = "topology.kubernetes.io/zone";
/// Label with the sub-zone.
pub const SUB_ZONE: &str = "topology.istio.io/subzone";
/// Label with the cluster.
pub const CLUSTER: &str = "topology.istio.io/cluster";
/// Label with the network.
pub const NETWORK: &str = "topology.istio.io/network";
/// Label with the node.
pub const NODE: &str = "kubernetes.io/hostname";
pub(crate) const LOCALITY: &str = "topology.istio.io/locality";
pub(crate) const LEGACY_LOCALITY: &str = "istio-locality";
pub(crate) const LEGACY_REGION: &str = "failure-domain.beta.kubernetes.io/region";
pub(crate) const LEGACY_ZONE: &str = "failure-domain.beta.kubernetes.io/zone";

/// Returns the locality text that a workload's own labels give: a text without `/` has every `.`
/// turned into one. Empty where no label says anything.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/model/context.go` `GetLocalityLabel`; `pkg/kube/labels`.
pub fn locality_of_labels(labels: &Labels) -> String {
    let text = labels.get(LOCALITY).or_else(|| labels.get(LEGACY_LOCALITY)).unwrap_or_default();
    if text.contains('/') { text.to_owned() } else { text.replace('.', "/") }
}

/// Returns the locality text of a pod: its own label, else what its node's labels say, with both
/// slashes even where parts are empty; `""` where nothing is known.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/serviceregistry/kube/controller/controller.go` `getPodLocality`.
pub fn pod_locality(pod: &Labels, node: Option<&Labels>) -> String {
    let own = locality_of_labels(pod);
    if !own.is_empty() {
        return own;
    }
    let Some(node) = node else { return own };
    let either = |label, legacy| match node.value(label) {
        "" => node.value(legacy),
        value => value,
    };
    let (region, zone) = (either(REGION, LEGACY_REGION), either(ZONE, LEGACY_ZONE));
    let sub_zone = node.value(SUB_ZONE);
    if region.is_empty() && zone.is_empty() && sub_zone.is_empty() {
        return String::new();
    }
    format!("{region}/{zone}/{sub_zone}")
}

/// Returns the locality text of an endpoint that is no pod: the field as it is written, else what its
/// labels say.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/serviceregistry/serviceentry/conversion.go` `getLocalityFromWorkloadEntry`.
pub fn machine_locality(field: &str, labels: &Labels) -> String {
    if field.is_empty() { locality_of_labels(labels) } else { field.to_owned() }
}

/// Returns a proxy's locality: its topology labels if it has any of them, else its locality label
/// (dots stay dots), else what the discovery request says.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/xds/ads.go` `setTopologyLabels`.
pub fn proxy_locality(labels: &Labels, requested: &Locality) -> Locality {
    if [REGION, ZONE, SUB_ZONE].iter().any(|key| labels.get(key).is_some()) {
        return Locality::new(labels.value(REGION), labels.value(ZONE), labels.value(SUB_ZONE));
    }
    match labels.get(LOCALITY).or_else(|| labels.get(LEGACY_LOCALITY)) {
        Some(text) if !text.is_empty() => Locality::parse(text),
        Some(_) | None => requested.clone(),
    }
}

/// Adds the topology labels that istiod adds to a workload's own; empty values are left out, and a
/// network that the workload names itself stays.
///
/// The workload's own labels stay the allocation that they are; what is added lies over them.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/serviceregistry/util/label` `AugmentLabels`.
#[must_use]
pub fn augmented(
    labels: &Labels,
    cluster: &ClusterId,
    locality: &str,
    node: &str,
    network: &NetworkId,
) -> Labels {
    let locality = Locality::parse(locality);
    let network =
        if labels.value(NETWORK).is_empty() { network.as_str() } else { labels.value(NETWORK) };
    let added = [
        (REGION, locality.region()),
        (ZONE, locality.zone()),
        (SUB_ZONE, locality.sub_zone()),
        (CLUSTER, cluster.as_str()),
        (NODE, node),
        (NETWORK, network),
    ];
    labels.and(added.into_iter().filter(|(_, value)| !value.is_empty()))
}

/// What decides the network of an endpoint in one cluster.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NetworkOf {
    system_namespace: NetworkId,
    registry: Option<NetworkId>,
    /// Ascending prefix length, then network: the widest range wins.
    ranges: Vec<(Cidr, NetworkId)>,
}

impl NetworkOf {
    /// Compiles what a cluster's objects and `MeshNetworks` say.
    ///
    /// `system_namespace` is the label of the cluster's `istio-system` namespace, empty if none;
    /// `endpoints` lists every `fromRegistry` and `fromCidr` with its network. A range without a
    /// mask never matches. Of several networks that claim a registry or a range the smallest id
    /// counts (upstream: any).
    pub fn new<'n>(
        cluster: &ClusterId,
        system_namespace: &str,
        endpoints: impl IntoIterator<Item = (NetworkId, NetworkMember<'n>)>,
    ) -> Self {
        let mut registry: Option<NetworkId> = None;
        let mut ranges = Vec::new();
        for (network, member) in endpoints {
            match member {
                NetworkMember::Registry(name) if name == cluster.as_str() => {
                    registry = Some(registry.map_or(network.clone(), |known| known.min(network)));
                }
                NetworkMember::Range(text) => {
                    if let Ok(range) = text.parse::<Cidr>()
                        && range.has_mask()
                    {
                        ranges.push((range, network));
                    }
                }
                NetworkMember::Registry(_) => {}
            }
        }
        ranges.sort_by(|a, b| (a.0.prefix_len(), &a.1).cmp(&(b.0.prefix_len(), &b.1)));
        Self { system_namespace: NetworkId::from(system_namespace), registry, ranges }
    }

    /// Returns the network of an endpoint: its label, else the system namespace's, else what
    /// `MeshNetworks` says of the registry, else of the address; empty if nobody knows.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/serviceregistry/kube/controller/controller.go` `Network`;
    /// `network.go` `networkFromMeshNetworks`.
    pub fn network(&self, address: Option<IpAddr>, labels: &Labels) -> NetworkId {
        let label = labels.value(NETWORK);
        if !label.is_empty() {
            return NetworkId::from(label);
        }
        if !self.system_namespace.is_empty() {
            return self.system_namespace.clone();
        }
        if let Some(network) = &self.registry {
            return network.clone();
        }
        let in_range = |address: IpAddr| {
            self.ranges.iter().find(|(range, _)| range.contains(address)).map(|(_, n)| n.clone())
        };
        address.and_then(in_range).unwrap_or_default()
    }
}

/// What `MeshNetworks` counts to a network.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "the oneof of `MeshNetworks`")]
pub enum NetworkMember<'n> {
    /// `fromRegistry`: every endpoint of a cluster.
    Registry(&'n str),
    /// `fromCidr`: addresses.
    Range(&'n str),
}
