//! `mesh authz`: a decision, who made it, and why.
use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Args;
use mesh_authz::explain::{Explanation, Outcome, PolicyTrace, RuleTrace};
use mesh_authz::{Authorizer, Reason};
use mesh_model::Compat;
use mesh_model::registry::Mesh;
use mesh_model::resource::MutualTlsMode;
use mesh_model::view::Proxy;
use serde_json::{Value, json};

use self::request::RequestFile;
use crate::say::say;
use crate::{Failure, Output, folder, json};

pub(crate) mod request;

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The workload that is called.
    #[arg(long, value_name = "CLUSTER/NS/POD")]
    to: String,
    /// The workload that calls: fills address and identity where the request file leaves them out.
    #[arg(long, value_name = "CLUSTER/NS/POD")]
    from: Option<String>,
    /// The request as JSON; `-` is stdin.
    #[arg(long, value_name = "FILE")]
    request: PathBuf,
}

pub(crate) fn run(folder: &Path, arguments: &Arguments, output: Output) -> Result<(), Failure> {
    let text = read(&arguments.request)?;
    let mut request = RequestFile::parse(&text).map_err(|problem| {
        let file = match arguments.request.to_str() {
            Some("-") => "what stdin says".to_owned(),
            _ => format!("`{}`", arguments.request.display()),
        };
        Failure::Unanswered(format!("{file} is no request: {problem}"))
    })?;
    let mesh = folder::load_and_tell(folder, &Compat::default())?;
    let to = mesh.proxy(&arguments.to)?;
    if let Some(from) = &arguments.from {
        let from = mesh.proxy(from)?;
        request.fill_from(from.addresses.first().copied(), &identity(&mesh, &from));
    }
    decide(&mesh, &to, request, output)
}

/// The identity that a workload's certificate shows.
pub(crate) fn identity(mesh: &Mesh, proxy: &Proxy) -> String {
    let described = mesh.description(proxy.cluster.as_str()).map(|known| &*known.trust_domain);
    let trust_domain = described.filter(|text| !text.is_empty());
    mesh_model::name::Identity {
        trust_domain: trust_domain.unwrap_or(&mesh.config().trust_domain).into(),
        namespace: proxy.namespace.clone(),
        service_account: proxy.service_account.clone(),
    }
    .to_string()
}

fn decide(
    mesh: &Mesh,
    to: &Proxy,
    mut request: RequestFile,
    output: Output,
) -> Result<(), Failure> {
    let Some(plane) = mesh.control_plane_of(to.cluster.as_str()) else {
        return Err(Failure::Unanswered(format!("no control plane serves `{}`", to.cluster)));
    };
    request.fill_to(to.addresses.first().copied());
    let authorizer = Authorizer::of_proxy(mesh, plane, to);
    let refused = refused_in_plain_text(mesh, to, &request)?;
    request.with(|request| {
        let explained = authorizer.explain(request);
        let is_allowed = explained.decision.is_allowed() && refused.is_none();
        match output {
            Output::Json => json::print(&answer(&explained, refused.as_deref())),
            Output::Table => table(&explained, refused.as_deref()),
        }
        if is_allowed { Ok(()) } else { Err(Failure::No) }
    })
}

/// Whether a workload answers a request, and who says so: a policy, or why none does.
pub(crate) fn verdict(
    mesh: &Mesh,
    (to, authorizer): (&Proxy, &Authorizer),
    request: &RequestFile,
) -> Result<(bool, String), Failure> {
    if let Some(reason) = refused_in_plain_text(mesh, to, request)? {
        return Ok((false, reason));
    }
    request.with(|request| {
        let decision = authorizer.decide(request);
        let reason = decision.reason();
        let by = reason.rule().map(|rule| format!("{}/{}", rule.namespace, rule.name));
        Ok((decision.is_allowed(), by.unwrap_or_else(|| reason.to_string())))
    })
}

/// Why the connection is refused before any policy is asked: the workload demands mutual TLS.
fn refused_in_plain_text(
    mesh: &Mesh,
    to: &Proxy,
    request: &RequestFile,
) -> Result<Option<String>, Failure> {
    if request.has_peer() {
        return Ok(None);
    }
    let Some(view) = mesh.view(to) else { return Ok(None) };
    let port = request.destination_port()?;
    let mode = view.server_mode(&to.namespace, &to.labels).of_port(port);
    Ok((mode == MutualTlsMode::Strict).then(|| {
        format!("port {port} demands mutual TLS (PeerAuthentication STRICT), and the request is plain text")
    }))
}

fn read(path: &Path) -> Result<String, Failure> {
    let unreadable = |error: std::io::Error| {
        Failure::Unanswered(format!("cannot read the request `{}`: {error}", path.display()))
    };
    if path == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map_err(unreadable)?;
        return Ok(text);
    }
    std::fs::read_to_string(path).map_err(unreadable)
}

fn answer(explained: &Explanation<'_>, refused: Option<&str>) -> Value {
    let reason = explained.decision.reason();
    let is_allowed = explained.decision.is_allowed() && refused.is_none();
    let (code, text) = match refused {
        Some(text) => ("mutual_tls_required", text.to_owned()),
        None => (reason.code(), reason.to_string()),
    };
    let rule = reason.rule().filter(|_| refused.is_none());
    json!({
        "decision": if is_allowed { "allow" } else { "deny" },
        "by": rule.map(|rule| format!("{}/{}", rule.namespace, rule.name)),
        "rule": rule.map(|rule| rule.rule),
        "action": rule.map(|rule| rule.action.as_str()),
        "reason": {"code": code, "text": text},
        "dry_run": explained.dry_run.iter().filter_map(dry_run).collect::<Vec<_>>(),
        "audit": explained.audit.unwrap_or(false),
        "custom": explained.custom.iter().map(|check| json!({
            "policy": format!("{}/{}", check.rule.namespace, check.rule.name),
            "provider": check.provider,
        })).collect::<Vec<_>>(),
        "trace": explained.trace.iter().map(trace).collect::<Vec<_>>(),
    })
}

fn dry_run(dry_run: &mesh_authz::dry_run::DryRun<'_>) -> Option<Value> {
    let rule = dry_run.matched?;
    let would = if dry_run.action == mesh_model::resource::Action::Deny { "deny" } else { "allow" };
    Some(json!({"policy": format!("{}/{}", rule.namespace, rule.name), "would": would}))
}

fn trace(policy: &PolicyTrace<'_>) -> Value {
    json!({
        "policy": format!("{}/{}", policy.namespace, policy.name),
        "action": policy.action.as_str(),
        "dry_run": policy.is_dry_run,
        "matched": policy.is_match(),
        "rules": policy.rules.iter().map(rule_trace).collect::<Vec<_>>(),
    })
}

fn rule_trace(rule: &RuleTrace<'_>) -> Value {
    let (matched, failed) = match &rule.outcome {
        Outcome::Matched => (true, Value::Null),
        Outcome::Failed(failure) => (
            false,
            json!({
                "field": failure.field.to_string(),
                "negated": failure.field.is_negated,
                "expected": failure.field.values,
                "saw": failure.saw,
            }),
        ),
        Outcome::LeftOut => (false, json!({"field": "", "saw": "the rule was left out"})),
        Outcome::NotAsked => (false, json!({"field": "", "saw": "the path is refused before"})),
    };
    json!({"rule": rule.rule, "matched": matched, "failed": failed})
}

fn table(explained: &Explanation<'_>, refused: Option<&str>) {
    let reason: Reason<'_> = explained.decision.reason();
    let is_allowed = explained.decision.is_allowed() && refused.is_none();
    say!("{}", if is_allowed { "ALLOWED" } else { "DENIED" });
    match refused {
        Some(text) => say!("  because {text}"),
        None => say!("  because {reason}"),
    }
    for check in &explained.custom {
        say!("  if `{}` allows it, which {} asks", check.provider, check.rule);
    }
    if !explained.trace.is_empty() {
        say!("\npolicies looked at:");
    }
    for policy in &explained.trace {
        let trial = if policy.is_dry_run { ", on trial" } else { "" };
        let verdict = if policy.is_match() { "matches" } else { "does not match" };
        let (namespace, name) = (policy.namespace, policy.name);
        say!("  {:6} {namespace}/{name}{trial}: {verdict}", policy.action.as_str());
        for rule in &policy.rules {
            match &rule.outcome {
                Outcome::Matched => say!("         rule {}: matches", rule.rule),
                Outcome::Failed(failure) => say!("         rule {}: {failure}", rule.rule),
                Outcome::LeftOut => say!("         rule {}: left out", rule.rule),
                Outcome::NotAsked => say!("         rule {}: not asked", rule.rule),
            }
        }
    }
}
