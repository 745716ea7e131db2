//! The mesh: immutable, shared, the same for everyone who holds it.
use std::collections::BTreeMap;
use std::sync::Arc;

use super::control_plane::{self, Inputs};
use super::objects::Store;
use super::topology::Topology;
use super::{Broken, ControlPlane, Origin};
use crate::compat::Compat;
use crate::endpoint::Workload;
use crate::manifest::Place;
use crate::name::{ClusterId, TrustDomain};
use crate::resource::{
    ClusterDescription, MeshConfig, MeshNetworks, ObjectKey, Pod, PodPhase, ProxyEntry,
};

/// The domain of Kubernetes' own names.
pub(crate) const DOMAIN: &str = "cluster.local";

/// Everything that a mesh is made of, indexed.
///
/// Cheap to share behind an `Arc`; who holds one keeps a consistent view whatever changes later.
#[derive(Clone, Debug, Default)]
pub struct Mesh {
    compat: Compat,
    config: Arc<MeshConfig>,
    networks: Arc<MeshNetworks>,
    planes: BTreeMap<ClusterId, Arc<ControlPlane>>,
    served_by: BTreeMap<ClusterId, ClusterId>,
    pub(crate) parts: Arc<Parts>,
}

/// What was loaded, part by part.
#[derive(Clone, Debug, Default)]
pub(crate) struct Parts {
    pub(crate) mesh_config: Option<Arc<MeshConfig>>,
    pub(crate) networks: Option<Arc<MeshNetworks>>,
    pub(crate) proxies: Vec<ProxyEntry>,
    pub(crate) config: Store,
    pub(crate) clusters: BTreeMap<ClusterId, ClusterPart>,
    pub(crate) broken: Vec<Broken>,
    /// Where each object stands, but for kinds that exist by the million.
    pub(crate) places: BTreeMap<(Origin, ObjectKey), (Arc<str>, Place)>,
}

/// What one cluster's folder holds.
#[derive(Clone, Debug, Default)]
pub(crate) struct ClusterPart {
    pub(crate) description: Option<Arc<ClusterDescription>>,
    pub(crate) store: Store,
}

impl Mesh {
    pub(crate) fn build(parts: Arc<Parts>, compat: &Compat) -> Self {
        let config = parts.mesh_config.clone().unwrap_or_default();
        let networks = parts.networks.clone().unwrap_or_default();
        let described = parts.clusters.iter();
        let topology =
            Topology::new(described.map(|(id, part)| (id.clone(), part.description.clone())));
        let mut planes = BTreeMap::new();
        for id in topology.control_planes() {
            let own = parts.clusters.get(&id).map(|part| &part.store);
            let clusters = topology.discovered_by(&id).into_iter().filter_map(|cluster| {
                let store = &parts.clusters.get(&cluster)?.store;
                let trust_domain = topology.trust_domain(&cluster, &config.trust_domain);
                Some((cluster, trust_domain, store))
            });
            let broken = parts.broken.iter().filter(|broken| {
                broken.object.kind == "PeerAuthentication" && broken.counts_for(&id)
            });
            let inputs = Inputs {
                broken: broken.collect(),
                id: id.clone(),
                config: config.clone(),
                networks: &networks,
                config_stores: [&parts.config].into_iter().chain(own).collect(),
                clusters: clusters.collect(),
                domain: DOMAIN,
                compat,
            };
            planes.insert(id, Arc::new(ControlPlane::build(&inputs)));
        }
        let clusters = parts.clusters.keys();
        let served_by =
            clusters.filter_map(|id| Some((id.clone(), topology.control_plane(id)?))).collect();
        Self { compat: compat.clone(), config, networks, planes, served_by, parts }
    }

    /// Which upstream is followed.
    pub fn compat(&self) -> &Compat {
        &self.compat
    }

    /// The mesh's settings, with upstream's defaults where it says nothing.
    pub fn config(&self) -> &Arc<MeshConfig> {
        &self.config
    }

    /// The mesh's networks.
    pub fn networks(&self) -> &Arc<MeshNetworks> {
        &self.networks
    }

    /// The clusters, by name.
    pub fn clusters(&self) -> impl Iterator<Item = &ClusterId> {
        self.parts.clusters.keys()
    }

    /// What a cluster is meant to be, if its folder says so.
    pub fn description(&self, cluster: &str) -> Option<&Arc<ClusterDescription>> {
        self.parts.clusters.get(cluster)?.description.as_ref()
    }

    /// The control planes, by name.
    pub fn control_planes(&self) -> impl Iterator<Item = &Arc<ControlPlane>> {
        self.planes.values()
    }

    /// The control plane that serves a cluster's proxies.
    pub fn control_plane_of(&self, cluster: &str) -> Option<&Arc<ControlPlane>> {
        self.planes.get(self.served_by.get(cluster)?)
    }

    /// Every pod that can have a proxy, as `CLUSTER/NAMESPACE/POD`, sorted.
    pub fn proxies(&self) -> impl Iterator<Item = String> {
        self.parts.clusters.iter().flat_map(|(cluster, part)| {
            let pods = part.store.pods.values().filter(|pod| {
                pod.status.pod_ip.is_some()
                    && !matches!(pod.status.phase, PodPhase::Failed | PodPhase::Succeeded)
            });
            pods.map(move |pod| format!("{cluster}/{}/{}", pod.meta.namespace, pod.meta.name))
        })
    }

    /// The proxies that `proxies.json` names, in its order.
    pub fn named_proxies(&self) -> impl Iterator<Item = String> {
        self.parts.proxies.iter().filter_map(|entry| Some(entry.reference.as_ref()?.to_string()))
    }

    /// A pod as the workload of an endpoint.
    pub(crate) fn workload(&self, id: &ClusterId, store: &Store, pod: &Pod) -> Workload {
        control_plane::workload_of(id, self.trust_domain(id), store, &self.networks, pod)
    }

    /// The trust domain of a cluster's workloads.
    pub(crate) fn trust_domain(&self, id: &ClusterId) -> TrustDomain {
        let topology = Topology::new(
            self.parts.clusters.iter().map(|(id, part)| (id.clone(), part.description.clone())),
        );
        topology.trust_domain(id, &self.config.trust_domain)
    }

    /// Security policies that could not be understood; what they may select denies.
    pub fn broken(&self) -> &[Broken] {
        &self.parts.broken
    }
}
