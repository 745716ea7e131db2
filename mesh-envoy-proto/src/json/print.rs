//! From a dynamic message to JSON.
//!
//! prost-reflect can print a whole message, but it refuses an `Any` of an unknown type, follows `Any`
//! inside `Any` to any depth, and takes maps in hash order. So the walk is ours; scalars with a form
//! of their own (durations, structs, wrappers, base64) are still printed there.
use std::collections::BTreeMap;

use prost_reflect::{
    DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, ReflectMessage,
    Value as Field,
};
use prost_types::Any;
use serde_json::{Map, Value};

use super::{ErrorKind, JsonError, MAX_DEPTH, bytes_error, decode, descriptor};

pub(super) fn message(message: &DynamicMessage, depth: usize) -> Result<Value, JsonError> {
    let descriptor = message.descriptor();
    let name = descriptor.full_name();
    if name == "google.protobuf.Any" {
        let inner: Any = message.transcode_to().map_err(|error| bytes_error(name, &error))?;
        any(&inner.type_url, &inner.value, depth)
    } else if is_special(&descriptor) {
        special(message)
    } else {
        fields(message, depth).map(Value::Object)
    }
}

pub(super) fn any(type_url: &str, bytes: &[u8], depth: usize) -> Result<Value, JsonError> {
    if type_url.is_empty() && bytes.is_empty() {
        return Ok(Value::Object(Map::new()));
    }
    let mut object = match descriptor(type_url) {
        None => Map::from_iter([("value".to_owned(), base64(bytes)?)]),
        Some(descriptor) if is_special(&descriptor) => {
            let inner = message(&decode(descriptor, bytes)?, deeper(depth)?)?;
            Map::from_iter([("value".to_owned(), inner)])
        }
        Some(descriptor) => fields(&decode(descriptor, bytes)?, deeper(depth)?)?,
    };
    object.insert("@type".to_owned(), Value::String(type_url.to_owned()));
    Ok(Value::Object(object))
}

/// Whether the JSON form of a type is not an object of its fields.
fn is_special(descriptor: &MessageDescriptor) -> bool {
    // Of that package only the descriptors are plain, and the set has none of them.
    descriptor.package_name() == "google.protobuf"
}

fn special(message: &DynamicMessage) -> Result<Value, JsonError> {
    serde_json::to_value(message).map_err(|error| ErrorKind::Json(error.to_string().into()).into())
}

fn base64(bytes: &[u8]) -> Result<Value, JsonError> {
    // As the wrapper of bytes, `google.protobuf.BytesValue`.
    special(&bytes.to_vec().transcode_to_dynamic())
}

fn deeper(depth: usize) -> Result<usize, JsonError> {
    if depth < MAX_DEPTH { Ok(depth + 1) } else { Err(ErrorKind::Depth.into()) }
}

fn fields(message: &DynamicMessage, depth: usize) -> Result<Map<String, Value>, JsonError> {
    let mut printed = BTreeMap::new();
    for (descriptor, value) in message.fields() {
        printed.insert(descriptor.json_name().to_owned(), field(&descriptor, value, depth)?);
    }
    Ok(in_order(printed))
}

/// In some builds the map of `serde_json` keeps the order of insertion: it is the alphabet then too.
fn in_order(printed: BTreeMap<String, Value>) -> Map<String, Value> {
    printed.into_iter().collect()
}

fn field(descriptor: &FieldDescriptor, value: &Field, depth: usize) -> Result<Value, JsonError> {
    let kind = descriptor.kind();
    match (value, &kind) {
        (Field::List(values), _) => {
            values.iter().map(|value| single(&kind, value, depth)).collect()
        }
        (Field::Map(values), Kind::Message(entry)) => {
            let kind = entry.map_entry_value_field().kind();
            let print = |(key, value)| Ok((text(key), single(&kind, value, depth)?));
            let printed = values.iter().map(print).collect::<Result<_, JsonError>>()?;
            Ok(Value::Object(in_order(printed)))
        }
        (value, _) => single(&kind, value, depth),
    }
}

fn single(kind: &Kind, value: &Field, depth: usize) -> Result<Value, JsonError> {
    Ok(match value {
        Field::Bool(value) => Value::from(*value),
        Field::I32(value) => Value::from(*value),
        Field::U32(value) => Value::from(*value),
        Field::I64(value) => Value::from(value.to_string()),
        Field::U64(value) => Value::from(value.to_string()),
        // By way of the text, so that 0.1 stays 0.1.
        Field::F32(value) => double(value.to_string().parse().unwrap_or(f64::from(*value))),
        Field::F64(value) => double(*value),
        Field::String(value) => Value::from(value.as_str()),
        Field::Bytes(value) => base64(value)?,
        Field::EnumNumber(number) => enumerated(kind, *number),
        Field::Message(inner) => message(inner, deeper(depth)?)?,
        Field::List(_) | Field::Map(_) => Value::Null, // Neither is ever inside a list or a map.
    })
}

fn double(value: f64) -> Value {
    if value.is_finite() {
        Value::from(value)
    } else if value.is_nan() {
        Value::from("NaN")
    } else {
        Value::from(if value > 0.0 { "Infinity" } else { "-Infinity" })
    }
}

fn enumerated(kind: &Kind, number: i32) -> Value {
    match kind.as_enum().and_then(|descriptor| descriptor.get_value(number)) {
        Some(known) => Value::from(known.name()),
        None => Value::from(number),
    }
}

fn text(key: &MapKey) -> String {
    match key {
        MapKey::Bool(key) => key.to_string(),
        MapKey::I32(key) => key.to_string(),
        MapKey::I64(key) => key.to_string(),
        MapKey::U32(key) => key.to_string(),
        MapKey::U64(key) => key.to_string(),
        MapKey::String(key) => key.clone(),
    }
}
