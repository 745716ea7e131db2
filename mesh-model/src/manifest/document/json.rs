//! JSON: one value after the other, with the place of everything.
//!
//! JSON is YAML, but read as JSON it takes a twentieth of the time, may hold several objects without
//! a `---` between them, and has no trap: a text is always quoted. Escapes that only JSON has (`\/`, a character
//! of two `\u`) are read here as the API server reads them, and refused in YAML; a tool that reads JSON as YAML
//! refuses them here, too.
use super::limits::{self, Limits};
use super::{Fault, key};
use crate::manifest::{Entry, Node, Place, Value};

mod scalar;
#[cfg(test)]
mod tests;

/// Returns whether a document may be JSON: it begins with a brace or a bracket.
pub(super) fn starts(text: &str) -> bool {
    text.trim_start().starts_with(['{', '['])
}

/// Returns whether a document is meant to be JSON even if it is broken: the first key is quoted.
pub(super) fn looks_like(text: &str) -> bool {
    text.trim_start_matches(|c: char| c.is_whitespace() || c == '{' || c == '[').starts_with('"')
}

/// The values of a text, one after the other.
pub(super) struct Objects<'t> {
    text: &'t str,
    limits: &'t Limits,
    /// How far the text has been read, in bytes.
    at: usize,
    /// Where the last value began.
    started: usize,
    line: u32,
    /// A byte of the current line, and its column: columns are counted from there.
    mark: (usize, u32),
    /// How many values the current object may have, and may still have.
    allowed: usize,
    values: usize,
}

type Result<T> = std::result::Result<T, Fault>;

impl<'t> Objects<'t> {
    /// Begins to read a text that stands after `line` lines.
    pub(super) fn new(text: &'t str, line: u32, limits: &'t Limits) -> Self {
        let line = line.saturating_add(1);
        Self { text, limits, at: 0, started: 0, line, mark: (0, 1), allowed: 0, values: 0 }
    }

    /// Reads the next object or list with its source; `None` at the end of the text.
    pub(super) fn next_object(&mut self) -> Result<Option<(Node, &'t str)>> {
        self.skip_blanks();
        self.started = self.at;
        match self.peek() {
            None => return Ok(None),
            Some(b'{' | b'[') => {}
            Some(_) => return Err(self.fault("expected an object")),
        }
        self.allowed = self.limits.values_in(self.text.len().saturating_sub(self.at));
        self.values = self.allowed;
        let place = self.place();
        let value = self.value(0)?;
        let source = self.text.get(self.started..self.at).unwrap_or_default();
        if source.len() > self.limits.list_bytes {
            return Err(limits::list_bytes(self.limits, place));
        }
        Ok(Some((Node { value, place, indent: None }, source)))
    }

    /// Goes on at the next line that begins with a brace; returns what is passed over, from the
    /// beginning of the last object.
    pub(super) fn skip_to_next_line_with_object(&mut self) -> &'t str {
        while let Some(byte) = self.peek() {
            self.at += 1;
            let follows = self.text.as_bytes().get(self.at);
            if byte == b'\n' || byte == b'\r' && follows != Some(&b'\n') {
                self.new_line();
                if follows == Some(&b'{') {
                    break;
                }
            }
        }
        self.text.get(self.started..self.at).unwrap_or_default()
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Passes over a byte if it comes next.
    fn take(&mut self, byte: u8) -> bool {
        let comes = self.peek() == Some(byte);
        self.at += usize::from(comes);
        comes
    }

    fn new_line(&mut self) {
        self.line = self.line.saturating_add(1);
        self.mark = (self.at, 1);
    }

    fn skip_blanks(&mut self) {
        while let Some(byte @ (b' ' | b'\t' | b'\n' | b'\r')) = self.peek() {
            self.at += 1;
            if byte == b'\n' || byte == b'\r' && self.peek() != Some(b'\n') {
                self.new_line();
            }
        }
    }

    /// Returns where the next byte stands.
    fn place(&mut self) -> Place {
        let (from, column) = self.mark;
        let passed = self.text.as_bytes().get(from..self.at).unwrap_or_default();
        // Bytes that continue a character are not counted.
        let characters = passed.iter().filter(|byte| **byte & 0xc0 != 0x80).count();
        let column = column.saturating_add(u32::try_from(characters).unwrap_or(u32::MAX));
        self.mark = (self.at, column);
        Place { line: self.line, column }
    }

    fn fault(&mut self, message: &str) -> Fault {
        let found = match self.text.get(self.at..).and_then(|rest| rest.chars().next()) {
            Some(character) => format!("found `{}`", character.escape_default()),
            None => "found the end".to_owned(),
        };
        let help = "check quotes, commas and brackets";
        Fault::new("JSON", self.place(), format!("{message}, {found}"), help)
    }

    /// Reads a value inside `depth` lists and maps.
    fn value(&mut self, depth: usize) -> Result<Value> {
        self.count()?;
        match self.peek() {
            Some(b'{') => self.map(depth),
            Some(b'[') => self.list(depth),
            Some(b'"') => Ok(Value::String(self.string()?.into())),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => self.word(),
        }
    }

    fn count(&mut self) -> Result<()> {
        self.values = match self.values.checked_sub(1) {
            Some(left) => left,
            None => return Err(limits::values(self.allowed, self.place())),
        };
        Ok(())
    }

    fn node(&mut self, depth: usize) -> Result<Node> {
        self.skip_blanks();
        let place = self.place();
        Ok(Node { value: self.value(depth)?, place, indent: None })
    }

    /// Passes over the bracket that begins a list or a map.
    fn open(&mut self, depth: usize) -> Result<()> {
        if depth >= self.limits.depth() {
            return Err(limits::depth(self.limits, self.place()));
        }
        self.at += 1;
        self.skip_blanks();
        Ok(())
    }

    fn list(&mut self, depth: usize) -> Result<Value> {
        self.open(depth)?;
        let mut items = Vec::new();
        if self.take(b']') {
            return Ok(Value::List(items));
        }
        loop {
            items.push(self.node(depth + 1)?);
            self.skip_blanks();
            if self.take(b']') {
                return Ok(Value::List(items));
            }
            if !self.take(b',') {
                return Err(self.fault("expected `,` or `]`"));
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Value> {
        self.open(depth)?;
        let mut entries = Vec::new();
        if self.take(b'}') {
            return Ok(Value::Map(entries));
        }
        loop {
            entries.push(self.entry(depth)?);
            self.skip_blanks();
            if self.take(b'}') {
                break;
            }
            if !self.take(b',') {
                return Err(self.fault("expected `,` or `}`"));
            }
        }
        key::duplicate(&entries).map_or(Ok(Value::Map(entries)), Err)
    }

    fn entry(&mut self, depth: usize) -> Result<Entry> {
        self.skip_blanks();
        if self.peek() != Some(b'"') {
            return Err(self.fault("expected a key in quotes"));
        }
        self.count()?;
        let place = self.place();
        let key = self.string()?.into();
        self.skip_blanks();
        if !self.take(b':') {
            return Err(self.fault("expected `:`"));
        }
        Ok(Entry { key, place, node: self.node(depth + 1)? })
    }
}
