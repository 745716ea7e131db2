//! `edf`, `round_robin_unweighted`, `least_request_*`, `slow_start`.
use mesh_lb::pick::edf::Edf;
use mesh_lb::pick::least_request::{ActiveRequestBias, ChoiceCount, pick_of_all, pick_of_choices};
use mesh_lb::pick::round_robin::RoundRobin;
use mesh_lb::pick::slow_start::SlowStart;
use serde::Deserialize;
use serde_json::{Value, json};

use super::health::coarse;
use super::{Answered, Decimal, Draws, counts, read};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EdfInput {
    weights: Vec<f64>,
    initial_picks: Decimal,
    picks: usize,
}

pub(super) fn edf(input: &Value) -> Answered {
    let input: EdfInput = read(input)?;
    let weight = |entry: u32| {
        let entry = usize::try_from(entry).ok().and_then(|entry| input.weights.get(entry));
        entry.copied().unwrap_or(0.0)
    };
    let entries = u32::try_from(input.weights.len()).map_err(|error| error.to_string())?;
    let edf = Edf::with_picks(entries, input.initial_picks.0, weight);
    let sequence: Vec<u32> = (0..input.picks).filter_map(|_| edf.pick(weight)).collect();
    let counts = counts(input.weights.len(), &sequence);
    Ok(json!({ "pick_counts": counts, "sequence": sequence }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RoundRobinInput {
    hosts: usize,
    seed: Decimal,
    picks: usize,
}

pub(super) fn round_robin_unweighted(input: &Value) -> Answered {
    let input: RoundRobinInput = read(input)?;
    let round_robin = RoundRobin::new(input.seed.0);
    let sequence: Vec<usize> =
        (0..input.picks).filter_map(|_| round_robin.pick(input.hosts)).collect();
    Ok(json!({ "sequence": sequence }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LeastRequestWeightInput {
    weight: u32,
    active_requests: u64,
    active_request_bias: Option<f64>,
}

pub(super) fn least_request_weight(input: &Value) -> Answered {
    let input: LeastRequestWeightInput = read(input)?;
    let bias =
        input.active_request_bias.map_or_else(ActiveRequestBias::default, ActiveRequestBias::new);
    Ok(json!({ "effective_weight": bias.weight(input.weight, input.active_requests) }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LeastRequestInput {
    active_requests: Vec<u64>,
    choice_count: Option<u32>,
    random: Vec<Decimal>,
}

impl LeastRequestInput {
    fn active(&self, host: usize) -> u64 {
        self.active_requests.get(host).copied().unwrap_or(0)
    }
}

pub(super) fn least_request_n_choices(input: &Value) -> Answered {
    let input: LeastRequestInput = read(input)?;
    let choices = input
        .choice_count
        .map_or(Ok(ChoiceCount::default()), ChoiceCount::new)
        .map_err(|error| error.to_string())?;
    let mut draws = Draws::new(&input.random);
    let hosts = input.active_requests.len();
    let host = pick_of_choices(hosts, choices, |host| input.active(host), || draws.draw());
    draws.drawn()?;
    Ok(json!({ "host": host }))
}

pub(super) fn least_request_full_scan(input: &Value) -> Answered {
    let input: LeastRequestInput = read(input)?;
    let mut draws = Draws::new(&input.random);
    let hosts = input.active_requests.len();
    let host = pick_of_all(hosts, |host| input.active(host), || draws.draw());
    draws.drawn()?;
    Ok(json!({ "host": host }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SlowStartInput {
    weight: f64,
    ms_since_healthy: Option<u64>,
    slow_start_window_ms: u64,
    aggression: Option<f64>,
    min_weight_percent: Option<f64>,
    coarse_health: String,
}

pub(super) fn slow_start(input: &Value) -> Answered {
    let input: SlowStartInput = read(input)?;
    let defaults = SlowStart::default();
    let slow_start = SlowStart {
        window_ms: input.slow_start_window_ms,
        aggression: input.aggression.unwrap_or(defaults.aggression),
        min_weight_percent: input.min_weight_percent.unwrap_or(defaults.min_weight_percent),
    };
    let coarse = coarse(&input.coarse_health)?;
    let weight = slow_start.weight(input.weight, coarse, input.ms_since_healthy);
    Ok(json!({ "effective_weight": weight }))
}
