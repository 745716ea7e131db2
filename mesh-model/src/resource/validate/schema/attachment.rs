//! Limits of what objects are attached to.
use super::{longest, most};
use crate::name::Labels;
use crate::resource::validate::Violations;
use crate::resource::{PolicyTargetReference, WorkloadLabels, WorkloadSelector};

/// References of a policy.
const MOST_TARGETS: usize = 16;
/// Labels of a selector by `matchLabels`.
const MOST_MATCHED: usize = 4096;
/// Labels of a selector by `labels`, and of an endpoint.
pub(super) const MOST_LABELS: usize = 256;
/// Characters of the value of a label in a selector.
const LONGEST_VALUE: usize = 63;
/// Characters of the name of an object.
const LONGEST_NAME: usize = 253;

/// Checks the three fields of a policy's `spec`.
pub(super) fn policy(
    violations: &mut Violations,
    workload_selector: Option<&WorkloadSelector>,
    target_ref: Option<&PolicyTargetReference>,
    target_refs: &[PolicyTargetReference],
) {
    selector(violations, "selector", workload_selector);
    if let Some(target_ref) = target_ref {
        violations.field("targetRef", |violations| reference(violations, target_ref));
    }
    most(violations, "targetRefs", target_refs.len(), MOST_TARGETS);
    violations.field("targetRefs", |violations| violations.each(target_refs, reference));
}

fn reference(violations: &mut Violations, reference: &PolicyTargetReference) {
    longest(violations, "name", &reference.name, LONGEST_NAME);
}

/// Checks a selector by `matchLabels` under its name.
pub(super) fn selector(
    violations: &mut Violations,
    name: &str,
    selector: Option<&WorkloadSelector>,
) {
    if let Some(selector) = selector {
        violations.field(name, |violations| {
            pairs(violations, "matchLabels", &selector.match_labels, MOST_MATCHED);
        });
    }
}

/// Checks the `workloadSelector` by `labels` of a Sidecar or a ServiceEntry.
pub(super) fn labels(violations: &mut Violations, selector: Option<&WorkloadLabels>) {
    if let Some(selector) = selector {
        violations.field("workloadSelector", |violations| {
            pairs(violations, "labels", &selector.labels, MOST_LABELS);
        });
    }
}

fn pairs(violations: &mut Violations, name: &str, labels: &Labels, most_pairs: usize) {
    most(violations, name, labels.len(), most_pairs);
    violations.field(name, |violations| {
        for (key, value) in labels.iter() {
            longest(violations, key, value, LONGEST_VALUE);
        }
    });
}
