//! Whether a client uses mutual TLS of its own accord, cluster by cluster.
use mesh_model::registry::Resolution;
use mesh_model::resource::destination_rule::TrafficPolicy;
use mesh_model::view::mtls::ClientSide;
use mesh_model::view::{Destination, ProxyView};

use super::is_passthrough;

/// Returns whether the cluster of a destination uses mutual TLS of the mesh, endpoint by endpoint, where
/// no rule says anything of TLS.
///
/// Where destinations are kept (the service's resolution is NONE, or the top level of the rule or subset
/// says PASSTHROUGH) there have to be endpoints on the port, and all of them have to speak it.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/networking/core/cluster_tls.go` `buildUpstreamTLSSettings`;
/// `pilot/pkg/networking/core/cluster_traffic_policy.go` `applyTrafficPolicy`.
pub fn is_auto_mutual(view: &ProxyView<'_>, destination: &Destination<'_>) -> bool {
    let Destination { service, rule, subset, port, .. } = destination;
    let own: Option<&TrafficPolicy> = rule.and_then(|rule| match &**subset {
        "" => rule.traffic_policy.as_ref(),
        name => rule.subset(name)?.traffic_policy.as_ref(),
    });
    let keeps = is_passthrough(own.and_then(|own| own.load_balancer.as_ref()));
    let passthrough = service.resolution == Resolution::Passthrough || keeps;
    let plane = view.plane();
    let serving = passthrough.then(|| plane.endpoints_at(service, port.number));
    let serving = serving.into_iter().flatten();
    let modes: Vec<&str> = serving.map(|endpoint| &*endpoint.workload.tls_mode).collect();
    let client = ClientSide {
        has_sidecar: true,
        rule: None,
        auto_mtls: plane.config.enable_auto_mtls,
        mesh_external: service.mesh_external,
        passthrough,
        endpoint_tls_modes: &modes,
        namespace_mode: plane.peer_authentications.namespace_mode(&service.namespace),
    };
    client.is_auto_mutual()
}
