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
status: {phase: Running, podIP: 10.0.0.1, conditions: [{type: Ready, status: 'True'}]}
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

#[test]
fn a_service_entry_of_its_namespace_that_lists_or_selects_its_address_is_one_of_its_services() {
    let entry = |name: &str, namespace: &str, spec: &str| {
        format!(
            "kind: ServiceEntry\napiVersion: networking.istio.io/v1\nmetadata: {{name: {name}, namespace: {namespace}}}\n\
             spec: {{hosts: [{name}.example], {spec}}}\n---\n"
        )
    };
    let ports = "ports: [{number: 80, name: http, targetPort: 8080}, {number: 53, name: udp, protocol: UDP}]";
    let listed =
        |address: &str| format!("resolution: STATIC, {ports}, endpoints: [{{address: {address}}}]");
    let manifests = [
        entry("listed", "shop", &listed("10.0.0.1")),
        // For nobody else to see.
        entry("hidden", "shop", &format!("exportTo: ['.'], {}", listed("10.0.0.1"))),
        entry("elsewhere", "shop", &listed("10.0.0.2")),
        entry("other", "other", &listed("10.0.0.1")),
        // Each address makes a service, with all endpoints.
        entry(
            "twice",
            "shop",
            &format!("addresses: [240.0.0.1, 240.0.0.2], {}", listed("10.0.0.1")),
        ),
        entry(
            "selected",
            "shop",
            &format!("resolution: STATIC, {ports}, workloadSelector: {{labels: {{app: web}}}}"),
        ),
        entry("resolved", "shop", &format!("resolution: DNS, {ports}")),
    ];
    let ready = "kind: Service\napiVersion: v1\nmetadata: {name: web, namespace: shop}\n\
                 spec: {clusterIP: 10.1.0.1, selector: {app: web}, ports: [{name: http, port: 90}]}\n---\n";
    check(
        &format!("{ready}{}", manifests.concat().trim_end_matches("---\n")),
        &[
            "hidden 80>8080",
            "hidden 53>53",
            "listed 80>8080",
            "listed 53>53",
            "selected 80>8080",
            "selected 53>53",
            "twice 80>8080",
            "twice 53>53",
            "web 90>90",
        ],
    );
}

#[test]
fn a_machine_of_its_address_says_which_services_it_has() {
    let machine = |name: &str, namespace: &str, labels: &str| {
        format!(
            "kind: WorkloadEntry\napiVersion: networking.istio.io/v1\nmetadata: {{name: {name}, namespace: {namespace}}}\n\
             spec: {{address: 10.0.0.1, labels: {{{labels}}}, ports: {{http: 8000, main: 9000}}}}\n---\n"
        )
    };
    let service = |name: &str, namespace: &str, spec: &str| {
        format!(
            "kind: Service\napiVersion: v1\nmetadata: {{name: {name}, namespace: {namespace}}}\nspec: {{{spec}}}\n---\n"
        )
    };
    let ports = "ports: [{name: http, port: 80, targetPort: 8080}, {name: grpc, port: 81, targetPort: 8081}, \
                 {name: named, port: 82, targetPort: main}, {name: none, port: 83, targetPort: unknown}, \
                 {name: udp, port: 84, protocol: UDP}]";
    let services = [
        service("web", "shop", &format!("clusterIP: 10.1.0.1, selector: {{app: web}}, {ports}")),
        service("vm", "shop", &format!("clusterIP: 10.1.0.2, selector: {{app: vm}}, {ports}")),
        service("far", "far", &format!("clusterIP: 10.1.0.3, selector: {{app: vm}}, {ports}")),
        service("headless", "shop", &format!("clusterIP: None, selector: {{app: vm}}, {ports}")),
    ]
    .concat();
    let near = machine("m", "shop", "app: vm");
    let far = machine("m", "far", "app: vm");
    let own = machine("web-0", "shop", "app: none");
    let of =
        |machines: &[&str]| format!("{services}{}", machines.concat().trim_end_matches("---\n"));
    let of_vm = ["vm 80>8000", "vm 81>8081", "vm 82>9000"];
    let of_far = of_vm.map(|target| target.replace("vm", "far"));
    check(&of(&[&near]), &of_vm);
    check(&of(&[&far]), &of_far.each_ref().map(String::as_str));
    check(&of(&[&far, &near]), &of_vm);
    // It has the pod's name, and no service.
    check(&of(&[&far, &near, &own]), &[]);
    let checked = near.replace(
        "namespace: shop}",
        "namespace: shop, annotations: {proxy.istio.io/health-checks-enabled: 'true'}}",
    );
    check(&of(&[&checked]), &["web 80>8080", "web 81>8081", "web 82>8080", "web 84>84"]);
}
