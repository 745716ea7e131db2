//! Regular expressions as Envoy's engine reads them.
//!
//! The engine here knows more than RE2 does, and takes `\w` for the letters of all languages: an
//! expression is written anew for it.
use std::borrow::Cow;
use std::iter::Peekable;
use std::str::Chars;

use regex::bytes::Regex;

/// What one character of an expression is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Alphabet {
    /// A byte, so that what is no UTF-8 matches what any character matches.
    Latin1,
    /// A code point.
    Utf8,
}

impl Alphabet {
    /// The text as the engine gets it.
    fn read(self, text: &str) -> Cow<'_, str> {
        match self {
            Self::Latin1 if !text.is_ascii() => text.bytes().map(char::from).collect(),
            Self::Latin1 | Self::Utf8 => Cow::Borrowed(text),
        }
    }
}

/// Whether an expression matches all of a text; one that cannot be read matches nothing (Envoy refuses
/// the resource).
pub(super) fn is_whole_match(expression: &str, alphabet: Alphabet, text: &str) -> bool {
    let text = alphabet.read(text);
    // The ends of the text and not of a line, however the expression sets its flags.
    let whole = format!(r"\A(?:{})\z", for_engine(&alphabet.read(expression)));
    Regex::new(&whole).is_ok_and(|regex| regex.is_match(text.as_bytes()))
}

/// The expression in the engine's own syntax.
pub(super) fn for_engine(expression: &str) -> String {
    let mut written = String::new();
    let mut rest = expression.chars().peekable();
    while let Some(character) = rest.next() {
        match character {
            '\\' => escape(&mut rest, &mut written),
            '[' => class(&mut rest, &mut written),
            other => written.push(other),
        }
    }
    written
}

/// What follows a backslash outside of a class.
fn escape(rest: &mut Peekable<Chars<'_>>, written: &mut String) {
    match rest.next() {
        Some('Q') => literal(rest, written),
        Some('C') => written.push_str("(?s:.)"),
        Some('b') => written.push_str(r"(?-u:\b)"),
        Some('B') => written.push_str(r"(?-u:\B)"),
        Some(letter) => match perl(letter) {
            Some(class) => written.push_str(class),
            None => written.extend(['\\', letter]),
        },
        None => written.push('\\'),
    }
}

/// Everything up to `\E` means itself.
fn literal(rest: &mut Peekable<Chars<'_>>, written: &mut String) {
    let mut text = String::new();
    while let Some(character) = rest.next() {
        if character == '\\' && rest.next_if_eq(&'E').is_some() {
            break;
        }
        text.push(character);
    }
    written.push_str(&regex::escape(&text));
}

/// A class: characters that only the engine here takes for operators are escaped.
fn class(rest: &mut Peekable<Chars<'_>>, written: &mut String) {
    written.push('[');
    written.extend(rest.next_if_eq(&'^'));
    // At the beginning it ends nothing.
    written.extend(rest.next_if_eq(&']').map(|_| r"\]"));
    while let Some(character) = rest.next() {
        match character {
            ']' => return written.push(']'),
            '[' if rest.peek() == Some(&':') => {
                written.push('[');
                named(rest, written);
            }
            '[' | '&' | '~' => written.extend(['\\', character]),
            '\\' => match rest.next().map(|letter| (letter, perl(letter))) {
                Some((_, Some(class))) => written.push_str(class),
                Some((letter, None)) => written.extend(['\\', letter]),
                None => written.push('\\'),
            },
            other => written.push(other),
        }
    }
}

/// `[:alpha:]` up to its own end.
fn named(rest: &mut Peekable<Chars<'_>>, written: &mut String) {
    for character in rest {
        written.push(character);
        if character == ']' {
            return;
        }
    }
}

/// The classes that one letter names: of ASCII only.
const fn perl(letter: char) -> Option<&'static str> {
    match letter {
        'd' => Some("[0-9]"),
        'D' => Some("[^0-9]"),
        's' => Some(r"[\t\n\f\r ]"),
        'S' => Some(r"[^\t\n\f\r ]"),
        'w' => Some("[0-9A-Za-z_]"),
        'W' => Some("[^0-9A-Za-z_]"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(expression: &str, text: &str, in_latin1: bool, in_utf8: bool) {
        for (alphabet, expected) in [(Alphabet::Latin1, in_latin1), (Alphabet::Utf8, in_utf8)] {
            let is_match = is_whole_match(expression, alphabet, text);
            assert_eq!(is_match, expected, "{expression} {text} {alphabet:?}");
        }
    }

    /// As Envoy 1.40 answers, with `re2_use_latin1_mode` and without.
    #[test]
    fn a_character_is_a_byte_or_a_code_point() {
        check("a.b", "aéb", false, true);
        check("a..b", "aéb", true, false);
        check("[é]", "é", false, true);
        check("[é]+", "é", true, true);
        check("é?", "", false, true);
        check("é?", "é", true, true);
        check("é", "é", true, true);
        check(r"\xe9", "é", false, true);
        check("[^a]+", "é", true, true);
        check(r"\pL+", "é", false, true);
        check("[à-ö]+", "é", true, true);
        check(".*", "\u{1F600}", true, true);
    }

    #[test]
    fn classes_of_one_letter_are_of_ascii() {
        check(r"\w+", "é", false, false);
        check(r"\W+", "é", true, true);
        check(r"[\W]+", "é", true, true);
        check(r"\d", "\u{663}", false, false);
        check(r"a\sb", "a\u{a0}b", false, false);
        check(r"a\bé", "aé", true, true);
        check(r"[\d.]+", "1.2", true, true);
    }

    #[test]
    fn what_only_one_of_the_engines_knows_is_written_anew() {
        check(r"\Qa.b\E", "a.b", true, true);
        check(r"\Qa.b\E", "axb", false, false);
        check(r"\Qa.", "a.", true, true);
        check(r"a\Cb", "a\nb", true, true);
        check("[a&&b]+", "a&b", true, true);
        check("[a[b]+", "[ab", true, true);
        check("[]a]+", "a]", true, true);
        check("[^]]", "a", true, true);
        check("[[:alpha:]x~~]+", "ax~", true, true);
        for unreadable in ["(", "[", "\\", "[[:alpha"] {
            check(unreadable, unreadable, false, false);
        }
        check("(?m)a", "a\nb", false, false);
    }
}
