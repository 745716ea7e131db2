//! Ports of Redis whose commands are sent one by one, by their keys (`PILOT_ENABLE_REDIS_FILTER`).
#![expect(clippy::unwrap_used, reason = "tests may unwrap")]
use mesh_lb::assign::{Assignment, Discovery};
use mesh_lb::pick::maglev::TableSize;
use mesh_lb::share::Spread;
use mesh_lb::{Algorithm, BalancerPolicy};
use mesh_model::Compat;
use mesh_model::compat::{DataPlane, Flags};
use mesh_model::registry::{Origin, Registry, Source};
use mesh_model::view::Subset;
use mesh_testkit::by_hand;

/// What a client knows of a port of a service.
#[derive(Debug, PartialEq)]
struct Known {
    discovery: Discovery,
    algorithm: Algorithm,
    n_hash_policies: usize,
    health_weighted: bool,
    host_weighted: bool,
    /// Whether it refuses endpoints whose weights are too many.
    is_refused: bool,
}

/// Two endpoints in places of the most weight each; `policy` is the rule's, `of_subset` that of `v1`.
fn known(
    (enabled, port): (bool, &str),
    (policy, of_subset): (&str, &str),
    subset: Subset<'_>,
    data_plane: DataPlane,
) -> Known {
    let text = format!(
        "{{apiVersion: networking.istio.io/v1, kind: ServiceEntry, metadata: {{name: db, namespace: shop}},
  spec: {{hosts: [db.test], resolution: STATIC, ports: [{{number: 80, name: p, protocol: {port}}}], endpoints: [
    {{address: 10.0.0.1, weight: 4294967295, labels: {{version: v1}}}},
    {{address: 10.0.0.2, weight: 4294967295, labels: {{version: v1}}}}]}}}}
---
{{apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {{name: db, namespace: shop}},
  spec: {{host: db.test, {policy} subsets: [{{name: v1, labels: {{version: v1}}, {of_subset}}}]}}}}"
    );
    let flags = Flags { pilot_enable_redis_filter: enabled, ..Flags::default() };
    let mut registry = Registry::new(Compat { flags, ..Compat::default() });
    let origin = Origin::Cluster("c1".into());
    registry.load([Source { origin, name: "db.yaml".into(), text: text.into() }]);
    let mesh = registry.mesh();
    let mut proxy = by_hand::proxy("c1", "eu/a");
    proxy.data_plane = data_plane;
    let view = mesh.view(&proxy).unwrap();
    let destination = view.destination("db.test", 80, subset).unwrap();
    let policy = BalancerPolicy::of(&view, &destination);
    let spread = Spread::of(&view, &destination);
    let assignment = Assignment::new(&view, &destination);
    Known {
        discovery: Discovery::of(&view, &destination),
        algorithm: policy.algorithm,
        n_hash_policies: policy.hash_policies.len(),
        health_weighted: spread.health_weighted,
        host_weighted: spread.host_weighted,
        is_refused: assignment.excess(&view, &destination).is_some(),
    }
}

/// A table of the default size.
fn table() -> Algorithm {
    Algorithm::Maglev { size: TableSize::default(), bound: None }
}

fn sharded() -> Known {
    Known {
        discovery: Discovery::Eds,
        algorithm: table(),
        n_hash_policies: 0,
        health_weighted: false,
        host_weighted: true,
        is_refused: true,
    }
}

const RANDOM: &str = "trafficPolicy: {loadBalancer: {simple: RANDOM}},";
const BY_ADDRESS: &str =
    "trafficPolicy: {loadBalancer: {consistentHash: {useSourceIp: true, minimumRingSize: 7}}},";
const PASSTHROUGH: &str = "trafficPolicy: {loadBalancer: {simple: PASSTHROUGH}},";

#[test]
fn commands_are_spread_by_a_table_whatever_rules_say() {
    for policy in ["", RANDOM, BY_ADDRESS, PASSTHROUGH] {
        for subset in [Subset::None, Subset::Named("v1")] {
            for data_plane in [DataPlane::IstioProxy, DataPlane::Envoy] {
                let found = known((true, "REDIS"), (policy, ""), subset, data_plane);
                assert_eq!(found, sharded(), "{policy} {subset:?}");
            }
        }
    }
}

#[test]
fn only_a_subset_leaves_the_host_to_the_client() {
    let of =
        |subset| known((true, "REDIS"), ("", PASSTHROUGH), subset, DataPlane::IstioProxy).discovery;
    assert_eq!(of(Subset::None), Discovery::Eds);
    assert_eq!(of(Subset::Named("v1")), Discovery::OriginalDestination);
}

#[test]
fn without_the_flag_on_other_ports_and_for_grpc_rules_count() {
    for (enabled, port, data_plane) in [
        (false, "REDIS", DataPlane::IstioProxy),
        (true, "TCP", DataPlane::IstioProxy),
        (true, "REDIS", DataPlane::Grpc),
    ] {
        let of = |policy| known((enabled, port), (policy, ""), Subset::None, data_plane);
        assert!(matches!(of(BY_ADDRESS).algorithm, Algorithm::RingHash { .. }), "{port}");
        assert_eq!(of(BY_ADDRESS).n_hash_policies, 1);
        assert_ne!(of(RANDOM).algorithm, table());
        assert_eq!(of(PASSTHROUGH).discovery, Discovery::OriginalDestination);
    }
}
