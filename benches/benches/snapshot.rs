//! What one sidecar is sent, computed and encoded, in synthetic meshes.
//!
//! `cds_100_services` is the budget of 250 µs. `big/*` are the types of a mesh of 1,000 services and
//! 10,000 endpoints in 3 clusters, cold: 4 ms of CDS, 2 of EDS (3 here with its share of assignments),
//! 2 of LDS, 4 of RDS, and 14 ms for the whole snapshot.
#![expect(clippy::expect_used, reason = "a workload that is not there cannot be measured")]
use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use mesh_model::Compat;
use mesh_model::registry::{Mesh, Registry};
use mesh_testkit::synthetic::Synthetic;
use mesh_xds_gen::{Generator, cluster, endpoint, listener, route};
use prost::Message;

fn mesh(measures: &Synthetic) -> Arc<Mesh> {
    let mut registry = Registry::new(Compat::default());
    let diagnostics = registry.load(measures.sources());
    assert_eq!(diagnostics, [], "a synthetic mesh has no fault");
    registry.mesh()
}

/// Bytes of all messages, so that encoding counts and cannot be left out.
fn encoded<M: Message>(messages: impl IntoIterator<Item = M>) -> usize {
    messages.into_iter().map(|message| black_box(message.encode_to_vec()).len()).sum()
}

fn snapshots(criterion: &mut Criterion) {
    let small = mesh(&Synthetic { services: 100, ..Synthetic::default() });
    let proxy = small.proxy("c0/ns-0/load-0").expect("the client is part of the mesh");
    let view = small.view(&proxy).expect("the first cluster serves itself");
    let mut group = criterion.benchmark_group("snapshot");
    group.bench_function("cds_100_services", |bencher| {
        bencher.iter(|| encoded(cluster::clusters(black_box(&view))));
    });
    group.bench_function("all_100_services", |bencher| {
        bencher.iter(|| Generator::new().snapshot(black_box(&view)));
    });

    let big = mesh(&Synthetic::default());
    let proxy = big.proxy("c0/ns-0/load-0").expect("the client is part of the mesh");
    let view = big.view(&proxy).expect("the first cluster serves itself");
    group.sample_size(20);
    group.bench_function("big/view", |bencher| bencher.iter(|| big.view(black_box(&proxy))));
    group.bench_function("big/cds", |bencher| {
        bencher.iter(|| encoded(cluster::clusters(black_box(&view))));
    });
    let names: Vec<String> = cluster::clusters(&view).into_iter().map(|of| of.name).collect();
    let names: Vec<&String> = names.iter().filter(|name| name.starts_with("outbound|")).collect();
    group.bench_function("big/eds", |bencher| {
        bencher.iter(|| {
            encoded(names.iter().map(|name| endpoint::cluster_load_assignment(&view, name)))
        });
    });
    group.bench_function("big/lds", |bencher| {
        bencher.iter(|| encoded(listener::listeners(black_box(&view))));
    });
    let listeners = listener::listeners(&view);
    let names = listener::route_names(&listeners);
    group.bench_function("big/rds", |bencher| {
        bencher.iter(|| encoded(route::routes(black_box(&view), names.iter().map(String::as_str))));
    });
    group.bench_function("big/all", |bencher| {
        bencher.iter(|| Generator::new().snapshot(black_box(&view)));
    });
    group.finish();
}

criterion_group!(benches, snapshots);
criterion_main!(benches);
