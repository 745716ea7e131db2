//! `priority_load`, `choose_priority`, `aggregate`.
use mesh_lb::load::{
    Aggregate, Availability, DataPlane, HostWeights, LevelHosts, LevelLoad, Overprovisioning,
    PanicThreshold, Percent, PriorityLoad, choose_priority as choose,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answered, Decimal, read};

/// The hosts of one priority, as the cases write them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Level {
    total: u32,
    healthy: u32,
    degraded: u32,
    excluded: u32,
    overprovisioning_factor: Option<u32>,
    #[serde(default)]
    weighted_priority_health: bool,
    weights: Option<Weights>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
struct Weights {
    total: u64,
    healthy: u64,
    degraded: u64,
    excluded: u64,
}

impl Level {
    pub(super) fn hosts(&self) -> Result<LevelHosts, String> {
        let weights = match (self.weighted_priority_health, self.weights) {
            (false, _) => None,
            (true, None) => return Err("weighted_priority_health without weights".to_owned()),
            (true, Some(Weights { total, healthy, degraded, excluded })) => {
                Some(HostWeights { total, healthy, degraded, excluded })
            }
        };
        Ok(LevelHosts {
            total: self.total,
            healthy: self.healthy,
            degraded: self.degraded,
            excluded: self.excluded,
            overprovisioning: factor(self.overprovisioning_factor)?,
            weights,
        })
    }
}

pub(super) fn factor(percent: Option<u32>) -> Result<Overprovisioning, String> {
    percent
        .map_or(Ok(Overprovisioning::default()), Overprovisioning::new)
        .map_err(|e| e.to_string())
}

pub(super) fn levels(levels: &[Level]) -> Result<Vec<LevelHosts>, String> {
    levels.iter().map(Level::hosts).collect()
}

/// One number of each priority.
pub(super) fn column(load: &PriorityLoad, of: fn(&LevelLoad) -> Percent) -> Vec<u32> {
    load.levels().iter().map(|level| of(level).get()).collect()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PriorityLoadInput {
    healthy_panic_threshold: f64,
    priorities: Vec<Level>,
}

pub(super) fn priority_load(input: &Value) -> Answered {
    let input: PriorityLoadInput = read(input)?;
    let threshold = PanicThreshold::from_fraction(input.healthy_panic_threshold);
    let mut load = PriorityLoad::default();
    load.spill(DataPlane::Envoy, &levels(&input.priorities)?, threshold);
    Ok(json!({
        "health": column(&load, |level| level.health),
        "degraded_health": column(&load, |level| level.degraded_health),
        "normalized_total_availability": load.normalized_total_availability().get(),
        "healthy_load": column(&load, |level| level.healthy_load),
        "degraded_load": column(&load, |level| level.degraded_load),
        "panic": load.levels().iter().map(|level| level.panic).collect::<Vec<_>>(),
        "total_panic": load.is_total_panic(),
    }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ChoosePriorityInput {
    healthy_load: Vec<u32>,
    degraded_load: Vec<u32>,
    hash: Decimal,
}

pub(super) fn choose_priority(input: &Value) -> Answered {
    let input: ChoosePriorityInput = read(input)?;
    let percents =
        |loads: &[u32]| loads.iter().copied().map(Percent::saturating).collect::<Vec<_>>();
    let choice = choose(
        input.hash.0,
        percents(&input.healthy_load).into_iter(),
        percents(&input.degraded_load).into_iter(),
    );
    Ok(json!({ "priority": choice.priority, "availability": availability(choice.availability) }))
}

pub(super) fn availability(availability: Availability) -> &'static str {
    match availability {
        Availability::Healthy => "healthy",
        Availability::Degraded => "degraded",
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AggregateInput {
    healthy_panic_threshold: f64,
    clusters: Vec<Member>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Member {
    name: String,
    #[serde(default)]
    missing: bool,
    priorities: Vec<Level>,
}

pub(super) fn aggregate(input: &Value) -> Answered {
    let input: AggregateInput = read(input)?;
    let members = input
        .clusters
        .iter()
        .map(|member| if member.missing { Ok(Vec::new()) } else { levels(&member.priorities) })
        .collect::<Result<Vec<_>, _>>()?;
    let row = Aggregate::new(&members.iter().map(Vec::as_slice).collect::<Vec<_>>());
    let mut load = PriorityLoad::default();
    let threshold = PanicThreshold::from_fraction(input.healthy_panic_threshold);
    load.spill(DataPlane::Envoy, row.hosts(), threshold);
    let place = |at: &mesh_lb::load::AggregateLevel| {
        let name = input.clusters.get(at.cluster).map(|member| &member.name);
        json!({ "cluster": name, "priority": at.priority })
    };
    Ok(json!({
        "linearized": row.levels().iter().map(place).collect::<Vec<_>>(),
        "healthy_load": column(&load, |level| level.healthy_load),
        "degraded_load": column(&load, |level| level.degraded_load),
    }))
}
