//! How many items the API server takes in the lists of policies.
//!
//! The schemas of the custom resources refuse what `pkg/config/validation` would take: these rules stand
//! beside those of [`Resource::validate`] and are told apart from them.
use super::{Violation, Violations};
use crate::resource::{AuthorizationPolicy, RequestAuthentication, Resource};

/// Rules of a policy, and sources of a rule.
const MOST_RULES: usize = 512;
/// Tokens of a RequestAuthentication.
const MOST_TOKENS: usize = 4096;
/// References of a policy.
const MOST_TARGETS: usize = 16;

impl Resource {
    /// Returns the limits of its schema that the object breaks; an object with one is refused by the API
    /// server, before the rules of [`Self::validate`] are looked at.
    ///
    /// # Upstream
    ///
    /// istio/api `kubernetes/customresourcedefinitions.gen.yaml`, `maxItems`.
    pub fn exceeds_schema(&self) -> Vec<Violation> {
        let mut violations = Violations::default();
        violations.field("spec", |violations| {
            if let Self::AuthorizationPolicy(policy) = self {
                authorization(violations, policy);
            } else if let Self::RequestAuthentication(policy) = self {
                authentication(violations, policy);
            } else if let Self::Telemetry(policy) = self {
                most(violations, "targetRefs", policy.spec.target_refs.len(), MOST_TARGETS);
            }
        });
        violations.into_found()
    }
}

fn authorization(violations: &mut Violations, policy: &AuthorizationPolicy) {
    let spec = &policy.spec;
    most(violations, "targetRefs", spec.target_refs.len(), MOST_TARGETS);
    most(violations, "rules", spec.rules.len(), MOST_RULES);
    violations.field("rules", |violations| {
        violations.each(&spec.rules, |violations, rule| {
            most(violations, "from", rule.from.len(), MOST_RULES);
        });
    });
}

fn authentication(violations: &mut Violations, policy: &RequestAuthentication) {
    most(violations, "targetRefs", policy.spec.target_refs.len(), MOST_TARGETS);
    most(violations, "jwtRules", policy.spec.jwt_rules.len(), MOST_TOKENS);
}

fn most(violations: &mut Violations, name: &str, items: usize, most: usize) {
    if items > most {
        violations.field(name, |violations| {
            let message = format!("the list has {items} items, and {most} are the most");
            violations.error("SCHEMA-MAX-ITEMS", &message, "use several objects");
        });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};

    use crate::manifest::Node;
    use crate::resource::admit;

    /// Whether an object enters, and where it is too long if not.
    fn check(kind: &str, spec: &Value, expected: &[&str]) {
        let object = json!({
            "apiVersion": "security.istio.io/v1",
            "kind": kind,
            "metadata": { "name": "object", "namespace": "shop" },
            "spec": spec,
        });
        let admitted = admit(&Node::from(&object), &Arc::from("test"), "shop");
        let told = admitted.diagnostics.iter().filter(|found| found.code == "SCHEMA-MAX-ITEMS");
        let told: Vec<&str> = told.map(|found| &*found.field).collect();
        assert_eq!(told, expected);
        assert_eq!(admitted.resource.is_none(), !expected.is_empty());
    }

    fn many(item: &Value, count: usize) -> Vec<Value> {
        vec![item.clone(); count]
    }

    #[test]
    fn a_policy_has_512_rules_at_most() {
        let rule = json!({});
        check("AuthorizationPolicy", &json!({ "rules": many(&rule, 512) }), &[]);
        check("AuthorizationPolicy", &json!({ "rules": many(&rule, 513) }), &["spec.rules"]);
    }

    #[test]
    fn a_rule_has_512_sources_at_most() {
        let from = json!({ "source": { "namespaces": ["a"] } });
        let of = |count| json!({ "rules": [{ "from": many(&from, count) }] });
        check("AuthorizationPolicy", &of(512), &[]);
        check("AuthorizationPolicy", &of(513), &["spec.rules[0].from"]);
    }

    #[test]
    fn a_policy_refers_to_16_objects_at_most() {
        let target = json!({ "kind": "Service", "name": "cart" });
        for kind in ["AuthorizationPolicy", "RequestAuthentication"] {
            check(kind, &json!({ "targetRefs": many(&target, 16) }), &[]);
            check(kind, &json!({ "targetRefs": many(&target, 17) }), &["spec.targetRefs"]);
        }
    }
}
