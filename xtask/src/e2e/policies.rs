//! Policies: an Envoy with random policies must decide random requests as mesh-authz does, and name the
//! same policy.
//!
//! ```text
//! random policies ─▶ mesh ─┬─▶ authorizer of each workload ─────────▶ decision, rule  ┐
//!                          └─▶ filters of its proxy ─▶ one Envoy ─▶ status, details,  ├ must be equal
//! random requests (certificates, tokens, PROXY headers) ────────────▶ metadata, log   ┘
//! ```
//!
//! One Envoy has two listeners for each workload, with the filters that the workload's proxy would be
//! sent for requests and for other connections. It answers by itself what it would forward, and tells
//! in its log what its filters said.
//!
//! | part | what it is |
//! |---|---|
//! | [`rules`] | random policies, token issuers and the mesh around them |
//! | [`lab`] | the workloads: mesh-authz's side and Envoy's |
//! | [`peer`], [`token`] | certificates and tokens made for the run |
//! | [`request`] | random connections and requests |
//! | [`answer`] | what either side says |
use std::collections::{BTreeMap, VecDeque};
use std::io::{Read as _, Write as _};
use std::path::Path;

use serde_json::Value;

use self::answer::{Expected, Facts};
use self::lab::Workload;
use self::peer::{Authority, Stream};
use self::request::{Asked, Caller};
use self::token::Signer;
use crate::e2e::envoy::Envoy;
use crate::e2e::http::{Connection, Request, Response};
use crate::e2e::random::Random;
use crate::e2e::report::Report;
use crate::e2e::upstream::Upstream;
use crate::e2e::venv::Tools;
use crate::problem::{Attempt, Problem};

mod answer;
mod lab;
mod peer;
mod request;
mod rules;
mod token;

/// How many connections are made to each workload, and how many requests are sent on one.
const CONNECTIONS: usize = 10;
const REQUESTS: usize = 9;
/// How many connections that are not HTTP are made to each workload.
const TCP_CONNECTIONS: usize = 10;
/// How many differences are told.
const TOLD: usize = 5;

/// Both sides, ready to be asked.
struct Lab {
    workloads: Vec<Workload>,
    authority: Authority,
    signer: Signer,
    random: Random,
}

/// A decision that was taken by both sides.
struct Decided {
    /// By which Envoy's log tells of it: the number of a request, the address of a client.
    key: String,
    /// What the client saw.
    seen: (&'static str, String),
    expected: Expected,
    /// What was asked.
    title: String,
}

pub(super) fn run(
    tools: &Tools,
    seed: u64,
    dir: &Path,
    report: &mut Report,
) -> Result<(), Problem> {
    let dir = dir.join("policies");
    std::fs::create_dir_all(&dir).attempt(format!("create `{}`", dir.display()))?;
    let mut random = Random::new(seed);
    let (authority, signer) = (Authority::new()?, Signer::new()?);
    let log = dir.join("decisions.log");
    let workloads = lab::workloads(&mut random, &signer, &log)?;
    let provider = Upstream::start("127.77.0.9:0".parse().attempt("read an address")?)?;
    let bootstrap = lab::bootstrap(&workloads, &authority, provider.address, &log);
    let mut envoy = Envoy::start(tools, "envoy", &bootstrap, &dir)?;
    envoy.wait_until_ready()?;
    let mut lab = Lab { workloads, authority, signer, random };
    let mut decided = lab.ask_requests()?;
    decided.extend(lab.ask_connections()?);
    envoy.end()?;
    let differences = compare(&decided, &log)?;
    let count = decided.len();
    let sentence =
        format!("Envoy takes {count} decisions as mesh-authz does, by the same policies");
    report.check(&sentence, none(&differences));
    report.check("every kind of answer was given", all_kinds(&decided));
    Ok(())
}

impl Lab {
    /// Sends requests to every workload.
    fn ask_requests(&mut self) -> Result<Vec<Decided>, Problem> {
        let mut decided = Vec::new();
        for at in 0..self.workloads.len() * CONNECTIONS {
            let Some(workload) = self.workloads.get(at / CONNECTIONS) else { continue };
            let caller = Caller::new(&mut self.random, workload.http());
            let mut connection = None;
            for _ in 0..REQUESTS {
                let asked = Asked::new(&mut self.random, &self.signer, decided.len())?;
                let expected = answer::of_request(workload, &caller, &asked);
                let title = format!("{asked:?}\n      of {caller:?}");
                let mut open = match connection.take() {
                    Some(open) => open,
                    None => Connection::over(caller.connect(&self.authority)?),
                };
                let got = send(&mut open, &asked).attempt(format!("send {title}"))?;
                // Envoy closes a connection on which it read what is no request.
                if got.header("connection") != Some("close") {
                    connection = Some(open);
                }
                let seen = ("status", got.status.to_string());
                decided.push(Decided { key: asked.number.to_string(), seen, expected, title });
            }
        }
        Ok(decided)
    }

    /// Opens connections to every workload and sends a few bytes.
    fn ask_connections(&mut self) -> Result<Vec<Decided>, Problem> {
        let mut decided = Vec::new();
        for at in 0..self.workloads.len() * TCP_CONNECTIONS {
            let Some(workload) = self.workloads.get(at / TCP_CONNECTIONS) else { continue };
            let caller = Caller::new(&mut self.random, workload.tcp());
            let expected = answer::of_connection(workload, &caller);
            let mut stream = caller.connect(&self.authority)?;
            let seen = ("passes", echoes(&mut stream).to_string());
            let (key, title) = (stream.local()?.to_string(), format!("{caller:?}"));
            decided.push(Decided { key, seen, expected, title });
        }
        Ok(decided)
    }
}

/// Compares the decisions with what Envoy wrote of them.
fn compare(decided: &[Decided], log: &Path) -> Result<Vec<String>, Problem> {
    let text = std::fs::read_to_string(log).attempt(format!("read `{}`", log.display()))?;
    // A client's address may be used again: its lines are in the order of its connections.
    let mut lines: BTreeMap<String, VecDeque<Value>> = BTreeMap::new();
    for line in text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
        let text = |key: &str| line.get(key).and_then(Value::as_str);
        let key = text("request").or(text("connection")).map(str::to_owned);
        if let Some(key) = key {
            lines.entry(key).or_default().push_back(line);
        }
    }
    let mut differences = Vec::new();
    for Decided { key, seen, expected, title } in decided {
        let line = lines.get_mut(key).and_then(VecDeque::pop_front).unwrap_or(Value::Null);
        let mut got: Facts = answer::of_log(&line);
        got.insert(seen.0, seen.1.clone());
        if let Err(problem) = expected.compare(&got) {
            differences.push(format!("{title}: {}", problem.0));
        }
    }
    Ok(differences)
}

fn none(differences: &[String]) -> Result<(), Problem> {
    if differences.is_empty() {
        return Ok(());
    }
    let told: Vec<&str> = differences.iter().take(TOLD).map(String::as_str).collect();
    Err(Problem(format!("{} differ:\n    {}", differences.len(), told.join("\n    "))))
}

fn all_kinds(decided: &[Decided]) -> Result<(), Problem> {
    let wanted = [
        ("status", "allowed"),
        ("status", "allowed by a rule"),
        ("status", "allowed by no rule"),
        ("status", "audience"),
        ("status", "bad path"),
        ("status", "denied by a rule"),
        ("status", "no provider"),
        ("status", "refused by the provider"),
        ("status", "unauthenticated"),
        ("passes", "allowed"),
        ("passes", "allowed by a rule"),
        ("passes", "allowed by no rule"),
        ("passes", "denied by a rule"),
    ];
    let is_there = |(seen, kind): &&(&str, &str)| {
        decided.iter().any(|of| of.seen.0 == *seen && of.expected.kind == *kind)
    };
    match wanted.iter().find(|wanted| !is_there(wanted)) {
        Some((_, missing)) => Err(Problem(format!("none was `{missing}`"))),
        None => Ok(()),
    }
}

fn send(connection: &mut Connection<Stream>, asked: &Asked) -> Result<Response, Problem> {
    let Asked { method, host, path, .. } = asked;
    connection.send_with(&Request { method, host, path }, &asked.headers())
}

/// Whether bytes come back; a connection that is denied is closed.
fn echoes(stream: &mut Stream) -> bool {
    let mut back = [0; 5];
    stream.write_all(b"hello").is_ok() && stream.read_exact(&mut back).is_ok() && back == *b"hello"
}
