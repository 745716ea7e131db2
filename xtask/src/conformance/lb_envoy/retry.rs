//! `retry_priority`, `circuit_breaker_thresholds`, `retry_limit`.
use mesh_lb::load::{DataPlane, LevelLoad, PanicThreshold, Percent, PriorityLoad};
use mesh_lb::retry::budget::RetryBudget;
use mesh_lb::retry::circuit_breaker::{
    Limits, RetryLimit, RoutingPriority, Thresholds, can_create,
};
use mesh_lb::retry::previous_priorities::{PreviousPriorities, UpdateFrequency};
use serde::Deserialize;
use serde_json::{Value, json};

use super::load::{Level, levels};
use super::{Answered, read};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RetryPriorityInput {
    update_frequency: usize,
    priorities: Vec<Level>,
    attempted_priorities: Vec<u32>,
    healthy_panic_threshold: Option<f64>,
}

pub(super) fn retry_priority(input: &Value) -> Answered {
    let input: RetryPriorityInput = read(input)?;
    let threshold = input
        .healthy_panic_threshold
        .map_or_else(PanicThreshold::default, PanicThreshold::from_fraction);
    let frequency = UpdateFrequency::new(input.update_frequency)
        .ok_or_else(|| "update frequency of 0".to_owned())?;
    let mut original = PriorityLoad::default();
    original.spill(DataPlane::Envoy, &levels(&input.priorities)?, threshold);
    let mut retries = PreviousPriorities::new(frequency);
    let mut at_attempt = vec![loads(retries.loads(original.levels()))];
    for priority in input.attempted_priorities {
        retries.attempt(priority);
        at_attempt.push(loads(retries.loads(original.levels())));
    }
    Ok(json!({ "original": loads(original.levels()), "load_at_attempt": at_attempt }))
}

fn loads(levels: &[LevelLoad]) -> Value {
    let column = |of: fn(&LevelLoad) -> Percent| {
        levels.iter().map(|level| of(level).get()).collect::<Vec<_>>()
    };
    json!({
        "healthy_load": column(|level| level.healthy_load),
        "degraded_load": column(|level| level.degraded_load),
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ThresholdsInput {
    thresholds: Vec<Entry>,
    query: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    priority: Option<String>,
    max_connections: Option<u32>,
    max_pending_requests: Option<u32>,
    max_requests: Option<u32>,
    max_retries: Option<u32>,
    max_connection_pools: Option<u32>,
    retry_budget: Option<Budget>,
    #[serde(default)]
    track_remaining: bool,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
struct Budget {
    budget_percent: Option<f64>,
    min_retry_concurrency: Option<u32>,
}

impl Budget {
    fn budget(self) -> RetryBudget {
        let defaults = RetryBudget::default();
        RetryBudget {
            budget_percent: self.budget_percent.unwrap_or(defaults.budget_percent),
            min_retry_concurrency: self
                .min_retry_concurrency
                .unwrap_or(defaults.min_retry_concurrency),
        }
    }
}

fn routing_priority(name: &str) -> Result<RoutingPriority, String> {
    match name {
        "DEFAULT" => Ok(RoutingPriority::Default),
        "HIGH" => Ok(RoutingPriority::High),
        _ => Err(format!("unknown routing priority `{name}`")),
    }
}

pub(super) fn circuit_breaker_thresholds(input: &Value) -> Answered {
    let input: ThresholdsInput = read(input)?;
    let thresholds = input
        .thresholds
        .iter()
        .map(|entry| {
            Ok(Thresholds {
                priority: routing_priority(entry.priority.as_deref().unwrap_or("DEFAULT"))?,
                max_connections: entry.max_connections,
                max_pending_requests: entry.max_pending_requests,
                max_requests: entry.max_requests,
                max_retries: entry.max_retries,
                max_connection_pools: entry.max_connection_pools,
                retry_budget: entry.retry_budget.map(Budget::budget),
                track_remaining: entry.track_remaining,
            })
        })
        .collect::<Result<Vec<_>, String>>()?;
    let limits = Limits::in_force(&thresholds, routing_priority(&input.query)?);
    let (max_retries, budget) = match limits.retries {
        RetryLimit::Max(max) => (Some(max), None),
        RetryLimit::Budget(RetryBudget { budget_percent, min_retry_concurrency }) => (
            None,
            Some(json!({
                "budget_percent": budget_percent,
                "min_retry_concurrency": min_retry_concurrency,
            })),
        ),
    };
    Ok(json!({
        "max_connections": limits.max_connections,
        "max_pending_requests": limits.max_pending_requests,
        "max_requests": limits.max_requests,
        "max_retries": max_retries,
        "retry_budget": budget,
        "max_connection_pools": limits.max_connection_pools.map_or(json!("unlimited"), |max| json!(max)),
        "track_remaining": limits.track_remaining,
    }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RetryLimitInput {
    active_requests: u64,
    pending_requests: u64,
    current_retries: u64,
    max_retries: Option<u32>,
    retry_budget: Option<Budget>,
}

pub(super) fn retry_limit(input: &Value) -> Answered {
    let input: RetryLimitInput = read(input)?;
    let thresholds = Thresholds {
        max_retries: input.max_retries,
        retry_budget: input.retry_budget.map(Budget::budget),
        ..Thresholds::default()
    };
    let limits = Limits::in_force(&[thresholds], RoutingPriority::Default);
    let limit = limits.retries.max(input.active_requests, input.pending_requests);
    Ok(json!({ "retry_limit": limit, "can_create": can_create(input.current_retries, limit) }))
}
