//! What admission refuses in objects that are not read.
use super::Opaque;
use crate::resource::validate::{Violation, metadata};

impl Opaque {
    /// Returns the rules of admission about metadata that the object breaks, if it is one of Istio's.
    ///
    /// # Upstream
    ///
    /// istio/istio `pkg/config/validation/validation.go` `validateMetadata`.
    pub fn validate(&self) -> Vec<Violation> {
        let group = self.api_version.split('/').next().unwrap_or_default();
        if !group.ends_with(".istio.io") {
            return Vec::new();
        }
        metadata::then(&self.meta, |_| {})
    }
}
