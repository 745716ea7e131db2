//! Assignments: a service with 1,000 endpoints in 10 localities of two clusters, regional failover on.
//!
//! The budget of the whole EDS resource, computed and encoded, is 30 µs (`eds`), and 5 µs after one
//! endpoint has changed (`eds_after_a_change`).
//!
//! `mesh/*` are all assignments of one sidecar in the meshes that `bigmesh.py` writes: 1,000 services of 10
//! endpoints in one network and in three, 10 services of 1,000. `million/new_resource` is the budget of
//! 20 µs a client class: the EDS resource of a service of which one endpoint changed, among 20,000 services
//! and 1,000,000 endpoints.
#[path = "shared/endpoints.rs"]
mod million;

use std::collections::BTreeSet;
use std::hint::black_box;
use std::net::IpAddr;
use std::sync::Arc;

use criterion::measurement::WallTime;
use criterion::{BatchSize, BenchmarkGroup, Criterion, criterion_group, criterion_main};
use mesh_lb::assign::{Assignment, Input};
use mesh_lb::whatif::services_and_subsets;
use mesh_model::Compat;
use mesh_model::endpoint::{Address, Endpoint, Gateways, NetworkGateway, Shard, Shards, Workload};
use mesh_model::name::{ClusterId, NetworkId};
use mesh_model::registry::Registry;
use mesh_model::resource::destination_rule::LocalityLbSetting;
use mesh_model::view::{Destination, Subset};
use mesh_testkit::by_hand;
use mesh_testkit::synthetic::Synthetic;
use mesh_xds_gen::endpoint::Encoder;

/// Pods as a registry holds them: equal names share their text; nine labels of their own beside those
/// of their place, one of them the pod's alone.
fn endpoints() -> Shards {
    let places: Vec<Endpoint> = (0..10_u32).map(place).collect();
    let keys: Vec<Arc<str>> = (0..8).map(|key| format!("example.org/label-{key}").into()).collect();
    let value: Arc<str> = "value".into();
    let mut texts = BTreeSet::new();
    let endpoints = (0..1_000_u32).zip(places.iter().cycle()).map(|(index, place)| {
        let mut workload = Workload::clone(&place.workload);
        let mut labels: Vec<(Arc<str>, Arc<str>)> = Vec::new();
        for (key, value) in place.workload.labels.iter() {
            labels.push((shared(&mut texts, key), shared(&mut texts, value)));
        }
        labels.push((shared(&mut texts, "pod-hash"), index.to_string().into()));
        labels.extend(keys.iter().map(|key| (Arc::clone(key), Arc::clone(&value))));
        workload.labels = labels.into_iter().collect();
        let address = Address::Ip(IpAddr::from((0x0A00_0000 + index).to_be_bytes()));
        Endpoint { address, workload: Arc::new(workload), ..place.clone() }
    });
    by_hand::shards(endpoints.collect::<Vec<_>>())
}

fn shared(texts: &mut BTreeSet<Arc<str>>, text: &str) -> Arc<str> {
    if let Some(known) = texts.get(text) {
        return Arc::clone(known);
    }
    let text = Arc::from(text);
    texts.insert(Arc::clone(&text));
    text
}

/// One of ten zones, of two clusters with a network each.
fn place(index: u32) -> Endpoint {
    let region = index % 2;
    let (cluster, locality) = (region + 1, format!("region-{region}/zone-{index}/"));
    let mut endpoint = by_hand::endpoint("10.0.0.0", &format!("c{cluster}"), &locality);
    let mut workload = Workload::clone(&endpoint.workload);
    workload.place_mut().network = NetworkId::from(format!("n{cluster}").as_str());
    endpoint.workload = Arc::new(workload);
    Endpoint { weight: 1, ..endpoint }
}

fn gateway(network: &str, address: &str) -> NetworkGateway {
    NetworkGateway {
        network: NetworkId::from(network),
        cluster: ClusterId::default(),
        address: Address::parse(address),
        port: 15443,
        hbone_port: 0,
        service_account: "".into(),
    }
}

fn assign(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("assign");
    let mut proxy = by_hand::proxy("c1", "region-0/zone-2/");
    proxy.network = NetworkId::from("n1");
    let service = by_hand::service("cart.shop.svc.cluster.local");
    let (compat, shards) = (Compat::default(), endpoints());
    let mesh_locality = LocalityLbSetting { enabled: Some(true), ..LocalityLbSetting::default() };
    let labels = ["topology.istio.io/network", "topology.kubernetes.io/region"];
    let by_labels = LocalityLbSetting {
        failover_priority: labels.into_iter().map(Box::from).collect(),
        ..LocalityLbSetting::default()
    };
    let (none, two) = (
        Gateways::default(),
        Gateways::new([gateway("n2", "192.0.2.1"), gateway("n2", "192.0.2.2")]),
    );
    let Some(port) = service.port(80) else { return };
    let input = Input {
        mesh_locality: Some(&mesh_locality),
        has_outlier_detection: true,
        peer_mode_varies: &|_| false,
        ..Input::new(&proxy, &compat, (&service, port), &shards, &none)
    };
    group.bench_function("1000_endpoints_10_localities", |bencher| {
        bencher.iter(|| Assignment::compute(black_box(&input)));
    });
    let remote = Input { gateways: &two, ..input };
    group.bench_function("1000_endpoints_10_localities/half_behind_gateways", |bencher| {
        bencher.iter(|| Assignment::compute(black_box(&remote)));
    });
    let labelled = Input { mesh_locality: Some(&by_labels), ..input };
    group.bench_function("1000_endpoints_10_localities/by_two_labels", |bencher| {
        bencher.iter(|| Assignment::compute(black_box(&labelled)));
    });
    eds(&mut group, &input);
    group.finish();
}

/// The resource, with an encoder that knows nothing and has used its memory before, with one that is
/// new, and with one that knows the endpoints before a change. `prost` encodes the same message, made
/// before; `copied` copies the bytes.
fn eds(group: &mut BenchmarkGroup<'_, WallTime>, input: &Input<'_>) {
    let name = "outbound|80||cart.shop.svc.cluster.local";
    let mut encoder = Encoder::default();
    group.bench_function("1000_endpoints_10_localities/eds", |bencher| {
        bencher.iter(|| {
            encoder.forget();
            encoder.encode(name, &Assignment::compute(black_box(input)))
        });
    });
    let assignment = Assignment::compute(input);
    let bytes = encoder.encode(name, &assignment);
    let message = mesh_xds_gen::endpoint::from_assignment(name, &assignment);
    group.bench_function("1000_endpoints_10_localities/copied", |bencher| {
        bencher.iter(|| Arc::<[u8]>::from(black_box(&*bytes)));
    });
    group.bench_function("1000_endpoints_10_localities/prost", |bencher| {
        bencher.iter(|| prost::Message::encode_to_vec(black_box(&message)));
    });
    group.bench_function("1000_endpoints_10_localities/prost_builds", |bencher| {
        bencher.iter(|| mesh_xds_gen::endpoint::from_assignment(name, black_box(&assignment)));
    });
    group.bench_function("1000_endpoints_10_localities/eds_of_a_new_encoder", |bencher| {
        bencher.iter_batched(
            Encoder::default,
            |mut encoder| encoder.encode(name, &Assignment::compute(black_box(input))),
            BatchSize::SmallInput,
        );
    });
    let states = [changed(input.shards, "10.9.9.9"), changed(input.shards, "10.9.9.8")];
    let mut states = states.iter().cycle();
    let mut encoder = Encoder::default();
    group.bench_function("1000_endpoints_10_localities/eds_after_a_change", |bencher| {
        bencher.iter(|| {
            let shards = states.next().unwrap_or(input.shards);
            encoder.encode(name, &Assignment::compute(black_box(&Input { shards, ..*input })))
        });
    });
}

/// The same endpoints with another address for one of them, as a registry makes them of those before.
fn changed(before: &Shards, address: &str) -> Shards {
    let change = |shard: &Arc<Shard>| {
        let mut endpoints: Vec<_> = shard.endpoints().iter().cloned().collect();
        if let Some(one) = endpoints.get_mut(400) {
            one.address = Address::parse(address);
        }
        Arc::new(shard.renewed(endpoints))
    };
    let first = before.iter().take(1).map(change);
    first.chain(before.iter().skip(1).cloned()).collect()
}

/// Every assignment of one sidecar.
fn meshes(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("assign/mesh");
    let sizes = [
        ("1000_services_of_10", Synthetic::default()),
        ("1000_services_of_10_in_3_networks", Synthetic { networks: 3, ..Synthetic::default() }),
        (
            "10_services_of_1000",
            Synthetic { services: 10, endpoints: 1_000, ..Synthetic::default() },
        ),
    ];
    for (name, size) in sizes {
        let mut registry = Registry::new(Compat::default());
        registry.load(size.sources());
        let mesh = registry.mesh();
        let Ok(proxy) = mesh.proxy("c0/ns-0/load-0") else { continue };
        let Some(view) = mesh.view(&proxy) else { continue };
        let asked = services_and_subsets(&view).into_iter();
        let destinations: Vec<Destination<'_>> = asked
            .map(|asked| {
                view.destination_of(asked.service, asked.port, Subset::from(&*asked.subset))
            })
            .collect();
        let count = |assignment: Assignment| assignment.endpoints().count();
        let all = |destinations: &[Destination<'_>]| -> usize {
            destinations.iter().map(|to| count(Assignment::new(&view, to))).sum()
        };
        assert!(all(&destinations) >= 10_000, "every endpoint is assigned");
        group.bench_function(name, |bencher| bencher.iter(|| all(black_box(&destinations))));
    }
    group.finish();
}

/// The resource of a service after one of its endpoints has changed, among a million.
fn million(criterion: &mut Criterion) {
    let mut registry = million::registry(20_000, true);
    let before = registry.mesh();
    registry.apply(million::slice(7, true, false));
    let after = registry.mesh();
    let proxy = by_hand::proxy("c1", "");
    let (Some(old), Some(new)) = (before.view(&proxy), after.view(&proxy)) else { return };
    let name = "outbound|80||s-7.ns-7.svc.cluster.local";
    let assigned = mesh_xds_gen::endpoint::assignment(&old, name).unwrap_or_default();
    assert_eq!(assigned.endpoints().count(), 50, "its endpoints are there");
    let mut views = [&old, &new].into_iter().cycle();
    let mut encoder = Encoder::default();
    let mut group = criterion.benchmark_group("assign/million");
    group.bench_function("new_resource", |bencher| {
        bencher.iter(|| {
            let view = views.next().unwrap_or(&old);
            let assignment = mesh_xds_gen::endpoint::assignment(black_box(view), name);
            encoder.encode(name, &assignment.unwrap_or_default())
        });
    });
    group.finish();
}

criterion_group!(benches, assign, meshes, million);
criterion_main!(benches);
