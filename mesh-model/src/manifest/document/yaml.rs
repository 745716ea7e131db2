//! One YAML document to a tree that knows where everything stands.
//!
//! ```text
//! text ──plain───────────────────┬─build──▶ Node      scalar: what a plain word means
//!   └────granit_parser──▶ events─┘
//! ```
//!
//! What nearly all manifests are written in is read line by line ([`plain`]), the rest by the parser.
//!
//! The parser knows the syntax of YAML 1.2 and nothing of values; the tree is built from its events
//! without recursion, so that depth costs no stack. What a value means follows kubectl, whose reader
//! knows YAML 1.1: what it takes and refuses otherwise than YAML 1.2 is in [`dialect`] and [`quoted`].
//!
//! What is left: directives (`%YAML 1.2`, `%FOO`) are passed over, where upstream refuses all but `%YAML 1.1` and
//! `%TAG`; blanks around a line separator (U+2028, U+2029) inside a text in quotes stay, and U+0085 there is no
//! blank; a line that one of these three begins is none here, so that a document with such lines is refused;
//! a comment needs a blank before it, behind a closing quote, too; and of a long document only some texts in
//! quotes may go on too far left (16 MiB are read again at most, or four times its length).
//!
//! Taken here and refused upstream: a tab in the blanks that a line of a block begins with, also where nothing but
//! blanks or a comment is in it (kubectl: `found a tab character that violates indentation`, `found character that
//! cannot start any token`); an anchor's name with other letters than `[0-9A-Za-z_-]`; a tag with `#`; a word in
//! brackets that begins with `:`. Refused here and taken upstream: the escape `\'` in double quotes; `#` right behind a
//! closing quote or bracket; more texts in quotes that go on too far left than there is time for (some hundred in a
//! document of 50 KB, see [`quoted::Left`]).
//!
//! # Upstream
//!
//! kubernetes-sigs/yaml `goyaml.v2`: `resolve.go`, `decode.go`.
use granit_parser::{Event, Parser, ScalarStyle, ScanError, Span};

use super::limits::{self, Limits};
use super::{Fault, head, split};
use crate::manifest::{Node, Place};

use self::build::Builder;

mod build;
mod dialect;
mod error;
mod plain;
mod quoted;
mod scalar;
#[cfg(test)]
mod tests;

/// Reads one document that stands after `line` lines: as the plain one that it nearly always is, or else by the
/// parser.
pub(super) fn read(text: &str, line: u32, limits: &Limits) -> Result<Node, Fault> {
    check_size(text, line, limits)?;
    if let Some(node) = plain::read(text, line, limits) {
        return Ok(node);
    }
    check_characters(text, line)?;
    let (error, mut left) = match parse(text, line, limits) {
        Ok(node) => return Ok(node),
        Err(Failure::Fault(fault)) => return Err(fault),
        Err(Failure::Scan(error)) => (error, quoted::Left::of(text)),
    };
    // Who reads it again finds the same, but for the blanks that lines begin with inside of quotes.
    let mut mended = quoted::indented(text, &error, limits, &mut left);
    while let Some(text) = mended {
        match parse(&text, line, limits) {
            Ok(node) => return Ok(node),
            Err(Failure::Fault(fault)) => return Err(fault),
            Err(Failure::Scan(error)) => {
                mended = quoted::indented(&text, &error, limits, &mut left);
            }
        }
    }
    Err(error::fault(&error, text, line, limits))
}

/// Why a document cannot be read.
#[derive(Debug, PartialEq)]
enum Failure {
    /// What the parser says.
    Scan(ScanError),
    /// What we say.
    Fault(Fault),
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// Reads one document of any kind.
fn parse(text: &str, line: u32, limits: &Limits) -> Result<Node, Failure> {
    let mut builder = Builder::new(text.len(), limits);
    let mut dialect = dialect::Check::of(text, line);
    let mut documents = 0;
    for event in Parser::new_from_str_with_options(text, options(limits)) {
        let (event, span) = event.map_err(Failure::Scan)?;
        let place = place(&span, line);
        #[expect(clippy::wildcard_enum_match_arm, reason = "the enum is foreign and may grow")]
        match event {
            Event::DocumentStart(..) => documents += 1,
            _ if documents > 1 => return Err(error::second_document(place).into()),
            Event::Scalar(text, style, anchor, tag) => {
                dialect.scalar(&span, style)?;
                let indent = indent(&span, style);
                builder.scalar(text, style, tag.as_deref(), anchor, (place, indent))?;
            }
            Event::SequenceStart(_, anchor, _) => builder.begin_list(anchor, place)?,
            Event::MappingStart(_, anchor, _) => builder.begin_map(anchor, place)?,
            Event::SequenceEnd | Event::MappingEnd => builder.end()?,
            Event::Alias(anchor) => builder.alias(anchor, place)?,
            // Ends, and what only tools are told of: comments, names of anchors.
            _ => {}
        }
    }
    dialect.finish()?;
    Ok(builder.finish(Place { line: line.saturating_add(1), column: 1 }))
}

/// Refuses a text that is too long for what it is.
fn check_size(text: &str, line: u32, limits: &Limits) -> Result<(), Fault> {
    let place = Place { line: line.saturating_add(1), column: 1 };
    if text.len() <= limits.object_bytes {
        Ok(())
    } else if !head::is_list(text) {
        Err(limits::object_bytes(limits, place))
    } else if text.len() > limits.list_bytes {
        Err(limits::list_bytes(limits, place))
    } else {
        Ok(())
    }
}

/// Refuses control characters, as Go's reader does; a parser might end the text at a NUL.
fn check_characters(text: &str, line: u32) -> Result<(), Fault> {
    // Every comparison is made, so that many bytes are compared at once.
    let is_blank = |byte: u8| (byte == b'\t') | (byte == b'\n') | (byte == b'\r');
    let is_control = |byte: u8| ((byte < b' ') & !is_blank(byte)) | (byte == 0x7f);
    let Some(at) = super::position(text.as_bytes(), is_control) else { return Ok(()) };
    let place = split::place_after(text.get(..at).unwrap_or_default(), line);
    let byte = text.as_bytes().get(at).copied().unwrap_or_default();
    let message = format!("the control character 0x{byte:02x} is not allowed");
    let help = "remove it, or write it as an escape in double quotes";
    Err(Fault::new("YAML-ENCODING", place, message, help))
}

fn options(limits: &Limits) -> granit_parser::Options {
    // The builder refuses what is too deep with the right place; the parser need not go further.
    let depth = limits.depth().saturating_add(1);
    let mut options = granit_parser::options! {
        flow_nesting_limit: depth,
        block_nesting_limit: depth,
    };
    options.set_emit_comments(false);
    options
}

/// Returns where something begins in a text that stands after `line` lines.
fn place(span: &Span, line: u32) -> Place {
    let part = |part: usize| u32::try_from(part).unwrap_or(u32::MAX);
    let (start, column) = (&span.start, part(span.start.col()));
    Place { line: part(start.line()).saturating_add(line), column: column.saturating_add(1) }
}

/// Returns by how much the lines of a text are indented, if they stand as they are.
fn indent(span: &Span, style: ScalarStyle) -> Option<u32> {
    let indent = span.indent.filter(|_| style == ScalarStyle::Literal)?;
    Some(u32::try_from(indent).unwrap_or(u32::MAX))
}
