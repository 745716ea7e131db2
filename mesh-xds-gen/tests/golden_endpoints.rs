//! Our endpoints against what a real istiod sent (`golden/`).
#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]
use std::collections::BTreeMap;
use std::path::Path;

use mesh_envoy_proto::envoy::config::endpoint::v3::ClusterLoadAssignment;
use mesh_envoy_proto::json;
use mesh_testkit::folder;
use mesh_xds_gen::endpoint::cluster_load_assignment;
use serde_json::Value;

/// The resource as the comparison sees it: endpoints of a locality by content, localities by priority
/// and place.
fn canonical(resource: &Value) -> Value {
    let mut resource = resource.clone();
    if let Some(localities) = resource.get_mut("endpoints").and_then(Value::as_array_mut) {
        for locality in localities.iter_mut() {
            if let Some(endpoints) = locality.get_mut("lbEndpoints").and_then(Value::as_array_mut) {
                endpoints.sort_by_key(Value::to_string);
            }
        }
        localities.sort_by_key(|locality| {
            (locality["priority"].as_u64(), locality["locality"].to_string(), locality.to_string())
        });
    }
    resource
}

/// How many of a mesh's EDS resources are equal, and how many there are; prints the first that differ.
fn check(mesh_name: &str) -> (usize, usize) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let (registry, _) = folder::read(&root.join("examples/meshes").join(mesh_name)).unwrap();
    let mesh = registry.mesh();
    let proxies: BTreeMap<String, String> =
        mesh.named_proxies().map(|name| (name.replace('/', "_"), name)).collect();
    let (mut equal, mut compared) = (0, 0);
    for entry in std::fs::read_dir(root.join("golden").join(mesh_name)).unwrap() {
        let folder = entry.unwrap().path();
        let name = folder.file_name().unwrap().to_str().unwrap().to_owned();
        let Some(reference) = proxies.get(&name) else { continue };
        let proxy = mesh.proxy(reference).unwrap();
        let view = mesh.view(&proxy).unwrap();
        let text = std::fs::read_to_string(folder.join("endpoints.json")).unwrap();
        let golden: Vec<Value> = serde_json::from_str(&text).unwrap();
        for resource in &golden {
            let cluster = resource["clusterName"].as_str().unwrap();
            let ours: ClusterLoadAssignment = cluster_load_assignment(&view, cluster);
            let ours = canonical(&json::to_value(&ours).unwrap());
            compared += 1;
            if ours == canonical(resource) {
                equal += 1;
            } else if compared - equal < 4 {
                println!("{name} {cluster}\n ours   {ours}\n istiod {}", canonical(resource));
            }
        }
    }
    println!("{mesh_name}: {equal} of {compared} equal");
    (equal, compared)
}

#[test]
fn canary_equals_istiod() {
    let (equal, compared) = check("canary");
    assert!(compared > 0);
    assert_eq!(equal, compared);
}

#[test]
fn failover_equals_istiod() {
    let (equal, compared) = check("failover");
    assert!(compared > 0);
    assert_eq!(equal, compared);
}

#[test]
fn shop_equals_istiod() {
    let (equal, compared) = check("shop");
    assert!(compared > 0);
    assert_eq!(equal, compared);
}
