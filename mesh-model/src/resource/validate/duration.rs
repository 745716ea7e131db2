//! Durations.
use super::{Verdict, Violations, Wrong};
use crate::name::Duration;

/// Checks a duration, if one is given: at least a millisecond, and a whole number of them.
///
/// # Upstream
///
/// istio/istio `pkg/config/validation/agent/validation.go` `ValidateDuration`.
pub(crate) fn check(violations: &mut Violations, name: &str, duration: Option<Duration>) {
    if let Some(duration) = duration {
        violations.take_at(name, verdict(duration));
    }
}

/// Checks a duration, if one is given, that only the schema limits: at least a millisecond.
pub(crate) fn least(violations: &mut Violations, name: &str, duration: Option<Duration>) {
    if let Some(duration) = duration {
        violations.take_at(name, long_enough(duration));
    }
}

/// Checks a duration.
pub(crate) fn verdict(duration: Duration) -> Verdict {
    long_enough(duration)?;
    precision(duration)
}

fn long_enough(duration: Duration) -> Verdict {
    if duration >= Duration::from_millis(1) {
        return Ok(());
    }
    let message = format!("`{duration}` is less than a millisecond");
    Err(Wrong::new("DUR-MIN", message, "write a duration such as `10s`"))
}

/// Checks that a duration is a whole number of milliseconds.
pub(crate) fn precision(duration: Duration) -> Verdict {
    if duration.as_nanos() % 1_000_000 == 0 {
        return Ok(());
    }
    let message = format!("`{duration}` is not a whole number of milliseconds");
    Err(Wrong::new("DUR-PRECISION", message, "round it to milliseconds"))
}
