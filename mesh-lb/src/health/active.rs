//! Active health checks: asking a host whether it is well.
//!
//! ```text
//! due ─▶ attempt ─┬─ answer ──▶ success │ failure ─▶ counters ─▶ flags of the host, next interval
//!                 └─ timeout ─▶ failure ────────────────┘
//! ```
//!
//! One [`HealthSession`] is one host under one configured check. It neither connects nor reads a
//! clock: [`poll_timeout`](HealthSession::poll_timeout) says when something is due,
//! `handle_…` takes what happened. Times are milliseconds of a clock that only moves forward.
mod config;
mod http;

pub use self::config::{HealthCheckConfig, Traffic};
pub use self::http::{HttpCheck, HttpResponse, InvalidStatusRange, StatusRange, receives};
use super::status::{HealthFlag, HealthFlags};

/// What a check found.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "each has a rule of its own")]
pub enum CheckResult {
    /// The host is well.
    Success,
    /// The host is well and asks for traffic only if others cannot take it.
    Degraded,
    /// The host answered that it is not well: it fails at once.
    Failed,
    /// The host answered with a status that is worth another attempt.
    Retriable,
    /// No connection, or a connection that broke.
    Network,
    /// No answer in time.
    Timeout,
    /// A response to a proxied request asked to fail the host: it fails at once.
    Passive,
}

/// What a result did to the host.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "upstream knows these three")]
pub enum Transition {
    /// Nothing.
    Unchanged,
    /// Counted towards a change that needs more results like it.
    Pending,
    /// The class of the host, or whether it is counted, may have changed.
    Changed,
}

/// A line of the health check event log.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum LogEvent {
    /// The host turned healthy.
    AddHealthy,
    /// The host turned unhealthy.
    EjectUnhealthy,
    /// A check failed.
    Failure,
    /// A check passed, and the configuration asks to log that.
    Successful,
    /// The host turned degraded.
    Degraded,
    /// The host is no longer degraded.
    NoLongerDegraded,
}

/// What a result came to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CheckEvent {
    /// The result.
    pub result: CheckResult,
    /// What it did.
    pub transition: Transition,
    /// What is logged, in order.
    pub log: Vec<LogEvent>,
    /// Whether the host passed while it counted as failed: now is its pass time for slow start.
    pub passed: bool,
}

/// What a timer asks for.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "callers act on each")]
pub enum Due {
    /// Nothing yet.
    Nothing,
    /// Check the host now, and report the result.
    Check,
    /// The attempt in flight is over: give it up.
    TimedOut(CheckEvent),
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Timer {
    /// The next attempt begins then.
    Start(u64),
    /// The attempt in flight is given up then.
    Deadline(u64),
}

/// The state of one host under one check.
///
/// # Examples
///
/// ```
/// use mesh_lb::health::active::{CheckResult, Due, HealthCheckConfig, HealthSession, Traffic};
/// use mesh_lb::health::status::{HealthFlag, HealthFlags};
///
/// let config = HealthCheckConfig::new(1_000, 5_000, 2, 2);
/// let new = HealthFlags::of(&[HealthFlag::FailedActiveHc]);
/// let mut session = HealthSession::new(config, new, 0, || 0);
/// assert_eq!(session.handle_timeout(0, Traffic::Seen, || 0), Due::Check);
/// session.handle_result(CheckResult::Success, 20, Traffic::Seen, || 0);
/// assert_eq!(session.flags(), HealthFlags::NONE); // One success is enough for a new host.
/// assert_eq!(session.poll_timeout(), 5_020);
/// ```
///
/// # Upstream
///
/// Envoy `source/extensions/health_checkers/common/health_checker_base_impl.cc`,
/// `HealthCheckerImplBase::ActiveHealthCheckSession`.
#[derive(Clone, Debug)]
pub struct HealthSession {
    config: HealthCheckConfig,
    flags: HealthFlags,
    first: bool,
    healthy: u32,
    unhealthy: u32,
    timer: Timer,
}

impl HealthSession {
    /// Begins to check a host that has these flags: a new one has
    /// [`FailedActiveHc`](HealthFlag::FailedActiveHc), and
    /// [`PendingActiveHc`](HealthFlag::PendingActiveHc) too if new hosts are to be ignored until
    /// their first check. The first attempt is due at once, or after a random wait if there is an
    /// initial jitter.
    pub fn new(
        config: HealthCheckConfig,
        flags: HealthFlags,
        now_ms: u64,
        random: impl FnMut() -> u64,
    ) -> Self {
        let start = now_ms.saturating_add(config.initial_wait(random));
        Self { config, flags, first: true, healthy: 0, unhealthy: 0, timer: Timer::Start(start) }
    }

    /// Returns the flags that checks have set on the host.
    pub const fn flags(&self) -> HealthFlags {
        self.flags
    }

    /// Returns when [`handle_timeout`](Self::handle_timeout) is to be called next.
    pub const fn poll_timeout(&self) -> u64 {
        match self.timer {
            Timer::Start(at) | Timer::Deadline(at) => at,
        }
    }

    /// Begins an attempt that is due, or gives up the one in flight if its time is over.
    pub fn handle_timeout(
        &mut self,
        now_ms: u64,
        traffic: Traffic,
        random: impl FnMut() -> u64,
    ) -> Due {
        match self.timer {
            Timer::Start(at) if at <= now_ms => {
                self.timer = Timer::Deadline(now_ms.saturating_add(self.config.timeout_ms));
                Due::Check
            }
            Timer::Deadline(at) if at <= now_ms => {
                Due::TimedOut(self.finish(CheckResult::Timeout, now_ms, traffic, random))
            }
            Timer::Start(_) | Timer::Deadline(_) => Due::Nothing,
        }
    }

    /// Takes the result of the attempt in flight; none if there is no attempt in flight. The next
    /// attempt starts a full interval from now.
    pub fn handle_result(
        &mut self,
        result: CheckResult,
        now_ms: u64,
        traffic: Traffic,
        random: impl FnMut() -> u64,
    ) -> Option<CheckEvent> {
        match self.timer {
            Timer::Start(_) => None,
            Timer::Deadline(_) => Some(self.finish(result, now_ms, traffic, random)),
        }
    }

    /// Takes note that the host is left out of the denominators of health until it passes a check:
    /// the answer to a check carried `x-envoy-immediate-health-check-fail`. Call it before
    /// [`handle_result`](Self::handle_result). Envoy sorts the hosts of a cluster only when one of
    /// them has [changed](Transition::Changed): until then such a host is still counted.
    pub const fn handle_immediate_fail_header(&mut self) {
        self.flags = self.flags.with(HealthFlag::ExcludedViaImmediateHcFail);
    }

    /// Takes note that a proxied response carried `x-envoy-immediate-health-check-fail`: the host
    /// is left out and fails at once. The timers of the session run on.
    ///
    /// # Upstream
    ///
    /// Envoy `source/extensions/health_checkers/common/health_checker_base_impl.cc`,
    /// `HealthCheckerImplBase::setUnhealthyCrossThread`.
    pub fn handle_passive_failure(&mut self) -> CheckEvent {
        self.handle_immediate_fail_header();
        self.failure(CheckResult::Passive)
    }

    fn finish(
        &mut self,
        result: CheckResult,
        now_ms: u64,
        traffic: Traffic,
        random: impl FnMut() -> u64,
    ) -> CheckEvent {
        let event = match result {
            CheckResult::Success | CheckResult::Degraded => self.success(result),
            CheckResult::Failed
            | CheckResult::Retriable
            | CheckResult::Network
            | CheckResult::Timeout
            | CheckResult::Passive => self.failure(result),
        };
        let wait = self.config.wait(event.result, event.transition, traffic, random);
        self.timer = Timer::Start(now_ms.saturating_add(wait));
        event
    }

    fn success(&mut self, result: CheckResult) -> CheckEvent {
        self.unhealthy = 0;
        let mut log = Vec::new();
        let was_failed = self.flags.contains(HealthFlag::FailedActiveHc);
        let mut transition = Transition::Unchanged;
        if was_failed {
            transition = self.count_success(&mut log);
        }
        if transition != Transition::Changed && self.config.always_log_success {
            log.push(LogEvent::Successful);
        }
        transition = self.clear_pending(transition);
        let degraded = result == CheckResult::Degraded;
        if degraded != self.flags.contains(HealthFlag::DegradedActiveHc) {
            log.push(self.turn_degraded(degraded));
            if transition == Transition::Unchanged {
                transition = Transition::Changed;
            }
        }
        self.first = false;
        CheckEvent { result, transition, log, passed: was_failed }
    }

    /// One success is enough for a host that was never checked. The counter is compared for
    /// equality, so that a threshold of 0 is never reached.
    fn count_success(&mut self, log: &mut Vec<LogEvent>) -> Transition {
        if !self.first {
            self.healthy = self.healthy.saturating_add(1);
            if self.healthy != self.config.healthy_threshold {
                return Transition::Pending;
            }
        }
        self.flags = self
            .flags
            .without(HealthFlag::FailedActiveHc)
            .without(HealthFlag::ActiveHcTimeout)
            .without(HealthFlag::ExcludedViaImmediateHcFail);
        log.push(LogEvent::AddHealthy);
        Transition::Changed
    }

    fn failure(&mut self, result: CheckResult) -> CheckEvent {
        self.healthy = 0;
        let mut log = Vec::new();
        let mut transition = Transition::Unchanged;
        if !self.flags.contains(HealthFlag::FailedActiveHc) {
            transition = self.count_failure(result, &mut log);
        }
        let is_failed = self.flags.contains(HealthFlag::FailedActiveHc);
        self.flags = if is_failed && result == CheckResult::Timeout {
            self.flags.with(HealthFlag::ActiveHcTimeout)
        } else {
            self.flags.without(HealthFlag::ActiveHcTimeout)
        };
        transition = self.clear_pending(transition);
        if self.first || self.config.always_log_failures {
            log.push(LogEvent::Failure);
        }
        self.first = false;
        CheckEvent { result, transition, log, passed: false }
    }

    fn count_failure(&mut self, result: CheckResult, log: &mut Vec<LogEvent>) -> Transition {
        let at_once = matches!(result, CheckResult::Failed | CheckResult::Passive);
        if !at_once {
            self.unhealthy = self.unhealthy.saturating_add(1);
            if self.unhealthy != self.config.unhealthy_threshold {
                return Transition::Pending;
            }
        }
        self.flags = self.flags.with(HealthFlag::FailedActiveHc);
        log.push(LogEvent::EjectUnhealthy);
        Transition::Changed
    }

    /// The first result of a host that was to be ignored until then makes it count.
    const fn clear_pending(&mut self, transition: Transition) -> Transition {
        if !self.flags.contains(HealthFlag::PendingActiveHc) {
            return transition;
        }
        self.flags = self.flags.without(HealthFlag::PendingActiveHc);
        Transition::Changed
    }

    const fn turn_degraded(&mut self, degraded: bool) -> LogEvent {
        if degraded {
            self.flags = self.flags.with(HealthFlag::DegradedActiveHc);
            LogEvent::Degraded
        } else {
            self.flags = self.flags.without(HealthFlag::DegradedActiveHc);
            LogEvent::NoLongerDegraded
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs checks of a new host, one an interval, and says after which ones it is well.
    fn check(healthy: u32, unhealthy: u32, results: &[CheckResult], well: &[bool]) {
        let config = HealthCheckConfig::new(1_000, 5_000, unhealthy, healthy);
        let new = HealthFlags::of(&[HealthFlag::FailedActiveHc]);
        let mut session = HealthSession::new(config, new, 0, || 0);
        let after: Vec<bool> = results
            .iter()
            .map(|result| {
                let now = session.poll_timeout();
                assert_eq!(session.handle_timeout(now, Traffic::Seen, || 0), Due::Check);
                session.handle_result(*result, now, Traffic::Seen, || 0).unwrap();
                !session.flags().contains(HealthFlag::FailedActiveHc)
            })
            .collect();
        assert_eq!(after, well);
    }

    #[test]
    fn a_host_never_checked_needs_one_success_and_a_failed_one_its_threshold() {
        use CheckResult::{Network, Success};
        check(3, 2, &[Success], &[true]);
        check(3, 2, &[Network, Success, Success, Success], &[false, false, false, true]);
    }

    #[test]
    fn an_answer_that_says_no_fails_at_once_and_a_broken_connection_after_the_threshold() {
        use CheckResult::{Failed, Network, Retriable, Success};
        check(1, 2, &[Success, Failed], &[true, false]);
        check(1, 2, &[Success, Network, Retriable], &[true, true, false]);
    }

    #[test]
    fn a_threshold_of_zero_is_never_reached() {
        use CheckResult::{Network, Success};
        check(0, 0, &[Success, Network, Network, Network], &[true; 4]);
        check(0, 0, &[Network, Success, Success], &[false; 3]);
    }

    #[test]
    fn a_result_without_an_attempt_is_nothing() {
        let config = HealthCheckConfig::new(1_000, 5_000, 2, 2);
        let mut session = HealthSession::new(config, HealthFlags::NONE, 0, || 0);
        let result = session.handle_result(CheckResult::Failed, 0, Traffic::Seen, || 0);
        assert_eq!((result, session.flags()), (None, HealthFlags::NONE));
    }

    #[test]
    fn a_passive_failure_leaves_the_timer_alone() {
        let config = HealthCheckConfig::new(1_000, 5_000, 2, 2);
        let mut session = HealthSession::new(config, HealthFlags::NONE, 70, || 0);
        assert_eq!(session.handle_passive_failure().transition, Transition::Changed);
        assert_eq!(session.poll_timeout(), 70);
    }
}
