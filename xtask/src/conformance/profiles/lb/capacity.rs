//! `overloaded`.
use mesh_lb::capacity::{
    CapacitySource, CarriedLoad, DEFAULT_LIMIT, Scaling, milli_cpu, overloaded as find,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answered, read};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Input {
    endpoints: Vec<Endpoint>,
    limit: Option<f64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Endpoint {
    address: String,
    before: f64,
    after: f64,
    weight: Option<u32>,
    cpu_request: Option<String>,
    replicas: Option<u32>,
    max_replicas: Option<u32>,
}

pub(super) fn overloaded(input: &Value) -> Answered {
    let input: Input = read(input)?;
    let endpoints: Vec<CarriedLoad> = input
        .endpoints
        .iter()
        .map(|endpoint| {
            let cpu = endpoint.cpu_request.as_ref();
            let cpu_request = cpu
                .map(|text| milli_cpu(text).ok_or_else(|| format!("cpu request `{text}`")))
                .transpose()?;
            let scaling = endpoint
                .replicas
                .zip(endpoint.max_replicas)
                .map(|(replicas, max_replicas)| Scaling { replicas, max_replicas });
            Ok(CarriedLoad {
                address: endpoint.address.as_str().into(),
                before: endpoint.before,
                after: endpoint.after,
                weight: endpoint.weight,
                cpu_request,
                scaling,
            })
        })
        .collect::<Result<_, String>>()?;
    let found = find(&endpoints, input.limit.unwrap_or(DEFAULT_LIMIT));
    let overloaded: Vec<Value> = found
        .overloaded
        .iter()
        .map(|one| match (one.factor_scaled, one.absorbed_by_scaling) {
            (Some(scaled), Some(absorbed)) => json!({
                "address": one.address,
                "factor": one.factor,
                "factor_scaled": scaled,
                "absorbed_by_scaling": absorbed,
            }),
            _ => json!({ "address": one.address, "factor": one.factor }),
        })
        .collect();
    let source = match found.source {
        CapacitySource::Weight => "weight",
        CapacitySource::CpuRequest => "cpu_request",
        CapacitySource::Equal => "equal",
    };
    Ok(json!({
        "capacity_source": source,
        "reference": found.reference,
        "overloaded": overloaded,
    }))
}
