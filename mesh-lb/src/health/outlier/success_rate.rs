//! Comparing the success rates of hosts over the last interval.
use super::EjectionKind;
use super::config::OutlierConfig;
use super::host::{HostState, Rates};
use crate::number::double;

/// What is compared.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Origin {
    /// Answers (and, if not told apart, connections).
    External,
    /// Connections.
    Local,
}

/// The mean success rate and the rate below which a host is an outlier.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EjectionThreshold {
    /// The mean of the rates.
    pub mean: f64,
    /// The mean less so many standard deviations.
    pub threshold: f64,
}

impl EjectionThreshold {
    /// Returns whether a host with this success rate is an outlier.
    pub fn is_outlier(&self, rate: f64) -> bool {
        rate < self.threshold
    }
}

/// Computes the threshold of success rates in percent; none if there are no rates. The factor is
/// in thousandths of the (population) standard deviation.
///
/// # Examples
///
/// ```
/// use mesh_lb::health::outlier::ejection_threshold;
///
/// let threshold = ejection_threshold(&[50.0, 100.0, 100.0, 100.0, 100.0], 1900).unwrap();
/// assert_eq!((threshold.mean, threshold.threshold), (90.0, 52.0));
/// ```
///
/// # Upstream
///
/// Envoy `source/common/upstream/outlier_detection_impl.cc`,
/// `DetectorImpl::successRateEjectionThreshold`.
pub fn ejection_threshold(rates: &[f64], stdev_factor: u32) -> Option<EjectionThreshold> {
    let count = double(u64::try_from(rates.len()).ok().filter(|&count| count > 0)?);
    let mean = rates.iter().fold(0.0, |sum, rate| sum + rate) / count;
    let squares = rates.iter().fold(0.0, |sum, rate| sum + (rate - mean) * (rate - mean));
    let stdev = (squares / count).sqrt();
    Some(EjectionThreshold { mean, threshold: mean - f64::from(stdev_factor) / 1000.0 * stdev })
}

/// Returns the outliers of the last interval in the order in which they are to be ejected: by
/// success rate in host order, then by failure percentage. A host can be among both.
///
/// # Upstream
///
/// Envoy `source/common/upstream/outlier_detection_impl.cc`,
/// `DetectorImpl::processSuccessRateEjections`.
pub(super) fn outliers(
    config: &OutlierConfig,
    hosts: &[HostState],
    origin: Origin,
) -> Vec<(usize, EjectionKind)> {
    let enough = |found: usize, minimum: u32| u32::try_from(found).unwrap_or(u32::MAX) >= minimum;
    let minimum = config.success_rate_minimum_hosts.min(config.failure_percentage_minimum_hosts);
    if !enough(hosts.len(), minimum) {
        return Vec::new();
    }
    let (success_rate, failure_percentage) = match origin {
        Origin::External => (EjectionKind::SuccessRate, EjectionKind::FailurePercentage),
        Origin::Local => {
            (EjectionKind::LocalOriginSuccessRate, EjectionKind::LocalOriginFailurePercentage)
        }
    };
    let mut outliers = Vec::new();
    let (by_rate, rates) = measured(hosts, origin, config.success_rate_request_volume);
    if enough(rates.len(), config.success_rate_minimum_hosts)
        && let Some(limit) = ejection_threshold(&rates, config.success_rate_stdev_factor)
    {
        let below = by_rate.iter().zip(&rates).filter(|(_, rate)| limit.is_outlier(**rate));
        outliers.extend(below.map(|(&host, _)| (host, success_rate)));
    }
    let (by_failures, rates) = measured(hosts, origin, config.failure_percentage_request_volume);
    if enough(rates.len(), config.failure_percentage_minimum_hosts) {
        let threshold = f64::from(config.failure_percentage_threshold);
        let above = by_failures.iter().zip(&rates).filter(|(_, rate)| 100.0 - **rate >= threshold);
        outliers.extend(above.map(|(&host, _)| (host, failure_percentage)));
    }
    outliers
}

/// Returns the hosts with enough requests, and their rates. Hosts that are ejected or had no
/// request at all have none.
fn measured(hosts: &[HostState], origin: Origin, volume: u32) -> (Vec<usize>, Vec<f64>) {
    let rates = |state: &HostState| -> Rates {
        match origin {
            Origin::External => state.external,
            Origin::Local => state.local,
        }
    };
    hosts
        .iter()
        .enumerate()
        .filter(|(_, state)| !state.is_ejected())
        .map(|(host, state)| (host, rates(state).last()))
        .filter(|(_, last)| last.total > 0 && last.total >= u64::from(volume))
        .map(|(host, last)| (host, double(last.success) * 100.0 / double(last.total)))
        .unzip()
}
