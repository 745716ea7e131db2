//! One YAML document to a tree that knows where everything stands.
//!
//! The parser gives values with their places ([`Raw`]); what the parser's data model cannot say is
//! mended on the way to [`Node`]: keys become texts, whole numbers beyond 64 bits stay exact, a text
//! has its limit.
//!
//! # Upstream
//!
//! YAML as kubernetes-sigs/yaml reads it: YAML 1.1 booleans, merge keys, octal numbers with a leading
//! zero, duplicate keys are errors.
use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::options::{DuplicateKeyPolicy, MergeKeyPolicy, NonFiniteFloatPolicy};
use serde_saphyr::{Location, Options, Spanned};

use super::limits::{self, Limits};
use super::{Fault, head, key, split};
use crate::manifest::{Entry, Node, Place, Value};

mod error;
#[cfg(test)]
mod tests;

/// Reads one document that stands after `line` lines.
pub(super) fn read(text: &str, line: u32, limits: &Limits) -> Result<Node, Fault> {
    check_size(text, line, limits)?;
    check_characters(text, line)?;
    let raw = serde_saphyr::from_str_with_options::<Raw<'_>>(text, options(text, limits))
        .map_err(|error| error::fault(&error, text, line, limits))?;
    Mend { text, line, limits }.node(raw)
}

/// Refuses a text that is too long for what it is.
fn check_size(text: &str, line: u32, limits: &Limits) -> Result<(), Fault> {
    let place = Place { line: line.saturating_add(1), column: 1 };
    if text.len() <= limits.object_bytes {
        Ok(())
    } else if !head::is_list(text) {
        Err(limits::object_bytes(limits, place))
    } else if text.len() > limits.list_bytes {
        Err(limits::list_bytes(limits, place))
    } else {
        Ok(())
    }
}

/// Refuses control characters, as Go's reader does; a parser might end the text at a NUL.
fn check_characters(text: &str, line: u32) -> Result<(), Fault> {
    let is_control = |byte: u8| matches!(byte, 0..=8 | 0xb | 0xc | 0xe..=0x1f | 0x7f);
    let Some(at) = text.bytes().position(is_control) else { return Ok(()) };
    let place = split::place_after(text.get(..at).unwrap_or_default(), line);
    let byte = text.as_bytes().get(at).copied().unwrap_or_default();
    let message = format!("the control character 0x{byte:02x} is not allowed");
    let help = "remove it, or write it as an escape in double quotes";
    Err(Fault::new("YAML-ENCODING", place, message, help))
}

fn options(text: &str, limits: &Limits) -> Options {
    let values = limits.values_in(text.len());
    let budget = serde_saphyr::budget! {
        // A document is cut out of its stream before, so this is its own.
        max_documents: 1,
        max_nodes: values,
        max_events: values.saturating_mul(2).saturating_add(16),
        max_aliases: limits.aliases,
        max_anchors: usize::MAX,
        max_recorded_anchor_events: values,
        max_recorded_anchor_bytes: limits.bytes_in(text.len()),
        max_merge_keys: values,
        max_depth: limits.depth(),
        flow_nesting_limit: limits.depth().saturating_add(1),
        max_total_scalar_bytes: limits.bytes_in(text.len()),
        enforce_alias_anchor_ratio: false,
    };
    serde_saphyr::options! {
        budget: budget,
        duplicate_keys: DuplicateKeyPolicy::Error,
        merge_keys: MergeKeyPolicy::Merge,
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: usize::MAX,
            max_replay_stack_depth: limits.depth(),
        },
        legacy_octal_numbers: true,
        strict_booleans: false,
        non_finite_float_policy: NonFiniteFloatPolicy::Reject,
        with_snippet: false,
    }
}

/// Returns the place of a location in a text that stands after `line` lines.
fn place(location: Location, line: u32) -> Place {
    let part = |part: u64| u32::try_from(part).unwrap_or(u32::MAX);
    Place { line: part(location.line()).saturating_add(line), column: part(location.column()) }
}

/// A value as the parser gives it, with the place where it is written (for an alias that of its
/// anchor: there the text stands that is right or wrong).
struct Raw<'t> {
    value: RawValue<'t>,
    location: Location,
}

/// A value without its place.
enum RawValue<'t> {
    Null,
    Bool(bool),
    Integer(i128),
    Float(f64),
    String(Cow<'t, str>),
    List(Vec<Raw<'t>>),
    Map(Vec<(Raw<'t>, Raw<'t>)>),
}

impl<'de> Deserialize<'de> for Raw<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<RawValue<'de>>::deserialize(deserializer)?;
        Ok(Self { value: spanned.value, location: spanned.defined })
    }
}

impl<'de> Deserialize<'de> for RawValue<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue)
    }
}

/// Takes whatever comes.
struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = RawValue<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
        Ok(RawValue::Null)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Self::Value, E> {
        Ok(RawValue::Bool(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Self::Value, E> {
        Ok(RawValue::Integer(value.into()))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Self::Value, E> {
        Ok(RawValue::Integer(value.into()))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Self::Value, E> {
        Ok(RawValue::Float(value))
    }

    fn visit_borrowed_str<E: de::Error>(self, value: &'de str) -> Result<Self::Value, E> {
        Ok(RawValue::String(Cow::Borrowed(value)))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Self::Value, E> {
        Ok(RawValue::String(Cow::Owned(value.to_owned())))
    }

    fn visit_string<E: de::Error>(self, value: String) -> Result<Self::Value, E> {
        Ok(RawValue::String(Cow::Owned(value)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(RawValue::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = access.next_entry()? {
            entries.push(entry);
        }
        Ok(RawValue::Map(entries))
    }
}

/// The way from what the parser gives to what a document is.
#[derive(Clone, Copy)]
struct Mend<'t> {
    text: &'t str,
    line: u32,
    limits: &'t Limits,
}

impl Mend<'_> {
    /// Mends a value; the parser has bounded the depth.
    fn node(self, raw: Raw<'_>) -> Result<Node, Fault> {
        let place = place(raw.location, self.line);
        let value = match raw.value {
            RawValue::Null => Value::Null,
            RawValue::Bool(value) => Value::Bool(value),
            RawValue::Integer(number) => Value::Integer(number),
            RawValue::Float(number) => self.float(number, raw.location),
            RawValue::String(text) => Value::String(self.string(text, place)?),
            RawValue::List(items) => Value::List(
                items.into_iter().map(|item| self.node(item)).collect::<Result<_, _>>()?,
            ),
            RawValue::Map(entries) => Value::Map(self.map(entries)?),
        };
        Ok(Node { value, place })
    }

    fn map(self, entries: Vec<(Raw<'_>, Raw<'_>)>) -> Result<Vec<Entry>, Fault> {
        let entries = entries
            .into_iter()
            .map(|(key, value)| self.entry(key, value))
            .collect::<Result<Vec<_>, _>>()?;
        // The parser has compared the keys as it sees them: `1` and `"1"` differ there.
        key::duplicate(&entries).map_or(Ok(entries), Err)
    }

    fn entry(self, key: Raw<'_>, value: Raw<'_>) -> Result<Entry, Fault> {
        let place = place(key.location, self.line);
        let key = match key.value {
            RawValue::String(text) => self.string(text, place)?,
            RawValue::Bool(value) => value.to_string().into(),
            RawValue::Integer(number) => number.to_string().into(),
            RawValue::Float(number) => key::of_float(number).into(),
            RawValue::Null | RawValue::List(_) | RawValue::Map(_) => {
                let help = "put the key in quotes";
                return Err(Fault::new("YAML-KEY", place, "the key is not a text", help));
            }
        };
        Ok(Entry { key, place, node: self.node(value)? })
    }

    fn string(self, text: Cow<'_, str>, place: Place) -> Result<Box<str>, Fault> {
        if text.len() > self.limits.scalar_bytes {
            return Err(limits::scalar_bytes(self.limits, place));
        }
        Ok(text.into())
    }

    /// Keeps whole numbers exact for which the parser has only a float.
    fn float(self, number: f64, location: Location) -> Value {
        const FIRST_INEXACT: f64 = 9_223_372_036_854_775_808.0;
        if number.abs() < FIRST_INEXACT {
            return Value::Float(number);
        }
        let offset = location.span().byte_offset().and_then(|offset| usize::try_from(offset).ok());
        let rest = offset.and_then(|offset| self.text.get(offset..)).unwrap_or_default();
        let is_number = |c: char| c.is_ascii_alphanumeric() || "+-._".contains(c);
        let end = rest.find(|c| !is_number(c)).unwrap_or(rest.len());
        let digits = rest.get(..end).unwrap_or_default().replace('_', "");
        digits.parse().map_or(Value::Float(number), Value::Integer)
    }
}
