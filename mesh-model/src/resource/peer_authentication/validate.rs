//! What admission refuses in a PeerAuthentication.
use super::PeerAuthentication;
use crate::resource::validate::{Violation, attachment, metadata, port};

impl PeerAuthentication {
    /// Returns the rules of admission that the object breaks.
    ///
    /// # Upstream
    ///
    /// istio/istio `pkg/config/validation/validation.go` `ValidatePeerAuthentication`.
    pub fn validate(&self) -> Vec<Violation> {
        metadata::then(&self.meta, |violations| {
            let spec = &self.spec;
            let selects = spec.selector.as_ref().is_some_and(|s| !s.match_labels.is_empty());
            if let Some(ports) = &spec.port_level_mtls {
                violations.field("portLevelMtls", |violations| {
                    if ports.is_empty() {
                        let message = "the map of ports is empty";
                        violations.error("PA-PORT-EMPTY", message, "add a port, or remove it");
                    } else if !selects {
                        let message = "ports are those of some workloads, and none are selected";
                        violations.error("PA-PORT-NEEDS-SELECTOR", message, "add `selector`");
                    }
                    for number in ports.keys() {
                        violations.take_at(&number.to_string(), port::number(*number));
                    }
                });
            }
            if let Some(selector) = &spec.selector {
                violations.field("selector", |violations| {
                    attachment::selector(violations, selector);
                });
            }
        })
    }
}

#[cfg(test)]
mod tests;
