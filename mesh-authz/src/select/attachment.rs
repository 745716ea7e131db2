//! Whether a policy is attached to a workload: by labels, or by reference.
use mesh_model::name::Namespace;
use mesh_model::resource::{
    AuthorizationPolicy, PolicyTargetReference, RequestAuthentication, WorkloadSelector,
};

use super::{AttachedService, Selection, ServiceRegistry, Workload, WorkloadKind};

pub(crate) const GATEWAY_NAME: &str = "gateway.networking.k8s.io/gateway-name";
const GATEWAY_API: &str = "gateway.networking.k8s.io";

/// The references of a policy; the single one counts only without a list.
pub(crate) fn target_refs(policy: &AuthorizationPolicy) -> &[PolicyTargetReference] {
    if policy.spec.target_refs.is_empty() {
        policy.spec.target_ref.as_slice()
    } else {
        &policy.spec.target_refs
    }
}

/// The same of a RequestAuthentication.
pub(crate) fn target_refs_of_tokens(policy: &RequestAuthentication) -> &[PolicyTargetReference] {
    if policy.spec.target_refs.is_empty() {
        policy.spec.target_ref.as_slice()
    } else {
        &policy.spec.target_refs
    }
}

/// What a policy says of the workloads that it is for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attached<'p> {
    namespace: &'p Namespace,
    selector: Option<&'p WorkloadSelector>,
    refs: &'p [PolicyTargetReference],
}

impl<'p> Attached<'p> {
    pub(super) fn of(policy: &'p AuthorizationPolicy) -> Self {
        Self {
            namespace: &policy.meta.namespace,
            selector: policy.spec.selector.as_ref(),
            refs: target_refs(policy),
        }
    }

    pub(super) fn of_request_authentication(policy: &'p RequestAuthentication) -> Self {
        Self {
            namespace: &policy.meta.namespace,
            selector: policy.spec.selector.as_ref(),
            refs: target_refs_of_tokens(policy),
        }
    }

    pub(super) fn is_attached(&self, workload: &Workload, selection: &Selection) -> bool {
        let gateway = workload.labels.get(GATEWAY_NAME);
        if self.refs.is_empty() {
            let reaches = match (&workload.kind, gateway) {
                (_, None) => true,
                (WorkloadKind::Waypoint(_), Some(_)) => false,
                (
                    WorkloadKind::Proxy | WorkloadKind::Captured | WorkloadKind::Client(_),
                    Some(_),
                ) => selection.selects_gateways,
            };
            return reaches
                && self
                    .selector
                    .is_none_or(|selector| workload.is_selected(&selector.match_labels));
        }
        let Some(gateway) = gateway else { return false };
        self.refs
            .iter()
            .any(|reference| refers(reference, self.namespace, workload, gateway, selection))
    }
}

fn refers(
    reference: &PolicyTargetReference,
    namespace: &Namespace,
    workload: &Workload,
    gateway: &str,
    selection: &Selection,
) -> bool {
    let group_and_kind = (&*reference.group, &*reference.kind);
    if let WorkloadKind::Waypoint(services) = &workload.kind {
        let serves = |registry: ServiceRegistry| {
            services.iter().any(|AttachedService { name, namespace: of, registry: from }| {
                *name == reference.name && of == namespace && *from == registry
            })
        };
        let by_service = match group_and_kind {
            ("" | "core", "Service") => serves(ServiceRegistry::Kubernetes),
            ("networking.istio.io", "ServiceEntry") => serves(ServiceRegistry::External),
            (GATEWAY_API, "GatewayClass") => {
                *namespace == selection.root_namespace && &*reference.name == "istio-waypoint"
            }
            _ => false,
        };
        if by_service {
            return true;
        }
    }
    group_and_kind == (GATEWAY_API, "Gateway")
        && &*reference.name == gateway
        && workload.namespace == *namespace
        && (reference.namespace.is_empty() || workload.namespace == *reference.namespace)
}
