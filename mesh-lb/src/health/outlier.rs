//! Outlier detection: leaving out hosts that answer worse than the others.
//!
//! ```text
//! result ─▶ counters of consecutive errors ─▶ detected ─▶ allowed? enforced? ─▶ ejected
//! sweep  ─▶ back in after a while; success rates of the last interval ─▶ detected ─▶ …
//! answer that says so ─▶ degraded, for as long as an ejection lasts
//! ```
//!
//! Times are milliseconds of a clock that only moves forward, hosts are indices in the order of
//! the cluster (priority, then place in it). Upstream sweeps hosts in the order of a hash map;
//! here it is the order of the hosts.
mod config;
mod host;
mod success_rate;

pub use self::config::{EjectionTime, InvalidEjectionTime, OutlierConfig};
use self::host::{HostState, Term};
pub use self::success_rate::{EjectionThreshold, ejection_threshold};

/// What became of a request, as the connection saw it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "the protocol between proxy and detector has these")]
pub enum Outcome {
    /// The host answered, and well.
    ExtOriginRequestSuccess,
    /// The host answered with an error.
    ExtOriginRequestFailed,
    /// A connection could not be made.
    LocalOriginConnectFailed,
    /// There was no answer in time.
    LocalOriginTimeout,
    /// A connection was made; what follows on it is reported by itself.
    LocalOriginConnectSuccess,
    /// A connection was made, and nothing else will be reported.
    LocalOriginConnectSuccessFinal,
}

/// Why a host is found to be an outlier.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[expect(clippy::exhaustive_enums, reason = "each kind has a threshold and statistics of its own")]
pub enum EjectionKind {
    /// Consecutive answers of 500 to 599.
    Consecutive5xx,
    /// Consecutive answers of 502 to 504.
    ConsecutiveGatewayFailure,
    /// Consecutive failures to connect, if told apart.
    ConsecutiveLocalOriginFailure,
    /// A success rate far below that of the others.
    SuccessRate,
    /// The same of connections, if told apart.
    LocalOriginSuccessRate,
    /// A share of failures above a fixed threshold.
    FailurePercentage,
    /// The same of connections, if told apart.
    LocalOriginFailurePercentage,
}

impl EjectionKind {
    /// All kinds, in the order of the variants.
    pub const ALL: [Self; 7] = [
        Self::Consecutive5xx,
        Self::ConsecutiveGatewayFailure,
        Self::ConsecutiveLocalOriginFailure,
        Self::SuccessRate,
        Self::LocalOriginSuccessRate,
        Self::FailurePercentage,
        Self::LocalOriginFailurePercentage,
    ];
}

/// How often hosts were found and ejected.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct OutlierStats {
    detected: [u64; EjectionKind::ALL.len()],
    enforced: [u64; EjectionKind::ALL.len()],
    overflow: u64,
    degraded: u64,
}

impl OutlierStats {
    /// Returns how often this kind was detected (`ejections_detected_…`).
    pub fn detected(&self, kind: EjectionKind) -> u64 {
        self.detected.get(kind as usize).copied().unwrap_or(0)
    }

    /// Returns how often it ejected a host (`ejections_enforced_…`).
    pub fn enforced(&self, kind: EjectionKind) -> u64 {
        self.enforced.get(kind as usize).copied().unwrap_or(0)
    }

    /// Returns how often any kind ejected a host (`ejections_enforced_total`).
    pub fn enforced_total(&self) -> u64 {
        self.enforced.iter().sum()
    }

    /// Returns how often too many hosts were ejected already (`ejections_overflow`).
    pub const fn overflow(&self) -> u64 {
        self.overflow
    }

    /// Returns how often a host was found to be degraded (`ejections_detected_degradation`).
    pub const fn degraded(&self) -> u64 {
        self.degraded
    }
}

/// The detector of one cluster.
///
/// # Examples
///
/// ```
/// use mesh_lb::health::outlier::{OutlierConfig, OutlierDetector};
///
/// let config = OutlierConfig { max_ejection_percent: 50, ..OutlierConfig::default() };
/// let mut detector = OutlierDetector::new(config, 4);
/// for _ in 0..5 {
///     detector.handle_response(0, 503, 1_000, || 0);
/// }
/// assert!(detector.is_ejected(0));
/// detector.handle_sweep(31_000, || 0); // 30 s later
/// assert!(!detector.is_ejected(0));
/// ```
///
/// # Upstream
///
/// Envoy `source/common/upstream/outlier_detection_impl.cc`, `DetectorImpl`.
#[derive(Clone, Debug)]
pub struct OutlierDetector {
    config: OutlierConfig,
    hosts: Vec<HostState>,
    // INVARIANT: the number of hosts that are ejected.
    ejections_active: usize,
    stats: OutlierStats,
}

impl OutlierDetector {
    /// Begins to watch a cluster of `hosts` hosts, over all its priorities.
    pub fn new(config: OutlierConfig, hosts: usize) -> Self {
        let hosts = vec![HostState::default(); hosts];
        Self { config, hosts, ejections_active: 0, stats: OutlierStats::default() }
    }

    /// Takes note of an HTTP answer, or of the code that stands for a gRPC status. `random` is
    /// drawn for [enforcement](OutlierConfig), then for jitter, and only if a host is to be ejected.
    ///
    /// # Upstream
    ///
    /// Envoy `source/common/upstream/outlier_detection_impl.cc`,
    /// `DetectorHostMonitorImpl::putHttpResponseCode`.
    pub fn handle_response(
        &mut self,
        host: usize,
        code: u16,
        now_ms: u64,
        mut random: impl FnMut() -> u64,
    ) {
        let Some(state) = self.hosts.get_mut(host) else { return };
        let fired = state.count_response(code, &self.config);
        for kind in fired.into_iter().flatten() {
            self.handle_consecutive(host, kind, now_ms, &mut random);
        }
    }

    /// Takes note of an outcome, with the code that was reported with it, if any.
    ///
    /// # Upstream
    ///
    /// Envoy `source/common/upstream/outlier_detection_impl.cc`,
    /// `DetectorHostMonitorImpl::putResultNoLocalExternalSplit` and
    /// `putResultWithLocalExternalSplit`.
    pub fn handle_outcome(
        &mut self,
        host: usize,
        outcome: Outcome,
        code: Option<u16>,
        now_ms: u64,
        mut random: impl FnMut() -> u64,
    ) {
        if !self.config.split_external_local_origin_errors {
            if let Some(code) = code.or_else(|| outcome.code()) {
                self.handle_response(host, code, now_ms, random);
            }
            return;
        }
        match outcome {
            Outcome::ExtOriginRequestSuccess => {
                self.handle_response(host, 200, now_ms, &mut random);
                self.handle_connection(host, true, now_ms, random);
            }
            Outcome::ExtOriginRequestFailed => self.handle_response(host, 503, now_ms, random),
            Outcome::LocalOriginConnectFailed | Outcome::LocalOriginTimeout => {
                self.handle_connection(host, false, now_ms, random);
            }
            Outcome::LocalOriginConnectSuccess | Outcome::LocalOriginConnectSuccessFinal => {
                self.handle_connection(host, true, now_ms, random);
            }
        }
    }

    fn handle_connection(
        &mut self,
        host: usize,
        success: bool,
        now_ms: u64,
        mut random: impl FnMut() -> u64,
    ) {
        let Some(state) = self.hosts.get_mut(host) else { return };
        if state.count_connection(success, &self.config) {
            let kind = EjectionKind::ConsecutiveLocalOriginFailure;
            self.handle_consecutive(host, kind, now_ms, &mut random);
        }
    }

    /// A host that is ejected already is left alone, its counter too.
    fn handle_consecutive(
        &mut self,
        host: usize,
        kind: EjectionKind,
        now_ms: u64,
        random: &mut dyn FnMut() -> u64,
    ) {
        if self.is_ejected(host) {
            return;
        }
        self.detect(host, kind, now_ms, random);
        if let Some(state) = self.hosts.get_mut(host) {
            state.reset_consecutive(kind);
        }
    }

    /// Counts a detection and ejects the host if the cluster can do without it.
    ///
    /// # Upstream
    ///
    /// Envoy `source/common/upstream/outlier_detection_impl.cc`, `DetectorImpl::ejectHost`.
    fn detect(
        &mut self,
        host: usize,
        kind: EjectionKind,
        now_ms: u64,
        random: &mut dyn FnMut() -> u64,
    ) {
        increment(&mut self.stats.detected, kind);
        if !self.config.allows_another(self.ejections_active, self.hosts.len()) {
            self.stats.overflow += 1;
            return;
        }
        if !is_enforced(self.config.enforcing(kind), random) {
            return;
        }
        // A host can be found twice in one sweep; upstream would count it as two.
        let Some(state) = self.hosts.get_mut(host).filter(|state| !state.is_ejected()) else {
            return;
        };
        increment(&mut self.stats.enforced, kind);
        self.ejections_active += 1;
        state.eject(now_ms, self.config.jitter(random()), &self.config);
    }

    /// Takes note that an answer with this code said that its host is degraded (`x-envoy-degraded`),
    /// besides what is told of the answer itself. Of no effect unless degraded hosts are
    /// [looked for](OutlierConfig::detect_degraded_hosts), with a code of 500 to 599, and while the host
    /// is degraded already.
    ///
    /// A degraded host stays in rotation ([`HealthFlag`](super::status::HealthFlag)
    /// `DegradedOutlierDetection`), for as long as an ejection would take it out of it: until a sweep
    /// finds that its time is over, which grows with a backoff of its own. No limit and no chance stands
    /// against it, an ejection does not end it, and neither does an active health check; its end leaves
    /// the counters of consecutive errors as they are. `random` is drawn for jitter, if it begins.
    ///
    /// # Upstream
    ///
    /// envoyproxy/envoy#41852 (`source/common/upstream/outlier_detection_impl.cc`), since 1.38; as Envoy
    /// 1.40.0 was seen to do it.
    pub fn handle_degraded(
        &mut self,
        host: usize,
        code: u16,
        now_ms: u64,
        random: impl FnOnce() -> u64,
    ) {
        if !self.config.detect_degraded_hosts || (500..600).contains(&code) {
            return;
        }
        let state = self.hosts.get_mut(host).filter(|state| !state.degradation.lasts());
        let Some(state) = state else { return };
        self.stats.degraded += 1;
        state.degradation.begin(now_ms, self.config.jitter(random()), &self.config);
    }

    /// Takes note that an active health check of the host has passed.
    ///
    /// # Upstream
    ///
    /// Envoy `source/common/upstream/outlier_detection_impl.cc`, `DetectorImpl::initialize`.
    pub fn handle_active_health_check_success(&mut self, host: usize, now_ms: u64) {
        if self.config.successful_active_health_check_uneject_host {
            self.uneject(host, now_ms);
        }
    }

    fn uneject(&mut self, host: usize, now_ms: u64) {
        if let Some(state) = self.hosts.get_mut(host).filter(|state| state.is_ejected()) {
            state.uneject(now_ms);
            self.ejections_active -= 1;
        }
    }

    /// Sweeps all hosts; to be called once every interval.
    ///
    /// First hosts come back whose time is over, and the interval that ends becomes the one that
    /// is looked at; then success rates and failure percentages are compared; then the backoff of
    /// hosts that were in for an interval is lowered.
    ///
    /// # Upstream
    ///
    /// Envoy `source/common/upstream/outlier_detection_impl.cc`, `DetectorImpl::onIntervalTimer`.
    pub fn handle_sweep(&mut self, now_ms: u64, mut random: impl FnMut() -> u64) {
        for host in 0..self.hosts.len() {
            let state = self.hosts.get(host);
            if state.is_some_and(|state| state.ejection.is_over(now_ms, &self.config)) {
                self.uneject(host, now_ms);
            }
            if let Some(state) = self.hosts.get_mut(host) {
                if state.degradation.is_over(now_ms, &self.config) {
                    state.degradation.end(now_ms);
                }
                state.rotate();
            }
        }
        self.compare(success_rate::Origin::External, now_ms, &mut random);
        self.compare(success_rate::Origin::Local, now_ms, &mut random);
        for state in &mut self.hosts {
            for term in [&mut state.ejection, &mut state.degradation] {
                term.lower_backoff(now_ms, self.config.interval_ms);
            }
        }
    }

    fn compare(
        &mut self,
        origin: success_rate::Origin,
        now_ms: u64,
        random: &mut dyn FnMut() -> u64,
    ) {
        for (host, kind) in success_rate::outliers(&self.config, &self.hosts, origin) {
            self.detect(host, kind, now_ms, random);
        }
    }

    /// Adds a host behind all others.
    pub fn add_host(&mut self) {
        self.hosts.push(HostState::default());
    }

    /// Removes a host; those behind it move up.
    pub fn remove_host(&mut self, host: usize) {
        if host < self.hosts.len() && self.hosts.remove(host).is_ejected() {
            self.ejections_active -= 1;
        }
    }

    /// Returns whether a host is ejected.
    pub fn is_ejected(&self, host: usize) -> bool {
        self.hosts.get(host).is_some_and(HostState::is_ejected)
    }

    /// Returns whether a host is degraded by what it [said](Self::handle_degraded) in answers.
    pub fn is_degraded(&self, host: usize) -> bool {
        self.hosts.get(host).is_some_and(|state| state.degradation.lasts())
    }

    /// Returns how many hosts are ejected.
    pub const fn ejections_active(&self) -> usize {
        self.ejections_active
    }

    /// Returns the number by which the base time of the host's next ejection is multiplied, less
    /// one.
    pub fn backoff(&self, host: usize) -> u64 {
        self.hosts.get(host).map(|state| &state.ejection).map_or(0, Term::backoff)
    }

    /// Returns the same of the host's degradations.
    pub fn degradation_backoff(&self, host: usize) -> u64 {
        self.hosts.get(host).map(|state| &state.degradation).map_or(0, Term::backoff)
    }

    /// Returns how often the host was ejected.
    pub fn num_ejections(&self, host: usize) -> u64 {
        self.hosts.get(host).map_or(0, HostState::num_ejections)
    }

    /// Returns how often hosts were found and ejected.
    pub const fn stats(&self) -> &OutlierStats {
        &self.stats
    }
}

impl Outcome {
    /// Returns the code that stands for it when origins are not told apart.
    const fn code(self) -> Option<u16> {
        match self {
            Self::ExtOriginRequestSuccess | Self::LocalOriginConnectSuccessFinal => Some(200),
            Self::ExtOriginRequestFailed => Some(500),
            Self::LocalOriginConnectFailed => Some(503),
            Self::LocalOriginTimeout => Some(504),
            Self::LocalOriginConnectSuccess => None,
        }
    }
}

fn increment(counters: &mut [u64], kind: EjectionKind) {
    if let Some(counter) = counters.get_mut(kind as usize) {
        *counter += 1;
    }
}

/// Draws only if the outcome is open.
fn is_enforced(percent: u32, random: &mut dyn FnMut() -> u64) -> bool {
    match percent {
        0 => false,
        100.. => true,
        percent => random() % 100 < u64::from(percent),
    }
}

#[cfg(test)]
mod tests;
