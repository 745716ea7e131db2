//! An object with just as much as the API server takes, and one with more.
use std::sync::Arc;

use serde_json::{Value, json};

use crate::manifest::{Node, Severity};
use crate::resource::{Decoded, admit};

mod given;

fn admitted(kind: &str, spec: &Value) -> Decoded {
    let version = match kind {
        "AuthorizationPolicy" | "PeerAuthentication" | "RequestAuthentication" => {
            "security.istio.io/v1"
        }
        "Telemetry" => "telemetry.istio.io/v1",
        "ProxyConfig" => "networking.istio.io/v1beta1",
        _ => "networking.istio.io/v1",
    };
    let object = json!({
        "apiVersion": version,
        "kind": kind,
        "metadata": { "name": "object", "namespace": "shop" },
        "spec": spec,
    });
    admit(&Node::from(&object), &Arc::from("test"), "shop")
}

/// Whether an object enters, and where it is too long if not.
fn check(kind: &str, spec: &Value, expected: &[&str]) {
    let admitted = admitted(kind, spec);
    let told = admitted.diagnostics.iter().filter(|found| found.code.starts_with("SCHEMA-"));
    let told: Vec<&str> = told.map(|found| &*found.field).collect();
    assert_eq!(told, expected);
    assert_eq!(admitted.resource.is_none(), !expected.is_empty());
}

/// Checks that an object enters.
#[track_caller]
fn fits(kind: &str, spec: &Value) {
    let admitted = admitted(kind, spec);
    assert!(admitted.resource.is_some(), "{:?}", admitted.diagnostics);
}

/// Checks that an object does not enter for one reason, `RULE FIELD`.
#[track_caller]
fn exceeds(kind: &str, spec: &Value, expected: &str) {
    let admitted = admitted(kind, spec);
    let errors = admitted.diagnostics.iter().filter(|found| found.severity == Severity::Error);
    let told: Vec<String> = errors.map(|found| format!("{} {}", found.code, found.field)).collect();
    assert_eq!(told, [expected]);
    assert!(admitted.resource.is_none());
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

/// A DestinationRule with a policy, in each of the places that one can have.
fn rules(policy: &Value) -> [(&'static str, Value); 3] {
    let mut port = policy.clone();
    port["port"] = json!({ "number": 80 });
    let ports = json!([port]);
    [
        ("spec.trafficPolicy", json!({ "host": "a", "trafficPolicy": policy })),
        (
            "spec.subsets[0].trafficPolicy",
            json!({ "host": "a", "subsets": [{ "name": "v1", "trafficPolicy": policy }] }),
        ),
        (
            "spec.trafficPolicy.portLevelSettings[0]",
            json!({ "host": "a", "trafficPolicy": { "portLevelSettings": ports } }),
        ),
    ]
}

/// Checks a policy wherever it can stand, given as the field that is wrong and the value to put there.
fn check_policies(of: impl Fn(Value) -> Value, fitting: &[Value], wrong: &[Value], told: &str) {
    for value in fitting {
        rules(&of(value.clone())).iter().for_each(|(_, rule)| fits("DestinationRule", rule));
    }
    let (code, field) = told.split_once(' ').unwrap();
    for value in wrong {
        for (place, rule) in rules(&of(value.clone())) {
            exceeds("DestinationRule", &rule, &format!("{code} {place}.{field}"));
        }
    }
}

#[test]
fn numbers_of_a_rule_are_of_their_range() {
    check_policies(
        |code| json!({ "outlierDetection": { "outlierDetectionHttpErrorCodes": [503, code] } }),
        &[json!(100), json!(599)],
        &[json!(99), json!(600), json!(0)],
        "SCHEMA-RANGE outlierDetection.outlierDetectionHttpErrorCodes[1]",
    );
    check_policies(
        |percent| {
            let warmup = json!({ "duration": "10s", "minimumPercent": percent });
            json!({ "loadBalancer": { "simple": "RANDOM", "warmup": warmup } })
        },
        &[json!(0), json!(100)],
        &[json!(-0.1)],
        "SCHEMA-RANGE loadBalancer.warmup.minimumPercent",
    );
    let zones = |least| {
        json!({ "loadBalancer": {
            "simple": "RANDOM", "zoneAwareLbSetting": { "minClusterSize": least },
        } })
    };
    let told = "loadBalancer.zoneAwareLbSetting.minClusterSize";
    let fitting = [json!(1), json!(4_294_967_295_u64)];
    check_policies(zones, &fitting, &[json!(0)], &format!("SCHEMA-RANGE {told}"));
    check_policies(zones, &[], &[json!(4_294_967_296_u64)], &format!("FIELD-RANGE {told}"));
}

#[test]
fn a_budget_of_retries_is_a_percentage() {
    for policy in ["trafficPolicy", "subsets"] {
        let rule = |percent: f64| {
            let budget = json!({ "retryBudget": { "percent": percent } });
            match policy {
                "subsets" => {
                    json!({ "host": "a", policy: [{ "name": "v1", "trafficPolicy": budget }] })
                }
                _ => json!({ "host": "a", policy: budget }),
            }
        };
        fits("DestinationRule", &rule(0.0));
        fits("DestinationRule", &rule(100.0));
        let place = if policy == "subsets" { "subsets[0].trafficPolicy" } else { policy };
        let told = format!("SCHEMA-RANGE spec.{place}.retryBudget.percent");
        exceeds("DestinationRule", &rule(-0.1), &told);
        exceeds("DestinationRule", &rule(100.1), &told);
    }
}

#[test]
fn warming_up_takes_a_millisecond_at_least() {
    check_policies(
        |time| json!({ "loadBalancer": { "simple": "RANDOM", "warmupDurationSecs": time } }),
        // Of a millisecond's parts the schema says nothing.
        &[json!("1ms"), json!("1500us")],
        &[json!("999us"), json!("0s"), json!("-1s")],
        "DUR-MIN loadBalancer.warmupDurationSecs",
    );
}

#[test]
fn reports_are_a_millisecond_apart_at_least() {
    let of = |time: &str| json!({ "metrics": [{ "reportingInterval": time }] });
    fits("Telemetry", &of("1ms"));
    for time in ["999us", "0s", "-1s"] {
        exceeds("Telemetry", &of(time), "DUR-MIN spec.metrics[0].reportingInterval");
    }
}

/// So many labels.
fn labels(count: usize) -> Value {
    (0..count).map(|n| (format!("k{n}"), json!("v"))).collect::<serde_json::Map<_, _>>().into()
}

/// Objects with a selector, and where it is.
fn selecting(labels: &Value) -> [(&'static str, Value, &'static str); 8] {
    let matching = json!({ "matchLabels": labels });
    let alpha = json!({ "labels": labels });
    let policy = json!({ "selector": matching });
    let field = "spec.selector.matchLabels";
    let rule = json!({ "host": "a", "workloadSelector": matching });
    let sidecar = json!({ "egress": [{ "hosts": ["./*"] }], "workloadSelector": alpha });
    [
        ("AuthorizationPolicy", policy.clone(), field),
        ("RequestAuthentication", policy.clone(), field),
        ("PeerAuthentication", policy.clone(), field),
        ("Telemetry", policy.clone(), field),
        ("ProxyConfig", policy, field),
        ("DestinationRule", rule, "spec.workloadSelector.matchLabels"),
        ("Sidecar", sidecar, "spec.workloadSelector.labels"),
        (
            "ServiceEntry",
            entry(&json!({ "workloadSelector": alpha })),
            "spec.workloadSelector.labels",
        ),
    ]
}

#[test]
fn values_in_selectors_have_63_characters_at_most() {
    let of = |count: usize| selecting(&json!({ "app": "é".repeat(count) }));
    of(63).iter().for_each(|(kind, spec, _)| fits(kind, spec));
    for (kind, spec, field) in of(64) {
        exceeds(kind, &spec, &format!("SCHEMA-MAX-LENGTH {field}.app"));
    }
}

#[test]
fn selectors_have_so_many_labels() {
    for (count, exceeding) in [(256, None), (257, Some("labels")), (4096, Some("labels"))] {
        for (kind, spec, field) in selecting(&labels(count)) {
            match exceeding.filter(|name| field.ends_with(&format!(".{name}"))) {
                None => fits(kind, &spec),
                Some(_) => exceeds(kind, &spec, &format!("SCHEMA-MAX-ITEMS {field}")),
            }
        }
    }
    for (kind, spec, field) in selecting(&labels(4097)) {
        exceeds(kind, &spec, &format!("SCHEMA-MAX-ITEMS {field}"));
    }
}

#[test]
fn references_have_names_of_253_characters_at_most() {
    for kind in ["AuthorizationPolicy", "RequestAuthentication", "Telemetry"] {
        let target = |count: usize| json!({ "kind": "Service", "name": "a".repeat(count) });
        fits(kind, &json!({ "targetRefs": [target(253)] }));
        fits(kind, &json!({ "targetRef": target(253) }));
        let told = "SCHEMA-MAX-LENGTH spec.targetRefs[0].name";
        exceeds(kind, &json!({ "targetRefs": [target(254)] }), told);
        exceeds(
            kind,
            &json!({ "targetRef": target(254) }),
            "SCHEMA-MAX-LENGTH spec.targetRef.name",
        );
    }
    let target = json!({ "kind": "Service", "name": "cart" });
    fits("Telemetry", &json!({ "targetRefs": many(&target, 16) }));
    let told = "SCHEMA-MAX-ITEMS spec.targetRefs";
    exceeds("Telemetry", &json!({ "targetRefs": many(&target, 17) }), told);
}

#[test]
fn an_endpoint_has_so_many_labels_and_ports() {
    let ports = |count: usize| {
        (0..count).map(|n| (format!("p{n}"), json!(80))).collect::<serde_json::Map<_, _>>()
    };
    for (field, fitting, exceeding) in
        [("labels", labels(256), labels(257)), ("ports", ports(128).into(), ports(129).into())]
    {
        let of = |value: &Value| json!({ "address": "10.0.0.1", field: value });
        fits("WorkloadEntry", &of(&fitting));
        exceeds("WorkloadEntry", &of(&exceeding), &format!("SCHEMA-MAX-ITEMS spec.{field}"));
        fits("WorkloadGroup", &json!({ "template": of(&fitting) }));
        let told = format!("SCHEMA-MAX-ITEMS spec.template.{field}");
        exceeds("WorkloadGroup", &json!({ "template": of(&exceeding) }), &told);
    }
    let endpoints = |count| {
        entry(&json!({ "endpoints": [{ "address": "10.0.0.1", "labels": labels(count) }] }))
    };
    fits("ServiceEntry", &endpoints(256));
    exceeds("ServiceEntry", &endpoints(257), "SCHEMA-MAX-ITEMS spec.endpoints[0].labels");
    for name in ["labels", "annotations"] {
        let group = |count| json!({ "template": {}, "metadata": { name: labels(count) } });
        fits("WorkloadGroup", &group(256));
        exceeds("WorkloadGroup", &group(257), &format!("SCHEMA-MAX-ITEMS spec.metadata.{name}"));
    }
}

#[test]
fn a_template_is_an_endpoint() {
    let group = |template: Value| json!({ "template": template });
    let ports = |name: &str, number: u32| group(json!({ "ports": { name: number } }));
    fits("WorkloadGroup", &ports("http", 1));
    fits("WorkloadGroup", &ports("http", 65535));
    exceeds("WorkloadGroup", &ports("http", 0), "PORT-RANGE spec.template.ports.http");
    exceeds("WorkloadGroup", &ports("http", 65536), "PORT-RANGE spec.template.ports.http");
    exceeds("WorkloadGroup", &ports("a_b", 80), "PORT-NAME spec.template.ports.a_b");
    for path in ["unix:///a", "unix://@a", "unix://@", "a b"] {
        fits("WorkloadGroup", &group(json!({ "address": path })));
    }
    for path in ["unix://a", "unix:///a/", "unix://@a/", "unix://"] {
        let told = "UNIX-ADDRESS spec.template.address";
        exceeds("WorkloadGroup", &group(json!({ "address": path })), told);
    }
    let both = json!({ "address": "unix:///a", "ports": { "http": 80 } });
    exceeds("WorkloadGroup", &group(both), "WE-UNIX-PORTS spec.template.ports");
}

#[test]
fn a_command_has_no_empty_word() {
    let group =
        |word: &str| json!({ "template": {}, "probe": { "exec": { "command": ["a", word] } } });
    fits("WorkloadGroup", &group("b"));
    exceeds("WorkloadGroup", &group(""), "SCHEMA-MIN-LENGTH spec.probe.exec.command[1]");
}

#[test]
fn no_socket_is_a_folder() {
    let alone = |path: &str| json!({ "address": path });
    let inside = |path: &str| entry(&json!({ "endpoints": [{ "address": path }] }));
    for path in ["unix:///a", "unix://@a", "unix://@a/b"] {
        fits("WorkloadEntry", &alone(path));
        fits("ServiceEntry", &inside(path));
    }
    for path in ["unix:///a/", "unix://@a/", "unix://@/"] {
        exceeds("WorkloadEntry", &alone(path), "UNIX-ADDRESS spec.address");
        exceeds("ServiceEntry", &inside(path), "UNIX-ADDRESS spec.endpoints[0].address");
    }
}

#[test]
fn a_server_has_two_certificates_at_most() {
    let gateway = |tls: Value| {
        let port = json!({ "number": 443, "name": "https", "protocol": "HTTPS" });
        json!({ "servers": [{ "port": port, "hosts": ["a.test"], "tls": tls }] })
    };
    let files = json!({ "serverCertificate": "a", "privateKey": "b" });
    for mode in ["SIMPLE", "PASSTHROUGH"] {
        for (name, item) in [("tlsCertificates", &files), ("credentialNames", &json!("a"))] {
            let of = |count| gateway(json!({ "mode": mode, name: many(item, count) }));
            fits("Gateway", &of(2));
            exceeds("Gateway", &of(3), &format!("SCHEMA-MAX-ITEMS spec.servers[0].tls.{name}"));
        }
    }
}

#[test]
fn variables_have_2048_characters_at_most() {
    let of = |count: usize| json!({ "environmentVariables": { "A": "é".repeat(count) } });
    fits("ProxyConfig", &of(2048));
    exceeds("ProxyConfig", &of(2049), "SCHEMA-MAX-LENGTH spec.environmentVariables.A");
}

#[test]
fn claims_that_are_lists_are_64_at_most_and_named() {
    let of =
        |claims: Value| json!({ "jwtRules": [{ "issuer": "a", "spaceDelimitedClaims": claims }] });
    let field = "spec.jwtRules[0].spaceDelimitedClaims";
    fits("RequestAuthentication", &of(json!(vec!["a"; 64])));
    let told = format!("SCHEMA-MAX-ITEMS {field}");
    exceeds("RequestAuthentication", &of(json!(vec!["a"; 65])), &told);
    let told = format!("SCHEMA-MIN-LENGTH {field}[1]");
    exceeds("RequestAuthentication", &of(json!(["a", ""])), &told);
}

#[test]
fn a_tag_by_a_format_has_one() {
    let of = |tag: Value| json!({ "tracing": [{ "customTags": { "a": { "formatter": tag } } }] });
    fits("Telemetry", &of(json!({ "value": "%REQ(a)%" })));
    let told = "SCHEMA-MIN-LENGTH spec.tracing[0].customTags.a.formatter.value";
    exceeds("Telemetry", &of(json!({})), told);
    exceeds("Telemetry", &of(json!({ "value": "" })), told);
}

#[test]
fn what_is_given_is_not_empty() {
    let rule = |rule: Value| json!({ "jwtRules": [{ "issuer": "b" }, rule] });
    fits("RequestAuthentication", &rule(json!({ "issuer": "a", "jwksUri": null })));
    fits("RequestAuthentication", &rule(json!({ "issuer": null, "jwksUri": "https://a/b" })));
    let told = "SCHEMA-MIN-LENGTH spec.jwtRules[1].jwksUri";
    exceeds("RequestAuthentication", &rule(json!({ "issuer": "a", "jwksUri": "" })), told);
    exceeds("RequestAuthentication", &rule(json!({ "issuer": "a", "jwks_uri": "" })), told);
    let told = "SCHEMA-MIN-LENGTH spec.jwtRules[1].issuer";
    exceeds(
        "RequestAuthentication",
        &rule(json!({ "issuer": "", "jwksUri": "https://a/b" })),
        told,
    );
    let target = |port: Value| {
        let port = json!({ "number": 80, "name": "http", "protocol": "HTTP", "targetPort": port });
        entry(&json!({ "ports": [port] }))
    };
    fits("ServiceEntry", &target(json!(null)));
    fits("ServiceEntry", &target(json!(1)));
    exceeds("ServiceEntry", &target(json!(0)), "PORT-RANGE spec.ports[0].targetPort");
    exceeds("ServiceEntry", &target(json!(65536)), "PORT-RANGE spec.ports[0].targetPort");
    let tags =
        |tag: Value| json!({ "metrics": [{ "overrides": [{ "tagOverrides": { "a": tag } }] }] });
    fits("Telemetry", &tags(json!({ "operation": "REMOVE" })));
    fits("Telemetry", &tags(json!({ "operation": "REMOVE", "value": null })));
    let told = "TM-TAG-VALUE spec.metrics[0].overrides[0].tagOverrides.a.value";
    exceeds("Telemetry", &tags(json!({ "operation": "REMOVE", "value": "" })), told);
}

#[test]
fn the_address_of_keys_is_one_of_a_request() {
    let of = |uri: &str| json!({ "jwtRules": [{ "issuer": "a", "jwksUri": uri }] });
    for uri in ["https://a.test/b#c", "https://a.test?b#c", "https:///b#c"] {
        fits("RequestAuthentication", &of(uri));
    }
    for uri in ["https://a.test#c", "https://#c"] {
        exceeds("RequestAuthentication", &of(uri), "JWT-JWKS-URI spec.jwtRules[0].jwksUri");
    }
}
