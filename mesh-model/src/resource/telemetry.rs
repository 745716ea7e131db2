//! What is measured, logged and traced.
mod validate;

use std::collections::BTreeMap;

use super::Meta;
use super::mesh_config::{EnvironmentTag, HeaderTag, LiteralTag};
use super::selector::{PolicyTargetReference, WorkloadSelector};
use crate::manifest::decode::{choice, message, oneof};
use crate::name::Duration;

message! {
    /// `telemetry.istio.io` `Telemetry`.
    ///
    /// # Upstream
    ///
    /// istio/api `telemetry/v1alpha1/telemetry.proto`.
    pub struct Telemetry ignoring unknown {
        /// Name, namespace, age.
        meta: Meta = (elsewhere),
        /// What the object says.
        spec: TelemetrySpec = "spec",
    }
}

message! {
    /// The fields of a [`Telemetry`].
    pub struct TelemetrySpec {
        /// The workloads concerned; absent: all of the namespace (all of the mesh in the root one).
        selector: Option<WorkloadSelector> = "selector",
        /// Used only where `target_refs` is empty.
        target_ref: Option<PolicyTargetReference> = "targetRef",
        /// The objects that it is attached to instead of workloads.
        target_refs: Vec<PolicyTargetReference> = "targetRefs",
        /// Traces.
        tracing: Vec<TelemetryTracing> = "tracing",
        /// Metrics.
        metrics: Vec<Metrics> = "metrics",
        /// Access logs.
        access_logging: Vec<AccessLogging> = "accessLogging" | "access_logging",
    }
}

message! {
    /// A backend by name.
    pub struct ProviderRef {
        /// The name of an extension provider of `MeshConfig`.
        name: Box<str> = "name",
    }
}

message! {
    /// Which side of a connection is meant.
    pub struct ModeSelector {
        /// The side.
        mode: WorkloadMode = "mode",
    }
}

choice! {
    /// A side of a connection.
    pub enum WorkloadMode default ClientAndServer {
        /// Both.
        ClientAndServer = 0 | "CLIENT_AND_SERVER",
        /// The client: outbound listeners and gateways.
        Client = 1 | "CLIENT",
        /// The server: inbound listeners.
        Server = 2 | "SERVER",
    }
}

message! {
    /// A layer of settings of traces; what is absent is left to the layer below.
    pub struct TelemetryTracing {
        /// The side concerned; absent: both.
        selector: Option<ModeSelector> = "match",
        /// The backend; the first counts.
        providers: Vec<ProviderRef> = "providers",
        /// The share of requests that are traced, percent.
        random_sampling_percentage: Option<f64> =
            "randomSamplingPercentage" | "random_sampling_percentage",
        /// Whether no spans are sent.
        disable_span_reporting: Option<bool> =
            "disableSpanReporting" | "disable_span_reporting",
        /// Tags of spans; `None` for a tag that says nothing.
        custom_tags: BTreeMap<Box<str>, Option<TelemetryTag>> = "customTags" | "custom_tags",
        /// Whether the id of a request tells whether it is traced.
        use_request_id_for_trace_sampling: Option<bool> =
            "useRequestIdForTraceSampling" | "use_request_id_for_trace_sampling",
        /// Whether spans have Istio's tags.
        enable_istio_tags: Option<bool> = "enableIstioTags" | "enable_istio_tags",
        /// Whether the context is not sent on.
        disable_context_propagation: Option<bool> =
            "disableContextPropagation" | "disable_context_propagation",
    }
}

oneof! {
    /// A tag of spans.
    pub enum TelemetryTag {
        /// A text.
        Literal(LiteralTag) = "literal",
        /// From the proxy's environment.
        Environment(EnvironmentTag) = "environment",
        /// From a header of the request.
        Header(HeaderTag) = "header",
        /// By a format of access logs.
        Formatter(FormatterTag) = "formatter",
    }
}

message! {
    /// A format of access logs.
    pub struct FormatterTag {
        /// The format, such as `%REQ(X-USER)%`.
        value: Box<str> = "value",
    }
}

message! {
    /// A layer of settings of metrics.
    pub struct Metrics {
        /// The backends; empty: those of the layer below.
        providers: Vec<ProviderRef> = "providers",
        /// Changes of single metrics, in order.
        overrides: Vec<MetricsOverrides> = "overrides",
        /// The time between reports of open TCP connections; absent: left to the layer below.
        reporting_interval: Option<Duration> = "reportingInterval" | "reporting_interval",
    }
}

message! {
    /// A change of metrics.
    pub struct MetricsOverrides {
        /// The metrics concerned; absent: all, on both sides.
        selector: Option<MetricSelector> = "match",
        /// Whether they are off; absent: as they are.
        disabled: Option<bool> = "disabled",
        /// Their tags, by name.
        tag_overrides: BTreeMap<Box<str>, TagOverride> = "tagOverrides" | "tag_overrides",
    }
}

message! {
    /// Which metrics are meant.
    pub struct MetricSelector {
        /// The metric; absent: all.
        metric: Option<MetricMatch> = (oneof MetricMatch),
        /// The side.
        mode: WorkloadMode = "mode",
    }
}

oneof! {
    /// A metric.
    pub enum MetricMatch {
        /// One of Istio's.
        Metric(IstioMetric) = "metric",
        /// One by name.
        CustomMetric(Box<str>) = "customMetric" | "custom_metric",
    }
}

choice! {
    /// A metric of Istio's.
    pub enum IstioMetric default AllMetrics {
        /// Every one.
        AllMetrics = 0 | "ALL_METRICS",
        /// `istio_requests_total`.
        RequestCount = 1 | "REQUEST_COUNT",
        /// `istio_request_duration_milliseconds`.
        RequestDuration = 2 | "REQUEST_DURATION",
        /// `istio_request_bytes`.
        RequestSize = 3 | "REQUEST_SIZE",
        /// `istio_response_bytes`.
        ResponseSize = 4 | "RESPONSE_SIZE",
        /// `istio_tcp_connections_opened_total`.
        TcpOpenedConnections = 5 | "TCP_OPENED_CONNECTIONS",
        /// `istio_tcp_connections_closed_total`.
        TcpClosedConnections = 6 | "TCP_CLOSED_CONNECTIONS",
        /// `istio_tcp_sent_bytes_total`.
        TcpSentBytes = 7 | "TCP_SENT_BYTES",
        /// `istio_tcp_received_bytes_total`.
        TcpReceivedBytes = 8 | "TCP_RECEIVED_BYTES",
        /// `istio_request_messages_total`.
        GrpcRequestMessages = 9 | "GRPC_REQUEST_MESSAGES",
        /// `istio_response_messages_total`.
        GrpcResponseMessages = 10 | "GRPC_RESPONSE_MESSAGES",
    }
}

message! {
    /// A change of a tag.
    pub struct TagOverride {
        /// What happens to it.
        operation: TagOperation = "operation",
        /// Its value, an expression over attributes; with UPSERT only.
        value: Box<str> = "value",
    }
}

choice! {
    /// What happens to a tag.
    pub enum TagOperation default Upsert {
        /// It is set.
        Upsert = 0 | "UPSERT",
        /// It is removed.
        Remove = 1 | "REMOVE",
    }
}

message! {
    /// A layer of settings of access logs.
    pub struct AccessLogging {
        /// The side concerned; absent: both.
        selector: Option<ModeSelector> = "match",
        /// The backends; empty: those of the layer below.
        providers: Vec<ProviderRef> = "providers",
        /// Whether they are off; absent: on.
        disabled: Option<bool> = "disabled",
        /// Which requests are logged; absent: all.
        filter: Option<AccessLogFilter> = "filter",
    }
}

message! {
    /// Which requests are logged.
    pub struct AccessLogFilter {
        /// A CEL expression.
        expression: Box<str> = "expression",
    }
}
