//! Trees as text, for comparison.
use crate::manifest::{Node, Value};

/// Prints a tree as JSON without blanks; floats with a point or an exponent, integers without.
pub(in crate::manifest::document) fn render(node: &Node) -> String {
    match &node.value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Integer(number) => number.to_string(),
        Value::Float(number) => format!("{number:?}"),
        Value::String(text) => format!("{text:?}"),
        Value::List(items) => {
            format!("[{}]", items.iter().map(render).collect::<Vec<_>>().join(","))
        }
        Value::Map(entries) => {
            let entry =
                |entry: &crate::manifest::Entry| format!("{:?}:{}", entry.key, render(&entry.node));
            format!("{{{}}}", entries.iter().map(entry).collect::<Vec<_>>().join(","))
        }
    }
}

/// Prints the place of every key and value: `key@1:1=value@1:6`.
pub(in crate::manifest::document) fn places(node: &Node) -> String {
    let here = format!("@{}:{}", node.place.line, node.place.column);
    match &node.value {
        Value::List(items) => {
            format!("[{}]{here}", items.iter().map(places).collect::<Vec<_>>().join(" "))
        }
        Value::Map(entries) => {
            let entry = |entry: &crate::manifest::Entry| {
                let place = entry.place;
                format!("{}@{}:{}={}", entry.key, place.line, place.column, places(&entry.node))
            };
            format!("{{{}}}{here}", entries.iter().map(entry).collect::<Vec<_>>().join(" "))
        }
        Value::String(text) => format!("{text}{here}"),
        Value::Null | Value::Bool(_) | Value::Integer(_) | Value::Float(_) => {
            format!("{}{here}", render(node))
        }
    }
}
