use serde_json::{Value, json};

use crate::resource::testing::check_rules;

fn check(spec: &Value, expected: &[&str]) {
    check_rules("VirtualService", spec, expected);
}

/// Checks a route of requests to one destination.
fn check_route(route: &Value, expected: &[&str]) {
    let mut route = route.clone();
    route["route"] = json!([{ "destination": { "host": "cart" } }]);
    check(&json!({ "hosts": ["cart"], "http": [route] }), expected);
}

fn check_hosts(hosts: &[&str], expected: &[&str]) {
    let route = json!([{ "route": [{ "destination": { "host": "cart" } }] }]);
    check(&json!({ "hosts": hosts, "gateways": ["shop/front"], "http": route }), expected);
}

#[test]
fn hosts_that_cover_each_other_are_one() {
    check_hosts(&["a.example.com", "b.example.com"], &[]);
    check_hosts(&["*.example.com", "x", "a.example.com"], &["VS-DUP-HOST hosts[2]"]);
    check_hosts(
        &["a.example.com", "*.com", "*.example.com"],
        &["VS-DUP-HOST hosts[1]", "VS-DUP-HOST hosts[2]"],
    );
    check_hosts(&["a", "a"], &["VS-DUP-HOST hosts[1]"]);
    check_hosts(&["*.com", "example.com.org"], &[]);
}

#[test]
fn a_delegate_has_requests_only() {
    check(
        &json!({ "gateways": ["a/b"], "tcp": [{ "route": [{ "destination": { "host": "x" } }] }] }),
        &["VS-DELEGATE-FIELDS gateways", "VS-DELEGATE-FIELDS tcp"],
    );
}

#[test]
fn references_are_checked_to_the_first_without_a_namespace() {
    check(
        &json!({
            "hosts": ["cart"], "gateways": ["/x", "A_/b", "old.shop", "not!checked"],
            "http": [{ "route": [{ "destination": { "host": "cart" } }] }],
        }),
        &[
            "GWREF-EMPTY gateways[0]",
            "GWREF-NAMESPACE gateways[0]",
            "GWREF-NAMESPACE gateways[1]",
            "GWREF-LEGACY gateways[2]",
        ],
    );
}

#[test]
fn conditions_are_checked_text_by_text() {
    check_route(
        &json!({ "match": [{
            "uri": { "prefix": "" }, "method": { "prefix": "" }, "authority": { "regex": "(" },
            "headers": { "a b": {}, ":method": {}, "x": null, "@request.auth.claims.a": {} },
            "withoutHeaders": { "y": { "regex": "*" } },
            "port": 70000, "sourceNamespace": "a_b", "sourceLabels": { "a": "-" },
        }] }),
        &[
            "VS-JWT-CLAIM-MESH http[0].match[0].headers.@request.auth.claims.a",
            "HEADER-NAME http[0].match[0].headers.a b",
            "HEADER-NULL http[0].match[0].headers.x",
            "MATCH-PREFIX-EMPTY http[0].match[0].method",
            "MATCH-REGEX http[0].match[0].authority",
            "PORT-RANGE http[0].match[0].port",
            "LABEL-VALUE http[0].match[0].sourceLabels.a",
            "MATCH-NAMESPACE http[0].match[0].sourceNamespace",
        ],
    );
}

#[test]
fn the_host_is_replaced_once() {
    let twice = json!({ "rewrite": { "authority": "a" },
                        "headers": { "request": { "set": { "Host": "b" } } } });
    check_route(&twice, &["AUTHORITY-TWICE http[0]"]);
    let once = json!({ "headers": { "request": { "add": { ":authority": "b" } } } });
    check_route(&once, &[]);
}

#[test]
fn header_values_have_whole_variables() {
    let check = |value: &str, expected: &[&str]| {
        check_route(&json!({ "headers": { "request": { "set": { "x": value } } } }), expected);
    };
    for value in ["", "100%%", "%REQ(X)%", "a %HOSTNAME% b", r#"%X(["a", "b"])%"#, "é"] {
        check(value, &[]);
    }
    for value in ["50%", "%REQ(X)", "%A%%", "%X([a])%", "a\nb"] {
        check(value, &["HEADER-VALUE http[0].headers.request.set.x"]);
    }
}

#[test]
fn retries_know_conditions_and_statuses() {
    let check = |text: &str, expected: &[&str]| {
        check_route(&json!({ "retries": { "attempts": 1, "retryOn": text } }), expected);
    };
    check("5xx,503,unavailable", &[]);
    check("5xx, 503", &["RETRY-ON http[0].retries.retryOn"]);
    check("306", &["RETRY-ON http[0].retries.retryOn"]);
}

#[test]
fn answers_of_the_proxy_exclude_routes() {
    check(
        &json!({ "hosts": ["cart"], "http": [
            { "directResponse": { "status": 99 }, "fault": {} },
            { "redirect": { "uri": "/a", "prefixRewrite": "/b" }, "match": [{ "port": 1 }] },
        ] }),
        &[
            "ROUTE-CONFLICT http[0].fault",
            "FAULT-EMPTY http[0].fault",
            "HTTP-STATUS http[0].directResponse.status",
            "REDIRECT-INVALID http[1].redirect",
            "VS-UNREACHABLE http[1]",
        ],
    );
}

#[test]
fn server_names_are_among_the_hosts() {
    let check_names = |names: Value, expected: &[&str]| {
        let route = json!([{ "destination": { "host": "cart" } }]);
        let tls = json!([{ "match": [{ "sniHosts": names }], "route": route }]);
        check(&json!({ "hosts": ["*.example.com", "cart"], "tls": tls }), expected);
    };
    check_names(json!(["a.example.com", "*.b.example.com", "cart"]), &[]);
    check_names(
        json!(["example.com", "*"]),
        &[
            "SNI-NOT-SUBSET tls[0].match[0].sniHosts[0]",
            "SNI-NOT-SUBSET tls[0].match[0].sniHosts[1]",
        ],
    );
    check_names(json!(["10.0.0.1"]), &["SNI-IP tls[0].match[0].sniHosts[0]"]);
}

#[test]
fn a_wider_path_before_leaves_nothing() {
    let check_paths = |first: Value, second: Value, expected: &[&str]| {
        let route = json!([{ "destination": { "host": "cart" } }]);
        let http =
            json!([{ "match": [first], "route": route }, { "match": [second], "route": route }]);
        check(&json!({ "hosts": ["cart"], "http": http }), expected);
    };
    let prefix = |text: &str| json!({ "uri": { "prefix": text } });
    check_paths(prefix("/a"), prefix("/ab"), &["VS-INEFFECTIVE http[1].match[0]"]);
    check_paths(prefix("/ab"), prefix("/a"), &[]);
    let mut with_port = prefix("/ab");
    with_port["port"] = json!(80);
    check_paths(prefix("/a"), with_port, &[]);
    let named = json!({ "name": "x", "uri": { "prefix": "/a" } });
    check_paths(
        prefix("/a"),
        named,
        &["VS-INEFFECTIVE http[1].match[0]", "VS-UNREACHABLE http[1]"],
    );
}
