//! Client-side weighted round robin: hosts report their load (ORCA), the proxy derives weights, and picks
//! by them as by configured ones.
//!
//! ```text
//! report ─▶ queries a second / utilization ─▶ weight, once it is old enough and until it is too old
//!                                  hosts without weight ─▶ the median of the others
//! ```
//!
//! A [`Balancer`](crate::Balancer) that picks [by these weights](crate::Algorithm::ClientSide) takes reports at any
//! time and weighs its hosts anew [when it is told to](crate::Balancer::reweighed).
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use mesh_model::name::Duration;
use mesh_model::resource::destination_rule::BackendUtilizationLb;

use crate::number::truncated;

/// How reports of load become weights.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "callers set single fields over the default")]
pub struct ClientSideWeights {
    /// How long a host must have been reporting before its weight counts: 10 s.
    pub blackout_ms: u64,
    /// How long a report counts: 180 s.
    pub expiration_ms: u64,
    /// How often hosts are weighed anew: 1 s. Less than 100 ms [acts as](Self::period_ms) 100 ms.
    pub update_period_ms: u64,
    /// What a rate of errors of 1 adds to the utilization: 1.
    pub error_utilization_penalty: f64,
    /// Which of the reported utilizations is taken.
    pub utilization: Utilization,
}

impl Default for ClientSideWeights {
    fn default() -> Self {
        Self {
            blackout_ms: 10_000,
            expiration_ms: 180_000,
            update_period_ms: 1_000,
            error_utilization_penalty: 1.0,
            utilization: Utilization::default(),
        }
    }
}

/// Which utilization goes first; the CPU's goes last.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Utilization {
    /// The greatest of the metrics that are configured by name, then the application's: as since 1.38
    /// (`orca_weight_manager_use_named_metrics_first`).
    #[default]
    NamedFirst,
    /// The application's, then the greatest of those by name.
    ApplicationFirst,
}

impl Utilization {
    /// Returns the utilization that a report tells: the first that is above 0, or else the CPU's.
    ///
    /// # Upstream
    ///
    /// Envoy `source/extensions/load_balancing_policies/common/orca_weight_manager.cc`,
    /// `OrcaLoadReportHandler::getUtilizationFromOrcaReport`.
    pub fn of(self, report: &OrcaReport<'_>) -> f64 {
        let named = report.named.iter().copied().fold(0.0, f64::max);
        let order = match self {
            Self::NamedFirst => [named, report.application_utilization],
            Self::ApplicationFirst => [report.application_utilization, named],
        };
        let first = order.into_iter().find(|utilization| *utilization > 0.0);
        first.unwrap_or(report.cpu_utilization)
    }
}

/// What a host reports.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "a value of the protocol")]
pub struct OrcaReport<'a> {
    /// Queries a second.
    pub rps: f64,
    /// Errors a second.
    pub eps: f64,
    /// How busy the application says it is.
    pub application_utilization: f64,
    /// How busy the CPU is.
    pub cpu_utilization: f64,
    /// Those of the metrics of `metric_names_for_computing_utilization` that are reported.
    pub named: &'a [f64],
}

/// What is known of one host. Reports come in from any thread, without lock: one that comes while the
/// hosts are weighed may count half, as upstream.
#[derive(Debug)]
pub struct ReportedWeight {
    weight: AtomicU32,
    /// When it began to report; `NEVER` before that.
    since_ms: AtomicU64,
    /// When it reported last, if it ever did.
    last_ms: AtomicU64,
}

const NEVER: u64 = u64::MAX;

impl Default for ReportedWeight {
    /// Nothing.
    fn default() -> Self {
        Self {
            weight: AtomicU32::new(0),
            since_ms: AtomicU64::new(NEVER),
            last_ms: AtomicU64::new(NEVER),
        }
    }
}

impl From<&BackendUtilizationLb> for ClientSideWeights {
    /// Reads `backendUtilization` of a traffic policy. No istiod configures a proxy by it so far, so
    /// [`BalancerPolicy::of`](crate::BalancerPolicy::of) does not either.
    ///
    /// Where metrics are named the application's utilization is not asked for before them; their
    /// values are what a report is to [name](OrcaReport::named). A negative period acts as 0.
    fn from(settings: &BackendUtilizationLb) -> Self {
        let default = Self::default();
        let or = |period: Option<Duration>, default| {
            period.map_or(default, |period| u64::try_from(period.as_millis()).unwrap_or(0))
        };
        Self {
            blackout_ms: or(settings.weight_stabilization_period, default.blackout_ms),
            expiration_ms: or(settings.weight_expiration_period, default.expiration_ms),
            update_period_ms: or(settings.weight_update_period, default.update_period_ms),
            error_utilization_penalty: f64::from(settings.error_utilization_penalty_percent)
                / 100.0,
            ..default
        }
    }
}

impl ClientSideWeights {
    /// Returns how often hosts are weighed anew, in milliseconds: at least 100.
    pub fn period_ms(&self) -> u64 {
        self.update_period_ms.max(100)
    }

    /// Returns the weight by a report: queries a second by utilization, truncated. None if there are no
    /// queries, or nothing is said to be in use.
    ///
    /// # Examples
    ///
    /// ```
    /// use mesh_lb::pick::client_side::{ClientSideWeights, OrcaReport};
    ///
    /// let report = OrcaReport { rps: 100.0, eps: 10.0, cpu_utilization: 0.4, ..OrcaReport::default() };
    /// assert_eq!(ClientSideWeights::default().weight(&report), Some(200));
    /// ```
    ///
    /// # Upstream
    ///
    /// Envoy `source/extensions/load_balancing_policies/common/orca_weight_manager.cc`,
    /// `OrcaLoadReportHandler::calculateWeightFromOrcaReport`.
    pub fn weight(&self, report: &OrcaReport<'_>) -> Option<u32> {
        let errors = self.error_utilization_penalty * report.eps / report.rps;
        let utilization = self.utilization.of(report) + errors;
        (report.rps > 0.0 && utilization > 0.0).then(|| truncated(report.rps / utilization))
    }

    /// Returns the weights of the hosts of a priority: for those that are not known the median of the
    /// others, truncated, or 1 if none is known. None is 0.
    ///
    /// # Upstream
    ///
    /// Envoy `source/extensions/load_balancing_policies/common/orca_weight_manager.cc`,
    /// `OrcaWeightManager::updateWeightsOnHosts`.
    pub fn of_hosts<'h>(
        &self,
        hosts: impl IntoIterator<Item = &'h ReportedWeight>,
        now_ms: u64,
    ) -> Vec<u32> {
        let weights: Vec<Option<u32>> =
            hosts.into_iter().map(|host| host.weight(self, now_ms)).collect();
        let median = median(weights.iter().flatten().copied().collect());
        weights.into_iter().map(|weight| weight.unwrap_or(median).max(1)).collect()
    }
}

/// The middle one, or the mean of the two in the middle, truncated; 1 of none.
fn median(mut weights: Vec<u32>) -> u32 {
    weights.sort_unstable();
    let middle = weights.len() / 2;
    let at = |place: Option<usize>| place.and_then(|place| weights.get(place)).copied();
    match (at(middle.checked_sub(1)), at(Some(middle))) {
        (Some(lower), Some(upper)) if weights.len().is_multiple_of(2) => lower.midpoint(upper),
        (_, Some(middle)) => middle,
        (_, None) => 1,
    }
}

impl ReportedWeight {
    /// Takes a report; one that says nothing is ignored. Does not allocate.
    ///
    /// # Upstream
    ///
    /// Envoy `source/extensions/load_balancing_policies/common/orca_weight_manager.h`,
    /// `OrcaHostLbPolicyData::updateWeightNow`.
    pub fn handle_report(&self, config: &ClientSideWeights, report: &OrcaReport<'_>, now_ms: u64) {
        if let Some(weight) = config.weight(report) {
            let now_ms = now_ms.min(NEVER - 1);
            self.weight.store(weight, Ordering::Relaxed);
            if self.since_ms.load(Ordering::Relaxed) == NEVER {
                self.since_ms.store(now_ms, Ordering::Relaxed);
            }
            self.last_ms.store(now_ms, Ordering::Relaxed);
        }
    }

    /// Returns the weight if it counts. A host that fell silent begins its blackout again with its next
    /// report.
    ///
    /// # Upstream
    ///
    /// Envoy `source/extensions/load_balancing_policies/common/orca_weight_manager.h`,
    /// `OrcaHostLbPolicyData::getWeightIfValid`.
    fn weight(&self, config: &ClientSideWeights, now_ms: u64) -> Option<u32> {
        let [since, last] = [&self.since_ms, &self.last_ms].map(|at| at.load(Ordering::Relaxed));
        if since == NEVER || now_ms.saturating_sub(since) < config.blackout_ms {
            return None;
        }
        if now_ms.saturating_sub(last) > config.expiration_ms {
            self.since_ms.store(NEVER, Ordering::Relaxed);
            return None;
        }
        Some(self.weight.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Weights of hosts that report so many queries a second, all busy alike; 0 is silent.
    fn check(queries: &[u32], expected: &[u32]) {
        let config = ClientSideWeights { blackout_ms: 0, ..ClientSideWeights::default() };
        let hosts: Vec<ReportedWeight> =
            queries.iter().map(|_| ReportedWeight::default()).collect();
        for (host, queries) in hosts.iter().zip(queries) {
            let report = OrcaReport {
                rps: f64::from(*queries),
                cpu_utilization: 1.0,
                ..OrcaReport::default()
            };
            host.handle_report(&config, &report, 0);
        }
        assert_eq!(config.of_hosts(&hosts, 0), expected);
    }

    #[test]
    fn hosts_that_say_nothing_weigh_as_the_others_do() {
        check(&[10, 0, 30, 20], &[10, 20, 30, 20]);
        check(&[10, 0, 25], &[10, 17, 25]);
        check(&[0, 0], &[1, 1]);
        check(&[], &[]);
    }

    #[test]
    fn a_weight_counts_from_the_end_of_its_blackout_until_it_expires() {
        let config = ClientSideWeights::default();
        let report = OrcaReport { rps: 8.0, cpu_utilization: 0.5, ..OrcaReport::default() };
        let host = ReportedWeight::default();
        host.handle_report(&config, &report, 0);
        assert_eq!(host.weight(&config, 9_999), None);
        assert_eq!(host.weight(&config, 180_000), Some(16));
        assert_eq!(host.weight(&config, 180_001), None);
        host.handle_report(&config, &report, 190_000);
        assert_eq!(host.weight(&config, 199_999), None);
        assert_eq!(host.weight(&config, 200_000), Some(16));
    }

    #[test]
    fn a_report_that_makes_no_sense_is_ignored() {
        let config = ClientSideWeights::default();
        let weight = |rps, eps, cpu_utilization| {
            config.weight(&OrcaReport { rps, eps, cpu_utilization, ..OrcaReport::default() })
        };
        for odd in [0.0, -1.0, f64::NAN] {
            assert_eq!(weight(odd, 0.0, 1.0), None);
            assert_eq!(weight(1.0, 0.0, odd), None);
        }
        assert_eq!(weight(f64::MAX, 0.0, 1.0), Some(u32::MAX));
        assert_eq!(weight(1.0, 1.0, 0.0), Some(1)); // Errors alone are a utilization.
        assert_eq!(weight(1.0, 0.0, 8.0), Some(0)); // Raised to 1 among hosts.
    }
}
