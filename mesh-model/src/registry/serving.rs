//! By whom the proxies of each cluster are served, where nobody can tell what else they might deny.
//!
//! ```text
//! Topology::control_plane ──any of several, by other policies?──▶ no cluster at all: see `broken`
//! ```
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::map::Key;
use super::mesh::Parts;
use super::objects::{ByName, Object, Store};
use super::topology::Topology;
use super::{Entry, Origin};
use crate::name::ClusterId;
use crate::resource::{Meta, PolicyTargetReference, UNTOLD};

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
    let differs = |other: &&&ClusterId| {
        has_broken(parts, other)
            || !has_same_security(parts, first, other)
            || !has_same_targets(parts, topology, first, other)
    };
    others.iter().find(differs).copied()
}

/// Whether a cluster holds what its own control plane alone would deny for, because nobody understands it.
fn has_broken(parts: &Parts, cluster: &ClusterId) -> bool {
    parts.broken.iter().any(|broken| {
        // Services are discovered by all.
        broken.object.kind != "Service"
            && matches!(&broken.origin, Origin::Cluster(of) if of == cluster)
    })
}

/// Whether two clusters have equal policies of every security kind, by namespace and name, and those of which
/// the oldest counts in the same order. Of AuthorizationPolicies the order decides nothing.
fn has_same_security(parts: &Parts, a: &ClusterId, b: &ClusterId) -> bool {
    let [Some(a), Some(b)] = [a, b].map(|id| parts.clusters.get(id).map(|part| &part.store)) else {
        return false;
    };
    let dry_run = |meta: &Meta| meta.annotations.value("istio.io/dry-run").to_owned();
    is_same(&a.authorization_policies, &b.authorization_policies, |a, b| {
        a.spec == b.spec && dry_run(&a.meta) == dry_run(&b.meta)
    }) && is_same(&a.peer_authentications, &b.peer_authentications, |a, b| a.spec == b.spec)
        && is_same(&a.request_authentications, &b.request_authentications, |a, b| a.spec == b.spec)
        && by_age(&a.peer_authentications).eq(by_age(&b.peer_authentications))
        && by_age(&a.request_authentications).eq(by_age(&b.request_authentications))
}

fn by_age<T: Object>(objects: &ByName<T>) -> impl Iterator<Item = Key<'_>> {
    let mut objects: Vec<&Arc<T>> = objects.iter().collect();
    objects.sort_by_key(|object| object.meta().age());
    objects.into_iter().map(Entry::key)
}

/// Whether the control planes of two clusters discover the same services, if policies are attached by those.
fn has_same_targets(parts: &Parts, topology: &Topology, a: &ClusterId, b: &ClusterId) -> bool {
    let discovered = |id| topology.discovered_by(id).into_iter().collect::<BTreeSet<_>>();
    let clusters = [a, b].into_iter().filter_map(|id| parts.clusters.get(id));
    let mut stores = clusters.map(|part| &part.store).chain([&parts.config]);
    !stores.any(|store| has_targets(store)) || discovered(a) == discovered(b)
}

fn has_targets(store: &Store) -> bool {
    let policies = &store.authorization_policies;
    let requests = &store.request_authentications;
    let mut of_policies = policies.iter().map(|it| (&it.spec.target_ref, &it.spec.target_refs));
    let mut of_requests = requests.iter().map(|it| (&it.spec.target_ref, &it.spec.target_refs));
    let is_attached =
        |(one, many): (&Option<_>, &Vec<PolicyTargetReference>)| one.is_some() || !many.is_empty();
    of_policies.any(is_attached) || of_requests.any(is_attached)
}

fn is_same<T: Object>(a: &ByName<T>, b: &ByName<T>, says_same: impl Fn(&T, &T) -> bool) -> bool {
    a.iter().map(Entry::key).eq(b.iter().map(Entry::key))
        && a.iter().zip(b.iter()).all(|(a, b)| says_same(a, b))
}
