//! A plan for people.
use mesh_lb::assign::Said;
use mesh_model::view::Proxy;

use super::service::{Mode, Plan};
use crate::say::say;

pub(super) fn print(proxy: &Proxy, plans: &[Plan<'_>]) {
    say!("{} at {}{}", proxy.reference(), or_unknown(&proxy.locality.to_string()), network(proxy));
    for plan in plans {
        print_plan(plan);
    }
}

fn network(proxy: &Proxy) -> String {
    if proxy.network.is_empty() { String::new() } else { format!(", network {}", proxy.network) }
}

fn or_unknown(locality: &str) -> &str {
    if locality.is_empty() { "an unknown place" } else { locality }
}

/// One destination: what it is, the failover ladder, every endpoint with its share and reason.
pub(crate) fn print_plan(plan: &Plan<'_>) {
    let (host, port, subset) = plan.key();
    let subset = if subset.is_empty() { String::new() } else { format!(" subset {subset}") };
    let outlier = plan.outlier_detection();
    say!("\n{host}:{port}{subset}  [{}, {}, {outlier}]", plan.kind(), plan.lb());
    if plan.mode == Mode::PassedThrough {
        say!("  for mutual TLS with the server name {}", plan.cluster_name());
    }
    if let Some((_, text)) = plan.emptiness() {
        say!("  {text}");
    }
    let addresses = plan.endpoints.iter().map(|one| one.shown().len());
    let left_out = plan.dropped.iter().map(|dropped| dropped.address.len());
    let width = addresses.chain(left_out).fold(22, usize::max);
    for endpoint in &plan.endpoints {
        // A weight of 1 that is the endpoint's own is what everybody expects.
        let is_told = |reason: &&Said| reason.code != "weight" || endpoint.weight != 1;
        let reasons = endpoint.reasons.iter().filter(is_told);
        let reasons: Vec<&str> = reasons.map(|reason| reason.text.as_str()).collect();
        let health = match endpoint.health_word() {
            "healthy" => String::new(),
            word => format!("; {}", word.to_uppercase()),
        };
        if !plan.discovery.picks() {
            let address = endpoint.shown();
            let locality = endpoint.locality.to_string();
            say!(
                "  known     {address:<width$} {:<24} {}{health}",
                or_unknown(&locality),
                reasons.join("; ")
            );
            continue;
        }
        say!(
            "  P{} {:>6.2}%  w{:<3} {:<width$} {:<24} {}{health}",
            endpoint.priority,
            endpoint.share,
            endpoint.weight,
            endpoint.shown(),
            or_unknown(&endpoint.locality.to_string()),
            reasons.join("; "),
        );
    }
    for dropped in &plan.dropped {
        say!("  left out  {:<width$} {}: {}", dropped.address, dropped.cluster, dropped.text);
    }
    let ladder = plan.ladder();
    if ladder.first().is_some_and(|(_, loads)| loads.len() > 1) {
        let step = |(healthy, loads): &(u32, Vec<u32>)| match plan.fails_at(*healthy) {
            true => format!("{healthy}% -> nothing answers"),
            false => step(*healthy, loads),
        };
        let steps: Vec<String> = ladder.iter().map(step).collect();
        say!("  P0 healthy: {}", steps.join("   "));
    }
    for step in plan.steps.iter().flatten() {
        say!("  because   {step}");
    }
}

fn step(healthy: u32, loads: &[u32]) -> String {
    let loads: Vec<String> = loads.iter().map(ToString::to_string).collect();
    format!("{healthy}% -> {}", loads.join("/"))
}
