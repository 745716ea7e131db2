//! `outlier_timeline`, `success_rate_threshold`, `outlier_config`.
use mesh_lb::health::outlier::{
    EjectionKind, EjectionTime, Outcome, OutlierConfig, OutlierDetector, OutlierStats,
    ejection_threshold,
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Answered, read};

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Config {
    consecutive_5xx: Option<u32>,
    enforcing_consecutive_5xx: Option<u32>,
    consecutive_gateway_failure: Option<u32>,
    enforcing_consecutive_gateway_failure: Option<u32>,
    consecutive_local_origin_failure: Option<u32>,
    enforcing_consecutive_local_origin_failure: Option<u32>,
    success_rate_minimum_hosts: Option<u32>,
    success_rate_request_volume: Option<u32>,
    success_rate_stdev_factor: Option<u32>,
    enforcing_success_rate: Option<u32>,
    enforcing_local_origin_success_rate: Option<u32>,
    failure_percentage_threshold: Option<u32>,
    failure_percentage_minimum_hosts: Option<u32>,
    failure_percentage_request_volume: Option<u32>,
    enforcing_failure_percentage: Option<u32>,
    enforcing_failure_percentage_local_origin: Option<u32>,
    interval_ms: Option<u64>,
    base_ejection_time_ms: Option<u64>,
    max_ejection_time_ms: Option<u64>,
    max_ejection_time_jitter_ms: Option<u64>,
    max_ejection_percent: Option<u32>,
    always_eject_one_host: Option<bool>,
    split_external_local_origin_errors: Option<bool>,
    successful_active_health_check_uneject_host: Option<bool>,
}

fn set<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}

impl Config {
    /// The outer error is an input that is not understood, the inner one what the library refuses.
    fn config(self) -> Result<OutlierConfig, String> {
        let base = self.base_ejection_time_ms.unwrap_or(EjectionTime::default().base_ms());
        let times = EjectionTime::new(base, self.max_ejection_time_ms);
        let mut config = OutlierConfig {
            ejection_time: times.map_err(|error| error.to_string())?,
            ..OutlierConfig::default()
        };
        let c = &mut config;
        set(&mut c.consecutive_5xx, self.consecutive_5xx);
        set(&mut c.enforcing_consecutive_5xx, self.enforcing_consecutive_5xx);
        set(&mut c.consecutive_gateway_failure, self.consecutive_gateway_failure);
        set(
            &mut c.enforcing_consecutive_gateway_failure,
            self.enforcing_consecutive_gateway_failure,
        );
        set(&mut c.consecutive_local_origin_failure, self.consecutive_local_origin_failure);
        set(
            &mut c.enforcing_consecutive_local_origin_failure,
            self.enforcing_consecutive_local_origin_failure,
        );
        set(&mut c.success_rate_minimum_hosts, self.success_rate_minimum_hosts);
        set(&mut c.success_rate_request_volume, self.success_rate_request_volume);
        set(&mut c.success_rate_stdev_factor, self.success_rate_stdev_factor);
        set(&mut c.enforcing_success_rate, self.enforcing_success_rate);
        set(&mut c.enforcing_local_origin_success_rate, self.enforcing_local_origin_success_rate);
        set(&mut c.failure_percentage_threshold, self.failure_percentage_threshold);
        set(&mut c.failure_percentage_minimum_hosts, self.failure_percentage_minimum_hosts);
        set(&mut c.failure_percentage_request_volume, self.failure_percentage_request_volume);
        set(&mut c.enforcing_failure_percentage, self.enforcing_failure_percentage);
        set(
            &mut c.enforcing_failure_percentage_local_origin,
            self.enforcing_failure_percentage_local_origin,
        );
        set(&mut c.interval_ms, self.interval_ms);
        set(&mut c.max_ejection_time_jitter_ms, self.max_ejection_time_jitter_ms);
        set(&mut c.max_ejection_percent, self.max_ejection_percent);
        set(&mut c.always_eject_one_host, self.always_eject_one_host);
        set(&mut c.split_external_local_origin_errors, self.split_external_local_origin_errors);
        set(
            &mut c.successful_active_health_check_uneject_host,
            self.successful_active_health_check_uneject_host,
        );
        Ok(config)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TimelineInput {
    config: Config,
    hosts: usize,
    steps: Vec<Step>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    host: Option<Hosts>,
    http: Option<u16>,
    result: Option<String>,
    code: Option<u16>,
    repeat: Option<u32>,
    #[serde(default)]
    tick: bool,
    active_hc_success: Option<usize>,
    check: Option<String>,
    t_ms: Option<u64>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Hosts {
    One(usize),
    Several(Vec<usize>),
}

impl Hosts {
    fn list(&self) -> &[usize] {
        match self {
            Self::One(host) => std::slice::from_ref(host),
            Self::Several(hosts) => hosts,
        }
    }
}

fn outcome(name: &str) -> Result<Outcome, String> {
    Ok(match name {
        "EXT_ORIGIN_REQUEST_SUCCESS" => Outcome::ExtOriginRequestSuccess,
        "EXT_ORIGIN_REQUEST_FAILED" => Outcome::ExtOriginRequestFailed,
        "LOCAL_ORIGIN_CONNECT_FAILED" => Outcome::LocalOriginConnectFailed,
        "LOCAL_ORIGIN_TIMEOUT" => Outcome::LocalOriginTimeout,
        "LOCAL_ORIGIN_CONNECT_SUCCESS" => Outcome::LocalOriginConnectSuccess,
        "LOCAL_ORIGIN_CONNECT_SUCCESS_FINAL" => Outcome::LocalOriginConnectSuccessFinal,
        _ => return Err(format!("unknown result `{name}`")),
    })
}

/// One step; the random numbers are 0: whatever has a chance happens, and there is no jitter.
fn apply(detector: &mut OutlierDetector, step: &Step, now: u64) -> Result<(), String> {
    if step.tick {
        detector.handle_sweep(now, || 0);
        return Ok(());
    }
    if let Some(host) = step.active_hc_success {
        detector.handle_active_health_check_success(host, now);
        return Ok(());
    }
    let hosts = step.host.as_ref().ok_or("a step without anything to do")?;
    let result = step.result.as_deref().map(outcome).transpose()?;
    for &host in hosts.list() {
        for _ in 0..step.repeat.unwrap_or(1) {
            match (step.http, result) {
                (Some(code), None) => detector.handle_response(host, code, now, || 0),
                (None, Some(result)) => {
                    detector.handle_outcome(host, result, step.code, now, || 0);
                }
                _ => return Err("a step needs either http or result".to_owned()),
            }
        }
    }
    Ok(())
}

pub(super) fn outlier_timeline(input: &Value) -> Answered {
    let input: TimelineInput = read(input)?;
    let config = match input.config.config() {
        Ok(config) => config,
        Err(error) => return Ok(json!({ "error": error })),
    };
    let mut detector = OutlierDetector::new(config, input.hosts);
    let ejected = |detector: &OutlierDetector| -> Vec<usize> {
        (0..input.hosts).filter(|&host| detector.is_ejected(host)).collect()
    };
    let mut checks = Vec::new();
    let mut now = 0;
    for step in &input.steps {
        now = step.t_ms.unwrap_or(now);
        if let Some(check) = &step.check {
            checks.push(json!({
                "check": check,
                "ejected": ejected(&detector),
                "backoff": (0..input.hosts).map(|h| detector.backoff(h)).collect::<Vec<_>>(),
                "num_ejections":
                    (0..input.hosts).map(|h| detector.num_ejections(h)).collect::<Vec<_>>(),
            }));
        } else {
            apply(&mut detector, step, now)?;
        }
    }
    Ok(json!({
        "checks": checks,
        "final": {
            "ejected": ejected(&detector),
            "ejections_active": detector.ejections_active(),
            "stats": stats(detector.stats()),
        },
    }))
}

/// The counters that are not 0.
fn stats(stats: &OutlierStats) -> Value {
    let mut counters = vec![
        ("ejections_enforced_total".to_owned(), stats.enforced_total()),
        ("ejections_overflow".to_owned(), stats.overflow()),
    ];
    for kind in EjectionKind::ALL {
        let name = kind_name(kind);
        counters.push((format!("ejections_detected_{name}"), stats.detected(kind)));
        counters.push((format!("ejections_enforced_{name}"), stats.enforced(kind)));
    }
    let counters = counters.into_iter().filter(|(_, count)| *count > 0);
    Value::Object(counters.map(|(name, count)| (name, json!(count))).collect::<Map<_, _>>())
}

fn kind_name(kind: EjectionKind) -> &'static str {
    match kind {
        EjectionKind::Consecutive5xx => "consecutive_5xx",
        EjectionKind::ConsecutiveGatewayFailure => "consecutive_gateway_failure",
        EjectionKind::ConsecutiveLocalOriginFailure => "consecutive_local_origin_failure",
        EjectionKind::SuccessRate => "success_rate",
        EjectionKind::LocalOriginSuccessRate => "local_origin_success_rate",
        EjectionKind::FailurePercentage => "failure_percentage",
        EjectionKind::LocalOriginFailurePercentage => "local_origin_failure_percentage",
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ThresholdInput {
    success_rates: Vec<f64>,
    success_rate_stdev_factor: Option<u32>,
}

pub(super) fn success_rate_threshold(input: &Value) -> Answered {
    let input: ThresholdInput = read(input)?;
    let factor = input
        .success_rate_stdev_factor
        .unwrap_or(OutlierConfig::default().success_rate_stdev_factor);
    let Some(found) = ejection_threshold(&input.success_rates, factor) else {
        return Ok(json!({ "mean": null, "ejection_threshold": null, "outliers": [] }));
    };
    let outliers =
        input.success_rates.iter().enumerate().filter(|(_, rate)| found.is_outlier(**rate));
    Ok(json!({
        "mean": found.mean,
        "ejection_threshold": found.threshold,
        "outliers": outliers.map(|(host, _)| host).collect::<Vec<_>>(),
    }))
}

pub(super) fn outlier_config(input: &Value) -> Answered {
    let config: Config = read(input)?;
    Ok(match config.config() {
        Ok(config) => json!({
            "base_ejection_time_ms": config.ejection_time.base_ms(),
            "max_ejection_time_ms": config.ejection_time.max_ms(),
        }),
        Err(error) => json!({ "error": error }),
    })
}
