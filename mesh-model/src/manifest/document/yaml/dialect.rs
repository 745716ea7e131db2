//! What upstream's reader refuses that the parser takes: escapes in double quotes, and line ends of Unicode.
//!
//! # Upstream
//!
//! kubernetes-sigs/yaml `goyaml.v2/scannerc.go` `yaml_parser_scan_flow_scalar`; `yamlprivateh.go` `is_break`.
use granit_parser::{ScalarStyle, Span};

use crate::manifest::document::{Fault, split};

/// The line ends of YAML 1.1 that YAML 1.2 has not.
const BREAKS: [char; 3] = ['\u{85}', '\u{2028}', '\u{2029}'];

/// Looks at what stands in a document beside the events of the parser.
pub(super) struct Check<'t> {
    text: &'t str,
    line: u32,
    /// How far there is no line end of Unicode but in quotes, in bytes; `None` where there is none at all.
    passed: Option<usize>,
}

impl<'t> Check<'t> {
    /// A check of a text that stands after `line` lines.
    pub(super) fn of(text: &'t str, line: u32) -> Self {
        let passed = (!text.is_ascii() && text.contains(BREAKS)).then_some(0);
        Self { text, line, passed }
    }

    /// Looks at a scalar and at what stands before it.
    pub(super) fn scalar(&mut self, span: &Span, style: ScalarStyle) -> Result<(), Fault> {
        if !matches!(style, ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted) {
            return Ok(());
        }
        let (Some(start), Some(end)) = (span.start.byte_offset(), span.end.byte_offset()) else {
            return Ok(());
        };
        if style == ScalarStyle::DoubleQuoted {
            self.escapes(start, end)?;
        }
        self.breaks(start)?;
        self.passed = self.passed.map(|_| end);
        Ok(())
    }

    /// Looks at what stands behind the last scalar.
    pub(super) fn finish(&self) -> Result<(), Fault> {
        self.breaks(self.text.len())
    }

    /// Refuses line ends of Unicode before a place: who reads YAML 1.1 finds another line behind them, even of
    /// a comment.
    fn breaks(&self, end: usize) -> Result<(), Fault> {
        let Some(passed) = self.passed else { return Ok(()) };
        let between = self.text.get(passed..end).unwrap_or_default();
        let Some((at, character)) = between.char_indices().find(|(_, it)| BREAKS.contains(it))
        else {
            return Ok(());
        };
        let place = split::place_after(self.text.get(..passed + at).unwrap_or_default(), self.line);
        let message = format!(
            "the character U+{:04X} ends a line for the API server and for istiod",
            u32::from(character)
        );
        let help = "remove it, or write it as an escape in double quotes: `\\N` for U+0085, `\\L` for U+2028, \
                    `\\P` for U+2029";
        Err(Fault::new("YAML-ENCODING", place, message, help))
    }

    /// Refuses escapes of a text in double quotes that only JSON has.
    fn escapes(&self, start: usize, end: usize) -> Result<(), Fault> {
        let inner = self.text.get(start..end).unwrap_or_default();
        let mut at = 0;
        while let Some(found) = inner.get(at..).and_then(|rest| rest.find('\\')) {
            at += found;
            let escape = inner.get(at + 1..).unwrap_or_default();
            let is_surrogate = matches!(
                escape.as_bytes(),
                [b'u', b'd' | b'D', b'8' | b'9' | b'a'..=b'f' | b'A'..=b'F', ..]
            );
            let help = match escape.as_bytes().first() {
                Some(b'u') if is_surrogate => {
                    "write the character itself, or one escape of all of it such as `\\U0001F600`"
                }
                Some(b'/') => "write `/`",
                _ => {
                    at += 2;
                    continue;
                }
            };
            let shown = if is_surrogate { escape.get(..5).unwrap_or(escape) } else { "/" };
            let before = self.text.get(..start + at).unwrap_or_default();
            let place = split::place_after(before, self.line);
            let message = format!("the escape `\\{shown}` is one of JSON, not of YAML");
            return Err(Fault::new("YAML", place, message, help));
        }
        Ok(())
    }
}
