//! What is wrong with a document, where, and what to do about it.
use std::fmt;
use std::sync::Arc;

use super::Place;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[expect(clippy::exhaustive_enums, reason = "callers turn every severity into an exit code")]
pub enum Severity {
    /// The document is not used, or traffic is lost.
    Error,
    /// The document is used; something in it does not do what it seems to say.
    Warning,
    /// Good to know.
    Info,
}

impl Severity {
    /// Returns the word used in messages and JSON: `error`, `warning`, `info`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Info => "info",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A finding about a document.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "the shape is a contract with scripts")]
pub struct Diagnostic {
    /// A stable code: a rule of validation (`WE-ADDRESS`), a hazard (`HZ-…`) or how reading failed
    /// (`YAML`, `FIELD-TYPE`, …).
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// The source's name as the caller gave it, empty where there is none.
    pub file: Arc<str>,
    /// Where in the source.
    pub place: Place,
    /// The object as `Kind/namespace/name`, empty where none could be read.
    pub object: String,
    /// The field path such as `spec.hosts[0]`, empty for the whole object.
    pub field: String,
    /// What is wrong: one sentence, lower case, without a final period.
    pub message: String,
    /// What to do about it.
    pub help: String,
}

/// How many bytes of a text of the user's are worth showing.
const SHOWN: usize = 1_000;

impl Diagnostic {
    /// Cuts texts that nobody would read to the end: a finding is as short as a name of ten megabytes
    /// is long.
    pub(crate) fn shorten(&mut self) {
        for text in [&mut self.object, &mut self.field, &mut self.message, &mut self.help] {
            if text.len() > SHOWN {
                text.truncate(text.floor_char_boundary(SHOWN));
                text.push('…');
            }
        }
    }
}

impl fmt::Display for Diagnostic {
    /// `FILE:LINE:COLUMN: error[CODE]: OBJECT: FIELD: MESSAGE (HELP)`, parts that are empty left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.file.is_empty() {
            write!(f, "{}:", self.file)?;
            if self.place.line > 0 {
                write!(f, "{}:{}:", self.place.line, self.place.column)?;
            }
            f.write_str(" ")?;
        }
        write!(f, "{}[{}]: ", self.severity, self.code)?;
        for part in [&self.object, &self.field] {
            if !part.is_empty() {
                write!(f, "{part}: ")?;
            }
        }
        f.write_str(&self.message)?;
        if !self.help.is_empty() {
            write!(f, " ({})", self.help)?;
        }
        Ok(())
    }
}
