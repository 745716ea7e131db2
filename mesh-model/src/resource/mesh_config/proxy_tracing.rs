//! How a proxy traces requests.
use std::collections::BTreeMap;

use crate::manifest::decode::{choice, message, oneof};
use crate::resource::destination_rule::ClientTlsSettings;

message! {
    /// How a proxy traces requests.
    pub struct Tracing {
        /// Where its bootstrap sends traces.
        tracer: Option<Tracer> = (oneof Tracer),
        /// Tags of spans; `None` for a tag that says nothing.
        custom_tags: BTreeMap<Box<str>, Option<CustomTag>> = "customTags" | "custom_tags",
        /// The longest tag of a path; 0: 256.
        max_path_tag_length: u32 = "maxPathTagLength" | "max_path_tag_length",
        /// The share of requests that are traced, percent; 0: the control plane's 1.
        sampling: f64 = "sampling",
        /// TLS to the tracer.
        tls_settings: Option<ClientTlsSettings> = "tlsSettings" | "tls_settings",
        /// Whether spans have Istio's tags; absent: yes.
        enable_istio_tags: Option<bool> = "enableIstioTags" | "enable_istio_tags",
    }
}

oneof! {
    /// Where traces are sent.
    pub enum Tracer {
        /// Zipkin.
        Zipkin(ZipkinTracer) = "zipkin",
        /// Lightstep.
        Lightstep(LightstepTracer) = "lightstep",
        /// Datadog.
        Datadog(DatadogTracer) = "datadog",
        /// Stackdriver.
        Stackdriver(StackdriverTracer) = "stackdriver",
        /// An OpenCensus agent.
        OpenCensusAgent(OpenCensusTracer) = "openCensusAgent" | "open_census_agent",
    }
}

message! {
    /// Zipkin.
    pub struct ZipkinTracer {
        /// Its address.
        address: Box<str> = "address",
    }
}

message! {
    /// Lightstep.
    pub struct LightstepTracer {
        /// Its address.
        address: Box<str> = "address",
        /// A token.
        access_token: Box<str> = "accessToken" | "access_token",
    }
}

message! {
    /// Datadog.
    pub struct DatadogTracer {
        /// Its address.
        address: Box<str> = "address",
    }
}

message! {
    /// Stackdriver.
    pub struct StackdriverTracer {
        /// Whether spans are also printed.
        debug: bool = "debug",
        /// The most attributes of a span.
        max_number_of_attributes: Option<i64> =
            "maxNumberOfAttributes" | "max_number_of_attributes",
        /// The most annotations of a span.
        max_number_of_annotations: Option<i64> =
            "maxNumberOfAnnotations" | "max_number_of_annotations",
        /// The most message events of a span.
        max_number_of_message_events: Option<i64> =
            "maxNumberOfMessageEvents" | "max_number_of_message_events",
    }
}

message! {
    /// An OpenCensus agent.
    pub struct OpenCensusTracer {
        /// Its address.
        address: Box<str> = "address",
        /// The headers that carry the context.
        context: Vec<TraceContext> = "context",
    }
}

choice! {
    /// A header that carries the context of a trace.
    pub enum TraceContext default Unspecified {
        /// None.
        Unspecified = 0 | "UNSPECIFIED",
        /// `traceparent`.
        W3cTraceContext = 1 | "W3C_TRACE_CONTEXT",
        /// `grpc-trace-bin`.
        GrpcBin = 2 | "GRPC_BIN",
        /// `x-cloud-trace-context`.
        CloudTraceContext = 3 | "CLOUD_TRACE_CONTEXT",
        /// `x-b3-` headers.
        B3 = 4 | "B3",
    }
}

oneof! {
    /// A tag of spans.
    pub enum CustomTag {
        /// A text.
        Literal(LiteralTag) = "literal",
        /// From the proxy's environment.
        Environment(EnvironmentTag) = "environment",
        /// From a header of the request.
        Header(HeaderTag) = "header",
    }
}

message! {
    /// A text.
    pub struct LiteralTag {
        /// The text.
        value: Box<str> = "value",
    }
}

message! {
    /// A variable of the proxy's environment.
    pub struct EnvironmentTag {
        /// The variable.
        name: Box<str> = "name",
        /// The text where there is none.
        default_value: Box<str> = "defaultValue" | "default_value",
    }
}

message! {
    /// A header of the request.
    pub struct HeaderTag {
        /// The header.
        name: Box<str> = "name",
        /// The text where there is none.
        default_value: Box<str> = "defaultValue" | "default_value",
    }
}
