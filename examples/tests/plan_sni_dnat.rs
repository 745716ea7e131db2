//! `mesh plan --sni-dnat`: the clusters that an east-west gateway passes mutual TLS through to.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests may fail like tests"
)]
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

/// A gateway of `shop` that passes mutual TLS through.
const GATEWAY: &str = "eu/istio-system/istio-eastwestgateway-0";

fn mesh(arguments: &[&str]) -> Output {
    mesh_of(&Path::new(env!("CARGO_MANIFEST_DIR")).join("meshes/shop"), arguments)
}

fn mesh_of(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mesh"));
    command.arg("-f").arg(folder).args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// The services of a plan of the gateway.
fn plan(more: &[&str]) -> Vec<Value> {
    let output = mesh(&[&["plan", "--proxy", GATEWAY, "-o", "json"], more].concat());
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    answer["services"].as_array().unwrap().clone()
}

/// The assignments of a snapshot of the gateway.
fn snapshot() -> Vec<Value> {
    let folder = std::env::temp_dir().join(format!("mesh-sni-dnat-{}", std::process::id()));
    let out = folder.display().to_string();
    let output = mesh(&["snapshot", "--proxy", GATEWAY, "--out", &out]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let endpoints = std::fs::read_to_string(folder.join("endpoints.json")).unwrap();
    let _ = std::fs::remove_dir_all(&folder);
    serde_json::from_str(&endpoints).unwrap()
}

/// What an assignment sends to, with weights and priorities.
fn sent(assignment: &Value) -> Vec<(String, u64, u64)> {
    let localities = assignment["endpoints"].as_array().cloned().unwrap_or_default().into_iter();
    let mut sent: Vec<(String, u64, u64)> = localities
        .flat_map(|locality| {
            let priority = locality["priority"].as_u64().unwrap_or_default();
            let hosts = locality["lbEndpoints"].as_array().cloned().unwrap_or_default();
            hosts.into_iter().map(move |host| {
                let address = &host["endpoint"]["address"]["socketAddress"];
                let dialled =
                    format!("{}:{}", address["address"].as_str().unwrap(), address["portValue"]);
                (dialled, host["loadBalancingWeight"].as_u64().unwrap(), priority)
            })
        })
        .collect();
    sent.sort();
    sent
}

#[test]
fn the_plan_is_what_the_gateway_is_sent() {
    let all = plan(&["--sni-dnat"]);
    let name = |one: &Value| one["cluster_name"].as_str().unwrap().to_owned();
    assert!(all.len() > 3);
    assert!(all.iter().all(|one| name(one).starts_with("outbound_.")), "{all:?}");
    let services = all.iter().filter(|one| one["type"] == "EDS");
    let (mut told, snapshot) = (0, snapshot());
    for service in services {
        let endpoints = service["endpoints"].as_array().unwrap().iter();
        let mut planned: Vec<(String, u64, u64)> = endpoints
            .map(|one| {
                let number = |field: &str| one[field].as_u64().unwrap();
                (one["dial"].as_str().unwrap().to_owned(), number("weight"), number("priority"))
            })
            .collect();
        planned.sort();
        told += planned.len();
        let is_of = |one: &&Value| one["clusterName"] == service["cluster_name"];
        let assignment = snapshot.iter().find(is_of).unwrap();
        assert_eq!(planned, sent(assignment), "{service:?}");
    }
    assert!(told > 0);
}

#[test]
fn what_speaks_no_mutual_tls_is_left_out() {
    let left_out = |one: &Value| {
        let dropped = one["dropped"].as_array().unwrap();
        dropped.iter().any(|one| one["reason"]["code"] == "not_for_pass_through")
    };
    assert!(plan(&["--sni-dnat"]).iter().any(left_out));
    assert!(!plan(&[]).iter().any(left_out));
}

#[test]
fn a_subset_has_its_own_server_name() {
    let arguments = ["--sni-dnat", "--service", "catalog.shop:80", "--subset", "v1"];
    let found = plan(&arguments);
    assert_eq!(found[0]["cluster_name"], "outbound_.80_.v1_.catalog.shop.svc.cluster.local");
    let output = mesh(&[&["plan", "--proxy", GATEWAY], &arguments[..]].concat());
    let said = text(&output.stdout);
    let name =
        "for mutual TLS with the server name outbound_.80_.v1_.catalog.shop.svc.cluster.local";
    assert!(said.contains(name), "{said}");
    // What is unhealthy is so for these clusters, too.
    let unhealthy = plan(&[&arguments[..], &["--unhealthy", "cluster=eu"]].concat());
    assert_eq!(unhealthy[0]["cluster_name"], found[0]["cluster_name"]);
    assert_ne!(unhealthy[0]["endpoints"], found[0]["endpoints"]);
}

#[test]
fn a_proxy_that_passes_nothing_through_is_told_so() {
    let output = mesh(&["plan", "--proxy", "eu/front/web-v1-0", "--sni-dnat"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("passes no mutual TLS through"));
    let output = mesh(&["plan", "--proxy", "eu/front/web-v1-0"]);
    assert!(!text(&output.stderr).contains("--sni-dnat"));
    let output = mesh(&["plan", "--proxy", GATEWAY]);
    assert!(text(&output.stderr).contains("note: this gateway passes mutual TLS through"));
}

#[test]
fn nothing_is_passed_through_to_what_is_outside_the_mesh() {
    let copy = std::env::temp_dir().join(format!("mesh-sni-dnat-outside-{}", std::process::id()));
    let crossing = Path::new(env!("CARGO_MANIFEST_DIR")).join("meshes/crossing");
    copy_all(&crossing, &copy);
    let entry = "{apiVersion: networking.istio.io/v1, kind: ServiceEntry, metadata: {name: news, namespace: \
                 shop}, spec: {hosts: [news.example], addresses: [192.0.2.1], ports: [{number: 80, name: http, \
                 protocol: HTTP}], resolution: STATIC, endpoints: [{address: 192.0.2.2}]}}";
    std::fs::write(copy.join("config/news.yaml"), entry).unwrap();
    let plan = |more: &[&str]| {
        let proxy = ["plan", "--proxy", "far/istio-system/istio-eastwestgateway-0"];
        mesh_of(&copy, &[&proxy, more].concat())
    };
    let own = plan(&["--service", "news.example:80"]);
    assert_eq!(own.status.code(), Some(0), "{}", text(&own.stderr));
    let one = plan(&["--sni-dnat", "--service", "news.example:80"]);
    assert_eq!(one.status.code(), Some(2));
    assert!(text(&one.stderr).contains("outside the mesh"), "{}", text(&one.stderr));
    let all = plan(&["--sni-dnat"]);
    assert_eq!(all.status.code(), Some(0), "{}", text(&all.stderr));
    assert!(!text(&all.stdout).contains("news.example"));
    let _ = std::fs::remove_dir_all(&copy);
}

fn copy_all(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy_all(&path, &target);
        } else {
            std::fs::copy(&path, &target).unwrap();
        }
    }
}
