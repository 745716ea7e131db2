//! Client-side weighted round robin of a gRPC client: endpoints report their load, the client
//! derives weights, and a scheduler spreads them by strides.
use std::sync::atomic::{AtomicU32, Ordering};

use crate::number::{double, truncated};

/// How reports of load become weights.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "callers set single fields over the default")]
pub struct WeightConfig {
    /// How long an endpoint must have been reporting before its weight counts: 10 s.
    pub blackout_ms: u64,
    /// How long a report counts: 180 s.
    pub expiration_ms: u64,
    /// What a rate of errors of 1 adds to the utilization: 1.
    pub error_utilization_penalty: f64,
}

impl Default for WeightConfig {
    fn default() -> Self {
        Self { blackout_ms: 10_000, expiration_ms: 180_000, error_utilization_penalty: 1.0 }
    }
}

/// What an endpoint reports (ORCA).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "a value of the protocol")]
pub struct LoadReport {
    /// Queries a second.
    pub rps: f64,
    /// Errors a second.
    pub eps: f64,
    /// How busy the application says it is; 0 if it does not say.
    pub application_utilization: f64,
    /// How busy the CPU is, used otherwise.
    pub cpu_utilization: f64,
}

/// The weight of one endpoint over time.
///
/// # Upstream
///
/// grpc-go `balancer/weightedroundrobin/balancer.go`, `endpointWeight`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct EndpointWeight {
    weight: f64,
    last_ms: Option<u64>,
    since_ms: Option<u64>,
}

impl EndpointWeight {
    /// Takes a report; one without queries or utilization is ignored.
    pub fn handle_report(&mut self, config: &WeightConfig, report: &LoadReport, now_ms: u64) {
        let application = report.application_utilization;
        let utilization = if application == 0.0 { report.cpu_utilization } else { application };
        if utilization == 0.0 || report.rps == 0.0 {
            return;
        }
        let penalty = report.eps / report.rps * config.error_utilization_penalty;
        self.weight = report.rps / (utilization + penalty);
        self.last_ms = Some(now_ms);
        self.since_ms = self.since_ms.or(Some(now_ms));
    }

    /// Returns the weight, 0 if it is not known: no report, none lately, or too few yet. An endpoint
    /// that fell silent begins its blackout again with its next report.
    pub fn weight(&mut self, config: &WeightConfig, now_ms: u64) -> f64 {
        let Some(last) = self.last_ms else { return 0.0 };
        if now_ms.saturating_sub(last) >= config.expiration_ms {
            self.since_ms = None;
            return 0.0;
        }
        let known =
            self.since_ms.is_some_and(|since| now_ms.saturating_sub(since) >= config.blackout_ms);
        if config.blackout_ms != 0 && !known { 0.0 } else { self.weight }
    }
}

/// How the endpoints of a picker take turns.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StrideScheduler {
    endpoints: u32,
    /// Empty: plain round robin.
    weights: Box<[u16]>,
}

const MAX_WEIGHT: u64 = 65_535;
/// What sets the endpoints of equal weight apart: about half of the greatest weight.
const OFFSET: u64 = MAX_WEIGHT / 2;

impl StrideScheduler {
    /// Scales weights so that the greatest is 65,535; those that are not known (0, or no positive
    /// number) get the mean of the others. With at most one known, or all alike, endpoints take
    /// turns.
    ///
    /// # Examples
    ///
    /// ```
    /// use mesh_lb::grpc::wrr::StrideScheduler;
    /// use std::sync::atomic::AtomicU32;
    ///
    /// let scheduler = StrideScheduler::new(&[2.0, 1.0]);
    /// let counter = AtomicU32::new(0);
    /// let picks: Vec<_> = (0..6).filter_map(|_| scheduler.pick(&counter)).collect();
    /// assert_eq!(picks, [1, 0, 0, 1, 0, 0]);
    /// ```
    ///
    /// # Upstream
    ///
    /// grpc-go `balancer/weightedroundrobin/scheduler.go`, `newScheduler`.
    pub fn new(weights: &[f64]) -> Self {
        let endpoints = u32::try_from(weights.len()).unwrap_or(u32::MAX);
        let known = |weight: &f64| *weight > 0.0 && weight.is_finite();
        let zeros = weights.iter().filter(|weight| !known(weight)).count();
        let turns = Self { endpoints, weights: Box::default() };
        if weights.len() <= 1 || zeros + 1 >= weights.len() {
            return turns;
        }
        let count = double(u64::try_from(weights.len() - zeros).unwrap_or(u64::MAX));
        let max = weights.iter().filter(|weight| known(weight)).fold(0.0, |a, b| f64::max(a, *b));
        let sum: f64 = weights.iter().filter(|weight| known(weight)).sum();
        let scale = double(MAX_WEIGHT) / max;
        let scaled =
            |weight: f64| u16::try_from(truncated((scale * weight).round())).unwrap_or(u16::MAX);
        let mean = scaled(sum / count);
        let weights: Box<[u16]> = weights
            .iter()
            .map(|weight| if known(weight) { scaled(*weight) } else { mean })
            .collect();
        if weights.iter().all(|weight| *weight == mean) {
            turns
        } else {
            Self { endpoints, weights }
        }
    }

    /// Returns the scaled weights; none if the endpoints take turns.
    pub fn weights(&self) -> Option<&[u16]> {
        (!self.weights.is_empty()).then_some(&*self.weights)
    }

    /// Returns the endpoint whose turn it is; none if there are none. The counter is shared by all
    /// callers and survives a new scheduler. Does not allocate.
    ///
    /// # Upstream
    ///
    /// grpc-go `balancer/weightedroundrobin/scheduler.go`, `edfScheduler.nextIndex` and
    /// `rrScheduler.nextIndex`.
    pub fn pick(&self, counter: &AtomicU32) -> Option<u32> {
        loop {
            let turn = counter.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
            let endpoint = turn.checked_rem(self.endpoints)?;
            let generation = u64::from(turn / self.endpoints);
            let weight = usize::try_from(endpoint).ok().and_then(|index| self.weights.get(index));
            let Some(weight) = weight.map(|weight| u64::from(*weight)) else {
                return Some(endpoint);
            };
            let stride = (weight * generation + u64::from(endpoint) * OFFSET) % MAX_WEIGHT;
            if stride >= MAX_WEIGHT - weight {
                return Some(endpoint);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(weights: &[f64], expected: Option<&[u16]>) {
        assert_eq!(StrideScheduler::new(weights).weights(), expected, "{weights:?}");
    }

    #[test]
    fn endpoints_without_weight_get_the_mean() {
        check(&[10.0, 0.0, 30.0], Some(&[21_845, 43_690, 65_535]));
        check(&[10.0, f64::NAN, 30.0, f64::INFINITY], Some(&[21_845, 43_690, 65_535, 43_690]));
        check(&[4.0, 4.0, 0.0], None);
        check(&[1.0, 0.0, 0.0], None);
        check(&[], None);
    }

    #[test]
    fn turns_are_shared_by_weight() {
        let scheduler = StrideScheduler::new(&[1.0, 3.0, 6.0]);
        let counter = AtomicU32::new(0);
        let mut counts = [0_u32; 3];
        for _ in 0..10_000 {
            counts[scheduler.pick(&counter).unwrap() as usize] += 1;
        }
        assert!(counts.iter().zip([1_000, 3_000, 6_000]).all(|(a, b)| a.abs_diff(b) < 20));
    }

    #[test]
    fn weights_are_black_at_first_and_after_silence() {
        let config = WeightConfig::default();
        let report =
            LoadReport { rps: 100.0, eps: 10.0, cpu_utilization: 0.4, ..LoadReport::default() };
        let mut weight = EndpointWeight::default();
        weight.handle_report(&config, &report, 0);
        assert!(weight.weight(&config, 9_999) == 0.0 && weight.weight(&config, 10_000) == 200.0);
        assert!(weight.weight(&config, 180_000) == 0.0);
        weight.handle_report(&config, &report, 181_000);
        assert!(weight.weight(&config, 182_000) == 0.0 && weight.weight(&config, 191_000) == 200.0);
    }

    #[test]
    fn a_report_without_queries_or_utilization_is_ignored() {
        let config = WeightConfig { blackout_ms: 0, ..WeightConfig::default() };
        let mut weight = EndpointWeight::default();
        let idle = LoadReport { rps: 0.0, cpu_utilization: 0.5, ..LoadReport::default() };
        let unknown = LoadReport { rps: 5.0, ..LoadReport::default() };
        for report in [idle, unknown] {
            weight.handle_report(&config, &report, 0);
            assert!(weight.weight(&config, 1) == 0.0);
        }
    }
}
