//! `health_check_timeline`, `http_check_result`.
use mesh_lb::health::active::{
    CheckEvent, CheckResult, Due, HealthCheckConfig, HealthSession, HttpCheck, HttpResponse,
    LogEvent, StatusRange, Traffic, Transition,
};
use mesh_lb::health::status::{CoarseHealth, HealthFlag, HealthFlags, HealthStatus, HostHealth};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answered, Decimal, read};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Input {
    #[serde(default)]
    config: Config,
    #[serde(default)]
    initial: Initial,
    traffic_at_ms: Option<u64>,
    checks: Vec<Check>,
    #[serde(default)]
    passive_immediate_failures_ms: Vec<u64>,
    #[serde(default)]
    random: Vec<Decimal>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    timeout_ms: Option<u64>,
    interval_ms: Option<u64>,
    unhealthy_threshold: Option<u32>,
    healthy_threshold: Option<u32>,
    unhealthy_interval_ms: Option<u64>,
    unhealthy_edge_interval_ms: Option<u64>,
    healthy_edge_interval_ms: Option<u64>,
    no_traffic_interval_ms: Option<u64>,
    no_traffic_healthy_interval_ms: Option<u64>,
    initial_jitter_ms: Option<u64>,
    interval_jitter_ms: Option<u64>,
    interval_jitter_percent: Option<u32>,
    #[serde(default)]
    always_log_health_check_failures: bool,
    #[serde(default)]
    always_log_health_check_success: bool,
}

impl Config {
    fn config(&self) -> HealthCheckConfig {
        let base = HealthCheckConfig::new(
            self.timeout_ms.unwrap_or(1_000),
            self.interval_ms.unwrap_or(5_000),
            self.unhealthy_threshold.unwrap_or(2),
            self.healthy_threshold.unwrap_or(2),
        );
        HealthCheckConfig {
            unhealthy_interval_ms: self.unhealthy_interval_ms,
            unhealthy_edge_interval_ms: self.unhealthy_edge_interval_ms,
            healthy_edge_interval_ms: self.healthy_edge_interval_ms,
            no_traffic_interval_ms: self
                .no_traffic_interval_ms
                .unwrap_or(base.no_traffic_interval_ms),
            no_traffic_healthy_interval_ms: self.no_traffic_healthy_interval_ms,
            initial_jitter_ms: self.initial_jitter_ms.unwrap_or(0),
            interval_jitter_ms: self.interval_jitter_ms.unwrap_or(0),
            interval_jitter_percent: self.interval_jitter_percent.unwrap_or(0),
            always_log_failures: self.always_log_health_check_failures,
            always_log_success: self.always_log_health_check_success,
            ..base
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Initial {
    failed_active_hc: Option<bool>,
    #[serde(default)]
    pending_active_hc: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Check {
    result: String,
    #[serde(default)]
    latency_ms: u64,
    #[serde(default)]
    immediate_fail_header: bool,
}

/// The random draws that a case prescribes.
struct Draws<'a>(std::slice::Iter<'a, Decimal>);

impl Draws<'_> {
    fn draw(&mut self) -> u64 {
        self.0.next().map_or(0, |draw| draw.0)
    }
}

pub(super) fn timeline(input: &Value) -> Answered {
    let input: Input = read(input)?;
    let mut flags = HealthFlags::NONE;
    if input.initial.failed_active_hc.unwrap_or(true) {
        flags = flags.with(HealthFlag::FailedActiveHc);
    }
    if input.initial.pending_active_hc {
        flags = flags.with(HealthFlag::PendingActiveHc);
    }
    let mut draws = Draws(input.random.iter());
    let mut session = HealthSession::new(input.config.config(), flags, 0, || draws.draw());
    let mut passive = input.passive_immediate_failures_ms.iter().copied().peekable();
    let traffic = |now| match input.traffic_at_ms {
        Some(since) if since <= now => Traffic::Seen,
        Some(_) | None => Traffic::Never,
    };
    let mut events = Vec::new();
    for check in &input.checks {
        let start = session.poll_timeout();
        while let Some(now) = passive.next_if(|now| *now <= start) {
            let event = session.handle_passive_failure();
            events.push(printed(now, &event, session.flags()));
        }
        if session.handle_timeout(start, traffic(start), || draws.draw()) != Due::Check {
            return Err("no check is due".to_owned());
        }
        let deadline = session.poll_timeout();
        let times_out = result(&check.result)? == CheckResult::Timeout;
        let ends = if times_out { deadline } else { (start + check.latency_ms).min(deadline) };
        while let Some(now) = passive.next_if(|now| *now <= ends) {
            let event = session.handle_passive_failure();
            events.push(printed(now, &event, session.flags()));
        }
        if check.immediate_fail_header {
            session.handle_immediate_fail_header();
        }
        let due = session.handle_timeout(ends, traffic(ends), || draws.draw());
        let event = match due {
            Due::TimedOut(event) => Some(event),
            Due::Nothing | Due::Check => {
                let result = result(&check.result)?;
                session.handle_result(result, ends, traffic(ends), || draws.draw())
            }
        };
        let event = event.ok_or("no check is running")?;
        let mut line = printed(ends, &event, session.flags());
        if let Some(members) = line.as_object_mut() {
            members.insert("start_ms".to_owned(), json!(start));
            members.insert("next_start_ms".to_owned(), json!(session.poll_timeout()));
        }
        events.push(line);
    }
    for now in passive {
        let event = session.handle_passive_failure();
        events.push(printed(now, &event, session.flags()));
    }
    Ok(json!({ "events": events }))
}

fn printed(now: u64, event: &CheckEvent, flags: HealthFlags) -> Value {
    let known = FLAGS.iter().filter(|(flag, _)| flags.contains(*flag));
    let health = match HostHealth::new(HealthStatus::Unknown, flags).coarse() {
        CoarseHealth::Healthy => "healthy",
        CoarseHealth::Degraded => "degraded",
        CoarseHealth::Unhealthy => "unhealthy",
    };
    json!({
        "at_ms": now,
        "result": result_name(event.result),
        "transition": match event.transition {
            Transition::Unchanged => "unchanged",
            Transition::Pending => "pending",
            Transition::Changed => "changed",
        },
        "health": health,
        "flags": known.map(|(_, name)| *name).collect::<Vec<_>>(),
        "log": event.log.iter().map(|log| log_name(*log)).collect::<Vec<_>>(),
    })
}

/// The flags that a check can set, in the order of their bits.
const FLAGS: [(HealthFlag, &str); 5] = [
    (HealthFlag::FailedActiveHc, "FAILED_ACTIVE_HC"),
    (HealthFlag::DegradedActiveHc, "DEGRADED_ACTIVE_HC"),
    (HealthFlag::PendingActiveHc, "PENDING_ACTIVE_HC"),
    (HealthFlag::ExcludedViaImmediateHcFail, "EXCLUDED_VIA_IMMEDIATE_HC_FAIL"),
    (HealthFlag::ActiveHcTimeout, "ACTIVE_HC_TIMEOUT"),
];

fn result(name: &str) -> Result<CheckResult, String> {
    Ok(match name {
        "success" => CheckResult::Success,
        "degraded" => CheckResult::Degraded,
        "failed" => CheckResult::Failed,
        "retriable" => CheckResult::Retriable,
        "network" => CheckResult::Network,
        "timeout" => CheckResult::Timeout,
        _ => return Err(format!("unknown result `{name}`")),
    })
}

fn result_name(result: CheckResult) -> &'static str {
    match result {
        CheckResult::Success => "success",
        CheckResult::Degraded => "degraded",
        CheckResult::Failed => "failed",
        CheckResult::Retriable => "retriable",
        CheckResult::Network => "network",
        CheckResult::Timeout => "timeout",
        CheckResult::Passive => "passive",
    }
}

fn log_name(log: LogEvent) -> &'static str {
    match log {
        LogEvent::AddHealthy => "add_healthy",
        LogEvent::EjectUnhealthy => "eject_unhealthy",
        LogEvent::Failure => "failure",
        LogEvent::Successful => "successful",
        LogEvent::Degraded => "degraded",
        LogEvent::NoLongerDegraded => "no_longer_degraded",
        _ => "",
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HttpInput {
    status: u32,
    #[serde(default)]
    expected_statuses: Vec<(u32, u32)>,
    #[serde(default)]
    retriable_statuses: Vec<(u32, u32)>,
    receive: Option<String>,
    body_matches: Option<bool>,
    #[serde(default)]
    degraded_header: bool,
    #[serde(default)]
    immediate_fail_header: bool,
    service_name_matches: Option<bool>,
}

pub(super) fn http_check_result(input: &Value) -> Answered {
    let input: HttpInput = read(input)?;
    let ranges = |ranges: &[(u32, u32)]| {
        ranges.iter().map(|&(start, end)| StatusRange::new(start, end)).collect::<Result<_, _>>()
    };
    let (expected, retriable) =
        match (ranges(&input.expected_statuses), ranges(&input.retriable_statuses)) {
            (Ok(expected), Ok(retriable)) => (expected, retriable),
            (Err(error), _) | (_, Err(error)) => return Ok(json!({ "error": error.to_string() })),
        };
    let receive: Vec<Box<[u8]>> =
        input.receive.iter().map(|payload| payload.as_bytes().into()).collect();
    // A case says whether the body holds what is to be received, not what it is.
    let body = match input.body_matches {
        Some(false) => b"",
        Some(true) | None => input.receive.as_deref().unwrap_or("").as_bytes(),
    };
    let check = HttpCheck {
        expected_statuses: expected,
        retriable_statuses: retriable,
        receive,
        ..HttpCheck::default()
    };
    let response = HttpResponse {
        status: input.status,
        body,
        degraded_header: input.degraded_header,
        immediate_fail_header: input.immediate_fail_header,
        service_name_matches: input.service_name_matches.unwrap_or(true),
    };
    Ok(json!({
        "result": result_name(check.result(&response)),
        "excluded": check.excludes(&response),
    }))
}
