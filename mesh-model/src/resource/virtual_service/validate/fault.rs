//! Failures that are made on purpose.
use super::super::{Abort, AbortError, Delay, DelayKind, FaultInjection, Percent};
use crate::manifest::decode::clip;
use crate::resource::validate::{Verdict, Violations, Wrong, duration};

/// The names of the statuses of gRPC.
const GRPC_STATUS: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// Checks the block, if it is given.
///
/// # Upstream
///
/// istio/istio `pkg/config/validation/validation.go` `validateHTTPFaultInjection`.
pub(super) fn check(violations: &mut Violations, fault: Option<&FaultInjection>) {
    let Some(fault) = fault else { return };
    violations.field("fault", |violations| {
        if fault.abort.is_none() && fault.delay.is_none() {
            let message = "the block makes no failure";
            violations.error("FAULT-EMPTY", message, "add `abort` or `delay`");
        }
        if let Some(block) = &fault.abort {
            violations.field("abort", |violations| abort(violations, block));
        }
        if let Some(block) = &fault.delay {
            violations.field("delay", |violations| delay(violations, block));
        }
    });
}

fn abort(violations: &mut Violations, abort: &Abort) {
    percentage(violations, abort.percentage.as_ref());
    match &abort.error {
        Some(AbortError::HttpStatus(status)) => {
            violations.take_at("httpStatus", http_status(i64::from(*status)));
        }
        Some(AbortError::GrpcStatus(status)) if !GRPC_STATUS.contains(&&**status) => {
            let message = format!("`{}` is not a status of gRPC", clip(status));
            let help = "write a name such as `UNAVAILABLE`";
            violations.error_at("grpcStatus", "FAULT-GRPC-STATUS", &message, help);
        }
        Some(AbortError::GrpcStatus(_)) => {}
        Some(AbortError::Http2Error(_)) => {
            let message = "errors of HTTP/2 cannot be made";
            violations.error_at("http2Error", "FAULT-UNSUPPORTED", message, "use `httpStatus`");
        }
        None => {
            let message = "the block does not say how requests fail, so they do not";
            violations.warning("FAULT-ABORT-TYPE", message, "add `httpStatus` or `grpcStatus`");
        }
    }
}

fn delay(violations: &mut Violations, delay: &Delay) {
    percentage(violations, delay.percentage.as_ref());
    match delay.kind {
        Some(DelayKind::Fixed(delay)) => duration::check(violations, "fixedDelay", Some(delay)),
        Some(DelayKind::Exponential(delay)) => {
            duration::check(violations, "exponentialDelay", Some(delay));
            let message = "exponential delays cannot be made";
            violations.error_at(
                "exponentialDelay",
                "FAULT-UNSUPPORTED",
                message,
                "use `fixedDelay`",
            );
        }
        None => {}
    }
}

fn percentage(violations: &mut Violations, percentage: Option<&Percent>) {
    let Some(value) = percentage.map(|percentage| percentage.value) else { return };
    if value != 0.0 && !(0.0001..=100.0).contains(&value) {
        let message = format!("`{value}` is not a percentage");
        let help = "write 0, or a number of 0.0001 to 100";
        violations.error_at("percentage.value", "PERCENT-RANGE", &message, help);
    }
}

/// Checks the status of an answer.
///
/// # Upstream
///
/// istio/istio `pkg/config/validation/validation.go` `validateHTTPStatus`.
pub(super) fn http_status(status: i64) -> Verdict {
    if (200..=600).contains(&status) {
        return Ok(());
    }
    let message = format!("`{status}` is not the status of an answer");
    Err(Wrong::new("HTTP-STATUS", message, "write a number of 200 to 599"))
}
