//! Everything that a real istiod answered, where its recorded answers lie beside this repository.
#![cfg(feature = "json")]
#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use mesh_envoy_proto::envoy::config::cluster::v3::Cluster;
use mesh_envoy_proto::envoy::config::endpoint::v3::ClusterLoadAssignment;
use mesh_envoy_proto::envoy::config::listener::v3::Listener;
use mesh_envoy_proto::envoy::config::route::v3::RouteConfiguration;
use mesh_envoy_proto::istio::networking::nds::v1::NameTable;
use mesh_envoy_proto::istio::security::Authorization;
use mesh_envoy_proto::istio::workload::Address;
use mesh_envoy_proto::json;
use mesh_envoy_proto::prost::Name;
use prost_reflect::{DescriptorPool, DynamicMessage};
use serde_json::Value;

/// The recorded answers: in this repository, or in the folder `shared` beside it or above it.
fn goldens() -> Option<PathBuf> {
    const RECORDED: &str = "conformance/istiod-golden";
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut places = package.ancestors().skip(1);
    let inside = places.next().map(|repository| repository.join(RECORDED));
    let beside = places.map(|above| above.join("shared").join(RECORDED));
    let found = inside.into_iter().chain(beside).find(|folder| folder.is_dir());
    if found.is_none() {
        println!("skipped: no recorded answers of istiod beside this repository");
    }
    found
}

/// The JSON files below a folder, in order.
fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "json") {
            found.push(path);
        }
    }
}

/// The resources of one file: a list, or one alone. ztunnel's are `{"name": …, "resource": …}`.
fn resources(content: &Value) -> impl Iterator<Item = &Value> {
    let listed = content.as_array().map(Vec::as_slice);
    let items = listed.unwrap_or(std::slice::from_ref(content));
    items.iter().map(|item| item.get("resource").unwrap_or(item))
}

fn every_resource(mut visit: impl FnMut(&str, &Value)) {
    let Some(folder) = goldens() else { return };
    let mut found = Vec::new();
    files(&folder, &mut found);
    for path in found {
        let kind = path.file_stem().unwrap().to_str().unwrap().to_owned();
        if kind != "asked" {
            let content: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
            resources(&content).for_each(|resource| visit(&kind, resource));
        }
    }
}

/// JSON → message → bytes → message → JSON loses nothing, and both printers agree.
fn check<M: Default + Name + PartialEq + std::fmt::Debug>(pool: &DescriptorPool, resource: &Value) {
    let message: M = json::from_value(resource).unwrap();
    let bytes = message.encode_to_vec();
    assert_eq!(M::decode(bytes.as_slice()).unwrap(), message);
    let printed = json::to_value(&message).unwrap();
    assert_eq!(numbers_alike(&printed), numbers_alike(resource));

    let descriptor = pool.get_message_by_name(&M::full_name()).unwrap();
    let dynamic = DynamicMessage::decode(descriptor, bytes.as_slice()).unwrap();
    assert_eq!(serde_json::to_value(&dynamic).unwrap(), printed);
}

/// Every number a double: 100 and 100.0 are one number.
fn numbers_alike(value: &Value) -> Value {
    match value {
        Value::Number(number) => Value::from(number.as_f64().unwrap()),
        Value::Array(values) => values.iter().map(numbers_alike).collect(),
        Value::Object(fields) => {
            fields.iter().map(|(key, value)| (key.clone(), numbers_alike(value))).collect()
        }
        Value::Null | Value::Bool(_) | Value::String(_) => value.clone(),
    }
}

#[test]
fn every_answer_survives_the_way_through_the_types() {
    let pool =
        DescriptorPool::decode(include_bytes!("../src/generated/descriptors.bin").as_slice())
            .unwrap();
    let mut count = 0;
    every_resource(|kind, resource| {
        count += 1;
        match kind {
            "clusters" => check::<Cluster>(&pool, resource),
            "endpoints" => check::<ClusterLoadAssignment>(&pool, resource),
            "listeners" => check::<Listener>(&pool, resource),
            "routes" => check::<RouteConfiguration>(&pool, resource),
            "nametable" => check::<NameTable>(&pool, resource),
            "addresses" => check::<Address>(&pool, resource),
            "authorizations" => check::<Authorization>(&pool, resource),
            other => panic!("no type is known for `{other}.json`"),
        }
    });
    println!("{count} resources");
}

#[test]
fn every_type_in_an_answer_is_known() {
    let mut types = BTreeSet::new();
    every_resource(|_, resource| collect_types(resource, &mut types));
    let unknown: Vec<&String> = types.iter().filter(|url| !json::knows(url)).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
    println!("{} types", types.len());
}

fn collect_types(value: &Value, types: &mut BTreeSet<String>) {
    match value {
        Value::Array(values) => values.iter().for_each(|value| collect_types(value, types)),
        Value::Object(fields) => {
            types.extend(fields.get("@type").and_then(Value::as_str).map(str::to_owned));
            fields.values().for_each(|value| collect_types(value, types));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
