//! Clusters that several control planes may serve, and that do not say which.
use std::collections::BTreeMap;

use super::DESCRIPTION;
use super::Findings;
use crate::manifest::{Diagnostic, Place, Severity};
use crate::name::{ClusterId, Namespace};
use crate::registry::Origin;
use crate::registry::mesh::Parts;
use crate::registry::serving::differing;
use crate::registry::topology::Topology;
use crate::resource::ObjectKey;

/// `CLUSTER-CONTROL-PLANE`: the first of several is taken. Where they do not have the same security policies
/// none is, and that is an error: who may call whom cannot be told. Nothing is said where no cluster has a
/// control plane by its role and it does not matter.
pub(super) fn check(parts: &Parts, found: &mut Findings) {
    let topology = Topology::of(parts);
    let mut known = BTreeMap::new();
    for id in parts.clusters.keys() {
        let choice = topology.choice(id);
        let differing =
            *known.entry(choice.clone()).or_insert_with(|| differing(parts, &topology, &choice));
        if !choice.is_empty() && (differing.is_some() || topology.has_planes()) {
            let help = if topology.has_planes() { NAME_ONE } else { DESCRIBE_ONE };
            found.push(diagnose(parts, id, &choice, differing, help));
        }
    }
}

/// `CLUSTER-CONTROL-PLANE`: the one that a cluster names is a remote. None is taken: who may call whom cannot
/// be told.
pub(super) fn remote(parts: &Parts, id: &ClusterId, named: &str) -> Diagnostic {
    let message = format!(
        "`{named}` cannot serve `{id}`: it is a remote, which has no control plane; until it is known which one \
         serves `{id}`, {CLOSED}"
    );
    let help = format!(
        "name a cluster with `role: primary`, or write that role into `clusters/{named}/cluster.yaml`"
    );
    tell(parts, id, Severity::Error, message, help)
}

/// What happens where none is taken.
pub(super) const CLOSED: &str = "requests to its workloads are denied that a policy of any cluster that may be meant might \
                      deny, and of Istio's resources only those of `config/` count there";

const NAME_ONE: &str = "write `controlPlane: FIRST`, or the name of the one that is meant, into `clusters/ID/cluster.yaml`";
const DESCRIBE_ONE: &str =
    "write `role: primary` into the `cluster.yaml` of the cluster that has the control plane";

fn diagnose(
    parts: &Parts,
    id: &ClusterId,
    choice: &[&ClusterId],
    differing: Option<&ClusterId>,
    help: &str,
) -> Diagnostic {
    let names: Vec<String> = choice.iter().map(|id| format!("`{id}`")).collect();
    let names = names.join(", ");
    let first = choice.first().map(|id| id.as_str()).unwrap_or_default();
    let consequence = match differing {
        Some(other) => format!(
            "the control planes of `{first}` and `{other}` would let different requests pass (by their policies, \
             their settings, or what attaches policies), so none is taken: {CLOSED}"
        ),
        None => format!("`{first}` is taken, the first by name"),
    };
    let severity = if differing.is_some() { Severity::Error } else { Severity::Warning };
    let message = format!("nothing says which of {names} serves `{id}`; {consequence}");
    let help = help.replace("FIRST", first).replace("ID", id.as_str());
    tell(parts, id, severity, message, help)
}

fn tell(
    parts: &Parts,
    id: &ClusterId,
    severity: Severity,
    message: String,
    help: String,
) -> Diagnostic {
    let key =
        ObjectKey { kind: DESCRIPTION, namespace: Namespace::default(), name: id.as_str().into() };
    let place = parts.places.get(&(Origin::Description(id.clone()), key));
    let (file, place) = place
        .cloned()
        .unwrap_or_else(|| (format!("clusters/{id}/cluster.yaml").into(), Place::default()));
    Diagnostic {
        code: "CLUSTER-CONTROL-PLANE",
        severity,
        file,
        place,
        object: DESCRIPTION.to_owned(),
        field: "controlPlane".to_owned(),
        message,
        help,
    }
}
