//! The programs that spans are sent to.
//!
//! # Upstream
//!
//! istio/istio `pilot/pkg/networking/core/tracing.go` `configureFromProviderConfig`, `zipkinConfig`,
//! `otelConfig`, `datadogConfig`, `skywalkingConfig`, `configureDynatraceSampler`, `otelServiceName`.
use mesh_envoy_proto::envoy::config::core::v3 as core;
use mesh_envoy_proto::envoy::config::trace::v3 as trace;
use mesh_envoy_proto::envoy::extensions::tracers::opentelemetry::resource_detectors::v3 as detectors;
use mesh_envoy_proto::envoy::extensions::tracers::opentelemetry::samplers::v3::DynatraceSamplerConfig;
use mesh_envoy_proto::prost::Name;
use mesh_envoy_proto::{pack, prost_types};
use mesh_model::name::Duration;
use mesh_model::registry::ControlPlane;
use mesh_model::resource::Json;
use mesh_model::resource::mesh_config::{
    DynatraceSampler, ExtensionProvider, HeaderValue, HttpService, OpenTelemetryProvider,
    ProviderHeader, ProviderKind, Sampling, ServiceAttributeEnrichment, TraceContextOption,
    ZipkinProvider,
};
use mesh_model::view::{Proxy, ProxyView};
use trace::tracing::{Http, http};

use super::provider::Backend;

/// How long Zipkin may take where nothing is said.
const ZIPKIN_TIMEOUT: prost_types::Duration = prost_types::Duration { seconds: 5, nanos: 0 };

/// A program that spans are sent to.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tracer {
    /// Its settings.
    pub(super) config: Http,
    /// Where it is.
    pub(super) backend: Backend,
    /// Whether sidecars too have spans of their own for what they send.
    pub(super) spawns_spans: bool,
    /// The longest tag of a path; 0: not said.
    pub(super) max_tag_length: u32,
    /// Whether it decides itself which requests are traced.
    pub(super) decides: bool,
}

impl Tracer {
    fn new<M: Name>(name: &str, config: &M, max_tag_length: u32, backend: Backend) -> Self {
        let config = Http {
            name: format!("envoy.tracers.{name}"),
            config_type: Some(http::ConfigType::TypedConfig(pack(config))),
        };
        Self { config, backend, spawns_spans: false, max_tag_length, decides: false }
    }
}

/// The program of a provider; `None` if it is none for traces, or is nowhere.
pub(super) fn tracer(view: &ProxyView<'_>, provider: &ExtensionProvider) -> Option<Tracer> {
    let plane = view.plane();
    match provider.kind.as_ref()? {
        ProviderKind::Zipkin(zipkin) => {
            let backend = Backend::find(plane, &zipkin.service, zipkin.port)?;
            let config = zipkin_config(&backend, zipkin);
            Some(Tracer::new("zipkin", &config, zipkin.max_tag_length, backend))
        }
        ProviderKind::Datadog(datadog) => {
            let backend = Backend::find(plane, &datadog.service, datadog.port)?;
            let config = trace::DatadogConfig {
                collector_cluster: backend.cluster.clone(),
                collector_hostname: backend.host.clone(),
                ..trace::DatadogConfig::default()
            };
            Some(Tracer::new("datadog", &config, datadog.max_tag_length, backend))
        }
        ProviderKind::SkyWalking(skywalking) => {
            let backend = Backend::find(plane, &skywalking.service, skywalking.port)?;
            let config = trace::SkyWalkingConfig {
                grpc_service: Some(backend.grpc()),
                ..trace::SkyWalkingConfig::default()
            };
            Some(Tracer { spawns_spans: true, ..Tracer::new("skywalking", &config, 0, backend) })
        }
        ProviderKind::OpenTelemetry(otel) => {
            let decides = otel.sampling.is_some();
            let backend = Backend::find(plane, &otel.service, otel.port)?;
            let config = otel_config(plane, view.proxy(), otel, &backend)?;
            let length = otel.max_tag_length;
            Some(Tracer { decides, ..Tracer::new("opentelemetry", &config, length, backend) })
        }
        ProviderKind::EnvoyExtAuthzHttp(_)
        | ProviderKind::EnvoyExtAuthzGrpc(_)
        | ProviderKind::Lightstep(_)
        | ProviderKind::Stackdriver(_)
        | ProviderKind::OpenCensus(_)
        | ProviderKind::Prometheus(_)
        | ProviderKind::EnvoyFileAccessLog(_)
        | ProviderKind::EnvoyHttpAls(_)
        | ProviderKind::EnvoyTcpAls(_)
        | ProviderKind::EnvoyOtelAls(_)
        | ProviderKind::Sds(_) => None,
    }
}

fn zipkin_config(backend: &Backend, zipkin: &ZipkinProvider) -> trace::ZipkinConfig {
    use trace::zipkin_config::{CollectorEndpointVersion, TraceContextOption as Option_};
    let path = if zipkin.path.is_empty() { "/api/v2/spans" } else { &zipkin.path };
    let uri = format!("http://{}{path}", backend.host);
    let timeout = zipkin.timeout.map_or(ZIPKIN_TIMEOUT, duration);
    let context = match zipkin.trace_context_option {
        TraceContextOption::UseB3 => Option_::UseB3,
        TraceContextOption::UseB3WithW3cPropagation => Option_::UseB3WithW3cPropagation,
    };
    trace::ZipkinConfig {
        collector_service: Some(http_service(backend, uri, Some(timeout), &zipkin.headers)),
        collector_endpoint_version: CollectorEndpointVersion::HttpJson.into(),
        trace_id_128bit: !zipkin.enable_64bit_trace_id,
        shared_span_context: Some(false),
        trace_context_option: context.into(),
        ..trace::ZipkinConfig::default()
    }
}

fn otel_config(
    plane: &ControlPlane,
    proxy: &Proxy,
    otel: &OpenTelemetryProvider,
    backend: &Backend,
) -> Option<trace::OpenTelemetryConfig> {
    let follows_conventions =
        otel.service_attribute_enrichment == ServiceAttributeEnrichment::OtelSemanticConventions;
    let over_http = otel.http.as_ref().map(|http| otel_http(backend, http));
    let grpc = otel.grpc.as_ref();
    let over_grpc = core::GrpcService {
        timeout: grpc.and_then(|grpc| grpc.timeout).map(duration),
        initial_metadata: grpc.map(|grpc| headers(&grpc.initial_metadata)).unwrap_or_default(),
        ..backend.grpc()
    };
    let sampler = match &otel.sampling {
        Some(Sampling::DynatraceSampler(sampler)) => {
            Some(dynatrace(plane, backend, otel, sampler)?)
        }
        None => None,
    };
    Some(trace::OpenTelemetryConfig {
        grpc_service: over_http.is_none().then_some(over_grpc),
        http_service: over_http,
        service_name: if follows_conventions { service_name(proxy) } else { String::new() },
        resource_detectors: resource_detectors(otel, follows_conventions),
        sampler,
        ..trace::OpenTelemetryConfig::default()
    })
}

/// A service over HTTP whose address has no scheme.
fn otel_http(backend: &Backend, http: &HttpService) -> core::HttpService {
    http_service(
        backend,
        joined(&backend.host, &http.path),
        http.timeout.map(duration),
        &http.headers,
    )
}

/// A host and a path with one slash between them; without a path the host alone.
fn joined(host: &str, path: &str) -> String {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let end = if path.ends_with('/') && !parts.is_empty() { "/" } else { "" };
    if parts.is_empty() { host.to_owned() } else { format!("{host}/{}{end}", parts.join("/")) }
}

fn http_service(
    backend: &Backend,
    uri: String,
    timeout: Option<prost_types::Duration>,
    added: &[ProviderHeader],
) -> core::HttpService {
    let cluster = core::http_uri::HttpUpstreamType::Cluster(backend.cluster.clone());
    let action = core::header_value_option::HeaderAppendAction::OverwriteIfExistsOrAdd;
    let option = |header| core::HeaderValueOption {
        header: Some(header),
        append_action: action.into(),
        ..core::HeaderValueOption::default()
    };
    core::HttpService {
        http_uri: Some(core::HttpUri { uri, timeout, http_upstream_type: Some(cluster) }),
        request_headers_to_add: headers(added).into_iter().map(option).collect(),
        ..core::HttpService::default()
    }
}

/// Headers; one from the control plane's environment is empty here, where there is none.
fn headers(headers: &[ProviderHeader]) -> Vec<core::HeaderValue> {
    let value = |header: &ProviderHeader| match &header.value {
        Some(HeaderValue::Value(value)) => value.to_string(),
        Some(HeaderValue::EnvName(_)) | None => String::new(),
    };
    let headers = headers.iter().map(|header| core::HeaderValue {
        key: header.name.to_string(),
        value: value(header),
        ..core::HeaderValue::default()
    });
    headers.collect()
}

fn duration(duration: Duration) -> prost_types::Duration {
    prost_types::Duration { seconds: duration.as_secs(), nanos: duration.subsec_nanos() }
}

fn extension<M: Name>(name: &str, config: &M) -> core::TypedExtensionConfig {
    core::TypedExtensionConfig {
        name: format!("envoy.tracers.opentelemetry.{name}"),
        typed_config: Some(pack(config)),
    }
}

fn resource_detectors(
    otel: &OpenTelemetryProvider,
    follows_conventions: bool,
) -> Vec<core::TypedExtensionConfig> {
    let environment = || {
        let config = detectors::EnvironmentResourceDetectorConfig {};
        extension("resource_detectors.environment", &config)
    };
    let dynatrace = || {
        let config = detectors::DynatraceResourceDetectorConfig {};
        extension("resource_detectors.dynatrace", &config)
    };
    let asked = otel.resource_detectors.as_ref();
    let has_environment = asked.is_some_and(|asked| asked.environment.is_some());
    let has_dynatrace = asked.is_some_and(|asked| asked.dynatrace.is_some());
    let first = has_environment.then(environment);
    let last = (follows_conventions && !has_environment).then(environment);
    first.into_iter().chain(has_dynatrace.then(dynatrace)).chain(last).collect()
}

/// The sampler that asks Dynatrace; `None` where it is nowhere.
fn dynatrace(
    plane: &ControlPlane,
    backend: &Backend,
    otel: &OpenTelemetryProvider,
    sampler: &DynatraceSampler,
) -> Option<core::TypedExtensionConfig> {
    let http_service = match &sampler.http_service {
        Some(asked) => {
            let backend = Backend::find(plane, &asked.service, asked.port)?;
            let http = asked.http.clone().unwrap_or_default();
            otel_http(&backend, &http)
        }
        None => {
            let http = otel.http.as_ref()?;
            let path = Box::from("api/v2/samplingConfiguration");
            otel_http(backend, &HttpService { path, ..http.clone() })
        }
    };
    let config = DynatraceSamplerConfig {
        tenant: sampler.tenant.to_string(),
        cluster_id: sampler.cluster_id,
        http_service: Some(http_service),
        root_spans_per_minute: sampler.root_spans_per_minute,
    };
    Some(extension("samplers.dynatrace", &config))
}

/// The name of a service by OpenTelemetry's conventions.
fn service_name(proxy: &Proxy) -> String {
    let annotations = match proxy.metadata.get("ANNOTATIONS") {
        Some(Json::Map(annotations)) => annotations.get("resource.opentelemetry.io/service.name"),
        Some(_) | None => None,
    };
    let container = proxy.metadata_text("APP_CONTAINERS");
    let candidates = [
        annotations.and_then(Json::as_str).unwrap_or_default(),
        proxy.labels.value("app.kubernetes.io/instance"),
        proxy.labels.value("app.kubernetes.io/name"),
        proxy.metadata_text("WORKLOAD_NAME"),
        &proxy.name,
        if container.contains(',') { "" } else { container },
    ];
    let found = candidates.into_iter().find(|name| !name.is_empty());
    found.unwrap_or("unknown_service").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_follows_its_host_after_one_slash() {
        assert_eq!(joined("a.b", ""), "a.b");
        assert_eq!(joined("a.b", "v1/traces"), "a.b/v1/traces");
        assert_eq!(joined("a.b", "//v1//traces/"), "a.b/v1/traces/");
    }
}
