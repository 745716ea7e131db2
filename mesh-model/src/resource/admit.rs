//! Admission: reading and validation in one, as documents enter a mesh.
//!
//! ```text
//! Node ──decode──▶ a resource ──validate──▶ no error: it enters
//!                                   └─────▶ an error: it stays outside, every rule that it breaks is told
//! ```
use std::sync::Arc;

use super::object::partial;
use super::validate::Violation;
use super::{Decoded, MeshConfig, MeshNetworks, Resource, decode};
use crate::manifest::{Diagnostic, Node, Severity};

/// Reads one object as [`decode`] does and applies the rules of admission: with an error there is no
/// resource. What cannot be read does not hide which rules the rest breaks.
///
/// # Upstream
///
/// istio/istio `pkg/webhooks/validation/server/server.go` `Webhook.validate`.
pub fn admit(node: &Node, file: &Arc<str>, default_namespace: &str) -> Decoded {
    let mut decoded = decode(node, file, default_namespace);
    let Some(object) = &decoded.object else { return decoded };
    let violations = match &decoded.resource {
        Some(resource) => rules(resource),
        None => around(&decoded.diagnostics, node, default_namespace),
    };
    if violations.is_empty() {
        return decoded;
    }
    let is_refused = violations.iter().any(|violation| violation.severity == Severity::Error);
    let name = object.to_string();
    let found = violations.into_iter().map(|violation| violation.diagnose(node, file, &name));
    add(&mut decoded.diagnostics, found);
    if is_refused {
        decoded.resource = None;
    }
    decoded
}

/// The rules that an object breaks, those of its schema first.
fn rules(resource: &Resource) -> Vec<Violation> {
    let mut violations = resource.exceeds_schema();
    violations.extend(resource.validate());
    violations
}

/// The rules that an object breaks apart from where it could not be read.
fn around(errors: &[Diagnostic], node: &Node, default_namespace: &str) -> Vec<Violation> {
    let mut errors = errors.iter().filter(|found| found.severity == Severity::Error).peekable();
    let partial = errors.peek().and_then(|_| partial(node, default_namespace));
    let Some(resource) = partial else { return Vec::new() };
    let unread: Vec<&str> = errors.map(|error| list_of(&error.field)).collect();
    let mut violations = rules(&resource);
    violations.retain(|violation| !unread.iter().any(|path| meet(path, &violation.field)));
    violations
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
        let violations = config.validate();
        config.repair(&violations);
        let found = violations.into_iter();
        add(&mut diagnostics, found.map(|found| found.diagnose(document, file, "MeshConfig")));
        (config, diagnostics)
    }
}

impl MeshNetworks {
    /// Reads a document and leaves out every entry that breaks a rule.
    pub fn admit(document: &Node, file: &Arc<str>) -> (Self, Vec<Diagnostic>) {
        let (mut networks, mut diagnostics) = Self::decode(document, file);
        let violations = networks.validate();
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
