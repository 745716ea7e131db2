//! Names and labels that no API server takes: whoever reads the cluster never sees the object.
use super::label::{is_qualified, is_subdomain, is_value};
use super::{Violation, Violations};
use crate::manifest::decode::clip;
use crate::manifest::{Entry, Node, SECURITY_KINDS, Severity};
use crate::name::is_dns_label;
use crate::resource::ObjectKey;

/// Checks the name, the namespace, the labels and the annotations of an object: errors of a security policy, which is then in
/// force nowhere, of others warnings, because folders are made by hand.
///
/// # Upstream
///
/// kubernetes/apimachinery `pkg/api/validation/objectmeta.go` `ValidateObjectMetaAccessor`;
/// kubernetes/kubernetes `pkg/apis/core/validation/validation.go` `ValidateServiceName`,
/// `ValidateNamespaceName`.
pub(in crate::resource) fn check(object: &Node, key: &ObjectKey) -> Vec<Violation> {
    let mut violations = Violations::default();
    violations.field("metadata", |violations| {
        if let Err(help) = name(key) {
            let message = format!("`{}` is no name of a {}", clip(&key.name), key.kind);
            violations.error_at("name", "OBJECT-NAME", &message, help);
        }
        let namespace = key.namespace.as_str();
        // Of which namespace a policy is loading asks.
        let is_policy = SECURITY_KINDS.contains(&key.kind);
        if !is_policy && !namespace.is_empty() && !is_dns_label(namespace) {
            let message = format!("`{}` is no name of a namespace", clip(namespace));
            let help = "write a name of at most 63 small letters, digits and `-`";
            violations.error_at("namespace", "NAMESPACE-NAME", &message, help);
        }
        violations.field("labels", |violations| labels(violations, object));
        violations.field("annotations", |violations| annotations(violations, object));
    });
    let mut found = violations.into_found();
    if !SECURITY_KINDS.contains(&key.kind) {
        found.iter_mut().for_each(|violation| violation.severity = Severity::Warning);
    }
    found
}

/// What to do about a name that the kind does not allow.
fn name(key: &ObjectKey) -> Result<(), &'static str> {
    let name = &*key.name;
    let (is_legal, help) = match key.kind {
        "Service" => (
            is_dns_label(name) && !name.starts_with(|first: char| first.is_ascii_digit()),
            "write at most 63 small letters, digits and `-`, a letter first",
        ),
        "Namespace" => (is_dns_label(name), "write at most 63 small letters, digits and `-`"),
        _ => (is_subdomain(name), "write small letters, digits, `-` and `.`"),
    };
    if is_legal { Ok(()) } else { Err(help) }
}

/// The entries of a map in the metadata.
fn pairs<'n>(object: &'n Node, name: &str) -> &'n [Entry] {
    let pairs = object.get(&["metadata"]).and_then(|metadata| metadata.get(&[name]));
    pairs.map(Node::entries).unwrap_or_default()
}

/// Keys of annotations are those of labels, in either case.
fn annotations(violations: &mut Violations, object: &Node) {
    for entry in pairs(object, "annotations") {
        if !is_qualified(&entry.key.to_lowercase()) {
            let message = format!("`{}` is not the key of an annotation", clip(&entry.key));
            violations.error_at(&entry.key, "ANNOTATION-KEY", &message, "write `[PREFIX/]NAME`");
        }
    }
}

fn labels(violations: &mut Violations, object: &Node) {
    for entry in pairs(object, "labels") {
        if !is_qualified(&entry.key) {
            let message = format!("`{}` is not the key of a label", clip(&entry.key));
            violations.error_at(&entry.key, "LABEL-KEY", &message, "write `[PREFIX/]NAME`");
        }
        if let Some(value) = entry.node.as_str().filter(|value| !is_value(value)) {
            let message = format!("`{}` is not the value of a label", clip(value));
            let help = "use at most 63 letters and digits, inside also `-`, `_` and `.`";
            violations.error_at(&entry.key, "LABEL-VALUE", &message, help);
        }
    }
}
