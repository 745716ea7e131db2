//! Endpoints told apart: a renewed shard says the same as a new one, and keeps what did not change.
use std::collections::BTreeSet;
use std::sync::Arc;

use mesh_model::endpoint::{Endpoint, HealthStatus, Provider, Shard, Shards, Workload};
use mesh_model::name::NetworkId;
use mesh_testkit::by_hand;
use proptest::collection::vec;
use proptest::prelude::*;

/// An endpoint by its address, locality, network, health and version.
type Sketch = (u8, u8, u8, bool, u8);

fn endpoint(&(address, locality, network, is_healthy, version): &Sketch) -> Endpoint {
    let place = format!("eu/z{locality}/");
    let mut endpoint = by_hand::endpoint(&format!("10.0.0.{address}"), "c1", &place);
    let mut workload = Workload::clone(&endpoint.workload);
    workload.place_mut().network = NetworkId::from(format!("n{network}").as_str());
    // Some show none.
    workload.identity = if version == 0 { "" } else { identity_of(address) }.into();
    workload.labels = [("version", format!("v{version}"))].into_iter().collect();
    endpoint.workload = Arc::new(workload);
    endpoint.health = if is_healthy { HealthStatus::Healthy } else { HealthStatus::Unhealthy };
    endpoint
}

const fn identity_of(address: u8) -> &'static str {
    if address.is_multiple_of(2) { "a" } else { "b" }
}

fn sketches() -> impl Strategy<Value = Vec<Sketch>> {
    vec((0..8_u8, 0..3_u8, 0..2_u8, any::<bool>(), 0..3_u8), 0..14)
}

fn shard(endpoints: &[Sketch]) -> Shard {
    let endpoints: Vec<Endpoint> = endpoints.iter().map(endpoint).collect();
    Shard::new(Provider::Kubernetes, "c1".into(), endpoints)
}

/// The cohorts: their endpoints, localities, and which kind each endpoint is of.
fn told(shard: &Shard) -> Vec<String> {
    let cohorts = shard.cohorts().map(|of| {
        let cohort = of.cohort();
        let kinds: Vec<String> = (0..cohort.len())
            .map(|place| format!("{:?}", cohort.kinds().get(cohort.kind_of(place))))
            .collect();
        let workload = cohort.workload();
        format!("{:?} {} {} {kinds:?}", of.indices(), cohort.locality(), workload.place.network)
    });
    cohorts.collect()
}

proptest! {
    #[test]
    fn a_renewed_shard_says_what_a_new_one_says(before in sketches(), after in sketches()) {
        let before = shard(&before);
        let after: Vec<Endpoint> = after.iter().map(endpoint).collect();
        let renewed = before.renewed(after.clone());
        let new = Shard::new(Provider::Kubernetes, "c1".into(), after);
        prop_assert_eq!(told(&renewed), told(&new));
    }

    #[test]
    fn so_it_does_where_one_endpoint_is_put_in_or_taken_out(
        all in sketches(),
        at in any::<prop::sample::Index>(),
        is_taken in any::<bool>(),
        other in (0..8_u8, 0..3_u8, 0..2_u8, any::<bool>(), 0..3_u8),
    ) {
        let before = shard(&all);
        let mut after: Vec<Endpoint> = before.endpoints().iter().cloned().collect();
        let index = at.index(after.len() + 1);
        if is_taken && index < after.len() {
            after.remove(index);
        } else {
            after.insert(index, endpoint(&other));
        }
        let renewed = before.renewed(after.clone());
        let new = Shard::new(Provider::Kubernetes, "c1".into(), after);
        prop_assert_eq!(told(&renewed), told(&new));
        // Every cohort whose endpoints are as they were is the same allocation.
        for of in renewed.cohorts() {
            let own: Vec<&Endpoint> = of.endpoints().collect();
            let mut old = before.cohorts().filter(|old| old.endpoints().eq(own.iter().copied()));
            if let Some(old) = old.next() {
                prop_assert!(Arc::ptr_eq(old.cohort(), of.cohort()));
            }
        }
    }
}

/// Endpoints and others in their places: of few cohorts, and of more kinds than are compared.
fn replaced() -> impl Strategy<Value = Vec<(Sketch, Option<Sketch>)>> {
    let sketch = || (0..8_u8, 0..2_u8, 0..1_u8, any::<bool>(), 0..6_u8);
    vec((sketch(), prop::option::weighted(0.2, sketch())), 0..30)
}

proptest! {
    #[test]
    fn so_it_does_where_endpoints_are_replaced_in_their_places(all in replaced()) {
        let old: Vec<Sketch> = all.iter().map(|(old, _)| *old).collect();
        let before = shard(&old);
        let kept = before.endpoints().iter().cloned();
        let after = kept.zip(&all).map(|(kept, (_, new))| new.as_ref().map_or(kept, endpoint));
        let after: Vec<Endpoint> = after.collect();
        let renewed = before.renewed(after.clone());
        let new = Shard::new(Provider::Kubernetes, "c1".into(), after);
        prop_assert_eq!(told(&renewed), told(&new));
        for (old, of) in before.cohorts().zip(renewed.cohorts()) {
            let is_equal = old.endpoints().eq(of.endpoints());
            prop_assert_eq!(Arc::ptr_eq(old.cohort(), of.cohort()), is_equal);
        }
    }

    #[test]
    fn a_service_shows_the_identities_of_its_endpoints(
        old in sketches(),
        one in sketches(),
        other in sketches(),
    ) {
        let one: Vec<Endpoint> = one.iter().map(endpoint).collect();
        let shards = [shard(&old).renewed(one), shard(&other)].map(Arc::new);
        let shards: Shards = shards.into_iter().collect();
        let shown = shards.endpoints().map(|endpoint| &*endpoint.workload.identity);
        let shown: BTreeSet<&str> = shown.filter(|identity| !identity.is_empty()).collect();
        prop_assert!(shards.identities().iter().map(|identity| &**identity).eq(shown));
    }
}

#[test]
fn endpoints_of_one_cohort_agree_on_network_and_place() {
    let shard = shard(&[(1, 0, 0, true, 0), (2, 0, 1, true, 0), (3, 0, 0, true, 1)]);
    let cohorts: Vec<Vec<u32>> = shard.cohorts().map(|of| of.indices().to_vec()).collect();
    assert_eq!(cohorts, [vec![0, 2], vec![1]]);
    let kinds: Vec<usize> = shard.cohorts().map(|of| of.cohort().kinds().len()).collect();
    assert_eq!(kinds, [2, 1]);
}
