//! Canonical proto3 JSON of every message of this crate, `@type` inside [`Any`](prost_types::Any).
//!
//! ```text
//! message ──bytes──▶ dynamic message ──▶ serde_json::Value ──▶ dynamic message ──bytes──▶ message
//!                          ▲ the descriptors of this crate, decoded once ▲
//! ```
//!
//! What Envoy reads and writes: field names in camelCase, durations as `1.500s`, 64-bit integers as
//! strings, bytes in base64, enum values by name, wrappers and structs as plain JSON. What a message
//! does not say (a proto3 default) is absent. Keys are inserted in alphabetical order, so equal
//! messages give equal text. Doubles stay doubles: a whole one prints as `100.0` where Go writes
//! `100`; compare numbers as numbers.
//!
//! This is for debugging, bootstraps and tests: it costs some twenty times the binary encoding.
use std::fmt;
use std::sync::OnceLock;

use prost::Name;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor};
use serde_json::Value;

mod print;

/// How many messages may be inside one another, `Any` included, and how many values in JSON.
///
/// prost itself stops at 100 inside one `Any`; `serde_json` stops at 128 when it reads a text.
const MAX_DEPTH: usize = 100;

/// The value has no JSON form, or the JSON is not a value of the type.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct JsonError {
    kind: ErrorKind,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum ErrorKind {
    UnknownType(Box<str>),
    Depth,
    Bytes { type_name: Box<str>, why: Box<str> },
    Json(Box<str>),
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            ErrorKind::UnknownType(name) => write!(f, "type `{name}` is not known"),
            ErrorKind::Depth => write!(f, "more than {MAX_DEPTH} values are inside one another"),
            ErrorKind::Bytes { type_name, why } => write!(f, "no valid `{type_name}`: {why}"),
            ErrorKind::Json(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for JsonError {}

impl From<ErrorKind> for JsonError {
    fn from(kind: ErrorKind) -> Self {
        Self { kind }
    }
}

/// Returns whether a type URL, or a bare full name, is of a message of this crate.
///
/// Only what follows the last `/` counts. The messages of `google.protobuf` that Envoy uses count.
///
/// # Examples
///
/// ```
/// use mesh_envoy_proto::json;
///
/// assert!(json::knows("type.googleapis.com/stats.PluginConfig"));
/// assert!(!json::knows("type.googleapis.com/io.istio.http.peer_metadata.Config"));
/// ```
#[must_use]
pub fn knows(type_url: &str) -> bool {
    descriptor(type_url).is_some()
}

/// Returns the JSON of a message, without `@type` at the top.
///
/// An [`Any`](prost_types::Any) of a type that this crate lacks becomes `{"@type": …, "value": …}` with its bytes in
/// base64. Envoy rejects that form, and [`from_value`] does not read it back: it is for people.
///
/// # Examples
///
/// ```
/// use mesh_envoy_proto::envoy::config::cluster::v3::Cluster;
/// use mesh_envoy_proto::json;
/// use mesh_envoy_proto::prost_types::Duration;
///
/// let cluster = Cluster {
///     name: "outbound|80||cart.shop.svc.cluster.local".to_owned(),
///     connect_timeout: Some(Duration { seconds: 10, nanos: 0 }),
///     ..Default::default()
/// };
/// let value = json::to_value(&cluster)?;
/// assert_eq!(
///     value.to_string(),
///     r#"{"connectTimeout":"10s","name":"outbound|80||cart.shop.svc.cluster.local"}"#
/// );
/// assert_eq!(json::from_value::<Cluster>(&value)?, cluster);
/// # Ok::<(), json::JsonError>(())
/// ```
///
/// # Errors
///
/// The message is of another crate; it or an `Any` in it is deeper than 100 messages; the bytes of an
/// `Any` are not of its type; a duration, timestamp or struct holds what JSON cannot say.
pub fn to_value<M: Name>(message: &M) -> Result<Value, JsonError> {
    bytes_to_value(&M::full_name(), &message.encode_to_vec())
}

/// Returns the JSON of an encoded message, without `@type` at the top; see [`to_value`].
///
/// # Errors
///
/// Those of [`to_value`]; the type is not known, or the bytes are not of that type.
pub fn bytes_to_value(type_url: &str, bytes: &[u8]) -> Result<Value, JsonError> {
    let Some(descriptor) = descriptor(type_url) else {
        return Err(ErrorKind::UnknownType(type_url.into()).into());
    };
    print::message(&decode(descriptor, bytes)?, 1)
}

/// Returns the JSON of an encoded message as it stands inside an [`Any`](prost_types::Any), with `@type`.
///
/// Types unknown here print as [`to_value`] says; an empty type URL without bytes is `{}`.
///
/// # Examples
///
/// ```
/// use mesh_envoy_proto::json;
///
/// let value = json::any_to_value("type.googleapis.com/example.Unknown", b"mesh")?;
/// assert_eq!(
///     value.to_string(),
///     r#"{"@type":"type.googleapis.com/example.Unknown","value":"bWVzaA=="}"#
/// );
/// # Ok::<(), json::JsonError>(())
/// ```
///
/// # Errors
///
/// Those of [`to_value`]; the bytes are not of that type.
pub fn any_to_value(type_url: &str, bytes: &[u8]) -> Result<Value, JsonError> {
    print::any(type_url, bytes, 1)
}

/// Returns the message that a JSON value describes.
///
/// Field names may be camelCase or as in the `.proto` text. A key that the message lacks is an error.
///
/// Equal JSON may give different bytes *inside* an [`Any`](prost_types::Any): the order of its maps is not fixed here.
/// Compare what the bytes decode to, or the JSON of both, and never hash such bytes.
///
/// # Errors
///
/// The JSON is not of this type, names an unknown type, or nests more than 100 values; the message
/// is of another crate.
pub fn from_value<M: Name + Default>(value: &Value) -> Result<M, JsonError> {
    let Some(descriptor) = descriptor(&M::full_name()) else {
        return Err(ErrorKind::UnknownType(M::full_name().into()).into());
    };
    check_depth(value)?;
    let message = DynamicMessage::deserialize(descriptor, value)
        .map_err(|error| ErrorKind::Json(error.to_string().into()))?;
    message.transcode_to().map_err(|error| bytes_error(&M::full_name(), &error))
}

/// The messages of this crate, decoded at the first use.
fn pool() -> &'static DescriptorPool {
    static POOL: OnceLock<DescriptorPool> = OnceLock::new();
    // The set is checked in beside this file; were it broken, every type would be unknown.
    POOL.get_or_init(|| {
        DescriptorPool::decode(include_bytes!("generated/descriptors.bin").as_slice())
            .unwrap_or_default()
    })
}

fn descriptor(type_url: &str) -> Option<MessageDescriptor> {
    pool().get_message_by_name(type_url.rsplit('/').next()?)
}

fn decode(descriptor: MessageDescriptor, bytes: &[u8]) -> Result<DynamicMessage, JsonError> {
    let name = descriptor.full_name().to_owned();
    DynamicMessage::decode(descriptor, bytes).map_err(|error| bytes_error(&name, &error))
}

fn bytes_error(type_name: &str, error: &prost::DecodeError) -> JsonError {
    ErrorKind::Bytes { type_name: type_name.into(), why: error.to_string().into() }.into()
}

/// Whether JSON nests no deeper than messages may. A worklist, not a recursion: its depth is not trusted.
fn check_depth(value: &Value) -> Result<(), JsonError> {
    let mut rest = vec![(value, 1)];
    while let Some((value, depth)) = rest.pop() {
        if depth > MAX_DEPTH {
            return Err(ErrorKind::Depth.into());
        }
        match value {
            Value::Array(values) => rest.extend(values.iter().map(|inner| (inner, depth + 1))),
            Value::Object(fields) => rest.extend(fields.values().map(|inner| (inner, depth + 1))),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    Ok(())
}
