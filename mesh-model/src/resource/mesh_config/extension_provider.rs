//! Telemetry backends and external authorizers.
use std::collections::BTreeMap;

use super::{
    DatadogProvider, FileAccessLogProvider, HttpAlsProvider, LightstepProvider, OpenCensusProvider,
    OpenTelemetryProvider, OtelAlsProvider, SkyWalkingProvider, TcpAlsProvider, ZipkinProvider,
};
use crate::manifest::decode::{message, oneof};
use crate::name::Duration;

message! {
    /// A backend with its name. `service` of a provider is a host or `NAMESPACE/HOST`.
    pub struct ExtensionProvider {
        /// The name, which policies and Telemetry objects refer to.
        name: Box<str> = "name",
        /// What it is; validation refuses an entry that does not say it.
        kind: Option<ProviderKind> = (oneof ProviderKind),
    }
}

oneof! {
    /// What a backend is.
    pub enum ProviderKind {
        /// An authorizer that is asked over HTTP.
        EnvoyExtAuthzHttp(ExtAuthzHttpProvider) = "envoyExtAuthzHttp" | "envoy_ext_authz_http",
        /// An authorizer that is asked over gRPC.
        EnvoyExtAuthzGrpc(ExtAuthzGrpcProvider) = "envoyExtAuthzGrpc" | "envoy_ext_authz_grpc",
        /// Traces to Zipkin.
        Zipkin(ZipkinProvider) = "zipkin",
        /// Traces to Lightstep; deprecated.
        Lightstep(LightstepProvider) = "lightstep",
        /// Traces to Datadog.
        Datadog(DatadogProvider) = "datadog",
        /// Stackdriver.
        Stackdriver(StackdriverProvider) = "stackdriver",
        /// Traces to an OpenCensus agent; deprecated.
        OpenCensus(OpenCensusProvider) = "opencensus",
        /// Traces to SkyWalking.
        SkyWalking(SkyWalkingProvider) = "skywalking",
        /// Traces by OpenTelemetry's protocol.
        OpenTelemetry(OpenTelemetryProvider) = "opentelemetry",
        /// Metrics that Prometheus fetches.
        Prometheus(PrometheusProvider) = "prometheus",
        /// An access log in a file.
        EnvoyFileAccessLog(FileAccessLogProvider) =
            "envoyFileAccessLog" | "envoy_file_access_log",
        /// An access log of requests that is sent over gRPC.
        EnvoyHttpAls(HttpAlsProvider) = "envoyHttpAls" | "envoy_http_als",
        /// An access log of connections that is sent over gRPC.
        EnvoyTcpAls(TcpAlsProvider) = "envoyTcpAls" | "envoy_tcp_als",
        /// An access log by OpenTelemetry's protocol.
        EnvoyOtelAls(OtelAlsProvider) = "envoyOtelAls" | "envoy_otel_als",
        /// A source of secrets.
        Sds(SdsProvider) = "sds",
    }
}

message! {
    /// The backends that are used where no Telemetry object says otherwise, by name.
    pub struct DefaultProviders {
        /// Of traces; the first counts.
        tracing: Vec<Box<str>> = "tracing",
        /// Of metrics.
        metrics: Vec<Box<str>> = "metrics",
        /// Of access logs.
        access_logging: Vec<Box<str>> = "accessLogging" | "access_logging",
    }
}

message! {
    /// An authorizer that is asked over HTTP.
    pub struct ExtAuthzHttpProvider {
        /// Its service.
        service: Box<str> = "service",
        /// Its port.
        port: u32 = "port",
        /// How long it may take; absent: 10 min.
        timeout: Option<Duration> = "timeout",
        /// What its paths begin with, before the path of the request.
        path_prefix: Box<str> = "pathPrefix" | "path_prefix",
        /// Whether requests pass while it fails.
        fail_open: bool = "failOpen" | "fail_open",
        /// Whether the route is chosen again after it has changed headers.
        clear_route_cache: bool = "clearRouteCache" | "clear_route_cache",
        /// The status while it fails, empty for 403.
        status_on_error: Box<str> = "statusOnError" | "status_on_error",
        /// Headers that it is told; deprecated.
        include_headers_in_check: Vec<Box<str>> =
            "includeHeadersInCheck" | "include_headers_in_check",
        /// Headers that it is told; `*` may begin or end them.
        include_request_headers_in_check: Vec<Box<str>> =
            "includeRequestHeadersInCheck" | "include_request_headers_in_check",
        /// Headers that are added to its requests.
        include_additional_headers_in_check: BTreeMap<Box<str>, Box<str>> =
            "includeAdditionalHeadersInCheck" | "include_additional_headers_in_check",
        /// The body that it is told; absent: none.
        include_request_body_in_check: Option<ExtAuthzRequestBody> =
            "includeRequestBodyInCheck" | "include_request_body_in_check",
        /// Headers of its answer that the application gets.
        headers_to_upstream_on_allow: Vec<Box<str>> =
            "headersToUpstreamOnAllow" | "headers_to_upstream_on_allow",
        /// Headers of its answer that the client gets after a denial.
        headers_to_downstream_on_deny: Vec<Box<str>> =
            "headersToDownstreamOnDeny" | "headers_to_downstream_on_deny",
        /// Headers of its answer that the client gets otherwise.
        headers_to_downstream_on_allow: Vec<Box<str>> =
            "headersToDownstreamOnAllow" | "headers_to_downstream_on_allow",
    }
}

message! {
    /// An authorizer that is asked over gRPC.
    pub struct ExtAuthzGrpcProvider {
        /// Its service.
        service: Box<str> = "service",
        /// Its port.
        port: u32 = "port",
        /// How long it may take; absent: 10 min.
        timeout: Option<Duration> = "timeout",
        /// Whether requests pass while it fails.
        fail_open: bool = "failOpen" | "fail_open",
        /// Whether the route is chosen again after it has changed headers.
        clear_route_cache: bool = "clearRouteCache" | "clear_route_cache",
        /// The status while it fails, empty for 403.
        status_on_error: Box<str> = "statusOnError" | "status_on_error",
        /// The body that it is told; absent: none.
        include_request_body_in_check: Option<ExtAuthzRequestBody> =
            "includeRequestBodyInCheck" | "include_request_body_in_check",
    }
}

message! {
    /// How much of a body an authorizer is told.
    pub struct ExtAuthzRequestBody {
        /// The most bytes.
        max_request_bytes: u32 = "maxRequestBytes" | "max_request_bytes",
        /// Whether a longer body is cut, not refused.
        allow_partial_message: bool = "allowPartialMessage" | "allow_partial_message",
        /// Whether it is sent as bytes, not as UTF-8.
        pack_as_bytes: bool = "packAsBytes" | "pack_as_bytes",
    }
}

message! {
    /// Metrics that Prometheus fetches; it has no settings.
    pub struct PrometheusProvider {}
}

message! {
    /// Stackdriver.
    pub struct StackdriverProvider {
        /// Deprecated.
        debug: bool = "debug",
        /// Deprecated.
        max_number_of_attributes: Option<i64> =
            "maxNumberOfAttributes" | "max_number_of_attributes",
        /// Deprecated.
        max_number_of_annotations: Option<i64> =
            "maxNumberOfAnnotations" | "max_number_of_annotations",
        /// Deprecated.
        max_number_of_message_events: Option<i64> =
            "maxNumberOfMessageEvents" | "max_number_of_message_events",
        /// The longest tag of a path; 0: 256.
        max_tag_length: u32 = "maxTagLength" | "max_tag_length",
        /// Logs.
        logging: Option<StackdriverLogging> = "logging",
    }
}

message! {
    /// Logs to Stackdriver.
    pub struct StackdriverLogging {
        /// Labels by name, with CEL expressions.
        labels: BTreeMap<Box<str>, Box<str>> = "labels",
    }
}

message! {
    /// A source of secrets.
    pub struct SdsProvider {
        /// The name that credentials refer to.
        name: Box<str> = "name",
        /// Its service.
        service: Box<str> = "service",
        /// Its port.
        port: u32 = "port",
    }
}
