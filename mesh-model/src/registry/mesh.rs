//! The mesh: immutable, shared, the same for everyone who holds it.
use std::collections::BTreeMap;
use std::sync::Arc;

use super::control_plane::{self, Inputs};
use super::objects::Store;
use super::topology::Topology;
use super::{Broken, ControlPlane};
use crate::Compat;
use crate::endpoint::Workload;
use crate::name::{ClusterId, Namespace, nearest_name};
use crate::resource::{
    ClusterDescription, MeshConfig, MeshNetworks, Pod, PodPhase, ProxyEntry, ProxyRef,
};
use crate::view::{Evidence, Proxy, ProxyView, proxy_of_pod};

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
            let inputs = Inputs {
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

    /// Finds the proxy beside a pod, named `CLUSTER/NAMESPACE/POD`.
    ///
    /// # Errors
    ///
    /// Where the name has another form, or there is no such cluster or pod, or the pod has no address
    /// or has ended; each names what exists instead.
    pub fn proxy(&self, reference: &str) -> Result<Proxy, UnknownProxy> {
        let parsed: ProxyRef =
            reference.parse().map_err(|_| UnknownProxy::Form(reference.to_owned()))?;
        let ProxyRef { cluster, namespace, pod } = &parsed;
        let Some(part) = self.parts.clusters.get(&**cluster) else {
            let nearest = nearest_name(cluster, self.clusters().map(ClusterId::as_str));
            return Err(UnknownProxy::Cluster {
                cluster: cluster.to_string(),
                nearest: nearest.map(str::to_owned),
            });
        };
        let key = (Namespace::from(&**namespace), pod.clone());
        let Some(pod) = part.store.pods.get(&key) else {
            let names = part.store.pods.keys().filter(|(owner, _)| *owner == key.0);
            let nearest = nearest_name(pod, names.map(|(_, name)| &**name));
            return Err(UnknownProxy::Pod {
                reference: reference.to_owned(),
                nearest: nearest.map(|name| format!("{cluster}/{namespace}/{name}")),
            });
        };
        let has_ended = matches!(pod.status.phase, PodPhase::Failed | PodPhase::Succeeded);
        if has_ended || pod.status.pod_ip.is_none() {
            return Err(UnknownProxy::NotRunning(reference.to_owned()));
        }
        let entry =
            self.parts.proxies.iter().find(|entry| entry.reference.as_ref() == Some(&parsed));
        let id = ClusterId::from(&**cluster);
        let workload = self.workload(&id, &part.store, pod);
        Ok(proxy_of_pod(&Evidence {
            pod,
            workload: &workload,
            entry,
            defaults: &self.config.default_config,
            domain: DOMAIN,
        }))
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
    fn workload(&self, id: &ClusterId, store: &Store, pod: &Pod) -> Workload {
        let topology = Topology::new(
            self.parts.clusters.iter().map(|(id, part)| (id.clone(), part.description.clone())),
        );
        let trust_domain = topology.trust_domain(id, &self.config.trust_domain);
        control_plane::workload_of(id, trust_domain, store, &self.networks, pod)
    }

    /// Security policies that could not be understood; what they may select denies.
    pub fn broken(&self) -> &[Broken] {
        &self.parts.broken
    }

    /// The mesh as a proxy sees it; `None` if the proxy's cluster is not part of the mesh.
    pub fn view<'m>(&'m self, proxy: &'m Proxy) -> Option<ProxyView<'m>> {
        let plane = self.control_plane_of(proxy.cluster.as_str())?;
        Some(ProxyView::new(self, plane, proxy))
    }
}

/// There is no such proxy.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum UnknownProxy {
    /// The name has another form.
    #[error("`{0}` does not name a proxy; write `CLUSTER/NAMESPACE/POD`")]
    Form(String),
    /// There is no such cluster.
    #[error("there is no cluster `{cluster}` in the mesh{}", hint(.nearest.as_deref()))]
    Cluster {
        /// The cluster that was asked for.
        cluster: String,
        /// The nearest that exists.
        nearest: Option<String>,
    },
    /// There is no such pod.
    #[error("there is no pod `{reference}` in the mesh{}", hint(.nearest.as_deref()))]
    Pod {
        /// The pod that was asked for.
        reference: String,
        /// The nearest that exists.
        nearest: Option<String>,
    },
    /// The pod has no address, or has ended.
    #[error("pod `{0}` does not run: it has no address or has ended")]
    NotRunning(String),
}

fn hint(nearest: Option<&str>) -> String {
    nearest.map(|name| format!("; did you mean `{name}`?")).unwrap_or_default()
}
