//! The services that a proxy stands behind.
#![expect(clippy::unwrap_used, reason = "a test may panic")]
use std::sync::Arc;

use mesh_model::Compat;
use mesh_model::registry::{Origin, Registry, Source};

const POD: &str = "
kind: Pod
apiVersion: v1
metadata: {name: web-0, namespace: shop, labels: {app: web}}
spec:
  containers:
  - name: web
    ports: [{name: main, containerPort: 8080, protocol: TCP}]
  - name: istio-proxy
    args: [proxy, sidecar]
status: {phase: Running, podIP: 10.0.0.1}
---
";

/// Checks the targets of the pod `web-0` as `HOST PORT PROTOCOL>TARGET`.
fn check(manifests: &str, expected: &[&str]) {
    let name = "clusters/east/all.yaml";
    let text = format!("{POD}{manifests}").into_bytes();
    let source = Source { origin: Origin::of_path(name).unwrap(), name: Arc::from(name), text };
    let mut registry = Registry::new(Compat::default());
    let _ = registry.load([source]);
    let mesh = registry.mesh();
    let proxy = mesh.proxy("east/shop/web-0").unwrap();
    let view = mesh.view(&proxy).unwrap();
    let found: Vec<String> = view
        .service_targets()
        .iter()
        .map(|target| {
            let host = target.service.hostname.as_str();
            let host = host.split('.').next().unwrap_or_default();
            format!("{host} {}>{}", target.port.number, target.target_port)
        })
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn services_that_select_the_pod_come_oldest_first() {
    check(
        "
kind: Service
apiVersion: v1
metadata: {name: b, namespace: shop, creationTimestamp: '2024-01-01T00:00:00Z'}
spec: {clusterIP: 10.1.0.1, selector: {app: web}, ports: [{name: http, port: 80, targetPort: main}]}
---
kind: Service
apiVersion: v1
metadata: {name: a, namespace: shop, creationTimestamp: '2024-01-02T00:00:00Z'}
spec:
  clusterIP: 10.1.0.2
  selector: {app: web}
  ports:
  - {name: http-a, port: 80, targetPort: 8080}
  - {name: http-b, port: 81, targetPort: 8080}
  - {name: tcp-c, port: 82, targetPort: 8080}
  - {name: tcp-d, port: 83}
  - {name: tcp-e, port: 84, targetPort: unknown}
---
kind: Service
apiVersion: v1
metadata: {name: other, namespace: shop}
spec: {clusterIP: 10.1.0.3, selector: {app: other}, ports: [{name: http, port: 80}]}
",
        &["b 80>8080", "a 80>8080", "a 82>8080", "a 83>83"],
    );
}

#[test]
fn a_pod_that_no_service_selects_belongs_to_the_slices_that_list_it() {
    check(
        "
kind: Service
apiVersion: v1
metadata: {name: hand, namespace: shop}
spec: {clusterIP: None, ports: [{name: http, port: 80}]}
---
kind: EndpointSlice
apiVersion: discovery.k8s.io/v1
metadata: {name: hand-1, namespace: shop, labels: {kubernetes.io/service-name: hand}}
addressType: IPv4
endpoints: [{addresses: [10.0.0.1]}, {addresses: [10.0.0.2]}]
ports: [{name: http, port: 9090}]
",
        &["hand 80>9090"],
    );
}
