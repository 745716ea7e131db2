//! Routes: an Envoy with random VirtualServices must do with random requests what `mesh routes` says.
//!
//! Every service has one server, which says who it is and what path and host it was asked for; so
//! the destination, the rewritten path and host, redirects, the proxy's own answers and faults can
//! all be compared.
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Value, json};

use crate::e2e::envoy::Envoy;
use crate::e2e::http::{Connection, Request, Response};
use crate::e2e::loopback;
use crate::e2e::mesh::{Mesh, Protocol};
use crate::e2e::random::Random;
use crate::e2e::report::Report;
use crate::e2e::upstream::{self, Upstream};
use crate::e2e::venv::Tools;
use crate::problem::{Attempt, Problem};

mod rules;

const WEB: &str = "loop/shop/web-0";
/// Where web's Sidecar binds the listener.
const EGRESS: &str = "127.19.0.1:19080";
/// How many requests are compared.
const REQUESTS: usize = 400;
/// How many differences are told.
const TOLD: usize = 5;

/// A request as `mesh routes` reads it.
#[derive(Debug, Deserialize)]
struct Asked {
    method: String,
    host: String,
    path: String,
    headers: Vec<(String, String)>,
}

pub(super) fn run(
    tools: &Tools,
    binary: &Path,
    seed: u64,
    dir: &Path,
    report: &mut Report,
) -> Result<(), Problem> {
    let dir = dir.join("routes");
    let mut random = Random::new(seed);
    let folder = folder(&dir, &mut random)?;
    let upstreams = (0..rules::SERVICES).map(|at| Upstream::start(address(&rules::server(at))?));
    let _upstreams = upstreams.collect::<Result<Vec<_>, _>>()?;
    let mesh = Mesh { binary: binary.to_owned(), folder };
    let server = mesh.serve(tools, &dir.join("serve.log"))?;
    let bootstrap = mesh.bootstrap(WEB, server.address, Protocol::Delta)?;
    let mut envoy = Envoy::start(tools, "routes", &bootstrap, &dir)?;
    envoy.wait_until_ready()?;
    let certain = rules::CERTAIN.iter().map(|kind| rules::certain_request(kind));
    let drawn = (0..REQUESTS).map(|_| rules::request(&mut random));
    let requests: Vec<Value> = certain.chain(drawn).collect();
    let file = dir.join("requests.json");
    std::fs::write(&file, json!(requests).to_string())
        .attempt(format!("write `{}`", file.display()))?;
    let answers = mesh.routes(WEB, &file)?;
    let mut differences = Vec::new();
    let mut kinds = BTreeSet::new();
    for (request, expected) in requests.iter().zip(&answers) {
        kinds.insert(kind(expected));
        if let Err(problem) = compare(request, expected) {
            differences.push(format!("{request}: {}\n      said {expected}", problem.0));
        }
    }
    let sentence = format!("Envoy does with {} requests what `mesh routes` says", answers.len());
    report.check(&sentence, none(&differences));
    report.check("every kind of answer was given", all_of(&kinds));
    envoy.end()?;
    server.end()
}

/// The loopback mesh with a Sidecar, services and VirtualServices of its own.
fn folder(dir: &Path, random: &mut Random) -> Result<PathBuf, Problem> {
    std::fs::create_dir_all(dir).attempt(format!("create `{}`", dir.display()))?;
    let folder = loopback::copy(dir)?;
    let sidecar = json!({
        "apiVersion": "networking.istio.io/v1",
        "kind": "Sidecar",
        "metadata": {
            "name": "web", "namespace": "shop", "creationTimestamp": "2026-05-04T07:00:00Z",
        },
        "spec": {
            "workloadSelector": {"labels": {"app": "web"}},
            "egress": [{
                "port": {"number": rules::PORT, "name": "http", "protocol": "HTTP"},
                "bind": "127.19.0.1",
                "hosts": ["./*"],
            }],
        },
    });
    let mut objects = rules::service_entries();
    objects.extend(rules::virtual_services(random));
    for (name, objects) in [("sidecars", vec![sidecar]), ("routes", objects)] {
        let file = folder.join(format!("config/{name}.yaml"));
        let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
        std::fs::write(&file, list.to_string()).attempt(format!("write `{}`", file.display()))?;
    }
    Ok(folder)
}

fn address(text: &str) -> Result<SocketAddr, Problem> {
    text.parse().attempt(format!("read `{text}`"))
}

fn none(differences: &[String]) -> Result<(), Problem> {
    if differences.is_empty() {
        return Ok(());
    }
    let told: Vec<&str> = differences.iter().take(TOLD).map(String::as_str).collect();
    Err(Problem(format!("{} differ:\n    {}", differences.len(), told.join("\n    "))))
}

/// What kind of answer it is.
fn kind(expected: &Value) -> &'static str {
    if expected.get("redirect").is_some() {
        "redirect"
    } else if expected.get("direct_response").is_some() {
        "direct response"
    } else if has(expected, "/fault") {
        "fault"
    } else if has(expected, "/rewrite") {
        "rewrite"
    } else {
        "forward"
    }
}

fn all_of(kinds: &BTreeSet<&str>) -> Result<(), Problem> {
    let wanted = ["redirect", "direct response", "fault", "rewrite", "forward"];
    match wanted.iter().find(|kind| !kinds.contains(*kind)) {
        Some(missing) => Err(Problem(format!("no request got a {missing}"))),
        None => Ok(()),
    }
}

fn compare(request: &Value, expected: &Value) -> Result<(), Problem> {
    let asked = Asked::deserialize(request).map_err(|error| Problem(error.to_string()))?;
    let sent = Request { method: &asked.method, host: &asked.host, path: &asked.path };
    let got = Connection::open(address(EGRESS)?)?.send_with(&sent, &asked.headers)?;
    if let Some(status) = expected.pointer("/fault/abort/http_status").and_then(Value::as_u64) {
        return same("status", &status.to_string(), &got.status.to_string());
    }
    if let Some(redirect) = expected.get("redirect") {
        let location = text(redirect, "/location").unwrap_or_default();
        same_status(redirect, &got)?;
        return same("location", location, got.header("location").unwrap_or_default());
    }
    if let Some(response) = expected.get("direct_response") {
        same_status(response, &got)?;
        let body = text(response, "/body").unwrap_or_default();
        return same("body", body, &String::from_utf8_lossy(&got.body));
    }
    forwarded(&asked, expected, &got)
}

/// The server is one of the destinations, and was asked as the rewrite says.
fn forwarded(asked: &Asked, expected: &Value, got: &Response) -> Result<(), Problem> {
    let destinations = expected.get("destinations").and_then(Value::as_array);
    let destinations = destinations.map(Vec::as_slice).unwrap_or_default();
    let servers: BTreeSet<String> = destinations.iter().filter_map(server_of).collect();
    let is_missing = |to: &Value| to.get("exists") == Some(&json!(false));
    let Some(who) = got.header(upstream::WHO) else {
        // A destination without cluster is answered by Envoy itself.
        return if destinations.iter().any(is_missing) && got.status == 503 {
            Ok(())
        } else {
            Err(Problem(format!("Envoy answers {}", got.status)))
        };
    };
    if !servers.contains(who) {
        return Err(Problem(format!("{who} answers, of {servers:?}")));
    }
    if let Some(path) = text(expected, "/rewrite/path") {
        same("path", path, got.header(upstream::PATH).unwrap_or_default())?;
    }
    let host = text(expected, "/rewrite/host").unwrap_or(&asked.host);
    same("host", host, got.header(upstream::HOST).unwrap_or_default())
}

/// The server of a destination that gets requests; `None` if there is no such service.
fn server_of(to: &Value) -> Option<String> {
    let host = text(to, "/cluster_name")?.rsplit('|').next()?;
    let is_chosen = to.get("share").and_then(Value::as_f64).is_some_and(|share| share > 0.0);
    // The hosts that are no `sN` have the first server.
    let at = (0..rules::SERVICES).find(|at| rules::service(*at) == host);
    let at = at.or((host.ends_with(".wild.test") || host == "plain.test").then_some(0))?;
    is_chosen.then(|| rules::server(at))
}

fn has(answer: &Value, pointer: &str) -> bool {
    answer.pointer(pointer).is_some_and(|value| !value.is_null())
}

fn text<'v>(answer: &'v Value, pointer: &str) -> Option<&'v str> {
    answer.pointer(pointer)?.as_str()
}

fn same_status(expected: &Value, got: &Response) -> Result<(), Problem> {
    let status = expected.get("status").map(ToString::to_string).unwrap_or_default();
    same("status", &status, &got.status.to_string())
}

fn same(what: &str, expected: &str, got: &str) -> Result<(), Problem> {
    if expected == got {
        return Ok(());
    }
    Err(Problem(format!("the {what} is `{got}`, not `{expected}`")))
}
