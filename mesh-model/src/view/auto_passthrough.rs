//! Whether a gateway passes mutual TLS on to the cluster that the server name spells.
use super::{ProxyKind, ProxyView};
use crate::registry::is_discovered;
use crate::resource::Gateway;
use crate::resource::gateway::ServerTlsMode;

impl ProxyView<'_> {
    /// Whether a Gateway that is for this proxy has an `AUTO_PASSTHROUGH` server: that of an
    /// east-west gateway.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/model/gateway.go` `mergeGateways`
    /// (`ContainsAutoPassthroughGateways`); `push_context.go` `mergeGateways`.
    pub fn passes_mutual_tls(&self) -> bool {
        let (plane, mesh, proxy) = (self.plane(), self.mesh(), self.proxy());
        if proxy.kind != ProxyKind::Router {
            return false;
        }
        let own = mesh.parts.clusters.get(&plane.id).map(|part| &*part.store);
        let stores = [&*mesh.parts.config].into_iter().chain(own);
        let gateways = stores.flat_map(|store| store.gateways.iter());
        let discovered = gateways.filter(|gateway| {
            own.is_none_or(|own| is_discovered(&plane.config, own, gateway.meta.namespace.as_str()))
        });
        discovered.into_iter().any(|gateway| {
            let flags = &mesh.compat().flags;
            let is_near = !flags.pilot_scope_gateway_to_namespace
                || gateway.meta.namespace == proxy.namespace;
            is_near && proxy.labels.contains(&gateway.spec.selector) && is_auto(gateway)
        })
    }
}

fn is_auto(gateway: &Gateway) -> bool {
    let mut modes =
        gateway.spec.servers.iter().filter_map(|server| Some(server.tls.as_ref()?.mode));
    modes.any(|mode| mode == ServerTlsMode::AutoPassthrough)
}
