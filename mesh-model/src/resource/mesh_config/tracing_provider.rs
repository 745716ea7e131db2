//! Backends of traces.
use super::TraceContext;
use crate::manifest::decode::{choice, message, oneof};
use crate::name::Duration;

message! {
    /// Traces to Zipkin.
    pub struct ZipkinProvider {
        /// Its service.
        service: Box<str> = "service",
        /// Its port.
        port: u32 = "port",
        /// The longest tag of a path; 0: the proxy's setting, 256.
        max_tag_length: u32 = "maxTagLength" | "max_tag_length",
        /// Whether trace ids have 64 bits, not 128.
        enable_64bit_trace_id: bool = "enable64bitTraceId" | "enable_64bit_trace_id",
        /// The path, empty for `/api/v2/spans`.
        path: Box<str> = "path",
        /// The headers that carry the context.
        trace_context_option: TraceContextOption =
            "traceContextOption" | "trace_context_option",
        /// How long it may take; absent: 5 s.
        timeout: Option<Duration> = "timeout",
        /// Headers of requests to it.
        headers: Vec<ProviderHeader> = "headers",
    }
}

choice! {
    /// The headers that carry the context of a trace.
    pub enum TraceContextOption default UseB3 {
        /// `x-b3-` headers.
        UseB3 = 0 | "USE_B3",
        /// Also `traceparent`.
        UseB3WithW3cPropagation = 1 | "USE_B3_WITH_W3C_PROPAGATION",
    }
}

message! {
    /// Traces to Lightstep.
    pub struct LightstepProvider {
        /// Its service.
        service: Box<str> = "service",
        /// Its port.
        port: u32 = "port",
        /// A token.
        access_token: Box<str> = "accessToken" | "access_token",
        /// The longest tag of a path; 0: the proxy's setting, 256.
        max_tag_length: u32 = "maxTagLength" | "max_tag_length",
    }
}

message! {
    /// Traces to Datadog.
    pub struct DatadogProvider {
        /// Its service.
        service: Box<str> = "service",
        /// Its port.
        port: u32 = "port",
        /// The longest tag of a path; 0: the proxy's setting, 256.
        max_tag_length: u32 = "maxTagLength" | "max_tag_length",
    }
}

message! {
    /// Traces to SkyWalking.
    pub struct SkyWalkingProvider {
        /// Its service.
        service: Box<str> = "service",
        /// Its port.
        port: u32 = "port",
        /// A token.
        access_token: Box<str> = "accessToken" | "access_token",
    }
}

message! {
    /// Traces to an OpenCensus agent.
    pub struct OpenCensusProvider {
        /// Its service.
        service: Box<str> = "service",
        /// Its port.
        port: u32 = "port",
        /// The headers that carry the context.
        context: Vec<TraceContext> = "context",
        /// The longest tag of a path; 0: the proxy's setting, 256.
        max_tag_length: u32 = "maxTagLength" | "max_tag_length",
    }
}

message! {
    /// Traces by OpenTelemetry's protocol.
    pub struct OpenTelemetryProvider {
        /// Its service.
        service: Box<str> = "service",
        /// Its port.
        port: u32 = "port",
        /// The longest tag of a path; 0: the proxy's setting, 256.
        max_tag_length: u32 = "maxTagLength" | "max_tag_length",
        /// Over HTTP; absent: over gRPC.
        http: Option<HttpService> = "http",
        /// Settings of gRPC; not used with `http`.
        grpc: Option<GrpcService> = "grpc",
        /// What finds out attributes of the resource.
        resource_detectors: Option<ResourceDetectors> =
            "resourceDetectors" | "resource_detectors",
        /// How the service is named.
        service_attribute_enrichment: ServiceAttributeEnrichment =
            "serviceAttributeEnrichment" | "service_attribute_enrichment",
        /// Who decides which requests are traced; absent: the proxy's share.
        sampling: Option<Sampling> = (oneof Sampling),
    }
}

choice! {
    /// How a service is named in traces.
    pub enum ServiceAttributeEnrichment default IstioCanonical {
        /// By its canonical name.
        IstioCanonical = 0 | "ISTIO_CANONICAL",
        /// By OpenTelemetry's conventions.
        OtelSemanticConventions = 1 | "OTEL_SEMANTIC_CONVENTIONS",
    }
}

oneof! {
    /// Who decides which requests are traced.
    pub enum Sampling {
        /// Dynatrace.
        DynatraceSampler(DynatraceSampler) = "dynatraceSampler" | "dynatrace_sampler",
    }
}

message! {
    /// Dynatrace decides which requests are traced.
    pub struct DynatraceSampler {
        /// The tenant.
        tenant: Box<str> = "tenant",
        /// The cluster.
        cluster_id: i32 = "clusterId" | "cluster_id",
        /// Traces a minute while it is not reached.
        root_spans_per_minute: u32 = "rootSpansPerMinute" | "root_spans_per_minute",
        /// Where it is asked; absent: where traces are sent.
        http_service: Option<DynatraceApi> = "httpService" | "http_service",
    }
}

message! {
    /// Where Dynatrace is asked.
    pub struct DynatraceApi {
        /// Its service.
        service: Box<str> = "service",
        /// Its port.
        port: u32 = "port",
        /// Its path and headers.
        http: Option<HttpService> = "http",
    }
}

message! {
    /// Settings of HTTP.
    pub struct HttpService {
        /// The path.
        path: Box<str> = "path",
        /// How long it may take; absent: 10 s.
        timeout: Option<Duration> = "timeout",
        /// Headers.
        headers: Vec<ProviderHeader> = "headers",
    }
}

message! {
    /// Settings of gRPC.
    pub struct GrpcService {
        /// How long it may take; absent: no limit.
        timeout: Option<Duration> = "timeout",
        /// Metadata of calls.
        initial_metadata: Vec<ProviderHeader> = "initialMetadata" | "initial_metadata",
    }
}

message! {
    /// A header of requests to a backend.
    pub struct ProviderHeader {
        /// The name.
        name: Box<str> = "name",
        /// The value.
        value: Option<HeaderValue> = (oneof HeaderValue),
    }
}

oneof! {
    /// The value of a header.
    pub enum HeaderValue {
        /// A text.
        Value(Box<str>) = "value",
        /// A variable of the control plane's environment.
        EnvName(Box<str>) = "envName" | "env_name",
    }
}

message! {
    /// What finds out attributes of the resource.
    pub struct ResourceDetectors {
        /// From the environment, if present.
        environment: Option<EmptyDetector> = "environment",
        /// From Dynatrace's files, if present.
        dynatrace: Option<EmptyDetector> = "dynatrace",
    }
}

message! {
    /// A detector; only its presence says something.
    pub struct EmptyDetector {}
}
