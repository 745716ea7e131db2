//! From a document to an object: which kind it is, and what it is called.
//!
//! ```text
//! Node ──apiVersion, kind──▶ Kind ──metadata──▶ ObjectKey ──the rest──▶ Resource
//!           └──▶ unknown: a diagnostic and nothing else
//! ```
//!
//! Of Istio's kinds, and of the metadata of every kind, unknown fields are warned of; of Kubernetes' own kinds
//! the mesh reads a part only, so the other unknown fields are silently left out. Security policies with unknown fields are refused, as
//! `kubectl` and strict decoding refuse them: what the API server makes of them, which drops the fields,
//! may let more pass than is written.
use std::sync::Arc;

use super::kind::{self, Found, Kind, Scope};
use super::{MeshConfigMap, Meta, ObjectKey, Resource};
use crate::manifest::decode::{Cursor, Problem};
use crate::manifest::{Diagnostic, Head, Node, SECURITY_KINDS, Severity, Value};
use crate::name::Namespace;

/// What a document turned out to be.
#[derive(Clone, Debug, Default, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "callers act on all parts")]
pub struct Decoded {
    /// Kind, namespace and name, where they could be read, even if the rest could not: a security
    /// policy that is broken has to be remembered.
    pub object: Option<ObjectKey>,
    /// The object; `None` after an error and for kinds that the mesh does not use.
    pub resource: Option<Resource>,
    /// Everything that was found.
    pub diagnostics: Vec<Diagnostic>,
}

/// Reads one object.
///
/// `default_namespace` is that of objects of namespaced kinds that do not say theirs. Rules of
/// validation are not applied: what comes back says what the document says.
pub fn decode(node: &Node, file: &Arc<str>, default_namespace: &str) -> Decoded {
    let mut cursor = Cursor::default();
    let mut decoded = Decoded::default();
    let mut unnamed = None;
    if let Some(found) = find(node, &mut cursor) {
        let meta = meta(node, found.kind, default_namespace, &mut cursor);
        let key = ObjectKey {
            kind: found.kind.key,
            namespace: meta.namespace.clone(),
            name: meta.name.clone(),
        };
        let resource =
            (!meta.name.is_empty()).then(|| read(node, &found, meta, &mut cursor)).flatten();
        Meta::unknown_fields(node, found.kind.key, &mut cursor);
        // Without the field a rule may be wider than it is written.
        if SECURITY_KINDS.contains(&found.kind.key) {
            cursor.refuse_unknown("");
        }
        decoded.resource = resource.filter(|_| cursor.errors.is_empty());
        (decoded.object, unnamed) =
            if key.name.is_empty() { (None, Some(key)) } else { (Some(key), None) };
    }
    if !cursor.is_silent() {
        let name = match (&decoded.object, &unnamed) {
            (Some(key), _) | (None, Some(key)) => key.to_string(),
            (None, None) => Head::of(node).to_string(),
        };
        decoded.diagnostics = cursor.into_diagnostics(file, &name);
    }
    decoded
}

/// Reads what can be read of an object in which [`decode`] found errors: good for nothing but to look
/// for more that is wrong.
pub(super) fn partial(node: &Node, default_namespace: &str) -> Option<Resource> {
    let mut cursor = Cursor::partial();
    let found = find(node, &mut cursor)?;
    let meta = meta(node, found.kind, default_namespace, &mut cursor);
    read(node, &found, meta, &mut cursor)
}

/// Finds the kind of a document.
fn find<'n>(node: &'n Node, cursor: &mut Cursor) -> Option<Found<'n>> {
    if !matches!(node.value, Value::Map(_)) {
        let message = format!("a document is an object, found {}", node.kind());
        cursor.error(
            "NOT-AN-OBJECT",
            node.place,
            message,
            "write `apiVersion`, `kind`, `metadata`",
        );
        return None;
    }
    let api_version = text(node, "apiVersion", cursor);
    let kind = text(node, "kind", cursor);
    kind::find(node, api_version?, kind?, cursor)
}

/// Reads a text that every object has.
fn text<'n>(node: &'n Node, name: &str, cursor: &mut Cursor) -> Option<&'n str> {
    let field = node.get(&[name]);
    let text = field.and_then(Node::as_str).filter(|text| !text.is_empty());
    if text.is_none() {
        let place = field.map_or(node.place, |field| field.place);
        cursor.field(name, |cursor| {
            let message = format!("`{name}` is missing or not a text");
            cursor.error(
                "NOT-AN-OBJECT",
                place,
                message,
                "every object has `apiVersion` and `kind`",
            );
        });
    }
    text
}

/// Reads the metadata and gives the object its namespace.
fn meta(node: &Node, kind: &Kind, default_namespace: &str, cursor: &mut Cursor) -> Meta {
    let mut meta = match node.get(&["metadata"]).filter(|metadata| !metadata.is_null()) {
        Some(metadata) => cursor.in_kubernetes(true, |cursor| {
            cursor.field("metadata", |cursor| Meta::read(metadata, cursor))
        }),
        None => Meta::default(),
    };
    if meta.name.is_empty() {
        let place = node.locate("metadata");
        cursor.field("metadata.name", |cursor| {
            cursor.error("META-NAME", place, "the object has no name", "set `metadata.name`");
        });
    }
    match kind.scope {
        Scope::Cluster => meta.namespace = Namespace::default(),
        Scope::Namespace if meta.namespace.is_empty() => {
            meta.namespace = Namespace::from(default_namespace);
        }
        Scope::Namespace => {}
    }
    meta
}

/// Reads the rest of the object.
fn read(node: &Node, found: &Found<'_>, meta: Meta, cursor: &mut Cursor) -> Option<Resource> {
    const KNOWN: &[(&str, &str)] = &[
        ("apiVersion", "apiVersion"),
        ("kind", "kind"),
        ("metadata", "metadata"),
        ("spec", "spec"),
        ("status", "status"),
    ];
    if found.kind.is_config_map() && !MeshConfigMap::is_at(&meta) {
        return None;
    }
    if found.kind.group.ends_with("istio.io") {
        cursor.unknown_fields(node, &[KNOWN]);
    }
    // Kinds of Kubernetes' own have no schema.
    let is_own = matches!(found.kind.group, "" | "autoscaling" | "discovery.k8s.io");
    cursor.in_kubernetes(is_own, |cursor| found.read(node, meta, cursor))
}

impl Cursor {
    /// Whether nothing was found.
    fn is_silent(&self) -> bool {
        [&self.errors, &self.unknown, &self.warnings, &self.notes].iter().all(|one| one.is_empty())
    }

    /// Turns what was found into diagnostics of an object, in the order of the text.
    pub(super) fn into_diagnostics(self, file: &Arc<str>, object: &str) -> Vec<Diagnostic> {
        let errors = self.errors.into_iter().map(|problem| (Severity::Error, problem));
        let warnings = self.unknown.into_iter().chain(self.warnings);
        let warnings = warnings.map(|problem| (Severity::Warning, problem));
        let notes = self.notes.into_iter().map(|problem| (Severity::Info, problem));
        let mut diagnostics: Vec<Diagnostic> = errors
            .chain(warnings)
            .chain(notes)
            .map(|(severity, problem)| diagnostic(severity, problem, file, object))
            .collect();
        diagnostics.sort_by_key(|diagnostic| diagnostic.place);
        diagnostics
    }
}

/// Adds what the decoder does not know.
fn diagnostic(severity: Severity, problem: Problem, file: &Arc<str>, object: &str) -> Diagnostic {
    Diagnostic {
        code: problem.code,
        severity,
        file: Arc::clone(file),
        place: problem.place,
        object: object.to_owned(),
        field: problem.field,
        message: problem.message,
        help: problem.help,
    }
}

#[cfg(test)]
mod tests;
