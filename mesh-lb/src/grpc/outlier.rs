//! Outlier detection of a gRPC client: success rates and failure percentages of one level.
//!
//! Consecutive errors, which is all that istiod configures, do not exist here.
use std::fmt;

use crate::number::double;

/// The outlier detection of a cluster resource, as far as a gRPC client reads it. Unset fields have
/// the client's defaults; durations are milliseconds.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "a value of the protocol")]
#[expect(missing_docs, reason = "the fields of Envoy's message, by name")]
pub struct OutlierMessage {
    pub interval_ms: Option<i64>,
    pub base_ejection_time_ms: Option<i64>,
    pub max_ejection_time_ms: Option<i64>,
    pub max_ejection_percent: Option<u32>,
    pub enforcing_success_rate: Option<u32>,
    pub success_rate_stdev_factor: Option<u32>,
    pub success_rate_minimum_hosts: Option<u32>,
    pub success_rate_request_volume: Option<u32>,
    pub enforcing_failure_percentage: Option<u32>,
    pub failure_percentage_threshold: Option<u32>,
    pub failure_percentage_minimum_hosts: Option<u32>,
    pub failure_percentage_request_volume: Option<u32>,
}

/// Ejecting endpoints whose success rate is far below the mean.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "a value of the configuration")]
pub struct SuccessRateEjection {
    /// How far, in thousandths of the standard deviation: 1,900.
    pub stdev_factor: u32,
    /// The chance in percent that a detected endpoint is ejected: 100.
    pub enforcement_percentage: u32,
    /// How many endpoints with enough requests there must be: 5.
    pub minimum_hosts: u32,
    /// How many requests in an interval are enough: 100.
    pub request_volume: u32,
}

/// Ejecting endpoints that fail more than a share of their requests.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "a value of the configuration")]
pub struct FailurePercentageEjection {
    /// The share in percent that must be exceeded: 85.
    pub threshold: u32,
    /// The chance in percent that a detected endpoint is ejected: 100.
    pub enforcement_percentage: u32,
    /// How many endpoints with enough requests there must be: 5.
    pub minimum_hosts: u32,
    /// How many requests in an interval are enough: 50.
    pub request_volume: u32,
}

/// The configuration of the policy.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "a value of the configuration")]
pub struct GrpcOutlierConfig {
    /// The time between sweeps: 10 s.
    pub interval_ms: u64,
    /// How long the first ejection lasts: 30 s.
    pub base_ejection_time_ms: u64,
    /// How long an ejection lasts at most, if not the first one does: 300 s.
    pub max_ejection_time_ms: u64,
    /// The share of endpoints at which no more are ejected, in percent: 10. The share before an
    /// ejection counts, so that one endpoint can always be ejected unless this is 0.
    pub max_ejection_percent: u32,
    /// The first algorithm.
    pub success_rate: Option<SuccessRateEjection>,
    /// The second one.
    pub failure_percentage: Option<FailurePercentageEjection>,
}

/// A percentage is above 100, or a duration negative.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct InvalidOutlierDetection {
    field: &'static str,
}

impl fmt::Display for InvalidOutlierDetection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is out of range", self.field)
    }
}

impl std::error::Error for InvalidOutlierDetection {}

impl GrpcOutlierConfig {
    /// Reads the message of a cluster. An explicit 0 for `enforcing_success_rate` turns the first
    /// algorithm off; the second one is on only if its enforcement is set and not 0.
    ///
    /// # Errors
    ///
    /// A percentage is above 100, or a duration negative: the client refuses the cluster.
    ///
    /// # Upstream
    ///
    /// grpc-go `internal/xds/xdsclient/xdsresource/unmarshal_cds.go`, `outlierConfigFromCluster`;
    /// gRFC A50.
    pub fn of_message(message: &OutlierMessage) -> Result<Self, InvalidOutlierDetection> {
        let percent = |value: Option<u32>, default, field| match value.unwrap_or(default) {
            percent if percent > 100 => Err(InvalidOutlierDetection { field }),
            percent => Ok(percent),
        };
        let duration = |value: Option<i64>, default, field| {
            value.map_or(Ok(default), u64::try_from).map_err(|_| InvalidOutlierDetection { field })
        };
        let max_ejection_percent =
            percent(message.max_ejection_percent, 10, "max_ejection_percent")?;
        let by_rate = percent(message.enforcing_success_rate, 100, "enforcing_success_rate")?;
        let threshold =
            percent(message.failure_percentage_threshold, 85, "failure_percentage_threshold")?;
        let by_failures =
            percent(message.enforcing_failure_percentage, 0, "enforcing_failure_percentage")?;
        let (base, max) = (message.base_ejection_time_ms, message.max_ejection_time_ms);
        Ok(Self {
            interval_ms: duration(message.interval_ms, 10_000, "interval")?,
            base_ejection_time_ms: duration(base, 30_000, "base_ejection_time")?,
            max_ejection_time_ms: duration(max, 300_000, "max_ejection_time")?,
            max_ejection_percent,
            success_rate: (by_rate > 0).then(|| SuccessRateEjection {
                stdev_factor: message.success_rate_stdev_factor.unwrap_or(1900),
                enforcement_percentage: by_rate,
                minimum_hosts: message.success_rate_minimum_hosts.unwrap_or(5),
                request_volume: message.success_rate_request_volume.unwrap_or(100),
            }),
            failure_percentage: (by_failures > 0).then(|| FailurePercentageEjection {
                threshold,
                enforcement_percentage: by_failures,
                minimum_hosts: message.failure_percentage_minimum_hosts.unwrap_or(5),
                request_volume: message.failure_percentage_request_volume.unwrap_or(50),
            }),
        })
    }

    /// Returns whether nothing is ever ejected, and so nothing counted.
    pub const fn is_off(&self) -> bool {
        self.success_rate.is_none() && self.failure_percentage.is_none()
    }
}

/// The detector of one level.
///
/// An endpoint that both algorithms catch in one sweep is counted and multiplied twice, as upstream,
/// and comes off the count only once.
///
/// # Upstream
///
/// grpc-go `internal/xds/balancer/outlierdetection/balancer.go`, `outlierDetectionBalancer`.
#[derive(Clone, Debug)]
pub struct GrpcOutlierDetector {
    config: GrpcOutlierConfig,
    endpoints: Vec<EndpointState>,
    ejected: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct EndpointState {
    active: Bucket,
    last: Bucket,
    ejected_at: Option<u64>,
    multiplier: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Bucket {
    ok: u32,
    failed: u32,
}

impl Bucket {
    const fn total(self) -> u64 {
        self.ok as u64 + self.failed as u64
    }

    /// NaN without requests: then no comparison holds.
    fn success_rate(self) -> f64 {
        f64::from(self.ok) / double(self.total())
    }

    fn failure_percentage(self) -> f64 {
        f64::from(self.failed) / double(self.total()) * 100.0
    }
}

impl GrpcOutlierDetector {
    /// Begins to watch the endpoints of a level.
    pub fn new(config: GrpcOutlierConfig, endpoints: usize) -> Self {
        let endpoints = vec![EndpointState::default(); endpoints];
        Self { config, endpoints, ejected: 0 }
    }

    /// Takes the result of an RPC: any status but OK is a failure. An index without endpoint is
    /// ignored.
    pub fn handle_result(&mut self, endpoint: usize, ok: bool) {
        if self.config.is_off() {
            return;
        }
        if let Some(state) = self.endpoints.get_mut(endpoint) {
            let count = if ok { &mut state.active.ok } else { &mut state.active.failed };
            *count = count.saturating_add(1);
        }
    }

    /// Ends an interval. `random` is drawn once for each endpoint that is detected while the limit
    /// allows an ejection, in the order of the endpoints, success rates first.
    ///
    /// # Upstream
    ///
    /// grpc-go `internal/xds/balancer/outlierdetection/balancer.go`, `intervalTimerAlgorithm`.
    pub fn handle_sweep(&mut self, now_ms: u64, mut random: impl FnMut() -> u64) {
        if self.config.is_off() {
            for state in &mut self.endpoints {
                *state = EndpointState::default();
            }
            self.ejected = 0;
            return;
        }
        for state in &mut self.endpoints {
            state.last = std::mem::take(&mut state.active);
        }
        if let Some(rule) = self.config.success_rate {
            for endpoint in self.below_mean(&rule) {
                self.eject(endpoint, rule.enforcement_percentage, now_ms, &mut random);
            }
        }
        if let Some(rule) = self.config.failure_percentage {
            for endpoint in self.above_threshold(&rule) {
                self.eject(endpoint, rule.enforcement_percentage, now_ms, &mut random);
            }
        }
        self.bring_back(now_ms);
    }

    fn measured(&self, volume: u32, minimum: u32) -> Vec<(usize, Bucket)> {
        let all = self.endpoints.iter().map(|state| state.last).enumerate();
        let found: Vec<_> = all.filter(|(_, last)| last.total() >= u64::from(volume)).collect();
        let enough = u32::try_from(found.len()).unwrap_or(u32::MAX) >= minimum;
        if enough { found } else { Vec::new() }
    }

    fn below_mean(&self, rule: &SuccessRateEjection) -> Vec<usize> {
        let measured = self.measured(rule.request_volume, rule.minimum_hosts);
        let count = double(u64::try_from(measured.len()).unwrap_or(u64::MAX));
        let rates = || measured.iter().map(|(_, last)| last.success_rate());
        let mean = rates().fold(0.0, |sum, rate| sum + rate) / count;
        let squares = rates().fold(0.0, |sum, rate| sum + (rate - mean) * (rate - mean));
        let stdev = (squares / count).sqrt();
        let required = mean - stdev * (f64::from(rule.stdev_factor) / 1000.0);
        let below = measured.iter().filter(|(_, last)| last.success_rate() < required);
        below.map(|(endpoint, _)| *endpoint).collect()
    }

    fn above_threshold(&self, rule: &FailurePercentageEjection) -> Vec<usize> {
        let measured = self.measured(rule.request_volume, rule.minimum_hosts);
        let threshold = f64::from(rule.threshold);
        let above = measured.iter().filter(|(_, last)| last.failure_percentage() > threshold);
        above.map(|(endpoint, _)| *endpoint).collect()
    }

    fn eject(
        &mut self,
        endpoint: usize,
        enforcement: u32,
        now_ms: u64,
        random: &mut impl FnMut() -> u64,
    ) {
        let endpoints = double(u64::try_from(self.endpoints.len()).unwrap_or(u64::MAX));
        let share = double(self.ejected) / endpoints * 100.0;
        if share >= f64::from(self.config.max_ejection_percent)
            || random() % 100 >= u64::from(enforcement)
        {
            return;
        }
        if let Some(state) = self.endpoints.get_mut(endpoint) {
            self.ejected = self.ejected.saturating_add(1);
            state.ejected_at = Some(now_ms);
            state.multiplier = state.multiplier.saturating_add(1);
        }
    }

    fn bring_back(&mut self, now_ms: u64) {
        let base = self.config.base_ejection_time_ms;
        let most = base.max(self.config.max_ejection_time_ms);
        for state in &mut self.endpoints {
            match state.ejected_at {
                None => state.multiplier = state.multiplier.saturating_sub(1),
                Some(since) => {
                    let time = base.saturating_mul(state.multiplier).min(most);
                    if now_ms > since.saturating_add(time) {
                        state.ejected_at = None;
                        self.ejected = self.ejected.saturating_sub(1);
                    }
                }
            }
        }
    }

    /// Returns whether an endpoint is ejected: its state is then a failure.
    pub fn is_ejected(&self, endpoint: usize) -> bool {
        self.endpoints.get(endpoint).is_some_and(|state| state.ejected_at.is_some())
    }

    /// Returns how many times the base ejection time its next ejection would last, less one.
    pub fn multiplier(&self, endpoint: usize) -> u64 {
        self.endpoints.get(endpoint).map_or(0, |state| state.multiplier)
    }

    /// Returns the number of ejections that the limit is held against.
    pub const fn counted(&self) -> u64 {
        self.ejected
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(message: OutlierMessage, intervals: &[&[(u32, u32)]], ejected: &[&[usize]]) {
        let config = GrpcOutlierConfig::of_message(&message).unwrap();
        let mut detector = GrpcOutlierDetector::new(config, 5);
        for (sweep, (interval, expected)) in (1_u64..).zip(intervals.iter().zip(ejected)) {
            for (endpoint, (ok, failed)) in interval.iter().enumerate() {
                (0..*ok).for_each(|_| detector.handle_result(endpoint, true));
                (0..*failed).for_each(|_| detector.handle_result(endpoint, false));
            }
            detector.handle_sweep(sweep * 10_000, || 0);
            let got: Vec<usize> = (0..5).filter(|e| detector.is_ejected(*e)).collect();
            assert_eq!(got, *expected, "sweep {sweep}");
        }
    }

    fn by_failures() -> OutlierMessage {
        OutlierMessage {
            enforcing_success_rate: Some(0),
            enforcing_failure_percentage: Some(100),
            failure_percentage_minimum_hosts: Some(1),
            failure_percentage_request_volume: Some(10),
            ..OutlierMessage::default()
        }
    }

    #[test]
    fn one_endpoint_can_always_be_ejected_and_comes_back_after_more_than_its_time() {
        let quiet: &[(u32, u32)] = &[];
        check(
            by_failures(),
            &[&[(0, 20), (0, 20)], quiet, quiet, quiet, quiet],
            &[&[0], &[0], &[0], &[0], &[]],
        );
        let none = OutlierMessage { max_ejection_percent: Some(0), ..by_failures() };
        check(none, &[&[(0, 20)]], &[&[]]);
    }

    #[test]
    fn a_success_rate_far_below_the_mean_is_ejected() {
        let good = (100, 0);
        let message = OutlierMessage::default();
        check(message, &[&[(50, 50), good, good, good, good]], &[&[0]]);
        check(message, &[&[(50, 50), good, good, good]], &[&[]]); // Four endpoints are too few.
    }

    #[test]
    fn what_istiod_sends_does_nothing() {
        let message =
            OutlierMessage { enforcing_success_rate: Some(0), ..OutlierMessage::default() };
        assert!(GrpcOutlierConfig::of_message(&message).unwrap().is_off());
        check(message, &[&[(0, 1000)]], &[&[]]);
    }

    #[test]
    fn percentages_above_one_hundred_and_negative_times_are_refused() {
        let percent =
            OutlierMessage { enforcing_failure_percentage: Some(101), ..OutlierMessage::default() };
        let time = OutlierMessage { interval_ms: Some(-1), ..OutlierMessage::default() };
        for (message, field) in [(percent, "enforcing_failure_percentage"), (time, "interval")] {
            let error = GrpcOutlierConfig::of_message(&message).unwrap_err().to_string();
            assert_eq!(error, format!("`{field}` is out of range"));
        }
    }
}
