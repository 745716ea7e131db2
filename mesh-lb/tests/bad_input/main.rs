//! What balancers make of input that makes no sense: a defined answer or a typed error, no panic, no
//! endless loop.
mod corners;

use mesh_lb::assign::{Assignment, Input};
use mesh_lb::health::outlier::{EjectionTime, OutlierConfig, OutlierDetector, ejection_threshold};
use mesh_lb::health::status::CoarseHealth;
use mesh_lb::load::{
    Availability, DataPlane, HostWeights, LevelHosts, LocalityHosts, LocalityWeights,
    Overprovisioning, PanicThreshold, PriorityLoad, Zone, ZoneAwareConfig, ZoneRouting, Zones,
};
use mesh_lb::pick::bounded_load::HashBalanceFactor;
use mesh_lb::pick::edf::Edf;
use mesh_lb::pick::hash::HashFunction;
use mesh_lb::pick::least_request::{ActiveRequestBias, ChoiceCount};
use mesh_lb::pick::maglev::{MAX_TABLE_SIZE, Maglev, TableSize};
use mesh_lb::pick::ring_hash::{MAX_RING_SIZE, Ring, RingHashConfig};
use mesh_lb::pick::slow_start::SlowStart;
use mesh_lb::pick::weight::NormalizedWeights;
use mesh_lb::retry::budget::RetryBudget;
use mesh_lb::share::Spread;
use mesh_lb::{Algorithm, Balancer, BalancerPolicy, PickRequest, Selection};
use mesh_model::Compat;
use mesh_model::endpoint::Gateways;
use mesh_testkit::by_hand;

const WEIGHTS: [u32; 4] = [0, 1, u32::MAX, u32::MAX];

fn algorithms() -> Vec<Algorithm> {
    let bound = HashBalanceFactor::new(u32::MAX);
    // The weights below ask for a ring of 8,388,608; a lower maximum says the same sooner.
    let rings = [(1, 1, HashFunction::MurmurHash2), (1024, 4096, HashFunction::XxHash)];
    let [tiny, ring] =
        rings.map(|(low, high, hash)| RingHashConfig::new(low, high, hash).unwrap_or_default());
    let bias = ActiveRequestBias::new(f64::NAN);
    vec![
        Algorithm::RoundRobin,
        Algorithm::least_request(),
        Algorithm::LeastRequest { selection: Selection::FullScan, bias },
        Algorithm::Random,
        Algorithm::RingHash { config: tiny, bound: None },
        Algorithm::RingHash { config: ring, bound },
        Algorithm::Maglev { size: TableSize::new(2).unwrap_or_default(), bound: None },
        Algorithm::Maglev { size: TableSize::default(), bound },
        Algorithm::Passthrough,
    ]
}

fn assignment(endpoints: &[(&str, u32)]) -> Assignment {
    let (proxy, service) = (by_hand::proxy("c1", "eu/west/a"), by_hand::service("cart.shop"));
    let shards = by_hand::shards(endpoints.iter().map(|(address, weight)| {
        let mut endpoint = by_hand::endpoint(address, "c1", "eu/west/a");
        endpoint.weight = *weight;
        endpoint
    }));
    let (compat, gateways) = (Compat::default(), Gateways::default());
    let Some(port) = service.port(80) else { return Assignment::default() };
    Assignment::compute(&Input::new(&proxy, &compat, (&service, port), &shards, &gateways))
}

/// Every algorithm, with settings that make no sense: who is ever picked in so many picks.
fn check(endpoints: &[(&str, u32)], expected: &[&str]) {
    let assignment = assignment(endpoints);
    for algorithm in algorithms() {
        for locality_weighted in [false, true] {
            let slow_start = SlowStart {
                window_ms: u64::MAX,
                aggression: f64::NAN,
                min_weight_percent: f64::NEG_INFINITY,
            };
            let spread = Spread {
                locality_weighted,
                panic_threshold: PanicThreshold::from_fraction(f64::NAN),
                ..Spread::default()
            };
            let policy =
                BalancerPolicy { algorithm, spread, slow_start, ..BalancerPolicy::default() };
            let balancer = Balancer::new(&assignment, &policy);
            let mut seen: Vec<String> = Vec::new();
            for draw in 0..300_u64 {
                let random = || draw.wrapping_mul(0x9e37_79b9_7f4a_7c15);
                let request = PickRequest { attempt: u32::MAX, ..PickRequest::default() };
                if let Some(pick) = balancer.pick(&request, random) {
                    let _active = pick.start();
                    seen.push(pick.host.address().trim_end_matches(":8080").to_owned());
                }
            }
            seen.sort();
            seen.dedup();
            if algorithm == Algorithm::Passthrough {
                assert_eq!(seen, [""; 0]);
            } else {
                let is_known = |host: &String| expected.contains(&host.as_str());
                assert!(seen.iter().all(is_known), "{algorithm:?}: {seen:?}");
                assert_eq!(seen.is_empty(), expected.is_empty(), "{algorithm:?}");
            }
        }
    }
}

#[test]
fn without_hosts_nothing_is_picked_and_one_host_takes_all() {
    check(&[], &[]);
    check(&[("10.0.0.1", 0)], &["10.0.0.1"]);
    check(&[("10.0.0.1", u32::MAX)], &["10.0.0.1"]);
}

#[test]
fn of_hosts_with_one_address_the_first_is_there() {
    check(&[("10.0.0.1", 1), ("10.0.0.1", u32::MAX), ("10.0.0.1", 0)], &["10.0.0.1"]);
}

#[test]
fn weights_of_nothing_and_of_everything_are_picked_by() {
    let hosts = ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"];
    let endpoints: Vec<(&str, u32)> = hosts.into_iter().zip(WEIGHTS).collect();
    check(&endpoints, &hosts);
}

#[test]
fn a_weight_of_nothing_acts_as_one_on_rings_and_tables() {
    let weights = NormalizedWeights::flat(&WEIGHTS);
    let same = NormalizedWeights::flat(&[1, 1, u32::MAX, u32::MAX]);
    assert_eq!(weights, same);
    let keys = ["a", "b", "c", "d"];
    let key = |host: u32| keys[host as usize];
    let size = TableSize::new(251).unwrap();
    // Every host has a slot, however small its share.
    let maglev = Maglev::new(size, &weights, key);
    assert!((0..4).all(|host| maglev.table().contains(&host)));
    // A ring stays within its maximum.
    let config = RingHashConfig::new(64, 128, HashFunction::XxHash).unwrap();
    let ring = Ring::new(&config, &weights, key);
    assert!(ring.len() <= 128 + 4, "{}", ring.len());
}

#[test]
fn a_scheduler_ends_whatever_its_weights() {
    for odd in [0.0, -1.0, f64::NAN, f64::INFINITY, f64::MIN_POSITIVE, f64::MAX] {
        for seed in [0, 1, u64::from(u32::MAX), u64::MAX] {
            let weight = |entry: u32| if entry == 1 { odd } else { 1.0 };
            let edf = Edf::with_picks(3, seed, weight);
            let picks: Vec<u32> = (0..100).filter_map(|_| edf.pick(weight)).collect();
            assert_eq!(picks.len(), 100, "{odd} {seed}");
            assert!(picks.iter().all(|&entry| entry < 3));
        }
    }
}

#[test]
fn tables_and_rings_larger_than_allowed_are_refused() {
    for size in [0, 1, 4, 65_536, u64::from(MAX_TABLE_SIZE) + 1, 5_000_077, u64::MAX] {
        assert!(TableSize::new(size).is_err(), "{size}");
    }
    assert!(TableSize::new(MAX_TABLE_SIZE.into()).is_ok());
    let xx = HashFunction::XxHash;
    for (minimum, maximum) in [(0, 1), (1, 0), (2, 1), (1, MAX_RING_SIZE + 1), (u64::MAX, u64::MAX)]
    {
        assert!(RingHashConfig::new(minimum, maximum, xx).is_err(), "{minimum} {maximum}");
    }
    assert!(RingHashConfig::new(MAX_RING_SIZE, MAX_RING_SIZE, xx).is_ok());
    assert!(ChoiceCount::new(1).is_err());
    assert!(HashBalanceFactor::new(99).is_none());
    assert!(Overprovisioning::new(0).is_err());
    assert!(EjectionTime::new(2, Some(1)).is_err());
    assert!(NormalizedWeights::from_normalized(&[0.5, f64::NAN]).is_none());
    assert!(NormalizedWeights::from_normalized(&[-0.5]).is_none());
    assert!(NormalizedWeights::from_normalized(&[0.7, 0.7]).is_none());
}

#[test]
fn settings_that_are_no_numbers_act_as_their_defaults() {
    for odd in [f64::NAN, -1.0, f64::NEG_INFINITY] {
        assert_eq!(PanicThreshold::from_fraction(odd), PanicThreshold::OFF);
        assert_eq!(ActiveRequestBias::new(odd), ActiveRequestBias::default());
        let linear = SlowStart { window_ms: 100, ..SlowStart::default() };
        let strange = SlowStart { aggression: odd, ..linear };
        let weight = |slow: SlowStart| slow.weight(8.0, CoarseHealth::Healthy, Some(50));
        assert!((weight(strange) - weight(linear)).abs() < 1e-12);
        let floorless = SlowStart { min_weight_percent: odd, ..linear };
        assert!((weight(floorless) - weight(linear)).abs() < 1e-12);
        let budget = RetryBudget { budget_percent: odd, ..RetryBudget::default() };
        assert_eq!(budget.max(u64::MAX), 3);
    }
    let all =
        SlowStart { window_ms: 100, min_weight_percent: f64::INFINITY, ..SlowStart::default() };
    assert!((all.weight(8.0, CoarseHealth::Healthy, Some(1)) - 8.0).abs() < 1e-12);
    assert_eq!(PanicThreshold::from_fraction(f64::INFINITY).get(), 100);
    assert_eq!(PanicThreshold::new(u32::MAX).get(), 100);
    assert_eq!(ejection_threshold(&[], u32::MAX), None);
}

#[test]
fn counts_that_contradict_each_other_still_sum_to_one_hundred() {
    let all = u32::MAX;
    let weights =
        HostWeights { total: u64::MAX, healthy: u64::MAX, degraded: u64::MAX, excluded: u64::MAX };
    let level = |total, healthy, degraded, excluded| LevelHosts {
        total,
        healthy,
        degraded,
        excluded,
        overprovisioning: Overprovisioning::new(u32::MAX).unwrap_or_default(),
        weights: None,
    };
    let odd = [
        level(all, all, all, all),
        level(0, all, all, 0),
        level(all, 0, 0, 0),
        level(1, all, 0, 0),
        LevelHosts { weights: Some(weights), ..level(all, 1, 1, 0) },
    ];
    for first in odd {
        for second in odd {
            for plane in [DataPlane::Envoy, DataPlane::Grpc] {
                for threshold in [0, 50, u32::MAX] {
                    let mut load = PriorityLoad::default();
                    load.spill(plane, &[first, second], PanicThreshold::new(threshold));
                    let sum = |load: &PriorityLoad| -> u32 {
                        let of = |level: &mesh_lb::load::LevelLoad| {
                            level.healthy_load.get() + level.degraded_load.get()
                        };
                        load.levels().iter().map(of).sum()
                    };
                    assert_eq!(sum(&load), 100, "{plane:?} {first:?} {second:?} {threshold}");
                }
            }
        }
    }
}

#[test]
fn localities_and_zones_of_any_size_are_weighed() {
    let all = u32::MAX;
    let locality = |weight, total, healthy, excluded| LocalityHosts {
        weight,
        total,
        healthy,
        degraded: 0,
        excluded,
    };
    let localities = [locality(all, all, all, 0), locality(0, 1, 1, 0), locality(all, 1, all, all)];
    let factor = Overprovisioning::new(all).unwrap_or_default();
    let weights = LocalityWeights::new(&localities, factor, Availability::Healthy).unwrap();
    assert_eq!(weights.effective(), [f64::from(all), 0.0, 0.0]);
    let picks: Vec<u32> = weights.scheduler(u64::MAX).into_iter().map(|one| one.pick()).collect();
    assert_eq!(picks, [0]);

    let zone =
        |locality: u32| Zone { locality, total: all, healthy: all, healthy_weight: u64::MAX };
    let zones = [zone(0), zone(0), zone(1)];
    let of = |zones| Zones { zones, has_local_locality: true };
    let config = ZoneAwareConfig { min_cluster_size: u64::MAX, ..ZoneAwareConfig::default() };
    assert!(ZoneRouting::new(&config, &of(&zones), &of(&zones)).is_err());
    let config = ZoneAwareConfig { min_cluster_size: 0, ..ZoneAwareConfig::default() };
    let routing = ZoneRouting::new(&config, &of(&zones), &of(&zones)).unwrap();
    assert!(routing.pick(|| u64::MAX).locality < 3);
    assert!(ZoneRouting::new::<u32>(&config, &of(&[]), &of(&[])).is_err());
}

#[test]
fn a_detector_takes_any_numbers() {
    let config = OutlierConfig {
        consecutive_5xx: 1,
        success_rate_stdev_factor: u32::MAX,
        success_rate_minimum_hosts: 0,
        success_rate_request_volume: 0,
        failure_percentage_minimum_hosts: 0,
        failure_percentage_request_volume: 0,
        failure_percentage_threshold: 0,
        enforcing_failure_percentage: u32::MAX,
        interval_ms: 0,
        ejection_time: EjectionTime::new(u64::MAX, Some(u64::MAX)).unwrap(),
        max_ejection_time_jitter_ms: u64::MAX,
        max_ejection_percent: u32::MAX,
        ..OutlierConfig::default()
    };
    for hosts in [0, 1, 3] {
        let mut detector = OutlierDetector::new(config, hosts);
        for host in [0, 1, usize::MAX] {
            detector.handle_response(host, u16::MAX, u64::MAX, || u64::MAX);
            detector.handle_response(host, 599, 0, || u64::MAX);
            detector.handle_active_health_check_success(host, u64::MAX);
            detector.remove_host(usize::MAX);
        }
        for now in [0, u64::MAX, 0] {
            detector.handle_sweep(now, || u64::MAX);
        }
        assert!(detector.ejections_active() <= hosts);
    }
}
