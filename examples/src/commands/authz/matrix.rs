//! `mesh authz --matrix`: who may call whom, whatever is asked for.
//!
//! ```text
//! {"protocol": "http|tcp", "port": 80 or null,
//!  "matrix": [{"to": "c1/shop/cart-0", "service": host or null, "last_allow": "ns/name" or null,
//!              "from": [{"identity": "spiffe://…" or null, "access": "always|depends|never"}]}]}
//! ```
//!
//! The matrix is of identities: what a caller's rules make it send is looked at where --from and --to name
//! one pair, and pair by pair with --workloads. What cannot be understood denies here as it does of a request.
//!
//! Workloads by reference (waypoints once for themselves and once for each `service` behind them), callers by identity, plain text (null) first. `last_allow` is the policy
//! without which everything that is not denied is allowed.
use std::collections::{BTreeMap, BTreeSet};

use mesh_authz::analysis::{Access, Caller, access, access_over, last_allow};
use mesh_authz::compile::Environment;
use mesh_authz::{Authorizer, Traffic, data_plane, is_in_mesh, may_be_captured};
use mesh_model::compat::DataPlane;
use mesh_model::registry::{ControlPlane, Mesh, ServerMode};
use mesh_model::view::{Proxy, ProxyKind};
use serde_json::{Value, json};

use super::caller::{Call, Shown};
use super::entrance::{server_mode, trust_domains};
use super::identity;
use crate::say::say;
use crate::{Failure, Output, json};

mod workloads;

/// Which callers and workloads are asked about.
#[derive(Clone, Copy, Debug)]
pub(super) struct Question<'q> {
    /// The only workload that is called, and the only one that calls.
    pub(super) to: Option<&'q Proxy>,
    pub(super) from: Option<&'q Proxy>,
    pub(super) port: Option<u16>,
    pub(super) traffic: Traffic,
    /// Whether callers are workloads, not identities.
    pub(super) is_by_workload: bool,
}

/// One workload that is called.
#[derive(Debug)]
struct Column {
    workload: String,
    /// Of a waypoint: the service behind it that is called.
    service: Option<String>,
    answers: Answers,
}

/// What workloads have in common that differ in nothing a policy sees.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Answers {
    /// One for each caller, in their order.
    access: Vec<Access>,
    /// The policy without which everything that is not denied is allowed.
    last_allow: Option<String>,
}

pub(super) fn run(mesh: &Mesh, question: Question<'_>, output: Output) -> Result<(), Failure> {
    let all: Vec<Proxy> = mesh.proxies().filter_map(|name| mesh.proxy(&name).ok()).collect();
    if question.is_by_workload {
        return workloads::run(mesh, &all, question, output);
    }
    let mut is_refused = false;
    let callers: BTreeSet<Option<String>> = match (question.from, question.to) {
        (Some(from), Some(to)) => {
            let is_http = question.traffic == Traffic::Http;
            let call = Call { from, to, host: None, port: question.port, is_http };
            match Shown::of(mesh, call) {
                Shown::Identity(name) => [Some(name)].into(),
                Shown::Nothing(_) => [None].into(),
                Shown::Refused(_) => {
                    is_refused = true;
                    [Some(identity(mesh, from))].into()
                }
            }
        }
        (Some(from), None) => [shown(mesh, from)].into(),
        (None, _) => all.iter().map(|proxy| shown(mesh, proxy)).chain([None]).collect(),
    };
    let callers: Vec<Option<String>> = callers.into_iter().collect();
    let called: Vec<&Proxy> = match question.to {
        Some(to) => vec![to],
        None => all.iter().collect(),
    };
    let mut columns = columns(mesh, &callers, &called, question);
    if is_refused {
        columns.iter_mut().for_each(|column| column.answers.access.fill(Access::Never));
    }
    match output {
        Output::Json => json::print(&answer(&callers, &columns, question)),
        Output::Table => table(&callers, &columns, question),
    }
    Ok(())
}

/// The identity that a caller shows; none if nothing carries the mesh to it.
fn shown(mesh: &Mesh, proxy: &Proxy) -> Option<String> {
    is_in_mesh(mesh, proxy).then(|| identity(mesh, proxy))
}

/// The answers for each workload; those with the same labels, which see the same of requests, are asked once.
fn columns(
    mesh: &Mesh,
    callers: &[Option<String>],
    called: &[&Proxy],
    question: Question<'_>,
) -> Vec<Column> {
    let mut known = BTreeMap::new();
    let mut found = Vec::new();
    for proxy in called {
        let Some(plane) = mesh.control_plane_of(proxy.cluster.as_str()) else { continue };
        let key = (proxy.cluster.clone(), proxy.namespace.clone(), proxy.labels.clone());
        let kind = (proxy.kind, data_plane(mesh, proxy), may_be_captured(mesh, proxy));
        let environment = Environment::of_proxy(mesh, plane, proxy);
        let seen = (environment.paths, environment.underscored_headers);
        let answers = known.entry((key, kind, seen)).or_insert_with(|| {
            let mode = server_mode(plane, proxy);
            let authorizer = Authorizer::of_proxy(mesh, plane, proxy);
            let mut of_workload = answers(&authorizer, &mode, callers, question);
            if data_plane(mesh, proxy) == DataPlane::Ztunnel {
                of_workload.last_allow = last_allow_as_envoy(mesh, plane, proxy, question.traffic);
            }
            let own = (None, of_workload);
            let of_services = authorizer.services().iter().map(|service| {
                let answers = answers(&service.authorizer, &mode, callers, question);
                (Some(service.host.to_string()), answers)
            });
            let mut answers: Vec<_> = [own].into_iter().chain(of_services).collect();
            let door = Doorkeeper::of(mesh, plane, proxy);
            for (_, answers) in &mut answers {
                door.correct(answers, callers, &mode, (&authorizer, question));
            }
            answers
        });
        found.extend(answers.iter().map(|(service, answers)| Column {
            workload: proxy.reference(),
            service: service.clone(),
            answers: answers.clone(),
        }));
    }
    found
}

/// What decides before policies do.
struct Doorkeeper<'m> {
    /// The trust domains whose peers have a connection; any if there are none.
    trust_domains: Vec<&'m str>,
    /// Whether a ztunnel may end the connections: it shows who calls whatever the mode is.
    has_ztunnel: bool,
}

impl<'m> Doorkeeper<'m> {
    /// Before a workload.
    fn of(mesh: &'m Mesh, plane: &'m ControlPlane, proxy: &Proxy) -> Self {
        let data_plane = data_plane(mesh, proxy);
        let looks = proxy.kind == ProxyKind::Sidecar && data_plane != DataPlane::Grpc;
        Self {
            trust_domains: if looks { trust_domains(mesh, plane, proxy) } else { Vec::new() },
            has_ztunnel: data_plane == DataPlane::Ztunnel || may_be_captured(mesh, proxy),
        }
    }

    fn correct(
        &self,
        answers: &mut Answers,
        callers: &[Option<String>],
        mode: &ServerMode,
        (authorizer, question): (&Authorizer, Question<'_>),
    ) {
        for (caller, answer) in callers.iter().zip(&mut answers.access) {
            let is_foreign = caller.as_deref().is_some_and(|name| {
                let domain = name.strip_prefix("spiffe://").and_then(|rest| rest.split('/').next());
                !self.trust_domains.is_empty()
                    && !self.trust_domains.contains(&domain.unwrap_or_default())
            });
            let caller = Caller { identity: caller.as_deref(), port: question.port };
            let open = access_over(&Authorizer::default(), question.traffic, caller, mode);
            if is_foreign || (self.has_ztunnel && open == Access::Never) {
                *answer = Access::Never;
            } else if self.has_ztunnel && *answer != access(authorizer, question.traffic, caller) {
                *answer = Access::Depends;
            }
        }
    }
}

/// The policy without which a sidecar in place of a ztunnel would let through whatever is not denied.
fn last_allow_as_envoy(
    mesh: &Mesh,
    plane: &ControlPlane,
    proxy: &Proxy,
    traffic: Traffic,
) -> Option<String> {
    let authorizer = Authorizer::as_envoy(mesh, plane, proxy);
    last_allow(authorizer.chain(traffic))
        .map(|policy| format!("{}/{}", policy.namespace, policy.name))
}

fn answers(
    authorizer: &Authorizer,
    mode: &ServerMode,
    callers: &[Option<String>],
    question: Question<'_>,
) -> Answers {
    let access = |caller: &Option<String>| {
        let caller = Caller { identity: caller.as_deref(), port: question.port };
        access_over(authorizer, question.traffic, caller, mode)
    };
    let last = last_allow(authorizer.chain(question.traffic));
    Answers {
        access: callers.iter().map(access).collect(),
        last_allow: last.map(|policy| format!("{}/{}", policy.namespace, policy.name)),
    }
}

const fn protocol(traffic: Traffic) -> &'static str {
    match traffic {
        Traffic::Http => "http",
        Traffic::Tcp => "tcp",
    }
}

fn answer(callers: &[Option<String>], columns: &[Column], question: Question<'_>) -> Value {
    let column = |column: &Column| {
        let from = callers.iter().zip(&column.answers.access);
        json!({
            "to": column.workload,
            "service": column.service,
            "last_allow": column.answers.last_allow,
            "from": from.map(|(caller, access)| json!({
                "identity": caller,
                "access": access.as_str(),
            })).collect::<Vec<_>>(),
        })
    };
    json!({
        "protocol": protocol(question.traffic),
        "port": question.port,
        "matrix": columns.iter().map(column).collect::<Vec<_>>(),
    })
}

/// A grid: one column for the workloads with the same answers.
fn table(callers: &[Option<String>], columns: &[Column], question: Question<'_>) {
    let mut alike: BTreeMap<&Answers, Vec<String>> = BTreeMap::new();
    for column in columns {
        let name = match &column.service {
            Some(service) => format!("{} of {}", service, column.workload),
            None => column.workload.clone(),
        };
        alike.entry(&column.answers).or_default().push(name);
    }
    let port = question.port.map(|port| format!(", port {port}")).unwrap_or_default();
    say!("WHO MAY CALL WHOM ({}{port})", protocol(question.traffic));
    say!("  yes: always   ask: it depends on what is asked for   -: never\n");
    say!("called:");
    for (number, (answers, workloads)) in (1..).zip(&alike) {
        say!("  {number:>3}  {}", workloads.join(" "));
        if let Some(policy) = &answers.last_allow {
            say!("       without {policy} everything that is not denied would be allowed");
        }
    }
    let names: Vec<&str> =
        callers.iter().map(|caller| caller.as_deref().unwrap_or("(plain text)")).collect();
    let width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
    let numbers: Vec<String> = (1..=alike.len()).map(|number| format!("{number:>4}")).collect();
    say!("\n{:width$} {}", "callers:", numbers.concat());
    for (row, name) in names.iter().enumerate() {
        let cells = alike.keys().filter_map(|answers| answers.access.get(row));
        let cells: Vec<String> = cells.map(|access| format!("{:>4}", word(*access))).collect();
        say!("{name:width$} {}", cells.concat());
    }
}

const fn word(access: Access) -> &'static str {
    match access {
        Access::Always => "yes",
        Access::Depends => "ask",
        Access::Never => "-",
    }
}
