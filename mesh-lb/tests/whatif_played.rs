//! What is played of a failure: keys that move.
#![expect(clippy::unwrap_used, reason = "helpers of tests may fail like tests")]
use std::sync::Arc;

use mesh_lb::simulate::MovedKeys;
use mesh_lb::whatif::{Outcome, Scenario};
use mesh_model::Compat;
use mesh_model::registry::{Mesh, Origin, Registry, Source};
use mesh_model::view::Subset;

fn mesh(config: &str, near: &str) -> Arc<Mesh> {
    let near = format!(
        "{{apiVersion: v1, kind: Pod, metadata: {{name: client, namespace: shop}}, spec: {{containers: [{{name: \
         app}}, {{name: istio-proxy}}]}}, status: {{phase: Running, podIP: 10.1.0.9}}}}\n{near}"
    );
    let source = |origin, text: &str| Source { origin, name: "a.yaml".into(), text: text.into() };
    let mut registry = Registry::new(Compat::default());
    let found = registry
        .load([source(Origin::Cluster("near".into()), &near), source(Origin::Config, config)]);
    assert_eq!(found.iter().map(ToString::to_string).collect::<Vec<_>>(), [""; 0]);
    registry.mesh()
}

/// Three endpoints of which no health is told, chosen by key.
fn keyed(policy: &str) -> Arc<Mesh> {
    let config = format!(
        "{{apiVersion: networking.istio.io/v1, kind: ServiceEntry, metadata: {{name: bank, namespace: shop}}, \
         spec: {{hosts: [bank.example.com], addresses: [10.250.0.1], ports: [{{name: http, number: 80, protocol: \
         HTTP}}], resolution: STATIC, endpoints: [{{address: 203.0.113.1}}, {{address: 203.0.113.2}}, {{address: \
         203.0.113.3}}]}}}}\n---\n{{apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: \
         {{name: bank, namespace: shop}}, spec: {{host: bank.example.com, trafficPolicy: {{loadBalancer: \
         {{consistentHash: {{useSourceIp: true, maglev: {{tableSize: 65537}}}}}}{policy}}}}}}}\n"
    );
    mesh(&config, "")
}

fn moved(mesh: &Mesh, failure: &str) -> MovedKeys {
    let proxy = mesh.proxy("near/shop/client").unwrap();
    let view = mesh.view(&proxy).unwrap();
    let bank = view.destination("bank.example.com", 80, Subset::None).unwrap();
    let scenario = Scenario { failures: vec![failure.parse().unwrap()], ..Scenario::default() };
    let (before, after) = (Outcome::now(&view, &bank), scenario.outcome(&view, &bank));
    before.moved_keys(&after, &view, &bank, 1).unwrap()
}

#[test]
fn keys_leave_what_is_ejected_and_are_lost_where_nothing_ejects() {
    for policy in ["", ", outlierDetection: {maxEjectionPercent: 100}"] {
        let told = moved(&keyed(policy), "endpoint=203.0.113.2");
        assert!((30.0..40.0).contains(&told.percent()), "{policy} {told:?}");
        // Those that nobody answers any more could not have stayed.
        assert!(told.needlessly < 100, "{policy} {told:?}");
    }
    let told = moved(&keyed(""), "service=bank.example.com");
    assert_eq!((told.moved, told.needlessly), (told.keys, 0));
}
