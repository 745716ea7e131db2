use super::*;
use crate::manifest::decode::{Cursor, Decode};
use crate::resource::testing::node;
use crate::resource::virtual_service::VirtualServiceSpec;

fn object(namespace: &str, name: &str, spec: &str) -> VirtualService {
    let mut object = VirtualService::default();
    object.meta.namespace = namespace.into();
    object.meta.name = name.into();
    object.spec = VirtualServiceSpec::decode(&node(spec), &mut Cursor::default()).unwrap();
    object
}

/// Merges a root `shop/root` with a delegate `teams/sub`, and shows the routes that come out: name,
/// then host of the destination.
fn check(root: &str, delegate: &str, expected: &[&str]) {
    let root = format!(r#"{{"hosts": ["a.com"], "http": [{root}]}}"#);
    let delegate = object("teams", "sub", delegate);
    let delegates = Delegates::from([(("teams", "sub"), &delegate)]);
    let everyone = ExportTo { public: true, ..ExportTo::default() };
    let root = merged(object("shop", "root", &root), &delegates, &everyone);
    let shown = root.spec.http.iter().map(|route| {
        let to = route.route.first().and_then(|to| to.destination.as_ref());
        let uris = route.matches.iter().map(|condition| match &condition.uri {
            Some(StringMatch::Prefix(text) | StringMatch::Exact(text)) => format!(" {text}"),
            Some(StringMatch::Regex(_) | StringMatch::Present) | None => " *".to_owned(),
        });
        let host = to.map(|to| &*to.host).unwrap_or_default();
        format!("{} {host}{}", route.name, uris.collect::<String>())
    });
    assert_eq!(shown.collect::<Vec<_>>(), expected);
}

const TO_SUB: &str = r#"{"name": "r", "match": [{"uri": {"prefix": "/a"}}],
    "delegate": {"name": "sub", "namespace": "teams"}}"#;

#[test]
fn routes_of_the_delegate_stand_in_the_place_of_the_roots() {
    let last = r#"{"name": "last", "route": [{"destination": {"host": "z"}}]}"#;
    check(
        &format!("{TO_SUB}, {last}"),
        r#"{"http": [
            {"name": "d", "match": [{"uri": {"prefix": "/a/b"}}, {"uri": {"exact": "/a"}}],
             "route": [{"destination": {"host": "x"}}]},
            {"route": [{"destination": {"host": "y"}}]}]}"#,
        &["r-d x /a/b /a", "r y /a", "last z"],
    );
}

#[test]
fn a_route_that_leaves_the_roots_conditions_is_gone() {
    check(
        TO_SUB,
        r#"{"http": [
            {"name": "out", "match": [{"uri": {"prefix": "/a/b"}}, {"uri": {"prefix": "/"}}]},
            {"name": "in", "match": [{"uri": {"prefix": "/a/b"}}]}]}"#,
        &["r-in  /a/b"],
    );
}

#[test]
fn a_delegate_that_is_missing_or_not_exported_takes_the_route_away() {
    check(r#"{"delegate": {"name": "sub"}}"#, r#"{"http": [{}]}"#, &[]);
    check(TO_SUB, r#"{"exportTo": ["."], "http": [{}]}"#, &[]);
    check(TO_SUB, r#"{"exportTo": ["shop"], "http": [{}]}"#, &["r  /a"]);
}

#[test]
fn what_the_delegate_does_not_say_the_root_says() {
    let root = r#"{"timeout": "2s", "retries": {"attempts": 1}, "redirect": {"uri": "/z"},
        "delegate": {"name": "sub", "namespace": "teams"}}"#;
    let root = format!(r#"{{"hosts": ["a.com"], "http": [{root}]}}"#);
    let delegate = r#"{"http": [{"timeout": "5s"}]}"#;
    let delegate = object("teams", "sub", delegate);
    let delegates = Delegates::from([(("teams", "sub"), &delegate)]);
    let everyone = ExportTo { public: true, ..ExportTo::default() };
    let merged = merged(object("shop", "root", &root), &delegates, &everyone);
    let route = merged.spec.http.first().unwrap();
    assert_eq!(route.timeout.map(|timeout| timeout.as_secs()), Some(5));
    assert_eq!(route.retries.as_ref().map(|retries| retries.attempts), Some(1));
    assert_eq!(route.redirect, None, "upstream inherits no redirect");
}
