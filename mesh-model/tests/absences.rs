//! What stands behind a service and is no endpoint of it, with the rule that dropped it.
#![expect(clippy::unwrap_used, reason = "tests may unwrap")]
use std::sync::Arc;

use mesh_model::Compat;
use mesh_model::registry::{Origin, Registry, Source};

const NETWORKING: &str = "apiVersion: networking.istio.io/v1";

/// Checks what is absent of `a.example:80`, as `ADDRESS CODE`, in a mesh of one cluster.
fn check(documents: &[&str], expected: &[&str]) {
    let mut registry = Registry::new(Compat::default());
    let source = Source {
        origin: Origin::of_path("clusters/c1/all.yaml").unwrap(),
        name: Arc::from("all.yaml"),
        text: documents.join("\n---\n").into_bytes(),
    };
    assert!(registry.load([source]).is_empty());
    let mesh = registry.mesh();
    let plane = mesh.control_plane_of("c1").unwrap();
    let service = plane.services.iter().find(|one| one.hostname == *"a.example").unwrap();
    let absent = mesh.absences().of(plane, service, service.port(80).unwrap());
    let absent = absent.iter().map(|one| format!("{} {}", one.address, one.reason.code()));
    assert_eq!(absent.collect::<Vec<_>>(), expected);
}

fn entry(name: &str, resolution: &str, more: &str) -> String {
    format!(
        "{{{NETWORKING}, kind: ServiceEntry, metadata: {{namespace: shop, name: {name}}}, spec: {{hosts: \
         [a.example], resolution: {resolution}, {more}}}}}"
    )
}

const HTTP: &str = "ports: [{number: 80, name: http, protocol: HTTP}]";

fn machine(name: &str, metadata: &str, address: &str) -> String {
    format!(
        "{{{NETWORKING}, kind: WorkloadEntry, metadata: {{namespace: shop, name: {name}{metadata}}}, spec: \
         {{address: {address}, labels: {{app: a}}}}}}"
    )
}

fn pod(name: &str, ip: &str, phase: &str, ready: &str) -> String {
    format!(
        "{{apiVersion: v1, kind: Pod, metadata: {{namespace: shop, name: {name}, labels: {{app: a}}}}, spec: \
         {{containers: [{{name: a}}]}}, status: {{phase: {phase}, podIP: {ip}, conditions: [{{type: Ready, \
         status: \"{ready}\"}}]}}}}"
    )
}

#[test]
fn a_service_entry_leaves_out_what_is_not_ready_or_not_healthy() {
    let selecting =
        entry("a", "STATIC", &format!("{HTTP}, workloadSelector: {{labels: {{app: a}}}}"));
    let checked = ", annotations: {proxy.istio.io/health-checks-enabled: \"true\"}";
    let documents = [
        selecting,
        pod("a-0", "10.0.0.1", "Running", "True"),
        pod("a-1", "10.0.0.2", "Running", "False"),
        pod("a-2", "10.0.0.3", "Succeeded", "False"),
        machine("m-0", "", "10.0.0.4"),
        machine("m-1", checked, "10.0.0.5"),
        machine("m-2", "", "machine.example"),
        machine("m-3", "", "unix:///run/m.sock"),
    ];
    check(
        &documents.each_ref().map(String::as_str),
        &[
            "10.0.0.2 pod_not_ready",
            "10.0.0.5 machine_unhealthy",
            "machine.example host_name",
            "/run/m.sock unix_socket",
        ],
    );
}

#[test]
fn of_several_entries_of_a_host_each_serves_its_own_ports() {
    let one = entry("a", "STATIC", &format!("{HTTP}, endpoints: [{{address: 10.0.0.1}}]"));
    let other =
        "ports: [{number: 81, name: admin, protocol: HTTP}], endpoints: [{address: 10.0.0.2}]";
    check(&[&one, &entry("b", "STATIC", other)], &["10.0.0.2 other_ports"]);
}

#[test]
fn a_round_robin_of_names_keeps_its_first_endpoint() {
    let of = |name, address| {
        let more = format!("{HTTP}, endpoints: [{{address: {address}}}]");
        entry(name, "DNS_ROUND_ROBIN", &more)
    };
    check(&[&of("a", "b.example"), &of("b", "c.example")], &["c.example not_first"]);
}

#[test]
fn nothing_is_absent_where_every_address_is_an_endpoint() {
    let text = entry("a", "STATIC", &format!("{HTTP}, endpoints: [{{address: 10.0.0.1}}]"));
    check(&[&text], &[]);
}
