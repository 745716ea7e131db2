//! Assignments: a service with 1,000 endpoints in 10 localities of two clusters, regional failover on.
//!
//! The budget of the whole EDS resource, computed and encoded, is 30 µs; this is the computing.
use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use mesh_lb::assign::{Assignment, Input};
use mesh_model::Compat;
use mesh_model::endpoint::{Address, Endpoint, Gateways, NetworkGateway, Shards, Workload};
use mesh_model::name::{ClusterId, NetworkId};
use mesh_model::resource::destination_rule::LocalityLbSetting;
use mesh_testkit::by_hand;

/// Pods as they are: nine labels of their own beside those of their place.
fn endpoints() -> Shards {
    by_hand::shards((0..1_000_u32).map(|index| {
        let (region, zone) = (index % 2, index % 10);
        let cluster = format!("c{}", region + 1);
        let locality = format!("region-{region}/zone-{zone}/");
        let [_, _, high, low] = index.to_be_bytes();
        let mut endpoint =
            by_hand::endpoint(&format!("10.{region}.{high}.{low}"), &cluster, &locality);
        let mut workload = Workload::clone(&endpoint.workload);
        let own = (0..9).map(|label| (format!("example.org/label-{label}"), "value".to_owned()));
        let place = workload.labels.iter().map(|(key, value)| (key.to_owned(), value.to_owned()));
        workload.labels = place.chain(own).collect();
        workload.network = NetworkId::from(format!("n{}", region + 1).as_str());
        endpoint.workload = Arc::new(workload);
        Endpoint { weight: 1, ..endpoint }
    }))
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
    group.finish();
}

criterion_group!(benches, assign);
criterion_main!(benches);
