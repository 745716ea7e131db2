//! `mesh report`: one page about the mesh that needs nothing else: no script, no style from elsewhere.
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use clap::Args;
use mesh_lb::whatif::clients::class_name;
use mesh_model::Compat;
use mesh_model::registry::Mesh;
use mesh_model::view::Proxy;
use serde_json::json;

use super::lint::findings;
use super::plan::service::Plan;
use super::plan::{all, view};
use crate::say::say;
use crate::{Failure, Output, folder, json};

mod html;
mod sections;

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The file that the page is written to.
    #[arg(long, value_name = "FILE.html")]
    out: PathBuf,
}

pub(crate) fn run(folder: &Path, arguments: &Arguments, output: Output) -> Result<(), Failure> {
    let loaded = folder::load(folder, &Compat::default())?;
    let mesh = &loaded.mesh;
    let found = findings(&loaded);
    let members = members(mesh);
    let mut page = html::Page::new(&format!("Mesh {}", folder.display()));
    sections::clusters(&mut page, mesh);
    sections::localities(&mut page, mesh);
    sections::hazards(&mut page, &found);
    let mut destinations = 0;
    for (name, proxies) in &members {
        let Some(first) = proxies.first() else { continue };
        let plans: Vec<Plan<'_>> = whole(mesh, first)?;
        destinations += plans.len();
        sections::traffic(&mut page, (name, proxies), &plans);
    }
    let out = &arguments.out;
    std::fs::write(out, page.finish()).map_err(|error| {
        Failure::Unanswered(format!("cannot write to `{}`: {error}", out.display()))
    })?;
    let summary = json!({
        "out": out.display().to_string(),
        "classes": members.len(),
        "destinations": destinations,
        "diagnostics": found.len(),
    });
    match output {
        Output::Json => json::print(&summary),
        Output::Table => say!(
            "{}: {} classes of proxies, {destinations} destinations, {} findings",
            out.display(),
            members.len(),
            found.len()
        ),
    }
    Ok(())
}

/// The proxies of each place and namespace, by name; those that no control plane serves are left out.
fn members(mesh: &Mesh) -> BTreeMap<String, Vec<Proxy>> {
    let mut members: BTreeMap<String, Vec<Proxy>> = BTreeMap::new();
    let proxies = mesh.proxies().filter_map(|reference| mesh.proxy(&reference).ok());
    for proxy in proxies.filter(|proxy| mesh.view(proxy).is_some()) {
        let kind = proxy.kind.as_str();
        let name = format!("{} {kind}s of namespace {}", class_name(&proxy), proxy.namespace);
        members.entry(name).or_default().push(proxy);
    }
    members
}

/// Where a proxy's traffic goes, destinations as a whole.
fn whole<'m>(mesh: &'m Mesh, proxy: &'m Proxy) -> Result<Vec<Plan<'m>>, Failure> {
    let view = view(mesh, proxy)?;
    let plans = all(&view, &mesh_lb::whatif::Scenario::default());
    Ok(plans.into_iter().filter(|plan| plan.key().2.is_empty()).collect())
}

/// The localities in use with their clusters, and how many workloads each has.
fn places(mesh: &Mesh) -> BTreeMap<(String, String, String), BTreeSet<String>> {
    let mut places: BTreeMap<_, BTreeSet<String>> = BTreeMap::new();
    for plane in mesh.control_planes() {
        let shards = plane.services.iter().filter_map(|service| plane.shards(service));
        for endpoint in shards.flat_map(|shards| shards.endpoints()) {
            let workload = &endpoint.workload;
            let key = (
                workload.locality.to_string(),
                workload.cluster.to_string(),
                workload.network.to_string(),
            );
            let name = format!("{} {}", endpoint.address, workload.instance);
            places.entry(key).or_default().insert(name);
        }
    }
    places
}
