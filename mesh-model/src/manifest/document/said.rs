//! Which security kinds a text says its objects are of, in YAML or JSON, whatever stands around the words.
//!
//! For texts that no parser has read as what they say: those with an error, and those that are the value of
//! something else.
use super::meant::{SECURITY_GROUP, SECURITY_KINDS, letters};
use super::position;
use crate::name::nearest_name;

/// Returns whether a text has the name of a security kind or of their group in it, in letters of either case.
pub(crate) fn names_security(text: &str) -> bool {
    /// The names by where their first `u` stands: every one has one, and few other words do.
    const NAMES: [(usize, &str); 4] = [
        (1, SECURITY_KINDS[0]),
        (5, SECURITY_KINDS[1]),
        (3, SECURITY_KINDS[2]),
        (3, SECURITY_GROUP),
    ];
    let bytes = text.as_bytes();
    if bytes.len() < SECURITY_GROUP.len() {
        return false;
    }
    let is_around = |at: usize, (before, name): (usize, &str)| {
        let rest = at.checked_sub(before).and_then(|begin| bytes.get(begin..));
        let head = rest.and_then(|rest| rest.get(..name.len()));
        head.is_some_and(|head| head.eq_ignore_ascii_case(name.as_bytes()))
    };
    let mut passed = 0;
    while let Some(next) = bytes.get(passed..).and_then(|rest| position(rest, |it| it | 32 == b'u'))
    {
        let at = passed + next;
        if NAMES.into_iter().any(|name| is_around(at, name)) {
            return true;
        }
        passed = at + 1;
    }
    false
}

/// How many bytes the field `kind` and its value may take.
const NEAR: usize = 512;

/// Returns the security kinds, misspelt or not, that stand behind a field `kind` in a text, each as often as it
/// does.
///
/// Lines of comments say nothing, nor does the line in which `kubectl` keeps what an object was.
pub(crate) fn said_kinds(text: &str) -> Vec<&'static str> {
    const KEPT: &str = "last-applied-configuration";
    let mut is_kept = false;
    let lines = text.split_inclusive(['\n', '\r']).filter(|line| {
        let trimmed = line.trim();
        let goes_on = line.contains(KEPT) && trimmed.ends_with(['|', '>', '-', '+']);
        let was_kept = is_kept;
        is_kept = goes_on || was_kept && trimmed.is_empty();
        !(trimmed.starts_with('#') || was_kept && trimmed.starts_with('{'))
    });
    let text = letters(&lines.collect::<String>());
    let said = |(at, word): (usize, &str)| {
        let before = text.get(..at)?.chars().next_back();
        let is_part = |letter: char| letter.is_alphanumeric() || letter == '_' || letter == '-';
        let rest = text.get(at + word.len()..)?;
        // What stands between the words is short: a text is read once, however often it says the first.
        let rest = rest.get(..rest.floor_char_boundary(NEAR))?;
        let kind = value(rest.trim_start_matches(is_blank).strip_prefix(':')?);
        let is_word = !before.is_some_and(is_part);
        is_word.then(|| nearest_name(kind, SECURITY_KINDS.into_iter())).flatten()
    };
    text.match_indices("kind").filter_map(said).collect()
}

/// Returns whether a text goes on over a `---`, and says a security kind behind it.
pub(super) fn swallows(text: &str) -> bool {
    names_security(text)
        && text.split_once("---").is_some_and(|(before, behind)| {
            let is_alone = before.is_empty() || before.ends_with(char::is_whitespace);
            is_alone && behind.starts_with(char::is_whitespace) && !said_kinds(behind).is_empty()
        })
}

/// What may stand around a word.
fn is_blank(letter: char) -> bool {
    letter.is_whitespace() || matches!(letter, '"' | '\'')
}

/// The word that a value begins with, behind its tag, its anchor or the mark of a block.
fn value(mut text: &str) -> &str {
    loop {
        text = text.trim_start_matches(is_blank);
        if !text.starts_with(['!', '&', '>', '|']) {
            break;
        }
        let end = text.find(char::is_whitespace).unwrap_or(text.len());
        text = text.get(end..).unwrap_or_default();
    }
    let end = text.find(|letter: char| !letter.is_alphanumeric()).unwrap_or(text.len());
    text.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: &[&str] = &["AuthorizationPolicy"];

    #[test]
    fn a_kind_is_said_behind_its_field() {
        for text in [
            "kind: AuthorizationPolicy",
            "{\"kind\" : \"AuthorizationPolicy\"}",
            "\"{\\\"kind\\\":\\\"AuthorizationPolicy\\\"}\"",
            "a: \"b\\nkind: AuthorizationPolicy\"",
            "kind:\n  authorizationpolicy",
            "? kind\n: &a !!str AuthorizationPolicies",
            "kind: >-\n  'AuthorizationPolicy'",
            "# a\rkind: AuthorizationPolicy",
            "last-applied-configuration: '{}'\nkind: AuthorizationPolicy",
        ] {
            assert_eq!(said_kinds(text), POLICY, "{text}");
        }
        assert_eq!(said_kinds("kind: AuthorizationPolicy\nkind: PeerAuthentication").len(), 2);
    }

    #[test]
    fn what_speaks_of_one_says_none() {
        for text in [
            "An AuthorizationPolicy of kind: any",
            "# kind: AuthorizationPolicy",
            "kinds: [AuthorizationPolicy]",
            "mankind: AuthorizationPolicy",
            "target_kind: AuthorizationPolicy",
            "kind AuthorizationPolicy",
            "kind: Service # AuthorizationPolicy",
            "kind",
            "kind: &",
            "last-applied-configuration: |\r\n  {\"kind\": \"AuthorizationPolicy\"}\r\n",
        ] {
            assert_eq!(said_kinds(text), [""; 0], "{text}");
        }
    }

    #[test]
    fn names_are_found_wherever_they_stand() {
        for text in ["xPeerAuthenticationx", "AUTHORIZATIONPOLICY", "a/security.istio.io/v1"] {
            assert!(names_security(text), "{text}");
        }
        for text in ["", "security.istio.i", "peerauthenticatio_", "reauestauthentication ..."] {
            assert!(!names_security(text), "{text}");
        }
    }

    #[test]
    fn a_document_is_swallowed_behind_its_marker() {
        let json = "{\"kind\": \"AuthorizationPolicy\"}";
        assert!(swallows(&format!("a --- {json}")));
        assert!(swallows(&format!("---\n{json}")));
        assert!(!swallows(&format!("{json} --- a")));
        assert!(!swallows(&format!("a---b {json}")));
    }
}
