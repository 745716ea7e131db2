//! How texts, numbers, booleans, durations and addresses are read.
use std::net::IpAddr;
use std::sync::Arc;

use super::{Cursor, Decode};
use crate::manifest::{Node, Value};
use crate::name::{Cidr, Duration, Namespace, Text};

/// Returns the text that stands here, reporting anything else.
pub(crate) fn text<'n>(node: &'n Node, cursor: &mut Cursor) -> Option<&'n str> {
    let text = node.as_str();
    if text.is_none() {
        cursor.mismatch(node, "a text");
    }
    text
}

impl Decode for Box<str> {
    fn decode(node: &Node, cursor: &mut Cursor) -> Option<Self> {
        text(node, cursor).map(Self::from)
    }
}

impl Decode for Arc<str> {
    fn decode(node: &Node, cursor: &mut Cursor) -> Option<Self> {
        text(node, cursor).map(Self::from)
    }
}

impl Decode for Text {
    fn decode(node: &Node, cursor: &mut Cursor) -> Option<Self> {
        text(node, cursor).map(Self::from)
    }
}

impl Decode for Namespace {
    fn decode(node: &Node, cursor: &mut Cursor) -> Option<Self> {
        text(node, cursor).map(Self::from)
    }
}

impl Decode for bool {
    fn decode(node: &Node, cursor: &mut Cursor) -> Option<Self> {
        let Value::Bool(value) = &node.value else {
            cursor.mismatch(node, "a boolean");
            return None;
        };
        Some(*value)
    }
}

impl Decode for f64 {
    fn decode(node: &Node, cursor: &mut Cursor) -> Option<Self> {
        let number = match &node.value {
            // A double rounds; the text is the way there without a cast.
            Value::Integer(number) => number.to_string().parse().ok(),
            Value::Float(number) => Some(*number),
            Value::String(text) if is_number(text) => text.parse().ok(),
            Value::Null | Value::Bool(_) | Value::String(_) | Value::List(_) | Value::Map(_) => {
                None
            }
        };
        match number.filter(|number| number.is_finite()) {
            Some(number) => Some(number),
            None => {
                cursor.mismatch(node, "a number");
                None
            }
        }
    }
}

impl Decode for Duration {
    fn decode(node: &Node, cursor: &mut Cursor) -> Option<Self> {
        let Value::String(text) = &node.value else {
            cursor.mismatch(node, "a duration such as `10s`");
            return None;
        };
        match text.parse() {
            Ok(duration) => Some(duration),
            Err(error) => {
                cursor.error(
                    "FIELD-DURATION",
                    node.place,
                    format!("`{}`: {error}", clip(text)),
                    "write a number and a unit: `500ms`, `10s`, `1h30m`",
                );
                None
            }
        }
    }
}

impl Decode for IpAddr {
    fn decode(node: &Node, cursor: &mut Cursor) -> Option<Self> {
        let text = text(node, cursor)?;
        let address = text.parse().ok();
        if address.is_none() {
            let message = format!("`{}` is not an IP address", clip(text));
            let help = "write an address such as `10.0.0.1` or `2001:db8::1`";
            cursor.error("ADDRESS", node.place, message, help);
        }
        address
    }
}

impl Decode for Cidr {
    fn decode(node: &Node, cursor: &mut Cursor) -> Option<Self> {
        let text = text(node, cursor)?;
        match text.parse() {
            Ok(range) => Some(range),
            Err(error) => {
                let message = format!("`{}`: {error}", clip(text));
                let help = "write an address or a range such as `10.0.0.0/16`";
                cursor.error("CIDR", node.place, message, help);
                None
            }
        }
    }
}

/// Reads a whole number, quoted or not, that must fit `T`.
fn integer<T: TryFrom<i128>>(node: &Node, cursor: &mut Cursor) -> Option<T> {
    let number = match &node.value {
        Value::Integer(number) => Some(*number),
        // As JSON has one kind of number, `10.0` is the integer 10.
        Value::Float(number) if number.fract() == 0.0 && number.abs() < 1e15 => {
            format!("{number:.0}").parse().ok()
        }
        Value::String(text) if is_whole(text) => text.parse().ok(),
        Value::Null
        | Value::Bool(_)
        | Value::Float(_)
        | Value::String(_)
        | Value::List(_)
        | Value::Map(_) => None,
    };
    let Some(number) = number else {
        match node.as_str().filter(|text| is_whole(text)) {
            // What is too large for any kind of number is a text.
            Some(text) => {
                let message = format!("the number `{}` is out of range", clip(text));
                cursor.error("FIELD-RANGE", node.place, message, "write a number of fewer digits");
            }
            None => cursor.mismatch(node, "a whole number"),
        }
        return None;
    };
    let fitting = T::try_from(number).ok();
    if fitting.is_none() {
        let message = format!("the number `{number}` is out of range");
        let help = match number {
            ..0 => "write a number that is not negative, unless the field means one that is",
            _ => "write a smaller number",
        };
        cursor.error("FIELD-RANGE", node.place, message, help);
    }
    fitting
}

/// Whether a text is a whole number in JSON, however large: without `+` and leading zeros.
pub(super) fn is_whole(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_shortest = digits == "0" || !digits.starts_with('0');
    is_shortest && !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether a text is a number in JSON: digits before and after the point, and an exponent at most.
fn is_number(text: &str) -> bool {
    let are_digits =
        |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let (number, exponent) = match text.split_once(['e', 'E']) {
        Some((number, exponent)) => (number, Some(exponent)),
        None => (text, None),
    };
    let (whole, fraction) = match number.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (number, None),
    };
    is_whole(whole)
        && fraction.is_none_or(are_digits)
        && exponent.is_none_or(|it| are_digits(it.strip_prefix(['+', '-']).unwrap_or(it)))
}

macro_rules! integers {
    ($($type:ty),*) => {$(
        impl Decode for $type {
            fn decode(node: &Node, cursor: &mut Cursor) -> Option<Self> {
                integer(node, cursor)
            }
        }
    )*};
}
integers!(u16, u32, i32, u64, i64);

/// The beginning of a text that is shown in a message.
pub(crate) fn clip(text: &str) -> String {
    let mut clipped: String = text.chars().take(40).collect();
    if clipped.len() < text.len() {
        clipped.push('…');
    }
    clipped
}
