//! `mesh authz`: a decision, who made it, and why; or who may call whom; or which rules requests reach.
use std::io::Read;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use mesh_authz::explain::{Explanation, Outcome, PolicyTrace, RuleTrace, Trial};
use mesh_authz::rbac::{Field, Place};
use mesh_authz::{Authorizer, Reason, Traffic, Verdict, is_in_mesh};
use mesh_model::Compat;
use mesh_model::registry::{ControlPlane, Mesh};
use mesh_model::view::{Proxy, ProxyKind};
use serde_json::{Value, json};

use self::caller::{Call, Shown};
use self::entrance::Entrance;
use self::request::RequestFile;
use crate::say::say;
use crate::{Failure, Output, folder, json};

mod caller;
mod coverage;
pub(crate) mod entrance;
mod matrix;
pub(crate) mod request;
mod token;

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The workload that is called.
    #[arg(long, value_name = "CLUSTER/NS/POD", required_unless_present_any = ["matrix", "workloads"])]
    to: Option<String>,
    /// The workload that calls: fills address and identity where the request file leaves them out.
    #[arg(long, value_name = "CLUSTER/NS/POD")]
    from: Option<String>,
    /// The request as JSON; `-` is stdin.
    #[arg(long, value_name = "FILE", required_unless_present_any = ["matrix", "workloads", "coverage"])]
    request: Option<PathBuf>,
    /// Who may call whom instead: every workload, or those of --to and --from, whatever is asked for.
    #[arg(long, conflicts_with_all = ["request", "coverage"])]
    matrix: bool,
    /// The same pair by pair, with what each workload shows to each that it calls; --matrix may be left out.
    #[arg(long, conflicts_with_all = ["request", "coverage"])]
    workloads: bool,
    /// The port of the workload: of requests that say none; with --matrix or --workloads: only calls of it.
    #[arg(long)]
    port: Option<u16>,
    /// What the port speaks, `http` unless the request says it.
    #[arg(long)]
    protocol: Option<Protocol>,
    /// Which rules of the workload are reached instead: by a JSON list of requests; `-` is stdin.
    #[arg(long, value_name = "FILE", conflicts_with = "request")]
    coverage: Option<PathBuf>,
}

/// What a port speaks.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Protocol {
    /// HTTP, gRPC included.
    Http,
    /// Anything else.
    Tcp,
}

pub(crate) fn run(folder: &Path, arguments: &Arguments, output: Output) -> Result<(), Failure> {
    // What is asked is read first: a request that is none needs no mesh.
    let question = Question::read(arguments)?;
    let mesh = folder::load_and_tell(folder, &Compat::default())?;
    let proxy = |name: &Option<String>| name.as_ref().map(|name| mesh.proxy(name)).transpose();
    let (to, from) = (proxy(&arguments.to)?, proxy(&arguments.from)?);
    match (question, to) {
        (Question::Decision(mut request), Some(to)) => {
            place(std::slice::from_mut(&mut *request), arguments)?;
            fill(std::slice::from_mut(&mut *request), &mesh, from.as_ref(), &to)?;
            decide(&mesh, &to, &request, output)
        }
        (Question::Coverage(mut requests), Some(to)) => {
            place(&mut requests, arguments)?;
            fill(&mut requests, &mesh, from.as_ref(), &to)?;
            let authorizer = Authorizer::of_proxy(&mesh, plane_of(&mesh, &to)?, &to);
            coverage::run(&mesh, (&to, &authorizer), &requests, output)
        }
        (Question::Matrix | Question::Decision(_) | Question::Coverage(_), to) => {
            let traffic = match arguments.protocol {
                Some(Protocol::Http) | None => Traffic::Http,
                Some(Protocol::Tcp) => Traffic::Tcp,
            };
            let (to, from, port) = (to.as_ref(), from.as_ref(), arguments.port);
            let is_by_workload = arguments.workloads;
            let question = matrix::Question { to, from, port, traffic, is_by_workload };
            matrix::run(&mesh, question, output)
        }
    }
}

/// Fills port and protocol of requests; what they say otherwise is a contradiction.
fn place(requests: &mut [RequestFile], arguments: &Arguments) -> Result<(), Failure> {
    let is_http = arguments.protocol.map(|protocol| protocol == Protocol::Http);
    for request in requests {
        let wrong = |flag| Failure::Unanswered(format!("`{flag}` contradicts the request"));
        request.fill_place(arguments.port, is_http).map_err(wrong)?;
    }
    Ok(())
}

/// What is asked.
#[derive(Debug)]
enum Question {
    Decision(Box<RequestFile>),
    Coverage(Vec<RequestFile>),
    Matrix,
}

impl Question {
    fn read(arguments: &Arguments) -> Result<Self, Failure> {
        let wrong = |file: &Path, thing: &str, problem: String| {
            let file = match file.to_str() {
                Some("-") => "what stdin says".to_owned(),
                _ => format!("`{}`", file.display()),
            };
            Failure::Unanswered(format!("{file} is no {thing}: {problem}"))
        };
        if let Some(file) = &arguments.request {
            let request = RequestFile::parse(&read(file)?).map(Box::new);
            return request.map(Self::Decision).map_err(|problem| wrong(file, "request", problem));
        }
        let Some(file) = &arguments.coverage else { return Ok(Self::Matrix) };
        let requests = RequestFile::parse_list(&read(file)?);
        requests.map(Self::Coverage).map_err(|problem| wrong(file, "list of requests", problem))
    }
}

/// Fills what requests leave out of the caller and the workload that is called.
fn fill(
    requests: &mut [RequestFile],
    mesh: &Mesh,
    from: Option<&Proxy>,
    to: &Proxy,
) -> Result<(), Failure> {
    let plane = plane_of(mesh, to)?;
    if !is_in_mesh(mesh, to) {
        eprintln!("note: `{}` has no proxy: nobody enforces what is decided here", to.reference());
    }
    for request in requests {
        if let Some(from) = from {
            let port = request.destination_port().ok();
            let shown = Shown::of(
                mesh,
                Call { from, to, host: request.host(), port, is_http: request.http().is_some() },
            );
            if let Shown::Nothing(why) = &shown
                && !request.says_peer()
            {
                eprintln!("note: `{}` shows no identity: {why}", from.reference());
            }
            request.fill_from(from.addresses.first().copied(), shown);
        }
        let is_open = to.kind == ProxyKind::Waypoint && request.destination().is_none();
        let address = if is_open {
            Some(service_behind(mesh, plane, request, to)?)
        } else {
            to.addresses.first().copied()
        };
        request.fill_to(address);
    }
    Ok(())
}

/// The address of the service behind a waypoint that a request asks for by its host.
fn service_behind(
    mesh: &Mesh,
    plane: &ControlPlane,
    request: &RequestFile,
    waypoint: &Proxy,
) -> Result<IpAddr, Failure> {
    let authorizer = Authorizer::of_proxy(mesh, plane, waypoint);
    let hosts: Vec<&str> = authorizer.services().iter().map(|service| &*service.host).collect();
    let asked = request.host().map(|host| host.trim_end_matches('.').to_ascii_lowercase());
    let found = authorizer.services().iter().find(|service| {
        asked.as_deref().is_some_and(|asked| {
            service.host.strip_prefix(asked).is_some_and(|rest| {
                rest.is_empty() || (asked.contains('.') && rest.starts_with('.'))
            })
        })
    });
    let address = found.and_then(|service| service.addresses.first().copied());
    let unknown = || {
        Failure::Unanswered(format!(
            "a waypoint decides by the service that a request is addressed to: give a `host` of it or a \
             `destination_ip`; behind `{}` are {}",
            waypoint.reference(),
            if hosts.is_empty() { "none".to_owned() } else { hosts.join(", ") }
        ))
    };
    address.ok_or_else(unknown)
}

fn plane_of<'m>(mesh: &'m Mesh, proxy: &Proxy) -> Result<&'m ControlPlane, Failure> {
    let plane = mesh.control_plane_of(proxy.cluster.as_str());
    let unknown = || Failure::Unanswered(format!("no control plane serves `{}`", proxy.cluster));
    Ok(plane.ok_or_else(unknown)?)
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

fn decide(mesh: &Mesh, to: &Proxy, request: &RequestFile, output: Output) -> Result<(), Failure> {
    let authorizer = Authorizer::of_proxy(mesh, plane_of(mesh, to)?, to);
    let Entrance { refused, request, rule } = Entrance::new(mesh, (to, &authorizer), request)?;
    request.with(rule, |request| {
        let explained = authorizer.explain(request);
        let is_allowed = explained.decision.is_allowed() && refused.is_none();
        let path = request.http.map_or("", |http| http.path);
        match output {
            Output::Json => {
                let is_enforced = is_in_mesh(mesh, to);
                json::print(&answer(&explained, refused.as_ref(), is_enforced, path));
            }
            Output::Table => table(&explained, refused.as_ref(), path),
        }
        if is_allowed { Ok(()) } else { Err(Failure::No) }
    })
}

/// Who decides: a policy, or why none does; and its rule.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Decider {
    pub(crate) by: String,
    pub(crate) rule: Option<usize>,
}

impl std::fmt::Display for Decider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.rule {
            Some(rule) => write!(f, "rule {rule} of {}", self.by),
            None => f.write_str(&self.by),
        }
    }
}

/// Whether a workload answers a request, and who says so; `denier` is the external authorizer that denies.
pub(crate) fn verdict(
    mesh: &Mesh,
    (to, authorizer): (&Proxy, &Authorizer),
    request: &RequestFile,
    denier: Option<&str>,
) -> Result<(bool, Decider), Failure> {
    let Entrance { refused, request, rule } = Entrance::new(mesh, (to, authorizer), request)?;
    if let Some((_, by)) = refused {
        return Ok((false, Decider { by, rule: None }));
    }
    request.with(rule, |request| {
        let decision = authorizer.decide_asking(request, |check| {
            if denier == Some(check.provider) { Verdict::Deny } else { Verdict::Allow }
        });
        let reason = decision.reason();
        let by = reason.rule().map_or_else(|| reason.to_string(), ToString::to_string);
        let rule = reason.rule().map(|rule| rule.rule);
        Ok((decision.is_allowed(), Decider { by, rule }))
    })
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

fn answer(
    explained: &Explanation<'_>,
    refused: Option<&(&'static str, String)>,
    is_enforced: bool,
    path: &str,
) -> Value {
    let reason = explained.decision.reason();
    let is_allowed = explained.decision.is_allowed() && refused.is_none();
    let (code, text) = match refused {
        Some((code, text)) => (*code, text.clone()),
        None => (reason.code(), reason.to_string()),
    };
    let rule = reason.rule().filter(|_| refused.is_none());
    json!({
        "decision": if is_allowed { "allow" } else { "deny" },
        "by": rule.map(|rule| format!("{}/{}", rule.namespace, rule.name)),
        "rule": rule.map(|rule| rule.rule),
        "action": rule.map(|rule| rule.action.as_str()),
        "reason": {"code": code, "text": text},
        // False where nothing carries the mesh to the workload: what is decided is not in force.
        "enforced": is_enforced,
        "dry_run": trials(explained, refused).iter().map(dry_run).collect::<Vec<_>>(),
        "audit": explained.audit.unwrap_or(false),
        "custom": explained.custom.iter().map(|check| json!({
            "policy": format!("{}/{}", check.rule.namespace, check.rule.name),
            "provider": check.provider,
        })).collect::<Vec<_>>(),
        "trace": explained.trace.iter().map(|policy| trace(policy, path)).collect::<Vec<_>>(),
    })
}

/// What policies on trial would do; nothing where the connection is refused before.
fn trials<'p>(
    explained: &Explanation<'p>,
    refused: Option<&(&'static str, String)>,
) -> Vec<Trial<'p>> {
    if refused.is_some() { Vec::new() } else { explained.trials() }
}

fn dry_run(trial: &Trial<'_>) -> Value {
    json!({"policy": format!("{}/{}", trial.namespace, trial.name), "would": would(trial)})
}

const fn would(trial: &Trial<'_>) -> &'static str {
    match trial.would {
        Verdict::Allow => "allow",
        Verdict::Deny => "deny",
    }
}

fn trace(policy: &PolicyTrace<'_>, path: &str) -> Value {
    json!({
        "policy": format!("{}/{}", policy.namespace, policy.name),
        "action": policy.action.as_str(),
        "dry_run": policy.is_dry_run,
        "matched": policy.is_match(),
        "rules": policy.rules.iter().map(|rule| rule_trace(rule, path)).collect::<Vec<_>>(),
    })
}

fn rule_trace(rule: &RuleTrace<'_>, path: &str) -> Value {
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
        Outcome::Unmatched(failure) => (
            false,
            json!({
                "field": failure.field.as_ref().map(ToString::to_string).unwrap_or_default(),
                "negated": failure.field.as_ref().is_some_and(|field| field.is_negated),
                "expected": failure.field.as_ref().map(|field| &*field.values).unwrap_or_default(),
                "saw": failure.saw,
            }),
        ),
        Outcome::LeftOut => (false, left_out(rule)),
        Outcome::NotAsked => {
            let field = Field { place: PATHS, is_negated: false, values: Box::default() };
            let saw = refused_path(path);
            let told = json!({
                "field": field.to_string(),
                "negated": false,
                "expected": field.values,
                "saw": saw,
            });
            (false, told)
        }
    };
    // What no data plane could use of the rule, so that it is wider than written or gone.
    let omitted: Vec<String> = rule.omissions.iter().map(ToString::to_string).collect();
    json!({"rule": rule.rule, "matched": matched, "failed": failed, "left_out": omitted})
}

/// Where policies ask for paths.
const PATHS: Place = Place::Operation("paths");

/// What was seen of a path that no policy is asked about.
fn refused_path(path: &str) -> String {
    format!("`{path}`, which is refused before any policy is asked")
}

/// The value that a rule was left out for.
fn left_out(rule: &RuleTrace<'_>) -> Value {
    let omission = rule.omissions.iter().find(|omission| omission.drops_rule);
    omission.map_or_else(
        || json!({"field": "", "saw": "the rule was left out"}),
        |omission| {
            json!({
                "field": omission.field.to_string(),
                "negated": omission.field.is_negated,
                "expected": omission.field.values,
                "saw": format!("the rule was left out: {}", omission.why),
            })
        },
    )
}

fn table(explained: &Explanation<'_>, refused: Option<&(&'static str, String)>, path: &str) {
    let reason: Reason<'_> = explained.decision.reason();
    let is_allowed = explained.decision.is_allowed() && refused.is_none();
    say!("{}", if is_allowed { "ALLOWED" } else { "DENIED" });
    match refused {
        Some((_, text)) => say!("  because {text}"),
        None => say!("  because {reason}"),
    }
    for check in &explained.custom {
        say!("  if `{}` allows it, which {} asks", check.provider, check.rule);
    }
    for trial in trials(explained, refused) {
        say!("  on trial, {}/{} would {} it", trial.namespace, trial.name, would(&trial));
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
                Outcome::Unmatched(failure) => say!("         rule {}: {failure}", rule.rule),
                Outcome::LeftOut => say!("         rule {}: left out", rule.rule),
                Outcome::NotAsked => {
                    say!("         rule {}: not asked: saw {}", rule.rule, refused_path(path));
                }
            }
            for omission in rule.omissions {
                say!("           {omission}");
            }
        }
    }
}
