//! Cases of the area `lb-envoy`.
use mesh_testkit::conformance::Answer;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

mod health;
mod load;

/// Computes one case.
pub(crate) fn answer(op: &str, input: &Value) -> Answer {
    let answered = match op {
        "host_health" => health::host_health(input),
        "priority_load" => load::priority_load(input),
        "choose_priority" => load::choose_priority(input),
        "locality_weights"
        | "zone_aware"
        | "subset"
        | "scale_locality_weight"
        | "ring_hash"
        | "maglev"
        | "bounded_load"
        | "edf"
        | "round_robin_unweighted"
        | "least_request_weight"
        | "least_request_n_choices"
        | "least_request_full_scan"
        | "slow_start"
        | "hash_policy"
        | "hash_function"
        | "retry_priority"
        | "aggregate"
        | "circuit_breaker_thresholds"
        | "retry_limit"
        | "outlier_timeline"
        | "success_rate_threshold"
        | "outlier_config" => return Answer::NotImplemented,
        _ => Err(format!("unknown op `{op}`")),
    };
    answered.map_or_else(Answer::Rejected, Answer::Value)
}

/// What an operation answers: a value, or why its input is not understood.
type Answered = Result<Value, String>;

/// Reads the input of a case; unknown fields are refused by the types.
fn read<T: DeserializeOwned>(input: &Value) -> Result<T, String> {
    T::deserialize(input).map_err(|error| error.to_string())
}

/// A `u64` that is written as a decimal string.
#[derive(Clone, Copy, Debug)]
struct Decimal(u64);

impl<'de> Deserialize<'de> for Decimal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Self).map_err(serde::de::Error::custom)
    }
}
