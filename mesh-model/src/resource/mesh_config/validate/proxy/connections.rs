//! What is refused in the settings of connections.
//!
//! # Upstream
//!
//! istio/istio `pkg/config/validation/agent/validation.go` `validateConnectionSettings`.
use super::super::super::ConnectionSettings;
use crate::name::Duration;
use crate::resource::validate::{Verdict, Violations, Wrong};

/// The smallest window that HTTP/2 knows, bytes.
const SMALLEST_WINDOW: i32 = 65_535;

/// A number, and the least that it may be.
type Number = (&'static str, i32, fn(&mut ConnectionSettings) -> &mut Option<i32>);

/// A span of time, which may be none but not less.
type Span = (&'static str, fn(&mut ConnectionSettings) -> &mut Option<Duration>);

const NUMBERS: [Number; 7] = [
    ("listenerPerConnectionBufferLimitBytes", 0, |of| {
        &mut of.listener_per_connection_buffer_limit_bytes
    }),
    ("clusterPerConnectionBufferLimitBytes", 0, |of| {
        &mut of.cluster_per_connection_buffer_limit_bytes
    }),
    ("httpMaxConcurrentStreams", 1, |of| &mut of.http_max_concurrent_streams),
    ("http2InitialStreamWindowSize", SMALLEST_WINDOW, |of| {
        &mut of.http2_initial_stream_window_size
    }),
    ("http2InitialConnectionWindowSize", SMALLEST_WINDOW, |of| {
        &mut of.http2_initial_connection_window_size
    }),
    ("listenerConnectionLimit", 1, |of| &mut of.listener_connection_limit),
    ("globalDownstreamConnectionLimit", 1, |of| &mut of.global_downstream_connection_limit),
];

const SPANS: [Span; 7] = [
    ("httpIdleTimeout", |of| &mut of.http_idle_timeout),
    ("httpMaxConnectionDuration", |of| &mut of.http_max_connection_duration),
    ("httpDrainTimeout", |of| &mut of.http_drain_timeout),
    ("httpRequestTimeout", |of| &mut of.http_request_timeout),
    ("httpRequestHeadersTimeout", |of| &mut of.http_request_headers_timeout),
    ("httpStreamIdleTimeout", |of| &mut of.http_stream_idle_timeout),
    ("httpMaxStreamDuration", |of| &mut of.http_max_stream_duration),
];

/// Checks the settings of connections.
pub(super) fn check(violations: &mut Violations, settings: &ConnectionSettings) {
    let mut settings = settings.clone();
    for (name, least, field) in NUMBERS {
        if let Some(given) = *field(&mut settings) {
            violations.take_at(name, number(given, least));
        }
    }
    for (name, field) in SPANS {
        if let Some(given) = *field(&mut settings) {
            violations.take_at(name, span(given));
        }
    }
}

/// Takes away what breaks a rule: the profile's default stands in for it.
pub(super) fn repair(settings: &mut ConnectionSettings, is_wrong: &dyn Fn(&str) -> bool) {
    let is_wrong = |name| is_wrong(&format!("defaultConfig.connectionSettings.{name}"));
    for (name, _, field) in NUMBERS {
        if is_wrong(name) {
            *field(settings) = None;
        }
    }
    for (name, field) in SPANS {
        if is_wrong(name) {
            *field(settings) = None;
        }
    }
}

fn number(given: i32, least: i32) -> Verdict {
    if given >= least {
        return Ok(());
    }
    let message = format!("`{given}` is less than {least}");
    Err(Wrong::new("MC-CONNECTION-LIMIT", message, "write a larger number, or none"))
}

fn span(given: Duration) -> Verdict {
    if given >= Duration::ZERO {
        return Ok(());
    }
    let message = format!("`{given}` is less than no time");
    Err(Wrong::new("MC-CONNECTION-TIMEOUT", message, "write a duration such as `10s`"))
}
