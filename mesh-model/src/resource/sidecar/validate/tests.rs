use serde_json::{Value, json};

use crate::resource::testing::check_rules;

fn check(spec: &Value, expected: &[&str]) {
    check_rules("Sidecar", spec, expected);
}

#[test]
fn an_object_that_says_nothing_breaks_one_rule_only() {
    check(&json!({ "workloadSelector": {} }), &["SC-EMPTY"]);
}

#[test]
fn the_listener_for_everything_comes_last() {
    check(
        &json!({ "egress": [{ "hosts": ["./a.com"] }, { "hosts": ["~/*", "~ns/*"] }] }),
        &["SC-EGRESS-CATCHALL egress[0]"],
    );
}

#[test]
fn port_zero_is_a_socket() {
    check(
        &json!({ "egress": [{ "port": { "number": 0 }, "captureMode": "IPTABLES", "hosts": ["*/*"] }] }),
        &["SC-EGRESS-UNIX egress[0].port.number", "SC-CAPTURE-UNIX egress[0].captureMode"],
    );
}

#[test]
fn an_endpoint_is_of_the_workload_itself() {
    let check_endpoint = |endpoint: &str, expected: &[&str]| {
        let port = json!({ "number": 80, "protocol": "HTTP" });
        check(&json!({ "ingress": [{ "port": port, "defaultEndpoint": endpoint }] }), expected);
    };
    for endpoint in ["127.0.0.1:80", ":80", "[::1]:80", "unix:///a"] {
        check_endpoint(endpoint, &[]);
    }
    for endpoint in ["10.0.0.1:80", "localhost:80", "80", "::1:80", "127.0.0.1:x"] {
        check_endpoint(endpoint, &["SC-DEFAULT-ENDPOINT ingress[0].defaultEndpoint"]);
    }
    check_endpoint(":0", &["PORT-RANGE ingress[0].defaultEndpoint"]);
}

#[test]
fn hosts_are_imported_once() {
    check(
        &json!({ "egress": [{ "hosts": ["./a.com", "shop/a.com", "x/a.com", "x/*"] }] }),
        &["SC-HOST-DUP egress[0].hosts[1]", "SC-HOST-DUP egress[0].hosts[3]"],
    );
}
