//! `mesh report`: one page about the mesh that needs nothing else: no script, nothing from elsewhere.
use std::path::{Path, PathBuf};

use clap::Args;
use mesh_lb::whatif::{Survey, services};
use mesh_model::Compat;
use mesh_model::manifest::{Diagnostic, Severity};
use mesh_model::registry::Mesh;
use mesh_model::view::Proxy;
use serde_json::json;

use super::lint::findings;
use crate::say::say;
use crate::{Failure, Output, folder, json};

mod hazards;
mod html;
mod map;
mod policies;
mod traffic;

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The file that the page is written to.
    #[arg(long, value_name = "FILE.html")]
    out: PathBuf,
}

/// The sections of the page, by their anchors.
const SECTIONS: &[(&str, &str)] = &[
    ("map", "Clusters and networks"),
    ("hazards", "Hazards"),
    ("traffic", "Traffic and failover"),
    ("policies", "Policies in force"),
    ("clients", "Clients"),
];

pub(crate) fn run(folder: &Path, arguments: &Arguments, output: Output) -> Result<(), Failure> {
    let loaded = folder::load(folder, &Compat::default())?;
    let mesh = &loaded.mesh;
    let found = findings(&loaded);
    let proxies: Vec<Proxy> =
        mesh.clients().filter_map(|reference| mesh.proxy(&reference).ok()).collect();
    let survey = Survey::new(mesh, &proxies, services);
    let name =
        folder.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let page = page(&name, mesh, (&proxies, &survey), &found);
    let out = &arguments.out;
    std::fs::write(out, page).map_err(|error| {
        Failure::Unanswered(format!("cannot write to `{}`: {error}", out.display()))
    })?;
    let classes: usize = survey.destinations().iter().map(|one| one.classes.len()).sum();
    let destinations = survey.destinations().len();
    let summary = json!({
        "out": out.display().to_string(),
        "classes": classes,
        "destinations": destinations,
        "diagnostics": found.len(),
    });
    match output {
        Output::Json => json::print(&summary),
        Output::Table => say!(
            "{}: {destinations} destinations for {classes} classes of clients, {} findings",
            out.display(),
            found.len()
        ),
    }
    Ok(())
}

fn page(
    name: &str,
    mesh: &Mesh,
    (proxies, survey): (&[Proxy], &Survey<'_>),
    found: &[Diagnostic],
) -> String {
    let count = |severity| found.iter().filter(|one| one.severity == severity).count();
    let networks: std::collections::BTreeSet<&str> =
        proxies.iter().map(|proxy| proxy.network.as_str()).collect();
    let policies: usize =
        mesh.control_planes().map(|plane| plane.authorization_policies.len()).sum();
    let lead = "What this mesh does: where its traffic goes, what happens when something fails, who \
                may call whom, and what will hurt.";
    let mut page = html::Page::new(&format!("Mesh {name}"), lead, SECTIONS);
    let counted = |number: usize, one: &'static str, many: &'static str| {
        ("", number, if number == 1 { one } else { many })
    };
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    let coloured = |class, number| if number > 0 { class } else { "" };
    page.tiles(&[
        counted(mesh.clusters().count(), "cluster", "clusters"),
        counted(networks.len(), "network", "networks"),
        counted(proxies.len(), "proxy", "proxies"),
        counted(survey.destinations().len(), "destination", "destinations"),
        counted(policies, "access policy", "access policies"),
        (coloured("error", errors), errors, if errors == 1 { "error" } else { "errors" }),
        (
            coloured("warning", warnings),
            warnings,
            if warnings == 1 { "warning" } else { "warnings" },
        ),
    ]);
    page.section(
        "map",
        "Clusters and networks",
        "Each cluster in the network of its workloads, with how many run where, and the gateways \
         between networks.",
    );
    page.drawing(&map::draw(mesh));
    hazards::section(&mut page, found);
    traffic::section(&mut page, survey);
    policies::section(&mut page, mesh);
    clients(&mut page, mesh, proxies);
    page.finish()
}

/// The proxies, by cluster and namespace.
fn clients(page: &mut html::Page, mesh: &Mesh, proxies: &[Proxy]) {
    page.section("clients", "Clients", "The proxies that the answers above are for.");
    let mut groups: std::collections::BTreeMap<String, Vec<String>> = Default::default();
    for proxy in proxies {
        let served = mesh.control_plane_of(proxy.cluster.as_str());
        let by = served.map_or("nobody".to_owned(), |plane| plane.id.to_string());
        let name = format!(
            "{} / {}: {}s, served by {by}",
            proxy.cluster,
            proxy.namespace,
            proxy.kind.as_str()
        );
        groups.entry(name).or_default().push(proxy.reference());
    }
    if groups.is_empty() {
        page.nothing("No pod runs that has a proxy.");
    }
    for (name, members) in groups {
        let tag = html::Tag::new("", &members.len().to_string());
        page.card(|page| {
            page.details(("clients", &name, ""), &[tag], |page| page.members(&members))
        });
    }
}
