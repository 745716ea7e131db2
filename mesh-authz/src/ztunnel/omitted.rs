//! What of a policy a ztunnel is not told.
//!
//! Fields of requests are left out, and an ALLOW rule that has one goes with them. Trust domains of peers are
//! left out without a word: what is left of an ALLOW rule allows more. So are values that are no port or no
//! address, whatever the action.
use mesh_model::resource::{Action, AuthorizationPolicy, Condition, Rule};

use crate::rbac::{Field, Place};
use crate::rule::{List, Omission, Unusable, lists, port};

/// Returns what is left out of each rule of a policy that a ztunnel is sent, and whether the rule goes with
/// it.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/serviceregistry/ambient/authorization.go` `handleRule`.
pub(crate) fn omitted(policy: &AuthorizationPolicy) -> Vec<Vec<Omission>> {
    let is_allow = policy.spec.action == Action::Allow;
    policy.spec.rules.iter().map(|rule| of_rule(rule, is_allow)).collect()
}

fn of_rule(rule: &Rule, is_allow: bool) -> Vec<Omission> {
    let mut found: Vec<Omission> =
        lists(rule).iter().filter_map(|list| of_list(list, is_allow)).collect();
    found.extend(bare(rule).map(|(index, condition)| Omission {
        field: Field {
            place: Place::When { index, key: condition.key.clone() },
            is_negated: false,
            values: Box::default(),
        },
        why: Unusable::Layer4,
        drops_rule: is_allow,
    }));
    found
}

fn of_list(list: &List<'_>, is_allow: bool) -> Option<Omission> {
    let (why, values): (_, Vec<Box<str>>) = match seen(&list.place) {
        Seen::Request => (Unusable::Layer4, list.values.to_vec()),
        Seen::Nowhere => (Unusable::Untold, list.values.to_vec()),
        Seen::Text => return None,
        Seen::Port => (Unusable::Port, without(list, |value| port(value).is_ok())),
        Seen::Address => (Unusable::Address, without(list, is_address)),
    };
    if values.is_empty() {
        return None;
    }
    let field =
        Field { place: list.place.clone(), is_negated: list.is_negated, values: values.into() };
    Some(Omission { field, why, drops_rule: is_allow && why == Unusable::Layer4 })
}

fn without(list: &List<'_>, is_usable: impl Fn(&str) -> bool) -> Vec<Box<str>> {
    list.values.iter().filter(|value| !is_usable(value)).cloned().collect()
}

fn is_address(value: &str) -> bool {
    value.parse::<mesh_model::name::Cidr>().is_ok()
}

/// Whether a ztunnel compares what a list is about.
pub(crate) fn compares(place: &Place) -> bool {
    !matches!(seen(place), Seen::Request | Seen::Nowhere)
}

/// Whether a rule uses a field that is left out as one of requests.
pub(super) fn has_layer_7(rule: &Rule) -> bool {
    bare(rule).next().is_some()
        || lists(rule).iter().any(|list| matches!(seen(&list.place), Seen::Request))
}

/// The conditions of requests that have no values.
fn bare(rule: &Rule) -> impl Iterator<Item = (usize, &Condition)> {
    let conditions = rule.when.iter().enumerate();
    conditions.filter(|(_, when)| {
        when.values.is_empty()
            && when.not_values.is_empty()
            && matches!(of_key(&when.key), Seen::Request)
    })
}

/// How a ztunnel sees what a list is about.
enum Seen {
    /// As a text.
    Text,
    /// As the port of the workload.
    Port,
    /// As an address.
    Address,
    /// As nothing: it is of requests.
    Request,
    /// As nothing, and nobody says so.
    Nowhere,
}

fn seen(place: &Place) -> Seen {
    match place {
        Place::Source("ipBlocks") => Seen::Address,
        Place::Source("remoteIpBlocks" | "requestPrincipals") => Seen::Request,
        Place::Source("trustDomains") => Seen::Nowhere,
        Place::Source(_) => Seen::Text,
        Place::Operation("ports") => Seen::Port,
        Place::Operation(_) => Seen::Request,
        Place::When { key, .. } => of_key(key),
    }
}

fn of_key(key: &str) -> Seen {
    match key {
        "source.namespace" | "source.principal" => Seen::Text,
        "source.ip" | "destination.ip" => Seen::Address,
        "destination.port" => Seen::Port,
        _ => Seen::Request,
    }
}

#[cfg(test)]
mod tests {
    use mesh_model::resource::{self, AuthorizationPolicySpec, Operation, Source, To};

    use super::*;

    /// What is left out of a rule with a port and two addresses, each with whether the rule goes with it.
    fn check(action: Action, methods: &[&str], expected: &[(&str, bool)]) {
        let texts = |values: &[&str]| values.iter().map(|value| Box::from(*value)).collect();
        let source = Source { ip_blocks: texts(&["10.0.0.0/8", "x"]), ..Source::default() };
        let operation = Operation {
            ports: texts(&["80", "99999"]),
            methods: texts(methods),
            ..Operation::default()
        };
        let rule = Rule {
            from: vec![resource::From { source: Some(source) }],
            to: vec![To { operation: Some(operation) }],
            ..Rule::default()
        };
        let spec = AuthorizationPolicySpec { action, rules: vec![rule], ..Default::default() };
        let policy = AuthorizationPolicy { spec, ..AuthorizationPolicy::default() };
        let omitted = omitted(&policy);
        let told = |omission: &Omission| {
            let Field { place, values, .. } = &omission.field;
            let name = match place {
                Place::Source(name) | Place::Operation(name) => *name,
                Place::When { .. } => "when",
            };
            (format!("{name} {}", values.join(" ")), omission.drops_rule)
        };
        let found: Vec<_> = omitted.iter().flatten().map(told).collect();
        let found: Vec<_> = found.iter().map(|(text, drops)| (text.as_str(), *drops)).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn values_that_are_none_are_left_out_whatever_the_action() {
        let values = [("ipBlocks x", false), ("ports 99999", false)];
        check(Action::Allow, &[], &values);
        check(Action::Deny, &[], &values);
    }

    #[test]
    fn an_allow_rule_goes_with_what_it_asks_of_requests() {
        let values =
            |drops| [("ipBlocks x", false), ("ports 99999", false), ("methods GET", drops)];
        check(Action::Allow, &["GET"], &values(true));
        check(Action::Deny, &["GET"], &values(false));
    }
}
