//! The services that a gateway finds for the destinations of a VirtualService.
//!
//! # Upstream
//!
//! istio/istio `pilot/pkg/networking/core/gateway.go` `buildNameToServiceMapForHTTPRoutes`.
use std::collections::BTreeMap;
use std::sync::Arc;

use mesh_model::name::Hostname;
use mesh_model::registry::{Service, Services};
use mesh_model::resource::VirtualService;
use mesh_model::resource::virtual_service::Destination;
use mesh_model::view::ProxyView;

/// The services by the host of a destination: that of the VirtualService's own namespace if the
/// gateway's sees it, else the one of the gateway's scope.
pub(super) fn of_rule(
    view: &ProxyView<'_>,
    rule: &VirtualService,
) -> BTreeMap<Hostname, Arc<Service>> {
    let plane = view.plane();
    let namespace = &view.proxy().namespace;
    let find = |host: &str| {
        let own = plane.services.get(host, rule.meta.namespace.as_str()).filter(|service| {
            Services::is_visible(service, namespace, &plane.default_service_export_to)
        });
        own.or_else(|| view.scope().service(host)).cloned()
    };
    let hosts = destinations(rule).map(|destination| &*destination.host);
    hosts.filter_map(|host| Some((Hostname::from(host), find(host)?))).collect()
}

fn destinations(rule: &VirtualService) -> impl Iterator<Item = &Destination> {
    rule.spec.http.iter().flat_map(|http| {
        let routes = http.route.iter().filter_map(|entry| entry.destination.as_ref());
        let mirrors = http.mirrors.iter().filter_map(|entry| entry.destination.as_ref());
        routes.chain(&http.mirror).chain(mirrors)
    })
}
