//! Shares of whole destinations where Envoy and a naive reading differ.
#![expect(clippy::unwrap_used, reason = "helpers of tests may fail like tests")]
use std::sync::Arc;

use mesh_lb::whatif::{Impact, Outcome, Scenario, Survey, services};
use mesh_model::Compat;
use mesh_model::registry::{Mesh, Origin, Registry, Source};
use mesh_model::view::{Proxy, Subset};
use mesh_testkit::by_hand;

/// A host with endpoints, each as in a ServiceEntry, and the traffic policy of its rule.
fn mesh(resolution: &str, endpoints: &str, policy: &str) -> Arc<Mesh> {
    let config = format!(
        "{{apiVersion: networking.istio.io/v1, kind: ServiceEntry, metadata: {{name: db, namespace: shop}}, spec: \
         {{hosts: [db.example.com], location: MESH_INTERNAL, resolution: {resolution}, ports: [{{name: http, \
         number: 80, protocol: HTTP}}], endpoints: [{endpoints}]}}}}\n---\n\
         {{apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {{name: db, namespace: shop}}, \
         spec: {{host: db.example.com, trafficPolicy: {{{policy}}}}}}}\n"
    );
    let networks = "networks: {n2: {gateways: [{address: 34.0.0.9, port: 15443}]}, n3: {gateways: [{address: \
                    34.0.0.9, port: 15444}]}}\n";
    let source = |origin, name: &str, text: &str| Source {
        origin,
        name: name.into(),
        text: text.as_bytes().to_vec(),
    };
    let mut registry = Registry::new(Compat::default());
    let found = registry.load([
        source(Origin::Description("c1".into()), "c1/cluster.yaml", "role: primary\n"),
        source(Origin::MeshNetworks, "networks.yaml", networks),
        source(Origin::Config, "config.yaml", &config),
    ]);
    assert_eq!(found.iter().map(ToString::to_string).collect::<Vec<_>>(), [""; 0]);
    registry.mesh()
}

/// A policy that changes no share.
const PLAIN: &str = "connectionPool: {tcp: {maxConnections: 5}}";

fn client() -> Proxy {
    Proxy { network: "n1".into(), ..by_hand::proxy("c1", "r1/z1") }
}

/// The shares of the endpoints in the order of their localities.
fn check(mesh: &Mesh, expected: &[f64]) {
    let proxy = client();
    let view = mesh.view(&proxy).unwrap();
    let destination = view.destination("db.example.com", 80, Subset::None).unwrap();
    let outcome = Outcome::now(&view, &destination);
    let found = outcome.shares.endpoints();
    let is_close = |(a, b): (&f64, &f64)| (a - b).abs() < 1e-6;
    assert!(found.len() == expected.len(), "{found:?}");
    assert!(found.iter().zip(expected).all(is_close), "{found:?}");
}

fn felt(mesh: &Mesh, failure: &str, with: impl FnOnce(&Impact<'_, '_>)) {
    let scenario = Scenario { failures: vec![failure.parse().unwrap()], ..Scenario::default() };
    let proxies = [client()];
    let survey = Survey::new(mesh, &proxies, services);
    let impacts = survey.impact(&scenario, 9.0);
    with(impacts.first().unwrap());
}

/// Held against Envoy 1.40: 16.5, 16.8 and 66.7 percent.
#[test]
fn texts_of_one_locality_share_one_weight() {
    let endpoints = "{address: 10.0.0.1, locality: r1/z1}, {address: 10.0.0.2, locality: r1/z1/}, {address: \
                     10.0.0.3, locality: r1/z2}";
    let split = "loadBalancer: {localityLbSetting: {distribute: [{from: '*', to: {r1/z1/*: 50, r1/z2/*: 50}}]}}";
    check(&mesh("STATIC", endpoints, split), &[100.0 / 6.0, 100.0 / 6.0, 200.0 / 3.0]);
}

/// Envoy 1.40 counts 2 hosts of an EDS cluster and 3 of a STRICT_DNS one.
#[test]
fn one_address_in_two_localities_is_one_host_of_eds_and_two_of_dns() {
    let endpoints = |address: &str| {
        format!("{{address: {address}, locality: r1/z1}}, {{address: {address}, locality: r1/z2}}")
    };
    check(&mesh("STATIC", &endpoints("10.0.0.1"), PLAIN), &[100.0, 0.0]);
    check(&mesh("DNS", &endpoints("db.example.org"), PLAIN), &[50.0, 50.0]);
}

#[test]
fn gateways_at_two_ports_of_one_address_are_two() {
    let endpoint = |address: &str, network: &str| {
        format!(
            "{{address: {address}, network: {network}, locality: {network}, labels: \
             {{security.istio.io/tlsMode: istio}}}}"
        )
    };
    let both = [endpoint("10.1.0.2", "n2"), endpoint("10.2.0.2", "n3")].join(", ");
    let mesh = mesh("STATIC", &both, PLAIN);
    check(&mesh, &[50.0, 50.0]);
    felt(&mesh, "endpoint=10.2.0.2", |impact| {
        assert!((impact.shift.lost() - 50.0).abs() < 1e-6, "{:?}", impact.shift);
        assert!(impact.overloaded.is_empty());
    });
}

#[test]
fn traffic_that_moves_within_a_place_is_felt() {
    let endpoints =
        "{address: 10.0.0.1, labels: {version: v1}}, {address: 10.0.0.2, labels: {version: v2}}";
    let policy = "loadBalancer: {localityLbSetting: {failoverPriority: [version=v1]}}, outlierDetection: {maxEjectionPercent: 50}";
    let mesh = mesh("STATIC", endpoints, policy);
    felt(&mesh, "endpoint=10.0.0.1", |impact| {
        assert!(impact.shift.moved.is_empty());
        assert!((impact.moved_within() - 100.0).abs() < 1e-6 && impact.is_felt());
    });
    felt(&mesh, "endpoint=10.0.0.2", |impact| {
        assert!(impact.moved_within().abs() < 1e-6 && !impact.is_felt());
    });
}

/// The last lines of what explains the shares of three endpoints in two localities, of which one is
/// ejected.
fn explained(policy: &str, expected: &[&str]) {
    let endpoint =
        |n: u32, zone: &str| format!("{{address: 10.0.0.{n}, locality: r1/{zone}, network: n1}}");
    let endpoints = [endpoint(1, "z1"), endpoint(2, "z1"), endpoint(3, "z2")].join(", ");
    let policy = format!("{policy}, outlierDetection: {{maxEjectionPercent: 100}}");
    let mesh = mesh("STATIC", &endpoints, &policy);
    let proxy = client();
    let view = mesh.view(&proxy).unwrap();
    let destination = view.destination("db.example.com", 80, Subset::None).unwrap();
    let failures = vec!["endpoint=10.0.0.2".parse().unwrap()];
    let failing = Scenario { failures, ..Scenario::default() };
    let Outcome { assignment, spread, shares, .. } = failing.outcome(&view, &destination);
    let steps = assignment.explain_shares(&spread, &shares);
    let told: Vec<&str> =
        steps.iter().rev().take(expected.len()).map(String::as_str).rev().collect();
    assert_eq!(told, expected);
}

/// Localities that share 80 to 20.
const DISTRIBUTED: &str =
    "localityLbSetting: {distribute: [{from: r1/*, to: {'r1/z1/*': 80, 'r1/z2/*': 20}}]}";

#[test]
fn the_arithmetic_of_localities_is_told_by_their_names() {
    explained(
        &format!("loadBalancer: {{simple: ROUND_ROBIN, {DISTRIBUTED}}}"),
        &[
            "priority 0, locality r1/z1: weight = 80 × min(1, 140 % × 1 / 2) = 56",
            "priority 0, locality r1/z2: weight = 20 × min(1, 140 % × 1 / 1) = 20",
            "priority 0, locality r1/z1: share = 56 / 76 = 73.68 %",
            "priority 0, locality r1/z2: share = 20 / 76 = 26.32 %",
        ],
    );
    explained(
        &format!("loadBalancer: {{consistentHash: {{httpHeaderName: x}}, {DISTRIBUTED}}}"),
        &[
            "priority 0, locality r1/z1: weight = 80, whatever its health",
            "priority 0, locality r1/z2: weight = 20, whatever its health",
            "priority 0, locality r1/z1: share = 80 / 100 = 80.00 %",
            "priority 0, locality r1/z2: share = 20 / 100 = 20.00 %",
        ],
    );
    explained(PLAIN, &["panic is off (threshold 0)"]);
}
