//! Free-form JSON inside a resource.
use std::collections::BTreeMap;

use crate::manifest::decode::{Cursor, Decode};
use crate::manifest::encode::{Encode, entry};
use crate::manifest::{Entry, Node, Place, Value};

/// A value of `google.protobuf.Struct`: JSON whose maps have no order and whose numbers are doubles.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "the data model of JSON")]
pub enum Json {
    /// Nothing.
    Null,
    /// A boolean.
    Bool(bool),
    /// A number.
    Number(f64),
    /// A text.
    String(Box<str>),
    /// A list.
    List(Box<[Self]>),
    /// A map.
    Map(BTreeMap<Box<str>, Self>),
}

/// How deep a value may be nested, as in protobuf's own readers.
const DEPTH: usize = 100;

impl Json {
    /// Reads a JSON text; `None` if it is none, or is nested too deeply.
    pub fn parse(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok().map(of_value)
    }

    /// Returns the value as a part of a manifest, without a place.
    pub fn to_node(&self) -> Node {
        let value = match self {
            Self::Null => Value::Null,
            Self::Bool(value) => Value::Bool(*value),
            Self::Number(number) => whole(*number).map_or(Value::Float(*number), Value::Integer),
            Self::String(text) => Value::String(text.clone()),
            Self::List(items) => Value::List(items.iter().map(Self::to_node).collect()),
            Self::Map(members) => {
                Value::Map(members.iter().map(|(key, value)| entry(key, value.value())).collect())
            }
        };
        Node { value, place: Place::default(), indent: None }
    }

    /// Returns the text, `None` for anything else.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::List(_) | Self::Map(_) => None,
        }
    }
}

/// As deep as serde's own limit at most.
fn of_value(value: serde_json::Value) -> Json {
    match value {
        serde_json::Value::Null => Json::Null,
        serde_json::Value::Bool(value) => Json::Bool(value),
        serde_json::Value::Number(number) => Json::Number(number.as_f64().unwrap_or(f64::NAN)),
        serde_json::Value::String(text) => Json::String(text.into()),
        serde_json::Value::Array(items) => Json::List(items.into_iter().map(of_value).collect()),
        serde_json::Value::Object(members) => Json::Map(
            members.into_iter().map(|(key, value)| (key.into(), of_value(value))).collect(),
        ),
    }
}

/// A number without fraction, which `f64` prints as such.
fn whole(number: f64) -> Option<i128> {
    number.to_string().parse().ok()
}

impl Decode for Json {
    fn decode(node: &Node, cursor: &mut Cursor) -> Option<Self> {
        convert(node, cursor, DEPTH)
    }
}

impl Encode for Json {
    fn value(&self) -> Value {
        self.to_node().value
    }
}

fn convert(node: &Node, cursor: &mut Cursor, depth: usize) -> Option<Json> {
    let Some(depth) = depth.checked_sub(1) else {
        cursor.error("LIMIT-DEPTH", node.place, "the value is nested too deeply", "flatten it");
        return None;
    };
    Some(match &node.value {
        Value::Null => Json::Null,
        Value::Bool(value) => Json::Bool(*value),
        Value::Integer(_) | Value::Float(_) => Json::Number(f64::decode(node, cursor)?),
        Value::String(text) => Json::String(text.clone()),
        Value::List(items) => Json::List(
            items.iter().map(|item| convert(item, cursor, depth)).collect::<Option<_>>()?,
        ),
        Value::Map(entries) => {
            let entry = |entry: &Entry| {
                Some((Box::from(entry.key.as_str()), convert(&entry.node, cursor, depth)?))
            };
            Json::Map(entries.iter().map(entry).collect::<Option<_>>()?)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_the_same_after_it_was_a_part_of_a_manifest() {
        let json = Json::parse(r#"{"a": [1, 2.5, "x", true, null], "b": {"c": -3}}"#).unwrap();
        let node = json.to_node();
        assert_eq!(node.get(&["b"]).unwrap().get(&["c"]).unwrap().value, Value::Integer(-3));
        assert_eq!(Json::decode(&node, &mut Cursor::default()), Some(json));
    }

    #[test]
    fn what_is_no_document_is_no_value() {
        assert_eq!(Json::parse("{"), None);
        assert_eq!(Json::parse(""), None);
    }
}
