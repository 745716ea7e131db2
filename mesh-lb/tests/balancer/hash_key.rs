//! What names hosts on rings and tables.
use std::collections::BTreeMap;

use mesh_lb::assign::AssignedEndpoint;
use mesh_lb::health::status::HostHealth;
use mesh_lb::load::DataPlane;
use mesh_lb::pick::maglev::{Maglev, TableSize};
use mesh_lb::pick::weight::NormalizedWeights;
use mesh_lb::share::Spread;
use mesh_lb::subset::MetadataValue;
use mesh_lb::{Algorithm, Balancer, BalancerPolicy, HostFacts, PickRequest, assigned_health};

use crate::{algorithms, assignment, local, policy};

/// Metadata with this key, by the last part of the address.
fn keys<'k>(
    key: impl Fn(&str) -> Option<MetadataValue> + 'k,
) -> impl Fn(AssignedEndpoint<'_>) -> HostFacts + 'k {
    move |endpoint| {
        let address = endpoint.target().address().to_string();
        let key = key(address.rsplit('.').next().unwrap_or_default());
        let metadata: BTreeMap<_, _> =
            key.map(|key| ("hash_key".into(), key)).into_iter().collect();
        HostFacts::from(assigned_health(endpoint)).with_metadata(metadata)
    }
}

fn text(key: &str) -> Option<MetadataValue> {
    Some(MetadataValue::Text(key.into()))
}

fn consistent() -> Vec<BalancerPolicy> {
    let grpc = Spread { data_plane: DataPlane::Grpc, ..Spread::default() };
    let hashed: Vec<Algorithm> =
        algorithms().into_iter().filter(Algorithm::is_consistent).collect();
    let of_grpc = hashed.iter().copied().map(|one| BalancerPolicy { spread: grpc, ..policy(one) });
    let of_envoy = hashed.iter().copied().map(policy);
    of_envoy.chain(of_grpc).collect()
}

/// The index of the host of each of many hashes.
fn picks(balancer: &Balancer) -> Vec<Option<usize>> {
    let hashes = (0..500_u64).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let pick = |hash| {
        let request = PickRequest { hash: Some(hash), ..PickRequest::default() };
        let picked = balancer.pick(&request, || 0)?.host;
        balancer.hosts().position(|host| std::ptr::eq(host, picked))
    };
    hashes.map(pick).collect()
}

#[test]
fn a_host_is_named_by_its_key_or_else_by_its_address() {
    let hosts = assignment(&local(&[1, 2, 3]));
    let by_address = |last: &str| text(&format!("10.0.0.{last}:8080"));
    for policy in consistent() {
        let plain = Balancer::new(&hosts, &policy);
        let of = |key: fn(&str) -> Option<MetadataValue>| {
            picks(&Balancer::with_health(&hosts, &policy, 0, keys(key)))
        };
        let keyed = picks(&Balancer::with_health(&hosts, &policy, 0, keys(by_address)));
        assert_eq!(keyed, picks(&plain), "{policy:?}");
        // A key that is empty, or no text, is none.
        assert_eq!(of(|_| text("")), picks(&plain));
        assert_eq!(of(|_| Some(MetadataValue::Number(7.0))), picks(&plain));
        assert_ne!(of(text), picks(&plain));
    }
}

#[test]
fn a_table_is_that_of_the_keys() {
    let hosts = assignment(&local(&[1, 2, 3]));
    let size = TableSize::default();
    let maglev = policy(Algorithm::Maglev { size, bound: None });
    let balancer = Balancer::with_health(&hosts, &maglev, 0, keys(text));
    let weights = NormalizedWeights::flat(&[1, 2, 3]);
    let name = |host: u32| ["1", "2", "3"].get(host as usize).copied().unwrap_or_default();
    let table = Maglev::new(size, &weights, name);
    let expected = (0..500_u64).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let expected = expected.map(|hash| table.pick(hash, 0).map(|host| host as usize));
    assert_eq!(picks(&balancer), expected.collect::<Vec<_>>());
}

#[test]
fn a_host_with_a_key_keeps_its_requests_when_it_moves() {
    let at = |addresses: [&str; 3]| {
        assignment(&addresses.map(|address| (address.to_owned(), "eu/west/a", 1)))
    };
    let key = |last: &str| text(if last == "9" { "2" } else { last });
    for policy in consistent() {
        let before =
            Balancer::with_health(&at(["10.0.0.1", "10.0.0.2", "10.0.0.3"]), &policy, 0, keys(key));
        let after = before.update(&at(["10.0.0.1", "10.0.0.9", "10.0.0.3"]), &policy, 0, keys(key));
        assert_eq!(picks(&before), picks(&after), "{policy:?}");
        let plain =
            before.update(&at(["10.0.0.1", "10.0.0.2", "10.0.0.3"]), &policy, 0, assigned_health);
        assert_ne!(picks(&before), picks(&plain), "{policy:?}");
    }
}

#[test]
fn other_metadata_names_nobody() {
    let facts = |pairs: [(Box<str>, MetadataValue); 1]| {
        HostFacts::from(HostHealth::default()).with_metadata(BTreeMap::from(pairs))
    };
    assert_eq!(facts([("stage".into(), MetadataValue::Text("x".into()))]).hash_key(), None);
    assert_eq!(HostFacts::default().with_metadata(BTreeMap::new()), HostFacts::default());
}
