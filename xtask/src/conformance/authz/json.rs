//! Reading JSON: every field is taken once, and one that nobody takes is refused.
use mesh_model::name::Labels;
use serde_json::{Map, Value};

/// Why an input is refused.
pub(super) type Rejection = String;

/// The members of an object that have not been taken yet.
pub(super) struct Fields<'v>(Vec<(&'v String, &'v Value)>);

impl<'v> Fields<'v> {
    pub(super) fn of(value: &'v Value) -> Result<Self, Rejection> {
        let map: &Map<String, Value> =
            value.as_object().ok_or_else(|| format!("expected an object, found {value}"))?;
        Ok(Self(map.iter().collect()))
    }

    /// Takes a member; `null` is absent.
    pub(super) fn take(&mut self, name: &str) -> Option<&'v Value> {
        let at = self.0.iter().position(|(key, _)| *key == name)?;
        Some(self.0.swap_remove(at).1).filter(|value| !value.is_null())
    }

    pub(super) fn required(&mut self, name: &str) -> Result<&'v Value, Rejection> {
        self.take(name).ok_or_else(|| format!("`{name}` is missing"))
    }

    pub(super) fn end(self) -> Result<(), Rejection> {
        match self.0.first() {
            None => Ok(()),
            Some((name, _)) => Err(format!("unknown field `{name}`")),
        }
    }
}

pub(super) fn as_text(value: &Value) -> Result<&str, Rejection> {
    value.as_str().ok_or_else(|| format!("expected a text, found {value}"))
}

pub(super) fn boolean(value: &Value) -> Result<bool, Rejection> {
    value.as_bool().ok_or_else(|| format!("expected a boolean, found {value}"))
}

pub(super) fn list(value: &Value) -> Result<&[Value], Rejection> {
    value.as_array().map(Vec::as_slice).ok_or_else(|| format!("expected a list, found {value}"))
}

/// A required text.
pub(super) fn text<'v>(fields: &mut Fields<'v>, name: &str) -> Result<&'v str, Rejection> {
    as_text(fields.required(name)?)
}

/// A list of texts, empty where absent.
pub(super) fn texts(fields: &mut Fields<'_>, name: &str) -> Result<Vec<Box<str>>, Rejection> {
    let Some(value) = fields.take(name) else { return Ok(Vec::new()) };
    list(value)?.iter().map(|value| as_text(value).map(Box::from)).collect()
}

pub(super) fn labels(value: &Value) -> Result<Labels, Rejection> {
    let map = value.as_object().ok_or_else(|| format!("expected an object, found {value}"))?;
    map.iter().map(|(key, value)| as_text(value).map(|value| (key.as_str(), value))).collect()
}
