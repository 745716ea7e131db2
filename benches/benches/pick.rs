//! How long does it take to pick one of a thousand endpoints, and to build what a pick needs?
use std::cell::Cell;
use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use mesh_lb::pick::edf::Edf;
use mesh_lb::pick::hash::HashFunction;
use mesh_lb::pick::least_request::{ChoiceCount, pick_of_choices};
use mesh_lb::pick::maglev::{Maglev, TableSize};
use mesh_lb::pick::random;
use mesh_lb::pick::ring_hash::{Ring, RingHashConfig};
use mesh_lb::pick::round_robin::RoundRobin;
use mesh_lb::pick::weight::NormalizedWeights;

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

criterion_group!(benches, pick, build);
criterion_main!(benches);
