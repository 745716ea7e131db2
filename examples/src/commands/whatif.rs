//! `mesh whatif`: what happens to traffic when something fails.
use std::path::Path;

use clap::{ArgGroup, Args};
use mesh_lb::whatif::{
    Asked, Failure as Fails, Loss, Player, Scenario, Survey, services_and_subsets,
};
use mesh_model::Compat;
use mesh_model::registry::Mesh;
use mesh_model::view::{Proxy, Subset, UnknownDestination};

use super::plan::{host_and_port, view};
use super::selector;
use crate::{Failure, Output, folder, json};

mod json_form;
mod table;

pub(crate) use self::json_form::moved_to_json;
pub(crate) use self::table::movement;

#[derive(Args, Debug)]
#[command(group(ArgGroup::new("senders").required(true)))]
pub(crate) struct Arguments {
    /// The proxy that sends.
    #[arg(long, value_name = "CLUSTER/NS/POD", group = "senders")]
    proxy: Option<String>,
    /// Every proxy of the mesh; those that are sent the same are one class. A pod has one if `proxies.json`
    /// names it, it has a container `istio-proxy`, or its manifest names no containers at all. Those in what
    /// fails send on: their traffic counts, too, where endpoints carry too much.
    #[arg(long, group = "senders")]
    all_proxies: bool,
    /// One destination; every service that the proxies see by default.
    #[arg(long, value_name = "HOST:PORT")]
    service: Option<String>,
    /// A subset of the service.
    #[arg(long, value_name = "NAME", requires = "service")]
    subset: Option<String>,
    /// What fails: cluster=c2, region=eu, zone=eu/a, network=n2, gateway=ADDR, endpoint=ADDR,
    /// service=HOST,30% (the first endpoints, cluster by cluster, their number rounded to whole ones).
    #[arg(long = "fail", value_name = "SELECTOR", required = true, num_args = 1..)]
    fail: Vec<Fails>,
    /// Endpoints that fail are removed instead of unhealthy.
    #[arg(long)]
    remove: bool,
    /// How much more than the busiest endpoint before one may carry after. What a HorizontalPodAutoscaler
    /// can absorb is told beside; the endpoint stays overloaded until then.
    #[arg(long, value_name = "FACTOR", default_value_t = mesh_lb::capacity::DEFAULT_LIMIT, value_parser = factor)]
    overload: f64,
    /// The seed of what is played through: connections through gateways, ejections, keys.
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,
}

fn factor(text: &str) -> Result<f64, String> {
    let factor = text.parse().ok().filter(|factor: &f64| factor.is_finite() && *factor > 0.0);
    factor.ok_or_else(|| format!("`{text}` is no factor above 0"))
}

pub(crate) fn run(folder: &Path, arguments: &Arguments, output: Output) -> Result<(), Failure> {
    let mesh = folder::load_and_tell(folder, &Compat::default())?;
    let loss = if arguments.remove { Loss::Removed } else { Loss::Unhealthy };
    let scenario = Scenario { failures: arguments.fail.clone(), loss };
    selector::must_exist(&scenario, &mesh)?;
    for failure in scenario.failures.iter().filter(|failure| !failure.fails_in(&mesh)) {
        eprintln!(
            "note: nothing fails by `{failure}`: that part of its endpoints, rounded, is none"
        );
    }
    let proxies = proxies(&mesh, arguments)?;
    let survey = survey(&mesh, &proxies, arguments)?;
    let impacts = survey.impact(&scenario, arguments.overload);
    let mut player = Player::new(arguments.seed);
    match output {
        Output::Json => {
            json::print(&json_form::answer(&scenario, (&survey, &impacts), &mut player));
        }
        Output::Table => {
            let all = arguments.all_proxies;
            table::print(&scenario, (&survey, &impacts), &mut player, all);
        }
    }
    Ok(())
}

fn proxies(mesh: &Mesh, arguments: &Arguments) -> Result<Vec<Proxy>, Failure> {
    match &arguments.proxy {
        Some(reference) => {
            let proxy = mesh.proxy(reference)?;
            view(mesh, &proxy)?;
            Ok(vec![proxy])
        }
        None => {
            let clients = mesh.clients().filter_map(|reference| mesh.proxy(&reference).ok());
            let clients: Vec<Proxy> = clients.collect();
            if clients.is_empty() {
                eprintln!("note: no pod of the mesh has a proxy: nobody sends by its rules");
            }
            Ok(clients)
        }
    }
}

/// The destinations that are asked for, each with the classes of proxies that see it.
fn survey<'m>(
    mesh: &'m Mesh,
    proxies: &'m [Proxy],
    arguments: &Arguments,
) -> Result<Survey<'m>, Failure> {
    let Some(service) = &arguments.service else {
        return Ok(Survey::new(mesh, proxies, services_and_subsets));
    };
    let (host, port) = host_and_port(service)?;
    let subset = arguments.subset.as_deref().unwrap_or_default();
    let mut refused: Option<UnknownDestination> = None;
    let survey = Survey::new(mesh, proxies, |view| {
        let found = view.destination(host, port, Subset::from(subset));
        match found {
            Ok(found) => {
                vec![Asked { service: found.service, port: found.port, subset: found.subset }]
            }
            Err(error) => {
                let is_nearer =
                    refused.as_ref().is_none_or(|known| nearness(&error) > nearness(known));
                refused = if is_nearer { Some(error) } else { refused.take() };
                Vec::new()
            }
        }
    });
    match refused {
        Some(error) if survey.destinations().is_empty() => Err(error.into()),
        Some(_) | None => Ok(survey),
    }
}

/// How much of what was asked for exists: the proxy that came nearest tells what is wrong.
const fn nearness(error: &UnknownDestination) -> u8 {
    match error {
        UnknownDestination::Subset { .. } => 3,
        UnknownDestination::Port { .. } | UnknownDestination::Udp { .. } => 2,
        UnknownDestination::Hidden { .. }
        | UnknownDestination::Service { nearest: Some(_), .. } => 1,
        UnknownDestination::Service { .. } | _ => 0,
    }
}
