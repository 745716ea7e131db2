//! Cases of the area `model`.
use std::collections::BTreeMap;

use mesh_model::name::{Duration, Labels, Protocol};
use mesh_testkit::conformance::Answer;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

mod object;
mod resolve;
mod validate;

/// Computes one case.
pub(crate) fn answer(op: &str, input: &Value) -> Answer {
    match op {
        "port_protocol" => with(input, port_protocol),
        "duration" => with(input, duration),
        "labels" => with(input, labels),
        "cluster_local" => with(input, resolve::cluster_local),
        "endpoint_health" => with(input, resolve::endpoint_health),
        "endpoint_network" => with(input, resolve::endpoint_network),
        "pod_locality" => with(input, resolve::pod_locality),
        "resolve_host" => with(input, resolve::host),
        "traffic_distribution" => with(input, resolve::traffic_distribution),
        "validate" => validate::validate(input),
        "workload_entry_locality" => object::workload_entry_locality(input),
        "workload_entry_network" => object::workload_entry_network(input),
        "service_network_gateways" => with(input, object::service_network_gateways),
        "dns_alt_hosts" => with(input, object::dns_alt_hosts),
        _ => Answer::Rejected(format!("unknown op `{op}`")),
    }
}

/// Reads the input and computes; rejects an input that is not understood.
fn with<I: DeserializeOwned>(input: &Value, compute: impl FnOnce(&I) -> Value) -> Answer {
    match serde_json::from_value(input.clone()) {
        Ok(input) => Answer::Value(compute(&input)),
        Err(error) => Answer::Rejected(error.to_string()),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PortProtocol {
    port: u32,
    name: String,
    protocol: String,
    #[serde(rename = "appProtocol")]
    app_protocol: Option<String>,
}

fn port_protocol(input: &PortProtocol) -> Value {
    let protocol = Protocol::of_service_port(
        input.port,
        &input.name,
        &input.protocol,
        input.app_protocol.as_deref(),
    );
    json!({ "protocol": protocol.as_str() })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DurationText {
    text: String,
}

fn duration(input: &DurationText) -> Value {
    match input.text.parse::<Duration>() {
        Ok(duration) => json!({ "nanos": duration.as_nanos() }),
        Err(_) => json!({ "error": true }),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SelectorAndLabels {
    selector: BTreeMap<String, String>,
    labels: BTreeMap<String, String>,
}

fn labels(input: &SelectorAndLabels) -> Value {
    let selector: Labels = input.selector.clone().into_iter().collect();
    let labels: Labels = input.labels.clone().into_iter().collect();
    let is_subset = labels.contains(&selector);
    json!({ "subsetOf": is_subset, "selects": is_subset && !selector.is_empty() })
}
