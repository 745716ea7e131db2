//! What a proxy tells of its traffic: statistics, access logs, traces.
//!
//! ```text
//! Telemetry of root namespace, own namespace, workload ──▶ objects ─┬─▶ metrics ─▶ istio.stats
//! MeshConfig: defaultProviders, extensionProviders ─────────────────┼─▶ access_log ─▶ logger
//!             accessLogFile, enableTracing, defaultConfig ──────────┴─▶ tracing ─▶ tracer, tags
//! ```
//!
//! # Upstream
//!
//! istio/istio `pilot/pkg/model/telemetry.go`, `telemetry_logging.go`;
//! `pilot/pkg/networking/core/accesslog.go`, `tracing.go`.
mod access_log;
mod format;
mod logger;
pub mod metrics;
mod objects;
mod provider;
mod tags;
mod tracer;
mod tracing;

use mesh_envoy_proto::envoy::config::accesslog::v3::AccessLog;
use mesh_envoy_proto::envoy::config::listener::v3::Filter;
use mesh_envoy_proto::envoy::extensions::filters::network::http_connection_manager::v3::HttpFilter;
use mesh_envoy_proto::envoy::extensions::filters::network::http_connection_manager::v3::http_connection_manager::Tracing;
use mesh_model::resource::mesh_config::ProxyConfig;
use mesh_model::resource::telemetry::WorkloadMode;
use mesh_model::view::ProxyView;

use self::objects::Objects;

/// Which traffic of a proxy is meant.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[expect(clippy::exhaustive_enums, reason = "every listener has one of these classes")]
pub enum Class {
    /// What a sidecar's workload receives.
    Inbound,
    /// What a sidecar's workload sends.
    Outbound,
    /// What passes a gateway.
    Gateway,
}

impl Class {
    /// The side that Telemetry objects know the class as.
    const fn mode(self) -> WorkloadMode {
        match self {
            Self::Inbound => WorkloadMode::Server,
            Self::Outbound | Self::Gateway => WorkloadMode::Client,
        }
    }
}

/// Whether what is said of a side concerns a class.
fn fits(said: Option<WorkloadMode>, class: Class) -> bool {
    said.is_none_or(|mode| mode == WorkloadMode::ClientAndServer || mode == class.mode())
}

/// Everything that listeners of one class need.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Signals {
    /// The filters of statistics among filters of requests.
    pub(crate) http_stats: Vec<HttpFilter>,
    /// The filters of statistics among filters of connections.
    pub(crate) tcp_stats: Vec<Filter>,
    /// The logs of requests.
    pub(crate) http_logs: Vec<AccessLog>,
    /// The logs of connections.
    pub(crate) tcp_logs: Vec<AccessLog>,
    /// The logs of connections that no filter chain takes.
    pub(crate) listener_logs: Vec<AccessLog>,
    /// How requests are traced; `None`: not at all.
    pub(crate) tracing: Option<Tracing>,
    /// Whether the id of a request tells whether it is traced.
    pub(crate) samples_by_id: bool,
}

impl Signals {
    /// What a proxy with these settings tells of a class.
    pub(crate) fn of(view: &ProxyView<'_>, settings: &ProxyConfig, class: Class) -> Self {
        let objects = Objects::of(view);
        let stats = provider::stats(view, &objects, class);
        let logs = |place| access_log::access_logs(view, &objects, class, place);
        let traced = tracing::tracing(view, &objects, settings, class);
        Self {
            http_stats: stats.iter().map(metrics::http_filter).collect(),
            tcp_stats: stats.iter().map(metrics::tcp_filter).collect(),
            http_logs: logs(access_log::Place::Requests),
            tcp_logs: logs(access_log::Place::Connections),
            listener_logs: logs(access_log::Place::Listener),
            tracing: traced.tracing,
            samples_by_id: traced.samples_by_id,
        }
    }
}
