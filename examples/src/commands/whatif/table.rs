//! The answer for people: what changes, and nothing else.
use crate::say::say;
use mesh_lb::whatif::{Cell, Impact, Move, Outcome, Scenario, Survey};
use mesh_model::name::{ClusterId, Locality};

pub(super) fn print<'m>(
    scenario: &Scenario,
    (survey, impacts): (&Survey<'m>, &[Impact<'_, 'm>]),
    all: bool,
) {
    let failed: Vec<String> = scenario.failures.iter().map(ToString::to_string).collect();
    say!("WHAT IF {} fails?", failed.join(" and "));
    if !all {
        say!("(one class of proxies; overload is judged by its traffic alone: see --all-proxies)");
    }
    let felt: Vec<&Impact<'_, 'm>> = impacts.iter().filter(|impact| impact.is_felt()).collect();
    for impact in &felt {
        print_one(survey, impact);
    }
    let same = impacts.len() - felt.len();
    say!("\n{} destinations change, {same} stay as they are", felt.len());
    let lost: Vec<&&Impact<'_, 'm>> = felt.iter().filter(|impact| impact.is_unreachable).collect();
    if !lost.is_empty() {
        say!("\nUNREACHABLE");
    }
    for impact in lost {
        say!("  {}  for {}", name(impact), members(survey, impact));
    }
}

/// `HOST:PORT`, with the subset.
fn name(impact: &Impact<'_, '_>) -> String {
    let destination = impact.destination;
    let subset = match &*destination.subset {
        "" => String::new(),
        name => format!(" subset {name}"),
    };
    format!("{}:{}{subset}", destination.service.hostname.as_str(), destination.port.number)
}

/// The class, and who is in it.
fn members<'m>(survey: &Survey<'m>, impact: &Impact<'_, 'm>) -> String {
    let members = match survey.proxies(impact.class).as_slice() {
        [one] => one.reference(),
        many => format!("{} proxies", many.len()),
    };
    format!("{} ({members})", impact.class.name())
}

fn print_one<'m>(survey: &Survey<'m>, impact: &Impact<'_, 'm>) {
    say!("\n{}  for {}", name(impact), members(survey, impact));
    say!("  before  {}", places(&impact.class.before));
    say!("  after   {}", places(impact.outcome()));
    for moved in &impact.shift.moved {
        say!("  {:>6.2}%  {}", moved.share, movement(moved));
    }
    if impact.is_unreachable {
        say!("  UNREACHABLE: every request fails");
    }
    for overloaded in &impact.overloaded {
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
