//! `mesh diff`: what a change of the folder does to traffic, requests, resources and findings.
//!
//! Decisions are those of the workload that is called, about requests that say what they show. What callers
//! show when they call is in the resources that they are sent.
use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::Args;
use mesh_model::Compat;
use mesh_model::manifest::Diagnostic;
use mesh_model::registry::Mesh;
use serde_json::json;

use self::decisions::Incomplete;
use super::lint::findings;
use crate::{Failure, Output, folder, json};

mod arrivals;
mod concerned;
mod decisions;
mod requests;
mod resources;
mod routes;
mod sent;
mod table;
mod tokens;
mod traffic;

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The folder before the change.
    #[arg(value_name = "OLD")]
    old: PathBuf,
    /// The folder after it.
    #[arg(value_name = "NEW")]
    new: PathBuf,
    /// Only what concerns this proxy.
    #[arg(long, value_name = "CLUSTER/NS/POD")]
    proxy: Option<String>,
    /// Every proxy of both folders (the default); decisions are those of every workload, be there a proxy
    /// beside it or not.
    #[arg(long, conflicts_with = "proxy")]
    all_proxies: bool,
}

/// What a change does.
#[derive(Debug)]
struct Difference {
    traffic: Vec<traffic::Change>,
    routes: Vec<routes::Change>,
    arrivals: Vec<arrivals::Change>,
    decisions: decisions::Decisions,
    resources: Vec<resources::Change>,
    added: Vec<Diagnostic>,
    removed: Vec<Diagnostic>,
}

pub(crate) fn run(arguments: &Arguments, output: Output) -> Result<(), Failure> {
    let folders = [arguments.old.as_path(), arguments.new.as_path()];
    let ([old, new], effect) = folder::load_both(folders, &Compat::default())?;
    let sides = Sides { old: &old.mesh, new: &new.mesh };
    let (workloads, clients) = sides.proxies(arguments.proxy.as_deref())?;
    let concerned = concerned::of(sides, &clients, &effect);
    let (before, after) = (findings(&old), findings(&new));
    let (mut resources, mut routes) = (resources::Changes::default(), routes::Changes::default());
    let mut arrivals = arrivals::Changes::default();
    sent::by_neighbourhood(sides, &concerned, |proxies| {
        resources.add(proxies);
        routes.add(sides, proxies);
        arrivals.add(sides, proxies);
    });
    let difference = Difference {
        traffic: traffic::changes(sides, &concerned),
        routes: routes.end(),
        arrivals: arrivals.end(),
        decisions: decisions::changes(sides, &workloads)?,
        resources: resources.end(),
        added: without(&after, &before),
        removed: without(&before, &after),
    };
    match output {
        Output::Json => json::print(&answer(&difference)),
        Output::Table => table::print(&difference),
    }
    Ok(())
}

/// The mesh before and after.
#[derive(Clone, Copy, Debug)]
struct Sides<'m> {
    old: &'m Mesh,
    new: &'m Mesh,
}

impl<'m> Sides<'m> {
    /// The workloads to look at, of either side, sorted; and those of them that have a proxy, which sends.
    fn proxies(self, one: Option<&str>) -> Result<(Vec<String>, Vec<String>), Failure> {
        if let Some(reference) = one {
            // It may be new or gone; if neither side has it, the new one says what it has.
            if self.old.proxy(reference).is_err() {
                self.new.proxy(reference)?;
            }
            return Ok((vec![reference.to_owned()], vec![reference.to_owned()]));
        }
        let workloads: BTreeSet<String> = self.old.proxies().chain(self.new.proxies()).collect();
        let clients: BTreeSet<String> = self.old.clients().chain(self.new.clients()).collect();
        Ok((workloads.into_iter().collect(), clients.into_iter().collect()))
    }

    fn each(self) -> [&'m Mesh; 2] {
        [self.old, self.new]
    }
}

/// The findings that the others do not have; neither where a document stands nor in which file counts.
fn without(findings: &[Diagnostic], others: &[Diagnostic]) -> Vec<Diagnostic> {
    let known: BTreeSet<_> = others.iter().map(said).collect();
    findings.iter().filter(|found| !known.contains(&said(found))).cloned().collect()
}

fn said(of: &Diagnostic) -> (&str, &str, &str, &str) {
    (of.code, &of.object, &of.field, &of.message)
}

fn answer(difference: &Difference) -> serde_json::Value {
    let list = |found: &[Diagnostic]| found.iter().map(json::diagnostic).collect::<Vec<_>>();
    let decisions = &difference.decisions;
    let traffic = difference.traffic.iter().map(traffic::Change::to_json);
    let traffic = traffic.chain(difference.routes.iter().map(routes::Change::to_json));
    json!({
        "traffic": traffic.collect::<Vec<_>>(),
        // Connections to workloads, beside who may make them.
        "inbound": difference.arrivals.iter().map(arrivals::Change::to_json).collect::<Vec<_>>(),
        "decisions": decisions.changes.iter().map(decisions::Change::to_json).collect::<Vec<_>>(),
        // Rules for which not all was tried: that nothing is told of them proves nothing.
        "incomplete": decisions.incomplete.iter().map(Incomplete::to_json).collect::<Vec<_>>(),
        "resources": difference.resources.iter().map(resources::Change::to_json).collect::<Vec<_>>(),
        "diagnostics": {"added": list(&difference.added), "removed": list(&difference.removed)},
    })
}
