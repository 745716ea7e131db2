//! Documents for unit tests.
use crate::manifest::{Entry, Node, Place, Value};

/// Reads JSON, which is enough for these tests; every value stands at the line of its depth.
pub(crate) fn node(json: &str) -> Node {
    convert(serde_json::from_str(json).unwrap(), 1)
}

fn convert(value: serde_json::Value, line: u32) -> Node {
    let value = match value {
        serde_json::Value::Null => Value::Null,
        serde_json::Value::Bool(value) => Value::Bool(value),
        serde_json::Value::Number(number) => match number.as_i64() {
            Some(number) => Value::Integer(number.into()),
            None => Value::Float(number.as_f64().unwrap()),
        },
        serde_json::Value::String(text) => Value::String(text.into()),
        serde_json::Value::Array(items) => {
            Value::List(items.into_iter().map(|item| convert(item, line + 1)).collect())
        }
        serde_json::Value::Object(entries) => {
            let entry = |(key, value): (String, serde_json::Value)| Entry {
                key: key.into(),
                place: Place { line, column: 1 },
                node: convert(value, line + 1),
            };
            Value::Map(entries.into_iter().map(entry).collect())
        }
    };
    Node { value, place: Place { line, column: 1 }, indent: None }
}

/// Checks which rules of admission an object of Istio's breaks, each with its field below `spec`, in
/// order.
pub(crate) fn check_rules(kind: &str, spec: &serde_json::Value, expected: &[&str]) {
    let group = match kind {
        "PeerAuthentication" | "RequestAuthentication" => "security.istio.io/v1",
        "Telemetry" => "telemetry.istio.io/v1",
        "ProxyConfig" => "networking.istio.io/v1beta1",
        _ => "networking.istio.io/v1",
    };
    let object = serde_json::json!({
        "apiVersion": group,
        "kind": kind,
        "metadata": { "name": "object", "namespace": "shop" },
        "spec": spec,
    });
    let file = std::sync::Arc::from("test");
    let decoded = super::decode(&Node::from(&object), &file, "default");
    let Some(resource) = decoded.resource else { panic!("{:?}", decoded.diagnostics) };
    let found = resource.validate();
    let told = |violation: &super::validate::Violation| {
        let field = violation.field.strip_prefix("spec").unwrap_or(&violation.field);
        format!("{} {}", violation.rule, field.trim_start_matches('.')).trim_end().to_owned()
    };
    let found: Vec<String> = found.iter().map(told).collect();
    assert_eq!(found, expected, "{spec}");
}
