//! `mesh diff` from outside: which requests a change of the folder lets in or keeps out.
#![expect(clippy::unwrap_used, reason = "helpers of tests may fail like tests")]
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

const PODS: &str = "
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: shop, labels: {app: web, security.istio.io/tlsMode: istio}}
spec: {serviceAccountName: web, containers: [{name: app, image: a}, {name: istio-proxy, image: b}]}
status: {phase: Running, podIP: 10.0.0.1}
---
apiVersion: v1
kind: Service
metadata: {name: ext, namespace: shop}
spec: {clusterIP: 10.9.9.9, ports: [{name: grpc, port: 9000}]}
";

/// A folder with a workload, objects and the mesh's settings.
fn folder(name: &str, objects: &str, settings: &str) -> PathBuf {
    let at = std::env::temp_dir().join(format!("mesh-decisions-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&at);
    let write = |file: &str, text: &str| {
        let file = at.join(file);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
    };
    write("clusters/c1/pods.yaml", PODS);
    write("config/objects.yaml", objects);
    write("mesh.yaml", settings);
    at
}

/// The changes of `web`, with who denies, if only one external authorizer does.
fn diff(old: &Path, new: &Path) -> Vec<(String, Option<String>)> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mesh"));
    let command =
        command.arg("diff").args([old, new]).args(["--proxy", "c1/shop/web", "-o", "json"]);
    let found: Value = serde_json::from_slice(&command.output().unwrap().stdout).unwrap();
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let decisions = found.get("decisions").and_then(Value::as_array).unwrap().iter();
    let told = decisions.map(|of| {
        (text(of.get("change").unwrap()).unwrap(), of.get("if_denied_by").and_then(text))
    });
    let mut told: Vec<_> = told.collect();
    told.dedup();
    told
}

/// Checks which kinds of change there are from one pair of objects and settings to another, and that the way
/// back is the opposite.
fn check(name: &str, old: [&str; 2], new: [&str; 2], expected: &[(&str, Option<&str>)]) {
    let folders = [("old", old), ("new", new)]
        .map(|(side, [objects, settings])| folder(&format!("{name}-{side}"), objects, settings));
    let [old, new] = &folders;
    let mut expected: Vec<(String, Option<String>)> =
        expected.iter().map(|(change, by)| ((*change).to_owned(), by.map(str::to_owned))).collect();
    assert_eq!(diff(old, new), expected, "{name}");
    for (change, _) in &mut expected {
        let is_allowed = change == "newly_allowed";
        *change = if is_allowed { "newly_denied" } else { "newly_allowed" }.to_owned();
    }
    expected.sort();
    let mut back = diff(new, old);
    back.sort();
    assert_eq!(back, expected, "{name}, back");
    folders.iter().for_each(|folder| std::fs::remove_dir_all(folder).unwrap());
}

const ALLOWED: (&str, Option<&str>) = ("newly_allowed", None);
const DENIED: (&str, Option<&str>) = ("newly_denied", None);

fn policy(action: &str, rules: &str) -> String {
    format!(
        "{{apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: {{name: p, namespace: \
         shop}}, spec: {{action: {action}, rules: {rules}}}}}"
    )
}

#[test]
fn diff_tells_what_only_peers_of_the_mesh_notice() {
    let of = |rule: &str| policy("ALLOW", &format!("[{rule}]"));
    let namespace = |name: &str| of(&format!("{{from: [{{source: {{namespaces: [{name}]}}}}]}}"));
    check("namespace", [&namespace("a"), ""], [&namespace("b"), ""], &[DENIED, ALLOWED]);
    let known = |path: &str| {
        of(&format!(
            "{{from: [{{source: {{principals: ['*']}}}}], to: [{{operation: {{paths: [{path}]}}}}]}}"
        ))
    };
    check("anyone", [&known("/a, /b"), ""], [&known("/a"), ""], &[DENIED]);
}

const STRICT: &str = "{apiVersion: security.istio.io/v1, kind: PeerAuthentication, metadata: {name: a, \
                      namespace: istio-system}, spec: {mtls: {mode: STRICT}}}";

#[test]
fn diff_tells_that_peers_of_another_trust_domain_are_not_let_in() {
    check("alias", [STRICT, "trustDomainAliases: [old]"], [STRICT, ""], &[DENIED]);
    let namespace = policy("ALLOW", "[{from: [{source: {namespaces: [a]}}]}]");
    check(
        "alias-namespace",
        [&namespace, "trustDomainAliases: [old]"],
        [&namespace, ""],
        &[DENIED],
    );
}

#[test]
fn diff_tells_what_a_port_without_a_service_demands() {
    let of = |ports: &str| {
        format!(
            "{{apiVersion: security.istio.io/v1, kind: PeerAuthentication, metadata: {{name: a, namespace: \
             shop}}, spec: {{selector: {{matchLabels: {{app: web}}}}, mtls: {{mode: PERMISSIVE}}{ports}}}}}"
        )
    };
    let strict = of(", portLevelMtls: {9999: {mode: STRICT}}");
    check("port", [&strict, ""], [&of(""), ""], &[ALLOWED]);
}

#[test]
fn diff_tells_what_an_external_authorizer_is_not_asked_any_more() {
    let settings = "extensionProviders:\n\
                    - {name: g, envoyExtAuthzGrpc: {service: ext.shop.svc.cluster.local, port: 9000}}\n\
                    - {name: h, envoyExtAuthzGrpc: {service: ext.shop.svc.cluster.local, port: 9000}}";
    let of = |provider: &str| policy(&format!("CUSTOM, provider: {{name: {provider}}}"), "[{}]");
    let (g, h) = (of("g"), of("h"));
    check("custom", [&g, settings], ["", settings], &[("newly_allowed", Some("g"))]);
    let both = [("newly_denied", Some("h")), ("newly_allowed", Some("g"))];
    check("provider", [&g, settings], [&h, settings], &both);
    check("unusable", [&g, settings], [&g, ""], &[DENIED]);
}

#[test]
fn diff_tells_that_a_claim_is_no_list_of_words_any_more() {
    let of = |claims: &str| {
        let deny = policy("DENY", "[{when: [{key: 'request.auth.claims[g]', values: [x]}]}]");
        format!(
            "{{apiVersion: security.istio.io/v1, kind: RequestAuthentication, metadata: {{name: r, \
             namespace: shop}}, spec: {{jwtRules: [{{issuer: i{claims}, jwks: '{{\"keys\":[]}}'}}]}}}}\n\
             ---\n{deny}"
        )
    };
    check("words", [&of(", spaceDelimitedClaims: [g]"), ""], [&of(""), ""], &[ALLOWED]);
}

#[test]
fn diff_tells_a_combination_that_is_lost() {
    let from = ["{source: {namespaces: [a]}}", "{source: {ipBlocks: [10.0.0.0/8]}}"];
    let to = ["{operation: {paths: [/a]}}", "{operation: {methods: [PUT]}}"];
    let rule = |from: &str, to: &str| format!("{{from: [{from}], to: [{to}]}}");
    let all = format!("[{}]", rule(&from.join(", "), &to.join(", ")));
    let kept = [rule(from[0], to[0]), rule(from[0], to[1]), rule(from[1], to[0])];
    let (all, kept) = (policy("ALLOW", &all), policy("ALLOW", &format!("[{}]", kept.join(", "))));
    check("combination", [&all, ""], [&kept, ""], &[DENIED]);
}

#[test]
fn what_was_not_tried_to_the_end_is_told() {
    let deny = |name: &str, source: &str| {
        format!(
            "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {{name: {name}, namespace: \
             shop}}\nspec: {{action: DENY, rules: [{{{source}}}]}}\n---\n"
        )
    };
    let names: Vec<String> = (0..7).map(|at| format!("i{at}/s")).collect();
    let of = |list: &str| format!("from: [{{source: {{{list}: [{}]}}}}]", names.join(", "));
    let all = deny("a", &of("requestPrincipals")) + &deny("b", &of("notRequestPrincipals"));
    let more = all.clone() + &deny("c", "to: [{operation: {paths: [/a], ports: ['80']}}]");
    let (old, new) = (folder("cut-old", &more, ""), folder("cut-new", &all, ""));
    let run = |output: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mesh"));
        let command = command.arg("diff").args([&old, &new]).args(["--proxy", "c1/shop/web"]);
        String::from_utf8(command.args(["-o", output]).output().unwrap().stdout).unwrap()
    };
    let found: Value = serde_json::from_str(&run("json")).unwrap();
    let expected = serde_json::json!([{"workload": "c1/shop/web", "policy": "shop/c", "rule": 0}]);
    assert_eq!(found.get("incomplete"), Some(&expected), "{found:#}");
    let told = run("table");
    assert!(told.contains("incomplete: not all that these may change could be tried"), "{told}");
    assert!(told.contains("c1/shop/web: rule 0 of shop/c"), "{told}");
    for folder in [old, new] {
        std::fs::remove_dir_all(folder).unwrap();
    }
}

#[test]
fn a_path_that_is_refused_is_what_fails_in_every_rule() {
    let policy = "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: a, namespace: \
                  shop}\nspec: {rules: [{to: [{operation: {methods: [GET]}}]}]}\n";
    let folder = folder("refused-path", policy, "");
    let request = folder.join("request");
    std::fs::write(&request, "{\"destination_port\": 80, \"path\": \"/a%00\"}").unwrap();
    let run = |output: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mesh"));
        let command = command.arg("-f").arg(&folder).args(["authz", "--to", "c1/shop/web"]);
        let command = command.arg("--request").arg(&request).args(["-o", output]);
        String::from_utf8(command.output().unwrap().stdout).unwrap()
    };
    let found: Value = serde_json::from_str(&run("json")).unwrap();
    let saw = "`/a%00`, which is refused before any policy is asked";
    let failed = serde_json::json!({
        "field": "to.operation.paths", "negated": false, "expected": [], "saw": saw,
    });
    assert_eq!(found.pointer("/trace/0/rules/0/failed"), Some(&failed), "{found:#}");
    assert!(run("table").contains(&format!("rule 0: not asked: saw {saw}")));
    std::fs::remove_dir_all(folder).unwrap();
}
