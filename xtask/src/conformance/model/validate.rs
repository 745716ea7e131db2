//! Admission of every kind: the rules that an object breaks.
use std::collections::BTreeSet;
use std::sync::Arc;

use mesh_model::manifest::{Diagnostic, Node, Severity};
use mesh_model::resource::{MeshConfig, MeshNetworks, admit};
use mesh_testkit::conformance::Answer;
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Input {
    manifest: Value,
}

/// Admits a manifest; what cannot be read is no answer.
pub(super) fn validate(input: &Value) -> Answer {
    let manifest = match Input::deserialize(input) {
        Ok(input) => input.manifest,
        Err(error) => return Answer::Rejected(error.to_string()),
    };
    let file = Arc::from("case");
    let spec = Node::from(manifest.get("spec").unwrap_or(&Value::Null));
    let diagnostics = match manifest.get("kind").and_then(Value::as_str) {
        Some("MeshConfig") => MeshConfig::admit(&spec, &file).1,
        Some("MeshNetworks") => MeshNetworks::admit(&spec, &file).1,
        _ => admit(&Node::from(&manifest), &file, "default").diagnostics,
    };
    Answer::Value(told(&diagnostics))
}

fn told(diagnostics: &[Diagnostic]) -> Value {
    let rules = |severity| -> BTreeSet<&str> {
        diagnostics.iter().filter(|d| d.severity == severity).map(|d| d.code).collect()
    };
    let (errors, warnings) = (rules(Severity::Error), rules(Severity::Warning));
    json!({ "valid": errors.is_empty(), "errors": errors, "warnings": warnings })
}
