//! What proxies are sent, computed and encoded, in synthetic meshes; time on the processor.
//!
//! `cds_100_services` is the budget of 250 µs, `gateway/rds_1000_routes` that of 10 ms. `big/*` are the
//! types of one sidecar of a mesh of 1,000 services and 10,000 endpoints in 3 clusters, from nothing:
//! 4 ms of CDS, 3 of EDS, 2 of LDS, 4 of RDS, 1 of NDS. `big/second_proxy` is another proxy of its
//! class (100 µs), `big/one_endpoint` the delta of one endpoint for one client (10 µs), each given the
//! proxy's view; `view` is what that costs. `networks/*` is the mesh with three networks, `wide/*` one
//! of 10 services with 1,000 endpoints each.
#![expect(clippy::expect_used, reason = "a workload that is not there cannot be measured")]
#[path = "shared/cpu_time.rs"]
mod cpu_time;

use std::hint::black_box;
use std::sync::Arc;

use criterion::measurement::Measurement;
use criterion::{BenchmarkGroup, Criterion, criterion_group, criterion_main};
use mesh_model::Compat;
use mesh_model::registry::{Effect, Mesh, Origin, Registry, Source};
use mesh_model::view::{Proxy, ProxyView, Scopes};
use mesh_testkit::synthetic::Synthetic;
use mesh_xds_gen::endpoint::Encoder;
use mesh_xds_gen::snapshot::TypeUrl;
use mesh_xds_gen::{Generator, cluster, endpoint, listener, route};
use prost::Message;

use cpu_time::CpuTime;

fn mesh(measures: &Synthetic) -> Arc<Mesh> {
    let mut registry = Registry::new(Compat::default());
    let diagnostics = registry.load(measures.sources());
    assert_eq!(diagnostics, [], "a synthetic mesh has no fault");
    registry.mesh()
}

fn client(mesh: &Mesh) -> Proxy {
    mesh.proxy("c0/ns-0/load-0").expect("the client is part of the mesh")
}

fn view<'m>(mesh: &'m Mesh, proxy: &'m Proxy) -> ProxyView<'m> {
    mesh.view(proxy).expect("the first cluster serves itself")
}

/// Bytes of all messages, so that encoding counts and cannot be left out.
fn encoded<M: Message>(messages: impl IntoIterator<Item = M>) -> usize {
    messages.into_iter().map(|message| black_box(message.encode_to_vec()).len()).sum()
}

/// The mesh after one pod of its last service became unready.
fn unready(measures: &Synthetic) -> (Arc<Mesh>, Arc<Mesh>, Effect) {
    let mut registry = Registry::new(Compat::default());
    let mut sources = measures.sources();
    registry.load(sources.clone());
    let before = registry.mesh();
    for source in &mut sources {
        let text = String::from_utf8_lossy(&source.text);
        if let Some((head, tail)) = text.rsplit_once(r#""ready":true"#) {
            source.text = format!(r#"{head}"ready":false{tail}"#).into_bytes();
        }
    }
    let (_, effect) = registry.reload(sources);
    assert_eq!(effect.endpoints.len(), 1, "one service has other endpoints");
    (before, registry.mesh(), effect)
}

/// Each type by itself, from nothing, and all of them.
fn types<M: Measurement>(group: &mut BenchmarkGroup<'_, M>, name: &str, view: &ProxyView<'_>) {
    group.bench_function(format!("{name}/cds"), |bencher| {
        bencher.iter(|| Generator::new().of_type(black_box(view), &TypeUrl::CLUSTER));
    });
    let names: Vec<String> = cluster::clusters(view).into_iter().map(|of| of.name).collect();
    let names: Vec<&String> = names.iter().filter(|name| name.starts_with("outbound|")).collect();
    group.bench_function(format!("{name}/eds"), |bencher| {
        let mut encoder = Encoder::default();
        bencher.iter(|| {
            let mut len = 0;
            let names = names.iter().map(|name| name.as_str());
            endpoint::encoded(black_box(view), names, &mut encoder, |_, _, bytes| {
                len += bytes.len();
            });
            len
        });
    });
    group.bench_function(format!("{name}/lds"), |bencher| {
        bencher.iter(|| encoded(listener::listeners(black_box(view))));
    });
    let listeners = listener::listeners(view);
    let names = listener::route_names(&listeners);
    group.bench_function(format!("{name}/rds"), |bencher| {
        bencher.iter(|| route::encoded(black_box(view), names.iter().map(String::as_str)));
    });
    group.bench_function(format!("{name}/nds"), |bencher| {
        bencher.iter(|| Generator::new().of_type(black_box(view), &TypeUrl::NAME_TABLE));
    });
    group.bench_function(format!("{name}/all"), |bencher| {
        bencher.iter(|| Generator::new().snapshot(black_box(view)));
    });
}

fn snapshots(criterion: &mut Criterion<CpuTime>) {
    let mut group = criterion.benchmark_group("snapshot");
    let small = mesh(&Synthetic { services: 100, ..Synthetic::default() });
    let proxy = client(&small);
    let small = view(&small, &proxy);
    group.bench_function("cds_100_services", |bencher| {
        bencher.iter(|| Generator::new().of_type(black_box(&small), &TypeUrl::CLUSTER));
    });
    group.sample_size(20);
    group.bench_function("gateway/rds_1000_routes", |bencher| {
        let mesh = gateway();
        let proxy = mesh.proxy("c0/edge/gateway-0").expect("the gateway is part of the mesh");
        let view = mesh.view(&proxy).expect("the first cluster serves itself");
        let names = listener::route_names(&listener::listeners(&view));
        assert_eq!(names.len(), 1, "one port has one route configuration");
        bencher.iter(|| route::encoded(black_box(&view), names.iter().map(String::as_str)));
    });
    let measures = Synthetic::default();
    let (before, after, effect) = unready(&measures);
    let proxy = client(&before);
    let old = view(&before, &proxy);
    types(&mut group, "big", &old);
    group.bench_function("big/view", |bencher| bencher.iter(|| before.view(black_box(&proxy))));
    let second = Proxy { name: "load-1".into(), ..proxy.clone() };
    let mut generator = Generator::new();
    generator.snapshot(&old);
    let other = view(&before, &second);
    group.bench_function("big/second_proxy", |bencher| {
        bencher.iter(|| generator.snapshot(black_box(&other)));
    });
    assert_eq!(generator.n_classes(), 1, "it is of the same class");
    let mut scopes = Scopes::default();
    group.bench_function("big/second_view", |bencher| {
        bencher.iter(|| scopes.view(&before, black_box(&second)).is_some());
    });
    let new = view(&after, &proxy);
    let previous = generator.snapshot(&old);
    group.bench_function("big/one_endpoint", |bencher| {
        bencher.iter(|| generator.delta((&old, &previous), black_box(&new), &effect));
    });
    group.finish();
}

fn other_meshes(criterion: &mut Criterion<CpuTime>) {
    let mut group = criterion.benchmark_group("snapshot");
    group.sample_size(20);
    let networks = mesh(&Synthetic { networks: 3, ..Synthetic::default() });
    let proxy = client(&networks);
    types(&mut group, "networks", &view(&networks, &proxy));
    let wide = mesh(&Synthetic { services: 10, endpoints: 1000, ..Synthetic::default() });
    let proxy = client(&wide);
    types(&mut group, "wide", &view(&wide, &proxy));
    group.finish();
}

/// A gateway with one port, 100 hosts and 10 routes of each.
fn gateway() -> Arc<Mesh> {
    let meta = |name: &str| format!(r#""metadata":{{"name":"{name}","namespace":"edge"}}"#);
    let mut objects = vec![
        r#"{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"edge"}}"#.to_owned(),
        r#"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"gateway-0","namespace":"edge","labels":{"istio":"gateway"}},"spec":{"containers":[{"name":"istio-proxy","image":"proxy","args":["proxy","router"]}]},"status":{"podIP":"10.0.0.1","phase":"Running"}}"#.to_owned(),
        format!(r#"{{"apiVersion":"networking.istio.io/v1","kind":"Gateway",{},"spec":{{"selector":{{"istio":"gateway"}},"servers":[{{"port":{{"number":8080,"name":"http","protocol":"HTTP"}},"hosts":["*"]}}]}}}}"#, meta("edge")),
    ];
    for host in 0..100 {
        let service = format!(
            r#"{{"apiVersion":"v1","kind":"Service",{},"spec":{{"clusterIP":"10.96.0.{host}","ports":[{{"name":"http","port":80}}]}}}}"#,
            meta(&format!("svc-{host}"))
        );
        let routes: Vec<String> = (0..10)
            .map(|route| format!(r#"{{"match":[{{"uri":{{"prefix":"/api/v{route}/"}},"headers":{{"x-tenant":{{"exact":"t{route}"}}}}}}],"route":[{{"destination":{{"host":"svc-{host}","port":{{"number":80}}}}}}]}}"#))
            .collect();
        let rule = format!(
            r#"{{"apiVersion":"networking.istio.io/v1","kind":"VirtualService",{},"spec":{{"hosts":["host-{host}.example.com"],"gateways":["edge"],"http":[{}]}}}}"#,
            meta(&format!("host-{host}")),
            routes.join(",")
        );
        objects.extend([service, rule]);
    }
    let text = format!(r#"{{"apiVersion":"v1","kind":"List","items":[{}]}}"#, objects.join(","));
    let (origin, name) = (Origin::Cluster("c0".into()), "edge.json".into());
    let mut registry = Registry::new(Compat::default());
    let diagnostics = registry.load([Source { origin, name, text: text.into_bytes() }]);
    assert_eq!(diagnostics, [], "a synthetic mesh has no fault");
    registry.mesh()
}

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(CpuTime);
    targets = snapshots, other_meshes
}
criterion_main!(benches);
