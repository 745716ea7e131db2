//! What is refused in where the bootstrap of proxies sends traces.
use super::super::super::{Tracer, Tracing};
use super::endpoint;
use crate::resource::destination_rule;
use crate::resource::validate::Violations;

/// What stands for the address of the node.
const HOST_IP: &str = "$(HOST_IP)";

/// Checks where traces are sent.
///
/// # Upstream
///
/// istio/istio `pkg/config/validation/agent/validation.go` `ValidateLightstepCollector`,
/// `ValidateZipkinCollector`, `ValidateDatadogCollector`, `ValidateTLS`.
pub(super) fn check(violations: &mut Violations, settings: &Tracing) {
    let of_node = |address: &str| endpoint(&address.replacen(HOST_IP, "127.0.0.1", 1));
    match &settings.tracer {
        Some(Tracer::Zipkin(zipkin)) => {
            violations.take_at("zipkin.address", of_node(&zipkin.address));
        }
        Some(Tracer::Datadog(datadog)) => {
            violations.take_at("datadog.address", of_node(&datadog.address));
        }
        Some(Tracer::Lightstep(lightstep)) => {
            violations.take_at("lightstep.address", endpoint(&lightstep.address));
            if lightstep.access_token.is_empty() {
                let message = "Lightstep takes no traces without a token";
                let help = "add `accessToken`";
                violations.error_at("lightstep", "MC-TRACING-TOKEN", message, help);
            }
        }
        // Upstream looks at no other.
        Some(Tracer::Stackdriver(_) | Tracer::OpenCensusAgent(_)) | None => {}
    }
    if let Some(tls) = &settings.tls_settings {
        violations.field("tlsSettings", |violations| {
            destination_rule::tls_settings(violations, "", tls);
        });
    }
}
