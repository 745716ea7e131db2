//! Objects that another one carries, for somebody who applies them: OpenShift's `Template`, `ManifestWork` of
//! Open Cluster Management, Karmada's `Work` and their kin.
//!
//! Nobody can tell whether, where and with which values they are applied, so none is read; those that decide
//! what policies are in force close what they might. So do those below a field of a known kind: no API server
//! knows the field, and somebody meant them.
use super::{Origin, Registry};
use crate::manifest::{Diagnostic, Document, Meant, Node, Severity, Value};
use crate::name::{Namespace, is_dns_label, nearest_name};
use crate::resource;

/// Returns the objects that a document of an unknown kind carries, in the order of the text; none of one that
/// may be a policy itself, or a misspelt list of some.
///
/// An object says its kind and version and has metadata, a specification or (as what Kyverno generates) data:
/// what does not is a reference. Those that carry others themselves are looked into.
pub(super) fn carried(document: &Document) -> Vec<Document> {
    let is_meant = !document.meant().security_kinds.is_empty();
    if is_meant || is_known(document) { Vec::new() } else { all_inside(document) }
}

/// Returns the objects below the fields of a document of a known kind, which has none for any.
fn below_fields(document: &Document) -> Vec<Document> {
    if is_known(document) { all_inside(document) } else { Vec::new() }
}

fn is_known(document: &Document) -> bool {
    resource::admit(&document.node, &document.file, "").object.is_some()
}

fn all_inside(document: &Document) -> Vec<Document> {
    let mut found = Vec::new();
    inside(&document.node, &mut found);
    found.into_iter().map(|node| Document { file: document.file.clone(), node }).collect()
}

fn inside(node: &Node, found: &mut Vec<Node>) {
    let mut look = |inner: &Node| {
        if !is_object(inner) {
            return inside(inner, found);
        }
        let meant = Meant::of_node(inner);
        let (before, is_policy) = (found.len(), !meant.security_kinds.is_empty());
        if !is_policy {
            inside(inner, found);
        }
        // What carries others is seldom more than that.
        if found.len() == before || !meant.target_kinds.is_empty() {
            found.insert(before, inner.clone());
        }
    };
    match &node.value {
        Value::Map(entries) => entries.iter().for_each(|entry| look(&entry.node)),
        Value::List(items) => items.iter().for_each(look),
        Value::Null | Value::Bool(_) | Value::Integer(_) | Value::Float(_) | Value::String(_) => {}
    }
}

fn is_object(node: &Node) -> bool {
    let has = |name: &'static str| {
        let mut entries = node.entries().iter();
        entries.any(|entry| nearest_name(&entry.key, [name].into_iter()).is_some())
    };
    has("kind") && has("apiVersion") && (has("metadata") || has("spec") || has("data"))
}

impl Registry {
    /// `OBJECT-CARRIED`: of the objects that one of an unknown kind carries those that decide what policies are
    /// in force.
    pub(super) fn remember_carried(
        &mut self,
        origin: &Origin,
        document: &Document,
    ) -> Vec<Diagnostic> {
        self.remember_inside(origin, document, carried(document))
    }

    /// `OBJECT-CARRIED`: the same of the objects below the fields of one of a known kind.
    pub(super) fn remember_below_fields(
        &mut self,
        origin: &Origin,
        document: &Document,
    ) -> Vec<Diagnostic> {
        self.remember_inside(origin, document, below_fields(document))
    }

    fn remember_inside(
        &mut self,
        origin: &Origin,
        document: &Document,
        inside: Vec<Document>,
    ) -> Vec<Diagnostic> {
        let head = document.head();
        let mut found = Vec::new();
        for inner in inside {
            let before = self.parts.broken.len();
            let Some(told) = self.remember_unread(origin, &inner) else { continue };
            self.forget_namespaces(before, &inner);
            found.push(Diagnostic {
                code: "OBJECT-CARRIED",
                severity: Severity::Error,
                object: head.to_string(),
                message: format!(
                    "it carries `{}`, which is not read: nobody can tell whether it is applied, and what it \
                     may concern denies what it might have denied",
                    inner.head()
                ),
                help: "write it as a document of its own, as it is in the cluster, or remove it".to_owned(),
                ..told
            });
        }
        found
    }

    /// The namespace that an object is applied in is said by who applies it, unless it says one itself.
    pub(super) fn forget_namespaces(&mut self, before: usize, document: &Document) {
        let namespace = document.head().namespace;
        if !namespace.is_empty() && is_dns_label(&namespace) {
            return;
        }
        let remembered = self.broken_since(before);
        remembered.iter_mut().for_each(|broken| broken.object.namespace = Namespace::default());
    }
}
