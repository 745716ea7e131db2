//! What the Kubernetes API refuses in an EndpointSlice, as far as the mesh reads it.
use super::EndpointSlice;
use crate::resource::validate::{Violation, Violations, port};

impl EndpointSlice {
    /// Returns the rules that the object breaks.
    ///
    /// # Upstream
    ///
    /// kubernetes/kubernetes `pkg/apis/discovery/validation/validation.go` `ValidateEndpointSlice`.
    pub fn validate(&self) -> Vec<Violation> {
        let mut violations = Violations::default();
        violations.field("ports", |violations| {
            violations.each(&self.ports, |violations, each| {
                if let Some(number) = each.port {
                    violations.take_at("port", port::number(number));
                }
            });
        });
        violations.into_found()
    }
}
