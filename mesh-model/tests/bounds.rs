//! What hostile texts may cost: findings, memory and time stay in bounds.
use std::sync::Arc;

use mesh_model::Compat;
use mesh_model::manifest::{Diagnostic, Severity};
use mesh_model::registry::{Mesh, Origin, Registry, Source};

/// What loading a text of `config/` says, and the mesh of it.
fn load(text: &str) -> (Vec<Diagnostic>, Arc<Mesh>) {
    let source = Source { origin: Origin::Config, name: "config/a.yaml".into(), text: text.into() };
    let mut registry = Registry::new(Compat::default());
    let found = registry.load([source]);
    (found, registry.mesh())
}

/// A DestinationRule with `count` subsets of illegal names.
fn rule(count: usize) -> String {
    let subsets: String = (0..count).map(|index| format!("  - {{name: a.{index}}}\n")).collect();
    format!(
        "apiVersion: networking.istio.io/v1\nkind: DestinationRule\n\
         metadata: {{name: a, namespace: shop}}\nspec:\n  host: cart\n  subsets:\n{subsets}"
    )
}

#[test]
fn a_file_of_junk_gives_a_thousand_findings_and_says_how_many_more() {
    let junk: String = (0..3_000).map(|index| format!("a: {index}\n---\n")).collect();
    let (found, _) = load(&junk);
    assert_eq!(found.len(), 1_001);
    let last = found.last().unwrap();
    assert_eq!((last.code, last.severity), ("DIAGNOSTICS-LIMIT", Severity::Error));
    assert!(last.message.starts_with("5000 more findings"), "{last}");
    // What is not told is not in force all the same.
    let policy = "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: a}\nspec: 5\n";
    let (found, mesh) = load(&format!("{junk}{policy}"));
    assert_eq!(found.len(), 1_001);
    assert_eq!(mesh.broken().len(), 1);
}

#[test]
fn an_object_gives_a_thousand_findings_at_most() {
    let (found, _) = load(&rule(5_000));
    assert_eq!(found.len(), 1_001);
    assert!(found.last().is_some_and(|last| last.message.starts_with("4000 more findings")));
}

#[test]
fn warnings_beyond_the_limit_are_no_error() {
    let unknown: String = (0..1_500).map(|index| format!(", f{index}: 1")).collect();
    let (found, _) = load(&format!(
        "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{name: a, namespace: shop}}\n\
         spec: {{host: cart{unknown}}}\n"
    ));
    assert_eq!(found.len(), 1_001);
    assert!(found.iter().all(|finding| finding.severity == Severity::Warning));
}

#[test]
fn very_many_errors_end() {
    // In proportion to their square this took minutes.
    let (found, _) = load(&rule(100_000));
    assert_eq!(found.len(), 1_001);
}

#[test]
fn comments_around_an_object_do_not_make_it_large() {
    let comments = "# hello\n".repeat(600_000);
    let object = rule(0).replace("  subsets:\n", "");
    for text in [format!("{comments}{object}"), format!("{object}{comments}")] {
        assert_eq!(load(&text).0, []);
        // It is read: two of it are one too many.
        let (found, _) = load(&format!("{text}---\n{object}"));
        assert_eq!(found[0].code, "DUPLICATE-OBJECT");
    }
    // What is too large is told where the object is, not where its document begins.
    let large = format!("{object}---\n# why\n{object}  exportTo: [{}]\n", "a, ".repeat(2_000_000));
    let (found, _) = load(&large);
    assert_eq!((found[0].code, found[0].place.line), ("YAML-LIMIT", 8));
}

#[test]
fn a_number_of_many_digits_is_a_number() {
    let digits = "9".repeat(100_000);
    let policy =
        format!("  trafficPolicy: {{outlierDetection: {{maxEjectionPercent: {digits}}}}}\n");
    let (found, _) = load(&rule(0).replace("  subsets:\n", &policy));
    assert_eq!(found[0].code, "FIELD-RANGE");
}
