//! The answer for programs.
use mesh_lb::capacity::Overloaded;
use mesh_lb::whatif::{Cell, Move, Place, Scenario};
use serde_json::{Value, json};

use super::Affected;
use crate::json;

pub(super) fn answer(scenario: &Scenario, services: &[Affected<'_>]) -> Value {
    let failed: Vec<String> = scenario.failures.iter().map(ToString::to_string).collect();
    let services: Vec<Value> = services.iter().map(service).collect();
    json!({"failed": failed, "services": services})
}

fn service(affected: &Affected<'_>) -> Value {
    let destination = &affected.class.destination;
    let proxies: Vec<String> = affected.class.proxies.iter().map(|p| p.reference()).collect();
    let cells = |cells: Vec<Cell>| cells.iter().map(cell).collect::<Vec<_>>();
    json!({
        "proxy_class": affected.class.name(),
        "proxies": proxies,
        "host": destination.service.hostname.as_str(),
        "port": destination.port.number,
        "subset": &*destination.subset,
        "before": cells(affected.class.before.cells()),
        "after": cells(affected.after.cells()),
        "moved": affected.shift.moved.iter().map(moved_to_json).collect::<Vec<_>>(),
        "lost": affected.shift.lost(),
        "unreachable": affected.unreachable,
        "overloaded": affected.overloaded.iter().map(overloaded).collect::<Vec<_>>(),
    })
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
