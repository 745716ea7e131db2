//! What is refused because it is given and empty: an object without the field is taken.
use super::not_empty;
use crate::manifest::{Node, Value};
use crate::resource::ObjectKey;
use crate::resource::validate::{Violation, Violations, port};

mod beside;

/// Checks the fields of an object that may be absent or null, and not empty.
///
/// # Upstream
///
/// istio/api `kubernetes/customresourcedefinitions.gen.yaml`, `minLength` and the tests of what `has(self...)`;
/// kubernetes/kubernetes `pkg/apis/core/validation/validation.go` `validateServiceInternalTrafficFieldsValue`.
pub(in crate::resource) fn check(object: &Node, key: &ObjectKey) -> Vec<Violation> {
    let mut violations = Violations::default();
    let Some(spec) = object.get(&["spec"]) else { return Vec::new() };
    violations.field("spec", |violations| match key.kind {
        "AuthorizationPolicy" => {
            beside::targets(violations, spec);
            items(violations, spec, ["rules", "rules"], |violations, rule| {
                items(violations, rule, ["from", "from"], beside::source);
            });
        }
        "RequestAuthentication" => {
            beside::targets(violations, spec);
            items(violations, spec, ["jwtRules", "jwt_rules"], |violations, rule| {
                beside::keys(violations, rule);
                for names in [["issuer", "issuer"], ["jwksUri", "jwks_uri"]] {
                    if let Some(text) = rule.get(&names).and_then(Node::as_str) {
                        violations.field(names[0], |violations| not_empty(violations, text));
                    }
                }
            });
        }
        "ServiceEntry" => {
            beside::endpoints(violations, spec);
            items(violations, spec, ["endpoints", "endpoints"], beside::socket);
            items(violations, spec, ["ports", "ports"], |violations, item| {
                let target = item.get(&["targetPort", "target_port"]);
                if target.is_some_and(|target| target.value == Value::Integer(0)) {
                    violations.take_at("targetPort", port::number(0));
                }
            });
        }
        "WorkloadEntry" => beside::socket(violations, spec),
        "WorkloadGroup" => {
            if let Some(template) = spec.get(&["template"]) {
                violations.field("template", |violations| beside::socket(violations, template));
            }
        }
        "Gateway" => items(violations, spec, ["servers", "servers"], certificates),
        "Sidecar" => items(violations, spec, ["ingress", "ingress"], certificates),
        // Other texts of a Service have a default where they are empty.
        "Service" => {
            let scope = spec.get(&["internalTrafficPolicy"]).and_then(Node::as_str);
            if scope == Some("") {
                let help = "write `Cluster` or `Local`, or leave it out";
                let message = "the empty text is not a value of this field";
                violations.error_at("internalTrafficPolicy", "FIELD-ENUM", message, help);
            }
        }
        "Telemetry" => {
            beside::targets(violations, spec);
            items(violations, spec, ["metrics", "metrics"], |violations, layer| {
                items(violations, layer, ["overrides", "overrides"], tags);
            });
        }
        _ => {}
    });
    violations.into_found()
}

/// Checks the tags of a change of metrics: one that is removed has no value.
fn tags(violations: &mut Violations, change: &Node) {
    let Some(tags) = change.get(&["tagOverrides", "tag_overrides"]) else { return };
    violations.field("tagOverrides", |violations| {
        for entry in tags.entries() {
            let is_removed =
                entry.node.get(&["operation"]).and_then(Node::as_str) == Some("REMOVE");
            let value = entry.node.get(&["value"]).and_then(Node::as_str);
            if is_removed && value == Some("") {
                violations.field(&entry.key, |violations| {
                    let message = "a tag that is removed has no value";
                    violations.error_at("value", "TM-TAG-VALUE", message, "remove `value`");
                });
            }
        }
    });
}

/// Checks the lists of certificates of a server: one that is given has items.
fn certificates(violations: &mut Violations, server: &Node) {
    let Some(tls) = server.get(&["tls"]) else { return };
    violations.field("tls", |violations| {
        let lists =
            [["credentialNames", "credential_names"], ["tlsCertificates", "tls_certificates"]];
        for names in lists.into_iter().filter(|names| tls.get(names).is_some_and(is_empty)) {
            let help = "name a certificate, or remove the field";
            violations.error_at(names[0], "SCHEMA-MIN-ITEMS", "the list is empty", help);
        }
        beside::secrets(violations, tls);
    });
}

/// Whether a list, a map or a text is given, and nothing in it.
fn is_empty(node: &Node) -> bool {
    match &node.value {
        Value::List(items) => items.is_empty(),
        Value::Map(entries) => entries.is_empty(),
        Value::String(text) => text.is_empty(),
        Value::Null | Value::Bool(_) | Value::Integer(_) | Value::Float(_) => false,
    }
}

/// Runs `inner` for each item of a list with its path.
fn items(
    violations: &mut Violations,
    node: &Node,
    names: [&str; 2],
    inner: impl FnMut(&mut Violations, &Node),
) {
    if let Some(Value::List(items)) = node.get(&names).map(|list| &list.value) {
        violations.field(names[0], |violations| violations.each(items, inner));
    }
}
