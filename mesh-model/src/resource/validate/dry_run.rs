//! The annotation `istio.io/dry-run`.
use super::Violations;
use crate::resource::{Action, Meta};

pub(crate) const ANNOTATION: &str = "istio.io/dry-run";

/// What Go reads as a boolean.
const BOOLEANS: [&str; 12] =
    ["1", "t", "T", "TRUE", "true", "True", "0", "f", "F", "FALSE", "false", "False"];

/// Checks the annotation of an AuthorizationPolicy; if it is wrong nothing else is looked at.
///
/// # Upstream
///
/// istio/istio `pkg/config/validation/validation.go` `checkDryRunAnnotation`.
pub(crate) fn of_policy(violations: &mut Violations, meta: &Meta, action: Action) -> bool {
    let Some(value) = meta.annotations.get(ANNOTATION) else { return true };
    if BOOLEANS.contains(&value) && matches!(action, Action::Allow | Action::Deny) {
        return true;
    }
    violations.field("metadata.annotations.istio.io/dry-run", |violations| match action {
        Action::Allow | Action::Deny => {
            let message = format!("`{value}` is neither true nor false");
            violations.error("META-DRYRUN-VALUE", &message, "write `true` or `false`");
        }
        Action::Audit | Action::Custom => {
            let message = "only ALLOW and DENY policies can be on trial";
            violations.error("META-DRYRUN-ACTION", message, "remove the annotation");
        }
    });
    false
}

/// Checks the annotation of an object that cannot be on trial; if it is there nothing else is looked at.
pub(crate) fn of_others(violations: &mut Violations, meta: &Meta) -> bool {
    if meta.annotations.get(ANNOTATION).is_none() {
        return true;
    }
    violations.field("metadata.annotations.istio.io/dry-run", |violations| {
        let message = "only AuthorizationPolicies can be on trial";
        violations.error("META-DRYRUN-KIND", message, "remove the annotation");
    });
    false
}
