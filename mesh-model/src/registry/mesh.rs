//! The mesh: immutable, shared, the same for everyone who holds it.
use std::collections::BTreeMap;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::index::Index;
use super::objects::Store;
use super::topology::Topology;
use super::{Broken, Change, ControlPlane, Origin, SYSTEM_NAMESPACE, alone};
use crate::compat::Compat;
use crate::endpoint::{Address, NetworkGateway, Workload};
use crate::manifest::Place;
use crate::name::{ClusterId, Hostname, Labels, NetworkId, TrustDomain};
use crate::resource::{
    self, ClusterDescription, MeshConfig, MeshConfigMap, MeshNetworks, Meta, ObjectKey, Pod,
    ProxyEntry,
};

/// The domain of Kubernetes' own names.
pub(crate) const DOMAIN: &str = "cluster.local";

/// Everything that a mesh is made of, indexed.
///
/// Cheap to share behind an `Arc`; who holds one keeps a consistent view whatever changes later. Meshes
/// that follow from one another share what did not change.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Mesh {
    compat: Arc<Compat>,
    config: Arc<MeshConfig>,
    networks: Arc<MeshNetworks>,
    planes: BTreeMap<ClusterId, Arc<ControlPlane>>,
    served_by: Arc<BTreeMap<ClusterId, ClusterId>>,
    pub(crate) parts: Arc<Parts>,
}

/// File and place of objects.
pub(crate) type Places = FxHashMap<(Origin, ObjectKey), (Arc<str>, Place)>;

/// What was loaded, part by part; cheap to clone.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Parts {
    pub(crate) mesh_config: Option<Arc<MeshConfig>>,
    pub(crate) networks: Option<Arc<MeshNetworks>>,
    pub(crate) proxies: Arc<Vec<ProxyEntry>>,
    pub(crate) config: Arc<Store>,
    pub(crate) clusters: BTreeMap<ClusterId, ClusterPart>,
    pub(crate) broken: Arc<Vec<Broken>>,
    /// Where each object stood when it was loaded, but for kinds that exist by the million.
    pub(crate) places: Arc<Places>,
    /// Objects with a selector that are not in force, and what it selects.
    pub(crate) refused: Arc<Vec<Refused>>,
}

impl Parts {
    /// The settings that count.
    pub(crate) fn settings(&self) -> Arc<MeshConfig> {
        let of_map = || Some(Arc::new(self.config_map()?.mesh_config(&Arc::from(""))?.0));
        self.mesh_config.clone().or_else(of_map).unwrap_or_default()
    }

    /// The ConfigMap that holds settings and networks where no documents of their own do: that of the
    /// config folder, else of the first control plane that has one.
    pub(crate) fn config_map(&self) -> Option<&Arc<MeshConfigMap>> {
        if self.mesh_config.is_some() && self.networks.is_some() {
            return None;
        }
        let planes = Topology::of(self).control_planes();
        let own =
            planes.into_iter().filter_map(|id| self.clusters.get(&id)).map(|part| &*part.store);
        let mut stores = [&*self.config].into_iter().chain(own);
        stores.find_map(|store| store.mesh_config_maps.get((SYSTEM_NAMESPACE, "istio")))
    }
}

/// An object that was refused, so that it is in no store; what it selects can be told.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Refused {
    pub(crate) object: ObjectKey,
    pub(crate) file: Arc<str>,
    pub(crate) place: Place,
    pub(crate) selector: Labels,
}

/// What one cluster's folder holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct ClusterPart {
    pub(crate) description: Option<Arc<ClusterDescription>>,
    pub(crate) store: Arc<Store>,
}

impl Parts {
    /// The changes that lead to other parts: what concerns everything first.
    pub(super) fn changes_to(&self, after: &Self) -> Vec<Change> {
        let gone = self.clusters.keys().filter(|id| !after.clusters.contains_key(*id));
        let mut changes: Vec<Change> = gone.cloned().map(Change::Remove).collect();
        let described = after.clusters.iter();
        changes.extend(
            described.map(|(id, part)| Change::Describe(id.clone(), part.description.clone())),
        );
        changes.push(Change::MeshConfig(after.mesh_config.clone()));
        changes.push(Change::MeshNetworks(after.networks.clone()));
        self.config.changes_to(&after.config, &Origin::Config, &mut changes);
        let nothing = Store::default();
        for (id, part) in &after.clusters {
            let before = self.clusters.get(id).map_or(&nothing, |before| &before.store);
            before.changes_to(&part.store, &Origin::Cluster(id.clone()), &mut changes);
        }
        changes.push(Change::Proxies(after.proxies.to_vec()));
        changes.push(Change::Broken(after.broken.to_vec()));
        changes
    }
}

impl Mesh {
    pub(super) fn new(
        parts: Arc<Parts>,
        index: &Index,
        planes: BTreeMap<ClusterId, Arc<ControlPlane>>,
    ) -> Self {
        let around = &index.around;
        Self {
            compat: around.compat.clone(),
            config: around.config.clone(),
            networks: around.networks.clone(),
            planes,
            served_by: index.served_by.clone(),
            parts,
        }
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

    /// The same, by the names of their config clusters.
    pub(super) fn planes(&self) -> &BTreeMap<ClusterId, Arc<ControlPlane>> {
        &self.planes
    }

    /// The control plane that serves a cluster's proxies.
    pub fn control_plane_of(&self, cluster: &str) -> Option<&Arc<ControlPlane>> {
        self.planes.get(self.served_by.get(cluster)?)
    }

    /// A pod, running or not.
    pub fn pod(&self, cluster: &str, namespace: &str, name: &str) -> Option<&Arc<Pod>> {
        self.parts.clusters.get(cluster)?.store.pods.get((namespace, name))
    }

    /// The pods of a namespace of a cluster, running or not, by name.
    pub fn pods_of<'m>(
        &'m self,
        cluster: &str,
        namespace: &'m str,
    ) -> impl Iterator<Item = &'m Arc<Pod>> {
        let part = self.parts.clusters.get(cluster).into_iter();
        part.flat_map(move |part| part.store.pods.with_first(namespace))
    }

    /// Returns the clusters and hosts of the services that a gateway's address is of: a load balancer or
    /// an external address in the gateway's cluster. An address that `MeshNetworks` lists is of no cluster
    /// by itself; it is looked for in all that the control plane reads, of which several can have it where
    /// networks are not joined. None for addresses that only a Gateway resource lists, and for those of
    /// nodes, which stand for every service with a node port.
    pub fn services_of_gateway(
        &self,
        plane: &ControlPlane,
        gateway: &NetworkGateway,
    ) -> Vec<(ClusterId, Hostname)> {
        let is_of = |service: &&Arc<resource::Service>| {
            let ingress = service.status.load_balancer.ingress.iter();
            let mut hosts = ingress.clone().map(|point| &*point.hostname);
            let mut ips = ingress.filter_map(|point| point.ip);
            match &gateway.address {
                Address::Ip(ip) => {
                    ips.any(|one| one == *ip) || service.spec.external_ips.contains(ip)
                }
                Address::Host(host) => hosts.any(|one| *one == **host),
                Address::Unix(_) | Address::Unknown => false,
            }
        };
        let is_asked = |id: &ClusterId| match gateway.cluster.is_empty() {
            true => plane.clusters.contains(id),
            false => gateway.cluster == *id,
        };
        let clusters = self.parts.clusters.iter().filter(|(id, _)| is_asked(id));
        let found = clusters.filter_map(|(id, part)| {
            let service = part.store.services.values().find(is_of)?;
            let (name, namespace) = (&service.meta.name, &service.meta.namespace);
            let host = format!("{name}.{namespace}.svc.{}", plane.domain);
            Some((id.clone(), Hostname::from(host.as_str())))
        });
        found.collect()
    }

    /// Returns the metadata of a namespace in a cluster.
    pub fn namespace(&self, cluster: &str, name: &str) -> Option<&Meta> {
        self.parts.clusters.get(cluster)?.store.namespace(name)
    }

    /// The proxies that `proxies.json` names, in its order.
    pub fn named_proxies(&self) -> impl Iterator<Item = String> {
        self.parts.proxies.iter().filter_map(|entry| Some(entry.reference.as_ref()?.to_string()))
    }

    /// A pod as the workload of an endpoint.
    pub(crate) fn workload(&self, id: &ClusterId, store: &Store, pod: &Pod) -> Workload {
        alone::workload_of(id, &self.trust_domain(id), store, &self.networks, pod)
    }

    /// What `MeshNetworks` alone says of the network of a pod.
    pub(crate) fn listed_network(&self, id: &ClusterId, pod: &Pod) -> NetworkId {
        alone::listed_network(id, &self.networks, pod)
    }

    /// The trust domain of a cluster's workloads.
    pub(crate) fn trust_domain(&self, id: &ClusterId) -> TrustDomain {
        Topology::of(&self.parts).trust_domain(id, &self.config.trust_domain)
    }

    /// Security policies that could not be understood; what they may select denies.
    pub fn broken(&self) -> &[Broken] {
        &self.parts.broken
    }
}
