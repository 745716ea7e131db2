//! Load-aware localities: traffic stays here until here is busier than elsewhere, by what hosts report.
//!
//! ```text
//! reports ─▶ mean of a locality ─▶ smoothed ─▶ hosts × (1 - utilization) ─▶ all here? ─▶ a probe elsewhere
//! ```
//!
//! Envoy's policy `load_aware_locality`, which is on trial there; no policy of istiod's configures it. It
//! is followed as it was merged for 1.40 (envoyproxy/envoy#45725); what the first sketch of it did
//! otherwise (a factor instead of a time constant, expired reports that reset a locality) is left out.
use std::sync::atomic::{AtomicU64, Ordering};

use mesh_model::name::Locality;

use crate::number::{double, mixed};
use crate::pick::client_side::{OrcaReport, Utilization};

/// When traffic leaves the caller's own locality.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "callers set single fields over the default")]
pub struct LoadAware {
    /// How often weights are computed anew: 1 s; at least 100 ms in Envoy.
    pub weight_update_period_ms: u64,
    /// So much busier than the others the own locality may be and still get all traffic: 0.1.
    pub utilization_variance_threshold: f64,
    /// The time constant by which utilizations are smoothed: 5 s. 0, which Envoy refuses, acts as no
    /// smoothing.
    pub smoothing_time_constant_ms: u64,
    /// The least part of the traffic that goes to other localities, so that they have something to
    /// report: 0.03. 0 turns that off.
    pub remote_probe_fraction: f64,
    /// How long a report counts: 180 s. With 0 for ever.
    pub weight_expiration_period_ms: u64,
    /// Which of the reported utilizations is taken.
    pub utilization: Utilization,
}

impl Default for LoadAware {
    fn default() -> Self {
        Self {
            weight_update_period_ms: 1_000,
            utilization_variance_threshold: 0.1,
            smoothing_time_constant_ms: 5_000,
            remote_probe_fraction: 0.03,
            weight_expiration_period_ms: 180_000,
            utilization: Utilization::default(),
        }
    }
}

impl LoadAware {
    /// Returns the part of a new mean in the smoothed one, each period.
    ///
    /// # Upstream
    ///
    /// Envoy `source/extensions/load_balancing_policies/load_aware_locality/config.cc`,
    /// `Factory::loadConfig`.
    pub fn alpha(&self) -> f64 {
        match (self.weight_update_period_ms, self.smoothing_time_constant_ms) {
            (_, 0) => 1.0,
            (period, constant) => 1.0 - (-double(period) / double(constant)).exp(),
        }
    }
}

/// What one host has reported last. Reports come in from any thread, without lock.
#[derive(Debug)]
pub struct ReportedUtilization {
    /// The bits of a double.
    utilization: AtomicU64,
    last_ms: AtomicU64,
}

const NEVER: u64 = u64::MAX;
/// No host is busier.
const MOST_UTILIZED: f64 = 1e9;

impl Default for ReportedUtilization {
    /// Nothing.
    fn default() -> Self {
        Self { utilization: AtomicU64::new(0), last_ms: AtomicU64::new(NEVER) }
    }
}

impl ReportedUtilization {
    /// Takes a report; one that tells of no utilization, or of none that is finite, is ignored, and keeps
    /// nothing fresh. More than a thousand million times what a host can do counts as that, so that sums
    /// stay finite, and what is smoothed recovers. Does not allocate.
    ///
    /// # Upstream
    ///
    /// Envoy `source/extensions/load_balancing_policies/load_aware_locality/load_aware_locality_lb.cc`,
    /// `LocalityLbHostData::onOrcaLoadReport`.
    pub fn handle_report(&self, policy: &LoadAware, report: &OrcaReport<'_>, now_ms: u64) {
        let utilization = policy.utilization.of(report);
        if utilization > 0.0 && utilization.is_finite() {
            let utilization = utilization.min(MOST_UTILIZED);
            self.utilization.store(utilization.to_bits(), Ordering::Relaxed);
            self.last_ms.store(now_ms.min(NEVER - 1), Ordering::Relaxed);
        }
    }

    /// Returns what counts at a time.
    fn valid(&self, policy: &LoadAware, now_ms: u64) -> Option<f64> {
        let last = self.last_ms.load(Ordering::Relaxed);
        let period = policy.weight_expiration_period_ms;
        let is_expired = period > 0 && now_ms.saturating_sub(last) > period;
        let counts = last != NEVER && !is_expired;
        counts.then(|| f64::from_bits(self.utilization.load(Ordering::Relaxed)))
    }
}

/// A locality of a priority, with those of its hosts that may be picked: the healthy ones, the degraded
/// ones, or all in panic.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "plain data that callers fill in")]
pub struct LoadedLocality<'h> {
    /// The locality, which has a host, be it one that may be picked or not.
    pub locality: &'h Locality,
    /// What each of these hosts has reported.
    pub hosts: Vec<&'h ReportedUtilization>,
}

/// The localities of a priority.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "plain data that callers fill in")]
pub struct LoadedLocalities<'l, 'h> {
    /// The localities.
    pub localities: &'l [LoadedLocality<'h>],
    /// Whether the first one is the caller's own; if it is not there none is preferred, and none probed.
    pub has_local_locality: bool,
}

/// What became of the weights of localities, for those who ask why.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct LoadAwareReasons {
    /// The own locality is no busier than it may be, and was given all traffic.
    pub local_preferred: bool,
    /// It is busier than that, and shares.
    pub spills: bool,
    /// Some of its traffic was moved to others, for a probe.
    pub probes: bool,
    /// No locality had anything left, so that numbers of hosts count.
    pub all_overloaded: bool,
    /// So many localities have only expired reports, and weigh as many hosts as they have.
    pub stale: usize,
}

/// The weights of the localities of a priority at a time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LoadAwareWeights {
    weights: Box<[f64]>,
    /// The sums of the weights up to each.
    sums: Box<[f64]>,
    reasons: LoadAwareReasons,
}

/// The smoothed utilization of the localities of a priority. There is one for its healthy hosts, one for
/// its degraded ones, and one for all.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SmoothedUtilization {
    // INVARIANT: each locality once.
    of_localities: Vec<(Locality, f64)>,
}

/// The localities of one computation; what is in the lists is in their order.
struct Tick {
    hosts: Vec<f64>,
    utilizations: Vec<f64>,
    weights: Vec<f64>,
    reasons: LoadAwareReasons,
}

impl SmoothedUtilization {
    /// Smooths what was reported up to now, and weighs the localities by it; to be called once every
    /// [period](LoadAware::weight_update_period_ms). What is known of localities that are not given is
    /// forgotten.
    ///
    /// # Examples
    ///
    /// Ten hosts each, 70 percent busy here, 30 and 40 elsewhere: what is left is shared 3 to 7 to 6.
    ///
    /// ```
    /// use mesh_lb::load::{
    ///     LoadAware, LoadedLocalities, LoadedLocality, ReportedUtilization, SmoothedUtilization,
    /// };
    /// use mesh_lb::pick::client_side::OrcaReport;
    /// use mesh_model::name::Locality;
    ///
    /// let policy = LoadAware::default();
    /// let places = ["eu/west/a", "eu/west/b", "eu/west/c"].map(Locality::parse);
    /// let reports: Vec<Vec<ReportedUtilization>> = [0.7, 0.3, 0.4]
    ///     .map(|cpu_utilization| {
    ///         let hosts = (0..10).map(|_| ReportedUtilization::default());
    ///         hosts
    ///             .inspect(|host| {
    ///                 let report = OrcaReport { cpu_utilization, ..OrcaReport::default() };
    ///                 host.handle_report(&policy, &report, 0);
    ///             })
    ///             .collect()
    ///     })
    ///     .into();
    /// let localities: Vec<LoadedLocality<'_>> = places
    ///     .iter()
    ///     .zip(&reports)
    ///     .map(|(locality, hosts)| LoadedLocality { locality, hosts: hosts.iter().collect() })
    ///     .collect();
    /// let of = LoadedLocalities { localities: &localities, has_local_locality: true };
    /// let weights = SmoothedUtilization::default().weigh(&policy, of, 1_000);
    /// let rounded: Vec<f64> = weights.weights().iter().map(|weight| weight.round()).collect();
    /// assert_eq!(rounded, [3.0, 7.0, 6.0]);
    /// ```
    ///
    /// # Upstream
    ///
    /// Envoy `source/extensions/load_balancing_policies/load_aware_locality/load_aware_locality_lb.cc`,
    /// `LoadAwareLocalityLoadBalancer::computeSourceWeights`.
    pub fn weigh(
        &mut self,
        policy: &LoadAware,
        of: LoadedLocalities<'_, '_>,
        now_ms: u64,
    ) -> LoadAwareWeights {
        let mut tick = self.smooth(policy, of.localities, now_ms);
        let total: f64 = tick.weights.iter().sum();
        if total == 0.0 {
            tick.reasons.all_overloaded = tick.hosts.iter().any(|hosts| *hosts > 0.0);
            tick.weights.clone_from(&tick.hosts);
        } else if of.has_local_locality {
            tick.prefer_local(policy.utilization_variance_threshold);
            tick.probe(policy.remote_probe_fraction);
        }
        let mut sum = 0.0;
        let sums = tick.weights.iter().map(|weight| {
            sum += weight;
            sum
        });
        LoadAwareWeights {
            sums: sums.collect(),
            weights: tick.weights.into(),
            reasons: tick.reasons,
        }
    }

    /// Takes up the means of what counts now, and weighs each locality by what it has left.
    fn smooth(
        &mut self,
        policy: &LoadAware,
        localities: &[LoadedLocality<'_>],
        now_ms: u64,
    ) -> Tick {
        let alpha = policy.alpha();
        let (mut hosts, mut utilizations, mut weights) = (Vec::new(), Vec::new(), Vec::new());
        let (mut known, mut reasons) = (Vec::new(), LoadAwareReasons::default());
        for LoadedLocality { locality, hosts: reports } in localities {
            let n_hosts = double(u64::try_from(reports.len()).unwrap_or(u64::MAX));
            let valid = || reports.iter().filter_map(|host| host.valid(policy, now_ms));
            let n_valid = u64::try_from(valid().count()).unwrap_or(u64::MAX);
            let mean = valid().sum::<f64>() / double(n_valid);
            let before = self.of(locality);
            let is_stale = n_valid == 0 && before.is_some();
            let smoothed = match before {
                Some(before) if n_valid > 0 => Some(alpha * mean + (1.0 - alpha) * before),
                Some(before) => Some(before),
                None => (n_valid > 0).then_some(mean),
            };
            let utilization = smoothed.unwrap_or(0.0);
            known.extend(smoothed.map(|smoothed| ((*locality).clone(), smoothed)));
            reasons.stale += usize::from(is_stale);
            let left = if is_stale { 1.0 } else { (1.0 - utilization).max(0.0) };
            hosts.push(n_hosts);
            utilizations.push(utilization);
            weights.push(n_hosts * left);
        }
        self.of_localities = known;
        Tick { hosts, utilizations, weights, reasons }
    }

    /// Returns the smoothed utilization of a locality, if it has ever reported.
    pub fn of(&self, locality: &Locality) -> Option<f64> {
        let known = self.of_localities.iter().find(|(known, _)| known == locality);
        known.map(|(_, utilization)| *utilization)
    }
}

impl Tick {
    /// The hosts of the others.
    fn remote_hosts(&self) -> f64 {
        self.hosts.iter().skip(1).sum()
    }

    /// Gives the own locality everything if it is no busier than the others, and a little.
    fn prefer_local(&mut self, threshold: f64) {
        let remote_hosts = self.remote_hosts();
        let (Some(hosts), Some(own)) = (self.hosts.first(), self.utilizations.first()) else {
            return;
        };
        // Without hosts here traffic leaves since nobody is well, not since anybody is busy.
        if *hosts == 0.0 || remote_hosts == 0.0 {
            return;
        }
        let others = self.utilizations.iter().zip(&self.hosts).skip(1);
        let sum: f64 = others.map(|(utilization, hosts)| utilization * hosts).sum();
        if *own <= sum / remote_hosts + threshold {
            self.reasons.local_preferred = true;
            self.weights.fill(0.0);
            self.weights.iter_mut().take(1).for_each(|own| *own = 1.0);
        } else {
            self.reasons.spills = true;
        }
    }

    /// Moves to the others, by their hosts, what they lack of the least part.
    fn probe(&mut self, fraction: f64) {
        let (remote_hosts, total) = (self.remote_hosts(), self.weights.iter().sum::<f64>());
        let Some(own) = self.weights.first_mut() else { return };
        let (target, remote) = (total * fraction, total - *own);
        // Nothing is moved by a fraction that is no number.
        if remote_hosts == 0.0 || !(fraction > 0.0 && remote < target) {
            return;
        }
        self.reasons.probes = true;
        let taken = (target - remote).min(*own);
        *own -= taken;
        for (weight, hosts) in self.weights.iter_mut().zip(&self.hosts).skip(1) {
            *weight += taken * hosts / remote_hosts;
        }
    }
}

impl LoadAwareWeights {
    /// Returns the weight of each locality, in the order in which they were given.
    pub fn weights(&self) -> &[f64] {
        &self.weights
    }

    /// Returns why they are what they are.
    pub const fn reasons(&self) -> LoadAwareReasons {
        self.reasons
    }

    /// Returns the index of the locality of a request; none without localities. `hash` is the random
    /// number that its priority was chosen by, mixed so that the two choices do not depend on each
    /// other. If nothing weighs anything it is the first one. Does not allocate.
    ///
    /// A locality that weighs something may have lost its hosts since then: upstream takes the first that
    /// has some instead.
    ///
    /// # Upstream
    ///
    /// Envoy `source/extensions/load_balancing_policies/load_aware_locality/load_aware_locality_lb.cc`,
    /// `WorkerLocalLb::chooseLocality`.
    pub fn choose(&self, hash: u64) -> Option<usize> {
        let last = self.sums.len().checked_sub(1)?;
        // NaN is no weight either.
        let total = self.sums.last().filter(|total| **total > 0.0);
        let (Some(total), 1..) = (total, last) else { return Some(0) };
        let drawn = mixed(hash.wrapping_add(0x9e37_79b9_7f4a_7c15));
        let target = double(drawn) / double(u64::MAX) * *total;
        Some(self.sums.partition_point(|sum| *sum <= target).min(last))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACES: [&str; 3] = ["eu/west/a", "eu/west/b", "eu/west/c"];

    /// Localities of hosts with these utilizations (negative: nothing reported), the first one local.
    struct Site {
        policy: LoadAware,
        state: SmoothedUtilization,
        places: Vec<Locality>,
        hosts: Vec<Vec<ReportedUtilization>>,
    }

    impl Site {
        fn new(hosts: &[usize]) -> Self {
            let places = PLACES.map(Locality::parse);
            let hosts = hosts.iter().map(|n| (0..*n).map(|_| Default::default()).collect());
            let (policy, state) = (LoadAware::default(), SmoothedUtilization::default());
            Self { policy, state, places: places.into(), hosts: hosts.collect() }
        }

        fn report(&self, utilizations: &[f64], now_ms: u64) {
            for (hosts, cpu_utilization) in self.hosts.iter().zip(utilizations) {
                let report = OrcaReport { cpu_utilization: *cpu_utilization, ..Default::default() };
                hosts.iter().for_each(|host| host.handle_report(&self.policy, &report, now_ms));
            }
        }

        fn weigh(&mut self, is_local: bool, now_ms: u64) -> LoadAwareWeights {
            let localities = self.places.iter().zip(&self.hosts);
            let localities: Vec<LoadedLocality<'_>> = localities
                .map(|(locality, hosts)| LoadedLocality { locality, hosts: hosts.iter().collect() })
                .collect();
            let of = LoadedLocalities { localities: &localities, has_local_locality: is_local };
            self.state.weigh(&self.policy, of, now_ms)
        }

        #[track_caller]
        fn check(&mut self, now_ms: u64, expected: &[f64]) -> LoadAwareReasons {
            let weights = self.weigh(true, now_ms);
            let near = weights.weights().iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-9);
            assert!(near && weights.weights().len() == expected.len(), "{weights:?}");
            weights.reasons()
        }
    }

    #[test]
    fn traffic_stays_here_while_here_is_no_busier() {
        let mut site = Site::new(&[10, 10, 10]);
        site.report(&[0.45, 0.45, 0.45], 0);
        let reasons = site.check(0, &[0.97, 0.015, 0.015]);
        assert!(reasons.local_preferred && reasons.probes && !reasons.spills);
        site.policy.remote_probe_fraction = 0.0;
        assert!(!site.check(0, &[1.0, 0.0, 0.0]).probes);
        // Nobody has reported: all have everything left.
        Site::new(&[2, 1, 3]).check(0, &[0.97, 0.0075, 0.0225]);
    }

    #[test]
    fn a_busy_locality_shares_by_what_is_left() {
        let mut site = Site::new(&[10, 10, 10]);
        site.report(&[0.7, 0.3, 0.4], 0);
        let reasons = site.check(0, &[3.0, 7.0, 6.0]);
        assert!(reasons.spills && !reasons.local_preferred && !reasons.probes);
        // Without an own locality nobody is preferred.
        let mut away = Site::new(&[10, 10]);
        away.report(&[0.125, 0.25], 0);
        assert_eq!(away.weigh(false, 0).weights(), [8.75, 7.5]);
    }

    #[test]
    fn reports_are_smoothed_by_time() {
        let mut site = Site::new(&[1, 1]);
        (site.policy.remote_probe_fraction, site.policy.utilization_variance_threshold) =
            (0.0, -1.0);
        site.report(&[0.8, 0.2], 0);
        site.check(0, &[0.2, 0.8]);
        site.report(&[0.4, 0.2], 1_000);
        let alpha = 1.0 - (-0.2_f64).exp();
        site.check(1_000, &[1.0 - (alpha * 0.4 + (1.0 - alpha) * 0.8), 0.8]);
    }

    #[test]
    fn a_report_beyond_all_measure_is_forgotten_in_time() {
        let mut site = Site::new(&[2, 1]);
        (site.policy.remote_probe_fraction, site.policy.smoothing_time_constant_ms) = (0.0, 0);
        site.report(&[f64::MAX, 0.5], 0);
        site.check(0, &[0.0, 0.5]);
        site.report(&[f64::INFINITY], 500);
        site.report(&[0.25, 0.5], 1_000);
        site.check(1_000, &[1.0, 0.0]);
    }

    #[test]
    fn expired_reports_leave_the_number_of_hosts() {
        let mut site = Site::new(&[2, 4]);
        (site.policy.remote_probe_fraction, site.policy.utilization_variance_threshold) =
            (0.0, -1.0);
        site.report(&[0.8, 0.5], 0);
        site.check(0, &[0.4, 2.0]);
        site.report(&[0.8], 180_001);
        let reasons = site.check(180_001, &[0.4, 4.0]);
        assert_eq!(reasons.stale, 1);
        site.policy.weight_expiration_period_ms = 0;
        site.check(400_000, &[0.4, 2.0]);
    }

    #[test]
    fn when_nobody_has_anything_left_hosts_count() {
        let mut site = Site::new(&[1, 3]);
        site.report(&[1.0, 1.2], 0);
        let reasons = site.check(0, &[1.0, 3.0]);
        assert!(reasons.all_overloaded && !reasons.probes);
        // A locality without hosts gets nothing, and without any hosts nobody does.
        let mut one = Site::new(&[0, 3]);
        one.report(&[0.5, 0.5], 0);
        one.check(0, &[0.0, 1.5]);
        assert_eq!(Site::new(&[0, 0]).weigh(true, 0).choose(7), Some(0));
        assert_eq!(Site::new(&[]).weigh(true, 0).choose(7), None);
    }

    #[test]
    fn a_report_of_nothing_is_no_report() {
        let mut site = Site::new(&[1, 1]);
        site.report(&[0.9, 0.5], 0);
        site.check(0, &[0.1, 0.5]);
        site.report(&[0.0, f64::NAN], 100_000);
        assert_eq!(site.check(180_001, &[1.0, 1.0]).stale, 2);
    }

    #[test]
    fn odd_settings_have_an_answer() {
        for odd in [f64::NAN, f64::INFINITY, -1.0, 2.0] {
            for constant in [0, u64::MAX] {
                let mut site = Site::new(&[1, 2, 3]);
                site.policy.remote_probe_fraction = odd;
                site.policy.utilization_variance_threshold = odd;
                site.policy.smoothing_time_constant_ms = constant;
                site.policy.weight_update_period_ms = 0;
                for (now, busy) in [(0, 0.2), (u64::MAX, f64::INFINITY), (7, 0.9)] {
                    site.report(&[busy, 0.5], now);
                    let weights = site.weigh(true, now);
                    let is_known = |hash| weights.choose(hash).is_some_and(|at| at < 3);
                    assert!((0..50).all(is_known), "{weights:?}");
                }
            }
        }
    }

    #[test]
    fn requests_are_shared_by_weight() {
        let mut site = Site::new(&[10, 10, 10]);
        site.report(&[0.7, 0.3, 0.4], 0);
        let weights = site.weigh(true, 0);
        let mut counts = [0_u32; 3];
        (0..16_000).for_each(|hash| counts[weights.choose(hash).unwrap()] += 1);
        for (count, expected) in counts.into_iter().zip([3_000_u32, 7_000, 6_000]) {
            assert!(count.abs_diff(expected) < 300, "{counts:?}");
        }
    }
}
