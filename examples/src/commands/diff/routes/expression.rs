//! A text that a regular expression takes.
use regex_syntax::hir::{Class, Hir, HirKind};

/// No text is longer, in bytes.
const LONGEST: usize = 4096;

/// Characters that are taken where a class has them, the first of them that it has.
const PLAIN: [char; 5] = ['a', 'A', '0', '-', '/'];

/// Returns a short text that an expression takes as a whole: of alternatives the first, of repetitions as few
/// as may be. `None` if there is none as short as a header's value, or the expression is none.
///
/// What an expression asks of a place (`\b`, `^` within it) is not looked at.
pub(super) fn example(expression: &str) -> Option<String> {
    let parsed = regex_syntax::parse(expression).ok()?;
    let mut text = String::new();
    write(&parsed, &mut text)?;
    Some(text)
}

fn write(part: &Hir, text: &mut String) -> Option<()> {
    match part.kind() {
        HirKind::Empty | HirKind::Look(_) => {}
        HirKind::Literal(literal) => text.push_str(std::str::from_utf8(&literal.0).ok()?),
        HirKind::Class(class) => text.push(member(class)?),
        HirKind::Repetition(repetition) => {
            for _ in 0..repetition.min {
                let before = text.len();
                write(&repetition.sub, text)?;
                if text.len() == before {
                    break;
                }
            }
        }
        HirKind::Capture(capture) => write(&capture.sub, text)?,
        HirKind::Concat(parts) => parts.iter().try_for_each(|part| write(part, text))?,
        HirKind::Alternation(parts) => write(parts.first()?, text)?,
    }
    (text.len() <= LONGEST).then_some(())
}

/// A character of a class, a plain one if it has any.
fn member(class: &Class) -> Option<char> {
    let has = |wanted: char| match class {
        Class::Unicode(class) => {
            class.iter().any(|range| range.start() <= wanted && wanted <= range.end())
        }
        Class::Bytes(class) => u8::try_from(wanted).is_ok_and(|byte| {
            class.iter().any(|range| range.start() <= byte && byte <= range.end())
        }),
    };
    PLAIN.into_iter().find(|plain| has(*plain)).or_else(|| match class {
        Class::Unicode(class) => class.iter().next().map(|range| range.start()),
        Class::Bytes(class) => {
            class.iter().next().map(|range| char::from(range.start())).filter(char::is_ascii)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::example;

    #[test]
    fn an_example_is_short_and_of_plain_characters() {
        for (expression, expected) in [
            ("/v[0-9]+/items", "/v0/items"),
            ("/api/.*", "/api/"),
            (".+", "a"),
            ("(blue|green)", "blue"),
            ("^x{3}$", "xxx"),
            ("[^a-zA-Z]", "0"),
            ("[äö]", "ä"),
            ("(?i)get", "Get"),
            ("", ""),
        ] {
            let found = example(expression);
            let is_alike = found.as_deref().is_some_and(|it| it.eq_ignore_ascii_case(expected));
            assert!(is_alike, "{expression}: {found:?}");
        }
    }

    #[test]
    fn what_has_no_example_has_none() {
        for expression in ["(", "[a&&b]", "(?:a{1000}){1000}", "a[^\\x00-\\x{10FFFF}]"] {
            assert_eq!(example(expression), None, "{expression}");
        }
    }
}
