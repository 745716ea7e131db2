//! Settings that stand below a field that no settings have: all of them count for nobody.
//!
//! They were copied with what they stood in: values of a chart, an `IstioOperator`, a ConfigMap.
use std::sync::Arc;

use super::MeshConfig;
use crate::manifest::decode::clip;
use crate::manifest::{self, Diagnostic, Entry, Limits, Node, Severity, Value};
use crate::name::nearest_name;

/// The fields below which settings stand elsewhere.
const WRAPPERS: [&str; 7] = ["meshConfig", "mesh", "data", "spec", "values", "global", "items"];

/// The kinds that hold settings.
const KINDS: [&str; 3] = ["ConfigMap", "IstioOperator", "Istio"];

/// The fields of objects, which mean nothing here.
const OF_OBJECTS: [&str; 4] = ["apiVersion", "kind", "metadata", "status"];

/// How deep settings may stand: `spec.values.meshConfig` and its kin.
const DEEPEST: usize = 4;

/// `MC-WRAPPED`: an error in place of the warnings about the fields that nobody knows.
///
/// istiod says nothing of them and takes its defaults.
///
/// # Upstream
///
/// istio/istio `pkg/config/mesh/mesh.go` `ApplyMeshConfig`, `pkg/util/protomarshal` `ApplyYAML`.
pub(in crate::resource) fn check(document: &Node, file: &Arc<str>, found: &mut Vec<Diagnostic>) {
    let unknown = || document.entries().iter().filter(|entry| is_unknown(entry, found));
    let wrappers: Vec<&Entry> = unknown().filter(|entry| wraps(entry)).collect();
    let Some(wrapper) = wrappers.first() else { return };
    let name = clip(&wrapper.key);
    let place = wrapper.place;
    let is_of_wrapper = |field: &str| {
        OF_OBJECTS.contains(&field) || wrappers.iter().any(|wrapper| *wrapper.key == *field)
    };
    found.retain(|it| it.code != "FIELD-UNKNOWN" || !is_of_wrapper(&it.field));
    found.push(Diagnostic {
        code: "MC-WRAPPED",
        severity: Severity::Error,
        file: Arc::clone(file),
        place,
        object: "MeshConfig".to_owned(),
        field: wrapper.key.to_string(),
        message: format!(
            "no settings have a field `{name}`: what stands there is not read, and because nobody can tell which \
             settings are meant, what security policies might deny is denied"
        ),
        help: "unwrap it: write the settings themselves (`rootNamespace: …`) at the margin of `mesh.yaml`, or \
               below key `mesh` of the ConfigMap `istio`"
            .to_owned(),
    });
}

/// Whether a field that no settings have holds some.
fn wraps(entry: &Entry) -> bool {
    let is_near =
        |names: &[&'static str], text: &str| nearest_name(text, names.iter().copied()).is_some();
    match &entry.node.value {
        Value::Map(_) | Value::List(_) => {
            is_near(&WRAPPERS, &entry.key) || has_settings(&entry.node, DEEPEST)
        }
        Value::String(text) => {
            &*entry.key == "kind" && is_near(&KINDS, text)
                || is_near(&WRAPPERS, &entry.key)
                || has_settings(&entry.node, DEEPEST)
        }
        Value::Null | Value::Bool(_) | Value::Integer(_) | Value::Float(_) => false,
    }
}

/// Whether settings stand in a value, or in the text that it is.
fn has_settings(node: &Node, deepest: usize) -> bool {
    let Some(deeper) = deepest.checked_sub(1) else { return false };
    match &node.value {
        Value::Map(entries) => {
            knows_field(node) || entries.iter().any(|entry| has_settings(&entry.node, deeper))
        }
        Value::List(items) => items.iter().any(|item| has_settings(item, deeper)),
        Value::String(text) => {
            let reading = manifest::read("", text.as_bytes(), &Limits::default());
            reading.documents.iter().any(|document| has_settings(&document.node, deeper))
        }
        Value::Null | Value::Bool(_) | Value::Integer(_) | Value::Float(_) => false,
    }
}

/// Whether a map has a field that settings have.
fn knows_field(map: &Node) -> bool {
    let (_, found) = MeshConfig::decode(map, &Arc::from(""));
    map.entries().iter().any(|entry| !is_unknown(entry, &found))
}

/// Whether reading settings found that they have no such field.
fn is_unknown(entry: &Entry, found: &[Diagnostic]) -> bool {
    found.iter().any(|it| it.code == "FIELD-UNKNOWN" && it.field == *entry.key)
}
