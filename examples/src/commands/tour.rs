//! `mesh` without a command: a guided tour of a mesh folder.
use std::path::Path;

use mesh_authz::identity::Peer;
use mesh_authz::{Authorizer, Connection, Http, Request};
use mesh_lb::whatif::{Failure as Fails, Loss, Scenario};
use mesh_model::Compat;
use mesh_model::registry::Mesh;
use mesh_model::view::{Proxy, ProxyView};

use super::authz::identity;
use super::plan::service::{Mode, Plan};
use super::plan::{all, view};
use crate::say::say;
use crate::{Failure, folder};

pub(crate) fn run(folder: &Path) -> Result<(), Failure> {
    let mesh = folder::load_and_tell(folder, &Compat::default())?;
    let named = mesh.named_proxies().chain(mesh.proxies()).next();
    let Some(reference) = named else {
        return Err(Failure::Unanswered(
            "the folder has no pod that could have a proxy".to_owned(),
        ));
    };
    let proxy = mesh.proxy(&reference)?;
    let view = view(&mesh, &proxy)?;
    introduce(&mesh, folder, &view);
    ladders(&view);
    outage(&view);
    decision(&mesh, &view);
    say!("\nNEXT");
    let next = [
        (
            format!("mesh plan --proxy {reference} --service HOST:PORT"),
            "why each endpoint is where it is",
        ),
        (
            "mesh whatif --all-proxies --fail cluster=NAME".to_owned(),
            "what moves where, and who suffers",
        ),
        ("mesh lint".to_owned(), "what will hurt, and what to do"),
        (format!("mesh snapshot --proxy {reference} --out DIR"), "what its Envoy is told"),
        ("mesh report --out mesh.html".to_owned(), "all of it as a page"),
        ("mesh --help".to_owned(), "everything else"),
    ];
    print(&next.map(|(command, answer)| vec![command, answer.to_owned()]));
    Ok(())
}

fn introduce(mesh: &Mesh, folder: &Path, view: &ProxyView<'_>) {
    let proxy = view.proxy();
    let clusters: Vec<&str> = mesh.clusters().map(|cluster| cluster.as_str()).collect();
    let name = folder.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    say!("The mesh `{name}`: clusters {}.", clusters.join(", "));
    say!(
        "Seen by the proxy {} in {} (network {}): {} services.",
        proxy.reference(),
        proxy.locality,
        if proxy.network.is_empty() { "unknown" } else { proxy.network.as_str() },
        view.services().len()
    );
}

/// The destinations as a whole, without their subsets.
fn destinations<'m>(view: &ProxyView<'m>, failed: &Scenario) -> Vec<Plan<'m>> {
    all(view, Mode::Own, failed)
        .into_iter()
        .filter(|plan| plan.destination.subset.is_empty())
        .collect()
}

/// The share of each region, largest first.
fn regions(plan: &Plan<'_>) -> String {
    let mut shares: Vec<(String, f64)> = Vec::new();
    for locality in &plan.localities {
        let region = match locality.locality.region() {
            "" => "unknown".to_owned(),
            region => region.to_owned(),
        };
        match shares.iter_mut().find(|(known, _)| *known == region) {
            Some((_, share)) => *share += locality.share,
            None => shares.push((region, locality.share)),
        }
    }
    shares.retain(|(_, share)| *share > 0.0);
    shares.sort_by(|a, b| b.1.total_cmp(&a.1));
    if shares.is_empty() {
        return "nowhere: every request fails".to_owned();
    }
    // Thirds are not 33 each.
    let is_whole = shares.iter().all(|(_, share)| (share - share.round()).abs() < 0.05);
    let digits = if is_whole { 0 } else { 1 };
    let words: Vec<String> =
        shares.iter().map(|(region, share)| format!("{region} {share:.digits$}%")).collect();
    words.join(", ")
}

fn short(host: &str) -> &str {
    host.strip_suffix(".svc.cluster.local").unwrap_or(host)
}

fn ladders(view: &ProxyView<'_>) {
    say!(
        "\nWHERE ITS TRAFFIC GOES, and the loads of the priorities as the nearest one loses health"
    );
    let heads = ["destination", "now", "100%", "75%", "50%", "25%", "0% healthy"];
    let mut rows = vec![heads.map(str::to_owned).to_vec()];
    for plan in destinations(view, &Scenario::default()) {
        let (host, port, _) = plan.key();
        let mut row = vec![format!("{}:{port}", short(host)), regions(&plan)];
        row.extend(plan.ladder().iter().map(|(healthy, loads)| {
            let texts: Vec<String> = loads.iter().map(ToString::to_string).collect();
            match texts.as_slice() {
                [] => "-".to_owned(),
                _ if plan.fails_at(*healthy) => "fails".to_owned(),
                texts => texts.join("/"),
            }
        }));
        rows.push(row);
    }
    print(&rows);
}

/// Prints rows with columns as wide as their widest cell.
fn print(rows: &[Vec<String>]) {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let widths: Vec<usize> = (0..columns)
        .map(|column| {
            let cells = rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
        })
        .collect();
    for row in rows {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        say!("  {}", cells.join("  ").trim_end());
    }
}

fn outage(view: &ProxyView<'_>) {
    let region = view.proxy().locality.region();
    if region.is_empty() {
        return;
    }
    say!("\nWHAT IF region {region}, its own, fails?");
    let failed = Scenario { failures: vec![Fails::Region(region.into())], loss: Loss::Unhealthy };
    let before = destinations(view, &Scenario::default());
    let mut rows = Vec::new();
    for (before, after) in before.iter().zip(destinations(view, &failed)) {
        let (host, port, _) = after.key();
        let (was, is) = (regions(before), regions(&after));
        if was != is {
            rows.push(vec![format!("{}:{port}", short(host)), was, format!("->  {is}")]);
        }
    }
    print(&rows);
}

/// One decision: may this proxy call a workload that a rule speaks of?
fn decision(mesh: &Mesh, view: &ProxyView<'_>) {
    let from = view.proxy();
    let caller = identity(mesh, from);
    for service in view.services() {
        let Some(shards) = view.shards(service) else { continue };
        let mut pods = shards.endpoints().filter(|endpoint| {
            endpoint.workload.place.cluster == from.cluster && !endpoint.instance.is_empty()
        });
        let Some(endpoint) = pods.next() else { continue };
        let (instance, workload) = (&endpoint.instance, &endpoint.workload);
        let reference = format!("{}/{}/{instance}", workload.place.cluster, workload.namespace);
        let Ok(to) = mesh.proxy(&reference) else { continue };
        let authorizer = Authorizer::of_proxy(mesh, view.plane(), &to);
        let uris = [caller.as_str()];
        let host = service.hostname.as_str();
        let Some(request) = request(from, &to, endpoint.port, &uris, host) else { continue };
        let decision = authorizer.decide(&request);
        if decision.reason().rule().is_none() {
            continue;
        }
        say!("\nMAY IT CALL {reference}?  GET / on port {}", endpoint.port);
        say!("  {}: {}", if decision.is_allowed() { "yes" } else { "no" }, decision.reason());
        return;
    }
}

fn request<'r>(
    from: &Proxy,
    to: &Proxy,
    port: u16,
    uris: &'r [&'r str],
    host: &'r str,
) -> Option<Request<'r>> {
    Some(Request {
        connection: Connection {
            source_ip: from.addresses.first().copied()?,
            remote_ip: None,
            destination_ip: to.addresses.first().copied()?,
            destination_port: port,
            peer: Some(Peer { uri_sans: uris, ..Peer::default() }),
            sni: None,
        },
        http: Some(Http {
            method: "GET",
            authority: Some(host),
            path: "/",
            headers: &[],
            payload: None,
        }),
        metadata: None,
    })
}
