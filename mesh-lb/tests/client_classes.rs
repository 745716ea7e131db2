//! Proxies that no rule can tell apart share one assignment.
#![expect(clippy::unwrap_used, reason = "tests may unwrap")]
use std::sync::Arc;

use mesh_lb::assign::{Assignment, Assignments};
use mesh_model::name::{Labels, NetworkId};
use mesh_model::registry::{Mesh, Origin, Registry, Source};
use mesh_model::view::{Proxy, Subset};
use mesh_testkit::by_hand;

/// A service of four clusters, each a network with three zones; `rule` is its DestinationRule.
fn mesh(rule: &str) -> Arc<Mesh> {
    let mut registry = Registry::default();
    let mut sources = vec![(Origin::Config, rule.to_owned())];
    for cluster in 1..=4 {
        let slice = (1..=9).map(|n| format!("{{addresses: [10.{cluster}.0.{n}]}}"));
        let slice = slice.collect::<Vec<_>>().join(", ");
        let text = format!(
            "{{apiVersion: v1, kind: Service, metadata: {{name: cart, namespace: shop}}, spec: {{ports: [{{name: http, port: 80}}]}}}}
---
{{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, addressType: IPv4, endpoints: [{slice}],
  metadata: {{name: cart-1, namespace: shop, labels: {{kubernetes.io/service-name: cart}}}}, ports: [{{name: http, port: 8080}}]}}
---
{{apiVersion: v1, kind: Namespace, metadata: {{name: istio-system, labels: {{topology.istio.io/network: n{cluster}}}}}}}"
        );
        sources.push((Origin::Cluster(format!("c{cluster}").as_str().into()), text));
    }
    let source = |(index, (origin, text)): (usize, (Origin, String))| Source {
        origin,
        name: format!("{index}.yaml").into(),
        text: text.into_bytes(),
    };
    let diagnostics = registry.load(sources.into_iter().enumerate().map(source));
    assert!(diagnostics.is_empty(), "{diagnostics:?}");
    registry.mesh()
}

/// One of 20,000 proxies of 12 zones, three a network: no two have the same labels and node.
fn proxy(index: usize) -> Proxy {
    let (cluster, zone) = (index % 4 + 1, index / 4 % 3);
    let mut proxy = by_hand::proxy(&format!("c{cluster}"), &format!("r{cluster}/z{zone}"));
    proxy.network = NetworkId::from(format!("n{cluster}").as_str());
    proxy.node = format!("node-{index}").into();
    let own: Labels =
        [("pod-hash", index.to_string()), ("version", format!("v{}", index / 12 % 2))]
            .into_iter()
            .collect();
    proxy.labels = proxy.labels.overlaid(&own);
    proxy
}

/// How many assignments 20,000 proxies have of the service, and that those of some are what is computed
/// for them alone.
fn check(rule: &str, expected: usize) {
    let mesh = mesh(rule);
    let mut assignments = Assignments::new(mesh.clone());
    for index in 0..20_000 {
        let proxy = proxy(index);
        let view = mesh.view(&proxy).unwrap();
        let cart = view.destination("cart.shop", 80, Subset::None).unwrap();
        let shared = assignments.get(&view, &cart);
        if index % 997 == 0 {
            assert_eq!(*shared, Assignment::new(&view, &cart));
        }
    }
    assert_eq!(assignments.len(), expected);
}

fn rule(spec: &str) -> String {
    format!(
        "{{apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {{name: cart, namespace: shop}},
          spec: {{host: cart.shop.svc.cluster.local, {spec}}}}}"
    )
}

#[test]
fn twelve_zones_of_four_networks_are_twelve_classes() {
    check(&rule("trafficPolicy: {outlierDetection: {consecutive5xxErrors: 3}}"), 12);
}

#[test]
fn a_label_that_ranks_endpoints_tells_clients_apart() {
    let setting = "loadBalancer: {localityLbSetting: {failoverPriority: [version]}}";
    let policy =
        format!("trafficPolicy: {{{setting}, outlierDetection: {{consecutive5xxErrors: 3}}}}");
    check(&rule(&policy), 24);
}
