//! When a host is an outlier, and for how long.
use std::fmt;

use mesh_model::name::Duration;
use mesh_model::resource::destination_rule::OutlierDetection;

use super::EjectionKind;

/// The configuration of outlier detection; the defaults are Envoy's.
///
/// A consecutive threshold of 0 never fires. An `enforcing_…` percentage is the chance that a
/// detected host is ejected; otherwise it is only counted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct OutlierConfig {
    /// Consecutive answers of 500 to 599 that make an outlier: 5.
    pub consecutive_5xx: u32,
    /// The chance in percent that they eject: 100.
    pub enforcing_consecutive_5xx: u32,
    /// Consecutive answers of 502 to 504 that make an outlier: 5.
    pub consecutive_gateway_failure: u32,
    /// The chance in percent that they eject: 0.
    pub enforcing_consecutive_gateway_failure: u32,
    /// Consecutive failures to connect that make an outlier, if told apart: 5.
    pub consecutive_local_origin_failure: u32,
    /// The chance in percent that they eject: 100.
    pub enforcing_consecutive_local_origin_failure: u32,
    /// The number of hosts below which success rates are not compared: 5.
    pub success_rate_minimum_hosts: u32,
    /// The requests in an interval below which a host has no success rate: 100.
    pub success_rate_request_volume: u32,
    /// The distance below the mean that makes an outlier, in thousandths of the standard
    /// deviation: 1,900.
    pub success_rate_stdev_factor: u32,
    /// The chance in percent that a success rate ejects: 100.
    pub enforcing_success_rate: u32,
    /// The same for connections, if told apart: 100.
    pub enforcing_local_origin_success_rate: u32,
    /// The percentage of failures that makes an outlier: 85.
    pub failure_percentage_threshold: u32,
    /// The number of hosts below which it is not looked at: 5.
    pub failure_percentage_minimum_hosts: u32,
    /// The requests in an interval below which a host has no percentage: 50.
    pub failure_percentage_request_volume: u32,
    /// The chance in percent that it ejects: 0.
    pub enforcing_failure_percentage: u32,
    /// The same for connections, if told apart: 0.
    pub enforcing_failure_percentage_local_origin: u32,
    /// The time between sweeps: 10 s.
    pub interval_ms: u64,
    /// How long and how far ejections go: base 30 s, at most 300 s.
    pub ejection_time: EjectionTime,
    /// The greatest random time that is added to an ejection: 0.
    pub max_ejection_time_jitter_ms: u64,
    /// The share of hosts that may be ejected at once, in percent: 10. It is a hard limit: of
    /// fewer than 10 hosts none is ever ejected by default.
    pub max_ejection_percent: u32,
    /// Whether one host may be ejected whatever the limit: no.
    pub always_eject_one_host: bool,
    /// Whether failures to connect are told apart from errors in answers: no.
    pub split_external_local_origin_errors: bool,
    /// Whether a host that passes an active health check comes back at once: yes.
    pub successful_active_health_check_uneject_host: bool,
    /// Whether a host that says of itself that it is degraded counts as that: no. Envoy has it since
    /// 1.38; istiod does not configure it.
    pub detect_degraded_hosts: bool,
}

impl Default for OutlierConfig {
    fn default() -> Self {
        Self {
            consecutive_5xx: 5,
            enforcing_consecutive_5xx: 100,
            consecutive_gateway_failure: 5,
            enforcing_consecutive_gateway_failure: 0,
            consecutive_local_origin_failure: 5,
            enforcing_consecutive_local_origin_failure: 100,
            success_rate_minimum_hosts: 5,
            success_rate_request_volume: 100,
            success_rate_stdev_factor: 1900,
            enforcing_success_rate: 100,
            enforcing_local_origin_success_rate: 100,
            failure_percentage_threshold: 85,
            failure_percentage_minimum_hosts: 5,
            failure_percentage_request_volume: 50,
            enforcing_failure_percentage: 0,
            enforcing_failure_percentage_local_origin: 0,
            interval_ms: 10_000,
            ejection_time: EjectionTime::default(),
            max_ejection_time_jitter_ms: 0,
            max_ejection_percent: 10,
            always_eject_one_host: false,
            split_external_local_origin_errors: false,
            successful_active_health_check_uneject_host: true,
            detect_degraded_hosts: false,
        }
    }
}

impl OutlierConfig {
    /// Returns what a rule makes of it: never by success rate; a count of 0 turns that kind of error
    /// off. Which answers count as errors, where the rule says that, is left to the caller.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/networking/core/cluster_traffic_policy.go` `applyOutlierDetection`.
    pub fn of(rule: &OutlierDetection) -> Self {
        let default = Self::default();
        let enforced = |count: Option<u32>, unset: u32| match count {
            None => unset,
            Some(0) => 0,
            Some(_) => 100,
        };
        let (errors, gateway) = (rule.consecutive_5xx_errors, rule.consecutive_gateway_errors);
        let split = rule.split_external_local_origin_errors;
        let local = rule.consecutive_local_origin_failures.filter(|&count| split && count > 0);
        let ms = |time: Option<Duration>| u64::try_from(time?.as_millis()).ok();
        let base_ms = ms(rule.base_ejection_time).unwrap_or(default.ejection_time.base_ms());
        Self {
            consecutive_5xx: errors.unwrap_or(default.consecutive_5xx),
            enforcing_consecutive_5xx: enforced(errors, default.enforcing_consecutive_5xx),
            consecutive_gateway_failure: gateway.unwrap_or(default.consecutive_gateway_failure),
            enforcing_consecutive_gateway_failure: enforced(
                gateway,
                default.enforcing_consecutive_gateway_failure,
            ),
            consecutive_local_origin_failure: local
                .unwrap_or(default.consecutive_local_origin_failure),
            enforcing_success_rate: 0,
            enforcing_local_origin_success_rate: if split {
                0
            } else {
                default.enforcing_local_origin_success_rate
            },
            interval_ms: ms(rule.interval).unwrap_or(default.interval_ms),
            ejection_time: EjectionTime { base_ms, max_ms: base_ms.max(300_000) },
            max_ejection_percent: u32::try_from(rule.max_ejection_percent)
                .ok()
                .filter(|&percent| percent > 0)
                .unwrap_or(default.max_ejection_percent),
            split_external_local_origin_errors: split,
            ..default
        }
    }

    /// Returns what a random number adds to a time.
    pub(super) const fn jitter(&self, random: u64) -> u64 {
        random % self.max_ejection_time_jitter_ms.saturating_add(1)
    }

    /// Returns whether hosts to which no connection can be made are ejected once there were enough
    /// requests: by consecutive errors of a kind that such a failure counts as. Unless failures to connect
    /// are told apart they count as answers of 503.
    pub const fn ejects_unreachable(&self) -> bool {
        const fn fires(threshold: u32, enforcing: u32) -> bool {
            threshold > 0 && enforcing > 0
        }
        if self.split_external_local_origin_errors {
            return fires(
                self.consecutive_local_origin_failure,
                self.enforcing_consecutive_local_origin_failure,
            );
        }
        fires(self.consecutive_5xx, self.enforcing_consecutive_5xx)
            || fires(self.consecutive_gateway_failure, self.enforcing_consecutive_gateway_failure)
    }

    /// Returns how many of `outliers` can be ejected at once in a cluster of `hosts`, over all its
    /// priorities.
    pub fn ejectable(&self, outliers: usize, hosts: usize) -> usize {
        (0..outliers).take_while(|&ejected| self.allows_another(ejected, hosts)).count()
    }

    /// Returns whether one more may be ejected. The share is that after the ejection, of the hosts of all
    /// priorities.
    ///
    /// # Upstream
    ///
    /// Envoy `source/common/upstream/outlier_detection_impl.cc`, `DetectorImpl::ejectHost`.
    pub(super) fn allows_another(&self, ejected: usize, hosts: usize) -> bool {
        let count = |hosts: usize| f64::from(u32::try_from(hosts).unwrap_or(u32::MAX));
        let share = 100.0 * count(ejected.saturating_add(1)) / count(hosts);
        share <= f64::from(self.max_ejection_percent.min(100))
            || (self.always_eject_one_host && ejected == 0)
    }

    /// Returns the chance in percent that a detection of this kind ejects.
    pub(super) const fn enforcing(&self, kind: EjectionKind) -> u32 {
        match kind {
            EjectionKind::Consecutive5xx => self.enforcing_consecutive_5xx,
            EjectionKind::ConsecutiveGatewayFailure => self.enforcing_consecutive_gateway_failure,
            EjectionKind::ConsecutiveLocalOriginFailure => {
                self.enforcing_consecutive_local_origin_failure
            }
            EjectionKind::SuccessRate => self.enforcing_success_rate,
            EjectionKind::LocalOriginSuccessRate => self.enforcing_local_origin_success_rate,
            EjectionKind::FailurePercentage => self.enforcing_failure_percentage,
            EjectionKind::LocalOriginFailurePercentage => {
                self.enforcing_failure_percentage_local_origin
            }
        }
    }
}

/// The time that the first ejection of a host lasts, and the most that any does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct EjectionTime {
    // INVARIANT: base <= max.
    base_ms: u64,
    max_ms: u64,
}

/// The longest ejection is shorter than the first.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct InvalidEjectionTime {
    base_ms: u64,
    max_ms: u64,
}

impl fmt::Display for InvalidEjectionTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { base_ms, max_ms } = self;
        write!(f, "max ejection time `{max_ms}ms` is less than base ejection time `{base_ms}ms`")
    }
}

impl std::error::Error for InvalidEjectionTime {}

impl Default for EjectionTime {
    fn default() -> Self {
        Self { base_ms: 30_000, max_ms: 300_000 }
    }
}

impl EjectionTime {
    /// Returns the times; without a maximum it is 300 s, or the base if that is more.
    ///
    /// # Errors
    ///
    /// The maximum is less than the base.
    ///
    /// # Upstream
    ///
    /// Envoy `source/common/upstream/outlier_detection_impl.cc`, `DetectorConfig::DetectorConfig`
    /// and `DetectorImpl::create`.
    pub fn new(base_ms: u64, max_ms: Option<u64>) -> Result<Self, InvalidEjectionTime> {
        let max_ms = max_ms.unwrap_or_else(|| base_ms.max(300_000));
        if max_ms < base_ms {
            Err(InvalidEjectionTime { base_ms, max_ms })
        } else {
            Ok(Self { base_ms, max_ms })
        }
    }

    /// Returns the time that the first ejection of a host lasts.
    pub const fn base_ms(self) -> u64 {
        self.base_ms
    }

    /// Returns the most that any ejection lasts, jitter aside.
    pub const fn max_ms(self) -> u64 {
        self.max_ms
    }

    /// Returns the time of an ejection with this backoff.
    pub(super) fn of(self, backoff: u64) -> u64 {
        self.base_ms.saturating_mul(backoff).min(self.max_ms)
    }
}
