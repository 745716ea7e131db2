//! Balancing: clusters of a real Envoy must send requests where mesh-lb would.
//!
//! ```text
//! hosts, settings ─┬─▶ Envoy's cluster ──▶ requests ─▶ who answered ─┐
//!                  └─▶ our balancer ─────▶ picks ────────────────────┴─▶ the same
//! ```
//!
//! One Envoy holds a cluster a scenario, each behind a path of its own; all of them share the same
//! servers. Where a request's hash decides, every key must reach the very host that we pick; where
//! chance decides, shares must be ours within five standard deviations.
use std::net::SocketAddr;
use std::path::Path;

use serde_json::{Value, json};

use self::scenario::Scenario;
pub(super) use self::site::status;
use crate::e2e::envoy::Envoy;
use crate::e2e::front;
use crate::e2e::random::Random;
use crate::e2e::report::Report;
use crate::e2e::upstream::Upstream;
use crate::e2e::venv::Tools;
use crate::problem::{Attempt, Problem};

mod certain;
mod chance;
mod scenario;
mod site;
mod spread;
mod subsets;
mod verify;
mod zones;

/// Scenarios that are compared at the same time; the requests of each come one by one.
const THREADS: usize = 4;

pub(super) fn run(
    tools: &Tools,
    seed: u64,
    dir: &Path,
    report: &mut Report,
) -> Result<(), Problem> {
    let mut random = Random::new(seed);
    let mut scenarios = certain::all();
    scenarios.extend(zones::all(&mut random));
    scenarios.extend(subsets::all(&mut random));
    scenarios.extend(chance::all(&mut random));
    let mut upstreams = Vec::new();
    for at in 0..site::SERVERS {
        let name = site::server_name(at);
        let address: SocketAddr = name.parse().attempt(format!("read `{name}`"))?;
        upstreams.push(Upstream::start(address)?);
    }
    let mut envoy = Envoy::start(tools, "balance", &bootstrap(&scenarios), dir)?;
    envoy.wait_until_ready()?;
    let results = verify_all(front::address(&envoy)?, &scenarios);
    report.check_each(scenarios.iter().map(|scenario| &*scenario.sentence).zip(results));
    envoy.end()?;
    Ok(())
}

/// What came of each scenario, in their order.
fn verify_all(listener: SocketAddr, scenarios: &[Scenario]) -> Vec<Result<(), Problem>> {
    let of_thread = |thread: usize| {
        let mine = scenarios.iter().enumerate().skip(thread).step_by(THREADS);
        mine.map(|(at, scenario)| (at, verify::verify(listener, at, scenario))).collect::<Vec<_>>()
    };
    let mut results: Vec<(usize, Result<(), Problem>)> = std::thread::scope(|scope| {
        let threads: Vec<_> =
            (0..THREADS).map(|thread| scope.spawn(move || of_thread(thread))).collect();
        threads.into_iter().filter_map(|thread| thread.join().ok()).flatten().collect()
    });
    results.sort_by_key(|(at, _)| *at);
    let mut results = results.into_iter().peekable();
    let lost = || Err(Problem::new("the thread that compares it ended"));
    let of =
        |at| results.next_if(|(found, _)| *found == at).map_or_else(lost, |(_, result)| result);
    (0..scenarios.len()).map(of).collect()
}

fn bootstrap(scenarios: &[Scenario]) -> Value {
    let named = scenarios.iter().enumerate().map(|(at, scenario)| {
        let mut cluster = scenario.cluster.clone();
        site::set(&mut cluster, "name", json!(format!("s{at}")));
        cluster
    });
    let clusters: Vec<Value> = std::iter::once(zones::fleet()).chain(named).collect();
    let zone: Vec<&str> = site::ZONES[0].split('/').collect();
    json!({
        "node": {"id": "balance", "cluster": zones::NAME, "locality": site::place(&zone)},
        "cluster_manager": {"local_cluster_name": zones::NAME},
        "static_resources": {"listeners": [listener(scenarios)], "clusters": clusters},
    })
}

fn listener(scenarios: &[Scenario]) -> Value {
    let mut routes = Vec::new();
    for (number, scenario) in scenarios.iter().enumerate() {
        for (at, probe) in scenario.probes.iter().enumerate() {
            let mut route = probe.route.clone();
            site::set(&mut route, "cluster", json!(format!("s{number}")));
            site::set(&mut route, "timeout", json!("0s"));
            routes.push(json!({"match": {"prefix": verify::path(number, at)}, "route": route}));
        }
    }
    front::listener("127.90.1.1", &routes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_its_scenarios_and_hosts_fit_the_servers() {
        let draw = |seed| {
            let mut random = Random::new(seed);
            let all =
                [zones::all(&mut random), subsets::all(&mut random), chance::all(&mut random)];
            bootstrap(&all.into_iter().flatten().collect::<Vec<_>>()).to_string()
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
        assert!(!draw(3).contains(&format!("{}\"", site::server(site::SERVERS))));
    }
}
