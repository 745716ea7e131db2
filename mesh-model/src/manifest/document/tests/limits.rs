//! What happens at each limit.
use super::{Limits, check_within};

const SMALL: Limits = Limits {
    object_bytes: 100,
    list_bytes: 1000,
    scalar_bytes: 20,
    values: 12,
    aliases: 3,
    depth: 4,
    diagnostics: 2,
};

#[test]
fn an_object_has_a_size_and_a_list_has_another() {
    let comments = "# a comment\n".repeat(20);
    // Those before and behind it do not count.
    check_within(&SMALL, format!("{comments}kind: A\n{comments}"), "{\"kind\":\"A\"}");
    let object = format!("kind: A\n{comments}b: 1\n");
    let message =
        "the object is larger than 100 bytes (make it smaller or raise the limit `object_bytes`)";
    check_within(
        &SMALL,
        format!("{object}---\nb: 2\n"),
        &format!("{{\"b\":2}}\nf.yaml:1:1: error[YAML-LIMIT]: A: {message}"),
    );
    let list = format!("{}kind: List\nitems:\n- kind: A\n- kind: B\n", "# a comment\n".repeat(20));
    check_within(&SMALL, &list, "{\"kind\":\"A\"}\n{\"kind\":\"B\"}");
    let list =
        format!("kind: List\nitems:\n- kind: A\n  x: [{}]\n- kind: B\n", "xxxxxxxxxx,".repeat(10));
    let limits = Limits { values: 1000, ..SMALL };
    check_within(
        &limits,
        list,
        &format!("{{\"kind\":\"B\"}}\nf.yaml:3:3: error[YAML-LIMIT]: A: {message}"),
    );
    let message = "the list is larger than 1000 bytes (divide it or raise the limit `list_bytes`)";
    check_within(
        &SMALL,
        format!("kind: List\n{}items: []\n", "# a comment\n".repeat(100)),
        &format!("f.yaml:1:1: error[YAML-LIMIT]: List: {message}"),
    );
}

#[test]
fn json_has_the_same_limits() {
    let json = format!("{{\"kind\": \"A\", \"x\": [{}1]}}\n{{\"b\": 2}}", "1,      ".repeat(20));
    let limits = Limits { values: 1000, ..SMALL };
    check_within(
        &limits,
        json,
        "{\"b\":2}
         f.yaml:1:1: error[YAML-LIMIT]: A: the object is larger than 100 bytes (make it smaller or raise the limit `object_bytes`)",
    );
    check_within(
        &SMALL,
        "{\"a\": [[[[1]]]]}",
        "f.yaml:1:10: error[YAML-LIMIT]: lists and maps are nested more than 4 deep (nest less or raise the limit `depth`)",
    );
    check_within(
        &SMALL,
        "{\"a\": [1,2,3,4,5,6,7,8,9,10]}",
        "f.yaml:1:26: error[YAML-LIMIT]: the document has more than 12 values, aliases expanded (divide it or raise the limit `values`)",
    );
}

#[test]
fn depth_is_counted_in_both_styles() {
    check_within(&SMALL, "a: [[[1]]]\n", r#"{"a":[[[1]]]}"#);
    let message =
        "lists and maps are nested more than 4 deep (nest less or raise the limit `depth`)";
    check_within(&SMALL, "a: [[[[1]]]]\n", &format!("f.yaml:1:7: error[YAML-LIMIT]: {message}"));
    check_within(
        &SMALL,
        "a:\n b:\n  c:\n   d:\n    e: 1\n",
        &format!("f.yaml:5:5: error[YAML-LIMIT]: {message}"),
    );
}

#[test]
fn a_text_or_a_key_may_be_so_long() {
    let long = "x".repeat(21);
    let message = "the text is longer than 20 bytes (shorten it or raise the limit `scalar_bytes`)";
    check_within(
        &SMALL,
        format!("a: {long}\n"),
        &format!("f.yaml:1:4: error[YAML-LIMIT]: {message}"),
    );
    check_within(
        &SMALL,
        format!("{long}: a\n"),
        &format!("f.yaml:1:1: error[YAML-LIMIT]: {message}"),
    );
    check_within(
        &SMALL,
        format!("{{\"a\": \"{long}\"}}"),
        &format!("f.yaml:1:7: error[YAML-LIMIT]: {message}"),
    );
}

#[test]
fn aliases_are_counted_and_so_is_what_they_stand_for() {
    check_within(&SMALL, "a: &a 1\nb: [*a, *a, *a]\n", r#"{"a":1,"b":[1,1,1]}"#);
    check_within(
        &SMALL,
        "a: &a 1\nb: [*a, *a, *a, *a]\n",
        "f.yaml:2:17: error[YAML-LIMIT]: more than 3 aliases are used (write the values out or raise the limit `aliases`)",
    );
    check_within(
        &SMALL,
        "a: &a [1, 2, 3, 4]\nb: [*a, *a, *a]\n",
        "f.yaml:2:5: error[YAML-LIMIT]: the document has more than 12 values, aliases expanded (divide it or raise the limit `values`)",
    );
}

#[test]
fn too_many_diagnostics_are_counted_instead() {
    check_within(
        &SMALL,
        "a: [\n---\nb: [\n---\nc: [\n---\nd: [\n---\ne: 1\n",
        "{\"e\":1}
         f.yaml:1:4: error[YAML]: a bracket is not closed (close it)
         f.yaml:3:4: error[YAML]: a bracket is not closed (close it)
         f.yaml:7:4: error[YAML-LIMIT]: 2 more documents cannot be read (mend the ones above first)",
    );
}
