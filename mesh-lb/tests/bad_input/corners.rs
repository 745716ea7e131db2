//! The same of what stands beside a balancer: subsets, retries, checks, simulations, gRPC clients.
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::atomic::AtomicU32;

use mesh_lb::capacity::{CarriedLoad, milli_cpu, overloaded};
use mesh_lb::grpc::assignment::{Accepted, GrpcLocality};
use mesh_lb::grpc::outlier::{GrpcOutlierConfig, GrpcOutlierDetector, OutlierMessage};
use mesh_lb::grpc::ring::{GrpcRing, RingSize};
use mesh_lb::grpc::wrr::StrideScheduler;
use mesh_lb::load::{
    Aggregate, Availability, DataPlane, LevelHosts, PanicThreshold, PriorityLoad, choose_priority,
    composite_member,
};
use mesh_lb::pick::bounded_load::HashBalanceFactor;
use mesh_lb::pick::maglev::{Maglev, TableSize};
use mesh_lb::pick::turns::Turns;
use mesh_lb::pick::weight::NormalizedWeights;
use mesh_lb::retry::previous_priorities::{PreviousPriorities, UpdateFrequency};
use mesh_lb::simulate::{
    EjectionScenario, GatewayScenario, directly, play_ejections, through_gateways,
};
use mesh_lb::subset::{
    Candidates, Criteria, MAX_PRIORITY, MetadataValue, Selector, SubsetConfig, SubsetHost, Subsets,
    scaled_locality_weight,
};

type Metadata = BTreeMap<Box<str>, MetadataValue>;

/// The hosts of the subset `a: x`, of hosts of these priorities.
fn check_subset(metadata: &Metadata, priorities: &[usize], expected: Option<&[u32]>) {
    let keys: Vec<Box<str>> = metadata.keys().cloned().collect();
    let config = SubsetConfig {
        selectors: Selector::new(keys.clone(), None).into_iter().collect(),
        list_as_any: true,
        ..SubsetConfig::default()
    };
    let host = |&priority: &usize| SubsetHost { priority, metadata: Cow::Borrowed(metadata) };
    let hosts: Vec<SubsetHost<'_>> = priorities.iter().map(host).collect();
    let asked = keys.into_iter().map(|key| (key, MetadataValue::Text("x".into()))).collect();
    let found = Subsets::new(&config, &hosts).select(&Criteria::new(asked), |found| match found {
        Candidates::Hosts(hosts) => Some(hosts.levels().concat()),
        Candidates::Single(host) => Some(vec![host]),
    });
    assert_eq!(found.as_deref(), expected);
}

#[test]
fn a_host_of_a_priority_that_envoy_does_not_have_is_in_no_subset() {
    let metadata = Metadata::from([("a".into(), MetadataValue::Text("x".into()))]);
    check_subset(&metadata, &[MAX_PRIORITY, 0], Some(&[1, 0]));
    check_subset(&metadata, &[MAX_PRIORITY + 1, 0, usize::MAX], Some(&[1]));
    check_subset(&metadata, &[usize::MAX], None);
}

#[test]
fn lists_are_not_multiplied_without_bound() {
    let list =
        |elements: usize| MetadataValue::List(vec![MetadataValue::Text("x".into()); elements]);
    let of = |keys: &[&str], elements| -> Metadata {
        keys.iter().map(|key| ((*key).into(), list(elements))).collect()
    };
    check_subset(&of(&["a", "b"], 16), &[0], Some(&[0]));
    // A thousand to the fifth power.
    check_subset(&of(&["a", "b", "c", "d", "e"], 1_000), &[0], None);
}

#[test]
fn weights_of_subsets_are_scaled_at_both_ends() {
    assert_eq!(scaled_locality_weight(u32::MAX, 1, u32::MAX), u32::MAX);
    assert_eq!(scaled_locality_weight(u32::MAX, 0, 1), 0);
    assert_eq!(scaled_locality_weight(0, u32::MAX, u32::MAX), 0);
}

#[test]
fn who_may_have_any_number_of_connections_makes_no_more_than_it_has_requests() {
    let scenario = GatewayScenario {
        clients: 2,
        connections: u32::MAX,
        gateways: u32::MAX,
        requests: 3,
        ..GatewayScenario::default()
    };
    assert_eq!(through_gateways(&scenario).connections(), 6);
    for nothing in [
        GatewayScenario { backends: 0, ..scenario },
        GatewayScenario { gateways: 0, ..scenario },
        GatewayScenario { clients: 0, ..scenario },
        GatewayScenario { requests: 0, ..scenario },
    ] {
        assert_eq!(through_gateways(&nothing).requests().iter().sum::<u64>(), 0);
    }
    let nobody = EjectionScenario { gateways: 0, requests: 5, ..EjectionScenario::default() };
    assert_eq!(play_ejections(&nobody).refused, 5);
    let all_bad = EjectionScenario { bad: u32::MAX, backends: 0, requests: 50, ..nobody };
    assert_eq!(play_ejections(&EjectionScenario { gateways: 1, ..all_bad }).remote, 0);
}

#[test]
fn what_is_played_is_bounded() {
    let nothing = GatewayScenario { clients: u32::MAX, requests: 0, ..Default::default() };
    assert_eq!(through_gateways(&nothing).connections(), 0);
    assert_eq!(directly(&nothing).connections(), 0);
    let wide = GatewayScenario { clients: 1, backends: u32::MAX, ..Default::default() };
    for spreading in [through_gateways(&wide), directly(&wide)] {
        assert_eq!(spreading.requests().len(), 1_000_000);
        assert_eq!(spreading.requests().iter().sum::<u64>(), 1_000);
    }
    let most = u32::MAX;
    let hosts =
        EjectionScenario { gateways: most, others: most, requests: 20, ..Default::default() };
    let outcome = play_ejections(&hosts);
    assert_eq!(outcome.remote + outcome.failed + outcome.elsewhere, 20);
    assert!(outcome.ejected_percent(&hosts).abs() < f64::EPSILON);
}

#[test]
fn a_retry_may_have_been_anywhere_any_number_of_times() {
    let mut load = PriorityLoad::default();
    load.spill(DataPlane::Envoy, &[LevelHosts::healthy_of(1, 1); 2], PanicThreshold::OFF);
    let mut retries = PreviousPriorities::new(UpdateFrequency::new(1).unwrap());
    for priority in [u32::MAX, 2, u32::MAX, 0] {
        retries.attempt(priority);
        let sum: u32 = retries.loads(load.levels()).iter().map(|l| l.healthy_load.get()).sum();
        assert_eq!(sum, 100);
    }
    assert!(retries.loads(&[]).is_empty());
    assert!(UpdateFrequency::new(0).is_none());
}

#[test]
fn without_loads_the_first_priority_is_chosen() {
    let none = choose_priority(u64::MAX, std::iter::empty(), std::iter::empty());
    assert_eq!((none.priority, none.availability), (0, Availability::Healthy));
    assert!(Aggregate::new(&[]).levels().is_empty() && Aggregate::new(&[&[]]).levels().is_empty());
    assert_eq!(composite_member(0, 0), None);
    assert_eq!(composite_member(usize::MAX, u32::MAX), usize::try_from(u32::MAX - 1).ok());
}

#[test]
fn traffic_and_limits_that_are_no_numbers_overload_nobody() {
    let odd = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0, f64::MIN_POSITIVE, f64::MAX];
    for before in odd {
        for after in odd {
            let load = |weight| CarriedLoad { before, after, weight, ..CarriedLoad::default() };
            let loads = [load(Some(0)), load(Some(u32::MAX)), load(None)];
            assert!(overloaded(&loads, f64::NAN).overloaded.is_empty());
            let found = overloaded(&loads, 1.4).overloaded;
            assert!(found.iter().all(|one| one.factor > 1.4), "{before} {after} {found:?}");
        }
    }
    for text in ["", "-1", "1e3", "NaN", "1.2.3", ".", "m", "９", &"9".repeat(400)] {
        assert_eq!(milli_cpu(text), None, "{text}");
    }
}

#[test]
fn a_table_may_have_fewer_slots_than_hosts() {
    let keys: Vec<String> = (0..9).map(|host| host.to_string()).collect();
    for weights in [[1; 9], [0, 1, u32::MAX, 5, 5, 5, 5, u32::MAX, 0]] {
        for size in [2, 3, 5, 7, 11, 61, 67] {
            let weights = NormalizedWeights::flat(&weights);
            let size = TableSize::new(size).unwrap();
            let maglev = Maglev::new(size, &weights, |host| &keys[host as usize]);
            assert_eq!(maglev.table().len(), usize::try_from(size.get()).unwrap());
            assert!(maglev.table().iter().all(|host| *host < 9));
            // Hosts of one name are hosts like others.
            let same = Maglev::new(size, &weights, |_| "same");
            assert!(same.pick(u64::MAX, u32::MAX).is_some());
        }
    }
}

#[test]
fn bounds_hold_for_any_number_of_requests() {
    let factor = HashBalanceFactor::new(u32::MAX).unwrap();
    for active in [0, 1, u32::MAX - 1, u32::MAX] {
        let slots = factor.slots(active);
        for weight in [f64::NAN, -1.0, 0.0, 1.0, f64::INFINITY] {
            assert!(slots.of(weight) >= 1);
            assert!(slots.overload(weight, u64::MAX) >= 0.0);
        }
        let weights = NormalizedWeights::flat(&[1, 1, 1]);
        // Too little room to shuffle in finds fewer hosts, and never one that is not there.
        for scratch in [&mut [][..], &mut [0; 1], &mut [9; 3], &mut [7; 5]] {
            let host = slots.pick(0, u64::MAX, &weights, |_| u64::MAX, scratch);
            assert!(host < 3, "{host}");
        }
    }
}

#[test]
fn turns_are_taken_whatever_the_weights_and_the_seed() {
    let odd = [0.0, -0.0, -1.0, f64::NAN, f64::INFINITY, f64::MIN_POSITIVE, f64::MAX, 1.0, 2.0];
    for entries in [1, 2, 8, 9] {
        for seed in [0, u64::from(u32::MAX), u64::MAX] {
            let turns = Turns::with_picks(&odd[..entries], seed);
            assert!((0..300).all(|_| turns.pick().is_some_and(|e| (e as usize) < entries)));
        }
    }
    let weights = [f64::MIN_POSITIVE, f64::MAX, f64::NAN, f64::INFINITY, -1.0, 0.0];
    let stride = StrideScheduler::new(&weights);
    let counter = AtomicU32::new(u32::MAX - 3);
    assert!((0..100).all(|_| stride.pick(&counter).is_some()));
    assert_eq!(StrideScheduler::new(&[]).pick(&counter), None);
}

#[test]
fn a_grpc_client_takes_or_refuses_any_numbers() {
    let locality = |priority, weight| GrpcLocality {
        name: Some(mesh_model::name::Locality::parse("r/z/s")),
        priority,
        weight,
        endpoints: Vec::new(),
    };
    for localities in [
        vec![locality(u32::MAX, 1)],
        vec![locality(0, u32::MAX), locality(u32::MAX, 1)],
        vec![locality(0, u32::MAX), locality(0, u32::MAX)],
        vec![locality(0, 0)],
    ] {
        if let Ok(accepted) = Accepted::new(&localities) {
            assert!(accepted.level(u32::MAX).count() <= 1);
        }
    }
    assert!(RingSize::new(Some(u64::MAX), None).is_err());
    assert!(RingSize::new(Some(2), Some(1)).is_err());
    let size = RingSize::new(Some(1), Some(1)).unwrap();
    for endpoints in [&[][..], &[("a", 0)], &[("a", u32::MAX), ("a", u32::MAX)]] {
        let ring = GrpcRing::new(size, endpoints);
        let _ = ring.pick(u64::MAX, |_| mesh_lb::grpc::connectivity::Connectivity::Ready);
    }
    let all = Some(u32::MAX);
    let message = OutlierMessage {
        interval_ms: Some(i64::MAX),
        base_ejection_time_ms: Some(i64::MAX),
        max_ejection_time_ms: Some(i64::MAX),
        success_rate_stdev_factor: all,
        success_rate_minimum_hosts: Some(0),
        success_rate_request_volume: Some(0),
        failure_percentage_minimum_hosts: Some(0),
        failure_percentage_request_volume: Some(0),
        failure_percentage_threshold: Some(0),
        enforcing_failure_percentage: Some(100),
        ..OutlierMessage::default()
    };
    let config = GrpcOutlierConfig::of_message(&message).unwrap();
    assert!(
        GrpcOutlierConfig::of_message(&OutlierMessage { max_ejection_percent: all, ..message })
            .is_err()
    );
    let negative = OutlierMessage { interval_ms: Some(i64::MIN), ..message };
    assert!(GrpcOutlierConfig::of_message(&negative).is_err());
    for endpoints in [0, 1, 3] {
        let mut detector = GrpcOutlierDetector::new(config, endpoints);
        for endpoint in [0, usize::MAX] {
            detector.handle_result(endpoint, false);
        }
        for now in [u64::MAX, 0, u64::MAX] {
            detector.handle_sweep(now, || u64::MAX);
        }
    }
}
