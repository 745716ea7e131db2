//! Clusters that several control planes may serve, and that do not say which.
use super::DESCRIPTION;
use crate::manifest::{Diagnostic, Place, Severity};
use crate::name::{ClusterId, Namespace};
use crate::registry::mesh::Parts;
use crate::registry::objects::{ByName, Object};
use crate::registry::topology::Topology;
use crate::registry::{Entry, Origin};
use crate::resource::{Meta, ObjectKey};

/// `CLUSTER-CONTROL-PLANE`: the first of several is taken. Where they do not have the same security policies
/// that decides who may call whom, and is an error.
pub(super) fn check(parts: &Parts, found: &mut Vec<Diagnostic>) {
    let topology = Topology::of(parts);
    for id in parts.clusters.keys() {
        let choice = topology.choice(id);
        let Some((first, others)) = choice.split_first() else { continue };
        let differing = others.iter().find(|other| !has_same_security(parts, first, other));
        found.push(diagnose(parts, id, &choice, differing.copied()));
    }
}

fn diagnose(
    parts: &Parts,
    id: &ClusterId,
    choice: &[&ClusterId],
    differing: Option<&ClusterId>,
) -> Diagnostic {
    let key =
        ObjectKey { kind: DESCRIPTION, namespace: Namespace::default(), name: id.as_str().into() };
    let place = parts.places.get(&(Origin::Description(id.clone()), key));
    let (file, place) = place
        .cloned()
        .unwrap_or_else(|| (format!("clusters/{id}/cluster.yaml").into(), Place::default()));
    let names: Vec<String> = choice.iter().map(|id| format!("`{id}`")).collect();
    let names = names.join(", ");
    let first = choice.first().map(|id| id.as_str()).unwrap_or_default();
    let consequence = match differing {
        Some(other) => format!(
            ", and `{other}` has other security policies: if it is meant, who may call whom in `{id}` is not \
             what is told"
        ),
        None => String::new(),
    };
    Diagnostic {
        code: "CLUSTER-CONTROL-PLANE",
        severity: if differing.is_some() { Severity::Error } else { Severity::Warning },
        file,
        place,
        object: DESCRIPTION.to_owned(),
        field: "controlPlane".to_owned(),
        message: format!(
            "any of {names} may serve `{id}`, which does not say which one does: `{first}` is taken, the first \
             by name{consequence}"
        ),
        help: format!("write `controlPlane: {first}`, or the name of the one that is meant"),
    }
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
