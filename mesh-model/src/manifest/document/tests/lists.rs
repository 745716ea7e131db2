//! Documents in documents.
use super::check;

#[test]
fn a_list_becomes_its_items() {
    check(
        "kind: List\napiVersion: v1\nitems:\n- kind: A\n- kind: List\n  items:\n  - kind: B\n- kind: C\n",
        r#"{"kind":"A"}
           {"kind":"B"}
           {"kind":"C"}"#,
    );
    check(r#"{"items": [{"kind": "A"}], "kind": "List"}"#, r#"{"kind":"A"}"#);
    check("- kind: A\n- kind: B\n", "{\"kind\":\"A\"}\n{\"kind\":\"B\"}");
    check("kind: List\nitems: []\n---\nkind: List\n", "");
}

#[test]
fn items_of_a_typed_list_have_its_kind() {
    check(
        "kind: PodList\napiVersion: v1\nitems:\n- metadata: {}\n- kind: X\n",
        r#"{"metadata":{},"kind":"Pod","apiVersion":"v1"}
           {"kind":"X"}"#,
    );
}

#[test]
fn an_object_that_is_only_called_a_list_is_an_object() {
    check("kind: AllowList\nspec: 1\n", r#"{"kind":"AllowList","spec":1}"#);
    check("kind: A\nitems: [1]\n", r#"{"kind":"A","items":[1]}"#);
}

#[test]
fn a_bad_item_hides_no_other() {
    check(
        "kind: List\nitems:\n- kind: A\n- null\n- text\n- kind: B\n",
        r#"{"kind":"A"}
           {"kind":"B"}
           f.yaml:4:3: error[YAML-OBJECT]: expected an object, found null (an object begins with `apiVersion:` and `kind:`)
           f.yaml:5:3: error[YAML-OBJECT]: expected an object, found a text (an object begins with `apiVersion:` and `kind:`)"#,
    );
}
