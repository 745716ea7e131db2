//! Backends of access logs.
use std::collections::BTreeMap;

use crate::manifest::decode::{message, oneof};
use crate::resource::Json;

message! {
    /// An access log in a file.
    pub struct FileAccessLogProvider {
        /// The file, empty for `/dev/stdout`.
        path: Box<str> = "path",
        /// The format; absent: the mesh's or Istio's.
        log_format: Option<LogFormat> = "logFormat" | "log_format",
        /// Whether values that are empty are left out.
        omit_empty_values: bool = "omitEmptyValues" | "omit_empty_values",
    }
}

oneof! {
    /// The format of an access log.
    pub enum LogFormat or Unset {
        /// Not said: `{}`.
        _,
        /// A text, empty for Istio's.
        Text(Box<str>) = "text",
        /// A JSON object, empty for Istio's.
        Labels(BTreeMap<Box<str>, Json>) = "labels",
    }
}

message! {
    /// An access log of requests that is sent over gRPC.
    pub struct HttpAlsProvider {
        /// Its service.
        service: Box<str> = "service",
        /// Its port.
        port: u32 = "port",
        /// The name of the log, empty for `http_envoy_accesslog`.
        log_name: Box<str> = "logName" | "log_name",
        /// Filter state that is told; empty: the peers.
        filter_state_objects_to_log: Vec<Box<str>> =
            "filterStateObjectsToLog" | "filter_state_objects_to_log",
        /// More request headers that are told.
        additional_request_headers_to_log: Vec<Box<str>> =
            "additionalRequestHeadersToLog" | "additional_request_headers_to_log",
        /// More answer headers that are told.
        additional_response_headers_to_log: Vec<Box<str>> =
            "additionalResponseHeadersToLog" | "additional_response_headers_to_log",
        /// More answer trailers that are told.
        additional_response_trailers_to_log: Vec<Box<str>> =
            "additionalResponseTrailersToLog" | "additional_response_trailers_to_log",
    }
}

message! {
    /// An access log of connections that is sent over gRPC.
    pub struct TcpAlsProvider {
        /// Its service.
        service: Box<str> = "service",
        /// Its port.
        port: u32 = "port",
        /// The name of the log, empty for `tcp_envoy_accesslog`.
        log_name: Box<str> = "logName" | "log_name",
        /// Filter state that is told; empty: the peers.
        filter_state_objects_to_log: Vec<Box<str>> =
            "filterStateObjectsToLog" | "filter_state_objects_to_log",
    }
}

message! {
    /// An access log by OpenTelemetry's protocol.
    pub struct OtelAlsProvider {
        /// Its service.
        service: Box<str> = "service",
        /// Its port.
        port: u32 = "port",
        /// The name of the log, empty for `otel_envoy_accesslog`.
        log_name: Box<str> = "logName" | "log_name",
        /// The format; absent: Istio's.
        log_format: Option<OtelLogFormat> = "logFormat" | "log_format",
    }
}

message! {
    /// The format of an access log by OpenTelemetry's protocol.
    pub struct OtelLogFormat {
        /// The body, empty for Istio's text.
        text: Box<str> = "text",
        /// The attributes.
        labels: BTreeMap<Box<str>, Json> = "labels",
    }
}
