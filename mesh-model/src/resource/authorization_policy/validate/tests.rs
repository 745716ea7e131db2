use std::sync::Arc;

use serde_json::json;

use crate::manifest::Node;
use crate::resource::{Resource, decode};

/// The rules that a policy breaks, each with its field, in order.
fn check(spec: &serde_json::Value, expected: &[&str]) {
    check_annotated(spec, &json!({}), expected);
}

fn check_annotated(spec: &serde_json::Value, annotations: &serde_json::Value, expected: &[&str]) {
    let object = json!({
        "apiVersion": "security.istio.io/v1",
        "kind": "AuthorizationPolicy",
        "metadata": { "name": "p", "namespace": "shop", "annotations": annotations },
        "spec": spec,
    });
    let decoded = decode(&Node::from(&object), &Arc::from("test"), "default");
    let Some(Resource::AuthorizationPolicy(policy)) = decoded.resource else {
        panic!("{:?}", decoded.diagnostics);
    };
    let violations: Vec<String> = policy
        .validate()
        .iter()
        .map(|violation| format!("{} {}", violation.rule, violation.field))
        .collect();
    assert_eq!(violations, expected, "{spec}");
}

#[test]
fn a_policy_that_never_matches_is_refused_unless_it_denies_by_being_there() {
    check(&json!({}), &[]);
    check(&json!({ "action": "DENY" }), &["AP-DENY-NO-RULES spec"]);
    check(&json!({ "action": "CUSTOM" }), &["AP-CUSTOM-NO-RULES spec"]);
    check(&json!({ "action": "CUSTOM", "rules": [{}] }), &["AP-PROVIDER-NAME spec.provider.name"]);
    check(&json!({ "provider": { "name": "x" } }), &["AP-PROVIDER-ACTION spec.provider"]);
}

#[test]
fn custom_policies_know_no_identity() {
    check(
        &json!({ "action": "CUSTOM", "provider": { "name": "x" }, "rules": [{
            "from": [{ "source": { "principals": ["*"], "ipBlocks": ["10.0.0.1"] } }],
            "when": [{ "key": "request.auth.claims[a]", "values": ["b"] }],
        }] }),
        &[
            "AP-CUSTOM-UNSUPPORTED spec.rules[0].from[0].source.principals",
            "AP-CUSTOM-UNSUPPORTED spec.rules[0].when[0]",
        ],
    );
}

#[test]
fn every_value_is_told_by_its_place() {
    let field = "spec.rules[0].to[0].operation";
    check(
        &json!({ "rules": [{ "to": [{ "operation": {
            "ports": ["80", "+80", ""], "paths": ["/a/{*}b", "/{**}/{*}", "/ok/{**}"],
        } }] }] }),
        &[
            &format!("AP-PORT {field}.ports[1]"),
            &format!("AP-EMPTY-VALUE {field}.ports[2]"),
            &format!("AP-PORT {field}.ports[2]"),
            &format!("AP-PATH-TEMPLATE {field}.paths[0]"),
            &format!("AP-PATH-TEMPLATE {field}.paths[1]"),
        ],
    );
    let field = "spec.rules[0].from[0].source";
    check(
        &json!({ "rules": [{ "from": [{ "source": {
            "serviceAccounts": ["a/b", "a/b/c", "*"], "trustDomains": ["a*", "a*b", "a/b"],
            "remoteIpBlocks": ["10.0.0.0/33", "fe80::1%eth0"],
        } }] }] }),
        &[
            &format!("AP-IP {field}.remoteIpBlocks[0]"),
            &format!("AP-SERVICE-ACCOUNT {field}.serviceAccounts[1]"),
            &format!("AP-SERVICE-ACCOUNT {field}.serviceAccounts[2]"),
            &format!("AP-TRUST-DOMAIN {field}.trustDomains[1]"),
            &format!("AP-TRUST-DOMAIN {field}.trustDomains[2]"),
        ],
    );
}

#[test]
fn an_entry_says_something() {
    check(
        &json!({ "rules": [{ "from": [{}, { "source": {} }], "to": [{}, { "operation": {} }] }] }),
        &[
            "AP-SOURCE-NIL spec.rules[0].from[0]",
            "AP-SOURCE-EMPTY spec.rules[0].from[1].source",
            "AP-OPERATION-NIL spec.rules[0].to[0]",
            "AP-OPERATION-EMPTY spec.rules[0].to[1].operation",
        ],
    );
}

#[test]
fn a_deny_of_http_alone_denies_all_of_tcp() {
    let deny = |rule: serde_json::Value| json!({ "action": "DENY", "rules": [rule] });
    let warned: &[&str] = &["AP-DENY-L7-TCP spec.rules[0]"];
    check(&deny(json!({ "to": [{ "operation": { "paths": ["/a"] } }] })), warned);
    check(&deny(json!({ "from": [{ "source": { "requestPrincipals": ["*"] } }] })), warned);
    check(&deny(json!({ "from": [{ "source": { "trustDomains": ["td"] } }] })), warned);
    check(&deny(json!({ "from": [{ "source": { "notNamespaces": ["a"] } }] })), &[]);
    check(&deny(json!({ "to": [{ "operation": { "paths": ["/a"], "ports": ["80"] } }] })), &[]);
    check(&deny(json!({})), &[]);
}

#[test]
fn a_deny_of_requests_by_a_condition_denies_more_of_tcp() {
    let warned: &[&str] = &["AP-DENY-L7-TCP spec.rules[0]"];
    let with = |action: &str, mut rule: serde_json::Value, keys: &[&str]| {
        let when: Vec<_> = keys.iter().map(|key| json!({ "key": key, "values": ["1"] })).collect();
        rule["when"] = json!(when);
        json!({ "action": action, "rules": [rule] })
    };
    let deny = |rule, keys: &[&str]| with("DENY", rule, keys);
    for key in [
        "request.headers[x]",
        "request.auth.claims[a]",
        "request.auth.principal",
        "request.auth.audiences",
        "request.auth.presenter",
    ] {
        check(&deny(json!({}), &[key]), warned);
        check(&with("ALLOW", json!({}), &[key]), &[]);
        check(&deny(json!({}), &[key, "destination.port"]), &[]);
    }
    let header = ["request.headers[x]"];
    let source = json!({ "from": [{ "source": { "namespaces": ["a"] } }] });
    check(&deny(source, &header), warned);
    let ports = |ports: &[serde_json::Value]| json!({ "to": ports });
    let one = json!({ "operation": { "ports": ["80"] } });
    let other = json!({ "operation": { "methods": ["GET"] } });
    check(&deny(ports(std::slice::from_ref(&one)), &header), &[]);
    check(&deny(ports(&[one, other]), &header), warned);
    check(&deny(json!({}), &["connection.sni"]), &[]);
}

#[test]
fn conditions_need_a_known_key_and_values() {
    let field = "spec.rules[0].when[0]";
    let when = |key: &str, values: &[&str]| json!({ "rules": [{ "when": [{ "key": key, "values": values }] }] });
    check(&when("", &["a"]), &[&format!("AP-CONDITION-KEY-EMPTY {field}")]);
    check(&when("source.ip", &[]), &[&format!("AP-CONDITION-NO-VALUES {field}")]);
    check(&when("source.ip", &["a"]), &[&format!("AP-CONDITION-VALUE {field}.values[0]")]);
    check(&when("source.ip", &["10.0.0.1"]), &[]);
    check(&when("destination.name", &["a"]), &[&format!("AP-CONDITION-KEY {field}.key")]);
    check(&when("request.headers[]", &["a"]), &[&format!("AP-CONDITION-VALUE {field}.key")]);
    check(
        &when("destination.name", &[""]),
        &[&format!("AP-CONDITION-VALUE {field}.values"), &format!("AP-CONDITION-KEY {field}.key")],
    );
}

#[test]
fn a_policy_has_one_kind_of_target_and_a_trial_that_reads_as_one() {
    let reference = json!({ "kind": "Pod", "name": "", "namespace": "a" });
    check(
        &json!({ "selector": { "matchLabels": { "a": "*" } }, "targetRefs": [reference] }),
        &[
            "TARGETREF-ONEOF spec",
            "SEL-WILDCARD spec.selector.matchLabels.a",
            "TARGETREF-NAME spec.targetRefs[0].name",
            "TARGETREF-NAMESPACE spec.targetRefs[0].namespace",
            "TARGETREF-KIND spec.targetRefs[0].kind",
        ],
    );
    let field = "metadata.annotations.istio.io/dry-run";
    let annotation = |value: &str| json!({ "istio.io/dry-run": value });
    let allow = json!({});
    check_annotated(&allow, &annotation("T"), &[]);
    check_annotated(&allow, &annotation("yes"), &[&format!("META-DRYRUN-VALUE {field}")]);
    check_annotated(
        &json!({ "action": "AUDIT" }),
        &annotation("true"),
        &[&format!("META-DRYRUN-ACTION {field}")],
    );
}

#[test]
fn a_range_of_addresses_has_no_zone() {
    let of =
        |value: &str| json!({ "rules": [{ "when": [{ "key": "source.ip", "values": [value] }] }] });
    for value in ["1::", "1::%e", "1::/8", "::ffff:1.2.3.4/96"] {
        check(&of(value), &[]);
    }
    for value in ["1::%e/8", "1::%", "1.2.3.4%e"] {
        check(&of(value), &["AP-CONDITION-VALUE spec.rules[0].when[0].values[0]"]);
    }
}
