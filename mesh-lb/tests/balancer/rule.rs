//! A mesh of one service with one rule.
use mesh_lb::BalancerPolicy;
use mesh_model::registry::{Origin, Registry, Source};
use mesh_model::view::{Proxy, Subset};

/// The policy of a client for a destination with this `loadBalancer`.
pub(crate) fn of_rule(proxy: &Proxy, load_balancer: &str) -> Option<BalancerPolicy> {
    let text = format!(
        "{{apiVersion: v1, kind: Service, metadata: {{name: cart, namespace: shop}}, spec: {{ports: [{{name: http, port: 80}}]}}}}
---
{{apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {{name: cart, namespace: shop}},
  spec: {{host: cart.shop.svc.cluster.local, trafficPolicy: {{loadBalancer: {load_balancer}}}}}}}"
    );
    let mut registry = Registry::default();
    let origin = Origin::Cluster("c1".into());
    let source = Source { origin, name: "mesh.yaml".into(), text: text.into_bytes() };
    let diagnostics = registry.load([source]);
    assert!(diagnostics.is_empty(), "{diagnostics:?}");
    let mesh = registry.mesh();
    let view = mesh.view(proxy)?;
    let cart = view.destination("cart.shop", 80, Subset::None).ok()?;
    Some(BalancerPolicy::of(&view, &cart))
}
