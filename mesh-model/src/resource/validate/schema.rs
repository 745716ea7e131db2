//! How much the API server takes: items of lists, characters of texts, sizes of numbers, fields that
//! exclude each other.
//!
//! The schemas of the custom resources refuse what `pkg/config/validation` would take: these rules stand
//! beside those of [`Resource::validate`] and are told apart from them. What both refuse is told there. What
//! is refused because it is given and empty is seen in the document only ([`given`]).
use std::fmt::Display;
use std::ops::RangeInclusive;

use super::{Violation, Violations};
use crate::resource::{ProxyConfig, Resource};

mod attachment;
mod destination;
mod endpoint;
pub(in crate::resource) mod given;
mod policy;
mod server;
mod service;
mod telemetry;

/// Characters of a value in the environment of a proxy.
const LONGEST_VARIABLE: usize = 2048;

impl Resource {
    /// Returns the limits of its schema that the object breaks; an object with one is refused by the API
    /// server, before the rules of [`Self::validate`] are looked at.
    ///
    /// # Upstream
    ///
    /// istio/api `kubernetes/customresourcedefinitions.gen.yaml`, `maxItems`, `maxLength`, `maximum` and
    /// their opposites, `maxProperties`, `x-kubernetes-validations`.
    pub fn exceeds_schema(&self) -> Vec<Violation> {
        let mut violations = Violations::default();
        violations.field("spec", |violations| match self {
            Self::AuthorizationPolicy(policy) => policy::authorization(violations, policy),
            Self::RequestAuthentication(policy) => policy::authentication(violations, policy),
            Self::PeerAuthentication(policy) => policy::peers(violations, policy),
            Self::Telemetry(telemetry) => telemetry::telemetry(violations, telemetry),
            Self::ServiceEntry(entry) => service::service(violations, entry),
            Self::WorkloadEntry(entry) => endpoint::endpoint(violations, &entry.spec),
            Self::WorkloadGroup(group) => endpoint::group(violations, group),
            Self::DestinationRule(rule) => destination::destination(violations, rule),
            Self::Gateway(gateway) => server::gateway(violations, gateway),
            Self::Sidecar(sidecar) => {
                attachment::labels(violations, sidecar.spec.workload_selector.as_ref());
            }
            Self::ProxyConfig(config) => {
                attachment::selector(violations, "selector", config.spec.selector.as_ref());
                environment(violations, config);
            }
            Self::VirtualService(_)
            | Self::Opaque(_)
            | Self::Service(_)
            | Self::HorizontalPodAutoscaler(_)
            | Self::EndpointSlice(_)
            | Self::Pod(_)
            | Self::Node(_)
            | Self::Namespace(_)
            | Self::ServiceAccount(_)
            | Self::ServiceExport(_)
            | Self::ServiceImport(_)
            | Self::MeshConfigMap(_)
            | Self::KubernetesGateway(_) => {}
        });
        violations.into_found()
    }
}

/// Checks the environment of proxies.
fn environment(violations: &mut Violations, config: &ProxyConfig) {
    violations.field("environmentVariables", |violations| {
        for (name, value) in &config.spec.environment_variables {
            longest(violations, name, value, LONGEST_VARIABLE);
        }
    });
}

/// Checks the items of a list or a map.
fn most(violations: &mut Violations, name: &str, items: usize, most: usize) {
    if items > most {
        let message = format!("there are {items} items, and {most} are the most");
        violations.error_at(name, "SCHEMA-MAX-ITEMS", &message, "use several objects");
    }
}

/// Checks a text that may not be empty, the one that is being looked at.
fn not_empty(violations: &mut Violations, text: &str) {
    if text.is_empty() {
        violations.error("SCHEMA-MIN-LENGTH", "the text is empty", "write one, or remove it");
    }
}

/// Checks a number, if it is given.
fn within<N: Copy + Display + PartialOrd>(
    violations: &mut Violations,
    name: &str,
    number: Option<N>,
    range: RangeInclusive<N>,
) {
    if let Some(number) = number.filter(|number| !range.contains(number)) {
        let (least, most) = (range.start(), range.end());
        let message = format!("`{number}` is not a number of {least} to {most}");
        violations.error_at(name, "SCHEMA-RANGE", &message, "write a number of that range");
    }
}

/// Checks the characters of a text in a field, or of the one that is being looked at.
fn longest(violations: &mut Violations, name: &str, text: &str, most: usize) {
    // No text has more characters than bytes.
    if text.len() <= most || text.chars().count() <= most {
        return;
    }
    let message = format!("the text has more than {most} characters");
    let help = "write a shorter one";
    match name {
        "" => violations.error("SCHEMA-MAX-LENGTH", &message, help),
        name => violations.error_at(name, "SCHEMA-MAX-LENGTH", &message, help),
    }
}

fn exclusive(violations: &mut Violations, name: &str, other: &str) {
    let message = format!("`{name}` cannot be set together with `{other}`");
    violations.error_at(name, "SCHEMA-EXCLUSIVE", &message, "keep one of them");
}

#[cfg(test)]
mod tests;
