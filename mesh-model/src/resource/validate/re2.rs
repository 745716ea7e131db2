//! Whether a text is an RE2 expression, as Go reads it.
//!
//! Syntax only: nothing is compiled, so that the cost is that of the text's length.
//!
//! # Upstream
//!
//! Go `regexp/syntax/parse.go`.
use super::{Verdict, Wrong};

mod class;

/// The longest expression; Envoy's limit is the size of the program, which is never smaller.
const LIMIT: usize = 1024;

/// Checks an expression.
///
/// # Upstream
///
/// istio/istio `pkg/config/validation/validation.go` `validateStringRegexp`.
pub(crate) fn check(expression: &str) -> Verdict {
    let found = match expression.len() {
        0 => Err("the expression is empty"),
        1..=LIMIT => parse(expression),
        _ => Err("the expression has more than 1024 bytes"),
    };
    let help = "write an RE2 expression: no look-around, no back references";
    found.map_err(|message| Wrong::new("MATCH-REGEX", message, help))
}

/// What is wrong with an expression.
type Fault = &'static str;

/// A group that is open: what stood before it, and what stands in it.
#[derive(Debug, Default)]
struct Group {
    /// The product of the counts of nested repetitions in what is finished.
    weight: u32,
    /// The same of the last part, which a repetition would apply to; `None` where there is none.
    last: Option<u32>,
}

impl Group {
    /// Adds a part.
    fn push(&mut self, weight: u32) {
        self.finish();
        self.last = Some(weight);
    }

    /// Ends the last part.
    fn finish(&mut self) {
        self.weight = self.weight.max(self.last.take().unwrap_or_default());
    }
}

/// Reads a whole expression.
fn parse(expression: &str) -> Result<(), Fault> {
    let mut rest = expression;
    let mut groups = vec![Group::default()];
    let mut names = Vec::new();
    let mut was_repeated = false;
    while let Some(c) = rest.chars().next() {
        let repetition = repetition(rest, c);
        let group = groups.last_mut().ok_or("a group is closed that is not open")?;
        if let Some((count, remaining)) = repetition {
            repeat(group, count)?;
            if std::mem::replace(&mut was_repeated, true) {
                return Err("a repetition is repeated");
            }
            rest = remaining.strip_prefix('?').unwrap_or(remaining);
            continue;
        }
        was_repeated = false;
        rest = match c {
            '(' => {
                let (remaining, opens) = open(rest, &mut names)?;
                if opens {
                    groups.push(Group::default());
                }
                remaining
            }
            ')' => {
                let mut inner = groups.pop().unwrap_or_default();
                inner.finish();
                let outer = groups.last_mut().ok_or("a group is closed that is not open")?;
                outer.push(inner.weight);
                tail(rest, 1)
            }
            '|' => {
                group.finish();
                tail(rest, 1)
            }
            '[' => {
                group.push(1);
                class::bracketed(tail(rest, 1))?
            }
            '\\' => {
                let (remaining, has_part) = escaped(rest)?;
                if has_part {
                    group.push(1);
                }
                remaining
            }
            _ => {
                group.push(1);
                tail(rest, c.len_utf8())
            }
        };
    }
    if groups.len() == 1 { Ok(()) } else { Err("a group is not closed") }
}

/// How often something is repeated: the number that counts for limits, 0 for none.
#[derive(Clone, Copy, Debug)]
struct Count {
    is_legal: bool,
    most: u32,
}

/// Reads a repetition and what is left; `{` may also be a plain character.
fn repetition(text: &str, c: char) -> Option<(Count, &str)> {
    match c {
        '*' | '+' | '?' => Some((Count { is_legal: true, most: 0 }, tail(text, 1))),
        '{' => {
            let (inner, rest) = tail(text, 1).split_once('}')?;
            let (least, most) = match inner.split_once(',') {
                None => (number(inner)?, Some(number(inner)?)),
                Some((least, "")) => (number(least)?, None),
                Some((least, most)) => (number(least)?, Some(number(most)?)),
            };
            let is_legal = least <= 1000 && most.is_none_or(|most| least <= most && most <= 1000);
            let most = most.unwrap_or(least);
            // Fewer than two repetitions are not looked at for the limit of nested ones.
            Some((Count { is_legal, most: if most >= 2 { most } else { 0 } }, rest))
        }
        _ => None,
    }
}

/// A number without leading zeros; saturates.
fn number(text: &str) -> Option<u32> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_plain = text.len() == 1 || !text.starts_with('0');
    (is_number && is_plain).then(|| text.parse().unwrap_or(u32::MAX))
}

fn repeat(group: &mut Group, count: Count) -> Result<(), Fault> {
    let last = group.last.as_mut().ok_or("there is nothing to repeat")?;
    *last = last.saturating_mul(count.most.max(1));
    if count.is_legal && *last <= 1000 {
        Ok(())
    } else {
        Err("something is repeated more than 1000 times")
    }
}

/// Reads the beginning of a group, or flags that hold from here on: what is left, and whether a group
/// is open.
fn open<'t>(text: &'t str, names: &mut Vec<&'t str>) -> Result<(&'t str, bool), Fault> {
    let Some(rest) = text.strip_prefix("(?") else { return Ok((tail(text, 1), true)) };
    if let Some(rest) = rest.strip_prefix("P<").or_else(|| rest.strip_prefix('<')) {
        let (name, rest) = rest.split_once('>').ok_or("the name of a group is not ended")?;
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if name.is_empty() || !name.bytes().all(is_name) || names.contains(&name) {
            return Err("the name of a group is not a word, or is there twice");
        }
        names.push(name);
        return Ok((rest, true));
    }
    flags(rest)
}

/// Reads `FLAGS[-FLAGS]` with the `:` or `)` that ends them.
fn flags(text: &str) -> Result<(&str, bool), Fault> {
    let mut is_negative = false;
    let mut has_flag = false;
    for (index, c) in text.char_indices() {
        match c {
            'i' | 'm' | 's' | 'U' => has_flag = true,
            '-' if !is_negative => (is_negative, has_flag) = (true, false),
            ':' | ')' if has_flag || !is_negative => return Ok((tail(text, index + 1), c == ':')),
            _ => break,
        }
    }
    Err("a group begins with something that RE2 does not know")
}

/// Reads an escape: what is left, and whether it stands for something that can be repeated.
fn escaped(text: &str) -> Result<(&str, bool), Fault> {
    let after = tail(text, 1);
    let Some(c) = after.chars().next() else { return Err("a backslash ends the expression") };
    match c {
        'A' | 'b' | 'B' | 'z' => Ok((tail(after, 1), true)),
        'Q' => {
            let quoted = tail(after, 1);
            let (quoted, rest) = quoted.split_once("\\E").unwrap_or((quoted, ""));
            Ok((rest, !quoted.is_empty()))
        }
        'd' | 'D' | 's' | 'S' | 'w' | 'W' => Ok((tail(after, 1), true)),
        'p' | 'P' => Ok((class::unicode(text)?, true)),
        _ => Ok((class::escape(text)?.1, true)),
    }
}

/// What follows a number of bytes.
fn tail(text: &str, bytes: usize) -> &str {
    text.get(bytes..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::parse;

    fn check(expressions: &[&str]) {
        for expression in expressions {
            assert_eq!(parse(expression), Ok(()), "{expression}");
        }
    }

    fn check_refused(expressions: &[&str]) {
        for expression in expressions {
            assert!(parse(expression).is_err(), "{expression}");
        }
    }

    #[test]
    fn braces_that_are_no_repetition_are_characters() {
        check(&["/v1/{id}", "a{,5}", "a{", "{", "x{2,1000}", "a{01}", "a}"]);
        check_refused(&["a{2,1}", "a{1001}", "(a{100}){11}", "a{99999999999}"]);
    }

    #[test]
    fn what_re2_does_not_know_is_refused() {
        check_refused(&[
            "(?=a)", "(?!a)", "(?<!a)", r"\1", r"\C", "(?P=a)", r"\Z", "(?>a)", "(?i-)",
        ]);
        check(&[
            "(?i)a",
            "(?i-s:a)",
            "(?:a)",
            "(?P<a>.)(?<b>.)",
            r"\Q(\E",
            "(?)",
            r"\x{10FFFF}\012",
        ]);
    }

    #[test]
    fn repetitions_need_something_to_repeat() {
        check_refused(&["*", "a**", "a+*", "(*)", "a|*", "(?i)*", "a{2}{3}"]);
        check(&["a*?", "a+?b", "(a*)*", "^*", "(|a)*", "()*", "a??"]);
    }

    #[test]
    fn groups_are_opened_and_closed() {
        check_refused(&["(", ")", "(a))", "(?P<a", "(?P<>a)", "(?P<a>.)(?P<a>.)", "\\"]);
        check(&["((a)(b))", "", "a|", "|"]);
    }

    #[test]
    fn classes_have_their_own_rules() {
        check(&[
            "[]a]",
            "[^]a]",
            "[a-z]",
            "[[a]",
            "[a-]",
            r"[\d-z]",
            "[[:alpha:]_]",
            r"\p{Greek}",
            r"\pN",
        ]);
        check_refused(&[
            "[",
            "[a",
            "[]",
            "[z-a]",
            "[[:none:]]",
            r"\p{Nobody}",
            r"[\1]",
            r"\p{Greek",
        ]);
    }
}
