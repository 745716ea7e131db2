use serde_json::{Value, json};

use crate::resource::testing::check_rules;

fn check(spec: &Value, expected: &[&str]) {
    check_rules("ServiceEntry", spec, expected);
}

#[test]
fn a_wrong_selector_ends_the_look() {
    check(
        &json!({ "workloadSelector": { "labels": { "app": "*" } } }),
        &["SEL-WILDCARD workloadSelector.labels.app"],
    );
}

#[test]
fn wildcards_are_resolved_when_they_are_asked_for() {
    check(
        &json!({
            "hosts": ["*.example.com", "example.com"], "resolution": "DYNAMIC_DNS",
            "addresses": ["10.0.0.1"], "ports": [{ "number": 80, "name": "p", "protocol": "TCP" }],
        }),
        &[
            "SE-DYNAMIC-HOST hosts[1]",
            "SE-DYNAMIC-ADDRESSES addresses",
            "SE-DYNAMIC-PROTOCOL ports[0].protocol",
            "SE-MULTIHOST-TCP ports[0].protocol",
        ],
    );
}

#[test]
fn a_range_needs_no_resolution_or_a_static_one() {
    check(
        &json!({ "hosts": ["a.com"], "addresses": ["10.0.0.0/8", "10.0.0.0/33"],
                 "resolution": "DNS" }),
        &["CIDR addresses[1]", "SE-CIDR-RESOLUTION addresses"],
    );
}

#[test]
fn a_socket_serves_one_port() {
    let port = |number: u32| json!({ "number": number, "name": format!("p{number}") });
    check(
        &json!({
            "hosts": ["a.com"], "resolution": "STATIC", "ports": [port(1), port(2)],
            "addresses": ["10.0.0.1"],
            "endpoints": [{ "address": "unix:///s" }, { "address": "10.0.0.1", "ports": { "q": 1 } }],
        }),
        &["WE-UNIX-SINGLE-PORT endpoints[0].address", "WE-PORT-UNDEFINED endpoints[1].ports.q"],
    );
}
