//! `grpc_shares`, `grpc_eds_accept`, `grpc_endpoint_weights`.
use std::collections::BTreeMap;

use mesh_lb::grpc::assignment::{
    Accepted, Endpoint as GrpcEndpoint, GrpcLocality, WeightScheme,
    endpoint_weights as weights_of_level,
};
use mesh_lb::grpc::connectivity::Connectivity;
use mesh_lb::grpc::ring::RingSize;
use mesh_lb::grpc::share::{DropOverload, GrpcPolicy, shares as grpc_shares};
use mesh_lb::health::status::HealthStatus;
use mesh_model::name::Locality as LocalityName;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Answered, read};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Locality {
    locality: Option<String>,
    #[serde(default)]
    priority: u32,
    weight: Option<u32>,
    #[serde(default)]
    endpoints: Vec<Endpoint>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Endpoint {
    address: String,
    #[serde(default)]
    additional_addresses: Vec<String>,
    weight: Option<u32>,
    health_status: Option<String>,
    state: Option<String>,
    #[serde(default)]
    hash_key: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Drop {
    category: String,
    numerator: u32,
    denominator: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Input {
    #[serde(default)]
    localities: Vec<Locality>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SharesInput {
    lb_policy: String,
    #[serde(default)]
    localities: Vec<Locality>,
    #[serde(default)]
    drop_overloads: Vec<Drop>,
    #[serde(default)]
    init_timer_expired: Vec<u32>,
}

fn localities(localities: &[Locality]) -> Result<Vec<GrpcLocality>, String> {
    localities
        .iter()
        .map(|locality| {
            Ok(GrpcLocality {
                name: locality.locality.as_deref().map(LocalityName::parse),
                priority: locality.priority,
                weight: locality.weight.unwrap_or(0),
                endpoints: locality
                    .endpoints
                    .iter()
                    .map(endpoint)
                    .collect::<Result<_, String>>()?,
            })
        })
        .collect()
}

fn endpoint(endpoint: &Endpoint) -> Result<GrpcEndpoint, String> {
    Ok(GrpcEndpoint {
        address: endpoint.address.as_str().into(),
        additional_addresses: endpoint
            .additional_addresses
            .iter()
            .map(|address| address.as_str().into())
            .collect(),
        weight: endpoint.weight,
        health: status(endpoint.health_status.as_deref().unwrap_or("UNKNOWN"))?,
        hash_key: endpoint.hash_key.as_str().into(),
    })
}

fn status(name: &str) -> Result<HealthStatus, String> {
    Ok(match name {
        "UNKNOWN" => HealthStatus::Unknown,
        "HEALTHY" => HealthStatus::Healthy,
        "UNHEALTHY" => HealthStatus::Unhealthy,
        "DRAINING" => HealthStatus::Draining,
        "TIMEOUT" => HealthStatus::Timeout,
        "DEGRADED" => HealthStatus::Degraded,
        _ => return Err(format!("unknown health status `{name}`")),
    })
}

pub(super) fn connectivity(name: &str) -> Result<Connectivity, String> {
    Ok(match name {
        "CONNECTING" => Connectivity::Connecting,
        "READY" => Connectivity::Ready,
        "IDLE" => Connectivity::Idle,
        "TRANSIENT_FAILURE" => Connectivity::TransientFailure,
        _ => return Err(format!("unknown state `{name}`")),
    })
}

pub(super) fn connectivity_name(state: Connectivity) -> &'static str {
    match state {
        Connectivity::Connecting => "CONNECTING",
        Connectivity::Ready => "READY",
        Connectivity::Idle => "IDLE",
        Connectivity::TransientFailure => "TRANSIENT_FAILURE",
    }
}

pub(super) fn eds_accept(input: &Value) -> Answered {
    let input: Input = read(input)?;
    let localities = localities(&input.localities)?;
    let Ok(accepted) = Accepted::new(&localities) else { return Ok(json!({ "accepted": false })) };
    let kept: Vec<Value> = accepted.localities().iter().map(|kept| printed(kept)).collect();
    Ok(json!({ "accepted": true, "localities": kept }))
}

fn printed(locality: &GrpcLocality) -> Value {
    json!([name(locality), locality.priority, locality.weight])
}

fn name(locality: &GrpcLocality) -> String {
    let parts = locality.name.as_ref();
    parts.map_or_else(String::new, |name| [name.region(), name.zone(), name.sub_zone()].join("/"))
}

pub(super) fn endpoint_weights(input: &Value) -> Answered {
    let input: Input = read(input)?;
    let localities = localities(&input.localities)?;
    let accepted = Accepted::new(&localities).map_err(|error| error.to_string())?;
    let weights = weights_of_level(WeightScheme::FixedPoint, accepted.localities());
    let of_endpoints = accepted.localities().iter().zip(&weights);
    let weights: Map<String, Value> = of_endpoints
        .flat_map(|(locality, weights)| locality.endpoints.iter().zip(weights))
        .map(|(endpoint, weight)| (endpoint.address.to_string(), json!(weight)))
        .collect();
    Ok(json!({ "weights": weights }))
}

pub(super) fn shares(input: &Value) -> Answered {
    let input: SharesInput = read(input)?;
    let policy = match input.lb_policy.as_str() {
        "ROUND_ROBIN" => GrpcPolicy::RoundRobin,
        "LEAST_REQUEST" => GrpcPolicy::LeastRequest,
        "RING_HASH" => GrpcPolicy::RingHash(RingSize::default()),
        other => return Ok(json!({ "error": format!("policy `{other}`") })),
    };
    let states: BTreeMap<&str, Connectivity> = input
        .localities
        .iter()
        .flat_map(|locality| &locality.endpoints)
        .map(|endpoint| {
            let state = connectivity(endpoint.state.as_deref().unwrap_or("READY"))?;
            Ok((endpoint.address.as_str(), state))
        })
        .collect::<Result<_, String>>()?;
    let localities = localities(&input.localities)?;
    let accepted = match Accepted::new(&localities) {
        Ok(accepted) => accepted,
        Err(error) => return Ok(json!({ "error": error.to_string() })),
    };
    let mut drops = Vec::new();
    for drop in &input.drop_overloads {
        match DropOverload::new(drop.numerator, denominator(&drop.denominator)) {
            Some(drop) => drops.push(drop),
            None => return Ok(json!({ "error": format!("denominator `{}`", drop.denominator) })),
        }
    }
    let state =
        |endpoint: &GrpcEndpoint| states.get(&*endpoint.address).copied().unwrap_or_default();
    let timed_out = |level| input.init_timer_expired.contains(&level);
    let shares = grpc_shares(policy, &accepted, &drops, state, timed_out);
    let locality = |place: usize| accepted.localities().get(place).copied();
    let of_localities: Map<String, Value> = shares
        .localities
        .iter()
        .filter_map(|&(place, share)| Some((name(locality(place)?), json!(share))))
        .collect();
    let of_endpoints: Map<String, Value> = shares
        .endpoints
        .iter()
        .filter_map(|&(place, index, share)| {
            let endpoint = locality(place)?.endpoints.get(index)?;
            Some((endpoint.address.to_string(), json!(share)))
        })
        .collect();
    let categories = input.drop_overloads.iter().zip(&shares.dropped);
    let dropped: Vec<Value> = categories
        .map(|(drop, share)| json!({ "category": drop.category, "share": share }))
        .collect();
    Ok(json!({
        "priority": shares.level,
        "state": connectivity_name(shares.state),
        "localities": of_localities,
        "endpoints": of_endpoints,
        "queued": shares.queued,
        "failed": shares.failed,
        "dropped": dropped,
    }))
}

/// 0 is no denominator: the library refuses it.
fn denominator(name: &str) -> u32 {
    match name {
        "HUNDRED" => 100,
        "TEN_THOUSAND" => 10_000,
        "MILLION" => 1_000_000,
        _ => 0,
    }
}
