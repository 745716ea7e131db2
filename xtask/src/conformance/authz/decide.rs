//! Decisions.
use std::collections::BTreeMap;

use mesh_authz::compile::ProviderKind;
use mesh_authz::decision::ExternalCheck;
use mesh_authz::dry_run::DryRun;
use mesh_authz::identity::IdentitySource;
use mesh_authz::matcher::PathOptions;
use mesh_authz::rbac::Origin;
use mesh_authz::{Authorizer, Decision, Environment, Policies, Verdict};
use mesh_model::resource::Action;
use serde_json::{Map, Value, json};

use super::json::{self, Fields, Rejection, text};
use super::request::Owned;
use super::{normalization, policies, root_namespace, trust_bundle, workload};

pub(super) fn decide(input: &Value) -> Result<Value, Rejection> {
    let mut fields = Fields::of(input)?;
    let providers = fields.take("providers").map_or(Ok(BTreeMap::new()), providers)?;
    let environment = Environment {
        root_namespace: root_namespace(&mut fields)?,
        trust: trust_bundle(&mut fields)?,
        paths: PathOptions {
            normalization: normalization(
                fields.take("path_normalization").map_or(Ok("BASE"), json::as_text)?,
            )?,
            ..PathOptions::default()
        },
        providers: providers.iter().map(|(name, (kind, _))| (name.clone(), *kind)).collect(),
        identity: match fields.take("identity_source").map_or(Ok("certificate"), json::as_text)? {
            "certificate" => IdentitySource::Certificate,
            "filter_state" => IdentitySource::FilterState,
            other => return Err(format!("unknown identity source `{other}`")),
        },
        ..Environment::default()
    };
    let workload = workload(fields.required("workload")?)?;
    let policies = policies(fields.required("policies")?)?;
    let request = Owned::read(fields.required("request")?)?;
    fields.end()?;

    let policies = Policies { understood: policies.iter().collect(), broken: Vec::new() };
    let authorizer = Authorizer::new(&policies, &workload, &environment);
    let verdict = |check: ExternalCheck<'_>| {
        providers.get(check.provider).map_or(Verdict::Deny, |(_, verdict)| *verdict)
    };
    request.with(|request| {
        let explanation = authorizer.explain_asking(request, verdict);
        if explanation.decision != authorizer.decide_asking(request, verdict) {
            return Err("the decision and its explanation differ".to_owned());
        }
        let asks = explanation.trace.iter().any(|policy| policy.action == Action::Custom);
        let dry_run: Map<String, Value> = explanation.dry_run.iter().map(dry_run).collect();
        let checks: Vec<Value> = explanation
            .custom
            .iter()
            .map(|check| {
                json!({
                    "provider": check.provider,
                    "policy": check.rule.to_string(),
                    "rule": check.rule.rule,
                })
            })
            .collect();
        Ok(json!({
            "decision": match explanation.decision {
                Decision::Allow(_) => "ALLOW",
                Decision::Deny(_) => "DENY",
            },
            "matched": explanation.decision.reason().rule().map(matched),
            "audit": explanation.audit,
            "dry_run": (!dry_run.is_empty()).then_some(dry_run),
            "custom_checks": asks.then_some(checks),
        }))
    })
}

fn matched(rule: &Origin) -> Value {
    json!({ "action": name(rule.action), "policy": rule.to_string(), "rule": rule.rule })
}

fn dry_run(dry_run: &DryRun<'_>) -> (String, Value) {
    let matched =
        dry_run.matched.map(|rule| json!({ "policy": rule.to_string(), "rule": rule.rule }));
    (name(dry_run.action).to_owned(), matched.unwrap_or_default())
}

fn name(action: Action) -> &'static str {
    match action {
        Action::Allow => "ALLOW",
        Action::Deny => "DENY",
        Action::Audit => "AUDIT",
        Action::Custom => "CUSTOM",
    }
}

type Providers = BTreeMap<Box<str>, (ProviderKind, Verdict)>;

fn providers(value: &Value) -> Result<Providers, Rejection> {
    let map = value.as_object().ok_or_else(|| format!("expected providers, found {value}"))?;
    map.iter().map(|(name, value)| Ok((name.as_str().into(), provider(value)?))).collect()
}

fn provider(value: &Value) -> Result<(ProviderKind, Verdict), Rejection> {
    let mut fields = Fields::of(value)?;
    let kind = match text(&mut fields, "type")? {
        "grpc" => ProviderKind::Grpc,
        "http" => ProviderKind::Http,
        other => return Err(format!("unknown type `{other}`")),
    };
    let verdict = match text(&mut fields, "verdict")? {
        "allow" => Verdict::Allow,
        "deny" => Verdict::Deny,
        other => return Err(format!("unknown verdict `{other}`")),
    };
    fields.end()?;
    Ok((kind, verdict))
}
