//! What the parser says, in our words.
use granit_parser::{ErrorKind, ScanError};

use crate::manifest::Place;
use crate::manifest::document::Fault;
use crate::manifest::document::limits::{self, Limits};

/// Tells what is wrong with a document that stands after `line` lines.
pub(super) fn fault(error: &ScanError, text: &str, line: u32, limits: &Limits) -> Fault {
    let mark = error.marker();
    let part = |part: usize| u32::try_from(part).unwrap_or(u32::MAX);
    let (row, column) = (part(mark.line()).saturating_add(line), part(mark.col()));
    let place = Place { line: row, column: column.saturating_add(1) };
    let kind = error.kind();
    if *kind == ErrorKind::RecursionLimitExceeded {
        return limits::depth(limits, place);
    }
    if *kind == ErrorKind::UnknownAnchor {
        let message = "no anchor of this name comes before";
        let help = "define it with `&name`, or put a text that begins with `*` in quotes";
        return Fault::new("YAML-ALIAS", place, message, help);
    }
    let (message, help) = complaint(kind);
    // Templates are the usual reason for braces in the wrong places.
    let help = if text.contains("{{") { "render the template first" } else { help };
    Fault::new("YAML", place, message, help)
}

/// Tells that a document has ended and another begins without a `---`.
pub(super) fn second_document(place: Place) -> Fault {
    let help = "put `---` on a line of its own before it";
    Fault::new("YAML", place, "a second document begins here", help)
}

/// Says in our words what the parser says in its own, and what helps.
fn complaint(kind: &ErrorKind) -> (&'static str, &'static str) {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the enum is foreign and may grow")]
    match kind {
        ErrorKind::TabNotAllowed
        | ErrorKind::TabInBlockIndentation
        | ErrorKind::TabInIndentation
        | ErrorKind::TabAtBlockScalarStart
        | ErrorKind::TabInPlainScalar => ("a tab is used for indentation", "indent with spaces"),
        ErrorKind::UnclosedFlowCollection { .. }
        | ErrorKind::UnexpectedEofFlowSequence
        | ErrorKind::UnexpectedEofFlowMapping
        | ErrorKind::UnexpectedEofImplicitFlowMapping => ("a bracket is not closed", "close it"),
        ErrorKind::MismatchedFlowCollectionEnd { .. } => {
            ("a bracket is closed by another kind of bracket", "close it by its own kind")
        }
        ErrorKind::MisplacedFlowCollectionEnd => {
            ("a bracket is closed that was not opened", "remove it, or put the text in quotes")
        }
        ErrorKind::ExpectedFlowMappingSeparator | ErrorKind::ExpectedFlowSequenceSeparator => (
            "expected `,` or a closing bracket",
            "put texts that hold brackets or commas in quotes",
        ),
        ErrorKind::UnclosedQuotedScalar | ErrorKind::DocumentIndicatorInQuotedScalar => {
            ("a quote is not closed", "close it")
        }
        ErrorKind::InvalidQuotedScalarIndent => (
            "a text in quotes goes on in a line with too little indentation",
            "close the quote, or indent the line more than the key of the text",
        ),
        ErrorKind::InvalidTrailingSingleQuotedScalar
        | ErrorKind::InvalidTrailingDoubleQuotedScalar => {
            ("something follows the closing quote", "put the whole text in quotes")
        }
        ErrorKind::UnknownQuotedScalarEscape
        | ErrorKind::InvalidQuotedScalarHexEscape
        | ErrorKind::InvalidLowSurrogateHexEscape
        | ErrorKind::InvalidLowSurrogate
        | ErrorKind::MissingLowSurrogate
        | ErrorKind::UnpairedLowSurrogate
        | ErrorKind::InvalidUnicodeEscape => {
            ("the escape is unknown", "write `\\\\` for a backslash, or use single quotes")
        }
        ErrorKind::MappingValueNotAllowed
        | ErrorKind::InvalidColonPlacement
        | ErrorKind::InvalidMappingValueWhitespace => (
            "`: ` cannot stand here",
            "check the indentation, or put a text that holds `: ` in quotes",
        ),
        ErrorKind::SimpleKeyExpected | ErrorKind::InvalidSimpleKey => (
            "expected `:` after the key",
            "write `key: value`; the lines of a long text are indented",
        ),
        ErrorKind::ExpectedBlockMappingKey => {
            ("expected a key in the column of the ones above", "check the indentation")
        }
        ErrorKind::ExpectedBlockSequenceEntry => {
            ("expected `-` in the column of the ones above", "check the indentation")
        }
        ErrorKind::BlockEntryInFlowCollection
        | ErrorKind::BlockSequenceEntryNotAllowed
        | ErrorKind::InvalidBlockEntryWhitespace => {
            ("`- ` cannot stand here", "check the indentation, or put the text in quotes")
        }
        ErrorKind::InvalidIndentation
        | ErrorKind::InvalidBlockScalarIndent
        | ErrorKind::InvalidFlowScalarIndent => {
            ("the indentation fits none of the lines above", "check the indentation")
        }
        ErrorKind::UnexpectedCharacter { .. } => {
            ("a text cannot begin with this character", "put it in quotes")
        }
        ErrorKind::MissingAnchorOrAliasName => {
            ("an anchor has no name", "put a text that begins with `&` or `*` in quotes")
        }
        ErrorKind::InvalidBlockScalarHeader | ErrorKind::ZeroBlockScalarIndent => {
            ("something follows `|` or `>`", "begin the text in the next line")
        }
        ErrorKind::CommentNotSeparated | ErrorKind::CommentInterceptedScalar => {
            ("a comment cannot stand here", "put a blank before `#`, or the text in quotes")
        }
        ErrorKind::ExpectedDocumentStart | ErrorKind::ExpectedNodeContent => {
            ("expected a value", "check the indentation, quotes and brackets")
        }
        _ => ("the text is not YAML", "check indentation, quotes and brackets"),
    }
}
