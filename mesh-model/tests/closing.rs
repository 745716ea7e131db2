//! What closes says so: whoever reads the finding knows what is denied until it is mended.
#![expect(clippy::unwrap_used, reason = "helpers of tests may fail like tests")]
use mesh_model::Compat;
use mesh_model::manifest::{Diagnostic, Severity};
use mesh_model::registry::{Origin, Registry, Source};

const POD: &str = "{apiVersion: v1, kind: Pod, metadata: {name: web, namespace: shop}}";
const POLICY: &str = "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\n";

/// What loading a file beside a pod says of it, and whether anything is denied because of it.
fn load(name: &str, text: &str) -> (Vec<Diagnostic>, bool) {
    let source = |name: &str, text: &str| Source {
        origin: Origin::of_path(name).unwrap(),
        name: name.into(),
        text: text.into(),
    };
    let mut registry = Registry::new(Compat::default());
    let found = registry.load([source("clusters/c1/pod.yaml", POD), source(name, text)]);
    let mesh = registry.mesh();
    let planes = mesh.control_planes();
    let is_hidden = mesh.description("c1").is_some_and(|known| {
        known.hides_control_plane() || known.hides_trust_domain() || known.hides_root()
    });
    let mut lost = planes.flat_map(|plane| plane.broken.iter().chain(plane.lost_targets.iter()));
    (found, is_hidden || lost.next().is_some())
}

#[track_caller]
fn check(name: &str, text: &str, code: &str, effect: &str) {
    let (found, is_closed) = load(name, text);
    assert!(is_closed, "{text} closes: {found:#?}");
    let mut errors = found.iter().filter(|found| found.severity == Severity::Error);
    let told = errors.clone().filter(|found| found.message.contains(effect));
    assert_eq!(told.map(|found| found.code).collect::<Vec<_>>(), [code], "{text}: {found:#?}");
    assert!(errors.all(|found| found.message.matches("until it is mended").count() <= 1));
}

const DENIES: &str = "denies what it might have denied";
const SETTINGS: &str = "what security policies might deny is denied";
const ATTACHED: &str = "what policies that are attached by it might deny is denied";
const CLUSTER: &str = "requests to its workloads are denied";

#[test]
fn policies_that_cannot_be_understood_say_what_they_deny() {
    let check = |text: &str, code| check("config/p.yaml", text, code, DENIES);
    let policy = |text: &str| format!("{POLICY}{text}");
    check("apiVersion: security.istio.io/v1", "NOT-AN-OBJECT");
    check("kind: AuthorizationPolicy", "NOT-AN-OBJECT");
    check("kind: AuthorizationPolicy\nspec: [", "YAML");
    check("{\"kind\": \"AuthorizationPolicy\", }}", "JSON");
    check(&policy("spec: {}"), "META-NAME");
    check(&policy("metadata: {name: p}\nspec: {action: DNY}"), "FIELD-ENUM");
    check(&policy("metadata: {name: p}\nspec: {actions: DENY}"), "FIELD-UNKNOWN");
    check(&policy("metadata: {name: p}\nspec: {action: DENY}"), "AP-DENY-NO-RULES");
    check(&policy("metadata: {name: p, namespace: A_B}\nspec: {}"), "NAMESPACE-NAME");
    check(&policy("metadata: {name: p}").replace("/v1", "/v9"), "API-VERSION");
    check("apiVersion: security.istio.io/v1\nkind: Policies\nmetadata: {name: p}", "KIND-UNKNOWN");
    check(
        "apiVersion: authentication.istio.io/v1alpha1\nkind: Policy\nmetadata: {name: p}",
        "KIND-UNKNOWN",
    );
    let twice = policy("metadata: {name: p}\nspec: {}");
    check(&format!("{twice}\n---\n{twice}"), "DUPLICATE-OBJECT");
}

#[test]
fn settings_and_clusters_that_cannot_be_understood_say_what_is_denied() {
    check("mesh.yaml", "{ingressClass: [], rootNamespace: 5}", "FIELD-TYPE", SETTINGS);
    check("mesh.yaml", "rootNamespace: [", "YAML", SETTINGS);
    check("mesh.yaml", "rootNamespace: a\n---\nrootNamespace: b", "ONE-DOCUMENT", SETTINGS);
    let description = "clusters/c1/cluster.yaml";
    check(description, "role: primry", "FIELD-ENUM", CLUSTER);
    check(description, "role: [", "YAML", CLUSTER);
    check(description, "region: a\n---\nregion: b", "ONE-DOCUMENT", CLUSTER);
    check(description, "trustDomain: 5", "FIELD-TYPE", "nobody can tell who its workloads are");
}

#[test]
fn what_attaches_policies_says_what_is_denied() {
    let service = "apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec: {ports: 5}";
    check("clusters/c1/s.yaml", service, "FIELD-TYPE", ATTACHED);
    check("clusters/c1/s.yaml", "kind: Service\nspec: [", "YAML", ATTACHED);
}

#[test]
fn what_closes_nothing_does_not_say_so() {
    for (name, text) in [
        (
            "config/r.yaml",
            "{apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {name: r}, spec: 5}",
        ),
        ("clusters/c1/n.yaml", "{apiVersion: v1, kind: Node, metadata: {name: 5}}"),
        ("mesh.yaml", "{ingressClass: []}"),
        ("clusters/c1/cluster.yaml", "podCidrs: [x]"),
    ] {
        let (found, is_closed) = load(name, text);
        assert!(!is_closed, "{text}: {found:#?}");
        assert!(!found.is_empty(), "{text}");
        assert!(found.iter().all(|of| !of.message.contains("denied")), "{text}: {found:#?}");
    }
}

#[test]
fn what_cannot_be_understood_stands_in_one_order_whatever_that_of_the_documents() {
    let names = |texts: [&str; 2]| {
        let mut registry = Registry::new(Compat::default());
        let policy = |name| {
            format!("{POLICY}metadata: {{name: {name}, namespace: shop}}\nspec: {{action: DNY}}\n")
        };
        let text = texts.map(policy).join("---\n");
        let source = |name: &str, text: &str| Source {
            origin: Origin::of_path(name).unwrap(),
            name: name.into(),
            text: text.into(),
        };
        registry.load([source("clusters/c1/pod.yaml", POD), source("config/p.yaml", &text)]);
        let mesh = registry.mesh();
        let broken = mesh.control_planes().flat_map(|plane| plane.broken.iter());
        broken.map(|broken| broken.object.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(names(["a", "b"]), names(["b", "a"]));
}
