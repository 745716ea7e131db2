//! The harness against itself: a real Envoy with a hand-made configuration.
//!
//! Nothing of ours is tested here but the instruments that [`super::steering`] relies on: that Envoy
//! starts and says why if it cannot, that its admin interface is read rightly, that requests are
//! counted by who answered, and that everything ends with us.
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

use serde_json::{Value, json};

use crate::e2e::envoy::Envoy;
use crate::e2e::front;
use crate::e2e::http::{Connection, Request};
use crate::e2e::report::Report;
use crate::e2e::traffic;
use crate::e2e::upstream::Upstream;
use crate::e2e::venv::Tools;
use crate::problem::{Attempt, Problem};

/// Priority 0 is half healthy: with the default factor of 140 it keeps 70 % and spills 30 %.
const PRIORITIES: &[(&str, u32, &str)] = &[
    ("127.88.1.1:0", 0, "HEALTHY"),
    ("127.88.1.2:0", 0, "UNHEALTHY"),
    ("127.88.2.1:0", 1, "HEALTHY"),
];

pub(super) fn run(tools: &Tools, dir: &Path, report: &mut Report) -> Result<(), Problem> {
    report.check("a broken bootstrap is reported with Envoy's own words", broken(tools, dir));
    let mut upstreams = Vec::new();
    for (address, _, _) in PRIORITIES {
        let address: SocketAddr = address.parse().attempt("read an address")?;
        upstreams.push(Upstream::start(address)?);
    }
    let addresses: Vec<SocketAddr> = upstreams.iter().map(|upstream| upstream.address).collect();
    let mut envoy = Envoy::start(tools, "envoy", &bootstrap(&addresses), dir)?;
    report.check("Envoy gets ready", envoy.wait_until_ready());
    let listener = front::address(&envoy)?;
    report.check("hosts and their health are read", hosts(&envoy, &addresses));
    report.check("requests split 70/30 over the priorities", split(listener, &addresses));
    report.check("a 403 of Envoy is counted as such", denied(listener));
    report.check("counters are read", counters(&envoy));
    report.check("Envoy ends when asked", ended(envoy, listener));
    Ok(())
}

fn broken(tools: &Tools, dir: &Path) -> Result<(), Problem> {
    match Envoy::start(tools, "broken", &json!({"no_such_field": 1}), dir) {
        Ok(_) => Err(Problem::new("Envoy started")),
        Err(problem) if problem.0.contains("no_such_field") => Ok(()),
        Err(problem) => Err(problem),
    }
}

fn hosts(envoy: &Envoy, addresses: &[SocketAddr]) -> Result<(), Problem> {
    let hosts = envoy.hosts("backend")?;
    let expected: BTreeMap<String, String> = addresses
        .iter()
        .zip(PRIORITIES)
        .map(|(address, (_, _, health))| (address.to_string(), (*health).to_owned()))
        .collect();
    if hosts == expected { Ok(()) } else { Err(Problem(format!("{hosts:?} is not {expected:?}"))) }
}

fn split(listener: SocketAddr, addresses: &[SocketAddr]) -> Result<(), Problem> {
    let request = Request { method: "GET", host: "backend", path: "/" };
    let answers = traffic::send(listener, &request, 20_000)?;
    let shares = addresses.iter().map(ToString::to_string).zip([70.0, 0.0, 30.0]);
    answers.matches(&shares.collect(), 2.0)
}

fn denied(listener: SocketAddr) -> Result<(), Problem> {
    let request = Request { method: "GET", host: "backend", path: "/denied" };
    let answers = traffic::send(listener, &request, 8)?;
    if answers.by_status == BTreeMap::from([(403, 8)]) && answers.by_upstream.is_empty() {
        return Ok(());
    }
    Err(Problem(format!("{answers:?}")))
}

fn counters(envoy: &Envoy) -> Result<(), Problem> {
    let counters = envoy.counters("cluster.backend.membership")?;
    match counters.get("cluster.backend.membership_total") {
        Some(3) => Ok(()),
        _ => Err(Problem(format!("{counters:?}"))),
    }
}

fn ended(envoy: Envoy, listener: SocketAddr) -> Result<(), Problem> {
    let status = envoy.end()?;
    if Connection::open(listener).is_ok() {
        return Err(Problem::new("its listener is still there"));
    }
    if status.success() { Ok(()) } else { Err(Problem(format!("it ended with {status}"))) }
}

fn bootstrap(addresses: &[SocketAddr]) -> Value {
    let localities: Vec<Value> = addresses
        .iter()
        .zip(PRIORITIES)
        .map(|(address, (_, priority, health))| {
            let socket = json!({"address": address.ip(), "port_value": address.port()});
            let endpoint = json!({"address": {"socket_address": socket}});
            json!({
                "priority": priority,
                "lb_endpoints": [{"health_status": health, "endpoint": endpoint}],
            })
        })
        .collect();
    let cluster = json!({
        "name": "backend",
        "type": "STATIC",
        "common_lb_config": {"healthy_panic_threshold": {}},
        "load_assignment": {"cluster_name": "backend", "endpoints": localities},
    });
    json!({"static_resources": {"listeners": [listener()], "clusters": [cluster]}})
}

fn listener() -> Value {
    let routes = [
        json!({"match": {"path": "/denied"}, "direct_response": {"status": 403}}),
        json!({"match": {"prefix": "/"}, "route": {"cluster": "backend"}}),
    ];
    front::listener("127.88.0.1", &routes)
}
