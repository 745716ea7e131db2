//! Everything that the ztunnels of a control plane are told of who may call whom.
//!
//! # Upstream
//!
//! istio/istio `pilot/pkg/serviceregistry/ambient/policies.go` `PolicyCollections`;
//! `workloads.go` `buildWorkloadPolicies`; `authorization.go` `convertedSelectorPeerAuthentications`.
use std::collections::BTreeMap;

use mesh_model::name::{Labels, Namespace};
use mesh_model::registry::{ControlPlane, Mesh};
use mesh_model::resource::{self, MutualTlsMode, PeerAuthentication};

use super::convert::{
    convert, convert_peer_authentication, mode_of, port_policy_name, static_strict,
};
use super::{Action, Authorization, Group, Scope};
use crate::select::{BrokenPolicy, Subject};

/// Converts all policies of a control plane, sorted by namespace and name.
///
/// With any PeerAuthentication in the mesh the static STRICT policy is among them. A policy that could
/// not be understood denies what it might have denied, as everywhere.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/serviceregistry/ambient/policies.go` `PolicyCollections`.
pub fn authorizations(mesh: &Mesh, plane: &ControlPlane) -> Vec<Authorization> {
    let root = Namespace::from(&*plane.config.root_namespace);
    let sends_dry_run = mesh.compat().flags.ambient_enable_dry_run_authorization_policy;
    let policies = plane.authorization_policies.iter();
    let mut found: Vec<Authorization> =
        policies.filter_map(|policy| convert(policy, &root, sends_dry_run)).collect();
    found.extend(of_peers(plane, &root));
    found.extend(stand_ins(mesh, plane, &root));
    found.sort_by(|a, b| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name)));
    // Of two policies of one name nobody knows which one is meant; a stand-in denies for both.
    found.dedup_by(|a, b| (&a.namespace, &a.name) == (&b.namespace, &b.name));
    found
}

/// What the PeerAuthentications become: the static STRICT policy with any of them, understood or not.
fn of_peers(plane: &ControlPlane, root: &Namespace) -> Vec<Authorization> {
    let peers = plane.peer_authentications.all();
    let of_mesh = without_selector(peers, root);
    let converted = peers.iter().filter_map(|policy| {
        let of_namespace = without_selector(peers, &policy.meta.namespace);
        convert_peer_authentication(policy, root, of_namespace, of_mesh)
    });
    let mut found: Vec<Authorization> = converted.collect();
    let is_broken = plane.broken.iter().any(|broken| broken.object.kind == "PeerAuthentication");
    if !peers.is_empty() || is_broken {
        found.push(static_strict(root));
    }
    found
}

/// What the PeerAuthentications of one workload become.
pub(crate) fn of_workload(
    plane: &ControlPlane,
    namespace: &Namespace,
    labels: &Labels,
) -> Vec<Authorization> {
    let root = Namespace::from(&*plane.config.root_namespace);
    let names = of_peer_authentications(plane, &root, namespace, labels);
    let mut found = of_peers(plane, &root);
    found.retain(|policy| names.contains(&format!("{}/{}", policy.namespace, policy.name)));
    found
}

/// Returns the policies that a workload refers to, as `NAMESPACE/NAME`: those that select it, sorted,
/// then what its PeerAuthentications became. Policies of a namespace or of all of the mesh are not
/// referred to; ztunnels apply them by their scope. A workload without any label refers to every
/// policy with a selector: so it is upstream, where no labels are no filter.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/serviceregistry/ambient/workloads.go` `buildWorkloadPolicies`.
pub fn policies_of_workload(
    mesh: &Mesh,
    plane: &ControlPlane,
    namespace: &Namespace,
    labels: &Labels,
) -> Vec<String> {
    let root = Namespace::from(&*plane.config.root_namespace);
    let sends_dry_run = mesh.compat().flags.ambient_enable_dry_run_authorization_policy;
    let near = plane.authorization_policies.of_namespaces(&[&root, namespace]);
    let converted = near.into_iter().filter_map(|policy| convert(policy, &root, sends_dry_run));
    let mut selected: Vec<String> = converted
        .chain(stand_ins(mesh, plane, &root))
        .filter(|policy| {
            matches!(policy.scope, Scope::WorkloadSelector(_))
                && policy.concerns(namespace, labels, &root)
        })
        .map(|policy| format!("{}/{}", policy.namespace, policy.name))
        .collect();
    selected.sort();
    selected.extend(of_peer_authentications(plane, &root, namespace, labels));
    selected
}

/// The oldest policy of a namespace without a selector.
fn without_selector<'p>(
    policies: &'p [std::sync::Arc<PeerAuthentication>],
    namespace: &Namespace,
) -> Option<&'p PeerAuthentication> {
    let mut policies = policies.iter();
    let found = policies
        .find(|policy| policy.meta.namespace == *namespace && policy.spec.selector.is_none());
    found.map(AsRef::as_ref)
}

/// The references that a workload's PeerAuthentications make: the static policy where it is STRICT as a
/// whole, its own where ports differ.
///
/// A policy of the root namespace counts for other namespaces only without a `selector`; an empty one
/// (`{}`) is for the root namespace alone, unlike on sidecars, where it is for all of the mesh.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/serviceregistry/ambient/workloads.go` `fetchPeerAuthentications`,
/// `authorization.go` `convertedSelectorPeerAuthentications`.
fn of_peer_authentications(
    plane: &ControlPlane,
    root: &Namespace,
    namespace: &Namespace,
    labels: &Labels,
) -> Vec<String> {
    if plane.peer_authentications.may_be_broken(namespace, labels) {
        let strict = static_strict(root);
        return vec![format!("{}/{}", strict.namespace, strict.name)];
    }
    let (mut mesh, mut wide, mut own) = (None, None, None);
    for policy in plane.peer_authentications.all() {
        let selector = policy.spec.selector.as_ref().map(|selector| &selector.match_labels);
        let is_of_root = policy.meta.namespace == *root;
        let applies = if policy.meta.namespace == *namespace {
            selector.is_none_or(|selector| labels.contains(selector))
        } else {
            is_of_root && selector.is_none()
        };
        if !applies {
            continue;
        }
        match (selector.is_none_or(Labels::is_empty), is_of_root) {
            (true, true) => mesh = mesh.or(Some(policy)),
            (true, false) => wide = wide.or(Some(policy)),
            (false, false) => own = own.or(Some(policy)),
            (false, true) => {}
        }
    }
    let levels = [mesh, wide, own].map(|level| level.map_or(MutualTlsMode::Unset, |p| mode_of(p)));
    let set = levels.into_iter().rev().find(|mode| *mode != MutualTlsMode::Unset);
    let is_strict = set == Some(MutualTlsMode::Strict);
    let [.., own_mode] = levels;
    let ports = own.filter(|own| has_exceptions(own, own_mode, is_strict));
    // A policy for ports of a STRICT workload says the STRICT part itself.
    let says_all = ports.is_some() && is_strict;
    let strict = (is_strict && !says_all).then(|| static_strict(root));
    let strict = strict.map(|policy| format!("{}/{}", policy.namespace, policy.name));
    let ports =
        ports.map(|own| format!("{}/{}", own.meta.namespace, port_policy_name(&own.meta.name)));
    let mut found: Vec<String> = strict.into_iter().chain(ports).collect();
    found.sort();
    found
}

/// Whether a port differs from its workload in a way that a policy of its own says. Under an inherited
/// STRICT upstream looks for PERMISSIVE only: a port that is DISABLE stays STRICT.
fn has_exceptions(policy: &PeerAuthentication, own: MutualTlsMode, is_strict: bool) -> bool {
    use MutualTlsMode::{Disable, Permissive, Strict, Unset};
    let any = |modes: &[MutualTlsMode]| {
        let ports = policy.spec.port_level_mtls.iter().flatten();
        ports.into_iter().any(|(_, port)| modes.contains(&port.mode))
    };
    match own {
        Strict => any(&[Permissive, Disable]),
        Permissive | Disable => any(&[Strict]),
        Unset if is_strict => any(&[Permissive]),
        Unset => any(&[Strict]),
    }
}

/// What stands in for the policies that could not be understood, under names that no other has.
fn stand_ins(mesh: &Mesh, plane: &ControlPlane, root: &Namespace) -> Vec<Authorization> {
    let broken = BrokenPolicy::of_workloads(mesh, plane);
    if broken.is_empty() {
        return Vec::new();
    }
    let metas = plane.authorization_policies.iter().map(|policy| &policy.meta);
    // No object's name has a `~`.
    let mut names: BTreeMap<(Namespace, Box<str>), u32> =
        metas.map(|meta| ((meta.namespace.clone(), meta.name.as_str().into()), 1)).collect();
    let mut found: Vec<Authorization> =
        broken.iter().filter_map(|broken| stand_in(broken, root)).collect();
    for policy in &mut found {
        let uses = names.entry((policy.namespace.clone(), policy.name.clone())).or_default();
        *uses = uses.saturating_add(1);
        if *uses > 1 {
            policy.name = format!("{}~{uses}", policy.name).into();
        }
    }
    found
}

/// What stands in for a policy that could not be understood: as DENY everything, as ALLOW nothing; for
/// what is about requests, which no ztunnel sees, nothing.
pub(crate) fn stand_in(broken: &BrokenPolicy, root: &Namespace) -> Option<Authorization> {
    if broken.subject != Subject::Connections {
        return None;
    }
    let (action, groups) = match broken.action {
        Some(resource::Action::Allow) => (Action::Allow, Vec::new()),
        Some(resource::Action::Deny) | None => (Action::Deny, vec![Group::default()]),
        Some(resource::Action::Audit | resource::Action::Custom) => return None,
    };
    let namespace = broken.workloads.as_ref().unwrap_or(&broken.namespace);
    Some(Authorization {
        namespace: namespace.clone(),
        name: broken.name.clone(),
        scope: match &broken.selector {
            Some(labels) if !labels.is_empty() && !namespace.is_empty() => {
                Scope::WorkloadSelector(labels.clone())
            }
            Some(_) | None if namespace == root || namespace.is_empty() => Scope::Global,
            Some(_) | None => Scope::Namespace,
        },
        action,
        groups,
        is_dry_run: false,
    })
}
