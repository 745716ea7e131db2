//! Parts of clusters as the cases write them: only what is set.
use mesh_envoy_proto::envoy::config::cluster::v3::OutlierDetection;
use mesh_envoy_proto::envoy::config::cluster::v3::circuit_breakers::Thresholds;
use mesh_envoy_proto::envoy::config::cluster::v3::cluster::SlowStartConfig;
use mesh_envoy_proto::envoy::config::cluster::v3::cluster::common_lb_config::ZoneAwareLbConfig;
use mesh_envoy_proto::envoy::config::core::v3::HttpProtocolOptions;
use mesh_envoy_proto::prost_types;
use mesh_model::name::Duration;
use serde_json::{Map, Value, json};

fn set<const N: usize>(fields: [(&str, Value); N]) -> Value {
    let fields = fields.into_iter().filter(|(_, value)| !value.is_null());
    fields.map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>().into()
}

fn duration(duration: Option<prost_types::Duration>) -> Value {
    let text = duration.map(|duration| {
        let nanos = duration.seconds.saturating_mul(1_000_000_000);
        Duration::from_nanos(nanos.saturating_add(i64::from(duration.nanos))).to_string()
    });
    json!(text)
}

pub(super) fn slow_start(slow: &SlowStartConfig) -> Value {
    set([
        ("window", duration(slow.slow_start_window)),
        ("aggression", json!(slow.aggression.as_ref().map(|double| double.default_value))),
        ("min_weight_percent", json!(slow.min_weight_percent.map(|percent| percent.value))),
    ])
}

pub(super) fn outliers(outlier: &OutlierDetection) -> Value {
    let splits = outlier.split_external_local_origin_errors;
    set([
        ("consecutive_5xx", json!(outlier.consecutive_5xx)),
        ("enforcing_consecutive_5xx", json!(outlier.enforcing_consecutive_5xx)),
        ("consecutive_gateway_failure", json!(outlier.consecutive_gateway_failure)),
        (
            "enforcing_consecutive_gateway_failure",
            json!(outlier.enforcing_consecutive_gateway_failure),
        ),
        ("enforcing_success_rate", json!(outlier.enforcing_success_rate)),
        ("split_external_local_origin_errors", json!(splits.then_some(true))),
        ("consecutive_local_origin_failure", json!(outlier.consecutive_local_origin_failure)),
        (
            "enforcing_consecutive_local_origin_failure",
            json!(outlier.enforcing_consecutive_local_origin_failure),
        ),
        ("enforcing_local_origin_success_rate", json!(outlier.enforcing_local_origin_success_rate)),
        ("interval", duration(outlier.interval)),
        ("base_ejection_time", duration(outlier.base_ejection_time)),
        ("max_ejection_percent", json!(outlier.max_ejection_percent)),
    ])
}

pub(super) fn pool(
    thresholds: &Thresholds,
    connect_timeout: Option<Duration>,
    common: &HttpProtocolOptions,
) -> Value {
    let budget = thresholds.retry_budget.as_ref().map(|budget| {
        set([
            ("budget_percent", json!(budget.budget_percent.map(|percent| percent.value))),
            ("budget_interval", duration(budget.budget_interval)),
            ("min_retry_concurrency", json!(budget.min_retry_concurrency)),
        ])
    });
    set([
        ("max_connections", json!(thresholds.max_connections)),
        ("max_pending_requests", json!(thresholds.max_pending_requests)),
        ("max_requests", json!(thresholds.max_requests)),
        ("max_retries", json!(thresholds.max_retries)),
        ("track_remaining", json!(thresholds.track_remaining)),
        ("retry_budget", json!(budget)),
        ("connect_timeout", json!(connect_timeout.map(|timeout| timeout.to_string()))),
        ("idle_timeout", duration(common.idle_timeout)),
        ("max_requests_per_connection", json!(common.max_requests_per_connection)),
        ("max_connection_duration", duration(common.max_connection_duration)),
    ])
}

pub(super) fn zone_aware(config: &ZoneAwareLbConfig) -> Value {
    set([
        ("routing_enabled_percent", json!(config.routing_enabled.map(|percent| percent.value))),
        ("min_cluster_size", json!(config.min_cluster_size)),
    ])
}
