//! Keys of maps: always texts, whatever YAML made of them.
use std::collections::HashMap;

use super::Fault;
use crate::manifest::{Entry, Place};

/// Returns the text of a whole number as a key: one of more than 64 bits is a float upstream, and one that takes
/// all 64 without a sign is refused there.
///
/// # Upstream
///
/// kubernetes-sigs/yaml `goyaml.v2/resolve.go` `resolve`, `convertToJSONableObject`.
pub(super) fn of_integer(number: i128) -> Option<String> {
    if i64::try_from(number).is_ok() {
        return Some(number.to_string());
    }
    #[expect(clippy::cast_precision_loss, reason = "upstream reads such a number so")]
    let float = || of_float(number as f64);
    u64::try_from(number).is_err().then(float)
}

/// Returns the text of a number as a key, as kubernetes-sigs/yaml writes it: as few digits as tell a
/// 32-bit float apart, with an exponent below 1e-4 and from 1e6 on; `.inf` and `.nan` as YAML has them.
///
/// # Upstream
///
/// kubernetes-sigs/yaml `convertToJSONableObject`; Go `strconv.FormatFloat(key, 'g', -1, 32)`.
pub(super) fn of_float(number: f64) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "upstream prints keys with 32 bits")]
    let number = number as f32;
    if !number.is_finite() {
        let text = if number.is_nan() { ".nan" } else { ".inf" };
        let sign = if number.is_sign_negative() && !number.is_nan() { "-" } else { "" };
        return format!("{sign}{text}");
    }
    let scientific = format!("{number:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if (-4..6).contains(&exponent) {
        return number.to_string();
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.unsigned_abs())
}

/// Finds the second of two equal keys.
pub(super) fn duplicate(entries: &[Entry]) -> Option<Fault> {
    // Almost every map is small, and then comparing all pairs costs less than a table.
    if entries.len() <= 8 {
        return entries.iter().enumerate().find_map(|(index, entry)| {
            let first = entries.iter().take(index).find(|first| first.key == entry.key)?;
            Some(given_twice(&entry.key, entry.place, Some(first.place)))
        });
    }
    let mut seen = HashMap::with_capacity(entries.len());
    entries.iter().find_map(|entry| {
        let first: Place = seen.insert(&*entry.key, entry.place)?;
        Some(given_twice(&entry.key, entry.place, Some(first)))
    })
}

/// Says that a key is given a second time.
pub(super) fn given_twice(key: &str, place: Place, first: Option<Place>) -> Fault {
    let key = crate::manifest::decode::clip(key);
    // Relative: a document that moves within its file is told the same of.
    let message = match first.map(|first| place.line.saturating_sub(first.line)) {
        Some(0) => format!("the key `{key}` is given twice, first in the same line"),
        Some(1) => format!("the key `{key}` is given twice, first one line above"),
        Some(lines) => format!("the key `{key}` is given twice, first {lines} lines above"),
        None => format!("the key `{key}` is given twice"),
    };
    Fault::new("YAML-DUPLICATE-KEY", place, message, "keep one of them")
}
