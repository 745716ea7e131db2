//! How much the API server takes: items of lists, characters of texts, fields that exclude each other.
//!
//! The schemas of the custom resources refuse what `pkg/config/validation` would take: these rules stand
//! beside those of [`Resource::validate`] and are told apart from them. What both refuse is told there.
use super::{Violation, Violations};
use crate::resource::destination_rule::TrafficPolicy;
use crate::resource::{
    AuthorizationPolicy, DestinationRule, PeerAuthentication, RequestAuthentication, Resource,
    ServiceEntry, WorkloadEntrySpec,
};

/// Rules of a policy, sources and conditions of a rule.
const MOST_RULES: usize = 512;
/// Tokens of a RequestAuthentication.
const MOST_TOKENS: usize = 4096;
/// References of a policy.
const MOST_TARGETS: usize = 16;
/// Hosts, addresses and ports of a ServiceEntry.
const MOST_OF_SERVICE: usize = 256;
/// Endpoints of a ServiceEntry.
const MOST_ENDPOINTS: usize = 4096;
/// Ports with policies of their own.
const MOST_PORTS: usize = 4096;
/// Characters of an address of a ServiceEntry.
const LONGEST_ADDRESS: usize = 64;
/// Characters of most short texts: names and protocols of ports, addresses of endpoints.
const LONGEST_NAME: usize = 256;
/// Characters of the name of a port of an endpoint.
const LONGEST_PORT: usize = 62;
/// Characters of a service account.
const LONGEST_ACCOUNT: usize = 253;
/// Characters of networks, localities and addresses of keys.
const LONGEST_TEXT: usize = 2048;

impl Resource {
    /// Returns the limits of its schema that the object breaks; an object with one is refused by the API
    /// server, before the rules of [`Self::validate`] are looked at.
    ///
    /// # Upstream
    ///
    /// istio/api `kubernetes/customresourcedefinitions.gen.yaml`, `maxItems`, `maxLength`,
    /// `x-kubernetes-validations`.
    pub fn exceeds_schema(&self) -> Vec<Violation> {
        let mut violations = Violations::default();
        violations.field("spec", |violations| match self {
            Self::AuthorizationPolicy(policy) => authorization(violations, policy),
            Self::RequestAuthentication(policy) => authentication(violations, policy),
            Self::PeerAuthentication(policy) => ports_of_peers(violations, policy),
            Self::Telemetry(policy) => {
                most(violations, "targetRefs", policy.spec.target_refs.len(), MOST_TARGETS);
            }
            Self::ServiceEntry(entry) => service(violations, entry),
            Self::WorkloadEntry(entry) => endpoint(violations, &entry.spec),
            Self::WorkloadGroup(group) => {
                if let Some(template) = &group.spec.template {
                    violations.field("template", |violations| endpoint(violations, template));
                }
            }
            Self::DestinationRule(rule) => destination(violations, rule),
            Self::VirtualService(_)
            | Self::Gateway(_)
            | Self::Sidecar(_)
            | Self::ProxyConfig(_)
            | Self::Opaque(_)
            | Self::Service(_)
            | Self::HorizontalPodAutoscaler(_)
            | Self::EndpointSlice(_)
            | Self::Pod(_)
            | Self::Node(_)
            | Self::Namespace(_)
            | Self::ServiceAccount(_)
            | Self::ServiceExport(_)
            | Self::ServiceImport(_)
            | Self::MeshConfigMap(_)
            | Self::KubernetesGateway(_) => {}
        });
        violations.into_found()
    }
}

fn authorization(violations: &mut Violations, policy: &AuthorizationPolicy) {
    let spec = &policy.spec;
    most(violations, "targetRefs", spec.target_refs.len(), MOST_TARGETS);
    most(violations, "rules", spec.rules.len(), MOST_RULES);
    violations.field("rules", |violations| {
        violations.each(&spec.rules, |violations, rule| {
            most(violations, "from", rule.from.len(), MOST_RULES);
            most(violations, "when", rule.when.len(), MOST_RULES);
        });
    });
}

fn authentication(violations: &mut Violations, policy: &RequestAuthentication) {
    most(violations, "targetRefs", policy.spec.target_refs.len(), MOST_TARGETS);
    most(violations, "jwtRules", policy.spec.jwt_rules.len(), MOST_TOKENS);
    violations.field("jwtRules", |violations| {
        violations.each(&policy.spec.jwt_rules, |violations, rule| {
            longest(violations, "jwksUri", &rule.jwks_uri, LONGEST_TEXT);
            if !rule.jwks.is_empty() && !rule.jwks_uri.is_empty() {
                exclusive(violations, "jwks", "jwksUri");
            }
        });
    });
}

fn ports_of_peers(violations: &mut Violations, policy: &PeerAuthentication) {
    violations.field("portLevelMtls", |violations| {
        for port in policy.spec.port_level_mtls.iter().flatten().map(|(port, _)| *port) {
            if !(1..=65535).contains(&port) {
                let message = format!("`{port}` is not the number of a port");
                let help = "write a number of 1 to 65535";
                violations.error_at(&port.to_string(), "SCHEMA-PORT", &message, help);
            }
        }
    });
}

fn service(violations: &mut Violations, entry: &ServiceEntry) {
    let spec = &entry.spec;
    most(violations, "hosts", spec.hosts.len(), MOST_OF_SERVICE);
    most(violations, "addresses", spec.addresses.len(), MOST_OF_SERVICE);
    most(violations, "ports", spec.ports.len(), MOST_OF_SERVICE);
    most(violations, "endpoints", spec.endpoints.len(), MOST_ENDPOINTS);
    violations.field("addresses", |violations| {
        violations.each(&spec.addresses, |violations, address| {
            longest(violations, "", address, LONGEST_ADDRESS);
        });
    });
    violations.field("ports", |violations| {
        violations.each(&spec.ports, |violations, port| {
            longest(violations, "name", &port.name, LONGEST_NAME);
            longest(violations, "protocol", &port.protocol, LONGEST_NAME);
        });
    });
    violations.field("endpoints", |violations| violations.each(&spec.endpoints, endpoint));
}

fn endpoint(violations: &mut Violations, spec: &WorkloadEntrySpec) {
    let texts = [
        ("address", &spec.address, LONGEST_NAME),
        ("network", &spec.network, LONGEST_TEXT),
        ("locality", &spec.locality, LONGEST_TEXT),
        ("serviceAccount", &spec.service_account, LONGEST_ACCOUNT),
    ];
    for (name, text, most) in texts {
        longest(violations, name, text, most);
    }
    violations.field("ports", |violations| {
        for name in spec.ports.keys() {
            longest(violations, name, name, LONGEST_PORT);
        }
    });
}

fn destination(violations: &mut Violations, rule: &DestinationRule) {
    policy(violations, rule.spec.traffic_policy.as_ref());
    violations.field("subsets", |violations| {
        violations.each(&rule.spec.subsets, |violations, subset| {
            policy(violations, subset.traffic_policy.as_ref());
        });
    });
}

fn policy(violations: &mut Violations, policy: Option<&TrafficPolicy>) {
    let Some(policy) = policy else { return };
    let ports = &policy.port_level_settings;
    violations.field("trafficPolicy", |violations| {
        most(violations, "portLevelSettings", ports.len(), MOST_PORTS);
    });
}

fn most(violations: &mut Violations, name: &str, items: usize, most: usize) {
    if items > most {
        violations.field(name, |violations| {
            let message = format!("the list has {items} items, and {most} are the most");
            violations.error("SCHEMA-MAX-ITEMS", &message, "use several objects");
        });
    }
}

/// Checks the characters of a text in a field, or of the one that is being looked at.
fn longest(violations: &mut Violations, name: &str, text: &str, most: usize) {
    // No text has more characters than bytes.
    if text.len() <= most || text.chars().count() <= most {
        return;
    }
    let message = format!("the text has more than {most} characters");
    let help = "write a shorter one";
    match name {
        "" => violations.error("SCHEMA-MAX-LENGTH", &message, help),
        name => violations.error_at(name, "SCHEMA-MAX-LENGTH", &message, help),
    }
}

fn exclusive(violations: &mut Violations, name: &str, other: &str) {
    let message = format!("`{name}` cannot be set together with `{other}`");
    violations.error_at(name, "SCHEMA-EXCLUSIVE", &message, "keep one of them");
}

#[cfg(test)]
mod tests {
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
        let hosts =
            |count: usize| (0..count).map(|n| json!(format!("a{n}.test"))).collect::<Vec<_>>();
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
}
