//! The registry: how long until the effect of one endpoint's change is known, whatever the size of the
//! mesh, and what loading costs beside the parser.
//!
//! Services have 50 endpoints in one slice each, spread over 100 namespaces of one cluster. What an
//! endpoint costs in memory is a test: `mesh-model/src/registry/memory.rs`.
#[path = "shared/endpoints.rs"]
mod endpoints;

use std::hint::black_box;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use mesh_model::manifest::{Limits, read};
use mesh_model::registry::{Origin, Registry, Source};

use endpoints::{ENDPOINTS, registry, slice};

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
