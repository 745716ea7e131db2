//! When a host is checked.
use super::{CheckResult, Transition};

/// The configuration of a health check; what a constructor does not ask for has Envoy's defaults.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "callers set single fields over the defaults")]
pub struct HealthCheckConfig {
    /// How long an attempt may take.
    pub timeout_ms: u64,
    /// The time from a result to the next attempt.
    pub interval_ms: u64,
    /// How many failures in a row fail a host, if the failure is none that does so at once.
    pub unhealthy_threshold: u32,
    /// How many successes in a row bring a failed host back; a host never checked needs one.
    pub healthy_threshold: u32,
    /// The interval after a failure; the interval unless set.
    pub unhealthy_interval_ms: Option<u64>,
    /// The interval while failures are being counted; the unhealthy interval unless set.
    pub unhealthy_edge_interval_ms: Option<u64>,
    /// The interval while successes are being counted; the interval unless set.
    pub healthy_edge_interval_ms: Option<u64>,
    /// The interval while the cluster never had traffic: 60 s.
    pub no_traffic_interval_ms: u64,
    /// The same after a success; the interval without traffic unless set.
    pub no_traffic_healthy_interval_ms: Option<u64>,
    /// The greatest random wait before the first attempt: none.
    pub initial_jitter_ms: u64,
    /// The greatest random time that is added to an interval: none.
    pub interval_jitter_ms: u64,
    /// The same in percent of the interval: none.
    pub interval_jitter_percent: u32,
    /// Whether every failure is logged, not just the first.
    pub always_log_failures: bool,
    /// Whether every success is logged.
    pub always_log_success: bool,
    /// The shortest wait (`health_check.min_interval`): 0.
    pub min_interval_ms: u64,
    /// The longest wait (`health_check.max_interval`): any.
    pub max_interval_ms: u64,
}

/// Whether the cluster ever had an upstream connection or byte; checks do not count.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "it had or it had not")]
pub enum Traffic {
    /// It had.
    Seen,
    /// It never had.
    Never,
}

impl HealthCheckConfig {
    /// Returns a configuration of the four fields without default.
    pub const fn new(
        timeout_ms: u64,
        interval_ms: u64,
        unhealthy_threshold: u32,
        healthy_threshold: u32,
    ) -> Self {
        Self {
            timeout_ms,
            interval_ms,
            unhealthy_threshold,
            healthy_threshold,
            unhealthy_interval_ms: None,
            unhealthy_edge_interval_ms: None,
            healthy_edge_interval_ms: None,
            no_traffic_interval_ms: 60_000,
            no_traffic_healthy_interval_ms: None,
            initial_jitter_ms: 0,
            interval_jitter_ms: 0,
            interval_jitter_percent: 0,
            always_log_failures: false,
            always_log_success: false,
            min_interval_ms: 0,
            max_interval_ms: u64::MAX,
        }
    }

    /// The wait before the first attempt; nothing is drawn without jitter.
    pub(super) fn initial_wait(&self, mut random: impl FnMut() -> u64) -> u64 {
        random_below(self.initial_jitter_ms, &mut random).map_or(0, |wait| self.clamp(wait))
    }

    /// The wait after a result. The edge intervals hold while a change is pending, not after it.
    ///
    /// # Upstream
    ///
    /// Envoy `source/extensions/health_checkers/common/health_checker_base_impl.cc`,
    /// `HealthCheckerImplBase::interval` and `intervalWithJitter`.
    pub(super) fn wait(
        &self,
        result: CheckResult,
        transition: Transition,
        traffic: Traffic,
        mut random: impl FnMut() -> u64,
    ) -> u64 {
        let base = self.interval(result, transition, traffic);
        let percent = u64::from(self.interval_jitter_percent).saturating_mul(base) / 100;
        let wait = base.saturating_add(random_below(percent, &mut random).unwrap_or(0));
        let jitter = random_below(self.interval_jitter_ms, &mut random).unwrap_or(0);
        self.clamp(wait.saturating_add(jitter))
    }

    fn interval(&self, result: CheckResult, transition: Transition, traffic: Traffic) -> u64 {
        let success = matches!(result, CheckResult::Success | CheckResult::Degraded);
        let pending = transition == Transition::Pending;
        let unhealthy = self.unhealthy_interval_ms.unwrap_or(self.interval_ms);
        match (traffic, success, pending) {
            (Traffic::Never, true, false) => {
                self.no_traffic_healthy_interval_ms.unwrap_or(self.no_traffic_interval_ms)
            }
            (Traffic::Never, ..) => self.no_traffic_interval_ms,
            (Traffic::Seen, true, true) => {
                self.healthy_edge_interval_ms.unwrap_or(self.interval_ms)
            }
            (Traffic::Seen, true, false) => self.interval_ms,
            (Traffic::Seen, false, true) => self.unhealthy_edge_interval_ms.unwrap_or(unhealthy),
            (Traffic::Seen, false, false) => unhealthy,
        }
    }

    /// At least one millisecond, so that a check never spins.
    fn clamp(&self, wait: u64) -> u64 {
        wait.min(self.max_interval_ms).max(self.min_interval_ms).max(1)
    }
}

/// A random number below `limit`; none, and nothing drawn, if that is 0.
fn random_below(limit: u64, random: &mut impl FnMut() -> u64) -> Option<u64> {
    (limit > 0).then(|| random() % limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(config: HealthCheckConfig, draws: &[u64], expected: u64) {
        let mut draws = draws.iter().copied();
        let draw = || draws.next().expect("a draw too many");
        let wait = config.wait(CheckResult::Success, Transition::Unchanged, Traffic::Seen, draw);
        assert_eq!(wait, expected);
        assert_eq!(draws.next(), None, "a draw too few");
    }

    #[test]
    fn jitter_by_percent_is_drawn_before_jitter_by_time() {
        let config = HealthCheckConfig::new(1, 1_000, 1, 1);
        check(config, &[], 1_000);
        let config = HealthCheckConfig { interval_jitter_percent: 10, ..config };
        check(config, &[250], 1_050);
        check(HealthCheckConfig { interval_jitter_ms: 7, ..config }, &[250, 8], 1_051);
    }

    #[test]
    fn a_wait_is_clamped_from_above_first_and_never_nothing() {
        let config = HealthCheckConfig::new(1, 1_000, 1, 1);
        check(HealthCheckConfig { max_interval_ms: 10, ..config }, &[], 10);
        check(HealthCheckConfig { max_interval_ms: 10, min_interval_ms: 20, ..config }, &[], 20);
        check(HealthCheckConfig::new(1, 0, 1, 1), &[], 1);
    }
}
