//! What ejecting a gateway address takes away.
//!
//! To outlier detection a gateway address is a host like any other. A few bad endpoints behind it
//! eject it, and with it all the good ones.
use super::Seeded;
use crate::health::outlier::{OutlierConfig, OutlierDetector};
use crate::number::{double, index};

/// The most gateways, and the most other hosts, that are played through.
const MOST_HOSTS: u32 = 10_000;

/// The most requests that are played through, times the number of hosts.
const MOST_STEPS: u32 = 200_000_000;

/// The most requests that are played through.
const MOST_REQUESTS: u32 = 10_000_000;

/// A client that sends to another network.
///
/// So that each call ends soon, more than 10,000 gateways or other hosts act as so many, and so do more
/// than 10,000,000 requests, or more than make 200,000,000 if they are multiplied by the number of
/// hosts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "callers set single fields over the default")]
pub struct EjectionScenario {
    /// Gateway addresses of the network: 1.
    pub gateways: u32,
    /// Other hosts of the same cluster, which never fail: 0.
    pub others: u32,
    /// Endpoints behind the gateways: 10.
    pub backends: u32,
    /// How many of them answer 503 only: 1.
    pub bad: u32,
    /// Requests of the client, one each millisecond: 100,000.
    pub requests: u32,
    /// Whether each request gets an endpoint of its own behind the gateway, or the first one's
    /// connection stays.
    pub spreads_requests: bool,
    /// The outlier detection of the client's cluster.
    pub outlier_detection: OutlierConfig,
    /// The seed.
    pub seed: u64,
}

impl Default for EjectionScenario {
    fn default() -> Self {
        Self {
            gateways: 1,
            others: 0,
            backends: 10,
            bad: 1,
            requests: 100_000,
            spreads_requests: false,
            outlier_detection: OutlierConfig::default(),
            seed: 0,
        }
    }
}

impl EjectionScenario {
    /// What is played of it.
    fn bounded(&self) -> Self {
        let (gateways, others) = (self.gateways.min(MOST_HOSTS), self.others.min(MOST_HOSTS));
        let most = MOST_STEPS / (gateways + others).max(1);
        let requests = self.requests.min(MOST_REQUESTS).min(most);
        Self { gateways, others, requests, ..*self }
    }
}

/// What became of the requests.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "a value to report")]
pub struct EjectionOutcome {
    /// Answered by good endpoints behind gateways.
    pub remote: u64,
    /// Answered by the others.
    pub elsewhere: u64,
    /// Answered with 503 by a bad endpoint.
    pub failed: u64,
    /// Not sent: every host was ejected.
    pub refused: u64,
    /// How often a gateway was ejected.
    pub ejections: u64,
    /// Milliseconds, summed over the gateways, in which one was ejected.
    pub ejected_ms: u64,
}

impl EjectionOutcome {
    /// Returns the share of the time that a gateway was out of use, in percent of all.
    pub fn ejected_percent(&self, scenario: &EjectionScenario) -> f64 {
        let EjectionScenario { gateways, requests, .. } = scenario.bounded();
        let all = u64::from(gateways) * u64::from(requests);
        if all == 0 { 0.0 } else { 100.0 * double(self.ejected_ms) / double(all) }
    }
}

/// Plays the scenario: requests take turns among the hosts that are not ejected; panic is off.
///
/// # Examples
///
/// One bad endpoint of ten, behind the only gateway: whoever lands on it ejects all ten.
///
/// ```
/// use mesh_lb::health::outlier::OutlierConfig;
/// use mesh_lb::simulate::{EjectionScenario, play_ejections};
///
/// let outlier_detection = OutlierConfig { max_ejection_percent: 100, ..OutlierConfig::default() };
/// let scenario = EjectionScenario { bad: 10, outlier_detection, ..EjectionScenario::default() };
/// let outcome = play_ejections(&scenario);
/// assert!(outcome.refused > 90_000);
/// ```
pub fn play_ejections(scenario: &EjectionScenario) -> EjectionOutcome {
    let scenario = &scenario.bounded();
    let mut random = Seeded::new(scenario.seed);
    let gateways = usize::try_from(scenario.gateways).unwrap_or(0);
    let hosts = gateways.saturating_add(usize::try_from(scenario.others).unwrap_or(0));
    let mut detector = OutlierDetector::new(scenario.outlier_detection, hosts);
    let mut connected: Vec<Option<bool>> = vec![None; gateways];
    let mut outcome = EjectionOutcome::default();
    let interval = scenario.outlier_detection.interval_ms.max(1);
    let mut turn = 0_usize;
    for now in 1..=u64::from(scenario.requests) {
        if now.is_multiple_of(interval) {
            let often = |detector: &OutlierDetector| -> Vec<u64> {
                (0..gateways).map(|host| detector.num_ejections(host)).collect()
            };
            let before = often(&detector);
            detector.handle_sweep(now, || random.draw());
            for ((before, after), connection) in
                before.into_iter().zip(often(&detector)).zip(&mut connected)
            {
                if after > before {
                    outcome.ejections += after - before;
                    *connection = None;
                }
            }
        }
        outcome.ejected_ms += count((0..gateways).filter(|host| detector.is_ejected(*host)));
        let next = (0..hosts).map(|step| (turn + step) % hosts);
        let Some(host) = { next }.find(|host| !detector.is_ejected(*host)) else {
            outcome.refused += 1;
            continue;
        };
        turn = (host + 1) % hosts;
        let Some(connection) = connected.get_mut(host) else {
            outcome.elsewhere += 1;
            detector.handle_response(host, 200, now, || random.draw());
            continue;
        };
        let kept = connection.filter(|_| !scenario.spreads_requests);
        let good = kept.unwrap_or_else(|| is_good(scenario, &mut random));
        *connection = Some(good);
        let status = if good { 200 } else { 503 };
        detector.handle_response(host, status, now, || random.draw());
        outcome.remote += u64::from(good);
        outcome.failed += u64::from(!good);
        if detector.is_ejected(host) {
            outcome.ejections += 1;
            *connection = None; // It is connected to anew when it is back.
        }
    }
    outcome
}

fn count(hosts: impl Iterator) -> u64 {
    u64::try_from(hosts.count()).unwrap_or(u64::MAX)
}

/// Whether the endpoint that a gateway picks is a good one.
fn is_good(scenario: &EjectionScenario, random: &mut Seeded) -> bool {
    let backends = usize::try_from(scenario.backends).unwrap_or(0);
    let bad = usize::try_from(scenario.bad).unwrap_or(usize::MAX);
    index(random.draw(), backends).is_some_and(|backend| backend >= bad)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(scenario: EjectionScenario) -> EjectionOutcome {
        let outcome = play_ejections(&scenario);
        let sum = outcome.remote + outcome.elsewhere + outcome.failed + outcome.refused;
        assert_eq!(sum, u64::from(scenario.requests));
        outcome
    }

    const ALL: u32 = 100;

    fn ejecting(scenario: EjectionScenario) -> EjectionScenario {
        let outlier_detection =
            OutlierConfig { max_ejection_percent: ALL, ..OutlierConfig::default() };
        EjectionScenario { outlier_detection, ..scenario }
    }

    #[test]
    fn the_default_limit_never_ejects_one_of_a_few() {
        let outcome = check(EjectionScenario { bad: 10, ..EjectionScenario::default() });
        assert_eq!((outcome.ejections, outcome.failed), (0, 100_000));
    }

    #[test]
    fn one_bad_endpoint_takes_the_good_ones_with_it() {
        let half = EjectionScenario { bad: 5, ..EjectionScenario::default() };
        let unlucky = (0..8).map(|seed| check(ejecting(EjectionScenario { seed, ..half })));
        assert!({ unlucky }.any(|outcome| outcome.refused >= 30_000 && outcome.ejections > 0));
    }

    #[test]
    fn requests_that_are_spread_rarely_fail_in_a_row() {
        let spread = EjectionScenario { spreads_requests: true, ..EjectionScenario::default() };
        assert!(check(ejecting(spread)).ejected_percent(&spread) < 80.0);
    }

    #[test]
    fn other_hosts_take_over() {
        let all_bad = EjectionScenario { bad: 10, others: 2, ..EjectionScenario::default() };
        let outcome = check(ejecting(all_bad));
        assert!(outcome.elsewhere > 99_900 && outcome.refused == 0);
    }

    #[test]
    fn without_hosts_everything_is_refused() {
        let none = EjectionScenario { gateways: 0, ..EjectionScenario::default() };
        assert_eq!(check(none).refused, 100_000);
    }
}
