//! Which hosts a gateway can be told to send to: the destinations of what is attached to it.
use std::collections::BTreeSet;

use super::ProxyView;
use super::rule_destinations::{Source, destinations};
use crate::name::Namespace;

impl<'m> ProxyView<'m> {
    /// The hosts that VirtualServices send to, or copy to, that name a Gateway with servers that is for this
    /// proxy; none for other proxies than gateways. `exportTo` does not matter, nor whether a server was left
    /// out because of another one.
    ///
    /// With `PILOT_SCOPE_GATEWAY_TO_NAMESPACE` routes of HTTP for workloads of other namespaces than the
    /// Gateway's are left out.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/model/push_context.go` `initVirtualServices` (`destinationsByGateway`),
    /// `GatewayServices`.
    pub fn gateway_destinations(&self) -> BTreeSet<&'m str> {
        let plane = self.plane();
        let is_scoped = self.mesh().compat().flags.pilot_scope_gateway_to_namespace;
        let mut hosts = BTreeSet::new();
        for gateway in self.gateways_with_servers() {
            let own: &Namespace = &gateway.meta.namespace;
            let source = if is_scoped { Source::Namespace(own) } else { Source::Any };
            let name = format!("{own}/{}", gateway.meta.name);
            for rule in plane.virtual_services.bound_to(&name) {
                hosts.extend(destinations(rule, source).into_keys());
            }
        }
        hosts
    }
}
