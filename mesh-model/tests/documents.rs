//! Laws of the document reader on random text.
use mesh_model::manifest::{Limits, Node, Place, Reading, Value, read};
use proptest::prelude::*;

/// Reads with the default limits.
fn read_text(text: &str) -> Reading {
    read("f", text.as_bytes(), &Limits::default())
}

/// Returns the tree with every place forgotten.
fn placeless(mut node: Node) -> Node {
    node.place = Place::default();
    node.value = match node.value {
        Value::List(items) => Value::List(items.into_iter().map(placeless).collect()),
        Value::Map(mut entries) => {
            for entry in &mut entries {
                entry.place = Place::default();
                entry.node = placeless(entry.node.clone());
            }
            Value::Map(entries)
        }
        scalar @ (Value::Null
        | Value::Bool(_)
        | Value::Integer(_)
        | Value::Float(_)
        | Value::String(_)) => scalar,
    };
    node
}

fn placeless_documents(reading: Reading) -> Vec<Node> {
    reading.documents.into_iter().map(|document| placeless(document.node)).collect()
}

/// A text, skewed to what YAML might take for something else.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z]{0,8}",
        // DEL stands for itself in JSON and is refused in YAML.
        any::<String>().prop_map(|text| text.replace('\u{7f}', "")),
        prop::sample::select(vec![
            "y", "no", "null", "~", "", "1.20", "007", "0x1f", "1e3", ".inf", "a: b", "- x",
            "# no", "<<", "*a", "&a", "!t", "{", "]", "'", "\"", "\\", "---", "\n---\n", "...",
            "%", "|", "\t", "{{ x }}", "\u{feff}", "\u{85}", "\u{2028}", "😀", "\0",
        ])
        .prop_map(str::to_owned),
    ]
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    let scalar = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<u64>().prop_map(Into::into),
        any::<f64>().prop_filter("JSON has no others", |n| n.is_finite()).prop_map(Into::into),
        (-1000..1000_i32).prop_map(|n| (f64::from(n) / 8.0).into()),
        text().prop_map(Into::into),
    ];
    let value = scalar.prop_recursive(5, 40, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Into::into),
            prop::collection::vec((text(), inner), 0..5)
                .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
        ]
    });
    value.prop_map(|value| serde_json::json!({ "value": value }))
}

/// Pieces that mean something to YAML, to be put together at random.
fn soup() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "a",
        "b: ",
        "- ",
        "? ",
        ": ",
        "\n",
        "\n  ",
        "\n    ",
        "---\n",
        "...\n",
        "{",
        "}",
        "[",
        "]",
        ",",
        "\"",
        "'",
        "&x ",
        "*x",
        "!t ",
        "!!int ",
        "|\n",
        ">-\n",
        "#",
        "<<: ",
        "1",
        "\t",
        "\r\n",
        "%YAML 1.2\n",
        "\\",
        "kind: List\n",
        "items:\n",
        "é",
        "\u{feff}",
        "\0",
        "{\"a\": 1}",
        "~",
    ]);
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

/// Whole documents, good and bad, each ending its line.
fn document() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "a: 1\n",
        "",
        "# nothing\n",
        "kind: A\nx: [\n",
        "a: 'x\n",
        "a: |\n  ---\n  x\n",
        "{\"a\": 1}\n{\"b\": 2}\n",
        "{\"a\": 1}\n{\"b\" 2}\n{\"c\": 3}\n",
        "kind: List\nitems:\n- a: 1\n- 5\n",
        "\"text\"\n",
        "a: *x\n",
        "a: 1\r\nb: 2\r\n",
    ])
}

proptest! {
    #[test]
    fn json_is_read_as_it_was_printed(value in json(), is_pretty: bool) {
        let text = if is_pretty { format!("{value:#}") } else { value.to_string() };
        let reading = read_text(&text);
        prop_assert_eq!(&reading.diagnostics, &[]);
        prop_assert_eq!(placeless_documents(reading), [Node::from(&value)]);
    }

    #[test]
    fn json_read_as_yaml_is_the_same(value in json()) {
        // With its marker on the line a document is not taken for JSON.
        let text = format!("--- {value}\n");
        let reading = read_text(&text);
        prop_assert_eq!(&reading.diagnostics, &[], "{}", text);
        prop_assert_eq!(placeless_documents(reading), [Node::from(&value)]);
    }

    #[test]
    fn a_stream_is_its_documents_one_by_one(documents in prop::collection::vec(document(), 0..6)) {
        let whole = read_text(&documents.join("---\n"));
        let mut line = 0;
        let mut expected = Reading::default();
        for document in documents {
            let mut reading = read_text(document);
            for diagnostic in &mut reading.diagnostics {
                diagnostic.place.line += line;
            }
            expected.documents.extend(reading.documents);
            expected.diagnostics.extend(reading.diagnostics);
            line += u32::try_from(document.lines().count()).unwrap() + 1;
        }
        prop_assert_eq!(&whole.diagnostics, &expected.diagnostics);
        prop_assert_eq!(placeless_documents(whole), placeless_documents(expected));
    }

    #[test]
    fn line_ends_do_not_matter(documents in prop::collection::vec(document(), 0..6)) {
        let text = documents.join("---\n").replace("\r\n", "\n");
        let unix = read_text(&text);
        let windows = read_text(&text.replace('\n', "\r\n"));
        prop_assert_eq!(&unix.diagnostics, &windows.diagnostics);
        prop_assert_eq!(unix.documents, windows.documents);
    }

    #[test]
    fn nothing_panics_and_every_place_is_in_the_text(text in soup()) {
        let reading = read_text(&text);
        let lines = u32::try_from(text.split(['\n', '\r']).count()).unwrap();
        for diagnostic in &reading.diagnostics {
            let line = diagnostic.place.line;
            prop_assert!(line >= 1 && line <= lines + 1, "{} of {}", diagnostic, lines);
        }
        prop_assert_eq!(reading.unreadable.len(), reading.diagnostics.len());
    }

    #[test]
    fn bytes_do_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = read("f", &bytes, &Limits::default());
    }
}

#[test]
fn what_speaks_of_a_kind_is_none_and_what_says_one_is() {
    let kinds = |text: &str| -> Vec<usize> {
        let documents = read_text(text).documents;
        documents.iter().map(|document| document.meant().security_kinds.len()).collect()
    };
    for text in [
        "authorizationPolicy: {enabled: true}",
        "{title: AuthorizationPolicy denials, panels: []}",
        "{properties: {kind: {enum: [AuthorizationPolicy]}}}",
        "{on: push, jobs: {a: {steps: [{run: kubectl get AuthorizationPolicy}]}}}",
        "{apiVersion: v2, name: chart, description: an AuthorizationPolicy}",
    ] {
        assert_eq!(kinds(text), [0], "{text}");
    }
    for text in [
        "knd: AuthorizationPolicy",
        "{Kind: AuthorizationPolicy, metadata: {name: p}}",
        "{kind: AuthorizationPolicy, metadata: {name: p}}",
        "{kind: [AuthorizationPolicy]}",
        "{type: AuthorizationPolicy, metadata: {name: p}, spec: {}}",
        "{a: [{AuthorizationPolicy: {metadata: {name: p}, spec: {}}}]}",
        "{a: \"kind: AuthorizationPolicy\\nspec: {}\"}",
    ] {
        assert_eq!(kinds(text), [1], "{text}");
    }
    assert_eq!(kinds("{apiVersion: security.istio.io/v1, metadata: {name: p}}"), [3]);
}
