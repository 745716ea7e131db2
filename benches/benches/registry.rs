//! The registry: how long until the effect of one endpoint's change is known, whatever the size of the
//! mesh, and what loading costs beside the parser.
//!
//! Services have 50 endpoints in one slice each, spread over 100 namespaces of one cluster. What an
//! endpoint costs in memory is a test: `mesh-model/tests/registry_memory.rs`.
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use mesh_model::manifest::{Limits, read};
use mesh_model::name::Labels;
use mesh_model::registry::{Change, Origin, Registry, Source};
use mesh_model::resource::{
    ClusterIp, EndpointAddress, EndpointSlice, Meta, Pod, PodPhase, Readiness, Resource, Service,
    ServicePort, SliceEndpoint, SlicePort, TargetKind, TargetRef,
};

const ENDPOINTS: u32 = 50;

fn upsert(resource: Resource) -> Change {
    Change::Upsert { origin: Origin::Cluster("c1".into()), resource: Box::new(resource) }
}

fn meta(service: u32, name: String, labels: Labels) -> Meta {
    let namespace = format!("ns-{}", service % 100).as_str().into();
    Meta { name: name.into(), namespace, labels, ..Meta::default() }
}

fn address(service: u32, endpoint: u32) -> IpAddr {
    IpAddr::V4(Ipv4Addr::from(0x0A00_0000 + service * ENDPOINTS + endpoint))
}

fn service(index: u32) -> Change {
    let mut service =
        Service { meta: meta(index, format!("s-{index}"), <_>::default()), ..<_>::default() };
    service.spec.cluster_ip = ClusterIp::Address(IpAddr::V4(Ipv4Addr::from(0x0B00_0000 + index)));
    let port = ServicePort { name: "http".into(), port: 80, ..<_>::default() };
    service.spec.ports = [port].into();
    upsert(Resource::Service(service))
}

/// The slice of a service; `is_ready`: whether its first endpoint takes traffic.
fn slice(index: u32, has_pods: bool, is_ready: bool) -> Change {
    let labels = [("kubernetes.io/service-name", format!("s-{index}"))].into_iter().collect();
    let endpoint = |endpoint: u32| {
        let mut entry = SliceEndpoint {
            addresses: [EndpointAddress::Ip(address(index, endpoint))].into(),
            ..<_>::default()
        };
        entry.conditions.ready = Some(endpoint != 0 || is_ready);
        entry.target_ref = has_pods.then(|| {
            let name = format!("s-{index}-{endpoint}").into();
            Box::new(TargetRef { kind: TargetKind::Pod, name, ..<_>::default() })
        });
        entry
    };
    let port = SlicePort { name: "http".into(), port: Some(8080), ..<_>::default() };
    upsert(Resource::EndpointSlice(EndpointSlice {
        meta: meta(index, format!("s-{index}-1"), labels),
        endpoints: (0..ENDPOINTS).map(endpoint).collect(),
        ports: [port].into(),
        ..<_>::default()
    }))
}

fn pod(index: u32, endpoint: u32) -> Change {
    let labels = [("app", format!("s-{index}")), ("version", "v1".to_owned())];
    let labels = labels.into_iter().collect();
    let mut pod =
        Pod { meta: meta(index, format!("s-{index}-{endpoint}"), labels), ..<_>::default() };
    pod.spec.node_name = format!("node-{}", endpoint % 10).into();
    pod.status.phase = PodPhase::Running;
    pod.status.pod_ip = Some(address(index, endpoint));
    pod.status.readiness = Readiness::Ready;
    upsert(Resource::Pod(pod))
}

fn registry(services: u32, has_pods: bool) -> Registry {
    let mut registry = Registry::default();
    let of_service = |index: u32| {
        let pods = (0..if has_pods { ENDPOINTS } else { 0 }).map(move |one| pod(index, one));
        [service(index), slice(index, has_pods, true)].into_iter().chain(pods)
    };
    registry.apply_all((0..services).flat_map(of_service).collect::<Vec<_>>());
    registry
}

fn one_endpoint_changes(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("registry/one_endpoint_changes");
    for (services, has_pods) in [(1_000, false), (1_000, true), (20_000, false), (20_000, true)] {
        let mut registry = registry(services, has_pods);
        let endpoints = services * ENDPOINTS;
        let kind = if has_pods { "pods" } else { "addresses" };
        let states = [slice(7, has_pods, false), slice(7, has_pods, true)];
        let mut states = states.iter().cycle();
        group.bench_function(format!("{endpoints}_endpoints_of_{kind}"), |bencher| {
            bencher.iter_batched(
                || states.next().cloned(),
                |change| change.map(|change| black_box(registry.apply(change))),
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

/// Four manifests of a service, as people write them.
fn manifests(index: u32) -> String {
    let (namespace, high, low) = (index % 100, index / 250 % 250, index % 250);
    format!(
        "apiVersion: v1
kind: Service
metadata:
  name: s-{index}
  namespace: ns-{namespace}
  labels:
    app: s-{index}
spec:
  clusterIP: 10.{high}.{low}.1
  selector:
    app: s-{index}
  ports:
  - name: http
    port: 80
    targetPort: 8080
    protocol: TCP
---
apiVersion: v1
kind: Pod
metadata:
  name: s-{index}-0
  namespace: ns-{namespace}
  labels:
    app: s-{index}
    version: v1
    security.istio.io/tlsMode: istio
spec:
  nodeName: n-{low}
  serviceAccountName: s-{index}
  containers:
  - name: app
    image: example/app:1
  - name: istio-proxy
    image: istio/proxyv2:1.30
status:
  phase: Running
  podIP: 10.{high}.{low}.2
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: s-{index}-x
  namespace: ns-{namespace}
  labels:
    kubernetes.io/service-name: s-{index}
addressType: IPv4
ports:
- name: http
  port: 8080
endpoints:
- addresses:
  - 10.{high}.{low}.2
  conditions:
    ready: true
  targetRef:
    kind: Pod
    name: s-{index}-0
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata:
  name: s-{index}
  namespace: ns-{namespace}
spec:
  host: s-{index}.ns-{namespace}.svc.cluster.local
  trafficPolicy:
    outlierDetection:
      consecutive5xxErrors: 5
      interval: 10s
      baseEjectionTime: 30s
  subsets:
  - name: v1
    labels:
      version: v1
"
    )
}

/// 20,000 manifests: what the parser alone takes, to trees, and to a mesh.
fn loading(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("registry/load_20000_manifests");
    group.sample_size(10);
    let source = |index: u32| Source {
        origin: Origin::Cluster("c1".into()),
        name: format!("clusters/c1/{index}.yaml").into(),
        text: manifests(index).into_bytes(),
    };
    let sources: Vec<Source> = (0..5_000).map(source).collect();
    let texts: Vec<String> = (0..5_000).map(manifests).collect();
    group.bench_function("parser", |bencher| {
        let events = |text: &String| granit_parser::Parser::new_from_str(text).count();
        bencher.iter(|| texts.iter().map(events).sum::<usize>());
    });
    group.bench_function("trees", |bencher| {
        let limits = Limits::default();
        let trees = |source: &Source| read(&source.name, &source.text, &limits).documents.len();
        bencher.iter(|| sources.iter().map(trees).sum::<usize>());
    });
    group.bench_function("mesh", |bencher| {
        bencher.iter_batched(
            || sources.clone(),
            |sources| Registry::default().load(sources).len(),
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

criterion_group!(benches, one_endpoint_changes, loading);
criterion_main!(benches);
