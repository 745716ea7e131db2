//! What is looked at before anything else: annotations that are not for everybody.
use super::{Violation, Violations, dry_run};
use crate::resource::Meta;

/// Annotations of istiod's own, which users may not set.
const INTERNAL: [&str; 3] = [
    "internal.istio.io/webhook-always-reject",
    "internal.istio.io/parent-namespace",
    "internal.istio.io/parents",
];

/// Checks the metadata of an object that cannot be on trial, then, if nothing is wrong with it, its
/// `spec`.
///
/// # Upstream
///
/// istio/istio `pkg/config/validation/validation.go` `validateMetadata`.
pub(crate) fn then(meta: &Meta, inner: impl FnOnce(&mut Violations)) -> Vec<Violation> {
    let mut violations = Violations::default();
    if dry_run::of_others(&mut violations, meta) && annotations(&mut violations, meta) {
        violations.field("spec", inner);
    }
    violations.into_found()
}

/// Checks that no annotation of istiod's own is set.
pub(crate) fn annotations(violations: &mut Violations, meta: &Meta) -> bool {
    let Some(found) = INTERNAL.iter().find(|name| meta.annotations.get(name).is_some()) else {
        return true;
    };
    violations.field(&format!("metadata.annotations.{found}"), |violations| {
        let message = format!("the annotation `{found}` is the control plane's own");
        violations.error("META-INTERNAL-ANNOTATION", &message, "remove it");
    });
    false
}
