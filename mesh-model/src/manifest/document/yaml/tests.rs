use super::Limits;
use crate::manifest::document::tests::expect::{places, render};

#[track_caller]
fn check(text: &str, expected: &str) {
    let read = super::read(text, 0, &Limits::default());
    assert_eq!(read.as_ref().map(render), Ok(expected.to_owned()));
}

#[track_caller]
fn check_refused(text: &str, code: &str, line: u32, column: u32) {
    let fault = super::read(text, 0, &Limits::default()).unwrap_err();
    assert_eq!(
        (fault.code, fault.place.line, fault.place.column),
        (code, line, column),
        "{fault:?}"
    );
}

#[test]
fn words_of_yaml_1_1_are_booleans() {
    check("[y, Yes, on, TRUE, n, no, Off, false]", "[true,true,true,true,false,false,false,false]");
    check("[\"y\", 'no', !!str on, yess]", r#"["y","no","on","yess"]"#);
    check("[~, null, Null, '']", r#"[null,null,null,""]"#);
}

#[test]
fn numbers_are_those_of_kubectl() {
    check("[1, -2, +3, 0x10, 0o17, 0b11, 1_000]", "[1,-2,3,16,15,3,1000]");
    check("[0777, 08, 007, 0]", "[511,8.0,7,0]");
    check("[1.5, 1e3, .5, 1., 1.20]", "[1.5,1000.0,0.5,1.0,1.2]");
    check(
        "[1.2.3, 1m, 10s, 1e, 0xg, '5', 2001-01-01, 1:30]",
        r#"["1.2.3","1m","10s","1e","0xg","5","2001-01-01","1:30"]"#,
    );
}

#[test]
fn whole_numbers_stay_exact() {
    check(
        "[9223372036854775807, 18446744073709551615]",
        "[9223372036854775807,18446744073709551615]",
    );
    check(
        "- 18446744073709551617\n- -9223372036854775809\n",
        "[18446744073709551617,-9223372036854775809]",
    );
    check(
        "- &a 18446744073709551617\n- *a\n- !!int 5\n- 1e30\n",
        "[18446744073709551617,18446744073709551617,5,1e30]",
    );
    check(
        "é: 18446744073709551617\n18446744073709551619: x\n",
        r#"{"é":18446744073709551617,"1.8446744e+19":"x"}"#,
    );
}

#[test]
fn numbers_without_a_value_are_refused() {
    check_refused("a: .inf", "YAML-NUMBER", 1, 4);
    check_refused("a: -.INF", "YAML-NUMBER", 1, 4);
    check_refused("a: .nan", "YAML-NUMBER", 1, 4);
    check("[inf, 1e999, +.nan, yEs]", r#"["inf","1e999","+.nan","yEs"]"#);
}

#[test]
fn numbers_without_a_value_are_keys() {
    check(
        "{.inf: 1, -.INF: 2, .NaN: {.inf: 3}, a: 4}",
        r#"{".inf":1,"-.inf":2,".nan":{".inf":3},"a":4}"#,
    );
    check("-1e39: 1\n1e39: 2\n", r#"{"-.inf":1,".inf":2}"#);
    check("+.Inf: 1\n", r#"{".inf":1}"#);
    check_refused(".inf", "YAML-NUMBER", 1, 1);
    check_refused("{.inf: .inf}", "YAML-NUMBER", 1, 8);
    check_refused("[.inf]", "YAML-NUMBER", 1, 2);
    check_refused("{&a .inf: 1, b: *a}", "YAML-NUMBER", 1, 5);
    check_refused("{.inf: 1, .Inf: 2}", "YAML-DUPLICATE-KEY", 1, 11);
}

#[test]
fn numbers_as_keys_have_a_sign_or_are_floats() {
    check(
        "9223372036854775807: 1\n-9223372036854775808: 2\n-9223372036854775809: 3\n",
        r#"{"9223372036854775807":1,"-9223372036854775808":2,"-9.223372e+18":3}"#,
    );
    check_refused("9223372036854775808: 1", "YAML-NUMBER", 1, 1);
    check_refused("18446744073709551615: 1", "YAML-NUMBER", 1, 1);
    check("18446744073709551616: 1", r#"{"1.8446744e+19":1}"#);
}

#[test]
fn keys_are_texts() {
    check(
        "{y: 1, off: 2, 5: 3, 0x10: 4, 1.50: 5, '6': 6}",
        r#"{"true":1,"false":2,"5":3,"16":4,"1.5":5,"6":6}"#,
    );
    check(
        "1e6: 1\n0.00001: 2\n0.25: 3\n100000.0: 4\n",
        r#"{"1e+06":1,"1e-05":2,"0.25":3,"100000":4}"#,
    );
    check_refused("a:\n  ~: 1", "YAML-KEY", 2, 3);
    check_refused("? [a]\n: 1", "YAML-KEY", 1, 3);
    check_refused("{a: b}: 1", "YAML-KEY", 1, 1);
}

#[test]
fn a_key_given_twice_is_refused_however_it_is_written() {
    check_refused("a: 1\nb: 2\na: 3", "YAML-DUPLICATE-KEY", 3, 1);
    check_refused("a: 1\n'a': 3", "YAML-DUPLICATE-KEY", 2, 1);
    check_refused("1: 1\n'1': 3", "YAML-DUPLICATE-KEY", 2, 1);
    check_refused("y: 1\ntrue: 3", "YAML-DUPLICATE-KEY", 2, 1);
    check_refused("{a: 1, b: {c: 1, c: 2}}", "YAML-DUPLICATE-KEY", 1, 18);
}

#[test]
fn merge_keys_are_merged_and_own_keys_win() {
    check(
        "a: &a {x: 1, y: 2}\nb:\n  <<: *a\n  x: 3\n",
        r#"{"a":{"x":1,"true":2},"b":{"x":3,"true":2}}"#,
    );
    check(
        "a: &a {x: 1}\nb: &b {z: 2}\nc: {<<: [*a, *b]}\n",
        r#"{"a":{"x":1},"b":{"z":2},"c":{"x":1,"z":2}}"#,
    );
    check_refused("a: {<<: 5}", "YAML", 1, 9);
}

#[test]
fn tags_ask_for_a_type_or_are_ignored() {
    check(
        "[!!str 5, !!int '5', !!float 1, !custom x, !custom {a: 1}, ! 5]",
        r#"["5",5,1.0,"x",{"a":1},"5"]"#,
    );
    check("!!binary aGVsbG8=", r#""hello""#);
    check("!!binary |\n  aGVs\n  bG8=\n", r#""hello""#);
    for digits in ["aGVsbG8", "--__", "aGVs=", "====", "a=Vs"] {
        check_refused(&format!("!!binary {digits}"), "YAML", 1, 10);
    }
    check_refused("a: !!int x", "YAML", 1, 10);
}

#[test]
fn texts_of_every_style_are_read() {
    check(
        "a: |\n  x\n   y\n\nb: >-\n  x\n  y\nc: x\n  y\nd: \"\\u00e9\\n\"\n",
        r#"{"a":"x\n y\n","b":"x y","c":"x y","d":"é\n"}"#,
    );
}

#[test]
fn everything_has_its_place() {
    let text = "é: 1\nb:\n- x\n-   {c: 'd', e: [f]}\ng: &g\n  h: |\n    i\nj: *g\n";
    let node = super::read(text, 10, &Limits::default()).unwrap();
    assert_eq!(
        places(&node),
        "{é@11:1=1@11:4 b@12:1=[x@13:3 {c@14:6=d@14:9 e@14:14=[f@14:18]@14:17}@14:5]@13:3 \
         g@15:1={h@16:3=i\n@17:5}@16:3 j@18:1={h@16:3=i\n@17:5}@16:3}@11:1"
    );
}

#[test]
fn what_is_wrong_is_said_in_our_words() {
    for (text, message) in [
        ("a: b: c", "`: ` cannot stand here"),
        ("a: 1\n b: 2", "`: ` cannot stand here"),
        ("a: [1", "a bracket is not closed"),
        ("a: [1}", "a bracket is closed by another kind of bracket"),
        ("a: ]", "a bracket is closed that was not opened"),
        ("a: 'x' y", "something follows the closing quote"),
        ("a: 'x", "a quote is not closed"),
        ("a: 'x\nb: 1", "a text in quotes goes on in a line with too little indentation"),
        ("a: \"\\q\"", "the escape is unknown"),
        ("a: @x", "a text cannot begin with this character"),
        ("a: &", "an anchor has no name"),
        ("a:\n\tb: 1", "a tab is used for indentation"),
        ("a:\n  b: 1\n c: 2", "expected a key in the column of the ones above"),
        ("- a\nb: 1", "expected `-` in the column of the ones above"),
        ("a: 1\n- b", "expected a key in the column of the ones above"),
    ] {
        let fault = super::read(text, 0, &Limits::default()).unwrap_err();
        assert_eq!(fault.message, message, "{text}");
        assert!(!fault.help.is_empty());
    }
}

#[test]
fn texts_in_quotes_go_on_in_any_column() {
    check("a:\n  b: \"x\ny\n\n z\"\n  c: 1\n", r#"{"a":{"b":"x y\nz","c":1}}"#);
    check("a:\n  b: 'it''s\n\t\ty: z'\n  c: 1\n", r#"{"a":{"b":"it's y: z","c":1}}"#);
    check("- - b: \"x\\\"\r\ny\\\r\n  z\" # c\r\n- 1\r\n", r#"[[{"b":"x\" yz"}],1]"#);
    check("a: {b: 'x\ny', c: \"d\ne\"}\n", r#"{"a":{"b":"x y","c":"d e"}}"#);
    check("a: \"x\nb: 1\"\nc: 'y\nd'\n", r#"{"a":"x b: 1","c":"y d"}"#);
    check("a: 'x\n'\nb: \"\n\"\n", r#"{"a":"x ","b":" "}"#);
    let text = "a: \"x\nb\"\nc: 'd\n  e'\nf: g\n";
    let node = super::read(text, 10, &Limits::default()).unwrap();
    assert_eq!(places(&node), "{a@11:1=x b@11:4 c@13:1=d e@13:4 f@15:1=g@15:4}@11:1");
}

#[test]
fn what_else_is_wrong_is_told_where_it_stands() {
    check_refused("a: \"x\ny\"\nb: [\n", "YAML", 2, 1);
    check_refused("a: \"x\ny\" z\n", "YAML", 2, 1);
    check_refused("a: \"x\ny\"\na: 1\n", "YAML-DUPLICATE-KEY", 3, 1);
    check_refused("a: b\n\tc: 1\n", "YAML", 1, 4);
}

#[test]
fn a_hostile_text_is_not_read_again_and_again() {
    let many = |count: usize| "a: \"x\ny\"\n".repeat(count).replace("a:", "- a:");
    assert!(super::read(&many(50), 0, &Limits::default()).is_ok());
    check_refused(&many(50_000), "YAML", 2, 1);
    let wide = format!("{}a: \"{}\"\n", "- ".repeat(30), "x\n".repeat(400_000));
    assert!(super::read(&wide, 0, &Limits::default()).is_err());
}

#[test]
fn escapes_of_json_are_refused_in_yaml() {
    check_refused("a: b\nc: \"x\\uD83D\\uDE00\"", "YAML", 2, 6);
    check_refused("c: \"\\\\ x\\/y\"", "YAML", 1, 9);
    check("c: \"\\U0001F600 \\\\uD83D \\u00e9\"", "{\"c\":\"\u{1F600} \\\\uD83D é\"}");
    check("c: '\\uD83D\\/'", r#"{"c":"\\uD83D\\/"}"#);
}

#[test]
fn line_ends_of_unicode_stand_in_quotes_only() {
    check("a: \"x\u{2028}y\"\nb: 'x\u{2029}y'\n", "{\"a\":\"x\\u{2028}y\",\"b\":\"x\\u{2029}y\"}");
    check_refused("a: 1\nb: x\u{2028}y\n", "YAML-ENCODING", 2, 5);
    check_refused("a: é \"x\u{85}\"\n", "YAML-ENCODING", 1, 8);
    check_refused("a: \"\u{2028}\" # x\u{2029}b: 1\n", "YAML-ENCODING", 1, 11);
    check_refused("# x\u{2028}a: 1\na: \"\"\n", "YAML-ENCODING", 1, 4);
    check_refused("a: |\n  x\u{85}y\n", "YAML-ENCODING", 2, 4);
}
