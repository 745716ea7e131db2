//! The answer for people: what changes, and nothing else.
use mesh_lb::whatif::{Cell, Move, Outcome, Scenario};
use mesh_model::name::{ClusterId, Locality};

use super::Affected;
use crate::say::say;

pub(super) fn print(scenario: &Scenario, services: &[Affected<'_>], all: bool) {
    let failed: Vec<String> = scenario.failures.iter().map(ToString::to_string).collect();
    say!("WHAT IF {} fails?", failed.join(" and "));
    if !all {
        say!("(one class of proxies; overload is judged by its traffic alone: see --all-proxies)");
    }
    let changed: Vec<&Affected<'_>> =
        services.iter().filter(|service| is_changed(service)).collect();
    for affected in &changed {
        print_one(affected);
    }
    let same = services.len() - changed.len();
    say!("\n{} destinations change, {same} stay as they are", changed.len());
}

fn is_changed(affected: &Affected<'_>) -> bool {
    !affected.shift.moved.is_empty() || affected.unreachable || !affected.overloaded.is_empty()
}

fn print_one(affected: &Affected<'_>) {
    let class = &affected.class;
    let destination = &class.destination;
    let subset = match &*destination.subset {
        "" => String::new(),
        name => format!(" subset {name}"),
    };
    let host = destination.service.hostname.as_str();
    let members = match class.proxies.as_slice() {
        [one] => one.reference(),
        many => format!("{} proxies", many.len()),
    };
    say!("\n{host}:{}{subset}  for {} ({members})", destination.port.number, class.name());
    say!("  before  {}", places(&class.before));
    say!("  after   {}", places(&affected.after));
    for moved in &affected.shift.moved {
        say!("  {:>6.2}%  {}", moved.share, movement(moved));
    }
    if affected.unreachable {
        say!("  UNREACHABLE: every request fails");
    }
    for overloaded in &affected.overloaded {
        say!(
            "  OVERLOADED {} carries {:.2} times what the busiest one carries now",
            overloaded.address,
            overloaded.factor
        );
    }
}

fn places(outcome: &Outcome) -> String {
    let cells = outcome.cells();
    let text = |cell: &Cell| {
        let place = place(&cell.locality, &cell.cluster);
        format!("P{} {place} {:.2}%", cell.priority, cell.share)
    };
    let words: Vec<String> = cells.iter().filter(|cell| cell.share > 0.0).map(text).collect();
    if words.is_empty() { "nowhere".to_owned() } else { words.join("   ") }
}

pub(crate) fn movement(moved: &Move) -> String {
    let text = |place_of: &Option<(Locality, ClusterId)>| {
        let known = place_of.as_ref().map(|(locality, cluster)| place(locality, cluster));
        known.unwrap_or_else(|| "nowhere".to_owned())
    };
    format!("{} -> {}", text(&moved.from), text(&moved.to))
}

fn place(locality: &Locality, cluster: &ClusterId) -> String {
    let locality = locality.to_string();
    match (locality.as_str(), cluster.as_str()) {
        ("", "") => "an unknown place".to_owned(),
        ("", cluster) => cluster.to_owned(),
        (locality, "") => locality.to_owned(),
        (locality, cluster) => format!("{locality} ({cluster})"),
    }
}
