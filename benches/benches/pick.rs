//! How long does it take to pick one of a thousand endpoints, and to build what a pick needs?
use std::cell::Cell;
use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use mesh_lb::assign::{Assignment, Input};
use mesh_lb::pick::edf::Edf;
use mesh_lb::pick::hash::HashFunction;
use mesh_lb::pick::least_request::{ChoiceCount, pick_of_choices};
use mesh_lb::pick::maglev::{Maglev, TableSize};
use mesh_lb::pick::random;
use mesh_lb::pick::ring_hash::{Ring, RingHashConfig};
use mesh_lb::pick::round_robin::RoundRobin;
use mesh_lb::pick::turns::Turns;
use mesh_lb::pick::weight::NormalizedWeights;
use mesh_lb::share::Spread;
use mesh_lb::{Algorithm, Balancer, BalancerPolicy, PickRequest};
use mesh_model::Compat;
use mesh_model::endpoint::Gateways;
use mesh_model::resource::destination_rule::{Distribute, LocalityLbSetting};
use mesh_testkit::by_hand;

const HOSTS: u32 = 1000;

/// A cheap sequence without pattern, so that what is measured is not the generator.
fn draws() -> impl Fn() -> u64 {
    let state = Cell::new(1_u64);
    move || {
        let next = state.get().wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        state.set(next);
        next ^ (next >> 32)
    }
}

fn keys(hosts: u32) -> Vec<String> {
    (0..hosts).map(|host| format!("10.0.{}.{}:8080", host / 256, host % 256)).collect()
}

fn key_of<'k>(keys: &'k [String]) -> impl Fn(u32) -> &'k str {
    |host| keys.get(host as usize).map_or("", String::as_str)
}

fn pick(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("pick");
    let draw = draws();
    group.bench_function("random/1000", |b| b.iter(|| random::pick(draw(), black_box(1000))));
    let round_robin = RoundRobin::new(7);
    group.bench_function("round_robin/1000", |b| b.iter(|| round_robin.pick(black_box(1000))));
    let weight = |host: u32| f64::from(host % 5 + 1);
    let edf = Edf::with_picks(HOSTS, 7, weight);
    group.bench_function("edf/1000", |b| b.iter(|| edf.pick(weight)));
    let active: Vec<u64> = (0..u64::from(HOSTS)).map(|host| host % 7).collect();
    group.bench_function("least_request/1000", |b| {
        let active = |host: usize| active.get(host).copied().unwrap_or(0);
        b.iter(|| pick_of_choices(1000, ChoiceCount::default(), active, &draw));
    });
    let keys = keys(HOSTS);
    let weights = NormalizedWeights::flat(&[1; HOSTS as usize]);
    for (name, kinds) in [("turns/1000", 5), ("turns_of_100_weights/1000", 100)] {
        let weights: Vec<f64> = (0..HOSTS).map(|host| f64::from(host % kinds + 1)).collect();
        let turns = Turns::with_picks(&weights, 7);
        group.bench_function(name, |b| b.iter(|| turns.pick()));
    }
    let ring = Ring::new(&RingHashConfig::default(), &weights, key_of(&keys));
    group.bench_function("ring_hash/1000", |b| b.iter(|| ring.pick(draw(), 0)));
    let maglev = Maglev::new(TableSize::default(), &weights, key_of(&keys));
    group.bench_function("maglev/1000", |b| b.iter(|| maglev.pick(draw(), 0)));
    group.finish();
}

fn build(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("build");
    let keys = keys(100);
    let weights = NormalizedWeights::flat(&[1; 100]);
    group.bench_function("maglev/65537x100", |b| {
        b.iter(|| Maglev::new(TableSize::default(), black_box(&weights), key_of(&keys)));
    });
    let config = RingHashConfig::new(65_536, 65_536, HashFunction::XxHash).unwrap_or_default();
    group.bench_function("ring_hash/65536x100", |b| {
        b.iter(|| Ring::new(&config, black_box(&weights), key_of(&keys)));
    });
    group.finish();
}

/// A thousand endpoints in three localities, weights 1 to 5: of three priorities, or of one, that share
/// its traffic by weight.
fn assignment(priorities: Priorities) -> Assignment {
    let (proxy, service) = (by_hand::proxy("c1", "eu/west/a"), by_hand::service("cart.shop"));
    let shards = by_hand::shards((0..HOSTS).map(|host| {
        let place = match host % 3 {
            0 => "eu/west/a",
            1 => "eu/west/b",
            _ => "us/east/c",
        };
        let mut endpoint =
            by_hand::endpoint(&format!("10.0.{}.{}", host / 256, host % 256), "c1", place);
        endpoint.weight = host % 5 + 1;
        endpoint
    }));
    let (compat, gateways) = (Compat::default(), Gateways::default());
    let Some(port) = service.port(80) else { return Assignment::default() };
    let to = [("eu/west/a/*", 60), ("eu/west/b/*", 30), ("us/*", 10)];
    let to = to.map(|(place, share)| (place.into(), share)).into_iter().collect();
    let distribute = match priorities {
        Priorities::Three => Vec::new(),
        Priorities::One => vec![Distribute { from: "eu/*".into(), to }],
    };
    let setting =
        LocalityLbSetting { enabled: Some(true), distribute, ..LocalityLbSetting::default() };
    let mut input = Input::new(&proxy, &compat, (&service, port), &shards, &gateways);
    input.mesh_locality = Some(&setting);
    input.has_outlier_detection = matches!(priorities, Priorities::Three);
    Assignment::compute(&input)
}

#[derive(Clone, Copy)]
enum Priorities {
    One,
    Three,
}

/// What a request pays in all: the draw of the priority, of the locality, and of the endpoint.
fn balancer(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("balancer");
    let algorithms = [
        ("random", Algorithm::Random),
        ("weighted_round_robin", Algorithm::RoundRobin),
        ("least_request", Algorithm::least_request()),
        ("ring_hash", Algorithm::RingHash { config: RingHashConfig::default(), bound: None }),
        ("maglev", Algorithm::Maglev { size: TableSize::default(), bound: None }),
    ];
    let sizes = [("1000", Priorities::Three), ("1000_in_3_localities", Priorities::One)];
    for ((name, algorithm), (size, priorities)) in
        algorithms.into_iter().flat_map(|one| sizes.map(|size| (one, size)))
    {
        // Least request among equals samples; by weight it takes turns as round robin does.
        let host_weighted = name != "least_request";
        let spread = Spread { host_weighted, locality_weighted: true, ..Spread::default() };
        let policy = BalancerPolicy { algorithm, spread, ..BalancerPolicy::default() };
        let balancer = Balancer::new(&assignment(priorities), &policy);
        let draw = draws();
        group.bench_function(format!("{name}/{size}"), |b| {
            b.iter(|| {
                // Only ring and table ask for the hash of a request; a draw stands for hashing it.
                let hash = algorithm.is_consistent().then(&draw);
                let request = PickRequest { hash, ..PickRequest::default() };
                black_box(balancer.pick(&request, &draw).is_some())
            });
        });
    }
    let assignment = assignment(Priorities::Three);
    let policy = BalancerPolicy::default();
    let built = Balancer::new(&assignment, &policy);
    group.bench_function("build/1000", |b| b.iter(|| Balancer::new(&assignment, &policy)));
    group.bench_function("update_without_change/1000", |b| {
        b.iter(|| built.update(&assignment, &policy, 0, mesh_lb::assigned_health));
    });
    group.finish();
}

/// Picks of one and of two threads from one balancer, as many by each thread: if sharing cost nothing
/// both would take the same time on two cores. With turns of their own they share nothing that
/// changes.
fn threads(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("threads");
    let assignment = assignment(Priorities::Three);
    let policy = BalancerPolicy {
        algorithm: Algorithm::RoundRobin,
        workers: 2,
        ..BalancerPolicy::default()
    };
    let balancer = Balancer::new(&assignment, &policy);
    let picks = |worker| {
        for _ in 0..100_000 {
            let request = PickRequest { worker, ..PickRequest::default() };
            black_box(balancer.pick(&request, || 7).is_some());
        }
    };
    group.sample_size(10);
    for (name, threads, own) in
        [("1x100000", 1, 0), ("2x100000", 2, 1), ("2x100000_sharing_turns", 2, 0)]
    {
        group.bench_function(format!("weighted_round_robin/{name}"), |b| {
            b.iter(|| {
                let picks = &picks;
                std::thread::scope(|scope| {
                    (0..threads).for_each(|n: u32| drop(scope.spawn(move || picks(n * own))));
                })
            });
        });
    }
    group.finish();
}

criterion_group!(benches, pick, balancer, threads, build);
criterion_main!(benches);
