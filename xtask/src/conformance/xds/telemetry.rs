//! Statistics by Telemetry objects.
use mesh_envoy_proto::prost::Name;
use mesh_envoy_proto::stats::{MetricConfig, PluginConfig};
use mesh_model::manifest::{Limits, read};
use mesh_model::resource::{self, Resource, Telemetry};
use mesh_xds_gen::telemetry::{Class, metrics};
use serde::Deserialize;
use serde_json::{Map, Value, json};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    overrides: Value,
    listener_class: String,
}

pub(super) fn telemetry(input: &Input) -> Result<Value, String> {
    let class = match input.listener_class.as_str() {
        "inbound" => Class::Inbound,
        "outbound" => Class::Outbound,
        "gateway" => Class::Gateway,
        other => return Err(format!("unknown class `{other}`")),
    };
    let object = object(&input.overrides)?;
    let entries: Vec<_> = object.spec.metrics.iter().collect();
    let found = metrics::stats(&entries, &[Box::from("prometheus")], class);
    Ok(found.get("prometheus").map_or(Value::Null, config))
}

/// Reads a Telemetry object as manifests are read; whatever is found wrong is an error here.
fn object(overrides: &Value) -> Result<Telemetry, String> {
    let document = json!({
        "apiVersion": "telemetry.istio.io/v1",
        "kind": "Telemetry",
        "metadata": {"namespace": "default", "name": "case"},
        "spec": {"metrics": [{"overrides": overrides}]},
    });
    let reading = read("case", document.to_string().as_bytes(), &Limits::default());
    let [document] = reading.documents.as_slice() else { return Err("no document".to_owned()) };
    let decoded = resource::decode(&document.node, &document.file, "default");
    if let Some(found) = decoded.diagnostics.first() {
        return Err(found.to_string());
    }
    match decoded.resource {
        Some(Resource::Telemetry(object)) => Ok(object),
        _ => Err("no Telemetry".to_owned()),
    }
}

fn config(config: &PluginConfig) -> Value {
    json!({
        "type_url": PluginConfig::type_url(),
        "disable_host_header_fallback": config.disable_host_header_fallback,
        "metrics": config.metrics.iter().map(metric).collect::<Vec<_>>(),
    })
}

/// What is empty is absent.
fn metric(metric: &MetricConfig) -> Value {
    let mut members = Map::new();
    members.insert("name".to_owned(), json!(metric.name));
    if !metric.dimensions.is_empty() {
        members.insert("dimensions".to_owned(), json!(metric.dimensions));
    }
    if !metric.tags_to_remove.is_empty() {
        members.insert("tags_to_remove".to_owned(), json!(metric.tags_to_remove));
    }
    if metric.drop {
        members.insert("drop".to_owned(), json!(true));
    }
    Value::Object(members)
}
