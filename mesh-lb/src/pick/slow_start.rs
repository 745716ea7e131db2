//! Slow start: a host that has just turned healthy gets its share little by little.
//!
//! Times are milliseconds of a clock that only moves forward; the caller reads it.
use super::edf::InSlowStart;
use crate::health::status::CoarseHealth;
use crate::number::double;

/// How hosts are warmed up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SlowStart {
    /// How long it takes a host to reach its full weight; 0 turns slow start off.
    pub window_ms: u64,
    /// How fast the weight rises: 1 (the default) is linear, more is faster at the beginning.
    /// A value that is not positive, or NaN, acts as 1.
    pub aggression: f64,
    /// The least share of its weight that a host has, in percent: 10 by default.
    pub min_weight_percent: f64,
}

impl Default for SlowStart {
    fn default() -> Self {
        Self { window_ms: 0, aggression: 1.0, min_weight_percent: 10.0 }
    }
}

impl SlowStart {
    /// Returns the weight that a host of this class has `since_healthy_ms` after it passed its
    /// health check (`None`: it never did).
    ///
    /// # Upstream
    ///
    /// Envoy `source/extensions/load_balancing_policies/common/load_balancer_impl.cc`,
    /// `EdfLoadBalancerBase::applySlowStartFactor`.
    pub fn weight(&self, weight: f64, coarse: CoarseHealth, since_healthy_ms: Option<u64>) -> f64 {
        match since_healthy_ms {
            Some(since) if coarse == CoarseHealth::Healthy && since < self.window_ms => {
                // A percentage ends at 100, as Envoy's does.
                weight * self.factor(since).max(self.min_weight_percent.clamp(0.0, 100.0) / 100.0)
            }
            Some(_) | None => weight,
        }
    }

    fn factor(&self, since_healthy_ms: u64) -> f64 {
        let time_factor = double(since_healthy_ms.max(1)) / double(self.window_ms);
        let aggression = if self.aggression > 0.0 { self.aggression } else { 1.0 };
        if aggression == 1.0 || time_factor == 1.0 {
            time_factor
        } else {
            time_factor.powf(1.0 / aggression)
        }
    }
}

/// When the latest host of a balancer began to warm up.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LatestHost {
    window_ms: u64,
    latest_ms: u64,
}

impl LatestHost {
    /// Begins at the construction of the balancer, which counts as a host: a new balancer is in
    /// slow start for its first window.
    pub const fn new(slow_start: &SlowStart, now_ms: u64) -> Self {
        Self { window_ms: slow_start.window_ms, latest_ms: now_ms }
    }

    /// Takes note of a healthy host and returns when it passed its health check: at `passed_ms`,
    /// or now if no check ever ran.
    ///
    /// # Upstream
    ///
    /// Envoy `source/extensions/load_balancing_policies/common/load_balancer_impl.cc`,
    /// `EdfLoadBalancerBase::recalculateHostsInSlowStart`.
    pub fn observe(&mut self, passed_ms: Option<u64>, now_ms: u64) -> u64 {
        let passed = passed_ms.unwrap_or(now_ms);
        if passed > self.latest_ms && now_ms.saturating_sub(passed) <= self.window_ms {
            self.latest_ms = passed;
        }
        passed
    }

    /// Returns whether some host may still be warming up.
    ///
    /// # Upstream
    ///
    /// Envoy `source/extensions/load_balancing_policies/common/load_balancer_impl.cc`,
    /// `EdfLoadBalancerBase::noHostsAreInSlowStart`.
    pub const fn in_slow_start(&self, now_ms: u64) -> InSlowStart {
        let since = now_ms.saturating_sub(self.latest_ms);
        if self.window_ms > 0 && since <= self.window_ms {
            InSlowStart::Yes
        } else {
            InSlowStart::No
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(since: Option<u64>, coarse: CoarseHealth, expected: f64) {
        let slow_start = SlowStart { window_ms: 60_000, ..SlowStart::default() };
        assert!((slow_start.weight(10.0, coarse, since) - expected).abs() < 1e-9);
    }

    #[test]
    fn the_weight_rises_from_a_floor_to_its_full_value() {
        check(Some(3_000), CoarseHealth::Healthy, 1.0);
        check(Some(30_000), CoarseHealth::Healthy, 5.0);
        check(Some(60_000), CoarseHealth::Healthy, 10.0);
    }

    #[test]
    fn only_healthy_hosts_that_passed_a_check_are_warmed_up() {
        check(Some(3_000), CoarseHealth::Degraded, 10.0);
        check(None, CoarseHealth::Healthy, 10.0);
    }

    #[test]
    fn a_new_balancer_is_in_slow_start_for_its_first_window() {
        let slow_start = SlowStart { window_ms: 100, ..SlowStart::default() };
        let latest = LatestHost::new(&slow_start, 1_000);
        assert_eq!(latest.in_slow_start(1_100), InSlowStart::Yes);
        assert_eq!(latest.in_slow_start(1_101), InSlowStart::No);
        assert_eq!(LatestHost::new(&SlowStart::default(), 0).in_slow_start(0), InSlowStart::No);
    }

    #[test]
    fn a_host_that_was_never_checked_begins_when_it_is_seen() {
        let slow_start = SlowStart { window_ms: 100, ..SlowStart::default() };
        let mut latest = LatestHost::new(&slow_start, 0);
        assert_eq!(latest.observe(None, 500), 500);
        assert_eq!(latest.observe(Some(550), 700), 550);
        assert_eq!(latest.in_slow_start(601), InSlowStart::No);
    }
}
