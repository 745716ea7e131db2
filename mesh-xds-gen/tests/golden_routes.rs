//! The routes of the example meshes' proxies against those that a real istiod sent.
#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "helpers of tests may fail like tests"
)]
use std::path::Path;

use mesh_envoy_proto::json;
use mesh_testkit::folder;
use mesh_xds_gen::route::routes;
use serde_json::Value;

/// Lists whose order a data plane does not see.
const UNORDERED: [&str; 4] = ["headers", "queryParameters", "dynamicMetadata", "domains"];

/// Sorts what has no order.
fn canonical(parent: &str, value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.iter_mut().for_each(|(name, value)| canonical(name, value));
        }
        Value::Array(items) => {
            items.iter_mut().for_each(|item| canonical(parent, item));
            if UNORDERED.contains(&parent) {
                items.sort_by_cached_key(Value::to_string);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Compares every route configuration of a proxy, `CLUSTER/NAMESPACE/POD`, with what istiod sent;
/// returns how many there are.
fn check(mesh: &str, reference: &str) -> usize {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let golden = root.join("golden").join(mesh).join(reference.replace('/', "_"));
    let golden = std::fs::read(golden.join("routes.json")).unwrap();
    let mut golden: Vec<Value> = serde_json::from_slice(&golden).unwrap();
    let names: Vec<String> =
        golden.iter().map(|config| config["name"].as_str().unwrap().to_owned()).collect();

    let mesh = folder::read(&root.join("examples/meshes").join(mesh)).unwrap().0.mesh();
    let proxy = mesh.proxy(reference).unwrap();
    let view = mesh.view(&proxy).unwrap();
    let ours = routes(&view, names.iter().map(String::as_str));
    assert_eq!(ours.len(), golden.len());
    for (ours, golden) in ours.iter().zip(&mut golden) {
        let mut ours = json::to_value(ours).unwrap();
        canonical("", &mut ours);
        canonical("", golden);
        let name = &golden["name"];
        assert_eq!(ours["name"], *name);
        let hosts = |config: &Value| config["virtualHosts"].as_array().cloned().unwrap_or_default();
        for (ours, golden) in hosts(&ours).iter().zip(&hosts(golden)) {
            assert_eq!(ours, golden, "{reference} {name}");
        }
        assert_eq!(ours, *golden, "{reference} {name}");
    }
    names.len()
}

#[test]
fn routes_with_weights_matches_delegates_and_faults_are_istiods() {
    let proxies = [
        "blue/travel/assistant-v1-0",
        "blue/web/site-v1-0",
        "blue/web/site-v2-0",
        "green/travel/assistant-v1-0",
        "green/web/site-v1-0",
    ];
    let compared: usize = proxies.iter().map(|proxy| check("canary", proxy)).sum();
    assert_eq!(compared, 30);
}

#[test]
fn routes_of_a_mesh_without_virtual_services_are_istiods() {
    let proxies = [
        "cluster1/demo/sleep-0",
        "cluster1/demo/sleep-1",
        "cluster2/demo/sleep-0",
        "cluster3/demo/sleep-0",
        "cluster4/demo/sleep-0",
        "cluster4/demo/sleep-1",
    ];
    let compared: usize = proxies.iter().map(|proxy| check("failover", proxy)).sum();
    assert_eq!(compared, 24);
}

#[test]
fn routes_of_three_regions_are_istiods() {
    let proxies = [
        "ap/front/web-v1-0",
        "eu/front/web-v1-0",
        "eu/shop/checkout-v1-0",
        "us/front/web-v1-0",
        "us/pay/payments-v1-0",
    ];
    let compared: usize = proxies.iter().map(|proxy| check("shop", proxy)).sum();
    assert_eq!(compared, 14);
}

#[test]
fn routes_of_an_ingress_gateway_are_istiods() {
    assert_eq!(check("shop", "eu/ingress/istio-ingressgateway-0"), 2);
}
