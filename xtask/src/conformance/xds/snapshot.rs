//! Whether a snapshot is consistent, and the versions of resources.
use mesh_xds_gen::snapshot::{Reference, Resource, Snapshot, TypeUrl, Version};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Consistent {
    #[serde(default)]
    clusters: Vec<Cluster>,
    #[serde(default)]
    endpoints: Vec<String>,
    #[serde(default)]
    listeners: Vec<Listener>,
    #[serde(default)]
    routes: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Cluster {
    name: String,
    /// Absent: as the EDS service name says.
    #[serde(rename = "type")]
    discovery: Option<String>,
    eds_service_name: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Listener {
    name: String,
    #[serde(default)]
    rds: Vec<String>,
}

pub(crate) fn consistent(input: &Consistent) -> Result<Value, String> {
    let resource = |type_url, name: &String| Resource::new(type_url, name.as_str(), "");
    let clusters = input.clusters.iter().map(|cluster| {
        let eds = match cluster.discovery.as_deref() {
            Some(discovery) => discovery == "EDS",
            None => cluster.eds_service_name.is_some(),
        };
        let service = cluster.eds_service_name.as_deref().unwrap_or_default();
        let endpoints = eds.then(|| Reference::endpoints(&cluster.name, service));
        resource(TypeUrl::CLUSTER, &cluster.name).with_references(endpoints)
    });
    let listeners = input.listeners.iter().map(|listener| {
        let routes = listener.rds.iter().map(|name| Reference::route(name.as_str()));
        resource(TypeUrl::LISTENER, &listener.name).with_references(routes)
    });
    let endpoints = input.endpoints.iter().map(|name| resource(TypeUrl::ENDPOINT, name));
    let routes = input.routes.iter().map(|name| resource(TypeUrl::ROUTE, name));
    let snapshot = Snapshot::new(clusters.chain(listeners).chain(endpoints).chain(routes));
    Ok(json!(snapshot.inconsistencies().is_empty()))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Serialized {
    serialized_hex: String,
}

pub(crate) fn version(input: &Serialized) -> Result<Value, String> {
    let digits: Option<Vec<u32>> =
        input.serialized_hex.chars().map(|digit| digit.to_digit(16)).collect();
    let digits = digits.filter(|digits| digits.len() % 2 == 0).ok_or("not hexadecimal")?;
    let bytes: Result<Vec<u8>, _> = digits
        .chunks(2)
        .map(|pair| pair.iter().fold(0, |byte, digit| byte * 16 + digit))
        .map(u8::try_from)
        .collect();
    Ok(json!(Version::of(&bytes.map_err(|error| error.to_string())?).to_string()))
}
