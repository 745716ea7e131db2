//! What admission refuses in an AuthorizationPolicy.
use super::{Action, AuthorizationPolicy, Condition, Operation, Rule, Source};
use crate::resource::validate::{Violation, Violations, attachment, dry_run, metadata};

mod value;

use self::value::List;

impl AuthorizationPolicy {
    /// Returns the rules of admission that the policy breaks.
    ///
    /// # Upstream
    ///
    /// istio/istio `pkg/config/validation/validation.go` `ValidateAuthorizationPolicy`.
    pub fn validate(&self) -> Vec<Violation> {
        let mut violations = Violations::default();
        if !dry_run::of_policy(&mut violations, &self.meta, self.spec.action)
            || !metadata::annotations(&mut violations, &self.meta)
        {
            return violations.into_found();
        }
        violations.field("spec", |violations| {
            let spec = &self.spec;
            attachment::check(
                violations,
                spec.selector.as_ref(),
                spec.target_ref.as_ref(),
                &spec.target_refs,
            );
            self.check_action(violations);
            violations.field("rules", |violations| {
                violations.each(&spec.rules, |violations, rule| self.check_rule(violations, rule));
            });
        });
        violations.into_found()
    }

    fn check_action(&self, violations: &mut Violations) {
        let spec = &self.spec;
        let provider = spec.provider.as_ref();
        let never = "without rules the policy never matches";
        let help = "add an empty rule `{}` to mean every request";
        match spec.action {
            Action::Custom if spec.rules.is_empty() => {
                violations.error("AP-CUSTOM-NO-RULES", never, help);
            }
            Action::Custom if provider.is_none_or(|provider| provider.name.is_empty()) => {
                violations.field("provider.name", |violations| {
                    let help = "name an extension provider of MeshConfig";
                    violations.error("AP-PROVIDER-NAME", "CUSTOM needs a provider", help);
                });
            }
            Action::Deny if spec.rules.is_empty() => {
                violations.error("AP-DENY-NO-RULES", never, help);
            }
            Action::Allow | Action::Deny | Action::Audit | Action::Custom => {}
        }
        if provider.is_some() && spec.action != Action::Custom {
            violations.field("provider", |violations| {
                let message = "only CUSTOM policies have a provider";
                violations.error("AP-PROVIDER-ACTION", message, "remove it or set the action");
            });
        }
    }

    fn check_rule(&self, violations: &mut Violations, rule: &Rule) {
        violations.field("from", |violations| {
            violations.each(&rule.from, |violations, from| match &from.source {
                Some(of) => {
                    violations.field("source", |violations| self.check_source(violations, of));
                }
                None => violations.error("AP-SOURCE-NIL", "the entry has no source", "remove it"),
            });
        });
        violations.field("to", |violations| {
            violations.each(&rule.to, |violations, to| match &to.operation {
                Some(of) => {
                    violations.field("operation", |violations| check_operation(violations, of))
                }
                None => {
                    violations.error("AP-OPERATION-NIL", "the entry has no operation", "remove it");
                }
            });
        });
        violations.field("when", |violations| {
            violations.each(&rule.when, |violations, of| self.check_condition(violations, of));
        });
        let is_wider = denies_all_tcp(rule) || loses_conditions(rule);
        if self.spec.action == Action::Deny && is_wider {
            let message = "on TCP ports the HTTP fields do not count and the rule denies more";
            violations.warning("AP-DENY-L7-TCP", message, "name the ports that are meant");
        }
    }

    fn check_source(&self, violations: &mut Violations, source: &Source) {
        let lists = value::of_source(source);
        if lists.iter().all(|(_, values, _)| values.is_empty()) {
            violations.error("AP-SOURCE-EMPTY", "the source has no field", "remove the entry");
        }
        let has = |names: &[&str]| {
            lists.iter().any(|(name, values, _)| names.contains(name) && !values.is_empty())
        };
        if has(&["serviceAccounts", "notServiceAccounts"])
            && has(&["principals", "notPrincipals", "namespaces", "notNamespaces"])
        {
            let message = "service accounts cannot stand beside principals or namespaces";
            violations.error("AP-SA-MIX", message, "use two entries, or principals alone");
        }
        for (name, values, list) in lists {
            let is_address = matches!(list, List::Addresses);
            violations.field(name, |violations| {
                if self.spec.action == Action::Custom && !is_address && !values.is_empty() {
                    let message = "CUSTOM policies cannot ask for the identity of the peer";
                    violations.error("AP-CUSTOM-UNSUPPORTED", message, "remove the field");
                }
                value::check(violations, values, list);
            });
        }
    }

    fn check_condition(&self, violations: &mut Violations, condition: &Condition) {
        let key = &*condition.key;
        let is_identity = matches!(
            key,
            "source.namespace"
                | "source.serviceAccount"
                | "source.trustDomain"
                | "source.principal"
        ) || key.starts_with("request.auth.");
        if self.spec.action == Action::Custom && is_identity {
            let message = "CUSTOM policies cannot ask for the identity of the caller";
            violations.error("AP-CUSTOM-UNSUPPORTED", message, "remove the condition");
        }
        if key.is_empty() {
            violations.error("AP-CONDITION-KEY-EMPTY", "the condition has no key", "add one");
        } else if condition.values.is_empty() && condition.not_values.is_empty() {
            let message = "the condition has no value";
            violations.error("AP-CONDITION-NO-VALUES", message, "add `values` or `notValues`");
        } else {
            let lists = [("values", &condition.values), ("notValues", &condition.not_values)];
            match value::of_key(key) {
                Ok(test) => {
                    for (name, values) in lists {
                        violations.field(name, |violations| {
                            value::check_attribute(violations, key, values, test);
                        });
                    }
                }
                Err(wrong) => {
                    for (name, values) in lists {
                        violations.field(name, |violations| value::none_empty(violations, values));
                    }
                    violations.take_at("key", Err(wrong));
                }
            }
        }
    }
}

fn check_operation(violations: &mut Violations, operation: &Operation) {
    let lists = value::of_operation(operation);
    if lists.iter().all(|(_, values, _)| values.is_empty()) {
        violations.error("AP-OPERATION-EMPTY", "the operation has no field", "remove the entry");
    }
    for (name, values, list) in lists {
        violations.field(name, |violations| value::check(violations, values, list));
    }
}

/// Whether the rule of a DENY policy has nothing that limits it on TCP.
fn denies_all_tcp(rule: &Rule) -> bool {
    let mut sources = rule.from.iter().filter_map(|from| from.source.as_ref()).peekable();
    let mut operations = rule.to.iter().filter_map(|to| to.operation.as_ref()).peekable();
    if operations.peek().is_some() {
        return operations
            .all(|operation| operation.ports.is_empty() && operation.not_ports.is_empty());
    }
    sources.peek().is_some()
        && sources.all(|source| {
            value::of_source(source).iter().all(|(name, values, _)| {
                let name = name.trim_start_matches("not").to_ascii_lowercase();
                values.is_empty() || name == "requestprincipals" || name == "trustdomains"
            })
        })
}

/// Whether a rule has conditions about requests and names no port: on TCP it is left with its other fields.
/// Admission does not look at conditions.
fn loses_conditions(rule: &Rule) -> bool {
    let operations = || rule.to.iter().filter_map(|to| to.operation.as_ref());
    let names_ports = |of: &Operation| !of.ports.is_empty() || !of.not_ports.is_empty();
    let is_of_port = |of: &Condition| *of.key == *"destination.port";
    let of_requests = |of: &Condition| {
        let key = &*of.key;
        key.starts_with("request.headers") || key.starts_with("request.auth.")
    };
    let is_limited =
        (!rule.to.is_empty() && operations().all(names_ports)) || rule.when.iter().any(is_of_port);
    rule.when.iter().any(of_requests) && !is_limited
}

#[cfg(test)]
mod tests;
