//! Peak EWMA: of two hosts the one that answers faster for the requests that it has.
//!
//! ```text
//! round-trip times ─every interval─▶ smoothed, a host ─▶ cost = smoothed × (requests + 1) ─▶ less of two
//! ```
//!
//! Envoy's policy `peak_ewma`, which is among its contributed extensions and not in its usual binary. It
//! knows only the healthy hosts of the first priority, and no panic.
//!
//! Times are of a clock that only moves forward.
use crate::number::{double, index};

/// How round-trip times become costs.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "callers set single fields over the default")]
pub struct PeakEwma {
    /// The time constant by which round-trip times are forgotten: 10 s.
    pub decay_ms: u64,
    /// How often what was measured is [taken up](RoundTripTimes::aggregate): 100 ms.
    pub aggregation_interval_ms: u64,
    /// As many measurements as a host keeps until then: 1,000. 0 acts as 1.
    pub max_samples_per_host: u32,
    /// What a host counts as that was never measured and has no requests: 10 ms.
    pub default_rtt_ms: u64,
    /// What a host costs, its requests aside, that was never measured although it has some: a million.
    pub penalty: f64,
}

impl Default for PeakEwma {
    fn default() -> Self {
        Self {
            decay_ms: 10_000,
            aggregation_interval_ms: 100,
            max_samples_per_host: 1_000,
            default_rtt_ms: 10,
            penalty: 1_000_000.0,
        }
    }
}

impl PeakEwma {
    /// Returns what it costs to send one more request to a host with `active` requests in flight;
    /// `rtt_ms` is its smoothed round-trip time, 0 if it was never measured.
    ///
    /// # Examples
    ///
    /// ```
    /// use mesh_lb::pick::peak_ewma::PeakEwma;
    ///
    /// let policy = PeakEwma::default();
    /// assert_eq!(policy.cost(20.0, 3), 80.0);
    /// assert_eq!(policy.cost(0.0, 0), 10.0); // New, and idle.
    /// assert_eq!(policy.cost(0.0, 3), 1_000_003.0); // It has requests, and never answered one.
    /// ```
    ///
    /// # Upstream
    ///
    /// Envoy `contrib/peak_ewma/load_balancing_policies/source/cost.cc`, `Cost::compute`.
    pub fn cost(&self, rtt_ms: f64, active: u32) -> f64 {
        let requests = f64::from(active);
        if rtt_ms > 0.0 {
            rtt_ms * (requests + 1.0)
        } else if active > 0 {
            self.penalty + requests
        } else {
            double(self.default_rtt_ms) * (requests + 1.0)
        }
    }

    /// Returns the part in the smoothed time of a measurement that was made so long before it is taken
    /// up. It counts the more the older it is, as upstream; one that is not older than now counts alone.
    ///
    /// # Upstream
    ///
    /// Envoy `contrib/peak_ewma/load_balancing_policies/source/peak_ewma_lb.cc`,
    /// `PeakEwmaLoadBalancer::calculateTimeBasedAlpha`.
    fn alpha(&self, age_ns: u64) -> f64 {
        let age = double(age_ns) / 1_000_000_000.0;
        let decay = double(self.decay_ms.saturating_mul(1_000_000)) / 1_000_000_000.0;
        match age_ns {
            0 => 1.0,
            _ => (1.0 - (-age / decay).exp()).clamp(0.0, 1.0),
        }
    }
}

/// One measurement.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Sample {
    rtt_ms: f64,
    at_ns: u64,
}

/// The round-trip times of one host.
#[derive(Clone, Debug, PartialEq)]
pub struct RoundTripTimes {
    // INVARIANT: at most `most`; once there are as many a circle, in which the next sample goes to
    // `written` modulo `most`.
    samples: Vec<Sample>,
    // INVARIANT: not 0.
    most: usize,
    written: u64,
    taken_up: u64,
    smoothed_ms: f64,
}

impl RoundTripTimes {
    /// Begins with nothing measured.
    pub fn new(policy: &PeakEwma) -> Self {
        let most = usize::try_from(policy.max_samples_per_host.max(1)).unwrap_or(1);
        Self { samples: Vec::new(), most, written: 0, taken_up: 0, smoothed_ms: 0.0 }
    }

    /// Takes note of how long an answer took, at a time in nanoseconds. Nothing changes until it is
    /// [taken up](Self::aggregate). Of more than are kept the oldest are written over. Does not allocate
    /// once as many were made as are kept. A time that is no finite number is none: it would never be
    /// forgotten.
    ///
    /// # Upstream
    ///
    /// Envoy `contrib/peak_ewma/load_balancing_policies/source/host_data.cc`,
    /// `PeakEwmaHostLbPolicyData::recordRttSample`.
    pub fn handle_answer(&mut self, rtt_ms: f64, now_ns: u64) {
        if !rtt_ms.is_finite() {
            return;
        }
        let sample = Sample { rtt_ms, at_ns: now_ns };
        let place = index(self.written, self.most);
        match place.and_then(|place| self.samples.get_mut(place)) {
            Some(oldest) => *oldest = sample,
            None => self.samples.push(sample),
        }
        self.written = self.written.wrapping_add(1);
    }

    /// Takes up what was measured since the last time; to be called once every
    /// [interval](PeakEwma::aggregation_interval_ms).
    ///
    /// The first measurement of all counts alone. Times that are not above 0, and those that were taken at
    /// time 0, do not count. If more were made than are kept, upstream goes round the circle as often as
    /// it was written, and so does this: what is left counts more than once.
    ///
    /// # Upstream
    ///
    /// Envoy `contrib/peak_ewma/load_balancing_policies/source/peak_ewma_lb.cc`,
    /// `PeakEwmaLoadBalancer::processHostSamples`.
    pub fn aggregate(&mut self, policy: &PeakEwma, now_ns: u64) {
        while self.taken_up != self.written {
            let place = index(self.taken_up, self.most);
            let sample = place.and_then(|place| self.samples.get(place)).copied();
            self.taken_up = self.taken_up.wrapping_add(1);
            let Some(Sample { rtt_ms, at_ns }) = sample else { continue };
            if rtt_ms > 0.0 && at_ns != 0 {
                let alpha = policy.alpha(now_ns.saturating_sub(at_ns));
                self.smoothed_ms = match self.smoothed_ms {
                    0.0 => rtt_ms,
                    before => alpha * rtt_ms + (1.0 - alpha) * before,
                };
            }
        }
    }

    /// Returns the smoothed round-trip time in milliseconds; 0 if none was ever taken up.
    pub const fn smoothed_ms(&self) -> f64 {
        self.smoothed_ms
    }
}

/// Returns the cheaper of two different hosts, which one random number names; if they cost the same
/// its lowest bit decides. None if there are no hosts; the only one is taken without a draw.
///
/// # Upstream
///
/// Envoy `contrib/peak_ewma/load_balancing_policies/source/peak_ewma_lb.cc`,
/// `PeakEwmaLoadBalancer::selectFromTwoCandidates`.
pub fn pick(
    hosts: usize,
    cost: impl Fn(usize) -> f64,
    random: impl FnOnce() -> u64,
) -> Option<usize> {
    if hosts < 2 {
        return hosts.checked_sub(1);
    }
    let drawn = random();
    let (first, other) = (index(drawn, hosts)?, index(drawn >> 16, hosts)?);
    let second = if other == first { (other + 1).checked_rem(hosts)? } else { other };
    let (here, there) = (cost(first), cost(second));
    let is_first = if here == there { drawn & 1 == 1 } else { here < there };
    Some(if is_first { first } else { second })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn check(samples: &[(f64, u64)], now_ns: u64, expected: f64) {
        let policy = PeakEwma { max_samples_per_host: 3, ..PeakEwma::default() };
        let mut times = RoundTripTimes::new(&policy);
        for (rtt_ms, at_ns) in samples {
            times.handle_answer(*rtt_ms, *at_ns);
            assert_eq!(times.smoothed_ms(), 0.0);
        }
        times.aggregate(&policy, now_ns);
        assert!((times.smoothed_ms() - expected).abs() < 1e-9, "{times:?}");
        let before = times.smoothed_ms();
        times.aggregate(&policy, now_ns + SECOND);
        assert_eq!(times.smoothed_ms(), before);
    }

    #[test]
    fn a_measurement_counts_the_more_the_older_it_is() {
        let alpha = |seconds: f64| 1.0 - (-seconds / 10.0).exp();
        check(&[], SECOND, 0.0);
        check(&[(30.0, SECOND)], 9 * SECOND, 30.0);
        check(&[(30.0, 1), (50.0, SECOND)], 6 * SECOND, 30.0 + 20.0 * alpha(5.0));
        check(&[(30.0, 1), (50.0, 6 * SECOND)], 6 * SECOND, 50.0);
    }

    #[test]
    fn what_is_no_measurement_does_not_count() {
        check(&[(0.0, 1), (-3.0, 1), (f64::NAN, 1)], SECOND, 0.0);
        check(&[(f64::INFINITY, SECOND), (5.0, SECOND)], SECOND, 5.0);
        check(&[(7.0, 0), (5.0, 1)], SECOND, 5.0);
    }

    #[test]
    fn of_more_than_are_kept_the_last_count_again() {
        // The circle holds 4, 2 and 3, and is gone through for each of four.
        check(&[(1.0, SECOND), (2.0, SECOND), (3.0, SECOND), (4.0, SECOND)], SECOND, 4.0);
        let (alpha, mut expected) = (1.0 - (-0.1_f64).exp(), 4.0);
        for rtt in [2.0, 3.0, 4.0] {
            expected = alpha * rtt + (1.0 - alpha) * expected;
        }
        check(&[(1.0, 1), (2.0, SECOND), (3.0, SECOND), (4.0, SECOND)], 2 * SECOND, expected);
    }

    #[test]
    fn odd_settings_have_an_answer() {
        let policy = PeakEwma { max_samples_per_host: 0, decay_ms: 0, ..PeakEwma::default() };
        let mut times = RoundTripTimes::new(&policy);
        for rtt_ms in [3.0, f64::INFINITY, 5.0] {
            times.handle_answer(rtt_ms, 1);
        }
        times.aggregate(&policy, u64::MAX);
        assert_eq!(times.smoothed_ms(), 5.0);
        let many = PeakEwma { max_samples_per_host: u32::MAX, decay_ms: u64::MAX, ..policy };
        let mut times = RoundTripTimes::new(&many);
        times.handle_answer(7.0, u64::MAX);
        times.aggregate(&many, 0);
        assert_eq!(times.smoothed_ms(), 7.0);
        let odd = PeakEwma { penalty: f64::NAN, default_rtt_ms: u64::MAX, ..policy };
        let picked = pick(3, |host| odd.cost(f64::NAN, u32::try_from(host).unwrap()), || 7);
        assert!(picked.is_some());
    }

    #[test]
    fn the_cheaper_of_two_is_picked() {
        let cost = |costs: [f64; 4]| move |host: usize| costs[host];
        assert_eq!(pick(0, |_| 0.0, || 0), None);
        assert_eq!(pick(1, |_| 0.0, || panic!("nothing is drawn")), Some(0));
        let drawn = |first: u64, second: u64| move || (second << 16) + first;
        assert_eq!(pick(4, cost([5.0, 1.0, 9.0, 9.0]), drawn(0, 1)), Some(1));
        assert_eq!(pick(4, cost([5.0, 9.0, 9.0, 7.0]), drawn(3, 3)), Some(0)); // Another than itself.
        assert_eq!(pick(4, cost([1.0; 4]), drawn(0, 1)), Some(1));
        assert_eq!(pick(4, cost([1.0; 4]), drawn(1, 2)), Some(1));
    }
}
