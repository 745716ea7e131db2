//! A document as a tree that knows where everything stands in the text.
use super::FieldName;

/// A line and a column, both counted from 1; the column counts characters.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[expect(clippy::exhaustive_structs, reason = "a place has these two parts")]
pub struct Place {
    /// The line, from 1; 0 where the text has no place for the thing (an absent field).
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
}

/// A value and where it begins.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "readers of other formats build nodes")]
pub struct Node {
    /// The value.
    pub value: Value,
    /// Where it begins; a text in a block (`|`, `>`) at the first of its lines that is not empty.
    pub place: Place,
    /// By how many columns the lines of a text are indented that stand as they are (`|`); `None` for
    /// anything else: it has no lines in the document, or not the same.
    pub indent: Option<u32>,
}

/// What a document can hold, as the Kubernetes API reads YAML 1.1 and JSON.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "the data model of JSON")]
pub enum Value {
    /// Nothing: the same as an absent field, except as a map value where a rule says so.
    Null,
    /// A boolean, in YAML 1.1 also `yes`, `no`, `on`, `off`, `y`, `n`.
    Bool(bool),
    /// A whole number; wide enough for `i64` and `u64`.
    Integer(i128),
    /// Any other number.
    Float(f64),
    /// A text.
    String(Box<str>),
    /// A list.
    List(Vec<Node>),
    /// A map in document order, without duplicate keys.
    Map(Vec<Entry>),
}

/// A key of a map with its value.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "readers of other formats build nodes")]
pub struct Entry {
    /// The key; booleans and numbers have become their text.
    pub key: FieldName,
    /// Where the key begins.
    pub place: Place,
    /// The value.
    pub node: Node,
}

impl Node {
    /// Returns the member of a map under any of the given names; under several that of the first name.
    pub fn get(&self, names: &[&str]) -> Option<&Self> {
        let named = |name: &&str| self.entries().iter().find(|entry| *entry.key == **name);
        names.iter().find_map(named).map(|entry| &entry.node)
    }

    /// Returns the entries of a map, none for anything else.
    pub fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Map(entries) => entries,
            Value::Null
            | Value::Bool(_)
            | Value::Integer(_)
            | Value::Float(_)
            | Value::String(_)
            | Value::List(_) => &[],
        }
    }

    /// Returns the text, `None` for anything else.
    pub fn as_str(&self) -> Option<&str> {
        match &self.value {
            Value::String(text) => Some(text),
            Value::Null
            | Value::Bool(_)
            | Value::Integer(_)
            | Value::Float(_)
            | Value::List(_)
            | Value::Map(_) => None,
        }
    }

    /// Returns whether nothing is given.
    pub fn is_null(&self) -> bool {
        matches!(self.value, Value::Null)
    }

    /// Finds the place of a field path such as `spec.http[0].route`, or of the nearest part of it
    /// that is in the document.
    ///
    /// A key that itself holds `.` or `[` (a label) is found when it is the rest of the path.
    pub fn locate(&self, path: &str) -> Place {
        let mut here = self;
        let mut place = self.place;
        let mut rest = path;
        while !rest.is_empty() {
            let Some((place_of_step, node, remaining)) = here.step(rest) else { break };
            (place, here, rest) = (place_of_step, node, remaining);
        }
        place
    }

    /// Takes the first step of a path: the place of its key or element, its value, what is left.
    fn step<'n, 'p>(&'n self, path: &'p str) -> Option<(Place, &'n Self, &'p str)> {
        if let Value::List(items) = &self.value {
            let (index, rest) = path.strip_prefix('[')?.split_once(']')?;
            let node = items.get(index.parse::<usize>().ok()?)?;
            return Some((node.place, node, rest.strip_prefix('.').unwrap_or(rest)));
        }
        let after = |entry: &'n Entry| {
            let rest = without_field(path, &entry.key)?;
            (rest.is_empty() || rest.starts_with(['.', '['])).then_some((entry, rest))
        };
        // The longest key wins: `a.b` before `a`.
        let steps = self.entries().iter().filter_map(after);
        let (entry, rest) = steps.min_by_key(|(_, rest)| rest.len())?;
        Some((entry.place, &entry.node, rest.strip_prefix('.').unwrap_or(rest)))
    }

    /// Names the kind of value, as a message says it.
    pub fn kind(&self) -> &'static str {
        match &self.value {
            Value::Null => "null",
            Value::Bool(_) => "a boolean",
            Value::Integer(_) | Value::Float(_) => "a number",
            Value::String(_) => "a text",
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
        }
    }
}

/// What follows a key in a path that begins with it; a path has lowerCamelCase names, a key may have its
/// name in snake_case.
fn without_field<'p>(path: &'p str, key: &str) -> Option<&'p str> {
    if let Some(rest) = path.strip_prefix(key) {
        return Some(rest);
    }
    let mut rest = path.chars();
    let mut begins_word = false;
    for letter in key.chars() {
        if letter == '_' {
            begins_word = true;
            continue;
        }
        let meant = if begins_word { letter.to_ascii_uppercase() } else { letter };
        begins_word = false;
        if rest.next() != Some(meant) {
            return None;
        }
    }
    key.contains('_').then_some(rest.as_str())
}

impl From<&serde_json::Value> for Node {
    /// Builds the tree of a JSON value; every place is line 0.
    ///
    /// A number beyond 64 bits is the float that serde_json made of it.
    fn from(json: &serde_json::Value) -> Self {
        let value = match json {
            serde_json::Value::Null => Value::Null,
            serde_json::Value::Bool(value) => Value::Bool(*value),
            serde_json::Value::Number(number) => match number.as_i128() {
                Some(integer) => Value::Integer(integer),
                None => Value::Float(number.as_f64().unwrap_or_default()),
            },
            serde_json::Value::String(text) => Value::String(text.as_str().into()),
            serde_json::Value::Array(items) => Value::List(items.iter().map(Self::from).collect()),
            serde_json::Value::Object(members) => {
                let entry = |(key, value): (&String, &serde_json::Value)| Entry {
                    key: key.as_str().into(),
                    place: Place::default(),
                    node: Self::from(value),
                };
                Value::Map(members.iter().map(entry).collect())
            }
        };
        Self { value, place: Place::default(), indent: None }
    }
}
