//! Cases of the area `lb-envoy`.
use mesh_testkit::conformance::Answer;
use serde_json::Value;

use super::input::{Answered, Decimal, read};

mod hash;
mod health;
mod load;
mod locality;
mod outlier;
mod pick;
mod retry;
mod subset;
mod table;

/// Computes one case. Some cases put questions (hashes to look up, random draws) next to their
/// answers in `expect`; only the questions are read there.
pub(crate) fn answer(op: &str, input: &Value, expect: &Value) -> Answer {
    let answered = match op {
        "host_health" => health::host_health(input),
        "priority_load" => load::priority_load(input),
        "choose_priority" => load::choose_priority(input),
        "locality_weights" => locality::locality_weights(input),
        "zone_aware" => locality::zone_aware(input, expect),
        "edf" => pick::edf(input),
        "round_robin_unweighted" => pick::round_robin_unweighted(input),
        "least_request_weight" => pick::least_request_weight(input),
        "least_request_n_choices" => pick::least_request_n_choices(input),
        "least_request_full_scan" => pick::least_request_full_scan(input),
        "slow_start" => pick::slow_start(input),
        "retry_priority" => retry::retry_priority(input),
        "aggregate" => load::aggregate(input),
        "circuit_breaker_thresholds" => retry::circuit_breaker_thresholds(input),
        "retry_limit" => retry::retry_limit(input),
        "ring_hash" => table::ring_hash(input, expect),
        "maglev" => table::maglev(input, expect),
        "bounded_load" => table::bounded_load(input),
        "hash_policy" => hash::hash_policy(input),
        "hash_function" => hash::hash_function(input),
        "subset" => subset::subset(input),
        "scale_locality_weight" => subset::scale_locality_weight(input),
        "outlier_timeline" => outlier::outlier_timeline(input),
        "success_rate_threshold" => outlier::success_rate_threshold(input),
        "outlier_config" => outlier::outlier_config(input),
        _ => Err(format!("unknown op `{op}`")),
    };
    answered.map_or_else(Answer::Rejected, Answer::Value)
}

/// The random draws that a case prescribes.
struct Draws<'a> {
    draws: &'a [Decimal],
    used: usize,
}

impl<'a> Draws<'a> {
    const fn new(draws: &'a [Decimal]) -> Self {
        Self { draws, used: 0 }
    }

    /// The next draw; past the last one, 0 and an error when [`drawn`](Self::drawn) is asked.
    fn draw(&mut self) -> u64 {
        let draw = self.draws.get(self.used).map_or(0, |draw| draw.0);
        self.used += 1;
        draw
    }

    /// What was drawn, as the cases write it.
    fn drawn(&self) -> Result<Vec<String>, String> {
        let drawn = self.draws.get(..self.used).ok_or("more was drawn than the case prescribes")?;
        Ok(drawn.iter().map(|draw| draw.0.to_string()).collect())
    }
}

/// How often each of `n` things occurs in a sequence.
fn counts(n: usize, sequence: &[u32]) -> Vec<usize> {
    (0..n)
        .map(|thing| sequence.iter().filter(|&&one| usize::try_from(one) == Ok(thing)).count())
        .collect()
}
