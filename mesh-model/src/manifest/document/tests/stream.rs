//! How a stream is cut, and that one document never hides another.
use super::check;

#[test]
fn documents_are_cut_at_lines_of_three_dashes() {
    check("a: 1\n---\nb: 2\n--- # a comment\nc: 3\n", "{\"a\":1}\n{\"b\":2}\n{\"c\":3}");
    check("---\n---\na: 1\n---\n---\n{\"b\": 2}{\"c\": 3}", "{\"a\":1}\n{\"b\":2}\n{\"c\":3}");
    check("--- {a: 1}\n--- \nb: 2", "{\"a\":1}\n{\"b\":2}");
    check("a: 1\r\n---\r\nb: 2\r\n", "{\"a\":1}\n{\"b\":2}");
    check("a: 1\r---\rb: 2\r", "{\"a\":1}\n{\"b\":2}");
    check("a: 1\n...\nb: 2\n...\n---\nc: 3\n", "{\"a\":1}\n{\"b\":2}\n{\"c\":3}");
}

#[test]
fn dashes_that_are_not_a_line_of_their_own_belong_to_the_text() {
    check("a: |\n  ---\n  x\n", r#"{"a":"---\nx\n"}"#);
    check("a: ---\nb: ----\n---- : 1\n---x: 2\n", r#"{"a":"---","b":"----","----":1,"---x":2}"#);
}

#[test]
fn directives_belong_to_the_document_that_follows() {
    check("%YAML 1.2\n---\na: 1\n...\n# x\n%YAML 1.1\n---\nb: 2\n", "{\"a\":1}\n{\"b\":2}");
    check("%TAG !e! tag:e,2000:\n---\na: !e!x 1\n", r#"{"a":"1"}"#);
}

#[test]
fn a_byte_order_mark_and_empty_documents_are_skipped() {
    check("\u{feff}a: 1\n---\n# nothing\n---\n\n---\n~\n---\nnull\n", r#"{"a":1}"#);
    check("\u{feff}{\"a\": 1}", r#"{"a":1}"#);
    check("", "");
    check("# only a comment", "");
    check("---\n...\n", "");
}

#[test]
fn a_broken_document_hides_no_other() {
    check(
        "a: 1\n---\nkind: Service\nmetadata:\n  name: cart\n  namespace: shop\nspec: [\n---\nb: 2\n",
        r#"{"a":1}
           {"b":2}
           f.yaml:7:7: error[YAML]: Service/shop/cart: a bracket is not closed (close it)"#,
    );
    check(
        "kind: A\nx: 'open\n---\nb: 2\n---\nc:\n\td: 3\n---\nd: 4\n",
        r#"{"b":2}
           {"d":4}
           f.yaml:3:1: error[YAML]: A: a text in quotes goes on in a line with too little indentation (close the quote, or indent the line more than the key of the text)
           f.yaml:7:2: error[YAML]: a tab is used for indentation (indent with spaces)"#,
    );
}

#[test]
fn bytes_that_are_no_text_spoil_only_their_document() {
    check(
        b"a: 1\n---\nkind: A\nb: \xc3\xa9\xff\n---\nc: 3\n",
        r#"{"a":1}
           {"c":3}
           f.yaml:4:5: error[YAML-ENCODING]: A: the byte 0xff is not UTF-8 (save the file as UTF-8)"#,
    );
    check(
        b"\xff\xfea\0:\0",
        "f.yaml:1:1: error[YAML-ENCODING]: the text is UTF-16 (save the file as UTF-8)",
    );
    check(
        "a: b\0c\n---\nc: 3\n",
        r#"{"c":3}
           f.yaml:1:5: error[YAML-ENCODING]: the control character 0x00 is not allowed (remove it, or write it as an escape in double quotes)"#,
    );
    check(r#"a: "b\0c""#, r#"{"a":"b\0c"}"#);
}

#[test]
fn what_is_no_object_is_no_document() {
    check(
        "just text\n---\n5\n",
        "f.yaml:1:1: error[YAML-OBJECT]: expected an object, found a text (an object begins with `apiVersion:` and `kind:`)
         f.yaml:3:1: error[YAML-OBJECT]: expected an object, found a number (an object begins with `apiVersion:` and `kind:`)",
    );
}

#[test]
fn json_objects_follow_each_other_with_or_without_separators() {
    check(
        "{\"a\": 1}{\"b\": 2}\n{\"c\":\n3}\n---\n{\"d\": 4}",
        "{\"a\":1}\n{\"b\":2}\n{\"c\":3}\n{\"d\":4}",
    );
    check("[{\"a\": 1}, {\"b\": 2}]", "{\"a\":1}\n{\"b\":2}");
}

#[test]
fn a_broken_json_object_hides_no_other() {
    check(
        "{\"a\": 1}\n{\"kind\": \"Pod\", \"metadata\": {\"name\": \"b\", \"labels\": {\"kind\": \"x\"}},\n  \"x\" 1}\n{\"c\": 3}\n",
        r#"{"a":1}
           {"c":3}
           f.yaml:3:7: error[JSON]: Pod/b: expected `:`, found `1` (check quotes, commas and brackets)"#,
    );
}

#[test]
fn braces_that_are_not_json_are_yaml() {
    check("{a: 1, b: 'x'} # comment\n", r#"{"a":1,"b":"x"}"#);
    check("{\"a\": 1} # comment\n", r#"{"a":1}"#);
    check(
        "{{ .Values.x }}\n",
        "f.yaml:1:2: error[YAML-KEY]: the key is not a text (put the key in quotes)",
    );
}
