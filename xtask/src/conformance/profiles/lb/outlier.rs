//! `grpc_outlier_config`, `grpc_outlier_sweeps`.
use mesh_lb::grpc::outlier::{
    FailurePercentageEjection, GrpcOutlierConfig, GrpcOutlierDetector, OutlierMessage,
    SuccessRateEjection,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answered, read};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ConfigInput {
    outlier_detection: Message,
}

/// Envoy's message; a gRPC client does not read the fields of the second group.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Message {
    interval_ms: Option<i64>,
    base_ejection_time_ms: Option<i64>,
    max_ejection_time_ms: Option<i64>,
    max_ejection_percent: Option<u32>,
    enforcing_success_rate: Option<u32>,
    success_rate_stdev_factor: Option<u32>,
    success_rate_minimum_hosts: Option<u32>,
    success_rate_request_volume: Option<u32>,
    enforcing_failure_percentage: Option<u32>,
    failure_percentage_threshold: Option<u32>,
    failure_percentage_minimum_hosts: Option<u32>,
    failure_percentage_request_volume: Option<u32>,

    #[serde(rename = "consecutive_5xx")]
    _consecutive_5xx: Option<u32>,
    #[serde(rename = "enforcing_consecutive_5xx")]
    _enforcing_consecutive_5xx: Option<u32>,
    #[serde(rename = "consecutive_gateway_failure")]
    _consecutive_gateway_failure: Option<u32>,
    #[serde(rename = "enforcing_consecutive_gateway_failure")]
    _enforcing_consecutive_gateway_failure: Option<u32>,
    #[serde(rename = "consecutive_local_origin_failure")]
    _consecutive_local_origin_failure: Option<u32>,
    #[serde(rename = "enforcing_consecutive_local_origin_failure")]
    _enforcing_consecutive_local_origin_failure: Option<u32>,
    #[serde(rename = "split_external_local_origin_errors")]
    _split_external_local_origin_errors: Option<bool>,
}

pub(super) fn config(input: &Value) -> Answered {
    let input: ConfigInput = read(input)?;
    let message = input.outlier_detection;
    let message = OutlierMessage {
        interval_ms: message.interval_ms,
        base_ejection_time_ms: message.base_ejection_time_ms,
        max_ejection_time_ms: message.max_ejection_time_ms,
        max_ejection_percent: message.max_ejection_percent,
        enforcing_success_rate: message.enforcing_success_rate,
        success_rate_stdev_factor: message.success_rate_stdev_factor,
        success_rate_minimum_hosts: message.success_rate_minimum_hosts,
        success_rate_request_volume: message.success_rate_request_volume,
        enforcing_failure_percentage: message.enforcing_failure_percentage,
        failure_percentage_threshold: message.failure_percentage_threshold,
        failure_percentage_minimum_hosts: message.failure_percentage_minimum_hosts,
        failure_percentage_request_volume: message.failure_percentage_request_volume,
    };
    let config = match GrpcOutlierConfig::of_message(&message) {
        Ok(config) => config,
        Err(error) => return Ok(json!({ "error": error.to_string() })),
    };
    Ok(json!({
        "interval_ms": config.interval_ms,
        "base_ejection_time_ms": config.base_ejection_time_ms,
        "max_ejection_time_ms": config.max_ejection_time_ms,
        "max_ejection_percent": config.max_ejection_percent,
        "success_rate": config.success_rate.map(|rule| json!({
            "stdev_factor": rule.stdev_factor,
            "enforcement_percentage": rule.enforcement_percentage,
            "minimum_hosts": rule.minimum_hosts,
            "request_volume": rule.request_volume,
        })),
        "failure_percentage": config.failure_percentage.map(|rule| json!({
            "threshold": rule.threshold,
            "enforcement_percentage": rule.enforcement_percentage,
            "minimum_hosts": rule.minimum_hosts,
            "request_volume": rule.request_volume,
        })),
    }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SweepsInput {
    config: Config,
    intervals: Vec<Vec<(u32, u32)>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    interval_ms: u64,
    base_ejection_time_ms: u64,
    max_ejection_time_ms: u64,
    max_ejection_percent: u32,
    success_rate: Option<SuccessRate>,
    failure_percentage: Option<FailurePercentage>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SuccessRate {
    stdev_factor: u32,
    enforcement_percentage: u32,
    minimum_hosts: u32,
    request_volume: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FailurePercentage {
    threshold: u32,
    enforcement_percentage: u32,
    minimum_hosts: u32,
    request_volume: u32,
}

pub(super) fn sweeps(input: &Value) -> Answered {
    let input: SweepsInput = read(input)?;
    let config = GrpcOutlierConfig {
        interval_ms: input.config.interval_ms,
        base_ejection_time_ms: input.config.base_ejection_time_ms,
        max_ejection_time_ms: input.config.max_ejection_time_ms,
        max_ejection_percent: input.config.max_ejection_percent,
        success_rate: input.config.success_rate.map(|rule| SuccessRateEjection {
            stdev_factor: rule.stdev_factor,
            enforcement_percentage: rule.enforcement_percentage,
            minimum_hosts: rule.minimum_hosts,
            request_volume: rule.request_volume,
        }),
        failure_percentage: input.config.failure_percentage.map(|rule| FailurePercentageEjection {
            threshold: rule.threshold,
            enforcement_percentage: rule.enforcement_percentage,
            minimum_hosts: rule.minimum_hosts,
            request_volume: rule.request_volume,
        }),
    };
    let endpoints = input.intervals.iter().map(Vec::len).max().unwrap_or(0);
    let mut detector = GrpcOutlierDetector::new(config, endpoints);
    let mut now = 0;
    let mut sweeps = Vec::new();
    for interval in &input.intervals {
        now += config.interval_ms;
        for (endpoint, &(ok, failed)) in interval.iter().enumerate() {
            (0..ok).for_each(|_| detector.handle_result(endpoint, true));
            (0..failed).for_each(|_| detector.handle_result(endpoint, false));
        }
        detector.handle_sweep(now, || 0);
        let all = || 0..endpoints;
        sweeps.push(json!({
            "t_ms": now,
            "ejected": all().filter(|&e| detector.is_ejected(e)).collect::<Vec<_>>(),
            "multiplier": all().map(|e| detector.multiplier(e)).collect::<Vec<_>>(),
            "counted": detector.counted(),
        }));
    }
    Ok(json!({ "sweeps": sweeps }))
}
