//! Sets of paths: whether one lies within others, or shares no path with another.
//!
//! Templates and the other tests of a path are rows of letters and gaps, which are walked at once. Letters
//! that no row names fall into four classes, of which one letter each stands for all: what an operator
//! of a template holds, the slash, the star, which some releases' operators hold, and what no operator holds.
use super::glob::{Asked, Glob, Letters, Spelled, spell};
use super::literal::Shape;

/// Places in all rows that are walked before nothing is said.
const STATES: usize = 20_000;

/// Whether every path that passes a test passes one of others; false where that takes too long to tell.
pub(super) fn is_within(shape: Shape<'_>, others: &[Shape<'_>]) -> bool {
    let wide = others.iter().flat_map(|other| Glob::of(*other)).collect();
    is_nothing(vec![asked(Glob::of(shape), true), asked(wide, false)])
}

/// Whether no path passes both tests; false where that takes too long to tell.
pub(super) fn are_disjoint(one: Shape<'_>, other: Shape<'_>) -> bool {
    is_nothing(vec![asked(Glob::of(one), true), asked(Glob::of(other), true)])
}

fn asked(rows: Vec<Glob<'_>>, passes: bool) -> Asked<'_> {
    Asked { rows, passes, ends_at_query: false }
}

/// Whether no path is as asked.
fn is_nothing(mut asked: Vec<Asked<'_>>) -> bool {
    let Some(letters) = letters(&asked) else { return false };
    // Every path begins with a slash.
    asked.push(self::asked(vec![Glob::starting("/")], true));
    spell(&asked, &letters, STATES) == Spelled::Nothing
}

/// One letter of each class that no row names; `None` if one class has none left.
fn letters(asked: &[Asked<'_>]) -> Option<Letters> {
    let named: Vec<u8> =
        asked.iter().flat_map(|asked| &asked.rows).flat_map(Glob::letters).collect();
    let free = |class: &[u8]| class.iter().copied().find(|letter| !named.contains(letter));
    let held = free(b"xyzwvutqkjhgfedcbaXYZWVUTQKJHGFEDCBA0123456789")?;
    let unheld = free(b"[]|^\"<>{}\\`")?;
    // What a `?` or `#` begins is no part of what is compared.
    let is_allowed = |letter: u8| letter != b'?' && letter != b'#';
    Some(Letters { fillers: vec![held, b'/', b'*', unheld], is_allowed, both_cases: true })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matcher::{PathTemplate, StringTest};

    /// Templates of three segments at most, with and without a slash at the end.
    fn templates() -> Vec<PathTemplate> {
        let segments = ["a", "{*}", "{**}"];
        let longer = |texts: &[String]| -> Vec<String> {
            texts.iter().flat_map(|text| segments.map(|of| format!("{text}/{of}"))).collect()
        };
        let one = longer(&[String::new()]);
        let two = longer(&one);
        let three = longer(&two);
        let all: Vec<String> = [one, two, three].concat();
        let texts = all.iter().flat_map(|text| [text.clone(), format!("{text}/")]);
        let templates = texts.filter_map(|text| PathTemplate::new(&text).ok());
        let both = templates.flat_map(|template| [template.clone(), template.without_star()]);
        both.collect()
    }

    /// All paths of some letters up to a length.
    fn paths(letters: &str, length: usize) -> Vec<String> {
        let mut found = vec!["/".to_owned()];
        let mut last = found.clone();
        for _ in 1..length {
            let longer = |text: &String| -> Vec<String> {
                letters.chars().map(|letter| format!("{text}{letter}")).collect()
            };
            last = last.iter().flat_map(longer).collect();
            found.extend(last.iter().cloned());
        }
        found
    }

    /// What each of several tests says of each path.
    fn answers(shapes: &[Shape<'_>], paths: &[String]) -> Vec<Vec<bool>> {
        let passes = |shape: &Shape<'_>, path: &String| {
            let is_template = matches!(shape, Shape::Template(of) if of.matches(path));
            is_template || matches!(shape, Shape::Text(of) if of.matches(path.as_bytes()))
        };
        shapes.iter().map(|shape| paths.iter().map(|path| passes(shape, path)).collect()).collect()
    }

    #[test]
    fn templates_and_texts_hold_each_other_as_their_paths_do() {
        let templates = templates();
        let values = ["/a", "/a/*", "*/a", "/*", "*", "/a/a/a", "/a*", "*a/", "/a/x", "/a/["];
        let texts = values.map(StringTest::of_value);
        let shapes: Vec<Shape<'_>> =
            templates.iter().map(Shape::Template).chain(texts.iter().map(Shape::Text)).collect();
        let paths = [paths("/ax", 8), paths("/a*[", 7)].concat();
        let answers = answers(&shapes, &paths);
        for (one, of_one) in shapes.iter().zip(&answers) {
            for (other, of_other) in shapes.iter().zip(&answers) {
                let mut both = of_one.iter().zip(of_other);
                let within = both.clone().all(|(one, other)| !one || *other);
                assert_eq!(is_within(*one, &[*other]), within, "{one:?} {other:?}");
                let disjoint = both.all(|(one, other)| !(*one && *other));
                assert_eq!(are_disjoint(*one, *other), disjoint, "{one:?} {other:?}");
            }
        }
    }

    #[test]
    fn several_tests_may_hold_one_together() {
        let template = |text| PathTemplate::new(text).unwrap();
        let wide = template("/a/{**}");
        let texts = ["/a/", "/a/*"].map(StringTest::of_value);
        assert!(is_within(Shape::Template(&wide), &texts.each_ref().map(Shape::Text)));
        let parts = [template("/a/{*}"), template("/a/{*}/{**}")];
        let end = StringTest::of_value("/a/");
        let parts = parts.each_ref().map(Shape::Template);
        // What begins with a second slash is in none of them.
        assert!(!is_within(Shape::Template(&wide), &[parts[0], parts[1], Shape::Text(&end)]));
        let rest = StringTest::of_value("/a//*");
        let all = [parts[0], parts[1], Shape::Text(&end), Shape::Text(&rest)];
        assert!(is_within(Shape::Template(&wide), &all));
    }
}
