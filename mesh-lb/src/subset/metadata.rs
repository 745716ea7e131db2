//! Metadata of hosts and criteria of requests.
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// A value of metadata; values of different kinds are never equal.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_enums, reason = "the kinds of a protobuf value")]
pub enum MetadataValue {
    /// Nothing.
    Null,
    /// A truth value.
    Bool(bool),
    /// A number; 1 and 1.0 are the same.
    Number(f64),
    /// Text.
    Text(Box<str>),
    /// A list.
    List(Vec<Self>),
    /// Fields.
    Struct(BTreeMap<Box<str>, Self>),
}

impl MetadataValue {
    const fn kind(&self) -> u8 {
        match self {
            Self::Null => 0,
            Self::Bool(_) => 1,
            Self::Number(_) => 2,
            Self::Text(_) => 3,
            Self::List(_) => 4,
            Self::Struct(_) => 5,
        }
    }
}

impl Ord for MetadataValue {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Bool(one), Self::Bool(other)) => one.cmp(other),
            // Adding 0 makes the two zeros one.
            (Self::Number(one), Self::Number(other)) => (one + 0.0).total_cmp(&(other + 0.0)),
            (Self::Text(one), Self::Text(other)) => one.cmp(other),
            (Self::List(one), Self::List(other)) => one.cmp(other),
            (Self::Struct(one), Self::Struct(other)) => one.cmp(other),
            _ => self.kind().cmp(&other.kind()),
        }
    }
}

impl PartialOrd for MetadataValue {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for MetadataValue {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for MetadataValue {}

/// What a request asks of its host's metadata: values by key.
#[derive(Clone, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct Criteria(BTreeMap<Box<str>, MetadataValue>);

impl Criteria {
    /// Asks for these values.
    pub const fn new(values: BTreeMap<Box<str>, MetadataValue>) -> Self {
        Self(values)
    }

    /// Asks for more; the later value of a key counts.
    #[must_use]
    pub fn merge(&self, more: &BTreeMap<Box<str>, MetadataValue>) -> Self {
        let mut merged = self.0.clone();
        merged.extend(more.iter().map(|(key, value)| (key.clone(), value.clone())));
        Self(merged)
    }

    /// Asks for nothing but the values of `keys`.
    pub(super) fn reduced(&self, keys: &[Box<str>]) -> Self {
        let values = keys.iter().filter_map(|key| self.0.get_key_value(key));
        Self(values.map(|(key, value)| (key.clone(), value.clone())).collect())
    }

    pub(super) fn without(&self, key: &str) -> Self {
        let mut values = self.0.clone();
        values.remove(key);
        Self(values)
    }

    pub(super) fn value(&self, key: &str) -> Option<&MetadataValue> {
        self.0.get(key)
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(|key| &**key)
    }

    pub(super) fn insert(&mut self, key: Box<str>, value: MetadataValue) {
        self.0.insert(key, value);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(one: &MetadataValue, other: &MetadataValue, equal: bool) {
        assert_eq!(one == other, equal, "{one:?} {other:?}");
    }

    #[test]
    fn values_are_equal_by_kind_and_content() {
        use MetadataValue::{Bool, List, Number, Text};
        check(&Number(0.0), &Number(-0.0), true);
        check(&Bool(true), &Text("true".into()), false);
        check(&Number(1.0), &Text("1".into()), false);
        check(&List(vec![Number(1.0)]), &List(vec![Number(1.0)]), true);
        check(&List(vec![Number(1.0)]), &Number(1.0), false);
    }
}
