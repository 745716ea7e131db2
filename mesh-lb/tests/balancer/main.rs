//! What a balancer picks, what it keeps over updates, and that a pick allocates nothing.
mod client_side;
mod data_planes;
mod hash_key;
mod localities;
mod places;
mod retried;
mod rule;
mod slow_start;
mod zones;

use std::collections::BTreeMap;

use mesh_lb::assign::{Assignment, Input};
use mesh_lb::health::status::{HealthFlag, HealthFlags, HealthStatus, HostHealth};
use mesh_lb::load::{OnPanic, PanicThreshold};
use mesh_lb::pick::bounded_load::HashBalanceFactor;
use mesh_lb::pick::client_side::ClientSideWeights;
use mesh_lb::pick::least_request::{ActiveRequestBias, ChoiceCount};
use mesh_lb::pick::maglev::TableSize;
use mesh_lb::pick::ring_hash::RingHashConfig;
use mesh_lb::share::Spread;
use mesh_lb::simulate::moved_keys;
use mesh_lb::{Algorithm, Balancer, BalancerPolicy, PickRequest, Selection, assigned_health};
use mesh_model::Compat;
use mesh_model::endpoint::Gateways;
use mesh_model::resource::destination_rule::{Distribute, LocalityLbSetting};
use mesh_testkit::{by_hand, oracle};
use proptest::prelude::*;

use self::rule::of_rule;

/// Endpoints `ADDRESS LOCALITY WEIGHT` as a client in `eu/west/a` uses them, failing over.
fn assignment(endpoints: &[(String, &str, u32)]) -> Assignment {
    let setting = LocalityLbSetting { enabled: Some(true), ..LocalityLbSetting::default() };
    assignment_with(endpoints, &setting)
}

fn assignment_with(endpoints: &[(String, &str, u32)], setting: &LocalityLbSetting) -> Assignment {
    let (proxy, service) = (by_hand::proxy("c1", "eu/west/a"), by_hand::service("cart.shop"));
    let shards = by_hand::shards(endpoints.iter().map(|(address, locality, weight)| {
        let mut endpoint = by_hand::endpoint(address, "c1", locality);
        endpoint.weight = *weight;
        endpoint
    }));
    let (compat, gateways) = (Compat::default(), Gateways::default());
    let Some(port) = service.port(80) else { return Assignment::default() };
    let mut input = Input::new(&proxy, &compat, (&service, port), &shards, &gateways);
    input.mesh_locality = Some(setting);
    input.has_outlier_detection = true;
    Assignment::compute(&input)
}

fn local(weights: &[u32]) -> Vec<(String, &'static str, u32)> {
    let numbered = (1..).zip(weights);
    numbered.map(|(n, &weight): (u32, _)| (format!("10.0.0.{n}"), "eu/west/a", weight)).collect()
}

fn policy(algorithm: Algorithm) -> BalancerPolicy {
    BalancerPolicy { algorithm, ..BalancerPolicy::default() }
}

/// A sequence of numbers without pattern.
fn draws(seed: u64) -> impl FnMut() -> u64 {
    let mut state = seed;
    move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
        (state >> 33) ^ (state << 20)
    }
}

fn algorithms() -> Vec<Algorithm> {
    let bound = HashBalanceFactor::new(125);
    let (config, size) = (RingHashConfig::default(), TableSize::default());
    let bias = ActiveRequestBias::default();
    vec![
        Algorithm::RoundRobin,
        Algorithm::ClientSide(ClientSideWeights::default()),
        Algorithm::least_request(),
        Algorithm::LeastRequest { selection: Selection::FullScan, bias },
        Algorithm::Random,
        Algorithm::RandomByWeight,
        Algorithm::RingHash { config, bound: None },
        Algorithm::RingHash { config, bound },
        Algorithm::Maglev { size, bound: None },
        Algorithm::Maglev { size, bound },
    ]
}

/// The last part of the address of each pick.
fn check(balancer: &Balancer, hashes: &[u64], expected: &[Option<&str>]) {
    let picks: Vec<Option<String>> = hashes
        .iter()
        .map(|&hash| {
            let pick = balancer.pick(&PickRequest::default(), || hash)?;
            let ip = pick.host.address().split(':').next()?;
            Some(ip.rsplit('.').next()?.to_owned())
        })
        .collect();
    assert_eq!(picks, expected.iter().map(|e| e.map(str::to_owned)).collect::<Vec<_>>());
}

#[test]
fn equal_hosts_take_turns_and_others_turns_by_weight() {
    let by_turns = policy(Algorithm::RoundRobin);
    let equal = Balancer::new(&assignment(&local(&[1, 1, 1])), &by_turns);
    check(&equal, &[0; 4], &["1", "2", "3", "1"].map(Some));
    let weighted = Balancer::new(&assignment(&local(&[1, 2])), &by_turns);
    check(&weighted, &[0; 6], &["2", "1", "2", "2", "1", "2"].map(Some));
}

#[test]
fn priorities_are_drawn_by_load() {
    let mut endpoints = local(&[1, 1]);
    endpoints.push(("10.0.1.9".to_owned(), "us/east/b", 1));
    let half = |endpoint: mesh_lb::assign::AssignedEndpoint<'_>| {
        let sick = endpoint.target().address().to_string() == "10.0.0.1";
        let flags = HealthFlags::of(&[HealthFlag::FailedOutlierCheck]);
        if sick { HostHealth::new(HealthStatus::Healthy, flags) } else { assigned_health(endpoint) }
    };
    let by_turns = policy(Algorithm::RoundRobin);
    let balancer = Balancer::with_health(&assignment(&endpoints), &by_turns, 0, half);
    check(&balancer, &[0, 69, 70, 99], &["2", "2", "9", "9"].map(Some));
}

#[test]
fn a_priority_is_as_healthy_as_its_hosts_weigh_if_that_is_asked_for() {
    let mut endpoints = local(&[1, 9]);
    endpoints.push(("10.0.1.9".to_owned(), "us/east/b", 1));
    let assignment = assignment(&endpoints);
    let second = |endpoint: mesh_lb::assign::AssignedEndpoint<'_>| {
        let sick = endpoint.target().address().to_string() == "10.0.0.2";
        let status = if sick { HealthStatus::Unhealthy } else { HealthStatus::Healthy };
        HostHealth::new(status, HealthFlags::NONE)
    };
    let check = |assignment: &Assignment, weighted_priority_health, loads: [u32; 2]| {
        let spread = Spread { weighted_priority_health, ..Spread::default() };
        let policy = BalancerPolicy { spread, ..policy(Algorithm::RoundRobin) };
        let balancer = Balancer::with_health(assignment, &policy, 0, second);
        let load = balancer.load().levels().iter().map(|level| level.healthy_load.get());
        assert_eq!(load.collect::<Vec<_>>(), loads);
    };
    check(&assignment, false, [70, 30]);
    check(&assignment, true, [14, 86]);
    endpoints.iter_mut().for_each(|endpoint| endpoint.2 = 0);
    check(&crate::assignment(&endpoints), true, [70, 30]); // A weight of 0 acts as 1.
}

#[test]
fn of_two_endpoints_with_one_address_the_first_counts() {
    let mut endpoints = local(&[1, 1]);
    endpoints.push(("10.0.0.1".to_owned(), "us/east/b", 1));
    let balancer = Balancer::new(&assignment(&endpoints), &policy(Algorithm::RoundRobin));
    assert_eq!(balancer.hosts().count(), 2);
    check(&balancer, &[0, 0, 0], &["1", "2", "1"].map(Some));
}

#[test]
fn in_panic_health_does_not_count() {
    let assignment = assignment(&local(&[1, 1]));
    let dead = |_: mesh_lb::assign::AssignedEndpoint<'_>| {
        HostHealth::new(HealthStatus::Unhealthy, HealthFlags::NONE)
    };
    let calm = policy(Algorithm::RoundRobin);
    check(&Balancer::with_health(&assignment, &calm, 0, dead), &[0, 1], &[None, None]);
    let spread = Spread { panic_threshold: PanicThreshold::default(), ..Spread::default() };
    for algorithm in algorithms() {
        let panicking = BalancerPolicy { spread, ..policy(algorithm) };
        let balancer = Balancer::with_health(&assignment, &panicking, 0, dead);
        let pick = balancer.pick(&PickRequest::default(), || 7).unwrap();
        assert!(pick.panic, "{algorithm:?}");
        let spread = Spread { on_panic: OnPanic::Fail, ..spread };
        let failing = BalancerPolicy { spread, ..policy(algorithm) };
        let failing = balancer.update(&assignment, &failing, 0, dead);
        let pick = failing.pick(&PickRequest::default(), || 7);
        // Ring and table do not look at the setting.
        assert_eq!(pick.is_some(), algorithm.is_consistent(), "{algorithm:?}");
        let calm = failing.update(&assignment, failing.policy(), 0, assigned_health);
        assert!(calm.pick(&PickRequest::default(), || 7).is_some(), "{algorithm:?}");
    }
}

#[test]
fn without_endpoints_nothing_is_picked() {
    for algorithm in algorithms() {
        let balancer = Balancer::new(&Assignment::default(), &policy(algorithm));
        assert!(balancer.pick(&PickRequest::default(), || 7).is_none());
    }
    let passthrough = Balancer::new(&assignment(&local(&[1])), &policy(Algorithm::Passthrough));
    assert!(passthrough.pick(&PickRequest::default(), || 7).is_none());
}

#[test]
fn degraded_hosts_take_what_healthy_ones_cannot() {
    let flags = |flag| HostHealth::new(HealthStatus::Healthy, HealthFlags::of(&[flag]));
    let health = |endpoint: mesh_lb::assign::AssignedEndpoint<'_>| match endpoint
        .target()
        .address()
        .to_string()
        .as_str()
    {
        "10.0.0.1" => flags(HealthFlag::FailedActiveHc),
        "10.0.0.2" => flags(HealthFlag::DegradedActiveHc),
        _ => assigned_health(endpoint),
    };
    let by_turns = policy(Algorithm::RoundRobin);
    let assignment = assignment(&local(&[1, 1, 1, 1]));
    let balancer = Balancer::with_health(&assignment, &by_turns, 0, health);
    check(&balancer, &[0, 69, 70, 99], &["3", "4", "2", "2"].map(Some));
}

#[test]
fn equal_requests_go_to_equal_hosts_and_retries_move_on() {
    for algorithm in algorithms().into_iter().filter(Algorithm::is_consistent) {
        let balancer = Balancer::new(&assignment(&local(&[1; 20])), &policy(algorithm));
        let pick = |hash, attempt| {
            let request = PickRequest { hash: Some(hash), attempt, ..PickRequest::default() };
            balancer.pick(&request, || panic!("nothing is drawn")).unwrap().host.address()
        };
        assert!((0..50).all(|hash| pick(hash, 0) == pick(hash, 0)));
        assert!((0..50_u64).any(|hash| pick(hash << 50, 0) != pick(hash << 50, 1)));
    }
}

#[test]
fn a_busy_host_is_passed_over() {
    let assignment = assignment(&local(&[1, 1]));
    for selection in [Selection::Choices(ChoiceCount::default()), Selection::FullScan] {
        let bias = ActiveRequestBias::default();
        let least = policy(Algorithm::LeastRequest { selection, bias });
        let balancer = Balancer::new(&assignment, &least);
        let first = balancer.pick(&PickRequest::default(), || 0).unwrap();
        let in_flight = first.start();
        assert_eq!((balancer.active(), first.host.active()), (1, 1));
        let mut draws = [0, 0, 1].into_iter();
        let next = balancer.pick(&PickRequest::default(), || draws.next().unwrap()).unwrap();
        assert_ne!(next.host.address(), first.host.address());
        drop(in_flight);
        assert_eq!(balancer.active(), 0);
    }
}

#[test]
fn a_host_at_its_bound_is_passed_over() {
    let bound = HashBalanceFactor::new(100);
    let maglev = policy(Algorithm::Maglev { size: TableSize::default(), bound });
    let balancer = Balancer::new(&assignment(&local(&[1, 1])), &maglev);
    let request = PickRequest { hash: Some(7), ..PickRequest::default() };
    let in_flight: Vec<_> =
        (0..6).map(|_| balancer.pick(&request, || 0).unwrap().start()).collect();
    let active: Vec<u32> = balancer.hosts().map(mesh_lb::Host::active).collect();
    assert!(active.iter().all(|&active| active >= 2), "{active:?}");
    drop(in_flight);
}

#[test]
fn a_rejected_host_is_picked_again_and_the_last_one_stands() {
    let balancer = Balancer::new(&assignment(&local(&[1, 1, 1])), &policy(Algorithm::RoundRobin));
    let unless = |retries, rejected: &[&str]| {
        let rejects = |host: &mesh_lb::Host| rejected.contains(&host.address());
        let pick = balancer.pick_unless(&PickRequest::default(), retries, || 0, rejects);
        pick.unwrap().host.address().to_owned()
    };
    assert_eq!(unless(3, &["10.0.0.1:8080", "10.0.0.2:8080"]), "10.0.0.3:8080");
    assert_eq!(unless(1, &["10.0.0.1:8080", "10.0.0.2:8080"]), "10.0.0.2:8080");
}

#[test]
fn a_request_without_hash_is_drawn_once_for_all_its_attempts() {
    for algorithm in algorithms().into_iter().filter(Algorithm::is_consistent) {
        let balancer = Balancer::new(&assignment(&local(&[1; 20])), &policy(algorithm));
        for drawn in [7, 1 << 50, u64::MAX / 3] {
            let (mut draws, mut tried) = ([drawn].into_iter(), Vec::new());
            let rejects = |host: &mesh_lb::Host| {
                tried.push(host.address().to_owned());
                true
            };
            let request = PickRequest::default();
            let last = balancer.pick_unless(&request, 3, || draws.next().unwrap(), rejects);
            tried.push(last.unwrap().host.address().to_owned());
            let hashed = |attempt| {
                let request = PickRequest { hash: Some(drawn), attempt, ..request };
                balancer.pick(&request, || 0).unwrap().host.address().to_owned()
            };
            assert_eq!(tried, [0, 1, 2, 3].map(hashed), "{algorithm:?}");
        }
    }
}

#[test]
fn an_update_keeps_turns_requests_and_what_did_not_change() {
    let mut endpoints = local(&[1, 1]);
    endpoints.push(("10.0.1.9".to_owned(), "us/east/b", 1));
    let by_turns = policy(Algorithm::RoundRobin);
    let before = Balancer::new(&assignment(&endpoints), &by_turns);
    let first = before.pick(&PickRequest::default(), || 0).unwrap();
    assert_eq!(first.host.address(), "10.0.0.1:8080");
    let in_flight = first.start();

    let same = before.update(&assignment(&endpoints), &by_turns, 0, assigned_health);
    assert!((0..2).all(|priority| same.shares_priority_with(&before, priority)));

    endpoints.insert(0, ("10.0.0.0".to_owned(), "eu/west/a", 1));
    let after = before.update(&assignment(&endpoints), &by_turns, 0, assigned_health);
    assert!(!after.shares_priority_with(&before, 0) && after.shares_priority_with(&before, 1));
    check(&after, &[0, 0], &["1", "2"].map(Some)); // The second and third turn of the list.
    assert_eq!(after.active(), 1);
    let busy: Vec<_> = after.hosts().filter(|h| h.active() > 0).map(|h| h.address()).collect();
    assert_eq!(busy, ["10.0.0.1:8080"]);
    drop(before);
    drop(in_flight);
    assert_eq!(after.active(), 0);
}

#[test]
fn workers_have_turns_of_their_own() {
    let mut endpoints = local(&[1, 2, 3]);
    endpoints.push(("10.0.1.9".to_owned(), "us/east/b", 1));
    for endpoints in [endpoints, local(&[1, 1, 1])] {
        let assignment = assignment(&endpoints);
        let one = Balancer::new(&assignment, &policy(Algorithm::RoundRobin));
        let several = BalancerPolicy { workers: 3, ..policy(Algorithm::RoundRobin) };
        let several = Balancer::new(&assignment, &several);
        let turns = |balancer: &Balancer, worker| -> Vec<String> {
            let request = PickRequest { worker, ..PickRequest::default() };
            let pick = |_| balancer.pick(&request, || 0).unwrap().host.address().to_owned();
            (0..12).map(pick).collect()
        };
        let alone = turns(&one, 0);
        // What another worker does changes nothing; numbers beyond the last wrap.
        turns(&several, 1);
        assert_eq!(turns(&several, 3), alone);
        assert_eq!(turns(&several, 0), turns(&one, 7));
        let zero = BalancerPolicy { workers: 0, ..policy(Algorithm::RoundRobin) };
        assert_eq!(turns(&Balancer::new(&assignment, &zero), u32::MAX), alone);
    }
}

#[test]
fn threads_share_out_the_turns_of_one_worker() {
    for weights in [[1, 1, 1, 1], [1, 2, 3, 4]] {
        let balancer = Balancer::new(&assignment(&local(&weights)), &policy(Algorithm::RoundRobin));
        let picks = || {
            let mut counts = [0_u32; 4];
            for _ in 0..10_000 {
                let pick = balancer.pick(&PickRequest::default(), || 0).unwrap();
                counts[pick.host.address().as_bytes()[7] as usize - usize::from(b'1')] += 1;
            }
            counts
        };
        let counts = std::thread::scope(|scope| {
            [0, 1].map(|_| scope.spawn(picks)).map(|thread| thread.join().unwrap())
        });
        let sum: u32 = weights.iter().sum();
        for (host, weight) in weights.iter().enumerate() {
            let (got, due) = (counts[0][host] + counts[1][host], 20_000 * weight / sum);
            assert!(got.abs_diff(due) <= 400, "{weights:?} {counts:?}");
        }
    }
}

#[test]
fn warm_picks_allocate_nothing() {
    let mut endpoints: Vec<(String, &str, u32)> = (0..1000_u32)
        .map(|n| {
            let zone = ["eu/west/a", "eu/west/b", "eu/north/c", "us/east/d"][n as usize % 4];
            (format!("10.1.{}.{}", n / 250, n % 250), zone, n % 3 + 1)
        })
        .collect();
    for equal in [false, true] {
        if equal {
            endpoints.iter_mut().for_each(|endpoint| endpoint.2 = 1);
        }
        let assignment = assignment(&endpoints);
        for algorithm in algorithms() {
            for locality_weighted in [false, true] {
                let spread = Spread { locality_weighted, ..Spread::default() };
                let policy = BalancerPolicy { spread, ..policy(algorithm) };
                let balancer = Balancer::new(&assignment, &policy);
                let mut random = draws(7);
                let info = allocation_counter::measure(|| {
                    for _ in 0..100 {
                        let pick = balancer.pick(&PickRequest::default(), &mut random);
                        drop(std::hint::black_box(pick.unwrap().start()));
                    }
                });
                assert_eq!(info.count_total, 0, "{algorithm:?}");
            }
        }
    }
}

#[test]
fn a_host_that_leaves_moves_its_own_keys_and_few_others() {
    for (algorithm, needless) in [
        (Algorithm::Maglev { size: TableSize::default(), bound: None }, 150),
        (Algorithm::RingHash { config: RingHashConfig::default(), bound: None }, 150),
    ] {
        let before = Balancer::new(&assignment(&local(&[1; 20])), &policy(algorithm));
        let after = Balancer::new(&assignment(&local(&[1; 19])), &policy(algorithm));
        let moved = moved_keys(&before, &after, 2_000, 7);
        assert!((50..300).contains(&moved.moved), "{moved:?}");
        assert!(moved.needlessly < needless, "{moved:?}");
        assert_eq!(moved_keys(&before, &before, 2_000, 7).moved, 0);
    }
}

fn hosts() -> impl Strategy<Value = Vec<(String, &'static str, u32)>> {
    let locality =
        prop_oneof![Just("eu/west/a"), Just("eu/west/b"), Just("eu/north/c"), Just("us/east/d")];
    proptest::collection::vec((locality, 1..6u32), 1..14).prop_map(|hosts| {
        let numbered = (1..).zip(hosts);
        numbered
            .map(|(n, (zone, weight)): (u32, _)| (format!("10.0.0.{n}"), zone, weight))
            .collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// In the long run an endpoint gets the share that the arithmetic says, whatever its health.
    #[test]
    fn picks_add_up_to_the_shares(
        hosts in hosts(),
        sick in proptest::collection::vec(any::<bool>(), 14),
        algorithm in proptest::sample::select(vec![
            Algorithm::RoundRobin, Algorithm::Random, Algorithm::RandomByWeight,
            Algorithm::Maglev { size: TableSize::default(), bound: None },
        ]),
        (distributed, by_health, by_weight) in any::<(bool, bool, bool)>(),
        threshold in prop_oneof![Just(0), Just(50)],
        fails: bool,
        seed: u64,
    ) {
        let to = [("eu/west/a/*".into(), 70), ("us/*".into(), 30)].into_iter().collect();
        let distribute = vec![Distribute { from: "eu/*".into(), to }];
        let setting = LocalityLbSetting {
            enabled: Some(true),
            distribute: if distributed { distribute } else { Vec::new() },
            ..LocalityLbSetting::default()
        };
        let assignment = assignment_with(&hosts, &setting);
        let is_sick = |address: &str| {
            let number: usize = address.rsplit('.').next().unwrap().parse().unwrap();
            sick[number - 1]
        };
        let spread = Spread {
            panic_threshold: PanicThreshold::new(threshold),
            locality_weighted: distributed,
            health_weighted: by_health,
            weighted_priority_health: by_weight,
            on_panic: if fails { OnPanic::Fail } else { OnPanic::Send },
            ..Spread::default()
        };
        let policy = BalancerPolicy { spread, seed, ..policy(algorithm) };
        let balancer = Balancer::with_health(&assignment, &policy, 0, |endpoint| {
            let sick = is_sick(&endpoint.target().address().to_string());
            let status = if sick { HealthStatus::Unhealthy } else { HealthStatus::Healthy };
            HostHealth::new(status, HealthFlags::NONE)
        });
        let shares = assignment.shares_with(&policy.spread_in_force(), |endpoint| {
            let sick = is_sick(&endpoint.target().address().to_string());
            if sick { mesh_model::endpoint::HealthStatus::Unhealthy }
            else { mesh_model::endpoint::HealthStatus::Healthy }
        });
        const PICKS: u32 = 20_000;
        let mut counts: BTreeMap<String, u32> = BTreeMap::new();
        let mut random = draws(seed);
        for _ in 0..PICKS {
            if let Some(pick) = balancer.pick(&PickRequest::default(), &mut random) {
                *counts.entry(pick.host.address().to_owned()).or_default() += 1;
            }
        }
        for (endpoint, share) in assignment.endpoints().zip(shares.endpoints()) {
            let address = format!("{}:8080", endpoint.target().address());
            let got = f64::from(counts.get(&address).copied().unwrap_or(0)) * 100.0;
            let got = got / f64::from(PICKS);
            prop_assert!((got - share).abs() < 2.5, "{} got {} not {}", address, got, share);
        }
    }

    /// Within a priority the weighted turns are those of the scheduler, one for one.
    #[test]
    fn weighted_turns_are_the_oracles(
        weights in proptest::collection::vec(1..50u32, 2..12),
        seed in 0..3_000u64,
    ) {
        prop_assume!(weights.iter().any(|weight| *weight != weights[0]));
        let policy = BalancerPolicy { seed, ..policy(Algorithm::RoundRobin) };
        let balancer = Balancer::new(&assignment(&local(&weights)), &policy);
        let doubles: Vec<f64> = weights.iter().copied().map(f64::from).collect();
        let picks: Vec<usize> = (0..60)
            .map(|_| {
                let pick = balancer.pick(&PickRequest::default(), || 0).unwrap();
                balancer.hosts().position(|host| std::ptr::eq(host, pick.host)).unwrap()
            })
            .collect();
        prop_assert_eq!(picks, oracle::pick::earliest_deadline_first(&doubles, seed, 60));
    }
}
