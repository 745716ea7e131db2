//! Keys of tokens in a policy: a set in JSON, or a single one.
use serde_json::{Deserializer, Map, Value};

use crate::manifest::decode::{base64, clip};
use crate::resource::validate::Violations;

/// What every kind of key may have as a text; `x5u`, which upstream calls `x58`, may be anything.
const TEXTS: [&str; 6] = ["alg", "kid", "use", "x58", "x5t", "x5t#S256"];
/// What every kind of key may have as a list of texts.
const LISTS: [&str; 2] = ["key_ops", "x5c"];
/// Parts of a private RSA key that may be missing.
const FACTORS: [&str; 5] = ["dp", "dq", "p", "q", "qi"];

/// Checks the keys: each is of a known kind and has its parts, in base64.
///
/// Whether the parts are a key is read by the data plane, and so are certificates beside it.
///
/// # Upstream
///
/// lestrrat-go/jwx `jwk/jwk.go` `Parse`, `jwk/set.go` `UnmarshalJSON`, which istio/istio
/// `pkg/config/validation/validation.go` `validateJwtRule` calls; `warnPrivateJwksKeys`.
pub(super) fn check(violations: &mut Violations, text: &str) {
    match read(text) {
        Err(message) => {
            let help = "write it as JSON: `{\"keys\": [...]}`, each key with all its parts";
            violations.error("JWT-JWKS", &message, help);
        }
        Ok(keys) if keys.iter().any(is_private) => {
            let message = "a key is private, and tokens are checked with public ones";
            violations.warning("JWT-PRIVATE-KEY", message, "write the public key only");
        }
        Ok(_) => {}
    }
}

/// Reads the keys, or says what is wrong. What follows the first value of the text is not read.
fn read(text: &str) -> Result<Vec<Value>, String> {
    let first = Deserializer::from_str(text).into_iter::<Value>().next();
    let Some(Ok(Value::Object(mut set))) = first else {
        return Err("the text is not a set of keys".to_owned());
    };
    let keys = match set.remove("keys") {
        Some(Value::Array(keys)) => keys,
        Some(Value::Null) => Vec::new(),
        Some(_) => return Err("`keys` is not a list".to_owned()),
        None => vec![Value::Object(set)],
    };
    keys.iter().try_for_each(key)?;
    Ok(keys)
}

/// What is wrong with a key.
fn key(value: &Value) -> Result<(), String> {
    let Some(key) = value.as_object() else { return Err("a key is not an object".to_owned()) };
    let kind = key.get("kty").and_then(Value::as_str).unwrap_or_default();
    let (needed, is_curve): (&[&str], bool) = match kind {
        "RSA" => (&["n", "e"], false),
        "EC" => (&["x", "y"], true),
        "OKP" => (&["x"], true),
        "oct" => (&["k"], false),
        _ => return Err(format!("`{}` is not a kind of key", clip(kind))),
    };
    if is_curve && !key.get("crv").is_some_and(is_text) {
        return Err(format!("a key of kind {kind} lacks `crv`"));
    }
    for name in needed {
        match key.get(*name) {
            None => return Err(format!("a key of kind {kind} lacks `{name}`")),
            Some(part) if !is_bytes(part) => return Err(format!("`{name}` is not base64")),
            Some(_) => {}
        }
    }
    let private: &[&str] = if kind == "RSA" { &FACTORS } else { &[] };
    let private = private.iter().filter(|_| key.contains_key("d")).chain(["d"].iter());
    let private = private.filter(|_| kind != "oct");
    all(key, private, is_bytes)?;
    all(key, TEXTS.iter(), is_text)?;
    all(key, LISTS.iter(), is_list)
}

/// Checks fields of a key that may be missing.
fn all<'n>(
    key: &Map<String, Value>,
    mut names: impl Iterator<Item = &'n &'n str>,
    test: fn(&Value) -> bool,
) -> Result<(), String> {
    let wrong = names.find(|name| key.get(**name).is_some_and(|value| !test(value)));
    wrong.map_or(Ok(()), |name| Err(format!("`{name}` of a key is of another kind")))
}

/// A text; null is an empty one.
fn is_text(value: &Value) -> bool {
    value.is_string() || value.is_null()
}

/// A list of texts; null is an empty one.
fn is_list(value: &Value) -> bool {
    value.is_null() || value.as_array().is_some_and(|list| list.iter().all(is_text))
}

/// A text in either alphabet of base64, not in both.
fn is_bytes(value: &Value) -> bool {
    let is_encoded = |text: &str| {
        let is_mixed = text.contains(['+', '/']) && text.contains(['-', '_']);
        !is_mixed && base64(text).is_some()
    };
    value.is_null() || value.as_str().is_some_and(is_encoded)
}

fn is_private(key: &Value) -> bool {
    key.get("d").is_some() || key.get("kty").and_then(Value::as_str) == Some("oct")
}
