//! Values that cannot be meant, of policies and of settings that policies depend on, and what only looks like
//! policies.
#![expect(clippy::unwrap_used, reason = "helpers of tests may fail like tests")]
use std::sync::Arc;

use mesh_model::Compat;
use mesh_model::manifest::{Diagnostic, Severity};
use mesh_model::registry::{Mesh, Origin, Registry, Source};

const SETTINGS: &str = "mesh.yaml";
const PRIMARY: &str = "clusters/c1/cluster.yaml";

fn load(files: &[(&str, &str)]) -> (Arc<Mesh>, Vec<Diagnostic>) {
    let pod =
        "{apiVersion: v1, kind: Pod, metadata: {name: web, namespace: shop, labels: {app: web}}}";
    let pod = [("clusters/c1/pod.yaml", pod)];
    let sources = files.iter().chain(&pod).map(|(name, text)| Source {
        origin: Origin::of_path(name).unwrap(),
        name: (*name).into(),
        text: text.as_bytes().to_vec(),
    });
    let mut registry = Registry::new(Compat::default());
    let found = registry.load(sources);
    (registry.mesh(), found)
}

/// Checks the codes of errors, and whether anything closes for the cluster.
#[track_caller]
fn check(files: &[(&str, &str)], errors: &[&str], closes: bool) {
    let (mesh, found) = load(files);
    let told: Vec<&str> =
        found.iter().filter(|it| it.severity == Severity::Error).map(|it| it.code).collect();
    assert_eq!(told, errors, "{files:?}: {found:?}");
    let is_closed = mesh.control_plane_of("c1").is_some_and(|plane| !plane.broken.is_empty());
    assert_eq!(is_closed, closes, "{files:?}");
}

fn policy(kind: &str, spec: &str) -> String {
    format!(
        "apiVersion: security.istio.io/v1\nkind: {kind}\nmetadata: {{name: p, namespace: shop}}\nspec: {spec}\n"
    )
}

#[test]
fn a_value_that_is_still_to_be_replaced_closes() {
    let deny = "AuthorizationPolicy";
    for (kind, spec) in [
        (deny, "{action: DENY, selector: {matchLabels: {app: '${APP}'}}, rules: [{}]}"),
        (deny, "{action: DENY, selector: {matchLabels: {'{{ key }}': a}}, rules: [{}]}"),
        (deny, "{action: DENY, rules: [{from: [{source: {namespaces: ['${NS}']}}]}]}"),
        (
            deny,
            "{action: DENY, rules: [{from: [{source: {principals: ['{{ .td }}/ns/a/sa/b']}}]}]}",
        ),
        (deny, "{action: DENY, rules: [{to: [{operation: {hosts: ['${HOST}']}}]}]}"),
        (deny, "{rules: [{from: [{source: {notNamespaces: ['${NS}']}}]}]}"),
        (deny, "{action: DENY, rules: [{when: [{key: 'request.headers[a]', values: ['${A}']}]}]}"),
        ("PeerAuthentication", "{selector: {matchLabels: {app: '${APP}'}}, mtls: {mode: STRICT}}"),
        (
            "RequestAuthentication",
            "{jwtRules: [{issuer: '{{ .issuer }}', jwksUri: 'https://a.test/k'}]}",
        ),
    ] {
        check(&[("config/p.yaml", &policy(kind, spec))], &["VALUE-UNRENDERED"], true);
    }
    let templates = "{rules: [{to: [{operation: {paths: ['/a/{*}/b', '/{**}']}}]}]}";
    check(&[("config/p.yaml", &policy(deny, templates))], &[], false);
    let keys = r#"{jwtRules: [{issuer: a, jwks: '{"keys":[]}'}]}"#;
    check(&[("config/p.yaml", &policy("RequestAuthentication", keys))], &[], false);
}

#[test]
fn a_root_namespace_that_cannot_be_closes() {
    let all = policy("AuthorizationPolicy", "{action: DENY, rules: [{}]}");
    for name in ["'${ROOT}'", "'istio-system '", "Istio-System"] {
        let settings = format!("rootNamespace: {name}\n");
        check(&[(SETTINGS, &settings), ("config/p.yaml", &all)], &["MC-ROOT-NAMESPACE"], true);
    }
    check(&[(SETTINGS, "rootNamespace: root\n"), ("config/p.yaml", &all)], &[], false);
    let (_, found) = load(&[(SETTINGS, "rootNamespace: ''\n")]);
    assert!(found.iter().any(|it| it.code == "MC-ROOT-NAMESPACE"), "{found:?}");
}

#[test]
fn a_described_trust_domain_must_be_one_and_one_of_the_settings() {
    let all = policy("AuthorizationPolicy", "{action: DENY, rules: [{}]}");
    for name in ["${TD}", "{{ .td }}", "a/b", "prod "] {
        let text = format!("role: primary\ntrustDomain: '{name}'\n");
        let (_, found) = load(&[(PRIMARY, &text)]);
        assert!(found.iter().any(|it| it.code == "MC-TRUST-DOMAIN"), "{name}: {found:?}");
    }
    let prod = "role: primary\ntrustDomain: prod\n";
    let told = |settings: &str| {
        let (_, found) = load(&[(PRIMARY, prod), (SETTINGS, settings), ("config/p.yaml", &*all)]);
        found.iter().any(|it| it.code == "SETTINGS-DIFFER")
    };
    assert!(told("{}") && told("trustDomain: other\n"));
    assert!(!told("trustDomain: prod\n"));
    assert!(!told("trustDomainAliases: [prod]\n"), "policies mean it, too");
    // Where one of two primaries has settings, they are those of both.
    let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: istio, namespace: istio-system}\n\
               data: {mesh: 'trustDomain: prod'}\n";
    let both = [(PRIMARY, prod), ("clusters/c2/cluster.yaml", prod), ("clusters/c1/m.yaml", map)];
    assert_eq!(load(&both).1, []);
    // A remote's workloads may be of another one.
    let remote = "role: remote\ncontrolPlane: c2\ntrustDomain: prod\n";
    let sources = [(PRIMARY, remote), ("clusters/c2/cluster.yaml", "role: primary\n")];
    check(&sources, &[], false);
}

#[test]
fn only_providers_that_policies_ask_make_settings_differ() {
    let map = |provider: &str| {
        format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: istio, namespace: istio-system}}\ndata:\n  mesh: |\n    \
             extensionProviders:\n    - name: a\n      {provider}\n"
        )
    };
    let all = policy("AuthorizationPolicy", "{action: DENY, rules: [{}]}");
    let with = |provider: &str, errors: &[&str], closes: bool| {
        let map = map(provider);
        let files = [(SETTINGS, "{}"), ("config/p.yaml", &*all), ("clusters/c1/map.yaml", &*map)];
        check(&files, errors, closes);
    };
    with("envoyOtelAls: {port: 4317, service: otel.a.svc}", &[], false);
    let asked = "envoyExtAuthzGrpc: {port: 9000, service: authz.a.svc}";
    with(asked, &["SETTINGS-DIFFER"], true);
}

#[test]
fn a_kustomization_without_kind_closes_nothing() {
    let patch = "patches:\n- target: {kind: AuthorizationPolicy}\n  patch: '[]'\n";
    let fields = "labels:\n- pairs: {a: b}\n  fields: [{path: a, kind: PeerAuthentication}]\nresources: [p.yaml]\n";
    for text in [patch, fields] {
        let (mesh, _) = load(&[("config/kustomization.yaml", text)]);
        assert!(mesh.control_plane_of("c1").unwrap().broken.is_empty(), "{text}");
    }
    let object = format!("{patch}spec: {{action: DENY}}\n");
    let (mesh, _) = load(&[("config/kustomization.yaml", &object)]);
    assert!(!mesh.control_plane_of("c1").unwrap().broken.is_empty(), "it has a specification");
}

#[test]
fn texts_for_readers_are_known_by_their_names() {
    for name in ["README.md", "config/notes.MARKDOWN", "clusters/c1/a.adoc", "config/policy.html"] {
        assert!(Origin::is_for_readers(name), "{name}");
        assert_eq!(Origin::of_misspelt_path(name), None, "{name}");
    }
    for name in ["config/policy.txt", "config/md", "config/md.yaml"] {
        assert!(!Origin::is_for_readers(name), "{name}");
    }
}

/// Quotes do not make a number of what is none in JSON.
#[test]
fn numbers_in_quotes_are_those_of_json() {
    let told = |text: &str, errors: &[&str], closes: bool| {
        check(&[("config/p.yaml", text)], errors, closes);
    };
    let ports = |key: &str| {
        let ports = format!("portLevelMtls: {{{key}: {{mode: STRICT}}}}");
        policy(
            "PeerAuthentication",
            &format!("{{selector: {{matchLabels: {{app: web}}}}, {ports}}}"),
        )
    };
    for key in ["80", "'80'", "0x50", "+80"] {
        told(&ports(key), &[], false);
    }
    for key in ["'+80'", "'080'", "' 80'", "'8_0'", "''", "'-'"] {
        told(&ports(key), &["FIELD-KEY"], true);
    }
    let rule = |number: &str| {
        let policy = format!("{{outlierDetection: {{maxEjectionPercent: {number}}}}}");
        format!(
            "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{name: r, namespace: shop}}\n\
             spec: {{host: a, trafficPolicy: {policy}}}\n"
        )
    };
    for number in ["80", "'80'", "'0'", "'-0'", "+80"] {
        told(&rule(number), &[], false);
    }
    told(&rule("'+80'"), &["FIELD-TYPE"], false);
    told(&rule("'080'"), &["FIELD-TYPE"], false);
    told(&rule("'99999999999'"), &["FIELD-RANGE"], false);
}
