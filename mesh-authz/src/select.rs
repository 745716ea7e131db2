//! Which policies apply to a workload, and in which order.
//!
//! ```text
//! all policies ─▶ by age, name, namespace ─▶ root, own, services' namespaces ─▶ attached? ─▶ by action
//! ```
//!
//! # Upstream
//!
//! istio/istio `pilot/pkg/model/authorization.go` `ListAuthorizationPolicies`;
//! `pilot/pkg/model/policyattachment.go` `ShouldAttachPolicy`.
use mesh_model::name::{Labels, Namespace};
use mesh_model::resource::{Action, AuthorizationPolicy};
use mesh_model::view::selects_behind_ztunnel;

mod attachment;
mod broken;
pub(crate) mod lost;
mod request_authentication;

use self::attachment::Attached;
pub(crate) use self::attachment::{GATEWAY_NAME, target_refs, target_refs_of_tokens};
pub use self::broken::{BrokenPolicy, Subject};
pub use self::request_authentication::select_jwt_rules;

/// The workload whose policies are asked for.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "callers build workloads by hand")]
pub struct Workload {
    /// Its namespace.
    pub namespace: Namespace,
    /// Its labels; `gateway.networking.k8s.io/gateway-name` makes it a gateway.
    pub labels: Labels,
    /// What it is besides.
    pub kind: WorkloadKind,
}

/// What a workload is, as far as policies are attached differently.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "attachment acts on every kind")]
pub enum WorkloadKind {
    /// A workload with a sidecar, or a gateway.
    #[default]
    Proxy,
    /// A workload behind a ztunnel: one without any label is meant by every selector that is not empty.
    Captured,
    /// A sidecar where it sends to a service of this namespace that it looks up by server names: what decides who
    /// may call the workload stands there too, with the policies of that namespace.
    Client(Namespace),
    /// A waypoint, and the services that it serves.
    Waypoint(Vec<AttachedService>),
}

impl WorkloadKind {
    /// The namespaces whose policies count beside the root and the workload's own.
    pub(crate) fn namespaces(&self) -> Vec<&Namespace> {
        match self {
            Self::Proxy | Self::Captured => Vec::new(),
            Self::Client(namespace) => vec![namespace],
            Self::Waypoint(services) => services.iter().map(|of| &of.namespace).collect(),
        }
    }
}

impl Workload {
    /// Whether labels that a policy asks for mean it.
    fn is_selected(&self, selector: &Labels) -> bool {
        self.labels.contains(selector)
            || (self.kind == WorkloadKind::Captured
                && selects_behind_ztunnel(selector, &self.labels))
    }
}

/// A service that a waypoint serves.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "callers build workloads by hand")]
pub struct AttachedService {
    /// The name of the `Service` or `ServiceEntry`.
    pub name: Box<str>,
    /// Its namespace.
    pub namespace: Namespace,
    /// What it was read from.
    pub registry: ServiceRegistry,
}

/// What a service was read from.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[expect(clippy::exhaustive_enums, reason = "attachment acts on both")]
pub enum ServiceRegistry {
    /// A Kubernetes `Service`.
    Kubernetes,
    /// A `ServiceEntry`.
    External,
}

/// How policies are selected.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "callers set single fields over the default")]
pub struct Selection {
    /// The namespace whose policies concern all others (`MeshConfig.rootNamespace`).
    pub root_namespace: Namespace,
    /// `ENABLE_SELECTOR_BASED_K8S_GATEWAY_POLICY` (true): selectors reach gateways of the Gateway API.
    pub selects_gateways: bool,
}

impl Default for Selection {
    fn default() -> Self {
        Self { root_namespace: Namespace::from("istio-system"), selects_gateways: true }
    }
}

/// The policies that apply to a workload, each list in the order in which istiod has it.
#[derive(Clone, Debug, Default, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "there are four actions")]
pub struct Selected<'p> {
    /// Those that ask an external authorizer.
    pub custom: Vec<&'p AuthorizationPolicy>,
    /// Those that mark requests for the access log.
    pub audit: Vec<&'p AuthorizationPolicy>,
    /// Those that deny.
    pub deny: Vec<&'p AuthorizationPolicy>,
    /// Those that allow.
    pub allow: Vec<&'p AuthorizationPolicy>,
}

/// Selects the policies of a workload. The order of the input does not matter, except among policies
/// that agree in age, name and namespace.
pub fn select<'p>(
    policies: impl IntoIterator<Item = &'p AuthorizationPolicy>,
    workload: &Workload,
    selection: &Selection,
) -> Selected<'p> {
    let order = visited(workload, selection);
    let mut attached: Vec<(usize, &AuthorizationPolicy)> = policies
        .into_iter()
        .filter_map(|policy| {
            let visit = order.iter().position(|namespace| **namespace == policy.meta.namespace)?;
            Attached::of(policy).is_attached(workload, selection).then_some((visit, policy))
        })
        .collect();
    attached.sort_by_key(|(visit, policy)| (*visit, policy.meta.age()));
    let mut selected = Selected::default();
    for (_, policy) in attached {
        match policy.spec.action {
            Action::Custom => selected.custom.push(policy),
            Action::Audit => selected.audit.push(policy),
            Action::Deny => selected.deny.push(policy),
            Action::Allow => selected.allow.push(policy),
        }
    }
    selected
}

/// Whether a policy applies to a workload.
pub(crate) fn applies(
    policy: &AuthorizationPolicy,
    workload: &Workload,
    selection: &Selection,
) -> bool {
    visited(workload, selection).contains(&&policy.meta.namespace)
        && Attached::of(policy).is_attached(workload, selection)
}

/// The namespaces whose policies count: the root, the workload's own, those of the services that it stands for.
fn visited<'w>(workload: &'w Workload, selection: &'w Selection) -> Vec<&'w Namespace> {
    let mut order = vec![&selection.root_namespace, &workload.namespace];
    order.extend(workload.kind.namespaces());
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(workload: &Workload, selection: &Selection, expected: bool) {
        let policy = AuthorizationPolicy {
            meta: mesh_model::resource::Meta::new("shop", "p"),
            spec: mesh_model::resource::AuthorizationPolicySpec::default(),
        };
        let selected = select([&policy], workload, selection);
        assert_eq!(selected.allow.len(), usize::from(expected));
    }

    fn gateway(kind: WorkloadKind) -> Workload {
        let label = ("gateway.networking.k8s.io/gateway-name", "gw");
        Workload { namespace: Namespace::from("shop"), labels: [label].into_iter().collect(), kind }
    }

    #[test]
    fn a_flag_keeps_selectors_off_gateways() {
        let gateway = gateway(WorkloadKind::Proxy);
        check(&gateway, &Selection::default(), true);
        let off = Selection { selects_gateways: false, ..Selection::default() };
        check(&gateway, &off, false);
    }

    #[test]
    fn a_waypoint_is_never_selected_by_labels() {
        check(&gateway(WorkloadKind::Waypoint(Vec::new())), &Selection::default(), false);
    }
}
