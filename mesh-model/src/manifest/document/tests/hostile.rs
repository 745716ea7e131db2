//! Text that is meant to hurt: each gives a diagnostic, and quickly.
use std::fmt::Write;

use super::{Limits, read};

#[track_caller]
fn check_refused(text: impl AsRef<[u8]>, code: &str) {
    let reading = read("f.yaml", text.as_ref(), &Limits::default());
    let codes: Vec<&str> = reading.diagnostics.iter().map(|d| d.code).collect();
    assert_eq!(codes, [code], "{:?}", reading.diagnostics.first());
    assert!(reading.documents.is_empty());
}

#[test]
fn a_million_lines() {
    check_refused("key: value\n".repeat(1_000_000), "YAML-LIMIT");
    let list = format!("kind: List\nitems:\n- x: 1\n{}", "  x: 1\n".repeat(100_000));
    check_refused(list, "YAML-DUPLICATE-KEY");
}

#[test]
fn a_billion_aliases() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..10 {
        let uses = vec![format!("*a{}", level - 1); 10].join(", ");
        let _ = writeln!(text, "a{level}: &a{level} [{uses}]");
    }
    check_refused(text, "YAML-LIMIT");
}

#[test]
fn a_long_text_used_a_thousand_times() {
    let long = "x".repeat(1_000_000);
    check_refused(format!("a: &a \"{long}\"\nb: [{}]\n", "*a, ".repeat(900)), "YAML-LIMIT");
}

#[test]
fn an_alias_in_its_own_anchor() {
    check_refused("a: &a [*a]\n", "YAML-ALIAS");
    check_refused("a: &a\n  b: *a\n", "YAML-ALIAS");
    check_refused("a: *nowhere\n", "YAML-ALIAS");
}

#[test]
fn a_hundred_thousand_levels() {
    let block: String = (0..1_000).fold(String::new(), |mut text, level| {
        let _ = writeln!(text, "{}a:", " ".repeat(level));
        text
    });
    check_refused(block, "YAML-LIMIT");
    check_refused(format!("a: {}", "[".repeat(100_000)), "YAML-LIMIT");
    check_refused("- ".repeat(100_000), "YAML-LIMIT");
    check_refused("[".repeat(100_000), "YAML-LIMIT");
    check_refused("{\"a\":".repeat(100_000), "YAML-LIMIT");
    check_refused("{a: ".repeat(100_000), "YAML-LIMIT");
    check_refused(format!("{}\n", "? ".repeat(100_000)), "YAML-LIMIT");
}

#[test]
fn a_label_of_ten_megabytes() {
    let long = "x".repeat(10_000_000);
    check_refused(format!("metadata:\n  labels:\n    a: {long}\n"), "YAML-LIMIT");
    check_refused(format!("{{\"metadata\": {{\"labels\": {{\"a\": \"{long}\"}}}}}}"), "YAML-LIMIT");
}

#[test]
fn a_hundred_thousand_equal_keys_or_different_ones() {
    check_refused(format!("{{{}}}", vec!["\"a\": 1"; 100_000].join(",")), "YAML-DUPLICATE-KEY");
    let keys: Vec<String> = (0..100_000).map(|key| format!("k{key}: 1\n")).collect();
    let reading = read("f.yaml", keys.concat().as_bytes(), &Limits::default());
    assert_eq!(reading.documents.len(), 1);
}

#[test]
fn separators_and_broken_documents_by_the_thousand() {
    let reading = read("f.yaml", "---\n".repeat(200_000).as_bytes(), &Limits::default());
    assert_eq!((reading.documents.len(), reading.diagnostics.len()), (0, 0));
    let reading = read("f.yaml", "[\n---\n".repeat(10_000).as_bytes(), &Limits::default());
    assert_eq!((reading.unreadable.len(), reading.diagnostics.len()), (10_000, 1_001));
}

#[test]
fn the_deepest_document_fits_into_a_small_stack() {
    let limits = Limits { depth: usize::MAX, ..Limits::default() };
    let depth = Limits::MAX_DEPTH - 1;
    let text = format!("a: {}{}", "[".repeat(depth), "]".repeat(depth));
    let read = std::thread::Builder::new()
        .stack_size(1 << 20)
        .spawn(move || read("f.yaml", text.as_bytes(), &limits).documents.len());
    assert_eq!(read.unwrap().join().unwrap(), 1);
}

#[test]
fn merges_of_merges_do_not_multiply() {
    let mut text = "a0: &a0 {x: 1}\n".to_owned();
    for level in 1..60 {
        let below = level - 1;
        let _ = writeln!(text, "a{level}: &a{level} {{<<: [*a{below}, *a{below}], k{level}: 1}}");
    }
    let reading = read("f.yaml", text.as_bytes(), &Limits::default());
    assert_eq!(reading.documents[0].node.entries()[59].node.entries().len(), 60);
}

#[test]
fn aliases_of_aliases_that_grow_deeper_each_time() {
    let mut text = "a0: &a0 [x]\n".to_owned();
    for level in 1..900 {
        let _ = writeln!(text, "a{level}: &a{level} [*a{}]", level - 1);
    }
    check_refused(text, "YAML-LIMIT");
}

#[test]
fn anchors_around_anchors() {
    let text: String = (0..60).map(|level| format!("&a{level} [")).collect();
    check_refused(format!("a: {text}{}{}", "x,".repeat(100_000), "]".repeat(60)), "YAML-LIMIT");
}
