//! Whether a policy is attached to a workload: by labels, or by reference.
use mesh_model::resource::{AuthorizationPolicy, PolicyTargetReference};

use super::{AttachedService, Selection, ServiceRegistry, Workload, WorkloadKind};

const GATEWAY_NAME: &str = "gateway.networking.k8s.io/gateway-name";
const GATEWAY_API: &str = "gateway.networking.k8s.io";

/// The references of a policy; the single one counts only without a list.
pub(crate) fn target_refs(policy: &AuthorizationPolicy) -> &[PolicyTargetReference] {
    if policy.spec.target_refs.is_empty() {
        policy.spec.target_ref.as_slice()
    } else {
        &policy.spec.target_refs
    }
}

pub(super) fn is_attached(
    policy: &AuthorizationPolicy,
    workload: &Workload,
    selection: &Selection,
) -> bool {
    let refs = target_refs(policy);
    let gateway = workload.labels.get(GATEWAY_NAME);
    if refs.is_empty() {
        let reaches = match (&workload.kind, gateway) {
            (_, None) => true,
            (WorkloadKind::Waypoint(_), Some(_)) => false,
            (WorkloadKind::Proxy, Some(_)) => selection.selects_gateways,
        };
        return reaches
            && policy
                .spec
                .selector
                .as_ref()
                .is_none_or(|selector| workload.labels.contains(&selector.match_labels));
    }
    let Some(gateway) = gateway else { return false };
    refs.iter().any(|reference| refers(reference, policy, workload, gateway, selection))
}

fn refers(
    reference: &PolicyTargetReference,
    policy: &AuthorizationPolicy,
    workload: &Workload,
    gateway: &str,
    selection: &Selection,
) -> bool {
    let namespace = &policy.meta.namespace;
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
