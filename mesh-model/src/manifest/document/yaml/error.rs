//! What the parser says, in our words.
use serde_saphyr::Error;
use serde_saphyr::budget::BudgetBreach;

use super::place;
use crate::manifest::Place;
use crate::manifest::document::limits::{self, Limits};
use crate::manifest::document::{Fault, key};

/// Tells what is wrong with a document that stands after `line` lines.
pub(super) fn fault(error: &Error, text: &str, line: u32, limits: &Limits) -> Fault {
    let here = error.location().map_or_else(
        || Place { line: line.saturating_add(1), column: 1 },
        |location| place(location, line),
    );
    let syntax = |message: &str, help| Fault::new("YAML", here, message, help);
    let alias = |message: &str, help| Fault::new("YAML-ALIAS", here, message, help);
    #[expect(clippy::wildcard_enum_match_arm, reason = "the enum is foreign and may grow")]
    match error {
        Error::AliasError { error, .. } => fault(error, text, line, limits),
        Error::WithSnippet { error, .. } => fault(error, text, line, limits),
        Error::DuplicateMappingKey { key, .. } => {
            key::given_twice(key.as_deref().unwrap_or("?"), here, None)
        }
        Error::Budget { breach, .. } => breached(breach, here, limits),
        Error::AliasReplayLimitExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. }
        | Error::AliasReplayCounterOverflow { .. } => limits::values(limits, here),
        Error::AliasReplayStackDepthExceeded { .. } => limits::depth(limits, here),
        Error::UnknownAnchor { .. } => alias(
            "no anchor of this name comes before",
            "define it with `&name`, or put a text that begins with `*` in quotes",
        ),
        Error::RecursiveReferencesRequireWeakTypes { .. } => {
            alias("the alias stands inside of its own anchor", "write the value out")
        }
        Error::MergeValueNotMapOrSeqOfMaps { .. } => {
            syntax("only maps can be merged with `<<`", "name a map, or put the key in quotes")
        }
        Error::NonFiniteFloat { value, .. } => {
            let value = crate::manifest::decode::clip(value);
            let message = format!("`{value}` is not a number that can be used");
            Fault::new("YAML-NUMBER", here, message, "put it in quotes if it is a text")
        }
        Error::InvalidScalar { ty, .. } => syntax(
            &format!("the value does not fit its tag, which asks for a {ty}"),
            "remove the tag",
        ),
        Error::InvalidBinaryBase64 { .. } | Error::BinaryNotUtf8 { .. } => {
            syntax("the `!!binary` value is not the base64 of a text", "write the text itself")
        }
        Error::ExternalMessage { msg, .. } => scanned(msg, text, here, limits),
        Error::Eof { .. } => syntax("the document ends too early", "check brackets and quotes"),
        Error::MultipleDocuments { .. } => {
            syntax("a second document begins here", "put `---` on a line of its own before it")
        }
        _ => syntax("not valid YAML", "check indentation, quotes and brackets"),
    }
}

/// Names the limit that was exceeded.
fn breached(breach: &BudgetBreach, place: Place, limits: &Limits) -> Fault {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the enum is foreign and may grow")]
    match breach {
        BudgetBreach::Aliases { .. } => limits::aliases(limits, place),
        BudgetBreach::Depth { .. } => limits::depth(limits, place),
        BudgetBreach::ScalarBytes { .. } | BudgetBreach::RecordedAnchorBytes { .. } => {
            limits::expanded_bytes(limits, place)
        }
        _ => limits::values(limits, place),
    }
}

/// What the scanner of the parser complains about (a part of its message), and what helps.
const COMPLAINTS: &[(&str, &str, &str)] = &[
    ("tab", "a tab is used for indentation", "indent with spaces"),
    ("unclosed bracket", "a bracket is not closed", "close it"),
    (
        "mismatched bracket",
        "a bracket is closed by another kind of bracket",
        "close it by its own kind",
    ),
    (
        "misplaced bracket",
        "a bracket is closed that was not opened",
        "remove it, or put the text in quotes",
    ),
    ("unclosed quote", "a quote is not closed", "close it"),
    ("unexpected document indicator", "a quote is not closed", "close it"),
    (
        "trailing content after",
        "something follows the closing quote",
        "put the whole text in quotes",
    ),
    (
        "unknown escape",
        "the escape is unknown",
        "write `\\\\` for a backslash, or use single quotes",
    ),
    (
        "mapping values are not allowed",
        "`: ` cannot stand here",
        "check the indentation, or put a text that holds `: ` in quotes",
    ),
    (
        "simple key",
        "expected `:` after the key",
        "write `key: value`; a long text needs its own indentation",
    ),
    (
        "did not find expected key",
        "expected a key in the column of the ones above",
        "check the indentation",
    ),
    (
        "did not find expected '-'",
        "expected `-` in the column of the ones above",
        "check the indentation",
    ),
    (
        "multiline quoted",
        "a text in quotes goes on in a line with too little indentation",
        "close the quote",
    ),
    ("unexpected character", "a text cannot begin with this character", "put it in quotes"),
    (
        "anchor or alias",
        "an anchor has no name",
        "put a text that begins with `&` or `*` in quotes",
    ),
    ("indentation", "the indentation fits none of the lines above", "check the indentation"),
    ("indented", "the indentation fits none of the lines above", "check the indentation"),
    (
        "expected ',' or",
        "expected `,` or a closing bracket",
        "put texts that hold brackets or commas in quotes",
    ),
    ("EOF", "the document ends too early", "check brackets and quotes"),
    ("eof", "the document ends too early", "check brackets and quotes"),
];

/// Says in our words what the scanner says in its own.
fn scanned(message: &str, text: &str, place: Place, limits: &Limits) -> Fault {
    if message.contains("recursion limit") {
        return limits::depth(limits, place);
    }
    let known = COMPLAINTS.iter().find(|(part, _, _)| message.contains(part));
    let (message, help) = match known {
        Some((_, message, help)) => ((*message).to_owned(), *help),
        None => (format!("not valid YAML: {message}"), "check indentation, quotes and brackets"),
    };
    let help = if text.contains("{{") { "this may be a template: render it first" } else { help };
    Fault::new("YAML", place, message, help)
}
