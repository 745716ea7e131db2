//! An object with just as much as the API server takes, and one with more.
use std::sync::Arc;

use serde_json::{Value, json};

use crate::manifest::Node;
use crate::resource::admit;

/// Whether an object enters, and where it is too long if not.
fn check(kind: &str, spec: &Value, expected: &[&str]) {
    let group = match kind {
        "AuthorizationPolicy" | "PeerAuthentication" | "RequestAuthentication" => "security",
        _ => "networking",
    };
    let object = json!({
        "apiVersion": format!("{group}.istio.io/v1"),
        "kind": kind,
        "metadata": { "name": "object", "namespace": "shop" },
        "spec": spec,
    });
    let admitted = admit(&Node::from(&object), &Arc::from("test"), "shop");
    let told = admitted.diagnostics.iter().filter(|found| found.code.starts_with("SCHEMA-"));
    let told: Vec<&str> = told.map(|found| &*found.field).collect();
    assert_eq!(told, expected);
    assert_eq!(admitted.resource.is_none(), !expected.is_empty());
}

fn many(item: &Value, count: usize) -> Vec<Value> {
    vec![item.clone(); count]
}

#[test]
fn a_policy_has_512_rules_at_most() {
    let rule = json!({});
    check("AuthorizationPolicy", &json!({ "rules": many(&rule, 512) }), &[]);
    check("AuthorizationPolicy", &json!({ "rules": many(&rule, 513) }), &["spec.rules"]);
}

#[test]
fn a_rule_has_512_sources_at_most() {
    let from = json!({ "source": { "namespaces": ["a"] } });
    let of = |count| json!({ "rules": [{ "from": many(&from, count) }] });
    check("AuthorizationPolicy", &of(512), &[]);
    check("AuthorizationPolicy", &of(513), &["spec.rules[0].from"]);
}

#[test]
fn a_policy_refers_to_16_objects_at_most() {
    let target = json!({ "kind": "Service", "name": "cart" });
    for kind in ["AuthorizationPolicy", "RequestAuthentication"] {
        check(kind, &json!({ "targetRefs": many(&target, 16) }), &[]);
        check(kind, &json!({ "targetRefs": many(&target, 17) }), &["spec.targetRefs"]);
    }
}

#[test]
fn a_rule_has_512_conditions_at_most() {
    let when = json!({ "key": "source.ip", "values": ["10.0.0.1"] });
    let of = |count| json!({ "rules": [{ "when": many(&when, count) }] });
    check("AuthorizationPolicy", &of(512), &[]);
    check("AuthorizationPolicy", &of(513), &["spec.rules[0].when"]);
}

/// A ServiceEntry with more of something.
fn entry(more: &Value) -> Value {
    let mut spec = json!({
        "hosts": ["a.test"], "resolution": "STATIC", "location": "MESH_INTERNAL",
        "ports": [{ "number": 80, "name": "http", "protocol": "HTTP" }],
    });
    let fields = more.as_object().cloned().unwrap_or_default();
    spec.as_object_mut().expect("a map").extend(fields);
    spec
}

#[test]
fn an_entry_has_so_many_hosts_addresses_ports_and_endpoints() {
    let hosts = |count: usize| (0..count).map(|n| json!(format!("a{n}.test"))).collect::<Vec<_>>();
    let addresses = |count| {
        (0..count).map(|n| json!(format!("10.0.{}.{}", n / 250, n % 250))).collect::<Vec<_>>()
    };
    let ports = |count: usize| {
        (1..=count)
            .map(|n| json!({ "number": n, "name": format!("http-{n}"), "protocol": "HTTP" }))
            .collect::<Vec<_>>()
    };
    let endpoint = |n| json!({ "address": format!("10.0.{}.{}", n / 250, n % 250) });
    let endpoints = |count| (0..count).map(endpoint).collect::<Vec<_>>();
    for (name, fits, exceeds) in [
        ("hosts", hosts(256), hosts(257)),
        ("addresses", addresses(256), addresses(257)),
        ("ports", ports(256), ports(257)),
        ("endpoints", endpoints(4096), endpoints(4097)),
    ] {
        check("ServiceEntry", &entry(&json!({ name: fits })), &[]);
        check("ServiceEntry", &entry(&json!({ name: exceeds })), &[&format!("spec.{name}")]);
    }
}

#[test]
fn texts_of_an_entry_have_so_many_characters() {
    let port = |name: usize, protocol: usize| {
        let (name, protocol) = ("a".repeat(name), "a".repeat(protocol));
        json!({ "ports": [{ "number": 80, "name": name, "protocol": protocol }] })
    };
    let told = ["spec.ports[0].name", "spec.ports[0].protocol"];
    check("ServiceEntry", &entry(&port(257, 257)), &told);
    let address = json!({ "addresses": ["0".repeat(65)] });
    check("ServiceEntry", &entry(&address), &["spec.addresses[0]"]);
}

#[test]
fn texts_of_an_endpoint_have_so_many_characters() {
    for (name, most) in [("network", 2048), ("locality", 2048), ("serviceAccount", 253)] {
        let of = |count| json!({ "address": "10.0.0.1", name: "é".repeat(count) });
        check("WorkloadEntry", &of(most), &[]);
        check("WorkloadEntry", &of(most + 1), &[&format!("spec.{name}")]);
        let inside = json!({ "endpoints": [of(most + 1)] });
        check("ServiceEntry", &entry(&inside), &[&format!("spec.endpoints[0].{name}")]);
        let inside = json!({ "template": of(most + 1) });
        check("WorkloadGroup", &inside, &[&format!("spec.template.{name}")]);
    }
    let socket = |count| json!({ "address": format!("unix:///{}", "a".repeat(count)) });
    check("WorkloadEntry", &socket(248), &[]);
    check("WorkloadEntry", &socket(249), &["spec.address"]);
    let port = |count| json!({ "address": "10.0.0.1", "ports": { "a".repeat(count): 80 } });
    check("WorkloadEntry", &port(62), &[]);
    let name = "a".repeat(63);
    check("WorkloadEntry", &port(63), &[&format!("spec.ports.{name}")]);
}

#[test]
fn keys_are_given_or_fetched() {
    let rule = |more: Value| json!({ "jwtRules": [more] });
    let both = json!({ "issuer": "a", "jwks": "{\"keys\":[]}", "jwksUri": "https://a.test/b" });
    check("RequestAuthentication", &rule(both), &["spec.jwtRules[0].jwks"]);
    let of = |count: usize| json!({ "issuer": "a", "jwksUri": format!("https://a.test/{}", "b".repeat(count)) });
    check("RequestAuthentication", &rule(of(2033)), &[]);
    check("RequestAuthentication", &rule(of(2034)), &["spec.jwtRules[0].jwksUri"]);
}

#[test]
fn a_rule_warms_up_in_both_ways() {
    let twice = json!({ "loadBalancer": {
        "simple": "ROUND_ROBIN", "warmupDurationSecs": "10s", "warmup": { "duration": "10s" },
    } });
    check("DestinationRule", &json!({ "host": "a.test", "trafficPolicy": twice }), &[]);
    let subsets = json!([{ "name": "a", "trafficPolicy": twice }]);
    check("DestinationRule", &json!({ "host": "a.test", "subsets": subsets }), &[]);
}

#[test]
fn a_rule_has_4096_ports_at_most() {
    let rule = |policy: &Value| json!({ "host": "a.test", "trafficPolicy": policy });
    let port = |n: usize| json!({ "port": { "number": n }, "tls": { "mode": "DISABLE" } });
    let ports = |count: usize| {
        let ports: Vec<Value> = (1..=count).map(port).collect();
        rule(&json!({ "portLevelSettings": ports }))
    };
    check("DestinationRule", &ports(4096), &[]);
    check("DestinationRule", &ports(4097), &["spec.trafficPolicy.portLevelSettings"]);
}

#[test]
fn ports_of_peers_are_ports() {
    let strict = json!({ "mode": "STRICT" });
    let ports = json!({ "0": strict, "65535": strict, "65536": strict });
    let spec = json!({ "selector": { "matchLabels": { "a": "b" } }, "portLevelMtls": ports });
    let told = ["spec.portLevelMtls.0", "spec.portLevelMtls.65536"];
    check("PeerAuthentication", &spec, &told);
}
