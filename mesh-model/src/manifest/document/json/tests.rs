use super::{Limits, Objects};
use crate::manifest::document::tests::expect::{places, render};

#[track_caller]
fn check(text: &str, expected: &str) {
    let limits = Limits::default();
    let read = Objects::new(text, 0, &limits).next_object().unwrap().unwrap();
    assert_eq!(render(&read.0), expected);
}

#[track_caller]
fn check_refused(text: &str, line: u32, column: u32, message: &str) {
    let limits = Limits::default();
    let fault = Objects::new(text, 0, &limits).next_object().unwrap_err();
    assert_eq!((fault.place.line, fault.place.column), (line, column), "{fault:?}");
    assert_eq!(fault.message, message);
}

#[test]
fn values_are_read_as_they_are_written() {
    check(
        "[null, true, false, \"y\", 0, -1, 1.5, 2e3, -0]",
        "[null,true,false,\"y\",0,-1,1.5,2000.0,-0.0]",
    );
    check("[18446744073709551617, 1e-400]", "[18446744073709551617,0.0]");
    check("{\"\": {}, \"a\\u00e9\": []}", "{\"\":{},\"aé\":[]}");
}

#[test]
fn escapes_stand_for_their_characters() {
    check(r#"["\"\\\/\n\t\u0041", "\ud83d\ude00"]"#, r#"["\"\\/\n\tA","😀"]"#);
}

#[test]
fn everything_has_its_place() {
    let limits = Limits::default();
    let text = " {\"é\": 1,\r\n\t\"b\": [ \"é\", 2]}";
    let (node, _) = Objects::new(text, 4, &limits).next_object().unwrap().unwrap();
    assert_eq!(places(&node), "{é@5:3=1@5:8 b@6:2=[é@6:9 2@6:14]@6:7}@5:2");
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    check_refused("{\"a\" 1}", 1, 6, "expected `:`, found `1`");
    check_refused("{a: 1}", 1, 2, "expected a key in quotes, found `a`");
    check_refused("{\"a\": 1,}", 1, 9, "expected a key in quotes, found `}`");
    check_refused("{\"a\": 1\n \"b\": 2}", 2, 2, "expected `,` or `}`, found `\\\"`");
    check_refused("[1 2]", 1, 4, "expected `,` or `]`, found `2`");
    check_refused("[1", 1, 3, "expected `,` or `]`, found the end");
    check_refused("[tru]", 1, 2, "expected a value, found `t`");
    check_refused("[01]", 1, 3, "expected `,` or `]`, found `1`");
    check_refused("[-]", 1, 3, "expected a digit, found `]`");
    check_refused("[1.]", 1, 4, "expected a digit, found `]`");
    check_refused("[1e]", 1, 4, "expected a digit, found `]`");
    check_refused("[\"a\nb\"]", 1, 4, "expected `\"`, found `\\n`");
    check_refused("[\"\\x\"]", 1, 4, "expected an escape such as `\\n`, found `x`");
    check_refused("[\"\\ud800\"]", 1, 9, "expected the second half of a character, found `\\\"`");
    check_refused("[\"\\udc00\"]", 1, 9, "expected a whole character, found `\\\"`");
    check_refused("[1e999]", 1, 2, "the number is too large");
    check_refused(
        "{\"a\": 1, \"a\": 2}",
        1,
        10,
        "the key `a` is given twice, first in the same line",
    );
    check_refused(
        "{\"a\": 1,\n\n\"a\": 2}",
        3,
        1,
        "the key `a` is given twice, first 2 lines above",
    );
}
