//! How clusters find their endpoints: where the client chooses, no share is promised.
#![expect(clippy::unwrap_used, reason = "tests may unwrap")]
use mesh_lb::assign::Discovery;
use mesh_lb::whatif::Outcome;
use mesh_model::registry::{Origin, Registry, Source};
use mesh_model::view::{ProxyKind, Subset};
use mesh_testkit::by_hand;

/// A service with one endpoint and a rule; `spec` is the service's, `policy` the rule's and `of_subset` that of
/// its subset `v1`.
fn check(
    (spec, policy, of_subset): (&str, &str, &str),
    kind: ProxyKind,
    expected: (Discovery, Discovery),
) {
    let text = format!(
        "{{apiVersion: v1, kind: Service, metadata: {{name: db, namespace: shop}}, spec: {{{spec} ports: [{{name: tcp, port: 80}}]}}}}
---
{{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, addressType: IPv4, endpoints: [{{addresses: [10.0.0.1]}}],
  metadata: {{name: db-1, namespace: shop, labels: {{kubernetes.io/service-name: db}}}}, ports: [{{name: tcp, port: 8080}}]}}
---
{{apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {{name: db, namespace: shop}},
  spec: {{host: db, {policy} subsets: [{{name: v1, labels: {{version: v1}}, {of_subset}}}]}}}}"
    );
    let mut registry = Registry::default();
    let found = registry.load([Source {
        origin: Origin::Cluster("c1".into()),
        name: "db.yaml".into(),
        text: text.into(),
    }]);
    assert!(found.is_empty(), "{found:?}");
    let mesh = registry.mesh();
    let mut proxy = by_hand::proxy("c1", "eu/a");
    proxy.kind = kind;
    let view = mesh.view(&proxy).unwrap();
    let of = |subset| Discovery::of(&view, &view.destination("db.shop", 80, subset).unwrap());
    assert_eq!((of(Subset::None), of(Subset::Named("v1"))), expected);
    let whole = view.destination("db.shop", 80, Subset::None).unwrap();
    let outcome = Outcome::now(&view, &whole);
    assert_eq!(outcome.shares.is_reachable(), expected.0.picks());
    assert!(!outcome.is_unreachable());
}

const PASSTHROUGH: &str = "trafficPolicy: {loadBalancer: {simple: PASSTHROUGH}},";

#[test]
fn a_sidecar_dials_what_the_client_asked_a_headless_service_for() {
    let asked = (Discovery::OriginalDestination, Discovery::OriginalDestination);
    check(("clusterIP: None,", "", ""), ProxyKind::Sidecar, asked);
}

#[test]
fn a_gateway_has_no_original_destination_and_is_sent_endpoints() {
    let sent = (Discovery::Eds, Discovery::Eds);
    check(("clusterIP: None,", "", ""), ProxyKind::Router, sent);
    check(("", "", ""), ProxyKind::Sidecar, sent);
}

#[test]
fn a_rule_that_passes_through_does_so_for_all_subsets_whatever_they_say() {
    let random = "trafficPolicy: {loadBalancer: {simple: RANDOM}}";
    let asked = (Discovery::OriginalDestination, Discovery::OriginalDestination);
    check(("", PASSTHROUGH, random), ProxyKind::Sidecar, asked);
    let of_port = "trafficPolicy: {portLevelSettings: [{port: {number: 80}, loadBalancer: {simple: PASSTHROUGH}}]},";
    check(("", of_port, ""), ProxyKind::Sidecar, asked);
}

#[test]
fn a_subset_that_passes_through_does_so_alone() {
    let own = PASSTHROUGH.trim_end_matches(',');
    check(("", "", own), ProxyKind::Sidecar, (Discovery::Eds, Discovery::OriginalDestination));
}
