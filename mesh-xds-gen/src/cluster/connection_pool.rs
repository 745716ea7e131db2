//! How many connections and requests there may be, and how connections are made.
use mesh_envoy_proto::envoy::config::cluster::v3::circuit_breakers::Thresholds;
use mesh_envoy_proto::envoy::config::cluster::v3::circuit_breakers::thresholds::RetryBudget as Budget;
use mesh_envoy_proto::envoy::config::cluster::v3::{
    CircuitBreakers, Cluster, UpstreamConnectionOptions,
};
use mesh_envoy_proto::envoy::config::core::v3;
use mesh_model::name::Duration;
use mesh_model::resource::MeshConfig;
use mesh_model::resource::destination_rule::{ConnectionPoolSettings, RetryBudget, TcpKeepalive};

use super::wire;

/// Gives a cluster its limits, the time that connecting may take, and TCP keepalive.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/networking/core/cluster_traffic_policy.go` `applyConnectionPool`, of which
/// the HTTP options are in [`http`](super::http).
pub(super) fn apply(
    cluster: &mut Cluster,
    pool: Option<&ConnectionPoolSettings>,
    budget: Option<&RetryBudget>,
    config: &MeshConfig,
) {
    cluster.connect_timeout = connect_timeout(pool, config).map(wire::duration);
    cluster.upstream_connection_options = keepalive(pool, config);
    let thresholds = thresholds(pool, budget);
    cluster.circuit_breakers =
        Some(CircuitBreakers { thresholds: vec![thresholds], per_host_thresholds: Vec::new() });
}

/// Returns the limits: all that there can be (2^32 - 1), where the policy sets none above 0.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/networking/core/cluster_traffic_policy.go`
/// `getDefaultCircuitBreakerThresholds`, `applyRetryBudget`.
pub fn thresholds(
    pool: Option<&ConnectionPoolSettings>,
    budget: Option<&RetryBudget>,
) -> Thresholds {
    let tcp = pool.and_then(|pool| pool.tcp.as_ref());
    let http = pool.and_then(|pool| pool.http.as_ref());
    let or_most = |number: Option<i32>| Some(number.and_then(positive).unwrap_or(u32::MAX));
    Thresholds {
        max_connections: or_most(tcp.map(|tcp| tcp.max_connections)),
        max_pending_requests: or_most(http.map(|http| http.http1_max_pending_requests)),
        max_requests: or_most(http.map(|http| http.http2_max_requests)),
        max_retries: or_most(http.map(|http| http.max_retries)),
        retry_budget: budget.map(retry_budget),
        ..Thresholds::default()
    }
}

/// A number that counts: 0 is the same as none.
pub(super) fn positive(number: i32) -> Option<u32> {
    u32::try_from(number).ok().filter(|&number| number > 0)
}

fn retry_budget(budget: &RetryBudget) -> Budget {
    let at_least = Some(budget.min_retry_concurrency).filter(|&number| number > 0);
    Budget {
        budget_percent: Some(wire::percent(budget.percent.unwrap_or(20.0))),
        budget_interval: budget.budget_interval.map(wire::duration),
        min_retry_concurrency: Some(at_least.unwrap_or(3)),
    }
}

/// Returns how long connecting may take: as the policy says, else as the mesh does.
pub fn connect_timeout(
    pool: Option<&ConnectionPoolSettings>,
    config: &MeshConfig,
) -> Option<Duration> {
    let tcp = pool.and_then(|pool| pool.tcp.as_ref());
    tcp.and_then(|tcp| tcp.connect_timeout).or(config.connect_timeout)
}

/// Keepalive of the mesh, and over it, field by field, that of the policy. An empty block turns it
/// on with the defaults of the operating system.
fn keepalive(
    pool: Option<&ConnectionPoolSettings>,
    config: &MeshConfig,
) -> Option<UpstreamConnectionOptions> {
    let own = pool.and_then(|pool| pool.tcp.as_ref()).and_then(|tcp| tcp.tcp_keepalive.as_ref());
    let given = [config.tcp_keepalive.as_ref(), own];
    let keepalive =
        given.into_iter().flatten().map(wire_keepalive).reduce(|mesh, own| v3::TcpKeepalive {
            keepalive_probes: own.keepalive_probes.or(mesh.keepalive_probes),
            keepalive_time: own.keepalive_time.or(mesh.keepalive_time),
            keepalive_interval: own.keepalive_interval.or(mesh.keepalive_interval),
        })?;
    Some(UpstreamConnectionOptions { tcp_keepalive: Some(keepalive), ..<_>::default() })
}

fn wire_keepalive(keepalive: &TcpKeepalive) -> v3::TcpKeepalive {
    let seconds = |time: Duration| u32::try_from(time.as_secs()).unwrap_or_default();
    v3::TcpKeepalive {
        keepalive_probes: Some(keepalive.probes).filter(|&probes| probes > 0),
        keepalive_time: keepalive.time.map(seconds),
        keepalive_interval: keepalive.interval.map(seconds),
    }
}
