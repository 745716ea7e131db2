//! Retries of requests.
//!
//! # Upstream
//!
//! istio/istio `pilot/pkg/networking/core/route/retry/retry.go`.
use mesh_envoy_proto::envoy::config::route::v3::RetryPolicy;
use mesh_envoy_proto::envoy::config::route::v3::retry_policy::{
    RetryBackOff, RetryHostPredicate, RetryPriority, retry_host_predicate, retry_priority,
};
use mesh_envoy_proto::envoy::extensions::retry::host::previous_hosts::v3::PreviousHostsPredicate;
use mesh_envoy_proto::envoy::extensions::retry::priority::previous_priorities::v3::PreviousPrioritiesConfig;
use mesh_envoy_proto::pack;
use mesh_model::resource::virtual_service::Retry;

use super::value::duration;

const RETRY_ON: &str =
    "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes";
/// What a workload cannot have begun to answer.
const INBOUND_RETRY_ON: &str = "reset-before-request";
const STATUS_CODES: &str = "retriable-status-codes";
const ATTEMPTS: u32 = 2;
/// How often a host is chosen again because the one chosen has been tried.
const HOST_SELECTIONS: i64 = 5;

/// Whether a retry may go to a host that was tried before.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a host is tried again, or it is not")]
pub enum PreviousHosts {
    /// Another one is looked for.
    Avoided,
    /// The key of the request decides: a consistent hash would leave its host.
    Kept,
}

/// Returns Envoy's policy: Istio's default without one, none without attempts.
///
/// Entries of `retryOn` that are statuses with a name become `retriable_status_codes`; codes alone
/// leave a text that begins with a comma, as upstream's does.
///
/// # Upstream
///
/// istio/istio `retry.go` `ConvertPolicy`.
pub fn policy(retry: Option<&Retry>, previous_hosts: PreviousHosts) -> Option<RetryPolicy> {
    let mut policy = RetryPolicy {
        retry_on: RETRY_ON.to_owned(),
        num_retries: Some(ATTEMPTS),
        host_selection_retry_max_attempts: HOST_SELECTIONS,
        ..Default::default()
    };
    let avoids = retry
        .and_then(|retry| retry.retry_ignore_previous_hosts)
        .unwrap_or(previous_hosts == PreviousHosts::Avoided);
    if avoids {
        policy.retry_host_predicate.push(other_hosts());
    }
    let Some(retry) = retry else { return Some(policy) };
    policy.num_retries = Some(attempts(retry)?);
    if !retry.retry_on.is_empty() {
        (policy.retry_on, policy.retriable_status_codes) = conditions(&retry.retry_on);
    }
    policy.per_try_timeout = retry.per_try_timeout.map(duration);
    if retry.retry_remote_localities == Some(true) {
        policy.retry_priority = Some(other_priorities());
    }
    policy.retry_back_off = back_off(retry);
    Some(policy)
}

/// Returns Envoy's policy of what a workload receives: Istio's default without one, none without attempts.
///
/// There is one host, so nothing is said of other hosts and localities, and a try has no time of its own.
///
/// # Upstream
///
/// istio/istio `retry.go` `ConvertInboundPolicy`.
pub(crate) fn inbound(retry: Option<&Retry>) -> Option<RetryPolicy> {
    let mut policy = RetryPolicy {
        retry_on: INBOUND_RETRY_ON.to_owned(),
        num_retries: Some(ATTEMPTS),
        ..Default::default()
    };
    if let Some(retry) = retry {
        policy.num_retries = Some(attempts(retry)?);
        if !retry.retry_on.is_empty() {
            (policy.retry_on, policy.retriable_status_codes) = conditions(&retry.retry_on);
        }
        policy.retry_back_off = back_off(retry);
    }
    Some(policy)
}

/// How often it is tried again, at least once.
fn attempts(retry: &Retry) -> Option<u32> {
    u32::try_from(retry.attempts).ok().filter(|attempts| *attempts > 0)
}

fn back_off(retry: &Retry) -> Option<RetryBackOff> {
    retry.backoff.map(|backoff| RetryBackOff {
        base_interval: Some(duration(backoff)),
        ..Default::default()
    })
}

fn other_hosts() -> RetryHostPredicate {
    let config = pack(&PreviousHostsPredicate {});
    RetryHostPredicate {
        name: "envoy.retry_host_predicates.previous_hosts".to_owned(),
        config_type: Some(retry_host_predicate::ConfigType::TypedConfig(config)),
    }
}

fn other_priorities() -> RetryPriority {
    let config = pack(&PreviousPrioritiesConfig { update_frequency: 2 });
    RetryPriority {
        name: "envoy.retry_priorities.previous_priorities".to_owned(),
        config_type: Some(retry_priority::ConfigType::TypedConfig(config)),
    }
}

/// Conditions and statuses of a list.
fn conditions(retry_on: &str) -> (String, Vec<u32>) {
    let mut codes = Vec::new();
    let mut names = Vec::new();
    for part in retry_on.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        match part.parse::<u32>().ok().filter(|code| is_status(*code)) {
            Some(code) => codes.push(code),
            None => names.push(part),
        }
    }
    let mut text = names.join(",");
    if !codes.is_empty() && !text.contains(STATUS_CODES) {
        text.push(',');
        text.push_str(STATUS_CODES);
    }
    (text, codes)
}

/// Whether a number is an HTTP status that Go has a text for.
const fn is_status(code: u32) -> bool {
    matches!(
        code,
        100..=103
            | 200..=208
            | 226
            | 300..=305
            | 307..=308
            | 400..=418
            | 421..=426
            | 428..=429
            | 431
            | 451
            | 500..=508
            | 510..=511
    )
}
