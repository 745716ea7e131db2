//! What follows from single objects: WorkloadEntries, gateway services, names in DNS.
use std::sync::Arc;

use mesh_model::Compat;
use mesh_model::manifest::Node;
use mesh_model::name::ClusterId;
use mesh_model::registry::{Origin, Registry, Source, place};
use mesh_model::resource::{Resource, WorkloadEntry, decode};
use mesh_model::view::{NamedHost, dns_names};
use mesh_testkit::conformance::Answer;
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Entry {
    workload_entry: Value,
}

fn entry(input: &Value) -> Result<WorkloadEntry, String> {
    let Entry { workload_entry } = Entry::deserialize(input).map_err(|error| error.to_string())?;
    let object = json!({
        "apiVersion": "networking.istio.io/v1",
        "kind": "WorkloadEntry",
        "metadata": { "name": "case" },
        "spec": workload_entry,
    });
    let decoded = decode(&Node::from(&object), &Arc::from("case"), "default");
    match decoded.resource {
        Some(Resource::WorkloadEntry(entry)) => Ok(entry),
        _ => Err(format!("{:?}", decoded.diagnostics)),
    }
}

pub(super) fn workload_entry_locality(input: &Value) -> Answer {
    let answered = entry(input).map(|entry| {
        let locality = place::machine_locality(&entry.spec.locality, &entry.spec.labels);
        json!({ "locality": locality })
    });
    answered.map_or_else(Answer::Rejected, Answer::Value)
}

pub(super) fn workload_entry_network(input: &Value) -> Answer {
    let answered = entry(input).map(|entry| json!({ "endpointNetwork": entry.spec.network }));
    answered.map_or_else(Answer::Rejected, Answer::Value)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct ServiceGateways {
    service: Value,
    cluster_id: String,
}

/// Loads the service as all that a cluster has.
pub(super) fn service_network_gateways(input: &ServiceGateways) -> Value {
    let mut registry = Registry::new(Compat::default());
    registry.load([Source {
        origin: Origin::Cluster(ClusterId::from(&*input.cluster_id)),
        name: Arc::from("case"),
        text: input.service.to_string().into_bytes(),
    }]);
    let mesh = registry.mesh();
    let planes = mesh.control_planes();
    let gateways = planes.flat_map(|plane| {
        plane.named_gateways.iter().map(|gateway| {
            json!({
                "network": gateway.network.as_str(),
                "cluster": gateway.cluster.as_str(),
                "address": gateway.address.to_string(),
                "port": gateway.port,
                "hbonePort": gateway.hbone_port,
            })
        })
    });
    json!({ "gateways": gateways.collect::<Vec<_>>() })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct AltHosts {
    hostname: String,
    shortname: String,
    namespace: String,
    proxy_namespace: String,
    proxy_domain: String,
}

pub(super) fn dns_alt_hosts(input: &AltHosts) -> Value {
    let host = NamedHost {
        hostname: &input.hostname,
        short_name: &input.shortname,
        namespace: &input.namespace,
    };
    json!({ "names": dns_names(&host, &input.proxy_namespace, &input.proxy_domain) })
}
