//! What ServiceEntries, WorkloadEntries and the pods that they select become.
#![expect(clippy::unwrap_used, reason = "tests may unwrap")]
use std::sync::Arc;

use mesh_model::Compat;
use mesh_model::endpoint::{Endpoint, HealthStatus, Provider};
use mesh_model::manifest::Severity;
use mesh_model::registry::{Mesh, Origin, Registry, Resolution, Service, Source};

const POD: &str = r#"
{apiVersion: v1, kind: Pod, metadata: {name: web-0, namespace: shop, labels: {app: web}},
 spec: {serviceAccountName: web, containers: [{name: web, ports: [{name: http, containerPort: 8080}]}]},
 status: {phase: Running, podIP: 10.0.0.1, conditions: [{type: Ready, status: "True"}]}}"#;

/// A mesh of one cluster `c1` with these documents.
fn mesh(documents: &[&str]) -> Arc<Mesh> {
    mesh_of(documents, &[], "{}")
}

/// A mesh of the config cluster `c1` and `c2`.
fn mesh_of(documents: &[&str], other: &[&str], config: &str) -> Arc<Mesh> {
    let source = |path: &str, text: String| Source {
        origin: Origin::of_path(path).unwrap(),
        name: Arc::from(path),
        text: text.into_bytes(),
    };
    let mut registry = Registry::new(Compat::default());
    let diagnostics = registry.load([
        source("mesh.yaml", config.to_owned()),
        source("clusters/c1/all.yaml", documents.join("\n---\n")),
        source("clusters/c1/cluster.yaml", "{role: primary}".to_owned()),
        source("clusters/c2/all.yaml", other.join("\n---\n")),
        source("clusters/c2/cluster.yaml", "{role: remote}".to_owned()),
    ]);
    let errors: Vec<_> = diagnostics.iter().filter(|d| d.severity == Severity::Error).collect();
    assert!(errors.is_empty(), "{errors:?}");
    registry.mesh()
}

fn entry(metadata: &str, spec: &str) -> String {
    format!(
        "{{apiVersion: networking.istio.io/v1, kind: ServiceEntry, \
         metadata: {{namespace: shop, {metadata}}}, spec: {{{spec}}}}}"
    )
}

fn machine(name: &str, more_metadata: &str, spec: &str) -> String {
    format!(
        "{{apiVersion: networking.istio.io/v1, kind: WorkloadEntry, \
         metadata: {{namespace: shop, name: {name}{more_metadata}}}, spec: {{{spec}}}}}"
    )
}

fn services<'m>(mesh: &'m Mesh, host: &'m str) -> Vec<&'m Arc<Service>> {
    let plane = mesh.control_plane_of("c1").unwrap();
    plane.services.iter().filter(|service| service.hostname == *host).collect()
}

fn endpoints(mesh: &Mesh, host: &str) -> Vec<Endpoint> {
    let plane = mesh.control_plane_of("c1").unwrap();
    let shards = plane.shards_of(host, "shop");
    shards.into_iter().flat_map(|shards| shards.endpoints()).cloned().collect()
}

/// The endpoints of `a.example` in short: address, port, service port name, service port.
fn check(documents: &[&str], expected: &[&str]) {
    let mesh = mesh(documents);
    let found = endpoints(&mesh, "a.example");
    let found = found.iter().map(|endpoint| {
        let Endpoint { address, port, port_name, service_port, .. } = endpoint;
        format!("{address} {port} {port_name} {service_port}")
    });
    assert_eq!(found.collect::<Vec<_>>(), expected);
}

const HTTP: &str = "ports: [{number: 80, name: http, protocol: HTTP}]";

#[test]
fn several_addresses_are_several_services_and_list_every_endpoint_again() {
    let text = entry(
        "name: a",
        &format!(
            "hosts: [a.example], addresses: [10.1.0.1, 10.2.0.0/16, 10.3.0.1/32], \
             resolution: STATIC, {HTTP}, endpoints: [{{address: 1.1.1.1}}, {{address: 1.1.1.2}}]"
        ),
    );
    let mesh = mesh(&[&text]);
    let services = services(&mesh, "a.example");
    let addresses: Vec<_> = services.iter().map(|service| &*service.default_address).collect();
    assert_eq!(addresses, ["10.1.0.1", "10.2.0.0/16", "10.3.0.1"]);
    assert!(services.iter().all(|service| service.provider == Provider::External));
    let found = endpoints(&mesh, "a.example");
    let texts: Vec<_> = found.iter().map(|endpoint| endpoint.address.to_string()).collect();
    assert_eq!(texts, ["1.1.1.1", "1.1.1.2"].repeat(3));
    assert_eq!(
        (&**found[1].workload_name(), found[1].workload.place.cluster.as_str()),
        ("a-1", "c1")
    );
}

#[test]
fn a_port_is_the_endpoints_own_then_the_target_then_the_number() {
    let ports = "ports: [{number: 80, name: x, protocol: TCP, targetPort: 81}, \
                 {number: 90, name: z, protocol: TCP}]";
    let text = entry(
        "name: a",
        &format!(
            "hosts: [a.example], resolution: STATIC, {ports}, endpoints: \
             [{{address: 1.1.1.1, ports: {{z: 99}}}}]"
        ),
    );
    check(&[&text], &["1.1.1.1 81 x 80", "1.1.1.1 99 z 90"]);
    let socket = "endpoints: [{address: \"unix:///run/a\"}]";
    let text = format!("hosts: [a.example], resolution: STATIC, {HTTP}, {socket}");
    check(&[&entry("name: a", &text)], &["/run/a 0 http 80"]);
}

#[test]
fn a_dns_host_without_endpoints_is_its_own_endpoint() {
    let text = entry(
        "name: a",
        "hosts: [a.example], resolution: DNS, \
         ports: [{number: 80, name: x, protocol: HTTP, targetPort: 443}]",
    );
    check(&[&text], &["a.example 443 x 80"]);
    let found = endpoints(&mesh(&[&text]), "a.example");
    assert!(found[0].workload.labels.is_empty());
    assert_eq!((&**found[0].workload_name(), &*found[0].workload.tls_mode), ("a", "disabled"));
    let nothing = entry("name: a", &format!("hosts: [a.example], resolution: STATIC, {HTTP}"));
    check(&[&nothing], &[]);
}

#[test]
fn one_address_at_a_time_keeps_the_first_endpoint_of_a_port() {
    let spec = |address: &str| {
        format!(
            "hosts: [a.example], resolution: DNS_ROUND_ROBIN, {HTTP}, \
             endpoints: [{{address: {address}}}]"
        )
    };
    let younger = entry("name: a, creationTimestamp: 2026-01-02T00:00:00Z", &spec("young.example"));
    let older = entry("name: b, creationTimestamp: 2026-01-01T00:00:00Z", &spec("old.example"));
    check(&[&younger, &older], &["old.example 80 http 80"]);
}

#[test]
fn a_selector_finds_ready_pods_then_machines_of_every_cluster() {
    let text = entry(
        "name: a",
        "hosts: [a.example], resolution: STATIC, location: MESH_INTERNAL, \
         ports: [{number: 80, name: http, protocol: HTTP}], \
         workloadSelector: {labels: {app: web}}",
    );
    let by_name = machine("vm", "", "address: 2.2.2.2, labels: {app: web}, serviceAccount: vm");
    let by_dns = machine("host", "", "address: vm.example, labels: {app: web}");
    let other = machine("vm", ", labels: {app: web}", "address: 2.2.2.3, weight: 7");
    let mesh = mesh_of(&[&text, POD, &by_name, &by_dns], &[&other], "{}");
    let found = endpoints(&mesh, "a.example");
    let texts: Vec<_> = found
        .iter()
        .map(|e| format!("{}:{} {} {:?}", e.address, e.port, e.workload.place.cluster, e.health))
        .collect();
    assert_eq!(
        texts,
        ["10.0.0.1:8080 c1 Healthy", "2.2.2.2:80 c1 Unknown", "2.2.2.3:80 c2 Unknown"]
    );
    let vm = &found[1].workload;
    assert_eq!(&*vm.identity, "spiffe://cluster.local/ns/shop/sa/vm");
    assert_eq!((&*vm.tls_mode, &*found[2].workload.tls_mode), ("istio", "disabled"));
    assert_eq!(found[2].weight, 7);
    let shards = mesh.control_plane_of("c1").unwrap().shards_of("a.example", "shop").unwrap();
    let owners: Vec<_> = shards.iter().map(|s| (s.provider, s.cluster.as_str())).collect();
    assert_eq!(owners, [(Provider::External, "c1")]);
}

#[test]
fn a_kubernetes_service_selects_machines_of_its_own_cluster() {
    let service = r#"{apiVersion: v1, kind: Service, metadata: {name: web, namespace: shop},
 spec: {clusterIP: 10.9.0.1, selector: {app: web}, ports: [
  {name: a, port: 80, targetPort: 8080}, {name: b, port: 81, targetPort: named}, {name: c, port: 82}]}}"#;
    let named =
        machine("m", "", "address: 2.2.2.2, labels: {app: web}, ports: {named: 9000, c: 1}");
    let other = machine("o", "", "address: 2.2.2.3, labels: {app: web}, ports: {a: 7}");
    let mesh = mesh_of(&[service, &named], &[service, &other], "{}");
    let found = endpoints(&mesh, "web.shop.svc.cluster.local");
    let texts: Vec<_> = found
        .iter()
        .map(|e| format!("{}:{} {} {}", e.address, e.port, e.port_name, e.workload.place.cluster))
        .collect();
    assert_eq!(
        texts,
        [
            "2.2.2.2:8080 a c1",
            "2.2.2.2:9000 b c1",
            "2.2.2.2:82 c c1",
            "2.2.2.3:7 a c2",
            "2.2.2.3:82 c c2"
        ]
    );
    let plane = mesh.control_plane_of("c1").unwrap();
    let shards = plane.shards_of("web.shop.svc.cluster.local", "shop").unwrap();
    assert!(shards.iter().all(|shard| shard.provider == Provider::Kubernetes));
}

#[test]
fn a_checked_machine_takes_traffic_only_when_it_was_found_healthy() {
    let text = entry(
        "name: a",
        &format!(
            "hosts: [a.example], resolution: STATIC, {HTTP}, workloadSelector: {{labels: {{}}}}"
        ),
    );
    let checked = ", annotations: {proxy.istio.io/health-checks-enabled: \"true\"}";
    let unknown = machine("a", checked, "address: 1.1.1.1");
    let healthy = machine("b", checked, "address: 1.1.1.2");
    let healthy = format!(
        "{}, status: {{conditions: [{{type: Healthy, status: \"True\"}}]}}}}",
        healthy.strip_suffix('}').unwrap()
    );
    check(&[&text, &unknown, &healthy], &["1.1.1.2 80 http 80"]);
}

#[test]
fn the_network_is_the_field_and_labels_follow_the_cluster() {
    let text = entry(
        "name: a",
        &format!(
            "hosts: [a.example], resolution: STATIC, {HTTP}, endpoints: [\
             {{address: 1.1.1.1, network: n1, locality: r.x/z}}, \
             {{address: 1.1.1.2, labels: {{topology.istio.io/network: n2, istio-locality: r.z}}}}]"
        ),
    );
    let found = endpoints(&mesh(&[&text]), "a.example");
    let place = |endpoint: &Endpoint| {
        let workload = &endpoint.workload;
        let label = workload.labels.value("topology.istio.io/network").to_owned();
        (workload.place.network.to_string(), label, workload.place.locality.to_string())
    };
    let text = |(a, b, c): (&str, &str, &str)| (a.to_owned(), b.to_owned(), c.to_owned());
    assert_eq!(place(&found[0]), text(("n1", "n1", "r.x/z")));
    assert_eq!(place(&found[1]), text(("", "n2", "r/z")));
    assert_eq!(found[0].health, HealthStatus::Unknown);
}

#[test]
fn annotations_and_names_of_the_certificate_are_kept() {
    let text = entry(
        "name: a, annotations: {istio.io/connect-strategy: race_first_tcp_connect, \
         networking.istio.io/traffic-distribution: PreferClose}",
        &format!("hosts: [a.example], resolution: DNS, {HTTP}, subjectAltNames: [x.example]"),
    );
    let mesh = mesh(&[&text]);
    let service = services(&mesh, "a.example")[0];
    assert!(service.race_connects && service.mesh_external);
    assert_eq!(service.traffic_distribution.as_str(), "PreferSameZone");
    assert_eq!(service.resolution, Resolution::DnsLb);
    assert_eq!(&*service.service_accounts[0], "x.example");
}

#[test]
fn allocated_addresses_are_those_of_the_status_unless_declined() {
    let with_status = |text: &str| {
        let status = "status: {addresses: [{value: 240.240.0.1, host: a.example}, \
                      {value: \"2001:2::1\", host: a.example}, {value: 240.240.0.2, host: b}]}";
        format!("{}, {status}}}", text.strip_suffix('}').unwrap())
    };
    let spec = |resolution: &str| format!("hosts: [a.example], resolution: {resolution}, {HTTP}");
    let v4 = |metadata: &str, resolution: &str| {
        let mesh = mesh(&[&with_status(&entry(metadata, &spec(resolution)))]);
        services(&mesh, "a.example")[0].auto_allocated.v4.map(|ip| ip.to_string())
    };
    let declined = "name: a, labels: {networking.istio.io/enable-autoallocate-ip: \"False\"}";
    assert_eq!(v4("name: a", "DNS").as_deref(), Some("240.240.0.1"));
    assert_eq!(v4("name: a", "NONE"), None);
    assert_eq!(v4(declined, "DNS"), None);
}

#[test]
fn the_mesh_narrows_what_an_entry_exports_and_never_widens_it() {
    let namespace = "{apiVersion: v1, kind: Namespace, metadata: {name: shop, labels: {a: b}}}";
    let config = "serviceEntryVisibility: {applyToSidecars: true, defaultVisibility: PUBLIC, \
                  policies: [{visibility: NAMESPACE, matchingRules: \
                  [{namespaceSelector: {matchLabels: {a: b}}}]}]}";
    let export = |export_to: &str, namespaces: &[&str]| {
        let spec = format!("hosts: [a.example], resolution: DNS, {HTTP}, exportTo: {export_to}");
        let text = entry("name: a", &spec);
        let documents: Vec<&str> = namespaces.iter().copied().chain([&*text]).collect();
        let mesh = mesh_of(&documents, &[], config);
        let export_to = services(&mesh, "a.example")[0].export_to.clone().unwrap();
        (export_to.public, export_to.private, export_to.none)
    };
    assert_eq!(export("[\"*\"]", &[namespace]), (false, true, false));
    assert_eq!(export("[other]", &[namespace]), (false, false, true));
    assert_eq!(export("[\"*\"]", &[]), (true, false, false));
}
