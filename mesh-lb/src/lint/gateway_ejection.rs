//! `HZ-SINGLE-EW-ADDRESS` with figures: what an ejection of the only address of a network takes away.
use mesh_model::manifest::Diagnostic;
use mesh_model::registry::Mesh;

use super::{Case, destinations, proxies};
use crate::number::double;
use crate::whatif::{Outcome, distinct_views};

const CODE: &str = "HZ-SINGLE-EW-ADDRESS";
/// Any: the same mesh gives the same figures.
const SEED: u64 = 1;

/// Adds to each finding what happens to the first client that uses a gateway under the rule, while one
/// endpoint behind it is bad: it waits for a seed that has the client land on that one.
pub(super) fn add_figures(mesh: &Mesh, found: &mut [Diagnostic]) {
    let mut left: Vec<&mut Diagnostic> = found.iter_mut().filter(|one| one.code == CODE).collect();
    if left.is_empty() {
        return;
    }
    for view in &distinct_views(mesh, &proxies(mesh)) {
        for destination in destinations(view) {
            let Some(rule) = destination.rule else { continue };
            let host = format!("`{}`", destination.service.hostname);
            let is_of = |from: &(_, mesh_model::name::Text), one: &Diagnostic| {
                let (namespace, name): &(mesh_model::name::Namespace, _) = from;
                one.object == format!("DestinationRule/{namespace}/{name}")
            };
            let at = left.iter().position(|one| {
                one.message.contains(&host) && rule.from.iter().any(|from| is_of(from, one))
            });
            let Some(at) = at else { continue };
            let case = Case { view, destination: &destination };
            let Some(figures) = figures(&case, view.proxy().network.as_str()) else { continue };
            let one = left.swap_remove(at);
            one.message = format!("{}; {figures}", one.message);
        }
    }
}

fn figures(case: &Case<'_, '_>, network: &str) -> Option<String> {
    let outcome = Outcome::now(case.view, case.destination);
    // Of as many seeds some meet the bad endpoint, unless it can never be ejected.
    let backends = u64::from(outcome.ejection(case.destination, SEED)?.scenario.backends);
    let seeds = SEED..=SEED + backends.saturating_mul(4).min(64);
    let played = { seeds }
        .filter_map(|seed| outcome.ejection(case.destination, seed))
        .find(|played| played.outcome.ejections > 0)?;
    let (scenario, became) = (&played.scenario, &played.outcome);
    let percent = |part: u64| 100.0 * double(part) / double(scenario.requests.into());
    Some(format!(
        "played through for 100 s with 1 of {} endpoints there answering 503, a client in network \
         `{network}` that lands on it ejects the address {} times, for {:.0}% of the time; {:.1}% of its \
         requests fail and {:.1}% find no endpoint",
        scenario.backends,
        became.ejections,
        became.ejected_percent(scenario),
        percent(became.failed),
        percent(became.refused),
    ))
}
