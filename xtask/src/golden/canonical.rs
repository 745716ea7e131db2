//! The canonical form of xDS resources: what carries no meaning is removed, and nothing else.
//!
//! An absent member equals null, 1 equals 1.0, a duration `1s` equals `1.0s`; lists whose order a
//! data plane does not see (and a running istiod changes) are sorted.
use std::fmt::Write as _;

use serde_json::{Map, Number, Value};

/// Members whose lists have no order.
const UNORDERED: &[&str] = &[
    "headers",
    "queryParameters",
    "dynamicMetadata",
    "domains",
    "ips",
    "lbEndpoints",
    "filterChains",
];

/// Returns the value with everything that carries no meaning removed.
pub(super) fn canonical(value: &Value) -> Value {
    under("", value)
}

/// `parent` is the member that holds the value, through lists. JSON text nests as deep as the
/// parser allows (128), and so does this.
fn under(parent: &str, value: &Value) -> Value {
    match value {
        Value::Object(members) => object(members),
        Value::Array(items) => {
            let mut items: Vec<Value> = items.iter().map(|item| under(parent, item)).collect();
            if UNORDERED.contains(&parent) {
                items.sort_by_cached_key(key);
            }
            Value::Array(items)
        }
        Value::String(text) => duration(text).map_or_else(|| value.clone(), Value::String),
        Value::Number(number) => Value::Number(whole(number)),
        Value::Null | Value::Bool(_) => value.clone(),
    }
}

fn object(members: &Map<String, Value>) -> Value {
    let mut out: Map<String, Value> = members
        .iter()
        .filter(|(_, value)| !value.is_null())
        .map(|(name, value)| (name.clone(), under(name, value)))
        .collect();
    if out.contains_key("clusterName")
        && let Some(Value::Array(localities)) = out.get_mut("endpoints")
    {
        localities.sort_by_cached_key(|locality| {
            let empty = Value::Object(Map::new());
            let priority = locality.get("priority").and_then(Value::as_u64).unwrap_or(0);
            (priority, key(locality.get("locality").unwrap_or(&empty)), key(locality))
        });
    }
    Value::Object(out)
}

/// `1s` and `1.0s` as `1.000000000s`; none if the text is no duration.
fn duration(text: &str) -> Option<String> {
    let number = text.strip_suffix('s')?;
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let unsigned = number.strip_prefix('-').unwrap_or(number);
    let is_duration = match unsigned.split_once('.') {
        Some((seconds, fraction)) => digits(seconds) && digits(fraction),
        None => digits(unsigned),
    };
    let seconds: f64 = number.parse().ok().filter(|_| is_duration)?;
    Some(format!("{seconds:.9}s"))
}

/// 1.0 as 1.
fn whole(number: &Number) -> Number {
    match number.as_f64() {
        Some(float) if number.is_f64() && float.fract() == 0.0 => {
            format!("{float:.0}").parse::<i64>().map_or_else(|_| number.clone(), Number::from)
        }
        _ => number.clone(),
    }
}

/// A text by which values sort: their JSON with sorted members, non-ASCII characters escaped.
pub(super) fn key(value: &Value) -> String {
    let mut out = String::new();
    write_key(value, &mut out);
    out
}

fn write_key(value: &Value, out: &mut String) {
    match value {
        Value::Object(members) => {
            let mut sorted: Vec<(&String, &Value)> = members.iter().collect();
            sorted.sort_by_key(|(name, _)| *name);
            out.push('{');
            for (at, (name, value)) in sorted.into_iter().enumerate() {
                out.push_str(if at == 0 { "" } else { ", " });
                write_text(name, out);
                out.push_str(": ");
                write_key(value, out);
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                out.push_str(if at == 0 { "" } else { ", " });
                write_key(item, out);
            }
            out.push(']');
        }
        Value::String(text) => write_text(text, out),
        Value::Null | Value::Bool(_) | Value::Number(_) => out.push_str(&value.to_string()),
    }
}

fn write_text(text: &str, out: &mut String) {
    let quoted = Value::from(text).to_string();
    for c in quoted.chars() {
        if c.is_ascii() {
            out.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing into a string cannot fail.
                let _written = write!(out, "\\u{unit:04x}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check_same(a: &Value, b: &Value, same: bool) {
        assert_eq!(canonical(a) == canonical(b), same, "{a} {b}");
    }

    #[test]
    fn absent_is_null_and_numbers_compare_by_value() {
        check_same(&json!({"a": null, "b": 1.0}), &json!({"b": 1}), true);
        check_same(&json!({"a": false}), &json!({}), false);
        check_same(&json!({"b": 1.5}), &json!({"b": 1}), false);
    }

    #[test]
    fn durations_compare_by_value() {
        check_same(&json!("1s"), &json!("1.000s"), true);
        check_same(&json!("0.100s"), &json!("0.1s"), true);
        check_same(&json!("1s"), &json!("1.s"), false);
        check_same(&json!("s"), &json!("0s"), false);
    }

    #[test]
    fn only_lists_without_meaning_are_sorted() {
        check_same(&json!({"domains": ["b", "a"]}), &json!({"domains": ["a", "b"]}), true);
        check_same(&json!({"routes": ["b", "a"]}), &json!({"routes": ["a", "b"]}), false);
        let assignment = |first: u32, second: u32| json!({"clusterName": "c", "endpoints": [{"priority": first}, {"priority": second}]});
        check_same(&assignment(0, 1), &assignment(1, 0), true);
        check_same(&json!({"endpoints": [1, 2]}), &json!({"endpoints": [2, 1]}), false);
    }

    #[test]
    fn a_key_is_sorted_and_ascii() {
        assert_eq!(
            key(&json!({"b": "ü😀", "a": [1, null]})),
            "{\"a\": [1, null], \"b\": \"\\u00fc\\ud83d\\ude00\"}"
        );
    }
}
