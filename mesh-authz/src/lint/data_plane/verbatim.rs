//! Values that a data plane without an Envoy takes as they are, where an Envoy reads more into them.
//!
//! ```text
//! principals: [old-td/ns/a/sa/b] ──Envoy──▶ of the trust domain and each alias     ztunnel, gRPC server ─▶ of old-td
//! namespaces: [team-*-a]         ──Envoy──▶ team-x-a, team-y-a                      ztunnel ─▶ `team-*-a`, which is none
//! ```
//!
//! # Upstream
//!
//! istio/istio `pilot/pkg/security/authz/builder/builder.go` `build` (`MigrateTrustDomain`), which neither
//! `pilot/pkg/serviceregistry/ambient/authorization.go` `convertAuthorizationPolicy` nor
//! `pilot/pkg/networking/grpcgen/lds.go` `buildRBAC` asks for; `stringToMatch` of the former.
use mesh_model::manifest::Severity;
use mesh_model::resource::{Action, Rule};

use super::Told;
use crate::identity::TrustBundle;
use crate::rbac::Place;
use crate::rule::{List, lists};

/// Finds values that name one trust domain of the mesh, or none, and would name them all; of a ztunnel
/// principals only, because it is not told of trust domains at all.
pub(super) fn trust_domains(
    rule: (usize, &Rule),
    action: Action,
    trust: &TrustBundle,
    is_ztunnel: bool,
) -> Vec<Told> {
    let (code, who) = if is_ztunnel {
        ("HZ-AUTHZ-ZTUNNEL-TRUST-ALIAS", "behind ztunnels")
    } else {
        ("HZ-AUTHZ-GRPC-TRUST-ALIAS", "gRPC servers without a proxy")
    };
    let found = lists(rule.1).into_iter().filter_map(|list| {
        let rewritten = match &list.place {
            Place::Source("principals") => trust.rewrite_principals(list.values),
            Place::Source("trustDomains") if !is_ztunnel => {
                trust.rewrite_trust_domains(list.values)
            }
            Place::When { key, .. } if &**key == "source.principal" => {
                trust.rewrite_principals(list.values)
            }
            Place::When { key, .. } if &**key == "source.trustDomain" && !is_ztunnel => {
                trust.rewrite_trust_domains(list.values)
            }
            Place::Source(_) | Place::Operation(_) | Place::When { .. } => return None,
        };
        let added: Vec<String> = rewritten
            .iter()
            .filter(|value| !list.values.contains(value))
            .map(|value| format!("`{value}`"))
            .collect();
        let what =
            format!("compare the values as they are, an Envoy also with {}", added.join(", "));
        // Each value is rewritten by itself.
        let is_rewritten = |value: &str| {
            let of = [Box::from(value)];
            let all = trust.rewrite_principals(&of).into_iter();
            all.chain(trust.rewrite_trust_domains(&of)).any(|other| *other != *value)
        };
        let field = list.path_of(rule.0, is_rewritten);
        (!added.is_empty()).then(|| told(code, (&list, field), action, (who, &what), NAME_EACH))
    });
    found.collect()
}

const NAME_EACH: &str = "write a value for each trust domain that workloads may have";

/// Finds patterns of namespaces that a ztunnel takes for the name of one: it knows a star that stands first
/// or last, and only one.
pub(super) fn namespaces(rule: (usize, &Rule), action: Action) -> Vec<Told> {
    let found = lists(rule.1).into_iter().filter_map(|list| {
        let is_of_namespaces = match &list.place {
            Place::Source(name) => *name == "namespaces",
            Place::When { key, .. } => &**key == "source.namespace",
            Place::Operation(_) => false,
        };
        let literal: Vec<String> = list
            .values
            .iter()
            .filter(|value| is_of_namespaces && has_literal_star(value))
            .map(|value| format!("`{value}`"))
            .collect();
        let what = format!("take the stars inside {} for letters", literal.join(", "));
        let told = || {
            let code = "HZ-AUTHZ-ZTUNNEL-WILDCARD";
            let help = "name the namespaces, or leave one star, first or last";
            let field = list.path_of(rule.0, has_literal_star);
            told(code, (&list, field), action, ("behind ztunnels", &what), help)
        };
        (!literal.is_empty()).then(told)
    });
    found.collect()
}

/// Whether anything is left of a pattern that a ztunnel compares letter by letter and no namespace has.
fn has_literal_star(value: &str) -> bool {
    value.strip_prefix('*').or_else(|| value.strip_suffix('*')).unwrap_or(value).contains('*')
}

/// What fewer values mean: a rule that matches less, or more where they are excluded.
pub(super) fn told(
    code: &'static str,
    (list, field): (&List<'_>, String),
    action: Action,
    (who, what): (&str, &str),
    help: &'static str,
) -> Told {
    let (severity, effect) = match (action == Action::Allow, list.is_negated) {
        (true, false) => (Severity::Warning, "what it alone would allow is denied"),
        (true, true) => (Severity::Error, "the rule allows peers that it means to keep out"),
        (false, false) => (Severity::Error, "peers that it means to deny get through"),
        (false, true) => (Severity::Warning, "the rule denies more than meant"),
    };
    Told { code, field, severity, effect: format!("are {who}, which {what}: {effect}"), help }
}
