//! Texts in quotes that go on further left than their key: YAML 1.2 forbids it, upstream's reader does not look.
//!
//! ```text
//! note: "a        note: "a
//! b"         ──▶        b"     the same text: the blanks that a line of it begins with do not count
//! ```
//!
//! # Upstream
//!
//! kubernetes-sigs/yaml `goyaml.v2/scannerc.go` `yaml_parser_scan_flow_scalar`.
use granit_parser::{ErrorKind, Parser, ScanError};

use crate::manifest::document::limits::Limits;

/// How many bytes may still be read again and written for one document: every such text costs two readings of
/// all that is before it.
pub(super) struct Left(usize);

impl Left {
    const LEAST: usize = 16 << 20;

    /// What a document may cost.
    pub(super) fn of(text: &str) -> Self {
        Self(text.len().saturating_mul(4).max(Self::LEAST))
    }

    fn take(&mut self, bytes: usize) -> Option<()> {
        self.0 = self.0.checked_sub(bytes)?;
        Some(())
    }
}

/// Returns a document with the lines of one text indented, if that is all that the parser complains of.
pub(super) fn indented(
    text: &str,
    error: &ScanError,
    limits: &Limits,
    left: &mut Left,
) -> Option<String> {
    if !matches!(error.kind(), ErrorKind::InvalidQuotedScalarIndent | ErrorKind::TabInIndentation) {
        return None;
    }
    let mut before = text.get(..error.marker().byte_offset()?)?.to_owned();
    // Blanks to the right of everything above, and no more: a text that does not end, whose beginning is told.
    let width = before.split(['\n', '\r']).map(str::len).max().unwrap_or_default();
    left.take(before.len() + width)?;
    before.extend(std::iter::repeat_n(' ', width));
    let mut events = Parser::new_from_str_with_options(&before, super::options(limits));
    let unclosed = events.find_map(Result::err)?;
    if *unclosed.kind() != ErrorKind::UnclosedQuotedScalar {
        return None;
    }
    let start = unclosed.marker().byte_offset()?;
    let indent = unclosed.marker().col();
    let (head, quoted) = text.split_at_checked(start)?;
    let (quoted, behind) = quoted.split_at_checked(length(quoted)?)?;
    let lines = quoted.bytes().filter(|byte| matches!(byte, b'\n' | b'\r')).count();
    let length = text.len().checked_add(lines.checked_mul(indent)?)?;
    left.take(length)?;
    let mut mended = String::with_capacity(length);
    mended.push_str(head);
    for (index, line) in quoted.split_inclusive(['\n', '\r']).enumerate() {
        if index == 0 {
            mended.push_str(line);
            continue;
        }
        let inner = line.trim_start_matches([' ', '\t']);
        if !inner.starts_with(['\n', '\r']) {
            mended.extend(std::iter::repeat_n(' ', indent));
        }
        mended.push_str(inner);
    }
    mended.push_str(behind);
    (mended != text).then_some(mended)
}

/// Returns how long a text in quotes is, with them; `None` if it does not end.
fn length(text: &str) -> Option<usize> {
    let quote = *text.as_bytes().first()?;
    let mut bytes = text.bytes().enumerate().skip(1).peekable();
    while let Some((at, byte)) = bytes.next() {
        if byte == b'\\' && quote == b'"' {
            bytes.next();
        } else if byte == quote {
            if quote == b'"' || bytes.peek().is_none_or(|(_, next)| *next != quote) {
                return Some(at + 1);
            }
            bytes.next();
        }
    }
    None
}
