//! Whether a gateway passes mutual TLS on to the cluster that the server name spells.
use super::ProxyView;
use crate::resource::Gateway;
use crate::resource::gateway::ServerTlsMode;

impl ProxyView<'_> {
    /// Whether a Gateway that is for this proxy has an `AUTO_PASSTHROUGH` server, which is not left out for its
    /// hosts: that of an east-west gateway.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/model/gateway.go` `mergeGateways`
    /// (`ContainsAutoPassthroughGateways`); `push_context.go` `mergeGateways`.
    pub fn passes_mutual_tls(&self) -> bool {
        self.selecting_gateways().into_iter().any(|gateway| is_auto(gateway))
            && self.gateway_servers().passes_mutual_tls()
    }
}

fn is_auto(gateway: &Gateway) -> bool {
    let mut modes =
        gateway.spec.servers.iter().filter_map(|server| Some(server.tls.as_ref()?.mode));
    modes.any(|mode| mode == ServerTlsMode::AutoPassthrough)
}
