//! Free-form JSON inside a resource.
use std::collections::BTreeMap;

use crate::manifest::decode::{Cursor, Decode};
use crate::manifest::{Node, Value};

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
    /// Returns the text, `None` for anything else.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::List(_) | Self::Map(_) => None,
        }
    }
}

impl Decode for Json {
    fn decode(node: &Node, cursor: &mut Cursor) -> Option<Self> {
        convert(node, cursor, DEPTH)
    }
}

fn convert(node: &Node, cursor: &mut Cursor, depth: usize) -> Option<Json> {
    let Some(depth) = depth.checked_sub(1) else {
        cursor.error("LIMIT-DEPTH", node.place, "the value is nested too deeply", "");
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
            let entry = |entry: &crate::manifest::Entry| {
                Some((entry.key.clone(), convert(&entry.node, cursor, depth)?))
            };
            Json::Map(entries.iter().map(entry).collect::<Option<_>>()?)
        }
    })
}
