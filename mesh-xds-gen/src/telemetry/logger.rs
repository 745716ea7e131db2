//! The loggers of providers, and the mesh's own.
//!
//! # Upstream
//!
//! istio/istio `pilot/pkg/model/telemetry_logging.go` `telemetryAccessLog`,
//! `FileAccessLogFromMeshConfig`; `pilot/pkg/networking/core/accesslog.go`.
use std::collections::BTreeMap;

use mesh_envoy_proto::envoy::config::accesslog::v3::{AccessLog, access_log};
use mesh_envoy_proto::envoy::config::core::v3::{ApiVersion, GrpcService, TypedExtensionConfig};
use mesh_envoy_proto::envoy::extensions::access_loggers::file::v3::{
    FileAccessLog, file_access_log::AccessLogFormat,
};
use mesh_envoy_proto::envoy::extensions::access_loggers::grpc::v3::{
    CommonGrpcAccessLogConfig, HttpGrpcAccessLogConfig, TcpGrpcAccessLogConfig,
};
use mesh_envoy_proto::envoy::extensions::access_loggers::open_telemetry::v3::OpenTelemetryAccessLogConfig;
use mesh_envoy_proto::opentelemetry::proto::common::v1::{
    AnyValue, KeyValue, KeyValueList, any_value,
};
use mesh_envoy_proto::pack;
use mesh_envoy_proto::prost::Name;
use mesh_model::registry::ControlPlane;
use mesh_model::resource::mesh_config::{
    AccessLogEncoding, ExtensionProvider, FileAccessLogProvider, HttpAlsProvider, LogFormat,
    OtelAlsProvider, ProviderKind, TcpAlsProvider,
};
use mesh_model::resource::{Json, MeshConfig};

use super::access_log::Place;
use super::format::{self, Format};
use super::provider::Backend;

const FILE: &str = "envoy.access_loggers.file";
const HTTP_GRPC: &str = "envoy.access_loggers.http_grpc";
const TCP_GRPC: &str = "envoy.tcp_grpc_access_log";
const OPEN_TELEMETRY: &str = "envoy.access_loggers.open_telemetry";
const HTTP_LOG: &str = "http_envoy_accesslog";
const TCP_LOG: &str = "tcp_envoy_accesslog";
const LISTENER_LOG: &str = "listener_envoy_accesslog";
const OTEL_LOG: &str = "otel_envoy_accesslog";
/// Where a log goes that names no file.
const STDOUT: &str = "/dev/stdout";
/// The built-in provider, which has the mesh's format.
const BUILT_IN: &str = "envoy";
/// The cluster of the bootstrap that the mesh's log service is.
const LOG_SERVICE: &str = "envoy_accesslog_service";
/// What is known of the peers.
const PEERS: [&str; 2] = ["upstream_peer", "downstream_peer"];
/// The same under the names of older proxies.
const OLD_PEERS: [&str; 4] = [
    "wasm.upstream_peer",
    "wasm.upstream_peer_id",
    "wasm.downstream_peer",
    "wasm.downstream_peer_id",
];

/// The logger of a provider, without filter; `None` if it is no logger, or is nowhere.
pub(super) fn of_provider(plane: &ControlPlane, provider: &ExtensionProvider) -> Option<AccessLog> {
    match provider.kind.as_ref()? {
        ProviderKind::EnvoyFileAccessLog(file) => {
            let is_plain = file.log_format.is_none() && !file.omit_empty_values;
            let (path, format) = if *provider.name == *BUILT_IN && is_plain {
                (&*file.path, Some(of_settings(&plane.config)))
            } else {
                (or(&file.path, STDOUT), of_file(file))
            };
            Some(file_log(path, format))
        }
        ProviderKind::EnvoyHttpAls(http) => http_log(plane, http),
        ProviderKind::EnvoyTcpAls(tcp) => tcp_log(plane, tcp),
        ProviderKind::EnvoyOtelAls(otel) => otel_log(plane, otel),
        ProviderKind::EnvoyExtAuthzHttp(_)
        | ProviderKind::EnvoyExtAuthzGrpc(_)
        | ProviderKind::Zipkin(_)
        | ProviderKind::Lightstep(_)
        | ProviderKind::Datadog(_)
        | ProviderKind::Stackdriver(_)
        | ProviderKind::OpenCensus(_)
        | ProviderKind::SkyWalking(_)
        | ProviderKind::OpenTelemetry(_)
        | ProviderKind::Prometheus(_)
        | ProviderKind::Sds(_) => None,
    }
}

/// The mesh's own loggers at a place, without filter: its file, and its log service.
pub(super) fn of_mesh(config: &MeshConfig, place: Place) -> Vec<AccessLog> {
    let path = &*config.access_log_file;
    let file = (!path.is_empty()).then(|| file_log(path, Some(of_settings(config))));
    let service = config.enable_envoy_access_log_service.then(|| match place {
        Place::Requests => log(
            HTTP_GRPC,
            &HttpGrpcAccessLogConfig {
                common_config: Some(service_log(HTTP_LOG)),
                ..HttpGrpcAccessLogConfig::default()
            },
        ),
        Place::Connections => log(TCP_GRPC, &tcp_config(service_log(TCP_LOG))),
        Place::Listener => log(TCP_GRPC, &tcp_config(service_log(LISTENER_LOG))),
    });
    file.into_iter().chain(service).collect()
}

fn service_log(name: &str) -> CommonGrpcAccessLogConfig {
    let service = Backend::of_bootstrap(LOG_SERVICE).grpc();
    common(name, service, PEERS.iter().chain(&OLD_PEERS))
}

fn log<M: Name>(name: &str, config: &M) -> AccessLog {
    AccessLog {
        name: name.to_owned(),
        filter: None,
        config_type: Some(access_log::ConfigType::TypedConfig(pack(config))),
    }
}

fn file_log(path: &str, format: Option<Format>) -> AccessLog {
    let format = format.map(|format| AccessLogFormat::LogFormat(format.into_message()));
    log(FILE, &FileAccessLog { path: path.to_owned(), access_log_format: format })
}

/// The mesh's format.
fn of_settings(config: &MeshConfig) -> Format {
    let written = &config.access_log_format;
    match config.access_log_encoding {
        AccessLogEncoding::Text => Format::text(written),
        AccessLogEncoding::Json => match Json::parse(written) {
            Some(Json::Map(labels)) => Format::of_labels(&labels),
            Some(_) | None => Format::labels(&BTreeMap::new()),
        },
    }
}

/// The format of a file; `None` where it is present but says nothing.
fn of_file(file: &FileAccessLogProvider) -> Option<Format> {
    let format = match &file.log_format {
        None => Format::text(""),
        Some(LogFormat::Text(text)) => Format::text(text),
        Some(LogFormat::Labels(labels)) => Format::labels(labels),
        Some(LogFormat::Unset) => return None,
    };
    Some(format.omitting_empty_values(file.omit_empty_values))
}

fn common<'t>(
    log_name: &str,
    service: GrpcService,
    states: impl IntoIterator<Item = &'t &'t str>,
) -> CommonGrpcAccessLogConfig {
    CommonGrpcAccessLogConfig {
        log_name: log_name.to_owned(),
        grpc_service: Some(service),
        transport_api_version: ApiVersion::V3.into(),
        filter_state_objects_to_log: states.into_iter().map(|text| (*text).to_owned()).collect(),
        ..CommonGrpcAccessLogConfig::default()
    }
}

fn or<'t>(text: &'t str, default: &'t str) -> &'t str {
    if text.is_empty() { default } else { text }
}

fn states(named: &[Box<str>]) -> Vec<&str> {
    if named.is_empty() { PEERS.to_vec() } else { named.iter().map(AsRef::as_ref).collect() }
}

fn texts(list: &[Box<str>]) -> Vec<String> {
    list.iter().map(ToString::to_string).collect()
}

fn http_log(plane: &ControlPlane, http: &HttpAlsProvider) -> Option<AccessLog> {
    let service = Backend::find(plane, &http.service, http.port)?.grpc();
    let states = states(&http.filter_state_objects_to_log);
    Some(log(
        HTTP_GRPC,
        &HttpGrpcAccessLogConfig {
            common_config: Some(common(or(&http.log_name, HTTP_LOG), service, &states)),
            additional_request_headers_to_log: texts(&http.additional_request_headers_to_log),
            additional_response_headers_to_log: texts(&http.additional_response_headers_to_log),
            additional_response_trailers_to_log: texts(&http.additional_response_trailers_to_log),
        },
    ))
}

fn tcp_log(plane: &ControlPlane, tcp: &TcpAlsProvider) -> Option<AccessLog> {
    let service = Backend::find(plane, &tcp.service, tcp.port)?.grpc();
    let states = states(&tcp.filter_state_objects_to_log);
    Some(log(TCP_GRPC, &tcp_config(common(or(&tcp.log_name, TCP_LOG), service, &states))))
}

fn tcp_config(common: CommonGrpcAccessLogConfig) -> TcpGrpcAccessLogConfig {
    TcpGrpcAccessLogConfig { common_config: Some(common) }
}

fn otel_log(plane: &ControlPlane, otel: &OtelAlsProvider) -> Option<AccessLog> {
    let service = Backend::find(plane, &otel.service, otel.port)?.grpc();
    let written = otel.log_format.as_ref();
    let text = or(written.map_or("", |format| &format.text), format::TEXT);
    let none = BTreeMap::new();
    let labels = written.map_or(&none, |format| &format.labels);
    let values = labels.iter().map(|(key, value)| KeyValue {
        key: key.to_string(),
        value: Some(any(value.as_str().unwrap_or_default())),
        ..KeyValue::default()
    });
    let formatters: Vec<TypedExtensionConfig> =
        format::formatters(std::iter::once(text).chain(labels.values().filter_map(Json::as_str)));
    Some(log(
        OPEN_TELEMETRY,
        &OpenTelemetryAccessLogConfig {
            common_config: Some(common(
                or(&otel.log_name, OTEL_LOG),
                service,
                PEERS.iter().chain(&OLD_PEERS),
            )),
            disable_builtin_labels: true,
            body: Some(any(text)),
            attributes: (!labels.is_empty()).then(|| KeyValueList { values: values.collect() }),
            formatters,
            ..OpenTelemetryAccessLogConfig::default()
        },
    ))
}

fn any(text: &str) -> AnyValue {
    AnyValue { value: Some(any_value::Value::StringValue(text.to_owned())) }
}
