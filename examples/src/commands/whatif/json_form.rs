//! The answer for programs.
use mesh_lb::capacity::Overloaded;
use mesh_lb::simulate::MovedKeys;
use mesh_lb::whatif::{
    Cell, Ejection, Imbalance, Impact, Move, Place, Played, Player, Scenario, Survey, ladder,
};
use serde_json::{Value, json};

use crate::json;

pub(super) fn answer<'m>(
    scenario: &Scenario,
    (survey, impacts): (&Survey<'m>, &[Impact<'_, 'm>]),
    player: &mut Player,
) -> Value {
    let failed: Vec<String> = scenario.failures.iter().map(ToString::to_string).collect();
    let services: Vec<Value> =
        impacts.iter().zip(survey.names()).map(|named| service(survey, named, player)).collect();
    json!({"failed": failed, "services": services})
}

fn service<'m>(
    survey: &Survey<'m>,
    (impact, name): (&Impact<'_, 'm>, String),
    player: &mut Player,
) -> Value {
    let (destination, class) = (impact.destination, impact.class);
    let proxies: Vec<String> = survey.proxies(class).iter().map(|p| p.reference()).collect();
    let cells = |cells: Vec<Cell>| cells.iter().map(cell).collect::<Vec<_>>();
    let played = if impact.is_felt() { player.play(impact) } else { Played::default() };
    let ladder = ladder(&class.before.spread, &class.before.shares).into_iter();
    json!({
        "proxy_class": name,
        "proxies": proxies,
        "host": destination.service.hostname.as_str(),
        "port": destination.port.number,
        "subset": &*destination.subset,
        "before": cells(class.before.cells()),
        "after": cells(impact.outcome().cells()),
        "moved": impact.shift.moved.iter().map(moved_to_json).collect::<Vec<_>>(),
        "moved_within": impact.moved_within(),
        // Not -0.0, which the sum of nothing is.
        "lost": impact.shift.lost() + 0.0,
        "unreachable": impact.is_unreachable,
        "overloaded": impact.overloaded.iter().map(overloaded).collect::<Vec<_>>(),
        "ladder": ladder
            .map(|(healthy, loads)| json!({"healthy": healthy, "loads": loads}))
            .collect::<Vec<_>>(),
        "imbalance": played.imbalance.as_ref().map(imbalance),
        "ejection": played.ejection.as_ref().map(ejection),
        "moved_keys": played.moved_keys.as_ref().map(moved_keys),
    })
}

fn imbalance(played: &Imbalance) -> Value {
    json!({
        "clients": played.scenario.clients,
        "gateways": played.scenario.gateways,
        "endpoints": played.scenario.backends,
        "max_requests_per_connection": played.scenario.max_requests_per_connection,
        "busiest_by_connection": played.by_connection.busiest(),
        "busiest_by_request": played.by_request.busiest(),
        "idle_by_connection": played.by_connection.idle(),
    })
}

fn ejection(played: &Ejection) -> Value {
    let (scenario, became) = (&played.scenario, &played.outcome);
    json!({
        "gateways": scenario.gateways,
        "endpoints": scenario.backends,
        "other_endpoints": scenario.others,
        "bad_endpoints": scenario.bad,
        "requests": scenario.requests,
        "failed": became.failed,
        "refused": became.refused,
        "ejections": became.ejections,
        "ejected": became.ejected_percent(scenario),
    })
}

fn moved_keys(moved: &MovedKeys) -> Value {
    json!({"keys": moved.keys, "moved": moved.moved, "needlessly": moved.needlessly})
}

fn cell(cell: &Cell) -> Value {
    json!({
        "locality": json::locality(&cell.locality),
        "cluster": cell.cluster.as_str(),
        "priority": cell.priority,
        "share": cell.share,
    })
}

pub(crate) fn moved_to_json(moved: &Move) -> Value {
    let place = |(locality, cluster): &Place| {
        json!({
            "locality": json::locality(locality),
            "cluster": cluster.as_str(),
        })
    };
    json!({
        "from": moved.from.as_ref().map(place),
        "to": moved.to.as_ref().map(place),
        "share": moved.share,
    })
}

fn overloaded(overloaded: &Overloaded) -> Value {
    match (overloaded.factor_scaled, overloaded.absorbed_by_scaling) {
        (Some(scaled), Some(absorbed)) => json!({
            "address": &*overloaded.address,
            "factor": overloaded.factor,
            "factor_scaled": scaled,
            "absorbed_by_scaling": absorbed,
        }),
        _ => json!({"address": &*overloaded.address, "factor": overloaded.factor}),
    }
}
