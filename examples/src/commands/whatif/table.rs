//! The answer for people: what changes, and nothing else.
use crate::say::say;
use mesh_lb::capacity::Overloaded;
use mesh_lb::whatif::{
    Cell, Ejection, Imbalance, Impact, Move, Outcome, Played, Player, Scenario, Survey,
};
use mesh_model::name::{ClusterId, Locality};
use mesh_model::view::Proxy;

/// How many times the mean the busiest endpoint gets before that is told.
const UNEVEN: f64 = 1.2;

pub(super) fn print<'m>(
    scenario: &Scenario,
    (survey, impacts): (&Survey<'m>, &[Impact<'_, 'm>]),
    player: &mut Player,
    all: bool,
) {
    let failed: Vec<String> = scenario.failures.iter().map(ToString::to_string).collect();
    let fail = if failed.len() == 1 { "fails" } else { "fail" };
    say!("WHAT IF {} {fail}?", failed.join(" and "));
    if !all {
        say!("(one class of proxies; overload is judged by its traffic alone: see --all-proxies)");
    }
    let felt = impacts.iter().zip(survey.names()).filter(|(impact, _)| impact.is_felt());
    let felt: Vec<(&Impact<'_, 'm>, String)> = felt
        .map(|(impact, class)| {
            (impact, format!("{class} ({})", members(&survey.proxies(impact.class))))
        })
        .collect();
    for (impact, class) in &felt {
        print_one(impact, class);
        print_played(&player.play(impact));
    }
    let same = impacts.len() - felt.len();
    // One destination counts once for each class of clients.
    let what = if all { "destinations, by class of clients:" } else { "destinations:" };
    say!("\n{what} {} told above, {same} stay as they are", felt.len());
    let lost: Vec<_> = felt.iter().filter(|(impact, _)| impact.is_cut_off()).collect();
    if !lost.is_empty() {
        say!("\nUNREACHABLE");
    }
    for (impact, class) in lost {
        say!("  {}  for {class}", name(impact));
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

/// Who is in a class: a member or two by name.
fn members(proxies: &[&Proxy]) -> String {
    match proxies {
        [one] => one.reference(),
        [one, other] => format!("2 proxies: {}, {}", one.reference(), other.reference()),
        [one, other, ..] => {
            let (one, other) = (one.reference(), other.reference());
            format!("{} proxies: {one}, {other}, …", proxies.len())
        }
        [] => "no proxy".to_owned(),
    }
}

fn print_one(impact: &Impact<'_, '_>, class: &str) {
    say!("\n{}  for {class}", name(impact));
    say!("  before  {}", places(&impact.class.before));
    say!("  after   {}", places(impact.outcome()));
    for moved in impact.shift.moved.iter() {
        say!("  {:>6.2}%  {}", moved.share, movement(moved));
    }
    let within = impact.moved_within();
    if within > 0.0 {
        say!("  {within:>6.2}%  to other endpoints of the same places");
    }
    if impact.is_unreachable {
        say!("  UNREACHABLE: every request fails");
    }
    for overloaded in &impact.overloaded {
        say!(
            "  OVERLOADED {} carries, for its size, {:.2} times what the busiest one carries now",
            overloaded.address,
            overloaded.factor
        );
        print_scaled(overloaded);
    }
}

/// What is left of an overload once the endpoint's workload has as many replicas as it may have.
fn print_scaled(overloaded: &Overloaded) {
    let scaled = overloaded.factor_scaled.zip(overloaded.absorbed_by_scaling);
    let Some((scaled, is_absorbed)) = scaled else { return };
    let absorbs = if is_absorbed { "absorbs" } else { "does not absorb" };
    say!(
        "             once its autoscaler has grown its workload as far as it may, minutes later: \
         {scaled:.2} times, which {absorbs} it"
    );
}

/// What shares do not tell, as far as it is worth a line.
fn print_played(played: &Played) {
    if let Some(Imbalance { scenario, by_connection, by_request }) = &played.imbalance
        && (by_connection.idle() > 0 || by_connection.busiest() >= UNEVEN)
    {
        say!(
            "  played  {} through {}: the busiest of {} endpoints gets {:.2} times the mean, {} get \
             nothing (by request: {:.2} times)",
            counted(scenario.clients, "client", "clients"),
            counted(scenario.gateways, "gateway address", "gateway addresses"),
            scenario.backends,
            by_connection.busiest(),
            by_connection.idle(),
            by_request.busiest()
        );
    }
    if let Some(Ejection { scenario, outcome }) = &played.ejection
        && outcome.ejections > 0
    {
        say!(
            "  played  1 of {} endpoints behind {} answers 503: {} times an address is ejected, {:.0}% of \
             the time; {} of {} requests fail, {} find no endpoint",
            scenario.backends,
            counted(scenario.gateways, "gateway address", "gateway addresses"),
            outcome.ejections,
            outcome.ejected_percent(scenario),
            outcome.failed,
            scenario.requests,
            outcome.refused
        );
    }
    if let Some(moved) = &played.moved_keys {
        say!(
            "  played  {} keys: {:.1}% move to other endpoints, {} of them needlessly",
            moved.keys,
            moved.percent(),
            moved.needlessly
        );
    }
}

fn counted(number: u32, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

fn places(outcome: &Outcome) -> String {
    if !outcome.discovery.picks() {
        return "whatever address or host the client asks for".to_owned();
    }
    let cells = outcome.cells();
    let text = |cell: &Cell| {
        let place = place(&cell.locality, &cell.cluster);
        format!("P{} {place} {:.2}%", cell.priority, cell.share)
    };
    let mut words: Vec<String> = cells.iter().filter(|cell| cell.share > 0.0).map(text).collect();
    let unanswered = 100.0 - cells.iter().map(|cell| cell.share).sum::<f64>();
    if words.is_empty() {
        return "nowhere".to_owned();
    }
    if unanswered > 1e-6 {
        words.push(format!("nowhere {unanswered:.2}%"));
    }
    words.join("   ")
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
        ("", cluster) => format!("cluster {cluster}"),
        (locality, "") => locality.to_owned(),
        (locality, cluster) => format!("{locality} ({cluster})"),
    }
}
