//! Our listeners against what a real istiod sent (`golden/`).
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]
use std::collections::BTreeMap;
use std::path::Path;

use mesh_envoy_proto::json;
use mesh_testkit::folder;
use mesh_xds_gen::listener::{listeners, route_names};
use serde_json::{Map, Value};

/// The resource as the comparison sees it: numbers are doubles, chains have no order.
fn canonical(value: &Value) -> Value {
    match value {
        Value::Number(number) => Value::from(number.as_f64().unwrap()),
        Value::Array(items) => items.iter().map(canonical).collect(),
        Value::Object(members) => {
            let mut members: Map<String, Value> =
                members.iter().map(|(key, value)| (key.clone(), canonical(value))).collect();
            if let Some(chains) = members.get_mut("filterChains").and_then(Value::as_array_mut) {
                chains.sort_by_key(Value::to_string);
            }
            Value::Object(members)
        }
        Value::Null | Value::Bool(_) | Value::String(_) => value.clone(),
    }
}

/// Where two values differ first.
fn difference(path: &str, ours: &Value, golden: &Value) -> Option<String> {
    match (ours, golden) {
        (Value::Object(a), Value::Object(b)) => {
            let keys: std::collections::BTreeSet<&String> = a.keys().chain(b.keys()).collect();
            keys.into_iter().find_map(|key| {
                let (a, b) =
                    (a.get(key).unwrap_or(&Value::Null), b.get(key).unwrap_or(&Value::Null));
                difference(&format!("{path}.{key}"), a, b)
            })
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            let mut pairs = a.iter().zip(b).enumerate();
            pairs.find_map(|(index, (a, b))| difference(&format!("{path}[{index}]"), a, b))
        }
        _ => (ours != golden).then(|| format!("{path}\n  ours   {ours}\n  istiod {golden}")),
    }
}

fn by_name(resources: Vec<Value>) -> BTreeMap<String, Value> {
    let named = resources
        .into_iter()
        .map(|value| (value["name"].as_str().unwrap_or_default().to_owned(), canonical(&value)));
    named.collect()
}

/// How many of a mesh's listeners are equal, and how many there are on either side; prints what
/// differs.
fn check(mesh_name: &str) -> (usize, usize) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let (registry, _) = folder::read(&root.join("examples/meshes").join(mesh_name)).unwrap();
    let mesh = registry.mesh();
    let (mut equal, mut compared) = (0, 0);
    for reference in mesh.named_proxies() {
        let folder = root.join("golden").join(mesh_name).join(reference.replace('/', "_"));
        let Ok(text) = std::fs::read_to_string(folder.join("listeners.json")) else { continue };
        let proxy = mesh.proxy(&reference).unwrap();
        let view = mesh.view(&proxy).unwrap();
        let ours = listeners(&view);
        let ours = by_name(ours.iter().map(|ours| json::to_value(ours).unwrap()).collect());
        let golden = by_name(serde_json::from_str(&text).unwrap());
        let names: std::collections::BTreeSet<&String> = ours.keys().chain(golden.keys()).collect();
        for name in names {
            let (a, b) = (ours.get(name), golden.get(name));
            let (a, b) = (a.unwrap_or(&Value::Null), b.unwrap_or(&Value::Null));
            compared += 1;
            match difference("", a, b) {
                None => equal += 1,
                Some(difference) => println!("{reference} {name}{difference}"),
            }
        }
    }
    println!("{mesh_name}: {equal} of {compared} equal");
    (equal, compared)
}

#[test]
fn listeners_of_the_canary_mesh_are_those_of_istiod() {
    assert_eq!(check("canary"), (50, 50));
}

#[test]
fn listeners_of_the_failover_mesh_are_those_of_istiod() {
    assert_eq!(check("failover"), (36, 36));
}

#[test]
fn listeners_of_the_shop_mesh_are_those_of_istiod_its_ingress_gateways_too() {
    let (equal, compared) = check("shop");
    assert_eq!(equal, compared);
    assert!(compared >= 46, "{compared}");
}

#[test]
fn routes_are_asked_for_by_the_names_in_listeners() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mesh = folder::read(&root.join("examples/meshes/canary")).unwrap().0.mesh();
    let proxy = mesh.proxy("blue/web/site-v1-0").unwrap();
    let names = route_names(&listeners(&mesh.view(&proxy).unwrap()));
    let text = std::fs::read_to_string(root.join("golden/canary/blue_web_site-v1-0/routes.json"));
    let golden: Vec<Value> = serde_json::from_str(&text.unwrap()).unwrap();
    let golden: Vec<&str> = golden.iter().map(|route| route["name"].as_str().unwrap()).collect();
    assert_eq!(names, golden);
}
