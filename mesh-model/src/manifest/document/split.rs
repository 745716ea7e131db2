//! Where one document of a stream ends and the next begins.
//!
//! A line that begins with `---` or `...`, followed by a blank or nothing, ends a document whatever
//! it stands in: YAML forbids such lines inside every kind of text. So the cut needs no parser, and
//! what is wrong with one document cannot reach the next.
use super::{Fault, position};
use crate::manifest::Place;

/// A document's text and where it begins.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Piece<'t> {
    /// The text; it still holds its `---` where something else stands on that line.
    pub(super) bytes: &'t [u8],
    /// How many lines come before it.
    pub(super) line: u32,
}

const BOM: &[u8] = b"\xef\xbb\xbf";
const HELP: &str = "save the file as UTF-8";

impl<'t> Piece<'t> {
    /// Returns the text, if it is text.
    pub(super) fn text(&self) -> Result<&'t str, Fault> {
        if self.line == 0
            && (self.bytes.starts_with(b"\xff\xfe") || self.bytes.starts_with(b"\xfe\xff"))
        {
            let place = Place { line: 1, column: 1 };
            return Err(Fault::new("YAML-ENCODING", place, "the text is UTF-16", HELP));
        }
        std::str::from_utf8(self.bytes).map_err(|error| {
            let (valid, rest) =
                self.bytes.split_at_checked(error.valid_up_to()).unwrap_or_default();
            let place = place_after(&String::from_utf8_lossy(valid), self.line);
            let byte = rest.first().copied().unwrap_or_default();
            let message = format!("the byte 0x{byte:02x} is not UTF-8");
            Fault::new("YAML-ENCODING", place, message, HELP)
        })
    }
}

/// Returns the place that follows a text which begins after `line` lines.
pub(super) fn place_after(text: &str, line: u32) -> Place {
    let mut place = Place { line: line.saturating_add(1), column: 1 };
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        let breaks = character == '\n' || character == '\r' && characters.peek() != Some(&'\n');
        place = if breaks {
            Place { line: place.line.saturating_add(1), column: 1 }
        } else {
            Place { line: place.line, column: place.column.saturating_add(1) }
        };
    }
    place
}

/// Returns whether nothing but blanks and comments is left.
pub(super) fn is_blank(text: &str) -> bool {
    text.split(['\n', '\r']).all(|line| is_blank_line(line.as_bytes()))
}

fn is_blank_line(line: &[u8]) -> bool {
    matches!(line.trim_ascii_start().first(), None | Some(b'#'))
}

/// Returns a document that stands after `line` lines without the lines of comments before and behind it, and
/// how many lines come before it then.
///
/// Blank lines behind it may belong to its last text, and stay if no comment follows.
pub(super) fn without_comments(text: &str, line: u32) -> (&str, u32) {
    let (mut rest, mut skipped) = (text, line);
    loop {
        let (first, length) = first_line(rest.as_bytes());
        if rest.is_empty() || !is_blank_line(first) {
            break;
        }
        rest = rest.get(length..).unwrap_or_default();
        skipped = skipped.saturating_add(1);
    }
    let mut end = rest.len();
    for (at, last) in rest.split_inclusive('\n').rev().scan(rest.len(), |end, line| {
        *end = end.saturating_sub(line.len());
        Some((*end, line))
    }) {
        if last.starts_with('#') {
            end = at;
        } else if !is_blank_line(last.as_bytes()) {
            break;
        }
    }
    (rest.get(..end).unwrap_or_default(), skipped)
}

/// Cuts a stream into its documents; the blank ones are among them.
pub(super) fn pieces(text: &[u8]) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = Rest { text: text.strip_prefix(BOM).unwrap_or(text), line: 0 };
    std::iter::from_fn(move || rest.next_piece())
}

/// What is left of a stream.
struct Rest<'t> {
    text: &'t [u8],
    line: u32,
}

impl<'t> Rest<'t> {
    fn next_piece(&mut self) -> Option<Piece<'t>> {
        if self.text.is_empty() {
            return None;
        }
        self.skip_markers();
        let mut end = 0;
        let mut lines = 0_u32;
        let mut head = Header::Nothing;
        let mut rest = self.text;
        let piece = loop {
            if rest.is_empty() {
                break self.cut(end, end, lines);
            }
            let (line, length) = first_line(rest);
            if is_marker(line, b"...") {
                break self.cut(end, end + length, lines.saturating_add(1));
            }
            // The `---` of a document that begins with directives or with itself is its own.
            if is_marker(line, b"---") && end > 0 && head != Header::Directives {
                break self.cut(end, end, lines);
            }
            head = head.then(line);
            rest = rest.get(length..).unwrap_or_default();
            end += length;
            lines = lines.saturating_add(1);
        };
        Some(piece)
    }

    /// Passes over every `---` that stands alone on its line.
    fn skip_markers(&mut self) {
        loop {
            self.text = self.text.strip_prefix(BOM).unwrap_or(self.text);
            let (line, length) = first_line(self.text);
            if !is_marker(line, b"---") || !is_blank_line(line.get(3..).unwrap_or_default()) {
                return;
            }
            self.text = self.text.get(length..).unwrap_or_default();
            self.line = self.line.saturating_add(1);
        }
    }

    /// Takes `end` bytes as a piece and goes on at `next`, after `lines` lines.
    fn cut(&mut self, end: usize, next: usize, lines: u32) -> Piece<'t> {
        let piece = Piece { bytes: self.text.get(..end).unwrap_or_default(), line: self.line };
        self.text = self.text.get(next..).unwrap_or_default();
        self.line = self.line.saturating_add(lines);
        piece
    }
}

/// What the lines of a document have been so far.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Header {
    /// Blanks and comments.
    Nothing,
    /// Also directives (`%YAML 1.2`), which belong to the `---` that follows.
    Directives,
    /// The document itself.
    Content,
}

impl Header {
    fn then(self, line: &[u8]) -> Self {
        match self {
            Self::Content => Self::Content,
            Self::Nothing | Self::Directives if is_blank_line(line) => self,
            Self::Nothing | Self::Directives if line.starts_with(b"%") => Self::Directives,
            Self::Nothing | Self::Directives => Self::Content,
        }
    }
}

/// Returns the first line without its end, and its length with it.
fn first_line(text: &[u8]) -> (&[u8], usize) {
    let end = position(text, |byte| (byte == b'\n') | (byte == b'\r')).unwrap_or(text.len());
    let (line, rest) = text.split_at_checked(end).unwrap_or((text, &[]));
    let ending = match rest {
        [b'\r', b'\n', ..] => 2,
        [] => 0,
        _ => 1,
    };
    (line, end + ending)
}

/// Returns whether the line is a marker: the three characters and then a blank or nothing.
fn is_marker(line: &[u8], marker: &[u8; 3]) -> bool {
    line.strip_prefix(marker).is_some_and(|rest| matches!(rest.first(), None | Some(b' ' | b'\t')))
}
