//! What is refused because it is given and empty: an object without the field is taken.
use super::not_empty;
use crate::manifest::{Node, Value};
use crate::resource::ObjectKey;
use crate::resource::validate::{Violation, Violations, port};

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
        "RequestAuthentication" => {
            items(violations, spec, ["jwtRules", "jwt_rules"], |violations, rule| {
                for names in [["issuer", "issuer"], ["jwksUri", "jwks_uri"]] {
                    if let Some(text) = rule.get(&names).and_then(Node::as_str) {
                        violations.field(names[0], |violations| not_empty(violations, text));
                    }
                }
            });
        }
        "ServiceEntry" => items(violations, spec, ["ports", "ports"], |violations, item| {
            let target = item.get(&["targetPort", "target_port"]);
            if target.is_some_and(|target| target.value == Value::Integer(0)) {
                violations.take_at("targetPort", port::number(0));
            }
        }),
        // Other texts of a Service have a default where they are empty.
        "Service" => {
            let scope = spec.get(&["internalTrafficPolicy"]).and_then(Node::as_str);
            if scope == Some("") {
                let help = "write `Cluster` or `Local`, or leave it out";
                let message = "the empty text is not a value of this field";
                violations.error_at("internalTrafficPolicy", "FIELD-ENUM", message, help);
            }
        }
        "Telemetry" => items(violations, spec, ["metrics", "metrics"], |violations, layer| {
            items(violations, layer, ["overrides", "overrides"], tags);
        }),
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
