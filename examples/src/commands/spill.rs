//! `mesh spill`: traffic over priorities, localities or zones, with the arithmetic.
use std::num::{IntErrorKind, ParseIntError};

use clap::Args;
use mesh_lb::load::{
    DataPlane, LevelHosts, Overprovisioning, PanicThreshold, PriorityLoad, explain,
};
use serde_json::{Value, json};

use crate::say::say;
use crate::{Failure, Output, data_plane, folder, json};

mod places;

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The healthy share of each priority in percent of its total, highest priority first.
    #[arg(long, value_name = "PERCENT,…", allow_hyphen_values = true)]
    health: Option<String>,
    /// Healthy hosts of each priority, instead of percentages.
    #[arg(long, value_name = "COUNT,…", conflicts_with = "health", allow_hyphen_values = true)]
    healthy_hosts: Option<String>,
    /// The hosts of each priority; every one 100 by default.
    #[arg(long, value_name = "COUNT,…", allow_hyphen_values = true)]
    total: Option<String>,
    /// Degraded hosts of each priority, in percent or as a count like the healthy ones. Percentages are
    /// rounded to whole hosts, healthy ones first; the degraded ones are at most what is left.
    #[arg(long, value_name = "NUMBER,…", allow_hyphen_values = true)]
    degraded: Option<String>,
    /// The panic threshold in percent, of Envoy [default: 50, Envoy's own; Istio configures 0 unless
    /// minHealthPercent says otherwise].
    #[arg(long, value_name = "PERCENT", allow_hyphen_values = true)]
    panic: Option<String>,
    /// The overprovisioning factor in percent, of Envoy [default: 140].
    #[arg(long, value_name = "PERCENT", allow_hyphen_values = true)]
    factor: Option<String>,
    /// The program that spreads the traffic.
    #[arg(
        long,
        value_name = "DATA-PLANE",
        value_parser = data_plane::any(),
        default_value = "envoy",
    )]
    data_plane: DataPlane,
    /// The localities of one priority instead: how they share its traffic by weight, as it falls with
    /// the health of their hosts.
    #[arg(
        long,
        value_name = "WEIGHT:HEALTHY/TOTAL,…",
        conflicts_with_all = ["health", "healthy_hosts", "total", "degraded", "panic", "zones"],
    )]
    localities: Option<String>,
    /// The zones of one priority instead, the caller's own first: how many callers are in each, and
    /// how many healthy hosts; where zone-aware routing sends requests.
    #[arg(
        long,
        value_name = "CALLERS:HOSTS,…",
        conflicts_with_all = ["health", "healthy_hosts", "total", "degraded", "panic", "factor"],
    )]
    zones: Option<String>,
    /// The healthy hosts below which zones do not matter [default: 6].
    #[arg(long, value_name = "COUNT", allow_hyphen_values = true)]
    min_cluster_size: Option<String>,
}

pub(crate) fn run(arguments: &Arguments, output: Output) -> Result<(), Failure> {
    let plane = arguments.data_plane;
    only_of_envoy(plane, arguments)?;
    if arguments.zones.is_none() && arguments.min_cluster_size.is_some() {
        let sentence = "--min-cluster-size: it is asked of zones, which `--zones 4:5,4:10` says";
        return Err(Failure::Unanswered(sentence.to_owned()));
    }
    if let Some(text) = &arguments.localities {
        return places::localities(text, factor(arguments)?, output);
    }
    if let Some(text) = &arguments.zones {
        return places::zones(text, arguments.min_cluster_size.as_deref(), output);
    }
    let hosts = hosts(arguments)?;
    let panic = number("--panic", arguments.panic.as_deref().unwrap_or("50"))?;
    if panic > 100 {
        return Err(Failure::Unanswered(format!("--panic {panic}: a percentage is at most 100")));
    }
    let threshold = PanicThreshold::new(panic);
    let mut load = PriorityLoad::default();
    load.spill(plane, &hosts, threshold);
    let steps = explain(plane, &hosts, threshold, &load);
    match output {
        Output::Json => json::print(&answer(&hosts, &load, &steps)),
        Output::Table => table(&hosts, &load, &steps),
    }
    Ok(())
}

/// Refuses what only Envoy has, where another data plane is asked for.
fn only_of_envoy(plane: DataPlane, arguments: &Arguments) -> Result<(), Failure> {
    let who = match plane {
        DataPlane::IstioProxy | DataPlane::Envoy => return Ok(()),
        DataPlane::Grpc => "a gRPC client",
        DataPlane::Ztunnel => "a ztunnel",
    };
    let Arguments { panic, factor, degraded, localities, zones, .. } = arguments;
    let flags = [
        (panic, "--panic", "panic"),
        (factor, "--factor", "overprovisioning"),
        (degraded, "--degraded", "degraded hosts"),
        (localities, "--localities", "localities whose weight falls with their health"),
        (zones, "--zones", "zone-aware routing"),
    ];
    match flags.into_iter().find(|(given, ..)| given.is_some()) {
        None => Ok(()),
        Some((_, flag, what)) => Err(Failure::Unanswered(format!("{flag}: {who} knows no {what}"))),
    }
}

fn factor(arguments: &Arguments) -> Result<Overprovisioning, Failure> {
    let factor = number("--factor", arguments.factor.as_deref().unwrap_or("140"))?;
    Overprovisioning::new(factor)
        .map_err(|_| Failure::Unanswered("--factor 0: the factor is greater than 0".to_owned()))
}

/// The host counts of each priority.
fn hosts(arguments: &Arguments) -> Result<Vec<LevelHosts>, Failure> {
    let (flag, text) = match (&arguments.health, &arguments.healthy_hosts) {
        (Some(text), _) => ("--health", text),
        (None, Some(text)) => ("--healthy-hosts", text),
        (None, None) => {
            let sentence = "say how healthy the priorities are: `--health 25,25,20` in percent, or \
                `--healthy-hosts 5,5,4`";
            return Err(Failure::Unanswered(sentence.to_owned()));
        }
    };
    let healthy = list(flag, text)?;
    let totals = match &arguments.total {
        Some(text) => same_length("--total", list("--total", text)?, healthy.len())?,
        None => vec![100; healthy.len()],
    };
    let degraded = match &arguments.degraded {
        Some(text) => same_length("--degraded", list("--degraded", text)?, healthy.len())?,
        None => vec![0; healthy.len()],
    };
    let overprovisioning = factor(arguments)?;
    let is_percent = arguments.health.is_some();
    let levels = healthy.into_iter().zip(totals).zip(degraded).enumerate();
    levels
        .map(|(priority, ((healthy, total), degraded))| {
            let (healthy, degraded) = if is_percent {
                let fits = healthy.saturating_add(degraded) <= 100;
                let healthy = count(flag, healthy, total)?;
                let degraded = count("--degraded", degraded, total)?;
                // Both may be rounded up; then the degraded ones are what is left.
                let left = if fits { total.saturating_sub(healthy) } else { u32::MAX };
                (healthy, degraded.min(left))
            } else {
                (healthy, degraded)
            };
            if u64::from(healthy) + u64::from(degraded) > u64::from(total) {
                let sentence = format!(
                    "priority {priority}: {healthy} healthy and {degraded} degraded hosts are more than its \
                     {total} hosts; `--total` says how many there are"
                );
                return Err(Failure::Unanswered(sentence));
            }
            let level = LevelHosts::healthy_of(healthy, total);
            Ok(LevelHosts { degraded, overprovisioning, ..level })
        })
        .collect()
}

/// The hosts that a percentage of a total is, rounded to the nearest.
fn count(flag: &str, percent: u32, total: u32) -> Result<u32, Failure> {
    if percent > 100 {
        return Err(Failure::Unanswered(format!(
            "{flag}: {percent} is more than 100 percent; `--healthy-hosts` takes counts"
        )));
    }
    let hosts = (u64::from(percent) * u64::from(total) + 50) / 100;
    u32::try_from(hosts).map_err(Failure::from)
}

fn same_length(flag: &str, list: Vec<u32>, length: usize) -> Result<Vec<u32>, Failure> {
    if list.len() == length {
        return Ok(list);
    }
    let has = folder::counted(list.len(), "number");
    let sentence = format!("{flag} has {has} where {length} priorities are; give one for each");
    Err(Failure::Unanswered(sentence))
}

fn list(flag: &str, text: &str) -> Result<Vec<u32>, Failure> {
    let numbers = text.split(',').map(|part| number(flag, part.trim()));
    let numbers: Vec<u32> = numbers.collect::<Result<_, _>>().map_err(|failure| match failure {
        Failure::Unanswered(text) => {
            Failure::Unanswered(format!("{text}; lists are written as `25,25,20`"))
        }
        Failure::No => failure,
    })?;
    if numbers.len() > 129 {
        return Err(Failure::Unanswered(format!(
            "{flag} has {} numbers; a cluster has at most 129 priorities, 0 to 128",
            numbers.len()
        )));
    }
    Ok(numbers)
}

fn number(flag: &str, text: &str) -> Result<u32, Failure> {
    text.parse().map_err(|error: ParseIntError| {
        let what = if *error.kind() == IntErrorKind::PosOverflow {
            format!("is larger than {}", u32::MAX)
        } else {
            "is not a whole number of 0 or more".to_owned()
        };
        Failure::Unanswered(format!("{flag}: `{text}` {what}"))
    })
}

fn answer(hosts: &[LevelHosts], load: &PriorityLoad, steps: &[String]) -> Value {
    let levels = hosts.iter().zip(load.levels()).enumerate();
    let priorities: Vec<Value> = levels
        .map(|(priority, (hosts, level))| {
            json!({
                "priority": priority,
                "total": hosts.total,
                "healthy": hosts.healthy,
                "degraded": hosts.degraded,
                "health": level.health.get(),
                "panic": level.panic,
                "load": level.healthy_load.get(),
                "degraded_load": level.degraded_load.get(),
            })
        })
        .collect();
    json!({
        "priorities": priorities,
        "total_health": load.normalized_total_availability().get(),
        "total_panic": load.is_total_panic(),
        "steps": steps,
    })
}

fn table(hosts: &[LevelHosts], load: &PriorityLoad, steps: &[String]) {
    let loads: Vec<String> = load
        .levels()
        .iter()
        .map(|level| (level.healthy_load.get() + level.degraded_load.get()).to_string())
        .collect();
    say!("{}", loads.join("/"));
    say!();
    say!("priority  hosts  healthy  degraded  health  load  degraded load  panic");
    for (priority, (hosts, level)) in hosts.iter().zip(load.levels()).enumerate() {
        say!(
            "{priority:>8}  {:>5}  {:>7}  {:>8}  {:>5}%  {:>3}%  {:>12}%  {}",
            hosts.total,
            hosts.healthy,
            hosts.degraded,
            level.health.get(),
            level.healthy_load.get(),
            level.degraded_load.get(),
            if level.panic { "yes" } else { "no" },
        );
    }
    say!();
    for step in steps {
        say!("{step}");
    }
}
