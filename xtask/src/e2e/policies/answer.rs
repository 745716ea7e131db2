//! What is said of a request: by mesh-authz, and by Envoy in its answers and its log.
use std::collections::BTreeMap;

use mesh_authz::explain::Explanation;
use mesh_authz::identity::{Authentication, Token as Seen, TokenRequest, authenticate};
use mesh_authz::rbac::{Filter, Origin};
use mesh_authz::{Authorizer, Decision, Reason, Traffic, Verdict};
use mesh_model::resource::Action;
use serde_json::Value;

use super::lab::Workload;
use super::request::{Asked, Caller};
use super::token;
use crate::problem::Problem;

/// Statements by name: a status, a reason, the policies that matched. What mesh-authz says must be
/// among what Envoy says.
pub(super) type Facts = BTreeMap<&'static str, String>;

/// What mesh-authz says.
#[derive(Clone, Debug)]
pub(super) struct Expected {
    /// The kind of answer, for counting.
    pub(super) kind: &'static str,
    pub(super) facts: Facts,
}

impl Expected {
    fn new(kind: &'static str, facts: &[(&'static str, &str)]) -> Self {
        let facts = facts.iter().map(|(name, text)| (*name, (*text).to_owned())).collect();
        Self { kind, facts }
    }

    /// A problem if Envoy says something else.
    pub(super) fn compare(&self, got: &Facts) -> Result<(), Problem> {
        let none = String::new();
        let differs = |(name, text): &(&&str, &String)| got.get(**name).unwrap_or(&none) != *text;
        match self.facts.iter().find(differs) {
            None => Ok(()),
            Some((name, text)) => Err(Problem(format!(
                "the {name} is `{}`, not `{text}`; Envoy says {got:?}, mesh-authz {:?}",
                got.get(name).unwrap_or(&none),
                self.facts,
            ))),
        }
    }
}

/// What mesh-authz says of a request: the external authorizer, then the token, then the policies.
pub(super) fn of_request(workload: &Workload, caller: &Caller, asked: &Asked) -> Expected {
    let authorizer = &workload.authorizer;
    let verdict = if asked.is_refused { Verdict::Deny } else { Verdict::Allow };
    let before = asked.with(caller, None, |request| {
        let explained = authorizer.explain_asking(request, |_| verdict);
        of_custom(authorizer, &explained)
    });
    if let Some(expected) = before {
        return expected;
    }
    let claims: Vec<_> = asked.tokens.iter().map(|token| token::claims(&token.claims)).collect();
    let tokens: Vec<Seen<'_>> = asked
        .tokens
        .iter()
        .zip(&claims)
        .map(|(token, claims)| Seen {
            location: token.place.location(),
            validity: token.validity,
            claims,
        })
        .collect();
    let request = TokenRequest {
        method: asked.method,
        has_preflight_headers: asked.is_preflight,
        tokens: &tokens,
    };
    match authenticate(&workload.jwt_rules, &request) {
        Authentication::Unauthenticated => {
            Expected::new("unauthenticated", &[("status", "401"), ("details", JWT)])
        }
        Authentication::AudienceNotAllowed => {
            Expected::new("audience", &[("status", "403"), ("details", JWT)])
        }
        Authentication::Passed(payload) => asked.with(caller, payload.as_ref(), |request| {
            of_policies(authorizer, &authorizer.explain_asking(request, |_| verdict))
        }),
    }
}

/// What every detail of a refused token starts with.
const JWT: &str = "jwt_authn_access_denied";

/// What is decided before the token is looked at, if it is.
fn of_custom(authorizer: &Authorizer, explained: &Explanation<'_>) -> Option<Expected> {
    let reason = explained.decision.reason();
    match (explained.decision, reason) {
        (_, Reason::PathRejected(path)) => {
            Some(Expected::new("bad path", &[("status", &path.status().to_string())]))
        }
        (_, Reason::ExternalDenied { rule, .. }) => {
            let asked = name(authorizer, Traffic::Http, rule);
            let facts = [("status", "403"), ("details", "ext_authz_denied"), ("asked", &asked)];
            Some(Expected::new("refused by the provider", &facts))
        }
        (_, Reason::ProviderUnusable(rule)) => {
            let details = denied_by(&name(authorizer, Traffic::Http, rule));
            let facts = [("status", "403"), ("details", details.as_str())];
            Some(Expected::new("no provider", &facts))
        }
        (Decision::Allow(_) | Decision::Deny(_), _) => None,
    }
}

fn of_policies(authorizer: &Authorizer, explained: &Explanation<'_>) -> Expected {
    let mut expected = of_decision(authorizer, Traffic::Http, explained.decision);
    let facts = &mut expected.facts;
    let status = if explained.decision.is_allowed() { "200" } else { "403" };
    facts.insert("status", status.to_owned());
    trials(authorizer, Traffic::Http, explained, facts);
    if let Some(audit) = explained.audit {
        facts.insert("audit", audit.to_string());
    }
    let asked = explained.custom.first().map(|check| name(authorizer, Traffic::Http, check.rule));
    facts.insert("asked", asked.unwrap_or_default());
    expected
}

fn trials(
    authorizer: &Authorizer,
    traffic: Traffic,
    explained: &Explanation<'_>,
    facts: &mut Facts,
) {
    for trial in &explained.dry_run {
        let key = if trial.action == Action::Deny { "denied on trial" } else { "allowed on trial" };
        let matched = trial.matched.map(|rule| name(authorizer, traffic, rule));
        facts.insert(key, matched.unwrap_or_default());
    }
}

/// What is said of a decision of either kind of chain.
fn of_decision(authorizer: &Authorizer, traffic: Traffic, decision: Decision<'_>) -> Expected {
    let passed = if traffic == Traffic::Http { "direct_response" } else { "" };
    let rule = decision.reason().rule().map(|rule| name(authorizer, traffic, rule));
    match (decision, rule) {
        (Decision::Allow(_), None) => Expected::new("allowed", &[("details", passed)]),
        (Decision::Allow(_), Some(rule)) if traffic == Traffic::Http => {
            Expected::new("allowed by a rule", &[("details", passed), ("policy", &rule)])
        }
        // Of connections Envoy does not say which policy allows them.
        (Decision::Allow(_), Some(_)) => Expected::new("allowed by a rule", &[("details", passed)]),
        (Decision::Deny(_), Some(rule)) => {
            Expected::new("denied by a rule", &[("details", &denied_by(&rule))])
        }
        (Decision::Deny(_), None) => {
            Expected::new("allowed by no rule", &[("details", &denied_by("none"))])
        }
    }
}

/// What mesh-authz says of a connection that is not HTTP.
pub(super) fn of_connection(workload: &Workload, caller: &Caller) -> Expected {
    let authorizer = &workload.authorizer;
    caller.with_connection(|request| {
        let explained = authorizer.explain(request);
        let mut expected = of_decision(authorizer, Traffic::Tcp, explained.decision);
        expected.facts.insert("passes", explained.decision.is_allowed().to_string());
        trials(authorizer, Traffic::Tcp, &explained, &mut expected.facts);
        expected
    })
}

fn denied_by(name: &str) -> String {
    format!("rbac_access_denied_matched_policy[{name}]")
}

/// The name of a rule in the filters.
fn name(authorizer: &Authorizer, traffic: Traffic, rule: &Origin) -> String {
    let filters = authorizer.chain(traffic).filters.iter();
    let sides = filters.filter_map(|filter| match filter {
        Filter::Rbac(filter) => Some([&filter.rules, &filter.shadow_rules]),
        Filter::ExternalAuthorization { .. } => None,
    });
    let mut policies = sides.flatten().flatten().flat_map(|rules| rules.policies());
    let policy = policies.find(|policy| policy.origin == *rule);
    policy.map(|policy| policy.name.to_string()).unwrap_or_default()
}

/// What Envoy says in a line of its log.
pub(super) fn of_log(line: &Value) -> Facts {
    let text = |pointer: &str| match line.pointer(pointer) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
    };
    let id = |prefix: &str| text(&format!("/rbac/{prefix}_effective_policy_id"));
    let details = text("/details");
    [
        ("details", if details.starts_with(JWT) { JWT.to_owned() } else { details }),
        ("policy", id("enforced")),
        ("denied on trial", id("istio_dry_run_deny_shadow")),
        ("allowed on trial", id("istio_dry_run_allow_shadow")),
        ("asked", id("istio_ext_authz_shadow")),
        ("audit", text("/common/access_log_hint")),
    ]
    .into()
}
