//! The sections of the page.
use mesh_model::manifest::Diagnostic;
use mesh_model::registry::Mesh;
use mesh_model::view::Proxy;

use super::html::{Cell, Page};
use super::places;
use crate::commands::plan::service::{Plan, host_port};

/// The clusters: who serves them, where they are.
pub(super) fn clusters(page: &mut Page, mesh: &Mesh) {
    page.heading("Clusters");
    let rows: Vec<(&str, Vec<Cell>)> = mesh
        .clusters()
        .map(|id| {
            let says = mesh.description(id.as_str());
            let plane = mesh.control_plane_of(id.as_str()).map(|plane| plane.id.to_string());
            let text = |field: Option<&str>| Cell::text(field.unwrap_or_default());
            let role = says.and_then(|says| says.role).map(|role| role.as_str());
            let is_lost = says.is_some_and(|says| !says.reachable);
            let cells = vec![
                Cell::text(id.as_str()),
                text(role),
                text(plane.as_deref()),
                text(says.map(|says| &*says.region)),
                text(says.map(|says| &*says.network)),
                Cell::text(if is_lost { "API server not reachable" } else { "" }),
            ];
            (if is_lost { "error" } else { "" }, cells)
        })
        .collect();
    page.table(&["cluster", "role", "control plane", "region", "network", ""], &rows);
}

/// The localities: what runs where.
pub(super) fn localities(page: &mut Page, mesh: &Mesh) {
    page.heading("Localities");
    let rows: Vec<(&str, Vec<Cell>)> = places(mesh)
        .into_iter()
        .map(|((locality, cluster, network), workloads)| {
            let place = if locality.is_empty() { "unknown" } else { &locality };
            let count = workloads.len().to_string();
            let texts = [place, &cluster, &network, &count];
            ("", texts.map(Cell::text).into_iter().collect())
        })
        .collect();
    page.table(&["locality", "cluster", "network", "endpoints"], &rows);
}

/// The findings.
pub(super) fn hazards(page: &mut Page, found: &[Diagnostic]) {
    page.heading("Hazards");
    if found.is_empty() {
        page.paragraph("None found.");
        return;
    }
    let rows: Vec<(&str, Vec<Cell>)> = found
        .iter()
        .map(|one| {
            let place = match (&*one.file, one.place.line) {
                ("", _) => String::new(),
                (file, 0) => file.to_owned(),
                (file, line) => format!("{file}:{line}"),
            };
            let texts =
                [one.severity.as_str(), one.code, &one.object, &one.message, &one.help, &place];
            (one.severity.as_str(), texts.map(Cell::text).into_iter().collect())
        })
        .collect();
    page.table(&["", "code", "object", "what happens", "what to do", "where"], &rows);
}

/// Where the traffic of a class of proxies goes: a ladder a destination, its endpoints below.
pub(super) fn traffic(page: &mut Page, (name, proxies): (&str, &[Proxy]), plans: &[Plan<'_>]) {
    page.heading(&format!("Traffic of {name}"));
    let members: Vec<String> = proxies.iter().map(Proxy::reference).collect();
    page.paragraph(&members.join(", "));
    let rows: Vec<(&str, Vec<Cell>)> = plans.iter().map(ladder).collect();
    let heads = ["destination", "now", "nearest at 75 %", "50 %", "25 %", "0 %"];
    page.table(&heads, &rows);
    for plan in plans.iter().filter(|plan| !plan.endpoints.is_empty()) {
        let (host, port, _) = plan.key();
        page.details(&format!("{host}:{port}"), |page| endpoints(page, plan));
    }
}

fn ladder<'a>(plan: &Plan<'_>) -> (&'a str, Vec<Cell>) {
    let (host, port, _) = plan.key();
    let is_lost = plan.endpoints.is_empty() && plan.kind() == "EDS";
    let mut cells = vec![Cell::text(&format!("{host}:{port}"))];
    cells.extend(plan.ladder().iter().map(|(_, loads)| Cell::bar(loads)));
    (if is_lost { "warning" } else { "" }, cells)
}

fn endpoints(page: &mut Page, plan: &Plan<'_>) {
    let rows: Vec<(&str, Vec<Cell>)> = plan
        .endpoints
        .iter()
        .map(|endpoint| {
            let reasons: Vec<&str> = endpoint.reasons.iter().map(|r| r.text.as_str()).collect();
            let texts = [
                format!("P{}", endpoint.priority),
                format!("{:.2} %", endpoint.share),
                host_port(&endpoint.address, endpoint.port),
                endpoint.cluster.clone(),
                endpoint.locality.to_string(),
                reasons.join("; "),
            ];
            ("", texts.iter().map(|text| Cell::text(text)).collect())
        })
        .collect();
    page.table(&["priority", "share", "address", "cluster", "locality", "why"], &rows);
    let dropped: Vec<(&str, Vec<Cell>)> = plan
        .dropped
        .iter()
        .map(|one| {
            ("", [&one.address, &one.cluster, one.text].map(Cell::text).into_iter().collect())
        })
        .collect();
    if !dropped.is_empty() {
        page.table(&["left out", "cluster", "why"], &dropped);
    }
}
