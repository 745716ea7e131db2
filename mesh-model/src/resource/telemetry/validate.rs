//! What admission refuses in a Telemetry object.
//!
//! The filter of access logs is an expression in CEL, which is not read here but for its being there.
use super::{
    AccessLogFilter, MetricMatch, MetricsOverrides, ProviderRef, TagOperation, TagOverride,
    Telemetry, TelemetryTag, TelemetryTracing,
};
use crate::resource::validate::{Violation, Violations, attachment, metadata};

impl Telemetry {
    /// Returns the rules of admission that the object breaks.
    ///
    /// # Upstream
    ///
    /// istio/istio `pkg/config/validation/validation.go` `ValidateTelemetry`.
    pub fn validate(&self) -> Vec<Violation> {
        metadata::then(&self.meta, |violations| {
            let spec = &self.spec;
            let (selector, target) = (spec.selector.as_ref(), spec.target_ref.as_ref());
            attachment::check(violations, selector, target, &spec.target_refs);
            violations.field("metrics", |violations| {
                violations.each(&spec.metrics, |violations, layer| {
                    providers(violations, &layer.providers);
                    violations.field("overrides", |violations| {
                        violations.each(&layer.overrides, overrides);
                    });
                });
            });
            violations.field("tracing", |violations| {
                if spec.tracing.len() > 1 {
                    let message = "only one block of traces counts";
                    violations.warning("TM-MULTI-TRACING", message, "keep one");
                }
                violations.each(&spec.tracing, tracing);
            });
            violations.field("accessLogging", |violations| {
                violations.each(&spec.access_logging, |violations, layer| {
                    providers(violations, &layer.providers);
                    if let Some(filter) = &layer.filter {
                        violations.field("filter", |violations| expression(violations, filter));
                    }
                });
            });
        })
    }
}

/// Checks that there is an expression: no text of blanks is one in CEL.
///
/// # Upstream
///
/// istio/istio `pkg/config/validation/validation_istiod.go` `validateTelemetryFilter`.
fn expression(violations: &mut Violations, filter: &AccessLogFilter) {
    if filter.expression.trim_matches([' ', '\t', '\n', '\r', '\x0c']).is_empty() {
        let message = "the filter has no expression";
        let help = "add `expression`, such as `response.code >= 400`, or remove the filter";
        violations.error_at("expression", "TM-FILTER", message, help);
    }
}

fn providers(violations: &mut Violations, providers: &[ProviderRef]) {
    violations.field("providers", |violations| {
        violations.each(providers, |violations, provider| {
            if provider.name.is_empty() {
                let help = "name an extension provider of MeshConfig";
                violations.error_at("name", "TM-PROVIDER", "the provider has no name", help);
            }
        });
    });
}

/// # Upstream
///
/// istio/istio `pkg/config/validation/validation.go` `validateTelemetryMetrics`.
fn overrides(violations: &mut Violations, change: &MetricsOverrides) {
    violations.field("tagOverrides", |violations| {
        violations.entries(&change.tag_overrides, |violations, name, tag| {
            if name.is_empty() {
                violations.warning("TM-TAG-NAME", "the tag has no name", "name it");
            }
            tag_override(violations, tag);
        });
    });
    let metric = change.selector.as_ref().and_then(|selector| selector.metric.as_ref());
    if matches!(metric, Some(MetricMatch::CustomMetric(name)) if name.is_empty()) {
        let message = "the metric has no name";
        violations.error_at("match.customMetric", "TM-METRIC", message, "name it");
    }
}

fn tag_override(violations: &mut Violations, tag: &TagOverride) {
    match tag.operation {
        TagOperation::Upsert if tag.value.is_empty() => {
            let message = "the tag is set to nothing";
            violations.error_at("value", "TM-TAG-VALUE", message, "add `value`");
        }
        TagOperation::Remove if !tag.value.is_empty() => {
            let message = "a tag that is removed has no value";
            violations.error_at("value", "TM-TAG-VALUE", message, "remove `value`");
        }
        TagOperation::Upsert | TagOperation::Remove => {}
    }
}

/// # Upstream
///
/// istio/istio `pkg/config/validation/validation.go` `validateTelemetryTracing`.
fn tracing(violations: &mut Violations, layer: &TelemetryTracing) {
    if layer.providers.len() > 1 {
        let message = "only the first provider of traces counts";
        violations.warning_at("providers", "TM-MULTI-PROVIDER", message, "keep one");
    }
    providers(violations, &layer.providers);
    let sampling = layer.random_sampling_percentage.unwrap_or_default();
    if !(0.0..=100.0).contains(&sampling) {
        let message = format!("`{sampling}` is not a percentage");
        let help = "write a number of 0 to 100";
        violations.error_at("randomSamplingPercentage", "TM-SAMPLING", &message, help);
    }
    violations.field("customTags", |violations| {
        violations.entries(&layer.custom_tags, |violations, name, tag| {
            if name.is_empty() {
                violations.error("TM-CUSTOM-TAG", "the tag has no name", "name it");
            }
            let (field, is_empty) = match tag {
                Some(TelemetryTag::Literal(tag)) => ("literal.value", tag.value.is_empty()),
                Some(TelemetryTag::Environment(tag)) => ("environment.name", tag.name.is_empty()),
                Some(TelemetryTag::Header(tag)) => ("header.name", tag.name.is_empty()),
                Some(TelemetryTag::Formatter(_)) | None => return,
            };
            if is_empty {
                let message = "the tag does not say what it holds";
                violations.error_at(field, "TM-CUSTOM-TAG", message, "add it");
            }
        });
    });
}

#[cfg(test)]
mod tests;
