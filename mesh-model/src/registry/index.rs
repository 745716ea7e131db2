//! What a registry keeps beside the mesh so that a change costs what it touches.
//!
//! ```text
//! parts ──a cluster──▶ ClusterIndex ─┐
//!       ──a cluster──▶ ClusterIndex ─┴─a control plane─▶ Plane ──▶ ControlPlane, and PlaneIndex to go on from
//! ```
mod cluster;
mod gateways;
mod plane;
mod shards;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub(super) use self::cluster::{Changed, ClusterIndex, ServiceName, members, service_of_slice};
pub(super) use self::gateways::is_candidate;
pub(super) use self::plane::{Plane, PlaneIndex, cluster_set_host};
use super::map::Key;
use super::mesh::Parts;
use super::topology::Topology;
use super::{
    Broken, ClusterLocalHosts, ControlPlane, DOMAIN, ExportTo, Service, Store, serving, settings,
};
use crate::compat::Compat;
use crate::endpoint::Discoverability;
use crate::name::ClusterId;
use crate::resource::{MeshConfig, MeshNetworks};

/// The settings that everything is indexed by.
#[derive(Clone, Debug, Default)]
pub(crate) struct Around {
    pub(crate) config: Arc<MeshConfig>,
    pub(crate) networks: Arc<MeshNetworks>,
    pub(crate) compat: Arc<Compat>,
    pub(crate) cluster_local: Arc<ClusterLocalHosts>,
    pub(crate) default_service_export_to: Arc<ExportTo>,
    pub(crate) broken_settings: Arc<[Broken]>,
}

impl Around {
    pub(crate) fn new(parts: &Parts, compat: &Arc<Compat>) -> Self {
        let map = parts.config_map();
        let unnamed = Arc::from("");
        let config = parts.settings();
        let of_map = || Some(Arc::new(map?.mesh_networks(&unnamed)?.0));
        let networks = parts.networks.clone().or_else(of_map).unwrap_or_default();
        let cluster_local = config.service_settings.iter();
        let cluster_local = cluster_local
            .map(|entry| (entry.settings.cluster_local, entry.hosts.iter().map(|h| &**h)));
        let discovery = &config.default_config.discovery_address;
        let export_to = config.default_service_export_to.iter().map(AsRef::as_ref);
        Self {
            networks,
            compat: compat.clone(),
            cluster_local: Arc::new(ClusterLocalHosts::new(cluster_local, discovery, DOMAIN)),
            default_service_export_to: Arc::new(ExportTo::parse(export_to)),
            broken_settings: settings::broken(parts),
            config,
        }
    }

    /// Which clusters may use the endpoints that a cluster has of a service: with discovery by export
    /// its own, unless it exports the service.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/serviceregistry/kube/controller/serviceexportcache.go`
    /// `serviceExportCacheImpl.EndpointDiscoverabilityPolicy`.
    pub(crate) fn discoverability(
        &self,
        service: Option<&Service>,
        store: &Store,
        key: Key<'_>,
    ) -> Discoverability {
        let flags = &self.compat.flags;
        if !flags.enable_mcs_service_discovery {
            return Discoverability::Always;
        }
        match service {
            Some(service) if !flags.enable_mcs_cluster_local => self.exported(service, store, key),
            Some(_) | None => Discoverability::SameCluster,
        }
    }

    /// The same for the service's host of the cluster set.
    pub(crate) fn exported(
        &self,
        service: &Service,
        store: &Store,
        key: Key<'_>,
    ) -> Discoverability {
        let is_automatic = self.compat.flags.enable_mcs_auto_export
            && !self.cluster_local.contains(&service.hostname);
        if is_automatic || store.service_exports.contains(key) {
            Discoverability::Always
        } else {
            Discoverability::SameCluster
        }
    }

    /// Whether services have hosts of the cluster set.
    pub(crate) fn has_cluster_set(&self) -> bool {
        let flags = &self.compat.flags;
        flags.enable_mcs_service_discovery && flags.enable_mcs_host
    }
}

/// What is known of all clusters and control planes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Index {
    pub(crate) around: Around,
    pub(crate) clusters: BTreeMap<ClusterId, ClusterIndex>,
    pub(crate) planes: BTreeMap<ClusterId, PlaneIndex>,
    pub(crate) served_by: Arc<BTreeMap<ClusterId, ClusterId>>,
}

impl Index {
    /// Indexes everything; parts of the control planes `before` that come out equal are kept.
    pub(crate) fn build(
        parts: &Parts,
        compat: &Arc<Compat>,
        before: &BTreeMap<ClusterId, Arc<ControlPlane>>,
    ) -> (Self, BTreeMap<ClusterId, Arc<ControlPlane>>) {
        let around = Around::new(parts, compat);
        let topology = Topology::of(parts);
        let clusters: BTreeMap<_, _> = parts
            .clusters
            .iter()
            .map(|(id, part)| {
                let trust_domain = topology.trust_domain(id, &around.config.trust_domain);
                (id.clone(), ClusterIndex::build(id, trust_domain, &part.store, &around))
            })
            .collect();
        let served_by = Arc::new(serving::served_by(parts));
        let serving: BTreeSet<ClusterId> = served_by.values().cloned().collect();
        let mut index = Self { around, clusters, planes: BTreeMap::new(), served_by };
        let mut planes = BTreeMap::new();
        for id in serving {
            let reads = topology.discovered_by(&id).into();
            let plane = Plane { id: &id, clusters: &reads, index: &index, parts };
            let (kept, built) = plane.build(before.get(&id));
            planes.insert(id.clone(), built);
            index.planes.insert(id, kept);
        }
        (index, planes)
    }

    /// A control plane as its parts are computed; `None` if there is none of that name.
    pub(crate) fn plane<'o>(&'o self, id: &'o ClusterId, parts: &'o Parts) -> Option<Plane<'o>> {
        let clusters = &self.planes.get(id)?.clusters;
        Some(Plane { id, clusters, index: self, parts })
    }
}
