//! Limits of Telemetry objects.
use super::{attachment, not_empty};
use crate::resource::Telemetry;
use crate::resource::telemetry::{TelemetryTag, TelemetryTracing};
use crate::resource::validate::{Violations, duration};

pub(super) fn telemetry(violations: &mut Violations, telemetry: &Telemetry) {
    let spec = &telemetry.spec;
    let (selector, target) = (spec.selector.as_ref(), spec.target_ref.as_ref());
    attachment::policy(violations, selector, target, &spec.target_refs);
    violations.field("metrics", |violations| {
        violations.each(&spec.metrics, |violations, layer| {
            duration::least(violations, "reportingInterval", layer.reporting_interval);
        });
    });
    violations.field("tracing", |violations| violations.each(&spec.tracing, tags));
}

fn tags(violations: &mut Violations, layer: &TelemetryTracing) {
    violations.field("customTags", |violations| {
        violations.entries(&layer.custom_tags, |violations, _, tag| {
            if let Some(TelemetryTag::Formatter(tag)) = tag {
                violations.field("formatter.value", |violations| not_empty(violations, &tag.value));
            }
        });
    });
}
