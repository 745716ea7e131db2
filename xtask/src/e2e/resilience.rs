//! What happens to failures: outlier detection ejects and takes back, retries ask again, as
//! DestinationRules and VirtualServices say.
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use crate::e2e::envoy::Envoy;
use crate::e2e::http::{Connection, Request};
use crate::e2e::loopback;
use crate::e2e::mesh::{Mesh, Protocol};
use crate::e2e::report::Report;
use crate::e2e::upstream::Upstream;
use crate::e2e::venv::Tools;
use crate::problem::{Attempt, Problem};
use crate::process::{self, wait_for};

const WEB: &str = "loop/shop/web-0";
/// Where web's Sidecar binds the listener.
const EGRESS: &str = "127.9.0.1:19080";
/// After so many failures in a row a server of `eject.test` is ejected.
const FAILURES: usize = 4;
/// For so long.
const EJECTION: Duration = Duration::from_secs(2);
/// And this often its time is looked at.
const INTERVAL: Duration = Duration::from_millis(500);

/// A service, how often its VirtualService has a request asked again (`None`: there is none), and
/// its servers with the status that each answers; 0 for one that nobody is.
type Service = (&'static str, Option<usize>, &'static [(&'static str, u16)]);

const SERVICES: [Service; 5] = [
    ("eject.test", Some(0), &[("127.5.1.1", 503), ("127.5.1.2", 200), ("127.5.1.3", 200)]),
    ("retry.test", Some(2), &[("127.5.2.1", 503), ("127.5.2.2", 200)]),
    ("broken.test", Some(3), &[("127.5.3.1", 503), ("127.5.3.2", 503)]),
    ("once.test", Some(0), &[("127.5.4.1", 503)]),
    ("default.test", None, &[("127.5.5.1", 0), ("127.5.5.2", 200)]),
];

pub(super) fn run(
    tools: &Tools,
    binary: &Path,
    dir: &Path,
    report: &mut Report,
) -> Result<(), Problem> {
    let dir = dir.join("resilience");
    let mesh = Mesh { binary: binary.to_owned(), folder: folder(&dir)? };
    let servers = servers()?;
    let server = mesh.serve(tools, &dir.join("serve.log"))?;
    let bootstrap = mesh.bootstrap(WEB, server.address, Protocol::Sotw)?;
    let mut envoy = Envoy::start(tools, "resilience", &bootstrap, &dir)?;
    envoy.wait_until_ready()?;
    let asked = |host: &str| asked(&servers, host);
    let sentence = "a request that fails is asked of another server";
    report.check(sentence, all(&answers("retry.test", 40)?, 200));
    report.check("and had failed before", at_least(asked("retry.test"), 50));
    let sentence = "a request is asked as often as its VirtualService says";
    report.check(sentence, all(&answers("broken.test", 5)?, 503));
    report.check("which is four times each", exactly(asked("broken.test"), 20));
    report.check("without retries it is asked once", all(&answers("once.test", 5)?, 503));
    report.check("and no more", exactly(asked("once.test"), 5));
    let sentence = "without VirtualService a connection that fails is tried elsewhere";
    report.check(sentence, all(&answers("default.test", 10)?, 200));
    ejection(&servers, &envoy, report)?;
    envoy.end()?;
    server.end()
}

/// The server that fails is asked so often and not once more, until its time is over.
fn ejection(servers: &[Server], envoy: &Envoy, report: &mut Report) -> Result<(), Problem> {
    let failing = servers.iter().find(|server| server.host == "eject.test");
    let failing = failing.ok_or_else(|| Problem::new("nobody fails"))?;
    let start = process::now();
    let statuses = answers("eject.test", 60)?;
    let failed = statuses.iter().filter(|status| **status == 503).count();
    report
        .check("a server that fails is ejected after as many failures", exactly(failed, FAILURES));
    report.check("and is asked no more", exactly(failing.upstream.asked(), FAILURES));
    report.check("Envoy counts one ejection", ejections(envoy, 1));
    let back = wait_for(EJECTION * 5, || {
        let _statuses = answers("eject.test", 3);
        (failing.upstream.asked() > FAILURES).then(|| start.elapsed())
    });
    let sentence = "it is asked again when its time is over, not before";
    let in_time = match back {
        Some(time) if time + INTERVAL >= EJECTION => Ok(()),
        time => Err(Problem(format!("it was after {time:?}"))),
    };
    report.check(sentence, in_time);
    Ok(())
}

fn ejections(envoy: &Envoy, count: u64) -> Result<(), Problem> {
    let counters = envoy.counters("outlier_detection.ejections_enforced_total")?;
    let total: u64 = counters.values().sum();
    if total == count { Ok(()) } else { Err(Problem(format!("it counts {counters:?}"))) }
}

/// The statuses of requests in turn, on one connection.
fn answers(host: &str, count: usize) -> Result<Vec<u16>, Problem> {
    let address: SocketAddr = EGRESS.parse().attempt("read an address")?;
    let mut connection = Connection::open(address)?;
    let request = Request { method: "GET", host, path: "/" };
    (0..count).map(|_| connection.send(&request).map(|answer| answer.status)).collect()
}

fn all(statuses: &[u16], expected: u16) -> Result<(), Problem> {
    match statuses.iter().find(|status| **status != expected) {
        Some(_) => Err(Problem(format!("the answers are {statuses:?}"))),
        None => Ok(()),
    }
}

fn exactly(count: usize, expected: usize) -> Result<(), Problem> {
    if count == expected { Ok(()) } else { Err(Problem(format!("it is {count}, not {expected}"))) }
}

fn at_least(count: usize, expected: usize) -> Result<(), Problem> {
    let message = || Problem(format!("it is {count}, less than {expected}"));
    (count >= expected).then_some(()).ok_or_else(message)
}

/// A server and the service that it is of.
struct Server {
    host: &'static str,
    upstream: Upstream,
}

fn servers() -> Result<Vec<Server>, Problem> {
    let mut servers = Vec::new();
    for (host, _, list) in SERVICES {
        for (ip, status) in list.iter().filter(|(_, status)| *status > 0) {
            let address = format!("{ip}:18080").parse().attempt("read an address")?;
            let upstream = Upstream::answering(address, *status)?;
            servers.push(Server { host, upstream });
        }
    }
    Ok(servers)
}

/// How often the servers of a service were asked.
fn asked(servers: &[Server], host: &str) -> usize {
    servers.iter().filter(|server| server.host == host).map(|server| server.upstream.asked()).sum()
}

/// The loopback mesh with services and rules of its own.
fn folder(dir: &Path) -> Result<PathBuf, Problem> {
    std::fs::create_dir_all(dir).attempt(format!("create `{}`", dir.display()))?;
    let folder = loopback::copy(dir)?;
    let items: Vec<Value> = SERVICES.iter().flat_map(objects).collect();
    let list = json!({"apiVersion": "v1", "kind": "List", "items": items});
    let file = folder.join("config/resilience.yaml");
    std::fs::write(&file, list.to_string()).attempt(format!("write `{}`", file.display()))?;
    Ok(folder)
}

fn objects((host, retries, servers): &Service) -> Vec<Value> {
    let meta = json!({
        "name": host, "namespace": "shop", "creationTimestamp": "2026-05-04T08:30:00Z",
    });
    let object = |kind: &str, spec: &Value| {
        json!({
            "apiVersion": "networking.istio.io/v1", "kind": kind, "metadata": meta, "spec": spec,
        })
    };
    let endpoints: Vec<Value> = servers.iter().map(|(ip, _)| json!({"address": ip})).collect();
    let port = json!({"number": 19080, "name": "http", "protocol": "HTTP", "targetPort": 18080});
    let entry = json!({
        "hosts": [host], "location": "MESH_EXTERNAL", "resolution": "STATIC",
        "ports": [port], "endpoints": endpoints,
    });
    let balance = json!({"simple": "ROUND_ROBIN"});
    let mut policy = json!({"loadBalancer": balance});
    if *host == "eject.test"
        && let Some(members) = policy.as_object_mut()
    {
        members.insert("outlierDetection".to_owned(), detection());
    }
    let mut objects = vec![
        object("ServiceEntry", &entry),
        object("DestinationRule", &json!({"host": host, "trafficPolicy": policy})),
    ];
    objects.extend(retries.map(|attempts| {
        let route = json!({
            "route": [{"destination": {"host": host}}],
            "retries": {"attempts": attempts, "retryOn": "5xx", "perTryTimeout": "2s"},
        });
        object("VirtualService", &json!({"hosts": [host], "http": [route]}))
    }));
    objects
}

fn detection() -> Value {
    json!({
        "consecutive5xxErrors": FAILURES,
        "interval": format!("{}ms", INTERVAL.as_millis()),
        "baseEjectionTime": format!("{}s", EJECTION.as_secs()),
        "maxEjectionPercent": 100,
    })
}
