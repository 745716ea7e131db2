//! What stands in a place, or under a name, where it says nothing: texts, wrapped settings, metadata, names.
#![expect(clippy::expect_used, reason = "helpers of tests may fail like tests")]
use std::sync::Arc;

use mesh_model::Compat;
use mesh_model::manifest::Diagnostic;
use mesh_model::registry::{Mesh, Origin, Registry, Source};

/// A mesh of one file, and what is said of it.
fn load(path: &str, text: &str) -> (Arc<Mesh>, Vec<Diagnostic>) {
    let origin = Origin::of_path(path).expect("a path of a mesh");
    let mut registry = Registry::new(Compat::default());
    let cluster = Source {
        origin: Origin::Cluster("c1".into()),
        name: "c1".into(),
        text: "{apiVersion: v1, kind: Node, metadata: {name: n1}}".into(),
    };
    let found = registry.load([Source { origin, name: path.into(), text: text.into() }, cluster]);
    (registry.mesh(), found)
}

/// Checks what is said of a file, as `LINE:COLUMN SEVERITY CODE FIELD`.
#[track_caller]
fn check(path: &str, text: &str, expected: &[&str]) {
    let (_, found) = load(path, text);
    let told = found.iter().map(|Diagnostic { code, severity, place, field, .. }| {
        format!("{}:{} {severity} {code} {field}", place.line, place.column)
    });
    let told: Vec<String> = told.map(|text| text.trim_end().to_owned()).collect();
    assert_eq!(told, expected, "{text}: {found:#?}");
}

#[test]
fn a_policy_in_a_text_is_told_where_it_stands() {
    check(
        "config/a.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: shop}\ndata:\n  a.b: x\n  p.yaml: |\n    \
         apiVersion: security.istio.io/v1\n    kind: AuthorizationPolicy\n    metadata: {name: p}\n",
        &["7:5 warning POLICY-IN-TEXT data.p.yaml"],
    );
}

#[test]
fn a_field_that_no_metadata_has_is_told() {
    let unseen = "until then no selector of a policy, no discovery selector and no waypoint sees what it says";
    for (version, kind, is_selected) in [
        ("v1", "Pod", true),
        ("v1", "Namespace", true),
        ("v1", "Service", true),
        ("v1", "ConfigMap", false),
        ("apps/v1", "Deployment", false),
        ("telemetry.istio.io/v1", "Telemetry", false),
    ] {
        for (field, meant) in [
            ("lables", "labels"),
            ("label", "labels"),
            ("annotation", "annotations"),
            ("Name", "name"),
        ] {
            let text = format!(
                "apiVersion: {version}\nkind: {kind}\nmetadata:\n  name: a\n  {field}: {{a: b}}\n"
            );
            let (_, found) = load("clusters/c1/a.yaml", &text);
            let told = found.iter().find(|it| it.field == format!("metadata.{field}"));
            let told = told.unwrap_or_else(|| panic!("{text}: {found:?}"));
            assert_eq!((told.code, told.place.line), ("FIELD-UNKNOWN", 5));
            let more =
                if is_selected && meant == "labels" { format!(" {unseen}") } else { String::new() };
            assert_eq!(told.help, format!("did you mean `{meant}`?{more}"), "{text}");
        }
    }
    check(
        "clusters/c1/a.yaml",
        "{apiVersion: v1, kind: Pod, metadata: {name: a, namespace: b, labels: {}, annotations: {}, generateName: a, \
         selfLink: /a, uid: u, resourceVersion: '1', generation: 1, creationTimestamp: null, deletionTimestamp: null, \
         deletionGracePeriodSeconds: 1, ownerReferences: [], finalizers: [], managedFields: []}}",
        &[],
    );
}
