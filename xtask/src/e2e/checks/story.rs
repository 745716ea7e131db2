//! What happens to the hosts of a cluster.
use mesh_lb::health::active::{HealthCheckConfig, HttpCheck, HttpResponse, StatusRange};
use mesh_lb::health::status::HealthStatus;

/// A cluster, and what its servers do.
#[derive(Clone, Debug)]
pub(super) struct Story {
    /// True if Envoy and we agree all along.
    pub(super) sentence: String,
    pub(super) check: Check,
    pub(super) hosts: Vec<Host>,
    /// The panic threshold in percent.
    pub(super) panic: u32,
    /// Whether hosts count from their first check on.
    pub(super) ignores_new: bool,
}

/// How hosts are checked.
#[derive(Clone, Debug)]
pub(super) struct Check {
    pub(super) config: HealthCheckConfig,
    /// Statuses that pass and those that count, if not 200 alone: first and the one after the last.
    pub(super) expected: Option<(u32, u32)>,
    pub(super) retriable: Option<(u32, u32)>,
}

/// One server and what becomes of it.
#[derive(Clone, Debug)]
pub(super) struct Host {
    pub(super) priority: usize,
    pub(super) assigned: HealthStatus,
    pub(super) steps: Vec<Step>,
}

/// What happens next.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    /// The server answers the check.
    Answer(Answer),
    /// It closes the connection instead.
    Break,
    /// It says nothing.
    Silence,
    /// Before it does any of that a client asks for something; the answer may ask to fail the host.
    Request { fails: bool },
}

/// What a server answers.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// Whether it says `x-envoy-degraded`.
    pub(super) degraded: bool,
    /// Whether it says `x-envoy-immediate-health-check-fail`.
    pub(super) fails: bool,
}

/// A plain answer.
pub(super) const fn says(status: u16) -> Step {
    Step::Answer(Answer { status, degraded: false, fails: false })
}

/// A success that asks for less.
pub(super) const fn degraded() -> Step {
    Step::Answer(Answer { status: 200, degraded: true, fails: false })
}

/// A status that asks to be left out, too.
pub(super) const fn leaves(status: u16) -> Step {
    Step::Answer(Answer { status, degraded: false, fails: true })
}

impl Check {
    /// Checks that follow each other quickly, and wait long for an answer.
    pub(super) const fn quick(unhealthy: u32, healthy: u32) -> Self {
        let mut config = HealthCheckConfig::new(20_000, 20, unhealthy, healthy);
        config.no_traffic_interval_ms = 20;
        Self { config, expected: None, retriable: None }
    }

    /// As the engine reads it.
    pub(super) fn http(&self) -> HttpCheck {
        let ranges = |range: Option<(u32, u32)>| {
            range.and_then(|(start, end)| StatusRange::new(start, end).ok()).into_iter().collect()
        };
        HttpCheck {
            expected_statuses: ranges(self.expected),
            retriable_statuses: ranges(self.retriable),
            ..HttpCheck::default()
        }
    }
}

impl Answer {
    pub(super) fn response(self) -> HttpResponse<'static> {
        HttpResponse {
            status: self.status.into(),
            degraded_header: self.degraded,
            immediate_fail_header: self.fails,
            ..HttpResponse::default()
        }
    }
}

impl Story {
    /// One host.
    pub(super) fn of_one(sentence: &str, check: Check, steps: Vec<Step>) -> Self {
        let host = Host { priority: 0, assigned: HealthStatus::Unknown, steps };
        Self {
            sentence: sentence.to_owned(),
            check,
            hosts: vec![host],
            panic: 0,
            ignores_new: false,
        }
    }
}
