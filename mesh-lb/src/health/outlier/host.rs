//! What the detector knows of one host.
use super::EjectionKind;
use super::config::OutlierConfig;

/// The counters and ejections of one host.
#[derive(Clone, Debug, Default)]
pub(super) struct HostState {
    consecutive_5xx: u32,
    consecutive_gateway_failure: u32,
    consecutive_local_origin_failure: u32,
    pub(super) external: Rates,
    pub(super) local: Rates,
    pub(super) ejection: Term,
    pub(super) degradation: Term,
    num_ejections: u64,
}

/// A time that a host serves, longer the sooner it follows the last one: an ejection, or a
/// degradation.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Term {
    /// When it began and how much longer than due it is, if it lasts.
    since: Option<(u64, u64)>,
    ended_ms: Option<u64>,
    backoff: u64,
}

impl Term {
    pub(super) fn begin(&mut self, now_ms: u64, jitter_ms: u64, config: &OutlierConfig) {
        self.since = Some((now_ms, jitter_ms));
        let times = config.ejection_time;
        let limit = times.max_ms().saturating_add(times.base_ms());
        if self.backoff.saturating_mul(times.base_ms()) < limit {
            self.backoff += 1;
        }
    }

    pub(super) const fn end(&mut self, now_ms: u64) {
        self.since = None;
        self.ended_ms = Some(now_ms);
    }

    pub(super) const fn lasts(&self) -> bool {
        self.since.is_some()
    }

    /// Returns whether it has lasted as long as it should.
    pub(super) fn is_over(&self, now_ms: u64, config: &OutlierConfig) -> bool {
        self.since.is_some_and(|(since, jitter)| {
            let time = config.ejection_time.of(self.backoff).saturating_add(jitter);
            time <= now_ms.saturating_sub(since)
        })
    }

    pub(super) fn lower_backoff(&mut self, now_ms: u64, interval_ms: u64) {
        let settled = self.ended_ms.is_some_and(|at| now_ms.saturating_sub(at) >= interval_ms);
        if self.since.is_none() && settled {
            self.backoff = self.backoff.saturating_sub(1);
        }
    }

    pub(super) const fn backoff(&self) -> u64 {
        self.backoff
    }
}

/// The requests of this interval and of the last one.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rates {
    current: Bucket,
    last: Bucket,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Bucket {
    pub(super) success: u64,
    pub(super) total: u64,
}

impl Rates {
    fn count(&mut self, success: bool) {
        self.current.total += 1;
        self.current.success += u64::from(success);
    }

    pub(super) const fn last(&self) -> Bucket {
        self.last
    }
}

/// Counts one more; returns whether the threshold is now reached.
fn reaches(counter: &mut u32, threshold: u32) -> bool {
    // A wrapped counter must not fire at 0.
    *counter = counter.saturating_add(1);
    *counter == threshold
}

impl HostState {
    /// Returns the kinds that fire, in the order in which upstream looks at them.
    pub(super) fn count_response(
        &mut self,
        code: u16,
        config: &OutlierConfig,
    ) -> [Option<EjectionKind>; 2] {
        let is_error = (500..600).contains(&code);
        self.external.count(!is_error);
        if !is_error {
            self.consecutive_5xx = 0;
            self.consecutive_gateway_failure = 0;
            return [None, None];
        }
        let mut gateway = false;
        if (502..=504).contains(&code) {
            let counter = &mut self.consecutive_gateway_failure;
            gateway = reaches(counter, config.consecutive_gateway_failure);
        } else {
            self.consecutive_gateway_failure = 0;
        }
        let any = reaches(&mut self.consecutive_5xx, config.consecutive_5xx);
        [
            gateway.then_some(EjectionKind::ConsecutiveGatewayFailure),
            any.then_some(EjectionKind::Consecutive5xx),
        ]
    }

    /// Returns whether consecutive failures fire.
    pub(super) fn count_connection(&mut self, success: bool, config: &OutlierConfig) -> bool {
        self.local.count(success);
        if success {
            self.consecutive_local_origin_failure = 0;
            return false;
        }
        let counter = &mut self.consecutive_local_origin_failure;
        reaches(counter, config.consecutive_local_origin_failure)
    }

    pub(super) const fn reset_consecutive(&mut self, kind: EjectionKind) {
        match kind {
            EjectionKind::Consecutive5xx => self.consecutive_5xx = 0,
            EjectionKind::ConsecutiveGatewayFailure => self.consecutive_gateway_failure = 0,
            EjectionKind::ConsecutiveLocalOriginFailure => {
                self.consecutive_local_origin_failure = 0;
            }
            EjectionKind::SuccessRate
            | EjectionKind::LocalOriginSuccessRate
            | EjectionKind::FailurePercentage
            | EjectionKind::LocalOriginFailurePercentage => {}
        }
    }

    pub(super) fn eject(&mut self, now_ms: u64, jitter_ms: u64, config: &OutlierConfig) {
        self.ejection.begin(now_ms, jitter_ms, config);
        self.num_ejections += 1;
    }

    pub(super) const fn uneject(&mut self, now_ms: u64) {
        self.ejection.end(now_ms);
        self.consecutive_5xx = 0;
        self.consecutive_gateway_failure = 0;
        self.consecutive_local_origin_failure = 0;
    }

    pub(super) fn rotate(&mut self) {
        for rates in [&mut self.external, &mut self.local] {
            rates.last = std::mem::take(&mut rates.current);
        }
    }

    pub(super) const fn is_ejected(&self) -> bool {
        self.ejection.lasts()
    }

    pub(super) const fn num_ejections(&self) -> u64 {
        self.num_ejections
    }
}
