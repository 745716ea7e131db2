//! Conditions on texts.
use mesh_envoy_proto::envoy::r#type::matcher::v3::StringMatcher;
use mesh_envoy_proto::envoy::r#type::matcher::v3::string_matcher::MatchPattern;
use regex::Regex;

use super::re2::{self, Alphabet};

/// Whether a text meets a condition. A regular expression has to match all of it.
pub(super) fn matches(matcher: &StringMatcher, alphabet: Alphabet, text: &str) -> bool {
    let fold = |text: &str| {
        if matcher.ignore_case { text.to_ascii_lowercase() } else { text.to_owned() }
    };
    let given = fold(text);
    match &matcher.match_pattern {
        Some(MatchPattern::Exact(exact)) => given == fold(exact),
        Some(MatchPattern::Prefix(prefix)) => given.starts_with(&fold(prefix)),
        Some(MatchPattern::Suffix(suffix)) => given.ends_with(&fold(suffix)),
        Some(MatchPattern::Contains(part)) => given.contains(&fold(part)),
        Some(MatchPattern::SafeRegex(regex)) => re2::is_whole_match(&regex.regex, alphabet, text),
        Some(MatchPattern::Custom(_)) | None => false,
    }
}

/// Replaces what an expression matches; `\1` in the replacement is its first group, `\\` a backslash. The
/// text is a path that routes have seen: ASCII, the same in every alphabet.
pub(super) fn substitute(expression: &str, text: &str, replacement: &str) -> String {
    let Ok(regex) = Regex::new(&re2::for_engine(expression)) else { return text.to_owned() };
    let mut template = String::new();
    let mut characters = replacement.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => match characters.next() {
                Some(digit) if digit.is_ascii_digit() => {
                    template.push_str(&format!("${{{digit}}}"));
                }
                Some(other) => template.push(other),
                None => {}
            },
            '$' => template.push_str("$$"),
            other => template.push(other),
        }
    }
    regex.replace_all(text, template.as_str()).into_owned()
}

#[cfg(test)]
mod tests {
    use mesh_envoy_proto::envoy::r#type::matcher::v3::RegexMatcher;

    use super::*;

    fn check(pattern: MatchPattern, ignore_case: bool, text: &str, expected: bool) {
        let matcher = StringMatcher { match_pattern: Some(pattern), ignore_case };
        assert_eq!(matches(&matcher, Alphabet::Latin1, text), expected, "{matcher:?} {text}");
    }

    #[test]
    fn a_regular_expression_has_to_match_everything() {
        let regex = |text: &str| {
            let regex = text.to_owned();
            MatchPattern::SafeRegex(RegexMatcher { regex, ..RegexMatcher::default() })
        };
        check(regex("/a"), false, "/a", true);
        check(regex("/a"), false, "/ab", false);
        check(regex("a|ab"), false, "ab", true);
        check(regex("("), false, "(", false);
    }

    #[test]
    fn case_counts_unless_it_is_told_not_to() {
        check(MatchPattern::Exact("Ab".to_owned()), false, "ab", false);
        check(MatchPattern::Exact("Ab".to_owned()), true, "aB", true);
        check(MatchPattern::Prefix("A".to_owned()), true, "ab", true);
        check(MatchPattern::Contains("B".to_owned()), false, "abc", false);
        check(MatchPattern::Suffix("c".to_owned()), false, "abc", true);
    }

    #[test]
    fn groups_are_named_by_backslashes() {
        assert_eq!(substitute("^/v1/(.*)$", "/v1/a", r"/\1/v2"), "/a/v2");
        assert_eq!(substitute("a", "aa", "$b"), "$b$b");
        assert_eq!(substitute("(", "x", "y"), "x");
    }
}
