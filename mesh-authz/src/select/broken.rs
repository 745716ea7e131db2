//! Policies that could not be understood: they deny what they might have denied.
use mesh_model::name::{Labels, Namespace};
use mesh_model::registry::ControlPlane;
use mesh_model::resource::Action;

use super::{Selection, Workload};

/// A policy that did not decode or that admission refuses, as far as it is known.
///
/// Security fails closed: until it is mended, every workload that it may mean denies what the policy
/// might have denied. An ALLOW policy might have denied whatever no other ALLOW policy allows; a DENY
/// or a CUSTOM policy, or one of unknown action, might have denied everything; AUDIT denies nothing.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "callers build markers by hand")]
pub struct BrokenPolicy {
    /// The policy's namespace; empty where it is not known, so that it may be any.
    pub namespace: Namespace,
    /// The policy's name.
    pub name: Box<str>,
    /// The labels that a workload must have to be meant; `None` where the selector is not understood
    /// or the policy is attached by reference, so that every workload may be meant.
    pub selector: Option<Labels>,
    /// The policy's action; `None` where it is not understood.
    pub action: Option<Action>,
}

impl BrokenPolicy {
    /// Those that count for the proxies of a control plane.
    pub(crate) fn of_plane(plane: &ControlPlane) -> Vec<Self> {
        let broken = plane.broken.iter().filter(|b| b.object.kind == "AuthorizationPolicy");
        let known = broken.map(|broken| Self {
            namespace: broken.object.namespace.clone(),
            name: broken.object.name.clone(),
            selector: broken.selector.clone(),
            action: broken.action,
        });
        known.collect()
    }

    /// Returns whether the policy may mean a workload.
    pub fn may_select(&self, workload: &Workload, selection: &Selection) -> bool {
        (self.namespace.is_empty()
            || super::visited(workload, selection).contains(&&self.namespace))
            && self.selector.as_ref().is_none_or(|selector| workload.labels.contains(selector))
    }
}
