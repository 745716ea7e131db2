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
    Node { value, place: Place { line: 7, column: 3 }, indent: None }
}

fn text(text: &str) -> Node {
    at(Value::String(text.into()))
}

fn map(entries: Vec<(&str, Node)>) -> Node {
    let entry = |(key, node): (&str, Node)| Entry { key: key.into(), place: node.place, node };
    at(Value::Map(entries.into_iter().map(entry).collect()))
}

fn check(node: &Node) -> Result<Pool, Vec<(&'static str, String)>> {
    let mut cursor = Cursor::default();
    let decoded = cursor.field("spec", |cursor| Pool::decode(node, cursor));
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
fn quoted_numbers_are_those_of_json() {
    let read = |text: &str| f64::decode(&self::text(text), &mut Cursor::default());
    for (text, number) in [("0.5", 0.5), ("-10", -10.0), ("1e1", 10.0), ("2.50E-1", 0.25)] {
        assert_eq!(read(text), Some(number), "{text}");
    }
    for text in [
        ".5", "5.", "+5", "05", "-", "1e", "1e+", "1.e1", "0x5", "1_0", " 5", "NaN", "inf",
        "1e400", "",
    ] {
        assert_eq!(read(text), None, "{text}");
    }
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
    let mut cursor = Cursor::default();
    let node = map(vec![("maxRetry", at(Value::Integer(1)))]);
    assert!(cursor.field("spec", |cursor| Pool::decode(&node, cursor)).is_some());
    let problem = cursor.unknown.first().unwrap();
    assert_eq!(problem.help, "did you mean `maxRetries`?");
    assert_eq!((problem.field.as_str(), problem.place.line), ("spec.maxRetry", 7));
}

message! {
    /// A message that says a part of another.
    struct Outer with defaults {
        /// A number that is not 0 by default.
        size: u32 = "size",
        /// A oneof among the fields.
        member: Option<Matching> = (oneof Matching),
        /// A oneof that tells empty from absent.
        header: Option<Header> = "header",
        /// A map whose values may be null.
        headers: BTreeMap<Box<str>, Option<Header>> = "headers",
        /// What the reader fills in.
        origin: Box<str> = (elsewhere),
    }
}

impl Default for Outer {
    fn default() -> Self {
        Self {
            size: 7,
            member: None,
            header: None,
            headers: BTreeMap::new(),
            origin: "test".into(),
        }
    }
}

oneof! {
    /// A oneof with a value for none.
    enum Header or Present {
        /// None.
        _,
        /// A text.
        Exact(Box<str>) = "exact",
    }
}

message! {
    /// A message of which a part is read.
    struct Part ignoring unknown {
        /// The part.
        name: Box<str> = "name",
    }
}

#[test]
fn absent_fields_keep_the_default_that_is_written_by_hand() {
    let outer = Outer::decode(&map(vec![("prefix", text("a"))]), &mut Cursor::default()).unwrap();
    assert_eq!((outer.size, &*outer.origin), (7, "test"));
    assert_eq!(outer.member, Some(Matching::Prefix("a".into())));
}

#[test]
fn a_oneof_can_tell_empty_from_absent_and_a_map_null_from_both() {
    let node = map(vec![
        ("header", map(Vec::new())),
        ("headers", map(vec![("a", map(Vec::new())), ("b", at(Value::Null))])),
    ]);
    let outer = Outer::decode(&node, &mut Cursor::default()).unwrap();
    assert_eq!(outer.header, Some(Header::Present));
    let headers: Vec<_> = outer.headers.into_values().collect();
    assert_eq!(headers, [Some(Header::Present), None]);
}

#[test]
fn members_of_a_oneof_among_the_fields_exclude_each_other() {
    let node = map(vec![("exact", text("a")), ("prefix", text("b")), ("extra", text("c"))]);
    let mut cursor = Cursor::default();
    assert!(Outer::decode(&node, &mut cursor).is_none());
    let codes: Vec<_> = cursor.errors.iter().chain(&cursor.unknown).map(|p| p.code).collect();
    assert_eq!(codes, ["FIELD-ONEOF", "FIELD-UNKNOWN"]);
}

#[test]
fn of_two_spellings_the_first_counts() {
    let node = map(vec![("max_retries", text("3")), ("maxRetries", text("4"))]);
    assert_eq!(check(&node).unwrap().max_retries, Some(4));
}

#[test]
fn other_fields_of_a_part_are_left_out_silently() {
    let mut cursor = Cursor::default();
    let part = Part::decode(&map(vec![("image", text("a"))]), &mut cursor);
    assert_eq!((part, cursor.unknown), (Some(Part::default()), Vec::new()));
}
