//! `mesh plan`: where a proxy's traffic goes, why, and what happens when the nearest fails.
use std::path::Path;
use std::sync::Arc;

use clap::Args;
use mesh_lb::LocalCluster;
use mesh_lb::assign::{Assignment, ClusterForm};
use mesh_lb::whatif::{Failure as Fails, Loss, Scenario};
use mesh_model::Compat;
use mesh_model::name::Hostname;
use mesh_model::registry::{Mesh, Resolution};
use mesh_model::view::{Destination, Proxy, ProxyView, Subset};
use serde_json::{Value, json};

use self::service::{Mode, Plan};
use super::selector;
use crate::{Failure, Output, folder, json};

pub(crate) mod service; // Reading order: a destination, its endpoints, in words.

pub(crate) mod endpoint;

mod table;

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The proxy that sends.
    #[arg(long, value_name = "CLUSTER/NS/POD")]
    proxy: String,
    /// One destination; every service that the proxy sees by default.
    #[arg(long, value_name = "HOST:PORT")]
    service: Option<String>,
    /// A subset of the service.
    #[arg(long, value_name = "NAME", requires = "service")]
    subset: Option<String>,
    /// The clusters that an east-west gateway passes mutual TLS through to by its server name
    /// (`outbound_.PORT_.SUBSET_.HOST`), instead of those for requests of its own: only endpoints that speak
    /// Istio's mutual TLS are in them.
    #[arg(long)]
    sni_dnat: bool,
    /// What is unhealthy beside what the manifests say: cluster=c2, region=eu, zone=eu/a, network=n2,
    /// gateway=ADDR, endpoint=ADDR, service=HOST,30% (the first endpoints, cluster by cluster, their number
    /// rounded to whole ones).
    #[arg(long, value_name = "SELECTOR")]
    unhealthy: Vec<Fails>,
    /// The arithmetic too: what each priority can carry and gets, how localities share it by weight, and
    /// zones, where the proxy knows its own cluster (ENABLE_SELF_DISCOVERY).
    #[arg(long)]
    explain: bool,
}

pub(crate) fn run(folder: &Path, arguments: &Arguments, output: Output) -> Result<(), Failure> {
    let mesh = folder::load_and_tell(folder, &Compat::default())?;
    let proxy = mesh.proxy(&arguments.proxy)?;
    let view = view(&mesh, &proxy)?;
    let unhealthy = Scenario { failures: arguments.unhealthy.clone(), loss: Loss::Unhealthy };
    selector::must_exist(&unhealthy, &mesh)?;
    let mode = mode(&view, arguments)?;
    let mut plans = match &arguments.service {
        Some(service) => {
            let (host, port) = host_and_port(service)?;
            let subset = Subset::from(arguments.subset.as_deref().unwrap_or_default());
            let destination = view.destination(host, port, subset)?;
            if !mode.has(&destination) {
                return Err(Failure::Unanswered(format!(
                    "`{}` is outside the mesh: gateways pass nothing through to it",
                    destination.service.hostname
                )));
            }
            let absences = mesh.absences();
            vec![Plan::new((&view, mode), destination, &unhealthy, &absences)]
        }
        None => all(&view, mode, &unhealthy),
    };
    if arguments.explain {
        let callers = callers(&view);
        plans.iter_mut().for_each(|plan| plan.explain(&view, callers.as_ref()));
    }
    match output {
        Output::Json => json::print(&answer(&proxy, &plans)),
        Output::Table => table::print(&proxy, &plans),
    }
    Ok(())
}

/// Which of a gateway's clusters are asked for; there are others beside for one that passes mutual TLS through.
fn mode(view: &ProxyView<'_>, arguments: &Arguments) -> Result<Mode, Failure> {
    match (arguments.sni_dnat, view.passes_mutual_tls()) {
        (true, true) => Ok(Mode::PassedThrough),
        (true, false) => Err(Failure::Unanswered(format!(
            "`{}` passes no mutual TLS through: no Gateway with a server of mode AUTO_PASSTHROUGH selects it",
            view.proxy().reference()
        ))),
        (false, passes) => {
            if passes {
                eprintln!(
                    "note: this gateway passes mutual TLS through to clusters of its own; --sni-dnat tells \
                     of those"
                );
            }
            Ok(Mode::Own)
        }
    }
}

/// The cluster that a proxy's own workload forms, if it is told of it: that of the first service which
/// it stands behind.
fn callers(view: &ProxyView<'_>) -> Option<Arc<LocalCluster>> {
    if !view.proxy().metadata_bool("ENABLE_SELF_DISCOVERY") {
        return None;
    }
    let target = view.service_targets().into_iter().next()?;
    let own = view.destination_of(target.service, target.port, Subset::None);
    let assignment = Assignment::of_form(view, &own, ClusterForm::SelfDiscovery);
    Some(Arc::new(LocalCluster::new(&assignment)))
}

/// The mesh as a proxy sees it.
pub(crate) fn view<'m>(mesh: &'m Mesh, proxy: &'m Proxy) -> Result<ProxyView<'m>, Failure> {
    mesh.view(proxy).ok_or_else(|| {
        Failure::Unanswered(format!("no control plane serves cluster `{}`", proxy.cluster))
    })
}

/// Every service port that the proxy sees, with the subsets that rules define, sorted.
pub(crate) fn all<'m>(view: &ProxyView<'m>, mode: Mode, unhealthy: &Scenario) -> Vec<Plan<'m>> {
    let absences = view.mesh().absences();
    let destinations = destinations(view).into_iter().filter(|one| mode.has(one));
    destinations.map(|one| Plan::new((view, mode), one, unhealthy, &absences)).collect()
}

/// Every destination that the proxy sees: all of each service port, then the subsets that rules
/// define, sorted by host, port and subset.
pub(crate) fn destinations<'m>(view: &ProxyView<'m>) -> Vec<Destination<'m>> {
    destinations_of(view, |_| true)
}

/// The same of the hosts that are asked for.
pub(crate) fn destinations_of<'m>(
    view: &ProxyView<'m>,
    is_asked: impl Fn(&Hostname) -> bool,
) -> Vec<Destination<'m>> {
    let mut found = Vec::new();
    for service in view.services() {
        if service.resolution == Resolution::Alias || !is_asked(&service.hostname) {
            continue;
        }
        let subsets = view.rule(service).map(|rule| rule.subsets.as_slice()).unwrap_or_default();
        for port in service.ports.iter().filter(|port| service.port(port.number) == Some(*port)) {
            let named = subsets.iter().map(|subset| Subset::Named(&subset.name));
            for subset in [Subset::None].into_iter().chain(named) {
                found.push(view.destination_of(service.clone(), port.clone(), subset));
            }
        }
    }
    found.sort_by(|a, b| {
        let key =
            |d: &Destination<'_>| (d.service.hostname.clone(), d.port.number, d.subset.clone());
        key(a).cmp(&key(b))
    });
    found
}

/// Reads `HOST:PORT`.
pub(crate) fn host_and_port(service: &str) -> Result<(&str, u16), Failure> {
    let parts = service.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse().ok()?)));
    parts.ok_or_else(|| {
        Failure::Unanswered(format!(
            "`{service}` is no destination; write HOST:PORT, such as cart.shop:80"
        ))
    })
}

fn answer(proxy: &Proxy, plans: &[Plan<'_>]) -> Value {
    json!({
        "proxy": proxy.reference(),
        "locality": json::locality(&proxy.locality),
        "network": proxy.network.as_str(),
        "services": plans.iter().map(Plan::to_json).collect::<Vec<_>>(),
    })
}
