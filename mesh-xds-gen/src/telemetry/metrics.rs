//! Statistics: the filter `istio.stats` and what Telemetry objects change of its metrics.
//!
//! # Upstream
//!
//! istio/istio `pilot/pkg/model/telemetry.go` `mergeMetrics`, `generateStatsConfig`.
use std::collections::{BTreeMap, BTreeSet};

use mesh_envoy_proto::envoy::config::listener::v3::{self as listener, Filter};
use mesh_envoy_proto::envoy::extensions::filters::network::http_connection_manager::v3 as hcm;
use mesh_envoy_proto::pack;
use mesh_envoy_proto::prost_types;
use mesh_envoy_proto::stats::{MetricConfig, PluginConfig};
use mesh_model::name::Duration;
use mesh_model::resource::telemetry::{
    IstioMetric, MetricMatch, MetricSelector, Metrics, MetricsOverrides, ProviderRef, TagOperation,
    TagOverride, WorkloadMode,
};

use super::Class;

const NAME: &str = "istio.stats";

/// Istio's metrics, as objects call them (sorted) and as they are reported.
const METRICS: [(&str, &str); 10] = [
    ("GRPC_REQUEST_MESSAGES", "request_messages_total"),
    ("GRPC_RESPONSE_MESSAGES", "response_messages_total"),
    ("REQUEST_COUNT", "requests_total"),
    ("REQUEST_DURATION", "request_duration_milliseconds"),
    ("REQUEST_SIZE", "request_bytes"),
    ("RESPONSE_SIZE", "response_bytes"),
    ("TCP_CLOSED_CONNECTIONS", "tcp_connections_closed_total"),
    ("TCP_OPENED_CONNECTIONS", "tcp_connections_opened_total"),
    ("TCP_RECEIVED_BYTES", "tcp_received_bytes_total"),
    ("TCP_SENT_BYTES", "tcp_sent_bytes_total"),
];

/// Returns the settings of the filter of statistics for a class, by the name of the provider.
///
/// `entries` are the `metrics` of the objects in their order, `defaults` the mesh's default
/// providers. Whether a provider is one of metrics is left to the caller.
pub fn stats(
    entries: &[&Metrics],
    defaults: &[Box<str>],
    class: Class,
) -> BTreeMap<Box<str>, PluginConfig> {
    let mut found: BTreeMap<&str, Provider<'_>> = BTreeMap::new();
    if entries.is_empty() {
        found.extend(defaults.iter().map(|name| (&**name, Provider::default())));
    }
    let defaults: Vec<&str> = defaults.iter().map(AsRef::as_ref).collect();
    let named = entries.iter().rev().map(|entry| names(&entry.providers));
    let in_scope: BTreeSet<&str> = named
        .into_iter()
        .find(|names| !names.is_empty())
        .unwrap_or_else(|| defaults.clone())
        .into_iter()
        .collect();
    let mut inherited = defaults;
    for entry in entries {
        let own = names(&entry.providers);
        if !own.is_empty() {
            inherited = own;
        }
        for name in inherited.iter().filter(|name| in_scope.contains(*name)) {
            found.entry(name).or_default().apply(entry);
        }
    }
    let settings = found.into_iter();
    settings.filter_map(|(name, found)| Some((name.into(), found.config(class)?))).collect()
}

fn names(providers: &[ProviderRef]) -> Vec<&str> {
    providers.iter().map(|provider| &*provider.name).collect()
}

/// The filter of statistics among filters of requests.
pub(super) fn http_filter(config: &PluginConfig) -> hcm::HttpFilter {
    hcm::HttpFilter {
        name: NAME.to_owned(),
        config_type: Some(hcm::http_filter::ConfigType::TypedConfig(pack(config))),
        ..hcm::HttpFilter::default()
    }
}

/// The filter of statistics among filters of connections.
pub(super) fn tcp_filter(config: &PluginConfig) -> Filter {
    let config = listener::filter::ConfigType::TypedConfig(pack(config));
    Filter { name: NAME.to_owned(), config_type: Some(config) }
}

/// What the entries say of one provider.
#[derive(Clone, Debug, Default)]
struct Provider<'e> {
    reporting_interval: Option<Duration>,
    client: Side<'e>,
    server: Side<'e>,
}

/// What they say of one side.
#[derive(Clone, Debug, Default)]
struct Side<'e> {
    is_off: bool,
    /// By the name that objects use.
    metrics: BTreeMap<&'e str, Changes<'e>>,
}

/// What they change of one metric.
#[derive(Clone, Debug, Default)]
struct Changes<'e> {
    is_disabled: bool,
    tags: BTreeMap<&'e str, &'e TagOverride>,
}

impl<'e> Provider<'e> {
    fn apply(&mut self, entry: &'e Metrics) {
        self.reporting_interval = entry.reporting_interval.or(self.reporting_interval);
        for change in &entry.overrides {
            let mode = change.selector.as_ref().map(|selector| selector.mode).unwrap_or_default();
            if mode != WorkloadMode::Server {
                self.client.apply(change);
            }
            if mode != WorkloadMode::Client {
                self.server.apply(change);
            }
        }
    }

    /// The settings for a class; `None`: no filter.
    fn config(self, class: Class) -> Option<PluginConfig> {
        let side = if class == Class::Inbound { self.server } else { self.client };
        (!side.is_off).then(|| PluginConfig {
            disable_host_header_fallback: class != Class::Outbound,
            tcp_reporting_duration: self.reporting_interval.map(|interval| prost_types::Duration {
                seconds: interval.as_secs(),
                nanos: interval.subsec_nanos(),
            }),
            metrics: side.metrics.into_iter().map(|(name, changes)| changes.config(name)).collect(),
            ..PluginConfig::default()
        })
    }
}

impl<'e> Side<'e> {
    fn apply(&mut self, change: &'e MetricsOverrides) {
        let metrics = selected(change.selector.as_ref());
        if metrics.is_none() && change.disabled == Some(true) {
            self.is_off = true;
            return;
        }
        self.is_off = false;
        match metrics {
            Some(name) => self.change(name, change),
            None => METRICS.iter().for_each(|(name, _)| self.change(name, change)),
        }
    }

    fn change(&mut self, name: &'e str, change: &'e MetricsOverrides) {
        let changes = self.metrics.entry(name).or_default();
        changes.is_disabled = change.disabled.unwrap_or(changes.is_disabled);
        changes.tags.extend(change.tag_overrides.iter().map(|(tag, value)| (&**tag, value)));
    }
}

impl Changes<'_> {
    fn config(self, name: &str) -> MetricConfig {
        let known = METRICS.iter().find(|(known, _)| *known == name);
        let (removed, set): (Vec<_>, Vec<_>) =
            self.tags.into_iter().partition(|(_, tag)| tag.operation == TagOperation::Remove);
        let set = set.into_iter().map(|(name, tag)| (name.to_owned(), tag.value.to_string()));
        MetricConfig {
            name: known.map_or(name, |(_, reported)| *reported).to_owned(),
            dimensions: set.collect(),
            tags_to_remove: removed.into_iter().map(|(name, _)| name.to_owned()).collect(),
            drop: self.is_disabled,
            ..MetricConfig::default()
        }
    }
}

/// The only metric that is meant; `None`: all of Istio's.
fn selected(selector: Option<&MetricSelector>) -> Option<&str> {
    match selector?.metric.as_ref()? {
        MetricMatch::CustomMetric(name) => Some(name),
        MetricMatch::Metric(metric) => name(*metric),
    }
}

const fn name(metric: IstioMetric) -> Option<&'static str> {
    Some(match metric {
        IstioMetric::AllMetrics => return None,
        IstioMetric::RequestCount => "REQUEST_COUNT",
        IstioMetric::RequestDuration => "REQUEST_DURATION",
        IstioMetric::RequestSize => "REQUEST_SIZE",
        IstioMetric::ResponseSize => "RESPONSE_SIZE",
        IstioMetric::TcpOpenedConnections => "TCP_OPENED_CONNECTIONS",
        IstioMetric::TcpClosedConnections => "TCP_CLOSED_CONNECTIONS",
        IstioMetric::TcpSentBytes => "TCP_SENT_BYTES",
        IstioMetric::TcpReceivedBytes => "TCP_RECEIVED_BYTES",
        IstioMetric::GrpcRequestMessages => "GRPC_REQUEST_MESSAGES",
        IstioMetric::GrpcResponseMessages => "GRPC_RESPONSE_MESSAGES",
    })
}
