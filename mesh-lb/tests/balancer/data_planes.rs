//! How clients that are not Envoy pick: a gRPC client, a ztunnel.
#![expect(clippy::unwrap_used, reason = "helpers of tests may fail like tests")]
use std::collections::BTreeMap;

use mesh_lb::grpc::connectivity::Connectivity;
use mesh_lb::grpc::ring::{GrpcRing, RingPick, RingSize};
use mesh_lb::load::DataPlane;
use mesh_lb::{Algorithm, Balancer, BalancerPolicy, PickRequest};
use mesh_model::view::Proxy;
use mesh_testkit::by_hand;

use crate::{assignment, draws, local, of_rule};

/// The policy of a client for a destination with this `loadBalancer`.
fn policy(data_plane: DataPlane, load_balancer: &str) -> BalancerPolicy {
    of_rule(&Proxy { data_plane, ..by_hand::proxy("c1", "eu/west/a") }, load_balancer).unwrap()
}

/// Every key goes where the ring of a gRPC client says, of one locality with these weights.
fn check_ring(minimum: u64, weights: &[u32]) {
    let rule = format!(
        "{{consistentHash: {{httpHeaderName: x, ringHash: {{minimumRingSize: {minimum}}}}}}}"
    );
    let policy = policy(DataPlane::Grpc, &rule);
    let balancer = Balancer::new(&assignment(&local(weights)), &policy);
    let sum: u64 = weights.iter().copied().map(u64::from).sum();
    let share = |weight: u32| u32::try_from((u64::from(weight) << 31) / sum).unwrap();
    let named: Vec<(&str, u32)> =
        balancer.hosts().map(|host| (host.address(), share(host.weight()))).collect();
    let ring = GrpcRing::new(RingSize::new(Some(minimum), None).unwrap(), &named);
    let mut random = draws(5);
    for hash in std::iter::repeat_with(&mut random).take(2_000) {
        let request = PickRequest { hash: Some(hash), ..PickRequest::default() };
        let picked = balancer.pick(&request, || 0).unwrap().host.address();
        let place = named.iter().position(|(name, _)| *name == picked);
        let place = place.and_then(|place| u32::try_from(place).ok()).map(RingPick::Picked);
        let expected = ring.pick(hash, |_| Connectivity::Ready).pick;
        assert_eq!(place, Some(expected), "{minimum} {weights:?}");
    }
}

#[test]
fn the_ring_of_a_grpc_client_is_capped_and_sorted() {
    let twelve = [1; 12]; // `10.0.0.10` sorts before `10.0.0.2`.
    for minimum in [1, 1024, 100_000] {
        check_ring(minimum, &twelve);
        check_ring(minimum, &[1, 2, 3, 5]);
        check_ring(minimum, &[7, 1, 3, 5, 5, 4, 9, 2, 2, 2, 6, 1]);
    }
}

#[test]
fn a_ztunnel_draws_by_weight_whatever_the_rule() {
    for rule in ["{simple: ROUND_ROBIN}", "{consistentHash: {httpHeaderName: x}}", "{}"] {
        let policy = policy(DataPlane::Ztunnel, rule);
        assert_eq!(policy.algorithm, Algorithm::RandomByWeight);
        let balancer = Balancer::new(&assignment(&local(&[1, 3, 6])), &policy);
        let mut random = draws(3);
        let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
        for _ in 0..10_000 {
            let pick = balancer.pick(&PickRequest::default(), &mut random).unwrap();
            *counts.entry(pick.host.address()).or_default() += 1;
        }
        let counts: Vec<u32> = counts.into_values().collect();
        for (count, expected) in counts.iter().zip([1_000_u32, 3_000, 6_000]) {
            assert!(count.abs_diff(expected) < 200, "{counts:?}");
        }
    }
}
