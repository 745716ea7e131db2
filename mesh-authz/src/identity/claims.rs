//! Structured values: the claims of a token and the metadata of earlier filters.
use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

/// A structured value, as JSON has them.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "JSON has these six kinds")]
pub enum Value {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number; metadata holds doubles only.
    Number(f64),
    /// A text.
    Text(Box<str>),
    /// A list.
    List(Box<[Self]>),
    /// A map.
    Map(BTreeMap<Box<str>, Self>),
}

impl Value {
    /// Follows keys through nested maps.
    pub(crate) fn at(&self, path: &[Box<str>]) -> Option<&Self> {
        path.iter().try_fold(self, |value, key| match value {
            Self::Map(map) => map.get(key),
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::Text(_) | Self::List(_) => None,
        })
    }
}

/// As JSON; a number that JSON does not have is `null`.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(value) => write!(f, "{value}"),
            Self::Number(value) if value.is_finite() => write!(f, "{value}"),
            Self::Null | Self::Number(_) => f.write_str("null"),
            Self::Text(text) => quoted(f, text),
            Self::List(values) => {
                let values = values.iter();
                let values =
                    values.map(|value| move |f: &mut fmt::Formatter<'_>| write!(f, "{value}"));
                joined(f, ['[', ']'], values)
            }
            Self::Map(map) => {
                let entries = map.iter().map(|(name, value)| {
                    move |f: &mut fmt::Formatter<'_>| {
                        quoted(f, name)?;
                        write!(f, ": {value}")
                    }
                });
                joined(f, ['{', '}'], entries)
            }
        }
    }
}

fn quoted(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_char('"')?;
    for character in text.chars() {
        match character {
            '"' | '\\' => write!(f, "\\{character}")?,
            control if u32::from(control) < 0x20 => write!(f, "\\u{:04x}", u32::from(control))?,
            other => f.write_char(other)?,
        }
    }
    f.write_char('"')
}

fn joined(
    f: &mut fmt::Formatter<'_>,
    [open, close]: [char; 2],
    parts: impl Iterator<Item = impl FnOnce(&mut fmt::Formatter<'_>) -> fmt::Result>,
) -> fmt::Result {
    f.write_char(open)?;
    for (place, part) in parts.enumerate() {
        if place > 0 {
            f.write_str(", ")?;
        }
        part(f)?;
    }
    f.write_char(close)
}

/// Dynamic metadata of a request: what each filter wrote, under the filter's name.
#[derive(Clone, Debug, Default, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "metadata is its map")]
pub struct Metadata {
    /// What each namespace holds, a [`Value::Map`] as a rule.
    pub namespaces: BTreeMap<Box<str>, Value>,
}

/// The payload of a validated token, as policies see it.
#[derive(Clone, Debug, PartialEq)]
pub struct Payload(
    // INVARIANT: a map; claims of space-delimited words are lists already.
    Value,
);

/// Claims whose text is a list of words, whatever the rule says.
const SPACE_DELIMITED: [&str; 2] = ["permission", "scope"];

impl Payload {
    /// Takes the claims of a token whose signature and times have been checked.
    ///
    /// The texts of the top-level claims `permission`, `scope` and those in `space_delimited` become
    /// lists of their words; an empty text stays one.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/security/authn/policy_applier.go` `convertToEnvoyJwtConfig`;
    /// envoyproxy/envoy `source/extensions/filters/http/jwt_authn/authenticator.cc`.
    pub fn new(claims: BTreeMap<Box<str>, Value>, space_delimited: &[Box<str>]) -> Self {
        let is_list = |name: &str| {
            SPACE_DELIMITED.contains(&name) || space_delimited.iter().any(|other| **other == *name)
        };
        let claims = claims.into_iter().map(|(name, value)| {
            let value = if is_list(&name) { words(value) } else { value };
            (name, value)
        });
        Self(Value::Map(claims.collect()))
    }

    /// Returns the claims.
    pub fn value(&self) -> &Value {
        &self.0
    }
}

/// A text that is not empty as the list of its words; any other value as it is.
fn words(value: Value) -> Value {
    let Value::Text(text) = &value else { return value };
    if text.is_empty() {
        return value;
    }
    let words = text.split(' ').filter(|word| !word.is_empty());
    Value::List(words.map(|word| Value::Text(word.into())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn space_delimited_claims_become_lists_of_words() {
        let claims =
            [("scope", "read  write"), ("roles", "a"), ("name", "a b"), ("permission", "")];
        let claims = claims.map(|(name, text)| (name.into(), Value::Text(text.into())));
        let payload = Payload::new(claims.into(), &["roles".into()]);
        let text = |text: &str| Value::Text(text.into());
        let at = |name: &str| payload.value().at(&[name.into()]).unwrap().clone();
        assert_eq!(at("scope"), Value::List([text("read"), text("write")].into()));
        assert_eq!(at("roles"), Value::List([text("a")].into()));
        assert_eq!(at("name"), text("a b"));
        assert_eq!(at("permission"), text(""));
    }

    #[test]
    fn values_are_shown_as_json() {
        let text = |text: &str| Value::Text(text.into());
        let list = Value::List([Value::Null, Value::Bool(true), Value::Number(1.5)].into());
        let map = [("a".into(), list), ("b\"".into(), text("x\n\\"))];
        assert_eq!(
            Value::Map(map.into()).to_string(),
            r#"{"a": [null, true, 1.5], "b\"": "x\u000a\\"}"#
        );
        assert_eq!(Value::Map(BTreeMap::new()).to_string(), "{}");
    }
}
