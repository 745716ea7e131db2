//! Whether localities have weights, or zones count.
use mesh_envoy_proto::envoy::config::cluster::v3::cluster::common_lb_config::{
    LocalityConfigSpecifier, LocalityWeightedLbConfig, ZoneAwareLbConfig,
};
use mesh_lb::assign::EffectiveSetting;
use mesh_model::compat::Flags;
use mesh_model::resource::destination_rule::ZoneAwareLbSetting;
use mesh_model::view::ProxyKind;

use super::wire;

/// Returns what a cluster says of localities.
///
/// Priorities alone do not need it: the mesh's default setting together with outlier detection
/// assigns priorities and has no weights.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/networking/core/loadbalancer/loadbalancer.go` `ApplyToCluster`.
pub fn specifier(
    setting: EffectiveSetting<'_>,
    has_outlier_detection: bool,
    kind: ProxyKind,
    flags: &Flags,
) -> Option<LocalityConfigSpecifier> {
    let fails_over = has_outlier_detection || setting.forces_failover();
    let is_weighted = match setting {
        EffectiveSetting::ZoneAware(zones) if kind != ProxyKind::Waypoint => {
            return Some(LocalityConfigSpecifier::ZoneAwareLbConfig(zone_aware(zones)));
        }
        EffectiveSetting::None | EffectiveSetting::ZoneAware(_) => false,
        EffectiveSetting::Distribution(_) => true,
        EffectiveSetting::Locality(locality) => {
            let ranks = !locality.failover.is_empty() || !locality.failover_priority.is_empty();
            !locality.distribute.is_empty() || (fails_over && ranks)
        }
    };
    let weighted = LocalityConfigSpecifier::LocalityWeightedLbConfig(LocalityWeightedLbConfig {});
    (is_weighted || flags.enable_locality_weighted_lb_config).then_some(weighted)
}

fn zone_aware(setting: &ZoneAwareLbSetting) -> ZoneAwareLbConfig {
    let is_off = setting.enabled == Some(false);
    ZoneAwareLbConfig {
        routing_enabled: is_off.then(|| wire::percent(0.0)),
        min_cluster_size: setting.min_cluster_size.map(u64::from),
        fail_traffic_on_panic: false,
    }
}
