//! What stands in a place, or under a name, where it says nothing: texts, wrapped settings, metadata, names.
use std::sync::Arc;

use mesh_model::Compat;
use mesh_model::manifest::Diagnostic;
use mesh_model::registry::{Mesh, Origin, Registry, Source};

/// A mesh of one file, and what is said of it.
fn load(path: &str, text: &str) -> (Arc<Mesh>, Vec<Diagnostic>) {
    let origin = Origin::of_path(path).expect("a path of a mesh");
    let mut registry = Registry::new(Compat::default());
    let found = registry.load([Source { origin, name: path.into(), text: text.into() }]);
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
