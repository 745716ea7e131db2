//! Clusters against those that a real istiod sent, for every sidecar and gateway of every mesh folder.
#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use mesh_envoy_proto::envoy::config::cluster::v3::Cluster;
use mesh_envoy_proto::json;
use mesh_model::Compat;
use mesh_model::compat::DataPlane;
use mesh_model::registry::Mesh;
use mesh_testkit::folder;
use mesh_xds_gen::cluster::clusters;
use serde_json::{Map, Value};

fn entries(dir: &Path) -> Vec<PathBuf> {
    let mut entries: Vec<PathBuf> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    entries
}

/// Durations by their length, whole numbers as integers, nothing that is null.
fn canonical(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let members = members.iter().filter(|(_, value)| !value.is_null());
            let members = members.map(|(name, value)| (name.clone(), canonical(value)));
            Value::Object(members.collect::<Map<_, _>>())
        }
        Value::Array(items) => items.iter().map(canonical).collect(),
        Value::String(text) => match text.strip_suffix('s').map(str::parse::<f64>) {
            Some(Ok(seconds)) => Value::from(format!("{seconds:.9}s")),
            _ => value.clone(),
        },
        Value::Number(number) => Value::from(number.as_f64().unwrap()),
        Value::Null | Value::Bool(_) => value.clone(),
    }
}

fn by_name(resources: impl IntoIterator<Item = Value>) -> BTreeMap<String, Value> {
    let named =
        |value: Value| (value.get("name").unwrap().as_str().unwrap().to_owned(), canonical(&value));
    resources.into_iter().map(named).collect()
}

/// Where two values first differ.
fn difference(expected: &Value, got: &Value, path: &str) -> Option<String> {
    match (expected, got) {
        (Value::Object(a), Value::Object(b)) => {
            let null = Value::Null;
            let names = a.keys().chain(b.keys().filter(|name| !a.contains_key(*name)));
            names.into_iter().find_map(|name| {
                let (a, b) = (a.get(name).unwrap_or(&null), b.get(name).unwrap_or(&null));
                difference(a, b, &format!("{path}.{name}"))
            })
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => a
            .iter()
            .zip(b)
            .enumerate()
            .find_map(|(at, (a, b))| difference(a, b, &format!("{path}[{at}]"))),
        _ => (expected != got).then(|| format!("{path}: istiod {expected}, here {got}")),
    }
}

/// Compares one proxy; returns how many clusters are equal and how many there are on either side.
fn compare(mesh: &Mesh, proxy: &str, recorded: &Path) -> (usize, usize) {
    let text = fs::read(recorded).unwrap();
    let expected: Vec<Value> = serde_json::from_slice(&text).unwrap();
    let expected = by_name(expected);
    let proxy = mesh.proxy(proxy).unwrap();
    let view = mesh.view(&proxy).unwrap();
    let got = by_name(clusters(&view).iter().map(|cluster| json::to_value(cluster).unwrap()));
    let missing = Value::Null;
    let mut names: Vec<&String> = expected.keys().chain(got.keys()).collect();
    names.sort();
    names.dedup();
    let differs = |name: &&&String| {
        let (a, b) = (expected.get(**name), got.get(**name));
        let found = difference(a.unwrap_or(&missing), b.unwrap_or(&missing), name);
        if let Some(found) = &found {
            println!("  {} {}", proxy.reference(), found.chars().take(300).collect::<String>());
        }
        found.is_some()
    };
    let different = names.iter().filter(differs).count();
    (names.len() - different, names.len())
}

/// Compares all proxies of a mesh that have a data plane of their own.
fn compare_mesh(folder: &Path, recorded: &Path) -> (usize, usize) {
    let mesh = folder::read(folder).unwrap().0.mesh();
    let mut sum = (0, 0);
    for proxy in entries(recorded) {
        let name = proxy.file_name().unwrap().to_str().unwrap().to_owned();
        let file = proxy.join("clusters.json");
        if name.ends_with(".grpc") || name.ends_with(".ztunnel") || !file.is_file() {
            continue;
        }
        let (equal, compared) = compare(&mesh, &name.replacen('_', "/", 2), &file);
        sum = (sum.0 + equal, sum.1 + compared);
    }
    println!("{}: {}/{} clusters", folder.display(), sum.0, sum.1);
    sum
}

/// How many clusters of each mesh folder of the repository are istiod's, of how many.
const EQUAL: [(&str, usize, usize); 3] =
    [("canary", 202, 202), ("failover", 138, 138), ("shop", 211, 211)];

#[test]
fn the_clusters_of_the_repositorys_meshes_are_istiods() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let found = EQUAL.map(|(mesh, ..)| {
        let folder = repository.join("examples/meshes").join(mesh);
        let (equal, compared) = compare_mesh(&folder, &repository.join("golden").join(mesh));
        (mesh, equal, compared)
    });
    assert_eq!(found, EQUAL);
}

#[test]
fn a_stock_envoy_is_sent_the_same_without_istios_filters() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let folder = repository.join("examples/meshes/shop");
    let stock = Compat { data_plane: DataPlane::Envoy, ..Compat::default() };
    let [istio, stock] = [Compat::default(), stock].map(|compat| {
        let mesh = folder::read_as(&folder, compat).unwrap().0.mesh();
        let proxy = mesh.proxy("eu/front/web-v1-0").unwrap();
        clusters(&mesh.view(&proxy).unwrap())
    });
    assert!(istio.iter().any(|cluster| !cluster.filters.is_empty()));
    let without = |cluster: &Cluster| Cluster { filters: Vec::new(), ..cluster.clone() };
    assert_eq!(istio.iter().map(without).collect::<Vec<_>>(), stock);
    assert!(stock.is_sorted_by(|a, b| a.name < b.name));
}

/// The meshes and answers that lie beside the repository are compared too; what differs is printed.
#[test]
fn the_clusters_of_more_meshes_can_be_made() {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let shared = package.ancestors().skip(2).map(|above| above.join("shared"));
    let Some(shared) = shared.into_iter().find(|shared| shared.join("meshes").is_dir()) else {
        return println!("skipped: no further meshes beside this repository");
    };
    for recorded in entries(&shared.join("conformance/istiod-golden")) {
        let folder = shared.join("meshes").join(recorded.file_name().unwrap());
        if recorded.is_dir() && folder.is_dir() {
            compare_mesh(&folder, &recorded);
        }
    }
}
