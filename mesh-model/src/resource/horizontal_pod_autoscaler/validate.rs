//! What the Kubernetes API refuses in a HorizontalPodAutoscaler, as far as it is read.
use super::{HorizontalPodAutoscaler, HorizontalPodAutoscalerSpec, ScaleTarget};
use crate::manifest::decode::clip;
use crate::resource::validate::{Violation, Violations, label};

impl HorizontalPodAutoscaler {
    /// Returns the rules that the object breaks.
    ///
    /// # Upstream
    ///
    /// kubernetes/kubernetes `pkg/apis/autoscaling/validation/validation.go`
    /// `ValidateHorizontalPodAutoscaler`, `ValidateCrossVersionObjectReference`, with the feature that
    /// allows no replica at all (`HPAScaleToZero`) switched on.
    pub fn validate(&self) -> Vec<Violation> {
        let mut violations = Violations::default();
        if !label::is_subdomain(&self.meta.name) {
            let message = format!("`{}` is no name of an object", clip(&self.meta.name));
            let help = "write at most 253 small letters, digits, `-` and `.`";
            violations.error_at("metadata.name", "HPA-NAME", &message, help);
        }
        violations.field("spec", |violations| {
            replicas(violations, &self.spec);
            violations.field("scaleTargetRef", |violations| {
                target(violations, &self.spec.scale_target_ref);
            });
        });
        violations.field("status", |violations| {
            let status = &self.status;
            let counts = [
                ("currentReplicas", status.current_replicas),
                ("desiredReplicas", status.desired_replicas),
            ];
            for (name, _) in counts.into_iter().filter(|(_, count)| *count < 0) {
                let message = "a number of replicas is not negative";
                violations.error_at(name, "HPA-STATUS", message, "take the status away");
            }
        });
        violations.into_found()
    }
}

fn replicas(violations: &mut Violations, spec: &HorizontalPodAutoscalerSpec) {
    let HorizontalPodAutoscalerSpec { min_replicas, max_replicas, metrics, .. } = spec;
    let scales_to_zero =
        metrics.iter().any(|metric| matches!(&*metric.kind, "Object" | "External"));
    if let Some(least) = min_replicas
        && *least < i32::from(!scales_to_zero)
    {
        let (message, help) = match least {
            0 => (
                "without a metric of type `Object` or `External` nothing would scale from 0 replicas",
                "write at least 1",
            ),
            _ => ("a number of replicas is not negative", "write at least 1"),
        };
        violations.error_at("minReplicas", "HPA-MIN", message, help);
    }
    if *max_replicas < 1 {
        let message = "the most replicas are at least 1";
        violations.error_at("maxReplicas", "HPA-MAX", message, "write at least 1");
    } else if min_replicas.is_some_and(|least| *max_replicas < least) {
        let message = format!("the most replicas, {max_replicas}, are fewer than the fewest");
        let help = "write at least `minReplicas`";
        violations.error_at("maxReplicas", "HPA-MAX", &message, help);
    }
}

fn target(violations: &mut Violations, target: &ScaleTarget) {
    for (field, text) in [("kind", &*target.kind), ("name", &*target.name)] {
        if text.is_empty() {
            let message = format!("nothing is scaled: the target has no {field}");
            let help = "name the object, such as kind `Deployment` and its name";
            violations.error_at(field, "HPA-TARGET", &message, help);
        } else if matches!(text, "." | "..") || text.contains(['/', '%']) {
            let message = format!("`{}` is not the {field} of an object", clip(text));
            let help = "it is neither `.` nor `..`, and has no `/` and no `%`";
            violations.error_at(field, "HPA-TARGET", &message, help);
        }
    }
    if target.api_version.matches('/').count() > 1 {
        let message = format!("`{}` is not a group and a version", clip(&target.api_version));
        violations.error_at("apiVersion", "HPA-TARGET", &message, "write for example `apps/v1`");
    }
}
