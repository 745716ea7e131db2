//! What a policy is attached to: a selector or references, not both.
use super::Violations;
use crate::name::Labels;
use crate::resource::{PolicyTargetReference, WorkloadLabels, WorkloadSelector};

/// The kinds that a policy may refer to.
const KINDS: [(&str, &str); 4] = [
    ("", "Service"),
    ("networking.istio.io", "ServiceEntry"),
    ("gateway.networking.k8s.io", "Gateway"),
    ("gateway.networking.k8s.io", "GatewayClass"),
];

/// Checks the three fields of a policy's `spec`.
///
/// # Upstream
///
/// istio/istio `pkg/config/validation/validation.go` `validateOneOfSelectorType`,
/// `validateWorkloadSelector`, `validatePolicyTargetReference`.
pub(crate) fn check(
    violations: &mut Violations,
    workload_selector: Option<&WorkloadSelector>,
    target_ref: Option<&PolicyTargetReference>,
    target_refs: &[PolicyTargetReference],
) {
    let given = usize::from(workload_selector.is_some())
        + usize::from(target_ref.is_some())
        + usize::from(!target_refs.is_empty());
    if given > 1 {
        let message = "a policy has either a selector or references";
        violations.error("TARGETREF-ONEOF", message, "keep `selector` or `targetRefs`");
    }
    if let Some(workload_selector) = workload_selector {
        violations.field("selector", |violations| selector(violations, workload_selector));
    }
    if let Some(target_ref) = target_ref {
        violations.field("targetRef", |violations| reference(violations, target_ref));
    }
    violations.field("targetRefs", |violations| violations.each(target_refs, reference));
}

/// Checks a selector of workloads.
pub(crate) fn selector(violations: &mut Violations, selector: &WorkloadSelector) {
    let help = "leave the selector out to mean all workloads";
    pairs(violations, "matchLabels", &selector.match_labels, help);
}

/// Checks the selector of a Sidecar or a ServiceEntry under its name; an error in it ends the look.
///
/// # Upstream
///
/// istio/istio `pkg/config/validation/validation.go` `ValidateAlphaWorkloadSelector`.
pub(crate) fn labels(
    violations: &mut Violations,
    name: &str,
    selector: Option<&WorkloadLabels>,
) -> bool {
    if let Some(selector) = selector {
        violations.field(name, |violations| {
            pairs(violations, "labels", &selector.labels, "it means all workloads; add labels");
        });
    }
    !violations.has_error()
}

fn pairs(violations: &mut Violations, name: &str, labels: &Labels, help: &str) {
    violations.field(name, |violations| {
        for (key, value) in labels.iter() {
            violations.field(key, |violations| {
                if key.is_empty() {
                    violations.error("SEL-EMPTY-KEY", "a label has an empty key", "remove it");
                }
                if key.contains('*') || value.contains('*') {
                    let message = "labels are compared as they are, a `*` stands for nothing else";
                    violations.error("SEL-WILDCARD", message, "write the label in full");
                }
            });
        }
        if labels.is_empty() {
            violations.warning("SEL-NO-LABELS", "the selector has no label", help);
        }
    });
}

fn reference(violations: &mut Violations, reference: &PolicyTargetReference) {
    if reference.name.is_empty() {
        violations.field("name", |violations| {
            violations.error("TARGETREF-NAME", "the reference names no object", "add a name");
        });
    }
    if !reference.namespace.is_empty() {
        violations.field("namespace", |violations| {
            let message = "a policy refers to objects of its own namespace only";
            violations.error("TARGETREF-NAMESPACE", message, "remove the namespace");
        });
    }
    let group = if &*reference.group == "core" { "" } else { &*reference.group };
    if !KINDS.contains(&(group, &*reference.kind)) {
        violations.field("kind", |violations| {
            let message = format!("a policy cannot refer to a `{}`", reference.kind);
            let help = "refer to a Service, ServiceEntry, Gateway or GatewayClass of its group";
            violations.error("TARGETREF-KIND", &message, help);
        });
    }
}
