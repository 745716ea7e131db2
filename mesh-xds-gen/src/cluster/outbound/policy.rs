//! Limits, outlier detection and load balancing of outbound clusters.
use mesh_envoy_proto::envoy::config::cluster::v3::Cluster;
use mesh_lb::assign::EffectiveSetting;
use mesh_model::view::Destination;

use super::super::context::Context;
use super::super::http::{self, HttpOptions};
use super::super::{connection_pool, load_balancer, locality, outlier, wire};
use super::Outbound;

impl Outbound<'_, '_> {
    /// Limits and outlier detection.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/networking/core/cluster_traffic_policy.go` `applyTrafficPolicy`.
    pub(super) fn apply_limits(
        &self,
        destination: &Destination<'_>,
        cluster: &mut Cluster,
        options: &mut HttpOptions,
    ) {
        let config = self.context.config;
        let policy = destination.cluster_policy.as_deref();
        let pool = policy.and_then(|policy| policy.connection_pool.as_ref());
        if http::upgrades(pool, destination.port.protocol, config.h2_upgrade_policy) {
            options.upgrade();
        }
        let budget = policy.and_then(|policy| policy.retry_budget.as_ref());
        connection_pool::apply(cluster, pool, budget, config);
        options.apply_pool(pool);
        if let Some(rule) = policy.and_then(|policy| policy.outlier_detection.as_ref()) {
            cluster.outlier_detection = Some(outlier::detection(rule));
            options.apply_error_codes(&rule.outlier_detection_http_error_codes);
        }
    }

    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/networking/core/cluster_traffic_policy.go` `applyLoadBalancer`.
    pub(super) fn apply_load_balancing(
        &self,
        destination: &Destination<'_>,
        cluster: &mut Cluster,
    ) {
        let Context { config, flags, proxy, .. } = self.context;
        let Destination { service, port, cluster_policy, .. } = destination;
        let policy = cluster_policy.as_deref();
        let rule = policy.and_then(|policy| policy.outlier_detection.as_ref());
        let settings = policy.and_then(|policy| policy.load_balancer.as_ref());
        let distribution = service.traffic_distribution;
        let setting = EffectiveSetting::new(
            settings,
            distribution,
            config.zone_aware_lb_setting.as_ref(),
            Some(&config.locality_lb_setting),
        );
        let common = cluster.common_lb_config.get_or_insert_default();
        common.healthy_panic_threshold =
            outlier::healthy_panic_threshold(rule, distribution, flags).map(wire::percent);
        common.locality_config_specifier =
            locality::specifier(setting, rule.is_some(), proxy.kind, flags);
        load_balancer::apply(cluster, settings, port.protocol, flags);
    }
}
