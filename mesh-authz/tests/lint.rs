//! Hazards of policies, found over a mesh of text.
use std::sync::Arc;

use mesh_authz::lint::lint;
use mesh_model::Compat;
use mesh_model::registry::{Mesh, Origin, Registry, Source};

const PODS: &str = "
{apiVersion: v1, kind: Pod, metadata: {name: cart-0, namespace: shop, labels: {app: cart}},
 spec: {serviceAccountName: cart}, status: {phase: Running, podIP: 10.0.0.1}}
---
{apiVersion: v1, kind: Pod, metadata: {name: web-0, namespace: shop, labels: {app: web}},
 spec: {serviceAccountName: web}, status: {phase: Running, podIP: 10.0.0.2}}
";

/// Policies are lines `NAME APP ACTION RULES`, `*` being every workload; findings are
/// `CODE NAME FIELD`.
fn check(policies: &str, expected: &[&str]) {
    let documents = policies.lines().map(|line| {
        let mut parts = line.trim().splitn(4, ' ');
        let mut next = || parts.next().unwrap_or_default();
        let (name, app, action, rules) = (next(), next(), next(), next());
        let selector = match app {
            "*" => String::new(),
            app => format!("selector: {{matchLabels: {{app: {app}}}}}, "),
        };
        format!(
            "{{apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: {{name: {name}, \
             namespace: shop}}, spec: {{{selector}action: {action}, rules: {rules}}}}}\n"
        )
    });
    let text = documents.collect::<Vec<_>>().join("---\n");
    check_mesh(&text, PODS, expected);
}

/// The same of policies and pods in YAML; findings of `HZ-AUTHZ-GRPC-NAMES` begin with their severity.
fn check_mesh(text: &str, pods: &str, expected: &[&str]) {
    let found = lint(&mesh(text, pods));
    let found: Vec<String> = found
        .iter()
        .map(|found| {
            let name = found.object.rsplit('/').next().unwrap_or_default();
            let severity = match found.code {
                "HZ-AUTHZ-GRPC-NAMES" => format!("{} ", found.severity.as_str()),
                _ => String::new(),
            };
            format!("{severity}{} {name} {}", found.code, found.field)
        })
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn a_port_that_clients_dial_and_nobody_listens_on_is_told() {
    let service = "---\n{apiVersion: v1, kind: Service, metadata: {name: cart, namespace: shop}, \
        spec: {clusterIP: 10.1.0.1, selector: {app: cart}, ports: [{name: http, port: 80, targetPort: 8080}]}}\n";
    let pods = format!("{PODS}{service}");
    let policy = |selector: &str, rule: &str| {
        format!(
            "{{apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: {{name: p, namespace: shop}}, \
             spec: {{{selector} action: ALLOW, rules: [{rule}]}}}}\n"
        )
    };
    let told = |selector: &str, rule: &str| {
        let found = lint(&mesh(&policy(selector, rule), &pods));
        let of_code = found.iter().filter(|found| found.code == "HZ-AUTHZ-SERVICE-PORT");
        of_code.map(|found| found.field.clone()).collect::<Vec<_>>()
    };
    let cart = "selector: {matchLabels: {app: cart}},";
    let to = |ports: &str| format!("{{to: [{{operation: {{ports: [{ports}]}}}}]}}");
    assert_eq!(told(cart, &to("'8080', '80'")), ["spec.rules[0].to[0].operation.ports[1]"]);
    let when = "{when: [{key: source.ip, values: [10.0.0.1]}, {key: destination.port, notValues: ['80']}]}";
    assert_eq!(told(cart, when), ["spec.rules[0].when[1].notValues[0]"]);
    assert_eq!(told(cart, &to("'8080', '81'")), [""; 0]);
    assert_eq!(told("", &to("'80'")), [""; 0], "`web` is behind no service");
}

#[test]
fn a_rule_without_a_match_is_told() {
    check(
        "p * ALLOW [{to: [{operation: {ports: ['80']}}], when: [{key: destination.port, values: ['8']}]}, \
         {to: [{operation: {ports: ['81']}}]}]",
        &["HZ-AUTHZ-NEVER-MATCHES p spec.rules[0]"],
    );
}

#[test]
fn a_rule_without_a_match_that_denies_tcp_connections_is_told_apart() {
    check(
        "p * DENY [{to: [{operation: {methods: [GET], notMethods: ['*']}}]}]",
        &[
            "HZ-AUTHZ-DENY-LISTS p spec.rules[0].to[0].operation.methods",
            "HZ-AUTHZ-NEVER-MATCHES-HTTP p spec.rules[0]",
        ],
    );
}

#[test]
fn a_rule_for_two_identities_at_once_is_told() {
    check(
        "p * ALLOW [{from: [{source: {principals: [cluster.local/ns/b/sa/x], namespaces: [c]}}]}]",
        &["HZ-AUTHZ-SEVERAL-NAMES p spec.rules[0]"],
    );
}

#[test]
fn a_rule_is_useless_if_it_is_so_for_every_workload() {
    let narrow = "p * ALLOW [{to: [{operation: {ports: ['80']}}]}]";
    check(
        &format!("{narrow}\nq * ALLOW [{{to: [{{operation: {{ports: ['80', '81']}}}}]}}]"),
        &["HZ-AUTHZ-SHADOWED p spec.rules[0]"],
    );
    check(
        &format!("{narrow}\nq cart ALLOW [{{to: [{{operation: {{ports: ['80', '81']}}}}]}}]"),
        &[],
    );
}

#[test]
fn allowing_nothing_by_mistake_is_told_and_by_intent_is_not() {
    check(
        "p cart ALLOW [{to: [{operation: {ports: ['80']}}], when: [{key: destination.port, values: ['8']}]}]",
        &["HZ-AUTHZ-ALLOWS-NOTHING p spec.rules", "HZ-AUTHZ-NEVER-MATCHES p spec.rules[0]"],
    );
    check("p cart ALLOW []", &[]);
}

/// A mesh of policies and pods.
fn mesh(text: &str, pods: &str) -> Arc<Mesh> {
    mesh_of("", text, pods)
}

/// The same with settings.
fn mesh_of(settings: &str, text: &str, pods: &str) -> Arc<Mesh> {
    let source = |origin, name: &str, text: &str| Source {
        origin,
        name: name.into(),
        text: text.as_bytes().to_vec(),
    };
    let mut registry = Registry::new(Compat::default());
    registry.load([
        source(Origin::MeshConfig, "mesh.yaml", settings),
        source(Origin::Config, "policies.yaml", text),
        source(Origin::Cluster("c".into()), "pods.yaml", pods),
    ]);
    registry.mesh()
}

#[test]
fn who_is_allowed_nothing_is_named() {
    let policy = |rule: &str| {
        format!(
            "{{apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: {{name: p, namespace: \
             shop}}, spec: {{selector: {{matchLabels: {{app: web}}}}, rules: [{rule}]}}}}\n"
        )
    };
    let told = |rule: &str, pods: &str| {
        let found = lint(&mesh(&policy(rule), pods)).into_iter();
        let found = found.filter(|found| found.code == "HZ-AUTHZ-ALLOWS-NOTHING");
        found.map(|found| found.message).collect::<Vec<_>>()
    };
    let contradiction = "{to: [{operation: {ports: ['80'], notPorts: ['80']}}]}";
    let expected =
        "no rule of the ALLOW policies of c/shop/web-0 can match: all requests to it are denied";
    assert_eq!(told(contradiction, PODS), [expected]);
    // A ztunnel has no rule about paths, and takes no notice of trust domains.
    let ambient = PODS.replace("{app: ", "{istio.io/dataplane-mode: ambient, app: ");
    let path = "{to: [{operation: {paths: [/a]}}]}";
    assert_eq!(told(path, &ambient), [expected]);
    assert!(told(path, PODS).is_empty());
    let domains = "{from: [{source: {namespaces: [a], trustDomains: [x], notTrustDomains: [x]}}]}";
    assert_eq!(told(domains, PODS), [expected]);
    assert!(told(domains, &ambient).is_empty());
}

#[test]
fn a_broader_policy_beside_a_narrow_one_is_told_with_a_request() {
    check(
        "p * ALLOW [{from: [{source: {serviceAccounts: [web]}}], to: [{operation: {paths: [/admin]}}]}]\n\
         q * ALLOW [{from: [{source: {namespaces: [shop]}}]}]",
        &["HZ-AUTHZ-SHADOWED p spec.rules[0]", "HZ-AUTHZ-WIDENED p spec.rules[0]"],
    );
}

#[test]
fn patterns_that_look_tighter_than_they_are_are_told() {
    check(
        "p * DENY [{to: [{operation: {hosts: ['*shop.test'], ports: ['80']}}]}]",
        &[
            "HZ-AUTHZ-DENY-LISTS p spec.rules[0].to[0].operation.hosts",
            "HZ-AUTHZ-HOST-PORT p spec.rules[0].to[0].operation.hosts",
            "HZ-AUTHZ-SUFFIX p spec.rules[0].to[0].operation.hosts",
        ],
    );
    check(
        "p * ALLOW [{from: [{source: {notNamespaces: [dev]}}]}, {to: [{operation: {paths: ['/a*']}}]}]",
        &[
            "HZ-AUTHZ-ALLOW-EXCEPT p spec.rules[0].from[0].source.notNamespaces",
            "HZ-AUTHZ-PATH-PREFIX p spec.rules[1].to[0].operation.paths",
            "HZ-AUTHZ-SPLIT-RULE p spec.rules[1]",
        ],
    );
}

/// A policy of the root namespace `istio-system`, and one whose namespace and name join to the same text.
fn colliding(action: &str, name: &str, rules: [&str; 2]) -> String {
    let policy = |namespace: &str, name: &str, created: &str, rule: &str| {
        format!(
            "{{apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: {{name: {name}, \
             namespace: {namespace}, creationTimestamp: '{created}'}}, spec: {{action: {action}, rules: \
             [{{to: [{{operation: {{ports: ['{rule}']}}}}]}}]}}}}\n"
        )
    };
    let [first, second] = rules;
    let root = policy("istio-system", "guard", "2024-01-01T00:00:00Z", first);
    let own = policy("istio", name, "2025-01-01T00:00:00Z", second);
    format!("{root}---\n{own}")
}

const GRPC_SERVER: &str = "
{apiVersion: v1, kind: Pod, metadata: {name: cart-0, namespace: istio, labels: {app: cart},
 annotations: {inject.istio.io/templates: grpc-agent}},
 spec: {serviceAccountName: cart}, status: {phase: Running, podIP: 10.0.0.1}}
";

#[test]
fn a_rule_that_a_grpc_server_loses_to_one_of_the_same_name_is_told() {
    let lost = colliding("DENY", "system-guard", ["80", "81"]);
    check_mesh(&lost, GRPC_SERVER, &["error HZ-AUTHZ-GRPC-NAMES guard spec.rules[0]"]);
    let lost = colliding("ALLOW", "system-guard", ["80", "81"]);
    check_mesh(&lost, GRPC_SERVER, &["warning HZ-AUTHZ-GRPC-NAMES guard spec.rules[0]"]);
    // A proxy has both rules.
    let beside_proxy = GRPC_SERVER.replace("grpc-agent", "sidecar");
    check_mesh(&lost, &beside_proxy, &["info HZ-AUTHZ-GRPC-NAMES guard spec.rules[0]"]);
}

/// What is lost is not said to be matched by another rule, nor what takes its place to change nothing.
#[test]
fn a_rule_that_a_grpc_server_loses_is_told_in_one_way() {
    for (action, severity) in [("DENY", "error"), ("ALLOW", "warning")] {
        let wider_lost = colliding(action, "system-guard", ["80', '81", "80"]);
        let lost = format!("{severity} HZ-AUTHZ-GRPC-NAMES guard spec.rules[0]");
        check_mesh(&wider_lost, GRPC_SERVER, &[&lost]);
        let narrower_lost = colliding(action, "system-guard", ["80", "80', '81"]);
        check_mesh(&narrower_lost, GRPC_SERVER, &["HZ-AUTHZ-SHADOWED guard spec.rules[0]"]);
    }
}

#[test]
fn a_grpc_server_loses_nothing_to_other_names_or_to_the_same_rule() {
    check_mesh(&colliding("DENY", "guard", ["80", "81"]), GRPC_SERVER, &[]);
    check_mesh(
        &colliding("DENY", "system-guard", ["80", "80"]),
        GRPC_SERVER,
        &["HZ-AUTHZ-SHADOWED system-guard spec.rules[0]"],
    );
    let elsewhere = GRPC_SERVER.replace("namespace: istio,", "namespace: shop,");
    check_mesh(&colliding("DENY", "system-guard", ["80", "81"]), &elsewhere, &[]);
}

#[test]
fn a_value_that_no_request_has_is_told_by_its_place() {
    check(
        "p * ALLOW [{to: [{operation: {paths: [/c, '/a?b', /a/../b, '/c?d']}}], \
         when: [{key: connection.sni, values: [Shop.test]}]}]",
        &[
            "HZ-AUTHZ-NEVER-MATCHES p spec.rules[0].to[0].operation.paths[1]",
            "HZ-AUTHZ-NEVER-MATCHES p spec.rules[0].to[0].operation.paths[2]",
            "HZ-AUTHZ-NEVER-MATCHES p spec.rules[0].when[0].values[0]",
        ],
    );
    check(
        "p * DENY [{from: [{source: {notNamespaces: [a]}}, {source: {notPrincipals: ['spiffe://td/ns/a/sa/b']}}]}]",
        &["HZ-AUTHZ-NEVER-MATCHES p spec.rules[0].from[1].source.notPrincipals[0]"],
    );
}

/// A waypoint's policies are looked at service by service.
#[test]
fn policies_of_services_behind_a_waypoint_are_looked_at() {
    let pods = "
{apiVersion: v1, kind: Service, metadata: {name: db, namespace: shop, labels: {istio.io/use-waypoint: gate}},
 spec: {clusterIP: 10.9.0.2, ports: [{name: http, port: 80}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: gate-0, namespace: shop,
  labels: {gateway.networking.k8s.io/gateway-name: gate, gateway.istio.io/managed: istio.io-mesh-controller}},
 spec: {serviceAccountName: gate, containers: [{name: istio-proxy}]}, status: {phase: Running, podIP: 10.0.0.1}}
";
    let policy = "{apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: {name: p, namespace: shop},
 spec: {targetRefs: [{kind: Service, group: '', name: db}], rules: [{to: [{operation: {methods: [GET]}}]},
  {to: [{operation: {methods: [GET], ports: [\"80\"]}}]}]}}";
    check_mesh(policy, pods, &["HZ-AUTHZ-SHADOWED p spec.rules[1]"]);
}

/// What stands for the trust domain in a proxy stands for nothing on a gRPC server.
#[test]
fn a_rule_is_of_use_that_a_grpc_server_understands_otherwise() {
    let text = "{apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: {name: p, namespace: istio},
 spec: {rules: [{from: [{source: {principals: [cluster.local/ns/a/sa/b], notPrincipals: [cluster.local/ns/a/sa/b]}}]},
                {from: [{source: {principals: [old/ns/a/sa/b], notPrincipals: [cluster.local/ns/a/sa/b]}}]}]}}";
    let settings = "trustDomainAliases: [old]";
    let told = |pods: &str| {
        let found = lint(&mesh_of(settings, text, pods)).into_iter();
        let found = found.filter(|found| found.code == "HZ-AUTHZ-NEVER-MATCHES");
        found.map(|found| found.field).collect::<Vec<_>>()
    };
    assert_eq!(
        told(&GRPC_SERVER.replace("grpc-agent", "sidecar")),
        ["spec.rules[0]", "spec.rules[1]"]
    );
    assert_eq!(told(GRPC_SERVER), ["spec.rules[0]"]);
}

/// A ztunnel leaves a rule of paths out, and what it hides from sidecars decides there.
#[test]
fn a_rule_is_of_use_that_a_ztunnel_has_alone() {
    let policy = "{apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: {name: p, namespace: shop},
 spec: {action: DENY, rules: [{to: [{operation: {paths: [/a*]}}]}, {to: [{operation: {paths: [/a], ports: ['80']}}]}]}}";
    let pod = |labels: &str| {
        format!(
            "{{apiVersion: v1, kind: Pod, metadata: {{name: web-0, namespace: shop, labels: {labels}}}, \
             spec: {{serviceAccountName: web}}, status: {{phase: Running, podIP: 10.0.0.2}}}}"
        )
    };
    let patterns = [
        "HZ-AUTHZ-DENY-LISTS p spec.rules[0].to[0].operation.paths",
        "HZ-AUTHZ-DENY-LISTS p spec.rules[1].to[0].operation.paths",
        "HZ-AUTHZ-PATH-PREFIX p spec.rules[0].to[0].operation.paths",
    ];
    let shadowed = [&patterns[..], &["HZ-AUTHZ-SHADOWED p spec.rules[1]"]].concat();
    check_mesh(policy, &pod("{app: web}"), &shadowed);
    let told = ["HZ-AUTHZ-ZTUNNEL-L7 p spec.rules[0]", "HZ-AUTHZ-ZTUNNEL-L7 p spec.rules[1]"];
    let told = [&patterns[..], &told].concat();
    check_mesh(policy, &pod("{istio.io/dataplane-mode: ambient}"), &told);
}

#[test]
fn a_star_within_a_value_is_a_letter() {
    let star = |field: &str, list: &str, is_told: bool| {
        let policy = format!(
            "{{apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: {{name: p, \
             namespace: shop}}, spec: {{action: AUDIT, rules: [{{{list}}}]}}}}"
        );
        let found = lint(&mesh(&policy, PODS));
        let told = found.iter().filter(|found| found.code == "HZ-AUTHZ-INNER-STAR");
        let fields: Vec<&str> = told.map(|found| found.field.as_str()).collect();
        let place = format!("spec.rules[0].{field}");
        assert_eq!(fields, if is_told { vec![&*place] } else { Vec::new() }, "{list}");
    };
    let to = |field: &str, value: &str, is_told| {
        let list = format!("to: [{{operation: {{{field}: ['{value}']}}}}]");
        star(&format!("to[0].operation.{field}"), &list, is_told);
    };
    to("paths", "/a/*/b", true);
    to("paths", "*/b*", true);
    to("paths", "/a/{*}/b", false);
    to("paths", "/a/{**}", false);
    to("paths", "/a/*", false);
    to("notPaths", "/a/*/b", true);
    to("hosts", "api.*.com", true);
    to("hosts", "a.com:*", false);
    to("methods", "P*T", true);
    let from = |field: &str, value: &str, is_told| {
        let list = format!("from: [{{source: {{{field}: ['{value}']}}}}]");
        star(&format!("from[0].source.{field}"), &list, is_told);
    };
    from("principals", "cluster.local/ns/*/sa/b", true);
    from("principals", "*/ns/a/sa/b", false);
    from("requestPrincipals", "https://*.a.com/sub", true);
    from("requestPrincipals", "iss/*", false);
    from("requestPrincipals", "*/sub", false);
    from("requestPrincipals", "*/*", true);
    from("namespaces", "a*b", false);
    from("trustDomains", "a*", false);
    let when = |key: &str, value: &str, is_told| {
        let list = format!("when: [{{key: '{key}', values: ['{value}']}}]");
        star("when[0].values", &list, is_told);
    };
    when("request.headers[x]", "foo*bar", true);
    when("request.headers[x]", "foo*", false);
    when("request.auth.claims[a]", "a*b", true);
    when("connection.sni", "a.*.com", true);
    when("experimental.envoy.filters.x[k]", "[*a]", false);
    when("experimental.envoy.filters.x[k]", "[a*b]", true);
    when("source.namespace", "a*b", false);
}

#[test]
fn a_template_within_another_one_is_known() {
    let lists = "HZ-AUTHZ-DENY-LISTS p spec.rules[0].to[0].operation.paths";
    let never = |paths: &str, others: &str, is_told: bool| {
        let rules = format!(
            "p * DENY [{{to: [{{operation: {{paths: ['{paths}'], notPaths: ['{others}']}}}}]}}]"
        );
        let told = [lists, "HZ-AUTHZ-NEVER-MATCHES-HTTP p spec.rules[0]"];
        check(&rules, if is_told { &told } else { &told[..1] });
    };
    never("/a/{*}", "/a/{**}", true);
    never("/a/{**}", "/a/{*}", false);
    never("/a/{*}/c", "/a/*", true);
    never("/a/{**}/c", "/a/{**}", true);
    never("/a/{*}/c", "/{**}/c", true);
    never("/a/{*}/c", "/{*}/b/c", false);
    let shadowed = |wide: &str, narrow: &str, is_told: bool| {
        let rule = |name: &str, path: &str| {
            format!("{name} * DENY [{{to: [{{operation: {{paths: ['{path}']}}}}]}}]")
        };
        let told = [
            lists,
            "HZ-AUTHZ-DENY-LISTS q spec.rules[0].to[0].operation.paths",
            "HZ-AUTHZ-SHADOWED q spec.rules[0]",
        ];
        let rules = format!("{}\n{}", rule("p", wide), rule("q", narrow));
        check(&rules, if is_told { &told } else { &told[..2] });
    };
    shadowed("/a/{**}", "/a/{*}/c", true);
    shadowed("/a/{**}", "/a/{*}", true);
    shadowed("/a/{*}", "/a/{**}", false);
    shadowed("/{*}/b/{**}", "/a/b/{*}", true);
}

#[test]
fn findings_name_the_entry_that_they_are_about() {
    check(
        "p * DENY [{from: [{source: {ipBlocks: [10.0.0.0/8]}}, {source: {remoteIpBlocks: [10.0.0.0/8]}}], \
         when: [{key: source.ip, values: [10.0.0.1]}, {key: connection.sni, values: [a.test]}]}]",
        &[
            "HZ-AUTHZ-DENY-LISTS p spec.rules[0].from[0].source.ipBlocks",
            "HZ-AUTHZ-DENY-LISTS p spec.rules[0].from[1].source.remoteIpBlocks",
            "HZ-AUTHZ-DENY-LISTS p spec.rules[0].when[0].values",
            "HZ-AUTHZ-DENY-LISTS p spec.rules[0].when[1].values",
        ],
    );
}
