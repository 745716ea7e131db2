//! `locality_weights`, `zone_aware`.
use mesh_lb::load::{
    Availability, LocalityBasis, LocalityHosts, LocalityWeights, NoZoneRouting, Zone,
    ZoneAwareConfig, ZonePickReason, ZoneRouting, Zones,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::load::factor;
use super::{Answered, Decimal, Draws, counts, read};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WeightsInput {
    overprovisioning_factor: Option<u32>,
    availability: String,
    localities: Vec<Locality>,
    locality_weights_present: bool,
    picks: Option<Picks>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Locality {
    weight: u32,
    total: u32,
    healthy: u32,
    degraded: u32,
    excluded: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Picks {
    seed: u64,
    count: usize,
}

pub(super) fn locality_weights(input: &Value) -> Answered {
    let input: WeightsInput = read(input)?;
    let availability = match input.availability.as_str() {
        "healthy" => Availability::Healthy,
        "degraded" => Availability::Degraded,
        other => return Err(format!("unknown availability `{other}`")),
    };
    let localities: Vec<LocalityHosts> = input
        .localities
        .iter()
        .map(|&Locality { weight, total, healthy, degraded, excluded }| LocalityHosts {
            weight,
            total,
            healthy,
            degraded,
            excluded,
        })
        .collect();
    let factor = factor(input.overprovisioning_factor)?;
    let weights = if input.locality_weights_present {
        LocalityWeights::new(&localities, factor, availability)
    } else {
        None
    };
    let Some(weights) = weights else {
        return Ok(json!({ "effective_weights": null, "scheduler_built": false }));
    };
    let (seed, count) = input.picks.map_or((0, 0), |picks| (picks.seed, picks.count));
    let scheduler = weights.scheduler(seed);
    let built = scheduler.is_some();
    let sequence: Vec<u32> = scheduler
        .map(|scheduler| (0..count).map(|_| scheduler.pick()).collect())
        .unwrap_or_default();
    Ok(json!({
        "effective_weights": weights.effective(),
        "scheduler_built": built,
        "traffic_fraction": weights.fractions(),
        "pick_counts": counts(localities.len(), &sequence),
        "pick_sequence": sequence,
    }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ZoneAwareInput {
    local_healthy: Vec<Healthy>,
    upstream_healthy: Vec<Healthy>,
    upstream_has_local_locality: bool,
    local_has_local_locality: bool,
    min_cluster_size: Option<u64>,
    locality_basis: Option<String>,
    force_local_zone_min_size: Option<u32>,
    local_all_hosts: Option<Vec<All>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Healthy {
    locality: String,
    healthy_hosts: Option<u32>,
    healthy_host_weights: Option<Vec<u32>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct All {
    locality: String,
    hosts: u32,
}

/// The draws of one asserted pick.
#[derive(Deserialize)]
struct Asked {
    random: Vec<Decimal>,
}

impl Healthy {
    /// A locality that states a number of hosts has hosts of weight 1; all hosts are healthy
    /// unless `all` says otherwise.
    fn zone(&self, all: &[All]) -> Result<Zone<String>, String> {
        let (healthy, healthy_weight) = match (self.healthy_hosts, &self.healthy_host_weights) {
            (Some(hosts), None) => (hosts, hosts.into()),
            (None, Some(weights)) => {
                let hosts = u32::try_from(weights.len()).map_err(|error| error.to_string())?;
                (hosts, weights.iter().map(|&weight| u64::from(weight)).sum())
            }
            _ => return Err("one of healthy_hosts and healthy_host_weights".to_owned()),
        };
        let total = all.iter().find(|all| all.locality == self.locality);
        Ok(Zone {
            locality: self.locality.clone(),
            total: total.map_or(healthy, |all| all.hosts),
            healthy,
            healthy_weight,
        })
    }
}

fn zones(healthy: &[Healthy], all: &[All]) -> Result<Vec<Zone<String>>, String> {
    healthy.iter().map(|healthy| healthy.zone(all)).collect()
}

/// The picks that a case asserts stand, with their draws, in what it expects.
pub(super) fn zone_aware(input: &Value, expect: &Value) -> Answered {
    let asked: Vec<Asked> = expect.get("picks").map_or(Ok(Vec::new()), read)?;
    let input: ZoneAwareInput = read(input)?;
    let defaults = ZoneAwareConfig::default();
    let config = ZoneAwareConfig {
        min_cluster_size: input.min_cluster_size.unwrap_or(defaults.min_cluster_size),
        force_local_zone_min_size: input.force_local_zone_min_size,
        locality_basis: match input.locality_basis.as_deref() {
            None | Some("HEALTHY_HOSTS_NUM") => LocalityBasis::HealthyHostsNum,
            Some("HEALTHY_HOSTS_WEIGHT") => LocalityBasis::HealthyHostsWeight,
            Some(other) => return Err(format!("unknown locality basis `{other}`")),
        },
    };
    let local = zones(&input.local_healthy, input.local_all_hosts.as_deref().unwrap_or(&[]))?;
    let upstream = zones(&input.upstream_healthy, &[])?;
    let routing = ZoneRouting::new(
        &config,
        &Zones { zones: &local, has_local_locality: input.local_has_local_locality },
        &Zones { zones: &upstream, has_local_locality: input.upstream_has_local_locality },
    );
    let routing = match routing {
        Ok(routing) => routing,
        Err(why) => return Ok(json!({ "state": "NoLocalityRouting", "reason": reason(why) })),
    };
    let picks = asked.iter().map(|asked| pick(&routing, asked)).collect::<Result<Vec<_>, _>>()?;
    Ok(json!({
        "state": if routing.is_direct() { "LocalityDirect" } else { "LocalityResidual" },
        "percentages": routing
            .shares()
            .iter()
            .map(|share| json!({ "local": share.local, "upstream": share.upstream }))
            .collect::<Vec<_>>(),
        "local_percent_to_route": routing.local_percent_to_route(),
        "residual_capacity": routing.residual_capacity(),
        "picks": picks,
    }))
}

fn pick(routing: &ZoneRouting, asked: &Asked) -> Answered {
    let mut draws = Draws::new(&asked.random);
    let pick = routing.pick(|| draws.draw());
    Ok(json!({
        "random": draws.drawn()?,
        "locality_index": pick.locality,
        "counter": counter(pick.how),
    }))
}

fn reason(why: NoZoneRouting) -> &'static str {
    match why {
        NoZoneRouting::FewerThanTwoUpstreamLocalities => "fewer_than_2_upstream_localities",
        NoZoneRouting::FewerThanTwoLocalLocalities => "fewer_than_2_local_localities",
        NoZoneRouting::LocalClusterNotOk => "lb_local_cluster_not_ok",
        NoZoneRouting::ClusterTooSmall => "lb_zone_cluster_too_small",
        NoZoneRouting::OtherDataPlane | _ => "unknown",
    }
}

fn counter(how: ZonePickReason) -> &'static str {
    match how {
        ZonePickReason::AllDirectly => "lb_zone_routing_all_directly",
        ZonePickReason::Sampled => "lb_zone_routing_sampled",
        ZonePickReason::CrossZone => "lb_zone_routing_cross_zone",
        ZonePickReason::NoCapacityLeft => "lb_zone_no_capacity_left",
        _ => "unknown",
    }
}
