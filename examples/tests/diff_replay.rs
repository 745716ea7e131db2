//! What `mesh diff` prints, `mesh authz` answers: before the change and after it as was told.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests may fail like tests"
)]
#[path = "shared/asked.rs"]
mod asked;
#[path = "shared/diff.rs"]
mod diff;
#[path = "shared/folder.rs"]
mod folder;

use std::path::Path;

use serde_json::{Value, json};

use asked::mesh;
use diff::diff;
use folder::Folder;

/// A waypoint with two services, a workload with a ztunnel, two with sidecars, and who authorizes elsewhere.
const CLUSTER: &str = "
{apiVersion: v1, kind: Pod, metadata: {name: gate-0, namespace: shop,
  labels: {gateway.networking.k8s.io/gateway-name: gate, gateway.networking.k8s.io/gateway-class-name: istio-waypoint, gateway.istio.io/managed: istio.io-mesh-controller}},
 spec: {serviceAccountName: gate, containers: [{name: istio-proxy}]}, status: {phase: Running, podIP: 10.0.0.7}}
---
{apiVersion: v1, kind: Pod, metadata: {name: web-0, namespace: shop, labels: {app: web, istio.io/dataplane-mode: ambient}},
 spec: {serviceAccountName: web, containers: [{name: app}]}, status: {phase: Running, podIP: 10.0.0.1}}
---
{apiVersion: v1, kind: Pod, metadata: {name: old-0, namespace: shop, labels: {app: old, security.istio.io/tlsMode: istio}},
 spec: {serviceAccountName: old, containers: [{name: app}, {name: istio-proxy}]}, status: {phase: Running, podIP: 10.0.0.2}}
---
{apiVersion: v1, kind: Pod, metadata: {name: free-0, namespace: shop, labels: {app: free, security.istio.io/tlsMode: istio}},
 spec: {serviceAccountName: free, containers: [{name: app}, {name: istio-proxy}]}, status: {phase: Running, podIP: 10.0.0.3}}
---
{apiVersion: v1, kind: Pod, metadata: {name: free-1, namespace: shop, labels: {app: free, security.istio.io/tlsMode: istio}},
 spec: {serviceAccountName: free, containers: [{name: app}, {name: istio-proxy}]}, status: {phase: Running, podIP: 10.0.0.4}}
---
{apiVersion: v1, kind: Service, metadata: {name: api, namespace: shop, labels: {istio.io/use-waypoint: gate}},
 spec: {clusterIP: 10.9.0.1, ports: [{name: http, port: 80}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: db, namespace: shop, labels: {istio.io/use-waypoint: gate}},
 spec: {clusterIP: 10.9.0.2, ports: [{name: http, port: 80}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: ext, namespace: shop}, spec: {clusterIP: 10.9.9.9, ports: [{name: grpc, port: 9000}]}}
";

const SETTINGS: &str = "extensionProviders:\n\
                        - {name: g, envoyExtAuthzGrpc: {service: ext.shop.svc.cluster.local, port: 9000}}\n";

/// Who is let in at all: peers alone at `old-0`, with tokens for somebody.
const DOORS: &str = "
{apiVersion: security.istio.io/v1, kind: PeerAuthentication, metadata: {name: old, namespace: shop},
 spec: {selector: {matchLabels: {app: old}}, mtls: {mode: STRICT}, portLevelMtls: {9090: {mode: DISABLE}}}}
---
{apiVersion: security.istio.io/v1, kind: RequestAuthentication, metadata: {name: r, namespace: shop},
 spec: {jwtRules: [{issuer: me, audiences: [shop], jwksUri: 'https://a'}]}}
";

/// A policy of `shop`: its name, its spec in YAML's flow style.
fn policy(name: &str, spec: &str) -> String {
    format!(
        "---\n{{apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: {{name: {name}, \
         namespace: shop}}, spec: {{{spec}}}}}\n"
    )
}

fn folder(name: &str, settings: &str, policies: &str) -> Folder {
    let files = [
        ("mesh.yaml", &*format!("{settings}{SETTINGS}")),
        ("config/p.yaml", &*format!("{DOORS}{policies}")),
        ("clusters/c1/all.yaml", CLUSTER),
    ];
    Folder::new(&format!("replay-{name}"), &files)
}

/// Asks one side what was told of it.
fn replay(folder: &Path, told: &Value, side: &str) {
    let to = told["workload"].as_str().unwrap();
    let arguments = ["authz", "--request", "-", "--to", to];
    let (_, answer, said) = mesh(folder, &arguments, &told["request"]);
    let is_allowed = (told["change"] == "newly_allowed") == (side == "new");
    let by = &told[format!("by_{side}")];
    let asked =
        answer["custom"].as_array().into_iter().flatten().any(|asked| {
            told["if_denied_by"].is_string() && asked["provider"] == told["if_denied_by"]
        });
    if asked {
        // Whoever was asked denies it.
        assert!(!is_allowed, "{side}: {told} {answer}");
        return;
    }
    assert_eq!(answer["decision"] == "allow", is_allowed, "{side}: {told} {answer} {said}");
    assert!(*by == answer["by"] || *by == answer["reason"]["text"], "{side}: {told} {answer}");
    assert_eq!(told[format!("rule_{side}")], answer["rule"], "{side}: {told} {answer}");
}

/// Replays all that is told of a change, both ways; returns it.
fn check(name: &str, old: &str, new: &str) -> Vec<Value> {
    check_in(name, "", [old, new])
}

/// The same in a mesh with more settings.
fn check_in(name: &str, settings: &str, [old, new]: [&str; 2]) -> Vec<Value> {
    let folders = [("old", old), ("new", new)]
        .map(|(side, of)| folder(&format!("{name}-{side}"), settings, of));
    let [old, new] = &folders;
    let mut found = Vec::new();
    for [old, new] in [[old, new], [new, old]] {
        let (answer, _) = diff(old, new);
        let told = answer["decisions"].as_array().unwrap();
        for told in told {
            replay(old, told, "old");
            replay(new, told, "new");
        }
        found.extend(told.iter().cloned());
    }
    found
}

/// The kinds of change of a workload.
fn kinds(found: &[Value], workload: &str) -> Vec<String> {
    let of = found.iter().filter(|told| told["workload"] == workload);
    let mut kinds: Vec<String> =
        of.map(|told| told["change"].as_str().unwrap().to_owned()).collect();
    kinds.sort();
    kinds.dedup();
    kinds
}

const BOTH: [&str; 2] = ["newly_allowed", "newly_denied"];
const WORKLOADS: [&str; 4] = ["c1/shop/free-0", "c1/shop/gate-0", "c1/shop/old-0", "c1/shop/web-0"];

#[test]
fn what_is_told_of_a_waypoint_names_where_it_goes() {
    let to = |methods: &str| format!("rules: [{{to: [{{operation: {{methods: [{methods}]}}}}]}}]");
    let of = |allowed: &str, denied: &str| {
        let gate = "targetRefs: [{kind: Gateway, group: gateway.networking.k8s.io, name: gate}]";
        let db = "targetRefs: [{kind: Service, group: '', name: db}]";
        policy("db", &format!("{db}, {}", to(allowed)))
            + &policy("gate", &format!("{gate}, action: DENY, {}", to(denied)))
    };
    let found = check("waypoint", &of("GET", "HEAD"), &of("GET, PUT", "HEAD, POST"));
    assert_eq!(kinds(&found, "c1/shop/gate-0"), BOTH);
    let is_to =
        |address: &str| found.iter().any(|told| told["request"]["destination_ip"] == address);
    assert!(is_to("10.9.0.2") && is_to("10.0.0.7"), "{found:#?}");
}

/// Only what peers send is let in, so that an example in plain text tells nothing.
#[test]
fn a_change_behind_strict_doors_is_told_by_a_peer() {
    let path = |path: &str| {
        policy("p", &format!("rules: [{{to: [{{operation: {{paths: ['{path}']}}}}]}}]"))
    };
    let found = check("strict", &path("/a"), &path("/b"));
    for workload in
        WORKLOADS.iter().filter(|of| **of != "c1/shop/gate-0" && **of != "c1/shop/web-0")
    {
        assert_eq!(kinds(&found, workload), BOTH, "{workload}");
    }
    // A rule that names nobody, and one that keeps some out who would be examples.
    let keep = policy(
        "d",
        "action: DENY, rules: [{from: [{source: {namespaces: [x, z]}}]}, {from: [{source: {principals: ['*/sa/x']}}]}]",
    );
    let found = check("strict-kept", &(path("/a") + &keep), &(path("/a*") + &keep));
    assert_eq!(kinds(&found, "c1/shop/old-0"), BOTH);
}

#[test]
fn a_start_beside_an_end_is_told_everywhere() {
    let source = |action: &str, list: &str, value: &str| {
        policy(
            &action.to_lowercase(),
            &format!("action: {action}, rules: [{{from: [{{source: {{{list}: ['{value}']}}}}]}}]"),
        )
    };
    let pairs = [
        ("namespaces", "fr*", "*nt"),
        ("namespaces", "ab*", "*bc"),
        ("principals", "cluster.local/ns/fr*", "*nt/sa/x"),
        ("principals", "cluster.local/ns/a/*", "*/sa/y"),
    ];
    for (list, start, end) in pairs {
        let (allow, deny) = (source("ALLOW", list, start), source("DENY", list, end));
        let found = check("ends", &(allow.clone() + &deny), &allow);
        for workload in ["c1/shop/old-0", "c1/shop/web-0"] {
            assert_eq!(kinds(&found, workload), BOTH, "{workload} {list} {start} {end}");
        }
    }
    let path = |action: &str, value: &str| {
        policy(
            &action.to_lowercase(),
            &format!("action: {action}, rules: [{{to: [{{operation: {{paths: ['{value}']}}}}]}}]"),
        )
    };
    let (allow, deny) = (path("ALLOW", "/api/*"), path("DENY", "*/admin"));
    let found = check("paths", &(allow.clone() + &deny), &allow);
    let is_told = |told: &Value| {
        told["request"]["path"] == "/api/admin" && told["workload"] == "c1/shop/old-0"
    };
    assert!(found.iter().any(is_told), "{found:#?}");
}

#[test]
fn tokens_are_of_who_may_issue_them_for_several() {
    let audience = |values: &str| {
        policy(
            "p",
            &format!("rules: [{{when: [{{key: 'request.auth.audiences', values: [{values}]}}]}}]"),
        )
    };
    let found = check("tokens", &audience("a"), &audience("b"));
    for workload in ["c1/shop/free-0", "c1/shop/old-0"] {
        assert_eq!(kinds(&found, workload), BOTH, "{workload}");
    }
}

/// Who may issue tokens, and for whom, decides without any policy that asks for tokens.
#[test]
fn what_becomes_of_tokens_is_told_whatever_policies_ask_for() {
    let rules = |rules: &str| {
        format!(
            "---\n{{apiVersion: security.istio.io/v1, kind: RequestAuthentication, metadata: {{name: more, \
             namespace: shop}}, spec: {{selector: {{matchLabels: {{app: free}}}}, jwtRules: [{rules}]}}}}\n"
        )
    };
    let of = |rest: &str| rules(&format!("{{{rest}, jwksUri: 'https://b'}}"));
    let method = policy("p", "rules: [{to: [{operation: {methods: [GET]}}]}]");
    let namespace = policy("p", "rules: [{from: [{source: {namespaces: [other]}}]}]");
    // The token that the rules before take and those after do not, and the other way round.
    let cases = [
        ("issuer", of("issuer: a"), of("issuer: b"), vec![json!({"iss": "a"})]),
        ("added", String::new(), of("issuer: b"), vec![json!({"iss": "b"})]),
        (
            "audience",
            of("issuer: a, audiences: [x]"),
            of("issuer: a, audiences: [z]"),
            vec![json!({"iss": "a", "aud": "x"}), json!({"iss": "a", "aud": "z"})],
        ),
        (
            "second",
            of("issuer: a, audiences: [x]"),
            of("issuer: a, audiences: [x, z]"),
            vec![json!({"iss": "a", "aud": "z"})],
        ),
        (
            "any audience",
            of("issuer: a"),
            of("issuer: a, audiences: [x]"),
            vec![json!({"iss": "a"})],
        ),
        // Nobody knows what a rule without issuer takes.
        ("unknown", of("issuer: ''"), String::new(), vec![json!({"iss": "https://other.invalid"})]),
    ];
    for (place, (name, old, new, tokens)) in cases.iter().enumerate() {
        let policies = ["", &*method, &*namespace].into_iter();
        for policies in policies.take(if place == 0 { 3 } else { 1 }) {
            let [old, new] = [old, new].map(|of| format!("{of}{policies}"));
            let found = check(&format!("doors-{place}"), &old, &new);
            assert_eq!(kinds(&found, "c1/shop/free-0"), BOTH, "{name} {policies}");
            for token in tokens.iter().filter(|_| policies.is_empty()) {
                let is_told = |told: &Value| told["request"]["jwt"]["claims"] == *token;
                assert!(found.iter().any(is_told), "{name} {token} {found:#?}");
            }
        }
    }
}

/// Without any rule a token is not looked at.
#[test]
fn a_first_rule_refuses_tokens_of_others() {
    let cluster = |rules: &str| {
        let folder = folder(&format!("first-{}", rules.is_empty()), "", "");
        folder.write("config/p.yaml", rules);
        folder
    };
    let rule = "{apiVersion: security.istio.io/v1, kind: RequestAuthentication, metadata: {name: r, \
                namespace: shop}, spec: {jwtRules: [{issuer: a, jwksUri: 'https://a'}]}}";
    let [old, new] = [cluster(""), cluster(rule)];
    let (answer, said) = diff(&old, &new);
    let told = answer["decisions"].as_array().ok_or(said).unwrap();
    assert_eq!(kinds(told, "c1/shop/free-0"), ["newly_denied"]);
    for told in told {
        replay(&old, told, "old");
        replay(&new, told, "new");
    }
}

#[test]
fn certificates_with_two_names_are_tried() {
    let names = |action: &str, names: [&str; 2]| {
        let [one, other] =
            names.map(|name| format!("source: {{principals: ['cluster.local/ns/{name}/sa/x']}}"));
        policy("a", &format!("rules: [{{from: [{{{one}}}]}}]"))
            + &policy("d", &format!("action: {action}, rules: [{{from: [{{{other}}}]}}]"))
    };
    let found = check("names", &names("DENY", ["a", "b"]), &names("AUDIT", ["a", "b"]));
    let is_told = |told: &Value| {
        told["request"]["peer"]["uri_sans"].as_array().is_some_and(|names| names.len() == 2)
    };
    assert!(found.iter().any(is_told), "{found:#?}");
}

#[test]
fn what_goes_to_the_workload_goes_to_its_address() {
    let to = |action: &str, range: &str| {
        policy(
            &action.to_lowercase(),
            &format!(
                "action: {action}, rules: [{{when: [{{key: destination.ip, values: [{range}]}}]}}]"
            ),
        )
    };
    // All else is denied whatever the first policy says.
    let (deny, allow) = (to("DENY", "10.0.0.0/8"), to("ALLOW", "10.0.0.2, 10.0.0.3"));
    let found = check("address", &(deny + &allow), &allow);
    for workload in ["c1/shop/free-0", "c1/shop/old-0"] {
        assert_eq!(kinds(&found, workload), BOTH, "{workload}");
    }
}

/// Workloads that are asked once for all of them are told one by one, unless it matters where they are.
#[test]
fn what_is_so_of_several_workloads_is_told_of_each() {
    let rule = |rule: &str| policy("p", &format!("action: DENY, rules: [{rule}]"));
    let told = |found: &[Value]| ["c1/shop/free-0", "c1/shop/free-1"].map(|of| kinds(found, of));
    let path = |path: &str| rule(&format!("{{to: [{{operation: {{paths: ['{path}']}}}}]}}"));
    assert_eq!(told(&check("alike", &path("/a"), &path("/b"))), [BOTH, BOTH]);
    let to = |range: &str| rule(&format!("{{when: [{{key: destination.ip, values: [{range}]}}]}}"));
    let [one, other] = told(&check("unlike", &to("10.0.0.3"), &to("10.0.0.5")));
    assert!(one == BOTH && other.is_empty(), "{one:?} {other:?}");
}

#[test]
fn what_an_external_authorizer_is_asked_is_told_as_it_answers() {
    let custom = |path: &str| {
        policy(
            "c",
            &format!(
                "action: CUSTOM, provider: {{name: g}}, rules: [{{to: [{{operation: {{paths: ['{path}']}}}}]}}]"
            ),
        )
    };
    let found = check("custom", &custom("/a*"), &custom("*/b"));
    assert!(found.iter().any(|told| told["if_denied_by"] == json!("g")), "{found:#?}");
}

/// A ztunnel takes principals as they are: there `cluster.local` is not the mesh's own trust domain.
#[test]
fn a_trust_domain_that_changes_is_told_where_a_ztunnel_decides() {
    let deny = |rule: &str| policy("d", &format!("action: DENY, rules: [{{{rule}}}]"));
    let rules = [
        "from: [{source: {principals: [DOMAIN/ns/a/sa/b]}}]",
        "from: [{source: {notPrincipals: [DOMAIN/ns/a/sa/b]}}]",
        "when: [{key: source.principal, values: [DOMAIN/ns/a/sa/b]}]",
        "when: [{key: source.principal, notValues: [DOMAIN/ns/a/sa/b]}]",
    ];
    for (place, rule) in rules.iter().enumerate() {
        let [old, new] =
            ["cluster.local", "t1"].map(|domain| deny(&rule.replace("DOMAIN", domain)));
        let found = check_in(&format!("domain-{place}"), "trustDomain: t1\n", [&old, &new]);
        assert_eq!(kinds(&found, "c1/shop/web-0"), BOTH, "{rule}");
        assert!(kinds(&found, "c1/shop/free-0").is_empty(), "{rule}");
    }
}
