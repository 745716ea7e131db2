use super::*;
use crate::manifest::decode::Cursor;
use crate::manifest::decode::Decode;
use crate::resource::testing::node;

fn read(json: &str) -> Result<VirtualServiceSpec, Vec<(&'static str, String)>> {
    let mut cursor = Cursor::default();
    let spec = VirtualServiceSpec::decode(&node(json), &mut cursor);
    let found: Vec<_> =
        cursor.errors.into_iter().chain(cursor.unknown).map(|p| (p.code, p.field)).collect();
    match spec {
        Some(spec) if found.is_empty() => Ok(spec),
        _ => Err(found),
    }
}

/// Reads one HTTP route that is expected to be fine.
fn check(json: &str) -> HttpRoute {
    let spec = read(&format!(r#"{{"http": [{json}]}}"#)).unwrap();
    spec.http.into_iter().next().unwrap()
}

fn check_refused(json: &str, expected: &[(&'static str, &str)]) {
    let found = read(&format!(r#"{{"http": [{json}]}}"#)).unwrap_err();
    let found: Vec<_> = found.iter().map(|(code, field)| (*code, field.as_str())).collect();
    assert_eq!(found, expected);
}

#[test]
fn an_empty_match_is_presence_and_null_is_neither() {
    let route =
        check(r#"{"match": [{"uri": {}, "headers": {"a": {}, "b": null, "c": {"exact": ""}}}]}"#);
    let [request] = &*route.matches else { panic!("one match") };
    assert_eq!(request.uri, Some(StringMatch::Present));
    assert_eq!(request.scheme, None);
    let headers: Vec<_> = request.headers.values().cloned().collect();
    assert_eq!(headers, [Some(StringMatch::Present), None, Some(StringMatch::Exact("".into()))]);
}

#[test]
fn an_absent_policy_differs_from_an_empty_one() {
    let route = check(r#"{"retries": {}, "fault": {"abort": {}}}"#);
    assert_eq!(route.retries, Some(Retry::default()));
    assert_eq!(route.fault.unwrap().abort, Some(Abort::default()));
    assert_eq!(check("{}").retries, None);
}

#[test]
fn bodies_and_ports_are_one_of_two() {
    let route = check(
        r#"{"directResponse": {"status": 503, "body": {"bytes": "aGk="}},
            "redirect": {"derivePort": 1}}"#,
    );
    let body = route.direct_response.unwrap().body;
    assert_eq!(body, Some(HttpBody::Bytes(Box::from(*b"hi"))));
    let port = RedirectPort::DerivePort(RedirectPortSelection::FromRequestPort);
    assert_eq!(route.redirect.unwrap().port, Some(port));
    check_refused(
        r#"{"redirect": {"port": 1, "derivePort": "FROM_REQUEST_PORT"},
            "fault": {"delay": {"fixedDelay": "1s", "exponentialDelay": "1s"}},
            "match": [{"uri": {"exact": "a", "regex": "b"}}]}"#,
        &[
            ("FIELD-ONEOF", "http[0].match[0].uri"),
            ("FIELD-ONEOF", "http[0].redirect"),
            ("FIELD-ONEOF", "http[0].fault.delay"),
        ],
    );
}

#[test]
fn what_only_validation_refuses_is_kept() {
    let route = check(
        r#"{"route": [{"weight": -1}], "timeout": "-1s", "retries": {"attempts": -1},
            "mirrorPercentage": {"value": 120}, "rewrite": {"uri": "/a", "uriRegexRewrite": {}}}"#,
    );
    assert_eq!(route.route.first().map(|route| route.weight), Some(-1));
    assert_eq!(route.mirror_percentage, Some(Percent { value: 120.0 }));
}

#[test]
fn texts_are_never_made_of_numbers() {
    check_refused(
        r#"{"headers": {"request": {"set": {"x-level": 3, "x-on": true}}},
            "match": [{"sourceLabels": {"version": 1.5}}]}"#,
        &[
            ("FIELD-TYPE", "http[0].match[0].sourceLabels.version"),
            ("FIELD-TYPE", "http[0].headers.request.set.x-level"),
            ("FIELD-TYPE", "http[0].headers.request.set.x-on"),
        ],
    );
}
