//! By whom the proxies of each cluster are served, where nobody can tell what else they might deny.
//!
//! ```text
//! Topology::control_plane ──any of several, by other policies?──▶ no cluster at all: see `broken`
//! ```
use std::collections::BTreeMap;

use super::mesh::Parts;
use super::objects::{ByName, Object};
use super::topology::Topology;
use super::{Entry, Origin};
use crate::name::ClusterId;
use crate::resource::{Meta, UNTOLD};

/// Returns the control plane that serves each cluster, named by its config cluster.
///
/// That is what the descriptions say. A cluster that several control planes may serve, and that does not
/// say which one does, is served by the first if they have the same security policies, and otherwise by
/// what no cluster is called: what policies of any might deny is denied then.
pub(super) fn served_by(parts: &Parts) -> BTreeMap<ClusterId, ClusterId> {
    let topology = Topology::of(parts);
    let serving = |id: &ClusterId| {
        let named = topology.control_plane(id)?;
        let is_open = differing(parts, &topology.choice(id)).is_some();
        Some((id.clone(), if is_open { ClusterId::from(UNTOLD) } else { named }))
    };
    parts.clusters.keys().filter_map(serving).collect()
}

/// Returns the first of the clusters whose security is not that of the first.
pub(super) fn differing<'c>(parts: &Parts, choice: &[&'c ClusterId]) -> Option<&'c ClusterId> {
    let (first, others) = choice.split_first()?;
    others
        .iter()
        .find(|other| has_broken(parts, other) || !has_same_security(parts, first, other))
        .copied()
}

/// Whether a cluster holds what its own control plane alone would deny for, because nobody understands it.
fn has_broken(parts: &Parts, cluster: &ClusterId) -> bool {
    parts.broken.iter().any(|broken| {
        // Services are discovered by all.
        broken.object.kind != "Service"
            && matches!(&broken.origin, Origin::Cluster(of) if of == cluster)
    })
}

/// Whether two clusters have equal policies of every security kind, by namespace and name.
fn has_same_security(parts: &Parts, a: &ClusterId, b: &ClusterId) -> bool {
    let [Some(a), Some(b)] = [a, b].map(|id| parts.clusters.get(id).map(|part| &part.store)) else {
        return false;
    };
    let dry_run = |meta: &Meta| meta.annotations.value("istio.io/dry-run").to_owned();
    is_same(&a.authorization_policies, &b.authorization_policies, |a, b| {
        a.spec == b.spec && dry_run(&a.meta) == dry_run(&b.meta)
    }) && is_same(&a.peer_authentications, &b.peer_authentications, |a, b| a.spec == b.spec)
        && is_same(&a.request_authentications, &b.request_authentications, |a, b| a.spec == b.spec)
}

fn is_same<T: Object>(a: &ByName<T>, b: &ByName<T>, says_same: impl Fn(&T, &T) -> bool) -> bool {
    a.iter().map(Entry::key).eq(b.iter().map(Entry::key))
        && a.iter().zip(b.iter()).all(|(a, b)| says_same(a, b))
}
