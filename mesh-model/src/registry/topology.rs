//! Which control plane serves which cluster, and what it reads.
use std::collections::BTreeMap;
use std::sync::Arc;

use super::mesh::Parts;
use crate::name::{ClusterId, TrustDomain};
use crate::resource::{ClusterDescription, ClusterRole, UNTOLD};

/// The clusters of a mesh and their control planes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Topology {
    clusters: BTreeMap<ClusterId, Option<Arc<ClusterDescription>>>,
}

impl Topology {
    pub(crate) fn new(
        clusters: impl IntoIterator<Item = (ClusterId, Option<Arc<ClusterDescription>>)>,
    ) -> Self {
        Self { clusters: clusters.into_iter().collect() }
    }

    /// The clusters of a mesh as they are described.
    pub(crate) fn of(parts: &Parts) -> Self {
        let clusters = parts.clusters.iter();
        Self::new(clusters.map(|(id, part)| (id.clone(), part.description.clone())))
    }

    fn has_role(&self, role: ClusterRole) -> impl Iterator<Item = &ClusterId> {
        self.clusters.iter().filter_map(move |(id, description)| {
            description.as_ref().is_some_and(|known| known.role == Some(role)).then_some(id)
        })
    }

    /// Whether any cluster may be the first primary because nobody can tell what it is.
    fn hides_first_primary(&self) -> bool {
        let first = self.has_role(ClusterRole::Primary).next();
        let mut hidden = self.clusters.iter().filter(|(_, description)| {
            description.as_ref().is_some_and(|known| known.hides_role())
        });
        hidden.any(|(id, _)| first.is_none_or(|first| id < first))
    }

    /// Whether a cluster is described as one that another cluster's control plane serves.
    pub(crate) fn is_remote(&self, cluster: &str) -> bool {
        self.has_role(ClusterRole::Remote).any(|remote| *remote.as_str() == *cluster)
    }

    /// Whether any cluster says that control planes are configured there.
    pub(crate) fn has_planes(&self) -> bool {
        let mut planes =
            self.has_role(ClusterRole::Primary).chain(self.has_role(ClusterRole::Config));
        planes.next().is_some()
    }

    /// Returns the control plane that serves a cluster's proxies, named by its config cluster: as
    /// described, else itself if it is a primary, else the first primary, config cluster or cluster. What
    /// no cluster is called where another one may be that primary, and its role cannot be told, and where
    /// the described one has no control plane, because it is a remote.
    pub(crate) fn control_plane(&self, cluster: &ClusterId) -> Option<ClusterId> {
        let description = self.clusters.get(cluster)?.as_ref();
        let described = description.map(|known| &*known.control_plane);
        if let Some(named) = described.filter(|named| !named.is_empty()) {
            return Some(ClusterId::from(if self.is_remote(named) { UNTOLD } else { named }));
        }
        let role = description.and_then(|known| known.role);
        if matches!(role, Some(ClusterRole::Primary | ClusterRole::Standalone)) {
            return Some(cluster.clone());
        }
        if self.hides_first_primary() {
            return Some(ClusterId::from(UNTOLD));
        }
        self.has_role(ClusterRole::Primary)
            .chain(self.has_role(ClusterRole::Config))
            .chain(self.clusters.keys())
            .next()
            .cloned()
    }

    /// Returns the clusters of which any may be meant as the control plane of one that does not name its
    /// own, the one taken first; none if there is no choice.
    pub(crate) fn choice(&self, cluster: &ClusterId) -> Vec<&ClusterId> {
        let description = self.clusters.get(cluster).and_then(Option::as_ref);
        let is_named = description.is_some_and(|known| !known.control_plane.is_empty());
        let role = description.and_then(|known| known.role);
        if is_named || matches!(role, Some(ClusterRole::Primary | ClusterRole::Standalone)) {
            return Vec::new();
        }
        let of_role = |role| self.has_role(role).collect::<Vec<_>>();
        let mut found = of_role(ClusterRole::Primary);
        if found.is_empty() {
            found = of_role(ClusterRole::Config);
        }
        if found.contains(&cluster) || self.hides_first_primary() {
            return Vec::new();
        }
        if found.is_empty() {
            // Nobody says so: it may be any.
            found = self.clusters.keys().collect();
        }
        if found.len() < 2 { Vec::new() } else { found }
    }

    /// Returns every control plane that serves a cluster.
    pub(crate) fn control_planes(&self) -> Vec<ClusterId> {
        let mut found: Vec<ClusterId> =
            self.clusters.keys().filter_map(|cluster| self.control_plane(cluster)).collect();
        found.sort();
        found.dedup();
        found
    }

    /// Returns the clusters that a control plane discovers: its own first, then by name.
    pub(crate) fn discovered_by(&self, plane: &ClusterId) -> Vec<ClusterId> {
        let own = self.clusters.contains_key(plane).then(|| plane.clone());
        let reads = self.clusters.get(plane).and_then(Option::as_ref);
        let reads = reads.and_then(|description| description.reads.as_ref());
        let is_read = |cluster: &&ClusterId| {
            **cluster != *plane
                && reads.is_none_or(|reads| reads.iter().any(|name| **name == *cluster.as_str()))
        };
        own.into_iter().chain(self.clusters.keys().filter(is_read).cloned()).collect()
    }

    /// Returns the trust domain of a cluster's workloads: as described, else the mesh's.
    pub(crate) fn trust_domain(&self, cluster: &ClusterId, mesh: &str) -> TrustDomain {
        let described = self.clusters.get(cluster).and_then(Option::as_ref);
        let described = described.map(|known| &*known.trust_domain);
        TrustDomain::from(described.filter(|text| !text.is_empty()).unwrap_or(mesh))
    }
}
