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
    Node { value, place: Place { line, column: 1 } }
}
