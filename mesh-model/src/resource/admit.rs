//! Admission: reading and validation in one, as documents enter a mesh.
//!
//! ```text
//! Node ──decode──▶ a resource ──validate──▶ no error: it enters
//!                                   └─────▶ an error: it stays outside, every rule that it breaks is told
//! ```
use std::sync::Arc;

use super::mesh_config::{providers, wrapped};
use super::object::partial;
use super::validate::schema::given;
use super::validate::{Violation, names};
use super::{Decoded, MeshConfig, MeshNetworks, ObjectKey, Resource, decode};
use crate::manifest::decode::clip;
use crate::manifest::{Diagnostic, Node, SECURITY_KINDS, Severity, Value, misplaced_namespace};

/// Reads one object as [`decode`] does and applies the rules of admission: with an error there is no
/// resource. What cannot be read does not hide which rules the rest breaks.
///
/// # Upstream
///
/// istio/istio `pkg/webhooks/validation/server/server.go` `Webhook.validate`.
pub fn admit(node: &Node, file: &Arc<str>, default_namespace: &str) -> Decoded {
    let mut decoded = decode(node, file, default_namespace);
    let Some(object) = &decoded.object else { return decoded };
    let mut violations = match &decoded.resource {
        Some(resource) => rules(resource),
        None => around(&decoded.diagnostics, node, default_namespace),
    };
    // Some kinds have rules of their own for their names.
    let of_node = names::check(node, object).into_iter().chain(given::check(node, object));
    let is_told = |field: &str| violations.iter().any(|violation| violation.field == field);
    let of_node: Vec<Violation> = of_node.filter(|it| !is_told(&it.field)).collect();
    violations.extend(of_node);
    if SECURITY_KINDS.contains(&object.kind) {
        violations.extend(unrendered(node));
    }
    let misplaced = misplaced(node, file, object);
    let is_refused = misplaced.is_some()
        || violations.iter().any(|violation| violation.severity == Severity::Error);
    if let Some(misplaced) = &misplaced {
        // What is refused is not ignored.
        let is_same =
            |found: &Diagnostic| found.code == "FIELD-UNKNOWN" && found.place == misplaced.place;
        decoded.diagnostics.retain(|found| !is_same(found));
    }
    if !violations.is_empty() || misplaced.is_some() {
        let name = object.to_string();
        let found = violations.into_iter().map(|violation| violation.diagnose(node, file, &name));
        add(&mut decoded.diagnostics, found.chain(misplaced));
    }
    if is_refused {
        decoded.resource = None;
    }
    decoded
}

/// A field of a security object beside its `spec` that no object has, and a namespace that is misspelt or in
/// another place: what they say may be what the object is for. What no `spec` has is refused as the object
/// is read.
///
/// # Upstream
///
/// istio/istio `pkg/webhooks/validation/server/server.go` `checkFields`; the strict validation of
/// `kubectl`.
fn misplaced(node: &Node, file: &Arc<str>, object: &ObjectKey) -> Option<Diagnostic> {
    const KNOWN: [&str; 5] = ["apiVersion", "kind", "metadata", "spec", "status"];
    if !SECURITY_KINDS.contains(&object.kind) {
        return None;
    }
    let (field, message, place) = if let Some(entry) = misplaced_namespace(node) {
        let name = clip(&entry.key);
        let message = format!("no object has `{name}` there: it may have been its namespace");
        ("metadata.namespace".to_owned(), message, entry.place)
    } else {
        let entry = node.entries().iter().find(|entry| !KNOWN.contains(&&*entry.key))?;
        let name = clip(&entry.key);
        let message = format!("an object has no field `{name}`: admission refuses it");
        (name, message, entry.place)
    };
    Some(Diagnostic {
        code: "FIELD-MISPLACED",
        severity: Severity::Error,
        file: file.clone(),
        place,
        object: object.to_string(),
        field,
        message,
        help: "write `apiVersion`, `kind`, `metadata` with `namespace`, and `spec`".to_owned(),
    })
}

/// `VALUE-UNRENDERED`: a value or a key of a policy that a tool was to replace (`${NAME}`, `{{ name }}`).
///
/// Upstream it is a text like any other, that no request and no workload has: what the policy was meant to
/// deny would be let in.
fn unrendered(node: &Node) -> Option<Violation> {
    let spec = node.get(&["spec"])?;
    let mut path = vec!["spec".to_owned()];
    find_unrendered(spec, &mut path).map(|text| Violation {
        rule: "VALUE-UNRENDERED",
        severity: Severity::Error,
        field: path.concat(),
        message: format!("`{}` is still to be replaced by a value", clip(&text)),
        help: "render the template or put the values in, and load what comes out".to_owned(),
    })
}

/// Finds the first such text in a tree; the path leads to it then.
fn find_unrendered(node: &Node, path: &mut Vec<String>) -> Option<String> {
    let is_unrendered = |text: &str| text.contains("${") || text.contains("{{");
    let mut within = |step: String, key: Option<&str>, inner: &Node| {
        path.push(step);
        let own = key.filter(|key| is_unrendered(key)).map(ToOwned::to_owned);
        let found = own.or_else(|| find_unrendered(inner, path));
        if found.is_none() {
            path.pop();
        }
        found
    };
    match &node.value {
        Value::String(text) => is_unrendered(text).then(|| text.to_string()),
        Value::List(items) => {
            let mut items = items.iter().enumerate();
            items.find_map(|(index, item)| within(format!("[{index}]"), None, item))
        }
        Value::Map(entries) => entries
            .iter()
            .find_map(|entry| within(format!(".{}", entry.key), Some(&entry.key), &entry.node)),
        Value::Null | Value::Bool(_) | Value::Integer(_) | Value::Float(_) => None,
    }
}

/// The rules that an object breaks, those of its schema first.
fn rules(resource: &Resource) -> Vec<Violation> {
    let mut violations = resource.exceeds_schema();
    violations.extend(resource.validate());
    violations
}

/// The rules that an object breaks apart from where it could not be read.
fn around(found: &[Diagnostic], node: &Node, default_namespace: &str) -> Vec<Violation> {
    let partial = has_error(found).then(|| partial(node, default_namespace)).flatten();
    let Some(resource) = partial else { return Vec::new() };
    let mut violations = rules(&resource);
    keep_read(&mut violations, found);
    violations
}

fn has_error(found: &[Diagnostic]) -> bool {
    found.iter().any(|found| found.severity == Severity::Error)
}

/// Forgets the rules that are broken where something could not be read.
fn keep_read(violations: &mut Vec<Violation>, found: &[Diagnostic]) {
    let errors = found.iter().filter(|found| found.severity == Severity::Error);
    let unread: Vec<&str> = errors.map(|error| list_of(&error.field)).collect();
    violations.retain(|violation| !unread.iter().any(|path| meet(path, &violation.field)));
}

/// The list that holds an item: without one of its items the others have other numbers.
fn list_of(field: &str) -> &str {
    let item = field.strip_suffix(']').and_then(|field| field.rsplit_once('['));
    item.map_or(field, |(list, _)| list)
}

/// Whether one of two paths leads through the other.
fn meet(a: &str, b: &str) -> bool {
    let (short, long) = if a.len() < b.len() { (a, b) } else { (b, a) };
    long.strip_prefix(short)
        .is_some_and(|rest| short.is_empty() || rest.is_empty() || rest.starts_with(['.', '[']))
}

impl MeshConfig {
    /// Reads a partial document, laid over Istio's defaults, and puts the default in the place of every
    /// setting that breaks a rule.
    pub fn admit(document: &Node, file: &Arc<str>) -> (Self, Vec<Diagnostic>) {
        let (mut config, mut diagnostics) = Self::decode(document, file);
        wrapped::check(document, file, &mut diagnostics);
        let violations = config.validate();
        config.repair(&violations);
        let found = violations.into_iter().chain(providers::check(document));
        add(&mut diagnostics, found.map(|found| found.diagnose(document, file, "MeshConfig")));
        (config, diagnostics)
    }
}

impl MeshNetworks {
    /// Reads a document and leaves out every entry that breaks a rule.
    pub fn admit(document: &Node, file: &Arc<str>) -> (Self, Vec<Diagnostic>) {
        let (mut networks, mut diagnostics) = Self::decode(document, file);
        let mut violations = networks.validate();
        if has_error(&diagnostics) {
            violations = Self::partial(document).validate();
            keep_read(&mut violations, &diagnostics);
        }
        networks.repair();
        let found = violations.into_iter();
        add(&mut diagnostics, found.map(|found| found.diagnose(document, file, "MeshNetworks")));
        (networks, diagnostics)
    }
}

/// Adds findings in the order of the text.
fn add(diagnostics: &mut Vec<Diagnostic>, found: impl Iterator<Item = Diagnostic>) {
    diagnostics.extend(found);
    diagnostics.sort_by_key(|diagnostic| diagnostic.place);
}
