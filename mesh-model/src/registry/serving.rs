//! By whom the proxies of each cluster are served, where nobody can tell what else they might deny.
//!
//! ```text
//! Topology::control_plane ──any of several, by other policies?──▶ no cluster at all: see `broken`
//! ```
use std::collections::BTreeMap;

use super::mesh::Parts;
use super::security::Pair;
use super::topology::Topology;
use super::{Broken, Origin, settings};
use crate::name::ClusterId;
use crate::resource::UNTOLD;

/// Returns the control plane that serves each cluster, named by its config cluster.
///
/// That is what the descriptions say. A cluster that several control planes may serve, and that does not
/// say which one does, is served by the first if they have the same security policies, and otherwise by
/// what no cluster is called: what policies of any might deny is denied then.
pub(super) fn served_by(parts: &Parts) -> BTreeMap<ClusterId, ClusterId> {
    let topology = Topology::of(parts);
    // Clusters that say nothing have the same choice.
    let mut known = BTreeMap::new();
    let serving = |id: &ClusterId| {
        let named = topology.control_plane(id)?;
        let choice = topology.choice(id);
        let is_open = *known
            .entry(choice)
            .or_insert_with_key(|choice| differing(parts, &topology, choice).is_some());
        Some((id.clone(), if is_open { ClusterId::from(UNTOLD) } else { named }))
    };
    parts.clusters.keys().filter_map(serving).collect()
}

/// Returns the first of the clusters whose security is not that of the first.
pub(super) fn differing<'c>(
    parts: &Parts,
    topology: &Topology,
    choice: &[&'c ClusterId],
) -> Option<&'c ClusterId> {
    let (first, others) = choice.split_first()?;
    let settings = settings::broken(parts);
    let differs = |other: &&&ClusterId| {
        has_broken(parts.broken.iter().chain(&*settings), other)
            || !Pair { parts, topology, clusters: [first, other] }.has_same_security()
    };
    others.iter().find(differs).copied()
}

/// Whether a cluster holds what its own control plane alone would deny for, because nobody understands it.
fn has_broken<'b>(mut broken: impl Iterator<Item = &'b Broken>, cluster: &ClusterId) -> bool {
    broken.any(|broken| {
        // Services are discovered by all.
        broken.object.kind != "Service"
            && matches!(&broken.origin, Origin::Cluster(of) if of == cluster)
    })
}
