use super::*;
use crate::manifest::{Entry, Place};

message! {
    /// A message.
    struct Pool {
        /// A number.
        max_retries: Option<u32> = "maxRetries" | "max_retries",
        /// A text.
        name: Box<str> = "name",
        /// A list.
        hosts: Vec<Box<str>> = "hosts",
        /// An enum.
        mode: Mode = "mode",
        /// A oneof.
        matching: Option<Matching> = "match",
    }
    oneof ["maxRetries" | "max_retries", "hosts"]
}

choice! {
    /// An enum.
    enum Mode default Disable {
        /// Zero.
        Disable = 0 | "DISABLE",
        /// One.
        Simple = 1 | "SIMPLE",
    }
}

oneof! {
    /// A oneof.
    enum Matching {
        /// A text.
        Exact(Box<str>) = "exact",
        /// Another.
        Prefix(Box<str>) = "prefix",
    }
}

fn at(value: Value) -> Node {
    Node { value, place: Place { line: 7, column: 3 } }
}

fn text(text: &str) -> Node {
    at(Value::String(text.into()))
}

fn map(entries: Vec<(&str, Node)>) -> Node {
    let entry = |(key, node): (&str, Node)| Entry { key: key.into(), place: node.place, node };
    at(Value::Map(entries.into_iter().map(entry).collect()))
}

fn check(node: &Node) -> Result<Pool, Vec<(&'static str, String)>> {
    let mut cursor = Cursor::at("spec");
    let decoded = Pool::decode(node, &mut cursor);
    decoded.ok_or_else(|| cursor.errors.into_iter().map(|p| (p.code, p.field)).collect())
}

#[test]
fn both_spellings_and_quoted_numbers_are_read() {
    let pool = check(&map(vec![("max_retries", text("3")), ("mode", text("SIMPLE"))])).unwrap();
    assert_eq!((pool.max_retries, pool.mode.as_str()), (Some(3), "SIMPLE"));
    let pool = check(&map(vec![("mode", at(Value::Integer(1)))])).unwrap();
    assert_eq!((pool.max_retries, pool.mode, pool.matching), (None, Mode::Simple, None));
}

#[test]
fn every_problem_is_reported_at_once_with_its_field() {
    let node = map(vec![
        ("maxRetries", at(Value::Bool(true))),
        ("name", at(Value::Integer(1))),
        ("hosts", at(Value::List(vec![text("a"), at(Value::Null), at(Value::Bool(true))]))),
        ("mode", text("NONE")),
        ("match", map(vec![("exact", text("a")), ("prefix", text("b"))])),
    ]);
    let errors = check(&node).unwrap_err();
    assert_eq!(
        errors,
        [
            ("FIELD-ONEOF", "spec".to_owned()),
            ("FIELD-TYPE", "spec.maxRetries".to_owned()),
            ("FIELD-TYPE", "spec.name".to_owned()),
            ("FIELD-NULL", "spec.hosts[1]".to_owned()),
            ("FIELD-TYPE", "spec.hosts[2]".to_owned()),
            ("FIELD-ENUM", "spec.mode".to_owned()),
            ("FIELD-ONEOF", "spec.match".to_owned()),
        ]
    );
}

#[test]
fn an_unknown_field_is_kept_apart_with_the_nearest_known_name() {
    let mut cursor = Cursor::at("spec");
    let node = map(vec![("maxRetry", at(Value::Integer(1)))]);
    assert!(Pool::decode(&node, &mut cursor).is_some());
    let problem = cursor.unknown.first().unwrap();
    assert_eq!(problem.help, "did you mean `maxRetries`?");
    assert_eq!((problem.field.as_str(), problem.place.line), ("spec.maxRetry", 7));
}
