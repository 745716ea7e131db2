//! Failures that are made on purpose.
//!
//! # Upstream
//!
//! istio/istio `pilot/pkg/networking/core/route/route.go` `TranslateFault`.
use mesh_envoy_proto::envoy::extensions::filters::common::fault::v3::FaultDelay;
use mesh_envoy_proto::envoy::extensions::filters::common::fault::v3::fault_delay::FaultDelaySecifier;
use mesh_envoy_proto::envoy::extensions::filters::http::fault::v3::fault_abort::ErrorType;
use mesh_envoy_proto::envoy::extensions::filters::http::fault::v3::{FaultAbort, HttpFault};
use mesh_model::resource::virtual_service::{Abort, AbortError, Delay, DelayKind, FaultInjection};

use super::value::{duration, percent, whole_percent};

/// The filter that makes failures.
pub(super) const FILTER: &str = "envoy.filters.http.fault";

const GRPC_STATUSES: [&str; 17] = [
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

/// The settings of the filter. Kinds that upstream does not support are left out; so nothing may be
/// left. Without a percentage nothing ever fails.
pub(super) fn fault(fault: &FaultInjection) -> HttpFault {
    HttpFault {
        delay: fault.delay.as_ref().and_then(delay),
        abort: fault.abort.as_ref().and_then(abort),
        ..Default::default()
    }
}

fn delay(delay: &Delay) -> Option<FaultDelay> {
    let Some(DelayKind::Fixed(fixed)) = delay.kind else { return None };
    let whole = || whole_percent(u32::try_from(delay.percent).unwrap_or_default());
    Some(FaultDelay {
        percentage: Some(delay.percentage.as_ref().map_or_else(whole, percent)),
        fault_delay_secifier: Some(FaultDelaySecifier::FixedDelay(duration(fixed))),
    })
}

fn abort(abort: &Abort) -> Option<FaultAbort> {
    let error = match abort.error.as_ref()? {
        AbortError::HttpStatus(status) => {
            ErrorType::HttpStatus(u32::try_from(*status).unwrap_or_default())
        }
        AbortError::GrpcStatus(name) => ErrorType::GrpcStatus(grpc_status(name)),
        AbortError::Http2Error(_) => return None,
    };
    Some(FaultAbort {
        percentage: abort.percentage.as_ref().map(percent),
        error_type: Some(error),
        ..Default::default()
    })
}

/// The number of a status; 0 for a name that there is not, which validation refuses.
fn grpc_status(name: &str) -> u32 {
    (0..).zip(GRPC_STATUSES).find(|(_, known)| *known == name).map_or(0, |(number, _)| number)
}
