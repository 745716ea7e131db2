//! `host_health`.
use mesh_lb::health::status::{CoarseHealth, HealthFlag, HealthFlags, HealthStatus, HostHealth};
use mesh_lb::retry::override_host::OverrideHostStatus;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answered, read};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Input {
    eds_health_status: String,
    flags: Vec<String>,
}

pub(super) fn host_health(input: &Value) -> Answered {
    let input: Input = read(input)?;
    let eds = status(&input.eds_health_status)?;
    let flags: Vec<HealthFlag> =
        input.flags.iter().map(|name| flag(name)).collect::<Result<_, _>>()?;
    let health = HostHealth::new(eds, HealthFlags::of(&flags));
    Ok(json!({
        "coarse_health": coarse_name(health.coarse()),
        "excluded": health.is_excluded(),
        "health_status": status_name(health.detailed()),
        "default_override_host_allowed": OverrideHostStatus::default().allows(health),
    }))
}

pub(super) fn status(name: &str) -> Result<HealthStatus, String> {
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

fn status_name(status: HealthStatus) -> &'static str {
    match status {
        HealthStatus::Unknown => "UNKNOWN",
        HealthStatus::Healthy => "HEALTHY",
        HealthStatus::Unhealthy => "UNHEALTHY",
        HealthStatus::Draining => "DRAINING",
        HealthStatus::Timeout => "TIMEOUT",
        HealthStatus::Degraded => "DEGRADED",
    }
}

pub(super) fn coarse(name: &str) -> Result<CoarseHealth, String> {
    Ok(match name {
        "HEALTHY" => CoarseHealth::Healthy,
        "DEGRADED" => CoarseHealth::Degraded,
        "UNHEALTHY" => CoarseHealth::Unhealthy,
        _ => return Err(format!("unknown health class `{name}`")),
    })
}

fn coarse_name(coarse: CoarseHealth) -> &'static str {
    match coarse {
        CoarseHealth::Healthy => "HEALTHY",
        CoarseHealth::Degraded => "DEGRADED",
        CoarseHealth::Unhealthy => "UNHEALTHY",
    }
}

fn flag(name: &str) -> Result<HealthFlag, String> {
    Ok(match name {
        "FAILED_ACTIVE_HC" => HealthFlag::FailedActiveHc,
        "FAILED_OUTLIER_CHECK" => HealthFlag::FailedOutlierCheck,
        "FAILED_EDS_HEALTH" => HealthFlag::FailedEdsHealth,
        "DEGRADED_ACTIVE_HC" => HealthFlag::DegradedActiveHc,
        "DEGRADED_EDS_HEALTH" => HealthFlag::DegradedEdsHealth,
        "PENDING_DYNAMIC_REMOVAL" => HealthFlag::PendingDynamicRemoval,
        "PENDING_ACTIVE_HC" => HealthFlag::PendingActiveHc,
        "EXCLUDED_VIA_IMMEDIATE_HC_FAIL" => HealthFlag::ExcludedViaImmediateHcFail,
        "ACTIVE_HC_TIMEOUT" => HealthFlag::ActiveHcTimeout,
        "EDS_STATUS_DRAINING" => HealthFlag::EdsStatusDraining,
        "DEGRADED_OUTLIER_DETECTION" => HealthFlag::DegradedOutlierDetection,
        _ => return Err(format!("unknown health flag `{name}`")),
    })
}
