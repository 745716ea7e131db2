//! Outlier detection.
use super::super::OutlierDetection;
use crate::resource::validate::{Violations, duration};

/// Checks the block, if it is given.
///
/// # Upstream
///
/// istio/istio `pkg/config/validation/validation.go` `validateOutlierDetection`.
pub(in crate::resource) fn check(violations: &mut Violations, block: Option<&OutlierDetection>) {
    let Some(block) = block else { return };
    violations.field("outlierDetection", |violations| {
        duration::check(violations, "baseEjectionTime", block.base_ejection_time);
        if block.consecutive_errors != 0 {
            let message = "`consecutiveErrors` is deprecated";
            let help = "use `consecutiveGatewayErrors` or `consecutive5xxErrors`";
            violations.warning_at("consecutiveErrors", "OD-CONSECUTIVE-ERRORS", message, help);
        }
        let counts_local = block.consecutive_local_origin_failures.is_some_and(|count| count > 0);
        if counts_local && !block.split_external_local_origin_errors {
            let message = "failures of the connection do not count apart";
            let help = "set `splitExternalLocalOriginErrors: true`";
            let name = "consecutiveLocalOriginFailures";
            violations.error_at(name, "OD-LOCAL-ORIGIN", message, help);
        }
        duration::check(violations, "interval", block.interval);
        percent(violations, "maxEjectionPercent", block.max_ejection_percent);
        percent(violations, "minHealthPercent", block.min_health_percent);
    });
}

fn percent(violations: &mut Violations, name: &str, percent: i32) {
    if !(0..=100).contains(&percent) {
        let message = format!("`{percent}` is not a percentage");
        violations.error_at(name, "OD-PERCENT", &message, "write a number of 0 to 100");
    }
}
