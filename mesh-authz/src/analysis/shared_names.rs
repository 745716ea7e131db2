//! Rules that gRPC servers without a proxy lose to others of the same name.
use super::prove::rule_covers;
use crate::compile::{Chain, CompiledPolicy};
use crate::rbac::{Origin, Policy};
use mesh_model::resource::Action;

/// A rule that another one replaces, since both are filed under one name.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "a report has these two parts")]
pub struct Replaced<'p> {
    /// The rule that is lost.
    pub rule: &'p Origin,
    /// The one that stands in its place.
    pub by: &'p Origin,
}

/// Finds the rules of a gRPC server's chain ([`Chain::of_grpc`]) that are lost: names are
/// `NAMESPACE-NAME-RULE`, so that policies `c` of `a-b` and `b-c` of `a` share theirs, and the later in
/// the order of policies counts. Nothing is lost to one that matches whatever the rule does.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/networking/grpcgen/lds.go` `buildRBAC`.
pub fn replaced(chain: &Chain) -> Vec<Replaced<'_>> {
    let rules = |action: Action| -> Vec<&Policy> {
        let of_action = |policy: &&CompiledPolicy| policy.action == action;
        let rules = chain.compiled.iter().filter(of_action).flat_map(|policy| &policy.rules);
        rules.filter_map(|rule| rule.policy.as_deref()).collect()
    };
    let mut found = Vec::new();
    for rules in [rules(Action::Deny), rules(Action::Allow)] {
        for (place, rule) in rules.iter().enumerate() {
            let mut later = rules.iter().skip(place + 1).rev();
            let last = later.find(|other| other.name == rule.name);
            if let Some(by) = last.filter(|by| by.body != rule.body && !rule_covers(by, rule)) {
                found.push(Replaced { rule: &rule.origin, by: &by.origin });
            }
        }
    }
    found
}
