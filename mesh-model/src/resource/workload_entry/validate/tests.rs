use serde_json::json;

use crate::resource::testing::check_rules;

#[test]
fn an_address_is_an_ip_a_host_or_a_socket() {
    for address in ["10.0.0.1", "fe80::1%eth0", "db.example.com", "unix:///run/db", "unix://@db"] {
        check_rules("WorkloadEntry", &json!({ "address": address }), &[]);
    }
    for address in ["10.0.0.256", "a_b", "http://x"] {
        let expected = ["WE-ADDRESS-INVALID address"];
        check_rules("WorkloadEntry", &json!({ "address": address }), &expected);
    }
    check_rules("WorkloadEntry", &json!({ "address": "unix://db/" }), &["UNIX-ADDRESS address"]);
}

#[test]
fn a_probe_asks_somehow() {
    let check = |probe, expected: &[&str]| {
        check_rules("WorkloadGroup", &json!({ "template": {}, "probe": probe }), expected);
    };
    check(
        json!({ "periodSeconds": -1 }),
        &["PROBE-NEGATIVE probe.periodSeconds", "PROBE-METHOD probe"],
    );
    check(json!({ "exec": {} }), &["PROBE-EXEC probe.exec.command"]);
    check(
        json!({ "httpGet": { "port": 80, "scheme": "http", "httpHeaders": [{ "name": "a b" }] } }),
        &["PROBE-SCHEME probe.httpGet.scheme", "HEADER-NAME probe.httpGet.httpHeaders[0].name"],
    );
}
