//! Failures that are made on purpose.
use crate::manifest::decode::{message, oneof};
use crate::name::Duration;

message! {
    /// Failures that are made on purpose; a request may be delayed and aborted.
    pub struct FaultInjection {
        /// Requests that wait.
        delay: Option<Delay> = "delay",
        /// Requests that fail.
        abort: Option<Abort> = "abort",
    }
}

message! {
    /// Requests that wait.
    pub struct Delay {
        /// The share; absent: none.
        percentage: Option<Percent> = "percentage",
        /// The share in whole percent; deprecated.
        percent: i32 = "percent",
        /// How long.
        kind: Option<DelayKind> = (oneof DelayKind),
    }
}

oneof! {
    /// How long requests wait.
    pub enum DelayKind {
        /// Always as long.
        Fixed(Duration) = "fixedDelay" | "fixed_delay",
        /// Never built; validation refuses it.
        Exponential(Duration) = "exponentialDelay" | "exponential_delay",
    }
}

message! {
    /// Requests that fail.
    pub struct Abort {
        /// The share; absent: none.
        percentage: Option<Percent> = "percentage",
        /// How.
        error: Option<AbortError> = (oneof AbortError),
    }
}

oneof! {
    /// How a request fails.
    pub enum AbortError {
        /// With an HTTP status.
        HttpStatus(i32) = "httpStatus" | "http_status",
        /// With the name of a gRPC status.
        GrpcStatus(Box<str>) = "grpcStatus" | "grpc_status",
        /// Never built; validation refuses it.
        Http2Error(Box<str>) = "http2Error" | "http2_error",
    }
}

message! {
    /// A share of requests.
    pub struct Percent {
        /// Percent of 0 to 100.
        value: f64 = "value",
    }
}
