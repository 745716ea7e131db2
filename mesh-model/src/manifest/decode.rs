//! From nodes to typed values, with every problem of a document reported at once.
//!
//! The rules are those of the proto JSON mapping as istiod reads it: a field is accepted in
//! lowerCamelCase and in snake_case, integers may be quoted, `null` means absent, an enum is a name
//! or its number, two members of a oneof are an error, and a text is never made of a number or a
//! boolean. The types of a kind are declared with [`message!`], [`choice!`] and [`oneof!`].
//!
//! A field that is absent has the default of its type, so a message is read by laying the document
//! over a value: its default, or for documents that say only a part another one.
//!
//! # Upstream
//!
//! istio/istio `pkg/util/protomarshal`; golang/protobuf `jsonpb`.
use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Entry, Node, Place, Value};
use crate::name::Labels;

mod bytes;
mod macros;
mod scalar;
mod timestamp;

pub(crate) use self::bytes::{base64, to_base64};
pub(crate) use self::macros::{
    choice, message, oneof, read, spelling, spellings, unknown, write, write_field,
};
pub(crate) use self::scalar::{clip, text};
pub(crate) use self::timestamp::Timestamp;
pub(crate) use crate::name::nearest_name as nearest;

/// A problem found while decoding; the loader adds the file and the object.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Problem {
    pub(crate) code: &'static str,
    pub(crate) place: Place,
    pub(crate) field: String,
    pub(crate) message: String,
    pub(crate) help: String,
}

/// What decoding has found so far, and where it is.
#[derive(Debug, Default)]
pub(crate) struct Cursor {
    path: String,
    /// Whether what cannot be read is left at its default in place of failing what holds it: such a
    /// value is only good for looking for more that is wrong.
    keeps_partial: bool,
    /// Whether a label that is null is an empty one: in Kubernetes' own types, not where a schema asks
    /// for a text.
    takes_null_labels: bool,
    /// What makes the document unusable.
    pub(crate) errors: Vec<Problem>,
    /// Fields that the kind does not have: dropped, as istiod and the API server do, and reported.
    pub(crate) unknown: Vec<Problem>,
    /// What is used and cannot be what was meant.
    pub(crate) warnings: Vec<Problem>,
    /// What is good to know.
    pub(crate) notes: Vec<Problem>,
}

impl Cursor {
    /// A cursor that reads what can be read around errors.
    pub(crate) fn partial() -> Self {
        Self { keeps_partial: true, ..Self::default() }
    }

    /// Runs `inner` on what is of a type of Kubernetes' own, or is not.
    pub(crate) fn in_kubernetes<T>(&mut self, is: bool, inner: impl FnOnce(&mut Self) -> T) -> T {
        let before = std::mem::replace(&mut self.takes_null_labels, is);
        let result = inner(self);
        self.takes_null_labels = before;
        result
    }

    /// Runs `inner` with a field appended to the path.
    pub(crate) fn field<T>(&mut self, name: &str, inner: impl FnOnce(&mut Self) -> T) -> T {
        let length = self.path.len();
        if !self.path.is_empty() {
            self.path.push('.');
        }
        self.path.push_str(name);
        let result = inner(self);
        self.path.truncate(length);
        result
    }

    /// Runs `inner` with a list index appended to the path.
    pub(crate) fn index<T>(&mut self, index: usize, inner: impl FnOnce(&mut Self) -> T) -> T {
        let length = self.path.len();
        push_index(&mut self.path, index);
        let result = inner(self);
        self.path.truncate(length);
        result
    }

    /// Reports that the value here cannot be used.
    pub(crate) fn error(
        &mut self,
        code: &'static str,
        place: Place,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        let (message, help) = (message.into(), help.into());
        self.errors.push(Problem { code, place, field: self.path.clone(), message, help });
    }

    /// Reports a value that is used and cannot be what was meant.
    pub(crate) fn warn(
        &mut self,
        code: &'static str,
        place: Place,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        let (message, help) = (message.into(), help.into());
        self.warnings.push(Problem { code, place, field: self.path.clone(), message, help });
    }

    /// Reports what is good to know.
    pub(crate) fn note(
        &mut self,
        code: &'static str,
        place: Place,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        let (message, help) = (message.into(), help.into());
        self.notes.push(Problem { code, place, field: self.path.clone(), message, help });
    }

    /// Reports that a value of another kind stands here.
    pub(crate) fn mismatch(&mut self, node: &Node, expected: &str) {
        let message = format!("expected {expected}, found {}", describe(node));
        let is_unquoted =
            matches!(node.value, Value::Bool(_) | Value::Integer(_) | Value::Float(_));
        let help = match expected {
            "a text" if is_unquoted => "put it in quotes: unquoted it is not a text in YAML",
            "a map" => "write the fields below it, each as `name: value`",
            "a list" => "write every item on a line of its own behind `- `",
            _ => "write a value of that kind, or leave the field out",
        };
        self.error("FIELD-TYPE", node.place, message, help);
    }

    /// Reports the entries of a map that are none of the known fields, and those that are the other spelling of
    /// one that is given, too.
    pub(crate) fn unknown_fields(&mut self, node: &Node, known: &[&[(&str, &str)]]) {
        for entry in node.entries() {
            let key = &*entry.key;
            let mut spellings = known.iter().copied().flatten();
            let spelt = spellings.find(|(camel, snake)| key == *camel || key == *snake);
            if let Some((camel, _)) = spelt {
                if key != *camel && !entry.node.is_null() && node.get(&[camel]).is_some() {
                    self.spelt_twice(entry, camel);
                }
                continue;
            }
            let names = known.iter().copied().flatten().map(|(camel, _)| *camel);
            let help = match nearest(key, names.clone()) {
                Some(name) => format!("did you mean `{name}`?"),
                // A long list helps nobody.
                None if !(1..=12).contains(&names.clone().count()) => {
                    "look for its name in the reference of the kind, or remove it".to_owned()
                }
                None => format!("known fields: {}", names.collect::<Vec<_>>().join(", ")),
            };
            let field = self.field(key, |cursor| cursor.path.clone());
            self.unknown.push(Problem {
                code: "FIELD-UNKNOWN",
                place: entry.place,
                field,
                message: format!("unknown field `{key}` is ignored"),
                help,
            });
        }
    }

    /// Reports a field under its second spelling, where it is given under the first.
    ///
    /// # Upstream
    ///
    /// golang/protobuf `jsonpb/decode.go` `unmarshalMessage`, which istiod reads every object with: the value of
    /// the name in JSON replaces that of the name in proto, in either order, and nothing is said of it.
    fn spelt_twice(&mut self, entry: &Entry, camel: &str) {
        let key = &*entry.key;
        let message = format!("`{key}` is `{camel}`, which is given, too: `{key}` is ignored");
        let help = format!("say what is meant by `{camel}`, and remove `{key}`");
        self.field(key, |cursor| cursor.warn("FIELD-SPELT-TWICE", entry.place, message, help));
    }

    /// Makes errors of the unknown fields whose paths begin so: for formats of our own, and where a
    /// field that is ignored does harm.
    pub(crate) fn refuse_unknown(&mut self, path: &str) {
        let refused = self.unknown.extract_if(.., |problem| problem.field.starts_with(path));
        let refused = refused.map(|problem| Problem {
            message: problem.message.replace(" is ignored", ""),
            ..problem
        });
        self.errors.extend(refused);
    }

    /// Reads the name or the number of an enum, given as name, number if it has any, value.
    pub(crate) fn enumerated<T: Copy>(
        &mut self,
        node: &Node,
        names: &[(&str, Option<i128>, T)],
    ) -> Option<T> {
        let found = match &node.value {
            Value::String(text) => names.iter().find(|(name, ..)| *name == &**text),
            Value::Integer(number) => names.iter().find(|(_, known, _)| *known == Some(*number)),
            Value::Null | Value::Bool(_) | Value::Float(_) | Value::List(_) | Value::Map(_) => {
                self.mismatch(node, "the name of a value");
                return None;
            }
        };
        if found.is_none() {
            let known = names.iter().map(|(name, ..)| *name).filter(|name| !name.is_empty());
            let known: Vec<&str> = known.collect();
            let message = format!("{} is not a value of this field", describe(node));
            self.error("FIELD-ENUM", node.place, message, format!("one of {}", known.join(", ")));
        }
        found.map(|(.., value)| *value)
    }

    /// Returns whether `node` is a map, reporting it if not.
    pub(crate) fn expect_map(&mut self, node: &Node) -> bool {
        let is_map = matches!(node.value, Value::Map(_));
        if !is_map {
            self.mismatch(node, "a map");
        }
        is_map
    }

    /// Reports every second member of a oneof that is given.
    pub(crate) fn exclusive(&mut self, node: &Node, members: &[(&str, &str)]) {
        let mut first: Option<&str> = None;
        for entry in node.entries().iter().filter(|entry| !entry.node.is_null()) {
            let Some((camel, _)) = members
                .iter()
                .find(|(camel, snake)| *entry.key == **camel || *entry.key == **snake)
            else {
                continue;
            };
            match first {
                None => first = Some(camel),
                // Its other spelling.
                Some(first) if first == *camel => {}
                Some(first) => {
                    let message = format!("`{camel}` cannot be set together with `{first}`");
                    self.error("FIELD-ONEOF", entry.place, message, "keep one of them");
                }
            }
        }
    }
}

/// Adds an index in brackets to a path, without the machinery of formatting: every item of every list comes by
/// here.
pub(crate) fn push_index(path: &mut String, index: usize) {
    path.push('[');
    match u8::try_from(index).ok().and_then(|index| char::from_digit(index.into(), 10)) {
        Some(digit) => path.push(digit),
        None => path.push_str(&index.to_string()),
    }
    path.push(']');
}

/// A type that can be read from a node.
pub(crate) trait Decode: Sized {
    /// Reads the value; `None` after an error has been reported.
    fn decode(node: &Node, cursor: &mut Cursor) -> Option<Self>;
}

/// A message, declared with [`message!`].
pub(crate) trait Message: Default {
    /// Replaces the fields that the node gives, leaving the others, and those that cannot be read, as
    /// they are.
    fn overlay(&mut self, node: &Node, cursor: &mut Cursor);
}

/// A oneof, declared with [`oneof!`].
pub(crate) trait Oneof: Sized {
    /// The two spellings of every member.
    const MEMBERS: &[(&str, &str)];

    /// Reads the member that a map has, if it has any and it can be read.
    fn read(node: &Node, cursor: &mut Cursor) -> Option<Self>;

    /// Returns the name and the value of the member that is given, if any is.
    fn member(&self) -> Option<(&'static str, Value)>;
}

/// Reads a message; `None` if anything in it cannot be read.
pub(crate) fn message<T: Message>(node: &Node, cursor: &mut Cursor) -> Option<T> {
    let errors = cursor.errors.len();
    if !cursor.expect_map(node) {
        return None;
    }
    let mut message = T::default();
    message.overlay(node, cursor);
    (cursor.keeps_partial || cursor.errors.len() == errors).then_some(message)
}

/// Reads a oneof that is a message of its own; the inner `None` if no member is given.
pub(crate) fn oneof<T: Oneof>(node: &Node, cursor: &mut Cursor) -> Option<Option<T>> {
    let errors = cursor.errors.len();
    if !cursor.expect_map(node) {
        return None;
    }
    cursor.unknown_fields(node, &[T::MEMBERS]);
    let found = T::read(node, cursor);
    (cursor.keeps_partial || cursor.errors.len() == errors).then_some(found)
}

/// Reads a field of a map under its two spellings into `target`, which stays as it is where the field
/// is absent or cannot be read. Of both spellings the first counts.
pub(crate) fn field<T: Decode>(
    node: &Node,
    cursor: &mut Cursor,
    (camel, snake): (&str, &str),
    target: &mut T,
) {
    let spellings = [camel, snake];
    // Most fields have one, and most are absent: they are not looked for twice.
    let spellings = if camel == snake { &spellings[..1] } else { &spellings[..] };
    let Some(found) = node.get(spellings) else { return };
    if found.is_null() {
        return;
    }
    if let Some(value) = cursor.field(camel, |cursor| T::decode(found, cursor)) {
        *target = value;
    }
}

/// An optional value; `null` is none where it stands as a value of a map.
impl<T: Decode> Decode for Option<T> {
    fn decode(node: &Node, cursor: &mut Cursor) -> Option<Self> {
        if node.is_null() {
            return Some(None);
        }
        T::decode(node, cursor).map(Some)
    }
}

impl<T: Decode> Decode for Box<T> {
    fn decode(node: &Node, cursor: &mut Cursor) -> Option<Self> {
        T::decode(node, cursor).map(Self::new)
    }
}

impl<T: Decode> Decode for Vec<T> {
    fn decode(node: &Node, cursor: &mut Cursor) -> Option<Self> {
        let Value::List(items) = &node.value else {
            cursor.mismatch(node, "a list");
            return None;
        };
        let mut decoded = Self::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            cursor.index(index, |cursor| {
                if item.is_null() {
                    // The API server refuses it; istiod's decoder alone would read an empty message,
                    // and `rules: [null]` would match everything.
                    cursor.error("FIELD-NULL", item.place, "a list element is null", "remove it");
                } else if let Some(value) = T::decode(item, cursor) {
                    decoded.push(value);
                }
            });
        }
        (cursor.keeps_partial || decoded.len() == items.len()).then_some(decoded)
    }
}

impl<T: Decode> Decode for Box<[T]> {
    fn decode(node: &Node, cursor: &mut Cursor) -> Option<Self> {
        Vec::decode(node, cursor).map(Vec::into_boxed_slice)
    }
}

impl<T: Decode> Decode for Arc<[T]> {
    fn decode(node: &Node, cursor: &mut Cursor) -> Option<Self> {
        Vec::decode(node, cursor).map(Self::from)
    }
}

impl<K: Key, T: Decode> Decode for BTreeMap<K, T> {
    fn decode(node: &Node, cursor: &mut Cursor) -> Option<Self> {
        if !cursor.expect_map(node) {
            return None;
        }
        let errors = cursor.errors.len();
        let mut decoded = Self::new();
        for entry in node.entries() {
            let pair = cursor.field(&entry.key, |cursor| {
                let key = K::read(&entry.key);
                if key.is_none() {
                    let message = format!("`{}` is not a key of this map", clip(&entry.key));
                    cursor.error("FIELD-KEY", entry.place, message, K::HELP);
                }
                key.zip(T::decode(&entry.node, cursor))
            });
            decoded.extend(pair);
        }
        (cursor.keeps_partial || cursor.errors.len() == errors).then_some(decoded)
    }
}

/// A type that a map's key can be read as.
pub(crate) trait Key: Ord {
    /// What to write instead of a key that cannot be read.
    const HELP: &str;

    /// Reads the key.
    fn read(text: &str) -> Option<Self>
    where
        Self: Sized;
}

impl Key for Box<str> {
    const HELP: &str = "write a text";

    fn read(text: &str) -> Option<Self> {
        Some(Self::from(text))
    }
}

impl Key for u32 {
    const HELP: &str = "write a whole number";

    fn read(text: &str) -> Option<Self> {
        scalar::is_whole(text).then(|| text.parse().ok()).flatten()
    }
}

impl Decode for Labels {
    fn decode(node: &Node, cursor: &mut Cursor) -> Option<Self> {
        if !cursor.expect_map(node) {
            return None;
        }
        let errors = cursor.errors.len();
        let entries = node.entries().iter();
        let pairs = entries.filter_map(|entry| {
            if let Value::String(text) = &entry.node.value {
                return Some((&*entry.key, &**text));
            }
            if entry.node.is_null() && cursor.takes_null_labels {
                return Some((&*entry.key, ""));
            }
            cursor.field(&entry.key, |cursor| cursor.mismatch(&entry.node, "a text"));
            None
        });
        let labels = pairs.collect();
        (cursor.keeps_partial || cursor.errors.len() == errors).then_some(labels)
    }
}

/// Describes a value as a message shows it: texts and numbers themselves, others by kind.
fn describe(node: &Node) -> String {
    match &node.value {
        Value::String(text) if text.chars().count() <= 40 => format!("the text `{text}`"),
        Value::Integer(number) => format!("the number `{number}`"),
        Value::Float(number) => format!("the number `{number}`"),
        Value::Bool(value) => format!("the boolean `{value}`"),
        Value::Null | Value::String(_) | Value::List(_) | Value::Map(_) => node.kind().to_owned(),
    }
}

#[cfg(test)]
mod tests;
