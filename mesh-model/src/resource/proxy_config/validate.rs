//! What admission refuses in a ProxyConfig.
use super::ProxyConfig;
use crate::resource::validate::{Violation, attachment, metadata};

impl ProxyConfig {
    /// Returns the rules of admission that the object breaks.
    ///
    /// # Upstream
    ///
    /// istio/istio `pkg/config/validation/validation.go` `ValidateProxyConfig`.
    pub fn validate(&self) -> Vec<Violation> {
        metadata::then(&self.meta, |violations| {
            if let Some(selector) = &self.spec.selector {
                violations.field("selector", |violations| {
                    attachment::selector(violations, selector);
                });
            }
            if self.spec.concurrency.is_some_and(|concurrency| concurrency < 0) {
                let message = "a proxy has no fewer than no threads";
                let help = "write 0 for one a core";
                violations.error_at("concurrency", "PC-CONCURRENCY", message, help);
            }
        })
    }
}
