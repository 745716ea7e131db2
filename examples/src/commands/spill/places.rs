//! Traffic of one priority over its localities by weight, or over zones by numbers of callers and hosts.
use mesh_lb::load::{
    Availability, LocalityHosts, LocalityWeights, Overprovisioning, Zone, ZoneAwareConfig, Zones,
    explain_localities, explain_zones,
};
use serde_json::{Value, json};

use super::number;
use crate::say::say;
use crate::{Failure, Output, json};

/// More are no mesh.
const MOST: usize = 10_000;

/// Answers for `WEIGHT:HEALTHY/TOTAL,…`.
pub(super) fn localities(
    text: &str,
    factor: Overprovisioning,
    output: Output,
) -> Result<(), Failure> {
    let localities = list("--localities", text, locality)?;
    let steps = explain_localities(&localities, factor, Availability::Healthy);
    let weights = LocalityWeights::new(&localities, factor, Availability::Healthy);
    let fractions = weights.as_ref().and_then(LocalityWeights::fractions);
    let share = |index: usize| fractions.as_ref().and_then(|all| all.get(index)).map(|f| 100.0 * f);
    let told = localities.iter().enumerate().map(|(index, locality)| {
        json!({
            "locality": index,
            "weight": locality.weight,
            "healthy": locality.healthy,
            "total": locality.total,
            "share": share(index),
        })
    });
    print("localities", &told.collect::<Vec<_>>(), &steps, output);
    Ok(())
}

/// Answers for `CALLERS:HOSTS,…`, the zone of the caller first.
pub(super) fn zones(
    text: &str,
    min_cluster_size: Option<&str>,
    output: Output,
) -> Result<(), Failure> {
    let counts = list("--zones", text, zone)?;
    let mut config = ZoneAwareConfig::default();
    if let Some(size) = min_cluster_size {
        config.min_cluster_size = number("--min-cluster-size", size)?.into();
    }
    let of = |count: fn(&(u32, u32)) -> u32| -> Vec<Zone<usize>> {
        let zone = |(locality, counts): (usize, &(u32, u32))| {
            let healthy = count(counts);
            Zone { locality, total: healthy, healthy, healthy_weight: healthy.into() }
        };
        // A locality without hosts does not exist to Envoy, on neither side.
        counts.iter().enumerate().map(zone).filter(|zone| zone.total > 0).collect()
    };
    let (callers, hosts) = (of(|(callers, _)| *callers), of(|(_, hosts)| *hosts));
    let [callers, hosts] = [&callers, &hosts].map(|zones| {
        let has_local_locality = zones.first().is_some_and(|zone| zone.locality == 0);
        Zones { zones, has_local_locality }
    });
    let steps = explain_zones(&config, &callers, &hosts);
    let told = counts.iter().enumerate();
    let told = told.map(
        |(zone, (callers, hosts))| json!({ "zone": zone, "callers": callers, "hosts": hosts }),
    );
    print("zones", &told.collect::<Vec<_>>(), &steps, output);
    Ok(())
}

fn print(what: &str, told: &[Value], steps: &[String], output: Output) {
    match output {
        Output::Json => json::print(&json!({ what: told, "steps": steps })),
        Output::Table => steps.iter().for_each(|step| say!("{step}")),
    }
}

fn list<T>(
    flag: &str,
    text: &str,
    read: impl Fn(&str) -> Result<T, Failure>,
) -> Result<Vec<T>, Failure> {
    let parts: Vec<&str> = text.split(',').map(str::trim).take(MOST + 1).collect();
    if parts.len() > MOST {
        return Err(Failure::Unanswered(format!("{flag} has more than {MOST} parts")));
    }
    parts.into_iter().map(read).collect()
}

fn locality(text: &str) -> Result<LocalityHosts, Failure> {
    let parts = text.split_once(':').and_then(|(weight, hosts)| {
        let (healthy, total) = hosts.split_once('/')?;
        Some((weight, healthy, total))
    });
    let Some((weight, healthy, total)) = parts else {
        return Err(Failure::Unanswered(format!(
            "--localities: `{text}` is no locality; write WEIGHT:HEALTHY/TOTAL, such as 2:1/3"
        )));
    };
    let read = |part| number("--localities", part);
    let (weight, healthy, total) = (read(weight)?, read(healthy)?, read(total)?);
    if healthy > total {
        return Err(Failure::Unanswered(format!(
            "--localities: `{text}` has {healthy} healthy hosts of {total}"
        )));
    }
    Ok(LocalityHosts { weight, total, healthy, ..LocalityHosts::default() })
}

fn zone(text: &str) -> Result<(u32, u32), Failure> {
    let Some((callers, hosts)) = text.split_once(':') else {
        return Err(Failure::Unanswered(format!(
            "--zones: `{text}` is no zone; write CALLERS:HOSTS, such as 4:10"
        )));
    };
    Ok((number("--zones", callers)?, number("--zones", hosts)?))
}
