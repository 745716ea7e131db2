//! What a scalar means: a text, a number, a boolean or nothing.
//!
//! A plain word is tried as one of the known words, then as a number; whatever is in quotes or in a
//! block is a text. An explicit tag (`!!str`, `!!int`) decides before all that, a tag of the user's
//! own makes a text.
//!
//! # Upstream
//!
//! kubernetes-sigs/yaml `goyaml.v2/resolve.go` `resolve`. Unlike there a whole number of more than 64
//! bits stays exact. As a value `.inf` is refused before it is on the way to JSON.
use std::borrow::Cow;

use granit_parser::{ScalarStyle, Tag};

use crate::manifest::decode::base64;
use crate::manifest::document::Fault;
use crate::manifest::{Place, Value};

/// The name of a type that YAML itself knows, such as `str` of `!!str`.
pub(super) fn core_type(tag: &Tag) -> Option<Cow<'_, str>> {
    tag.suffix_in_namespace("tag:yaml.org,2002:")
}

/// Returns the value of a scalar.
pub(super) fn value(
    text: Cow<'_, str>,
    style: ScalarStyle,
    tag: Option<&Tag>,
    place: Place,
) -> Result<Value, Fault> {
    let wanted = match tag {
        None if style == ScalarStyle::Plain => None,
        None => return Ok(Value::String(text.into())),
        Some(tag) => match core_type(tag) {
            Some(name) if matches!(&*name, "bool" | "int" | "float" | "null") => Some(name),
            Some(name) if name == "binary" => return binary(&text, place),
            Some(_) | None => return Ok(Value::String(text.into())),
        },
    };
    let value = plain(text);
    let Some(wanted) = wanted else { return Ok(value) };
    match (&*wanted, value) {
        ("bool", value @ Value::Bool(_))
        | ("int", value @ Value::Integer(_))
        | ("float", value @ Value::Float(_))
        | ("null", value @ Value::Null) => Ok(value),
        #[expect(clippy::cast_precision_loss, reason = "a float is asked for")]
        ("float", Value::Integer(number)) => Ok(Value::Float(number as f64)),
        _ => {
            let message = format!("the value does not fit its tag `!!{wanted}`");
            Err(Fault::new("YAML", place, message, "remove the tag"))
        }
    }
}

/// Whether a value is a number only as a key: `.inf`, `-.inf` or `.nan`.
pub(super) fn is_without_value(value: &Value) -> bool {
    matches!(value, Value::Float(number) if !number.is_finite())
}

/// Refuses such a value.
pub(super) fn without_value(place: Place) -> Fault {
    let message = "`.inf` and `.nan` are not numbers that can be used";
    Fault::new("YAML-NUMBER", place, message, "put it in quotes if it is a text")
}

/// Returns the value of a scalar without quotes.
fn plain(text: Cow<'_, str>) -> Value {
    let first = text.bytes().next();
    let value = match first {
        None => Some(Value::Null),
        Some(b'0'..=b'9' | b'+' | b'-' | b'.') => number(&text),
        Some(b'y' | b'Y' | b'n' | b'N' | b't' | b'T' | b'f' | b'F' | b'o' | b'O' | b'~') => {
            word(&text)
        }
        Some(_) => None,
    };
    value.unwrap_or_else(|| Value::String(text.into()))
}

/// Returns the value of the words that are no texts.
fn word(text: &str) -> Option<Value> {
    match text {
        "~" | "null" | "Null" | "NULL" => Some(Value::Null),
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            Some(Value::Bool(true))
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            Some(Value::Bool(false))
        }
        _ => None,
    }
}

fn number(text: &str) -> Option<Value> {
    match text {
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => {
            return Some(Value::Float(f64::INFINITY));
        }
        "-.inf" | "-.Inf" | "-.INF" => return Some(Value::Float(f64::NEG_INFINITY)),
        ".nan" | ".NaN" | ".NAN" => return Some(Value::Float(f64::NAN)),
        _ => {}
    }
    let digits =
        if text.contains('_') { Cow::Owned(text.replace('_', "")) } else { Cow::Borrowed(text) };
    if let Some(number) = integer(&digits) {
        return Some(Value::Integer(number));
    }
    // What is too large for a float is a text upstream.
    let float = Some(&*digits).filter(|digits| is_float(digits));
    let float = float.and_then(|digits| digits.parse::<f64>().ok());
    float.filter(|number| number.is_finite()).map(Value::Float)
}

/// Reads a whole number as Go does in base 0: `0x10`, `0o17`, `017`, `0b11`, `17`.
fn integer(text: &str) -> Option<i128> {
    let (sign, digits) = match text.as_bytes().first() {
        Some(b'-') => ("-", text.get(1..)?),
        Some(b'+') => ("", text.get(1..)?),
        Some(_) | None => ("", text),
    };
    if !digits.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let (radix, digits) = match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, digits.get(2..)?),
        [b'0', b'o' | b'O', ..] => (8, digits.get(2..)?),
        [b'0', b'b' | b'B', ..] => (2, digits.get(2..)?),
        [b'0', _, ..] => (8, digits.get(1..)?),
        _ => return text.parse().ok(),
    };
    if !digits.starts_with(|c: char| c.is_digit(radix)) {
        return None;
    }
    i128::from_str_radix(&format!("{sign}{digits}"), radix).ok()
}

/// Returns whether a text is a decimal number: `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`.
fn is_float(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, "0"));
    let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    is_digits(whole)
        && is_digits(fraction)
        && is_digits(exponent)
        && !exponent.is_empty()
        && !(whole.is_empty() && fraction.is_empty())
}

/// Reads the base64 of a text: of the standard alphabet, padded.
fn binary(text: &str, place: Place) -> Result<Value, Fault> {
    let digits: String = text.chars().filter(|letter| !letter.is_ascii_whitespace()).collect();
    let is_standard = digits.len().is_multiple_of(4) && !digits.contains(['-', '_']);
    match base64(&digits).filter(|_| is_standard).map(String::from_utf8) {
        Some(Ok(text)) => Ok(Value::String(text.into())),
        Some(Err(_)) | None => {
            let message = "the `!!binary` value is not the base64 of a text";
            Err(Fault::new("YAML", place, message, "write the text itself"))
        }
    }
}
