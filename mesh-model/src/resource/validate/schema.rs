//! How much the API server takes: items of lists, characters of texts, fields that exclude each other.
//!
//! The schemas of the custom resources refuse what `pkg/config/validation` would take: these rules stand
//! beside those of [`Resource::validate`] and are told apart from them. What both refuse is told there.
use super::{Violation, Violations};
use crate::resource::Resource;

mod destination;
mod policy;
mod service;

impl Resource {
    /// Returns the limits of its schema that the object breaks; an object with one is refused by the API
    /// server, before the rules of [`Self::validate`] are looked at.
    ///
    /// # Upstream
    ///
    /// istio/api `kubernetes/customresourcedefinitions.gen.yaml`, `maxItems`, `maxLength`,
    /// `x-kubernetes-validations`.
    pub fn exceeds_schema(&self) -> Vec<Violation> {
        let mut violations = Violations::default();
        violations.field("spec", |violations| match self {
            Self::AuthorizationPolicy(policy) => policy::authorization(violations, policy),
            Self::RequestAuthentication(policy) => policy::authentication(violations, policy),
            Self::PeerAuthentication(policy) => policy::ports_of_peers(violations, policy),
            Self::Telemetry(policy) => {
                most(violations, "targetRefs", policy.spec.target_refs.len(), policy::MOST_TARGETS);
            }
            Self::ServiceEntry(entry) => service::service(violations, entry),
            Self::WorkloadEntry(entry) => service::endpoint(violations, &entry.spec),
            Self::WorkloadGroup(group) => {
                if let Some(template) = &group.spec.template {
                    violations
                        .field("template", |violations| service::endpoint(violations, template));
                }
            }
            Self::DestinationRule(rule) => destination::destination(violations, rule),
            Self::VirtualService(_)
            | Self::Gateway(_)
            | Self::Sidecar(_)
            | Self::ProxyConfig(_)
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

fn most(violations: &mut Violations, name: &str, items: usize, most: usize) {
    if items > most {
        violations.field(name, |violations| {
            let message = format!("the list has {items} items, and {most} are the most");
            violations.error("SCHEMA-MAX-ITEMS", &message, "use several objects");
        });
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
