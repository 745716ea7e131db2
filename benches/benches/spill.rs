//! How long does it take to split traffic over five priorities?
use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use mesh_lb::load::{DataPlane, LevelHosts, PanicThreshold, PriorityLoad};

fn spill(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("spill");
    let mut load = PriorityLoad::default();
    let healthy = [30, 20, 25, 100, 100].map(|healthy| LevelHosts::healthy_of(healthy, 100));
    group.bench_function("5_priorities", |bencher| {
        bencher
            .iter(|| load.spill(DataPlane::Envoy, black_box(&healthy), PanicThreshold::default()));
    });
    let panicking = [15, 15, 10, 5, 5].map(|healthy| LevelHosts::healthy_of(healthy, 100));
    group.bench_function("5_priorities_in_panic", |bencher| {
        bencher.iter(|| {
            load.spill(DataPlane::Envoy, black_box(&panicking), PanicThreshold::default())
        });
    });
    group.bench_function("choose", |bencher| bencher.iter(|| load.choose(black_box(77))));
    group.finish();
}

criterion_group!(benches, spill);
criterion_main!(benches);
