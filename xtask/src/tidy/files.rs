//! One file at a time: says what it is for, stays small, is finished, and names no one's machine.
use crate::tidy::scan::{self, Source};
use crate::tidy::{Finding, drawn};

/// Returns what is wrong with one file.
pub(super) fn check(source: &Source) -> Vec<Finding> {
    let mut findings = workplaces(source);
    findings.extend(unfinished_words(source));
    if source.path.ends_with(".rs") && !drawn::is_generated(&source.path) {
        if !drawn::is_tests(&source.path) {
            findings.extend(documentation(source));
        }
        findings.extend(length(source));
        findings.extend(unfinished_code(source));
    }
    findings
}

fn finding(source: &Source, line: usize, sentence: impl Into<String>) -> Finding {
    Finding { path: source.path.clone(), line, sentence: sentence.into() }
}

fn documentation(source: &Source) -> Option<Finding> {
    if source.path.ends_with("/mod.rs") {
        let sentence = "a folder's module lies beside it: rename `x/mod.rs` to `x.rs`";
        return Some(finding(source, 1, sentence));
    }
    let first = source
        .text
        .lines()
        .map(str::trim)
        .find(|line| !line.is_empty() && (!line.starts_with("#![") || is_included_doc(line)));
    let documented = first.is_some_and(|line| line.starts_with("//!") || is_included_doc(line));
    let sentence = "no `//!`: say in a sentence at the top which question the module answers";
    (!documented).then(|| finding(source, 1, sentence))
}

fn is_included_doc(line: &str) -> bool {
    line.starts_with("#![doc = include_str!")
}

fn length(source: &Source) -> Option<Finding> {
    let lines = source.text.lines().count();
    let most = drawn::MAX_LINES;
    (lines > most).then(|| {
        finding(source, most + 1, format!("{lines} lines, at most {most}: make it two rooms"))
    })
}

/// Macros that stand for code that is not there.
const UNFINISHED: &[&str] = &["todo", "unimplemented"];

fn unfinished_code(source: &Source) -> Vec<Finding> {
    let code = scan::code(&source.text);
    let mut findings: Vec<Finding> = scan::paths(&code)
        .iter()
        .filter(|path| path.called_macro)
        .filter_map(|path| {
            let name = path.segments.last().filter(|name| UNFINISHED.contains(&name.as_str()))?;
            Some(finding(
                source,
                path.line,
                format!("`{name}!` is no code: write it, or leave it out"),
            ))
        })
        .collect();
    for (at, line) in code.lines().enumerate() {
        if line.contains("#[ignore") {
            let sentence = "an ignored test proves nothing: make it pass or delete it";
            findings.push(finding(source, at + 1, sentence));
        }
    }
    findings
}

/// Notes to oneself. Written in two parts, so that this file holds none.
const NOTES: &[&str] = &[concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X:")];

fn unfinished_words(source: &Source) -> Vec<Finding> {
    each_line(source, |line| {
        let note = NOTES.iter().find(|&&note| {
            line.match_indices(note).any(|(at, _)| {
                let before = line.get(..at).and_then(|text| text.chars().next_back());
                let after = line.get(at + note.len()..).and_then(|text| text.chars().next());
                !before.is_some_and(char::is_alphanumeric)
                    && !after.is_some_and(char::is_alphanumeric)
            })
        })?;
        Some(format!("`{note}`: do it, or write an issue"))
    })
}

/// Where people and build machines keep their work. Written in two parts, as above.
const WORKPLACES: &[&str] = &[
    concat!("/ro", "ot/"),
    concat!("/wo", "rk/"),
    concat!("/wo", "rkspace/"),
    concat!("/Us", "ers/"),
    concat!("/ho", "me/"),
];

fn workplaces(source: &Source) -> Vec<Finding> {
    each_line(source, |line| {
        let place = WORKPLACES.iter().find(|&&place| {
            line.match_indices(place).any(|(at, _)| {
                let before = line.get(..at).and_then(|text| text.chars().next_back());
                // `a/work/` and `$HOME/work/` are no absolute paths.
                !before.is_some_and(|c| c.is_alphanumeric() || "._-/}*".contains(c))
            })
        })?;
        Some(format!("a path below `{place}` exists on one machine only: make it relative"))
    })
}

fn each_line(source: &Source, check: impl Fn(&str) -> Option<String>) -> Vec<Finding> {
    source
        .text
        .lines()
        .enumerate()
        .filter_map(|(at, line)| Some(finding(source, at + 1, check(line)?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_file(path: &str, text: &str, expected: &[&str]) {
        let source = Source { path: path.to_owned(), text: text.to_owned() };
        let found: Vec<String> = check(&source)
            .iter()
            .map(|finding| {
                let words: Vec<&str> = finding.sentence.split(' ').take(2).collect();
                format!("{} {}", finding.line, words.join(" "))
            })
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_module_says_what_it_is_for() {
        check_file("a/src/b.rs", "//! Splits traffic.\nfn f() {}\n", &[]);
        check_file("a/src/lib.rs", "#![doc = include_str!(\"../README.md\")]\nmod b;\n", &[]);
        check_file("a/src/b.rs", "#![expect(x)]\n//! Splits.\n", &[]);
        check_file("a/src/b.rs", "// Splits traffic.\nfn f() {}\n", &["1 no `//!`:"]);
        check_file("a/src/b.rs", "", &["1 no `//!`:"]);
        check_file("a/src/b/mod.rs", "//! Splits traffic.\n", &["1 a folder's"]);
        check_file("a/src/b/tests.rs", "use super::*;\n", &[]);
        check_file("a/README.md", "# No rule for this one\n", &[]);
    }

    #[test]
    fn a_file_has_at_most_600_lines() {
        check_file("a/src/b.rs", &format!("//! x\n{}", "\n".repeat(599)), &[]);
        check_file("a/src/b.rs", &format!("//! x\n{}", "\n".repeat(600)), &["601 601 lines,"]);
        check_file("mesh-envoy-proto/src/generated/x.rs", &"\n".repeat(900), &[]);
    }

    #[test]
    fn unfinished_work_is_refused() {
        check_file("a/src/b.rs", "//! x\nfn f() { todo!() }\n", &["2 `todo!` is"]);
        check_file("a/src/b.rs", "//! x\n#[ignore = \"slow\"]\n", &["2 an ignored"]);
        check_file("a/src/b.rs", "//! Not `todo!()` nor #[ignore].\nfn todo() {}\n", &[]);
        check_file(
            "README.md",
            concat!("later\n- TO", "DO more\n"),
            &[concat!("2 `TO", "DO`: do")],
        );
    }

    #[test]
    fn a_path_of_one_machine_is_refused() {
        check_file("a/x.toml", concat!("path = \"/wo", "rk/x\"\n"), &["1 a path"]);
        check_file("a/x.toml", concat!("path = \"some/wo", "rk/x\"\n"), &[]);
    }
}
