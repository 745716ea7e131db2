//! `mesh whatif`: what happens to traffic when something fails.
use std::collections::BTreeMap;
use std::path::Path;

use clap::Args;
use mesh_lb::capacity::Overloaded;
use mesh_lb::whatif::clients::Class;
use mesh_lb::whatif::{Carried, Failure as Fails, Loss, Outcome, Scenario, Shift};
use mesh_model::Compat;
use mesh_model::registry::Mesh;
use mesh_model::view::{Destination, Proxy, ProxyView, Subset};

use super::plan::{destinations, host_and_port, view};
use crate::{Failure, Output, folder, json};

mod json_form;
mod table;

pub(crate) use self::json_form::moved_to_json;
pub(crate) use self::table::movement;

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The proxy that sends.
    #[arg(long, value_name = "CLUSTER/NS/POD", required_unless_present = "all_proxies")]
    proxy: Option<String>,
    /// Every proxy of the mesh; those that are sent the same are one class.
    #[arg(long, conflicts_with = "proxy")]
    all_proxies: bool,
    /// One destination; every service that the proxies see by default.
    #[arg(long, value_name = "HOST:PORT")]
    service: Option<String>,
    /// A subset of the service.
    #[arg(long, value_name = "NAME", requires = "service")]
    subset: Option<String>,
    /// What fails: cluster=c2, region=eu, zone=eu/a, network=n2, gateway=ADDR, endpoint=ADDR,
    /// service=HOST,30%.
    #[arg(long = "fail", value_name = "SELECTOR", required = true, num_args = 1..)]
    fail: Vec<Fails>,
    /// Endpoints that fail are removed instead of unhealthy.
    #[arg(long)]
    remove: bool,
    /// How much more than the busiest endpoint before one may carry after.
    #[arg(long, value_name = "FACTOR", default_value_t = mesh_lb::capacity::DEFAULT_LIMIT, value_parser = factor)]
    overload: f64,
}

fn factor(text: &str) -> Result<f64, String> {
    let factor = text.parse().ok().filter(|factor: &f64| factor.is_finite() && *factor > 0.0);
    factor.ok_or_else(|| format!("`{text}` is no factor above 0"))
}

pub(crate) fn run(folder: &Path, arguments: &Arguments, output: Output) -> Result<(), Failure> {
    let mesh = folder::load_and_tell(folder, &Compat::default())?;
    let loss = if arguments.remove { Loss::Removed } else { Loss::Unhealthy };
    let scenario = Scenario { failures: arguments.fail.clone(), loss };
    if let Some(failure) = scenario.failures.iter().find(|failure| !failure.exists_in(&mesh)) {
        return Err(Failure::Unanswered(format!("`{failure}` selects nothing in this mesh")));
    }
    let proxies = proxies(&mesh, arguments)?;
    let views = views(&mesh, &proxies, arguments)?;
    let cases = cases(&views, arguments)?;
    let services: Vec<Affected<'_>> = cases
        .into_iter()
        .flat_map(|clients| affected(&mesh, clients, (&scenario, arguments.overload)))
        .collect();
    match output {
        Output::Json => json::print(&json_form::answer(&scenario, &services)),
        Output::Table => table::print(&scenario, &services, arguments.all_proxies),
    }
    Ok(())
}

/// One destination, for one class of proxies.
pub(crate) struct Affected<'m> {
    pub(crate) class: Class<'m>,
    pub(crate) after: Outcome,
    pub(crate) shift: Shift,
    pub(crate) unreachable: bool,
    pub(crate) overloaded: Vec<Overloaded>,
}

fn proxies(mesh: &Mesh, arguments: &Arguments) -> Result<Vec<Proxy>, Failure> {
    match &arguments.proxy {
        Some(reference) => Ok(vec![mesh.proxy(reference)?]),
        None => Ok(mesh.proxies().filter_map(|reference| mesh.proxy(&reference).ok()).collect()),
    }
}

fn views<'m>(
    mesh: &'m Mesh,
    proxies: &'m [Proxy],
    arguments: &Arguments,
) -> Result<Vec<ProxyView<'m>>, Failure> {
    if arguments.all_proxies {
        return Ok(proxies.iter().filter_map(|proxy| mesh.view(proxy)).collect());
    }
    proxies.iter().map(|proxy| view(mesh, proxy)).collect()
}

type Client<'m> = (ProxyView<'m>, Destination<'m>);

/// The destinations, by host, port and subset, each with the proxies that see it.
fn cases<'m>(
    views: &[ProxyView<'m>],
    arguments: &Arguments,
) -> Result<Vec<Vec<Client<'m>>>, Failure> {
    let mut cases: BTreeMap<(String, u16, String), Vec<Client<'m>>> = BTreeMap::new();
    let mut refused = None;
    for view in views {
        let found = match &arguments.service {
            None => destinations(view),
            Some(service) => {
                let (host, port) = host_and_port(service)?;
                let subset = Subset::from(arguments.subset.as_deref().unwrap_or_default());
                match view.destination(host, port, subset) {
                    Ok(destination) => vec![destination],
                    Err(error) => {
                        refused.get_or_insert(error);
                        continue;
                    }
                }
            }
        };
        for destination in found {
            let host = destination.service.hostname.to_string();
            let key = (host, destination.port.number, destination.subset.to_string());
            cases.entry(key).or_default().push((view.clone(), destination));
        }
    }
    match refused {
        Some(error) if cases.is_empty() => Err(error.into()),
        Some(_) | None => Ok(cases.into_values().collect()),
    }
}

fn affected<'m>(
    mesh: &Mesh,
    clients: Vec<Client<'m>>,
    (scenario, limit): (&Scenario, f64),
) -> Vec<Affected<'m>> {
    let mut carried = Carried::new(mesh);
    let classes = Class::of(clients).into_iter().map(|class| {
        let after = scenario.outcome(&class.view, &class.destination);
        carried.add(&class.before, &after, class.proxies.len());
        (class, after)
    });
    let classes: Vec<_> = classes.collect();
    let overload = carried.overloaded(limit);
    let answer = |(class, after): (Class<'m>, Outcome)| Affected {
        shift: Shift::new(&class.before, &after),
        unreachable: after.is_unreachable(&class.destination),
        overloaded: overload.overloaded.iter().filter(|o| serves(&after, o)).cloned().collect(),
        class,
        after,
    };
    classes.into_iter().map(answer).collect()
}

/// Whether a class sends something to an endpoint.
fn serves(after: &Outcome, overloaded: &Overloaded) -> bool {
    after.received().iter().any(|(endpoint, share)| {
        let address = super::plan::service::host_port(&endpoint.address.to_string(), endpoint.port);
        *share > 0.0 && *address == *overloaded.address
    })
}
