//! What is read without the parser is what the parser reads, with every place.
use super::read;
use crate::manifest::document::Limits;
use crate::manifest::document::tests::expect::places;
use crate::manifest::document::yaml::parse;

/// Compares with the parser; returns whether the document is a plain one.
#[track_caller]
fn compare(text: &str) -> bool {
    let limits = Limits::default();
    let Some(node) = read(text, 7, &limits) else { return false };
    let parsed = parse(text, 7, &limits);
    assert_eq!(Ok(&node), parsed.as_ref(), "{text}");
    assert_eq!(Ok(places(&node)), parsed.as_ref().map(places), "{text}");
    true
}

#[test]
fn what_manifests_are_written_in_is_plain() {
    for text in [
        "a: 1",
        "a: b\nc:\n  d: e\n  f:\n    g: h\ni: j\n",
        "a:\n- b\n- c: 1\n  d: 2\ne: f\n",
        "a:\n  - b\n  -   c: 1\n      d:\n      - 2\n  - - x\n    - y\n",
        "- a: 1\n  b:\n  - c\n- d\n",
        "  a: 1\n  b: 2",
        "# a\na: b # c\n\n   # d\nb:   # e\n  c: d#e\n   \n",
        "a: []\nb: {} # c\nc: \"x: # 'y'\"\nd: 'x \"y\"' \n",
        "a: x:y\nb: http://x/y\nc: --z=1\nd: -1\ne: [] \nf: yes\ng: ~\nh: 0x10\nyes: no\n1: 2\n",
        "app.kubernetes.io/name: a\n.b: c\n/d: e\n_f: g\n",
        "a: [b, 1, 'c', \"d\", [e], {f: g}, x:y, -1 ]  # h\nb: { a: b, c: {}, d: [] }\n",
        "a:\n- {b: c, d: [1, 2]}\n- [e f , g]\n- h\nb: [a b]\n",
        "a: b   \nc:  d  # e\nf: $(x) <y> z\n",
    ] {
        assert!(compare(text), "{text}");
    }
}

#[test]
fn long_keys_and_deep_maps_are_left_to_the_parser() {
    let (key, value) = ("k".repeat(512), "v".repeat(5_000));
    assert!(compare(&format!("{key}: {value}\na:\n- {value}\n- {key}: [{value}]\n")));
    assert!(!compare(&format!("{key}k: 1\n")));
    let deep = |levels: usize| {
        let lines = (0..levels).map(|level| format!("{}a:\n", " ".repeat(level)));
        format!("{}{}a: 1\n", lines.collect::<String>(), " ".repeat(levels))
    };
    assert!(compare(&deep(63)) && !compare(&deep(64)));
    let nested = |levels: usize| format!("a: {}{}\n", "[".repeat(levels), "]".repeat(levels));
    assert!(compare(&nested(63)) && !compare(&nested(64)) && !compare(&nested(100_000)));
}

#[test]
fn what_is_not_plain_or_wrong_is_left_to_the_parser() {
    for text in [
        "",
        "a:",
        "a: b\nc:\n",
        "- ",
        "a",
        "a: |\n  b\n",
        "a: b\n  c\n",
        "a: &b c",
        "a: *b",
        "a: !b c",
        "\"a\": b",
        "a: 'b''c'",
        "a: \"\\n\"",
        "a: b: c",
        "a: b:",
        "a: \"b\" c",
        "a: [b",
        "a: [b\n]",
        "a: {b}",
        "a: [b: c]",
        "a: é",
        "a:\tb",
        "a: b\r\n",
        "<<: {a: 1}",
        "? a",
        "a: 1\na: 2",
        "a: .inf",
        "a: 1\n b: 2",
        "a:\n  b: 1\n c: 2",
        "- a\nb: 1",
        "a: 1\n- b",
        "--- a",
        "a: @b",
        "a: %b",
    ] {
        assert!(!compare(text), "{text}");
    }
}

#[test]
fn whatever_lines_follow_each_other_the_parser_reads_the_same() {
    const INDENTS: [usize; 8] = [0, 0, 0, 2, 2, 4, 1, 3];
    const LINES: [&str; 52] = [
        "a: 1",
        "b: x",
        "c:",
        "d:",
        "- e: 2",
        "- f:",
        "- x",
        "- - y",
        "-",
        "- ",
        "-   g: 3",
        "h: []",
        "i: {}",
        "j: \"k\"",
        "l: 'm' # n",
        "# o",
        "",
        "  ",
        "p: q # r",
        "s:   # t",
        "- u: []",
        "- \"v\"",
        "a: [b, c d]",
        "b: {c: d}",
        "- {a: 1, b: [c]}",
        "- [x, y]",
        "w: x: y",
        "yes: no",
        "1: 0x1",
        "a: &b c",
        "d: *b",
        "e: |",
        "f: >-",
        "x y: z",
        "g",
        "\"h\": i",
        "j: 'k''l'",
        "m: \"\\n\"",
        "n: [o]",
        "p: -",
        "q: - r",
        "s: ? t",
        "u:v",
        "w: x #y",
        "a: [b,]",
        "a: [b: c]",
        "a: {b}",
        "a: {b:c}",
        "b: [c, d",
        "e]",
        "[a]: b",
        "a: [ ]",
    ];
    const MARKS: [&str; 18] = [
        " ", "\n", "-", ":", "#", "\"", "'", "[", "{", "&", "*", "!", "|", "?", ",", "%", "]", "}",
    ];
    // A linear congruential generator.
    let mut state = 1_u64;
    let mut below = |bound: usize| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % bound
    };
    let mut plain = 0;
    for _ in 0..20_000 {
        let mut text = String::new();
        let most = if below(4) == 0 { LINES.len() } else { 28 };
        for _ in 0..=below(6) {
            text.push_str(&" ".repeat(INDENTS[below(INDENTS.len())]));
            text.push_str(LINES[below(most)]);
            text.push('\n');
        }
        plain += usize::from(compare(&text));
        // The same with a letter that is another.
        let (at, letter) = (below(text.len()), MARKS[below(MARKS.len())]);
        text.replace_range(at..=at, letter);
        plain += usize::from(compare(&text));
    }
    assert!(plain > 3_000, "{plain}");
}
