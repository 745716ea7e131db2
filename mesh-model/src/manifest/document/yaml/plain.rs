//! The plain part of YAML, which nearly all manifests keep to: what a line says is seen in the line.
//!
//! ```text
//! spec:                 a key; its value begins in the next line, deeper or with `- `
//!   ports:
//!   - name: http        an item that is a map
//!     port: 80          a word: it ends with its line
//!   args: [a, {b: c}]   a list or a map in brackets, on one line
//!   host: "*.shop"      a text in quotes, without an escape
//! ```
//!
//! The parser, which knows all of YAML, takes several times as long. What is read here it reads alike: the
//! builder is told the same in the same order, and what a word means is the builder's to say. Anything else,
//! and anything that is wrong, is left to the parser with the whole document: nothing is refused here.
use std::borrow::Cow;

use granit_parser::ScalarStyle;

use super::build::Builder;
use crate::manifest::document::limits::Limits;
use crate::manifest::document::position;
use crate::manifest::{Node, Place};

/// Reads a document that stands after `line` lines, if it is plain and nothing is wrong with it.
pub(super) fn read(text: &str, line: u32, limits: &Limits) -> Option<Node> {
    if position(text.as_bytes(), is_foreign).is_some() {
        return None;
    }
    let mut reader = Reader { builder: Builder::new(text.len(), limits), open: Vec::new(), line };
    let mut awaits = true;
    let mut rest = text;
    while !rest.is_empty() {
        let end = position(rest.as_bytes(), |byte| byte == b'\n').unwrap_or(rest.len());
        let line = rest.get(..end)?;
        rest = rest.get(end + 1..).unwrap_or_default();
        reader.line = reader.line.saturating_add(1);
        let begun = line.trim_ascii_start();
        if !is_comment(begun) {
            awaits = reader.line(line.len() - begun.len(), begun, awaits)?;
        }
    }
    while !awaits && reader.open.pop().is_some() {
        reader.builder.end().ok()?;
    }
    (!awaits).then(|| reader.builder.finish(Place::default()))
}

/// Whether a byte is none of those that are looked at here: the letters and marks of ASCII, blanks, line ends.
fn is_foreign(byte: u8) -> bool {
    (byte != b'\n') & !(b' '..=b'~').contains(&byte)
}

/// Whether nothing but a comment stands behind a blank or at a line's beginning.
fn is_comment(text: &str) -> bool {
    text.is_empty() || text.starts_with('#')
}

/// A list or a map that has begun.
#[derive(Clone, Copy)]
struct Open {
    is_list: bool,
    /// Where its `- ` or its keys stand, from 0.
    column: usize,
}

struct Reader<'l> {
    builder: Builder<'l>,
    /// The innermost last.
    open: Vec<Open>,
    /// The line that is read, from 1.
    line: u32,
}

impl Reader<'_> {
    /// Reads what stands in a line from a column on, which begins a value if one is awaited; returns whether
    /// the next line is to begin one.
    fn line(&mut self, mut column: usize, mut text: &str, mut awaits: bool) -> Option<bool> {
        let mut entry = Entry::of(text)?;
        if !awaits {
            self.close(column, entry.is_item())?;
        }
        loop {
            let (Entry::Item(behind) | Entry::Field(_, behind)) = entry;
            let value = behind.trim_ascii_start();
            let is_last = is_comment(value);
            let inner = column + text.len() - if is_last { 0 } else { value.len() };
            if awaits {
                self.begin(column, entry.is_item(), inner)?;
            }
            if let Entry::Field(key, _) = entry {
                self.scalar(column, key, ScalarStyle::Plain)?;
            }
            if is_last {
                return Some(true);
            }
            column = inner;
            match Entry::of(value).filter(|_| entry.is_item()) {
                Some(inner) => (entry, text, awaits) = (inner, value, true),
                None => return self.value(column, value).map(|()| false),
            }
        }
    }

    /// Ends what an entry at a column is behind.
    fn close(&mut self, column: usize, is_item: bool) -> Option<()> {
        loop {
            let inner = *self.open.last()?;
            if inner.column == column && inner.is_list == is_item {
                return Some(());
            }
            // A list may stand in the column of the keys around it.
            if inner.column < column || inner.column == column && !inner.is_list {
                return None;
            }
            self.open.pop();
            self.builder.end().ok()?;
        }
    }

    /// Begins the list or the map that an entry at a column is the first of; `inner` is where its value begins, or
    /// its line ends.
    fn begin(&mut self, column: usize, is_list: bool, inner: usize) -> Option<()> {
        let outer = self.open.last().filter(|outer| column <= outer.column);
        if outer.is_some_and(|outer| column < outer.column || outer.is_list || !is_list) {
            return None;
        }
        // The parser has it so of a list in the column of the keys around it.
        let place = self.place(if outer.is_some() { inner } else { column })?;
        let begun = match is_list {
            true => self.builder.begin_list(0, place),
            false => self.builder.begin_map(0, place),
        };
        self.open.push(Open { is_list, column });
        begun.ok()
    }

    /// Reads a value that ends with its line.
    fn value(&mut self, column: usize, text: &str) -> Option<()> {
        let behind = match text.as_bytes().first()? {
            b'"' | b'\'' => self.quoted(column, text)?,
            b'[' | b'{' => self.flow(column, text)?,
            _ => {
                self.scalar(column, word(text)?, ScalarStyle::Plain)?;
                ""
            }
        };
        (is_apart(behind) && is_comment(behind.trim_ascii_start())).then_some(())
    }

    /// Reads a text in quotes; returns what is behind it.
    fn quoted<'t>(&mut self, column: usize, text: &'t str) -> Option<&'t str> {
        let (style, quote) = match text.strip_prefix('"') {
            Some(_) => (ScalarStyle::DoubleQuoted, '"'),
            None => (ScalarStyle::SingleQuoted, '\''),
        };
        let (text, behind) = text.get(1..)?.split_once(quote)?;
        // Either has escapes of its own.
        if quote == '"' && text.contains('\\') || behind.starts_with(quote) {
            return None;
        }
        self.scalar(column, text, style).map(|()| behind)
    }

    /// Reads a list or a map in brackets; returns what is behind it. As deep as the builder lets it be.
    fn flow<'t>(&mut self, mut column: usize, text: &'t str) -> Option<&'t str> {
        let place = self.place(column)?;
        let (is_list, close) = if text.starts_with('[') { (true, ']') } else { (false, '}') };
        let begun = match is_list {
            true => self.builder.begin_list(0, place),
            false => self.builder.begin_map(0, place),
        };
        begun.ok()?;
        let mut rest = text.get(1..)?;
        let end = column + text.len();
        if let Some(behind) = rest.strip_prefix(close) {
            return self.builder.end().ok().map(|()| behind);
        }
        loop {
            rest = rest.trim_ascii_start();
            column = end - rest.len();
            if !is_list {
                let Entry::Field(key, behind) = Entry::of(rest)? else { return None };
                self.scalar(column, key, ScalarStyle::Plain)?;
                rest = behind.trim_ascii_start();
                column = end - rest.len();
            }
            let behind = match rest.as_bytes().first()? {
                b'"' | b'\'' => self.quoted(column, rest)?,
                b'[' | b'{' => self.flow(column, rest)?,
                _ => {
                    let (text, behind) = rest.split_at_checked(rest.find(FLOW)?)?;
                    let is_comment = text.contains(" #");
                    let text = word(text).filter(|_| !is_comment)?;
                    self.scalar(column, text, ScalarStyle::Plain)?;
                    behind
                }
            };
            rest = behind.trim_ascii_start();
            if let Some(behind) = rest.strip_prefix(close) {
                return self.builder.end().ok().map(|()| behind);
            }
            rest = rest.strip_prefix(',')?;
        }
    }

    fn scalar(&mut self, column: usize, text: &str, style: ScalarStyle) -> Option<()> {
        let place = (self.place(column)?, None);
        self.builder.scalar(Cow::Borrowed(text), style, None, 0, place).ok()
    }

    fn place(&self, column: usize) -> Option<Place> {
        let column = u32::try_from(column).ok()?.checked_add(1)?;
        Some(Place { line: self.line, column })
    }
}

/// What a line begins with, or what follows a `- `, and what is behind it.
#[derive(Clone, Copy)]
enum Entry<'t> {
    Item(&'t str),
    Field(&'t str, &'t str),
}

impl<'t> Entry<'t> {
    /// How long a key may be: longer ones are no plain keys in YAML.
    const KEY: usize = 512;

    fn of(text: &'t str) -> Option<Self> {
        if let Some(behind) = text.strip_prefix('-') {
            return is_apart(behind).then_some(Self::Item(behind));
        }
        let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || b"_./-".contains(&byte);
        let end = text.bytes().position(|byte| !is_inner(byte)).filter(|end| *end <= Self::KEY)?;
        let (key, behind) = text.split_at_checked(end)?;
        let behind = behind.strip_prefix(':').filter(|behind| is_apart(behind))?;
        (!key.is_empty()).then_some(Self::Field(key, behind))
    }

    const fn is_item(self) -> bool {
        matches!(self, Self::Item(_))
    }
}

/// Whether a blank or nothing follows.
fn is_apart(behind: &str) -> bool {
    behind.is_empty() || behind.starts_with(' ')
}

/// The marks that end a word in brackets.
const FLOW: [char; 5] = [',', '[', ']', '{', '}'];

/// Returns the word that a line ends with, without the comment behind it.
fn word(text: &str) -> Option<&str> {
    let bytes = text.as_bytes();
    let begins = match bytes {
        [b'-', next, ..] => next.is_ascii_alphanumeric() || b"-./".contains(next),
        [first, ..] => first.is_ascii_alphanumeric() || b"/._+~=$(<".contains(first),
        [] => false,
    };
    if !begins {
        return None;
    }
    let mut end = text.len();
    let mut at = position(bytes, |byte| (byte == b':') | (byte == b'#'));
    while let Some(mark) = at {
        match bytes.get(mark)? {
            b':' if is_apart(text.get(mark + 1..)?) => return None,
            b'#' if bytes.get(mark.checked_sub(1)?) == Some(&b' ') => {
                end = mark;
                break;
            }
            _ => {}
        }
        let next = bytes.get(mark + 1..)?.iter().position(|byte| matches!(byte, b':' | b'#'));
        at = next.map(|next| mark + 1 + next);
    }
    text.get(..end).map(str::trim_ascii_end)
}

#[cfg(test)]
mod tests;
