//! How a cluster spreads traffic: what istiod makes of a destination's rules.
use mesh_model::compat::Compat;
use mesh_model::resource::destination_rule::{LbPolicy, SimpleLb};
use mesh_model::view::{Destination, ProxyView};

use crate::assign::{Discovery, EffectiveSetting, sends_by_key, supports_unhealthy_endpoints};
use crate::load::{DataPlane, OnPanic, Overprovisioning, PanicThreshold};

/// How a cluster spreads traffic over its assignment.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "callers set single fields over the default")]
pub struct Spread {
    /// The program that spreads.
    pub data_plane: DataPlane,
    /// Below which health a priority uses all of its hosts.
    pub panic_threshold: PanicThreshold,
    /// Whether localities of a priority share by their weights instead of by their hosts.
    pub locality_weighted: bool,
    /// Whether the weight of a locality falls with its health, and counts for nothing in panic. On rings
    /// and Maglev's tables it stands: balancers of these look at it no more than Envoy does, and the
    /// [spread in force](crate::BalancerPolicy::spread_in_force) says no here.
    pub health_weighted: bool,
    /// Whether endpoints share by their weights (RANDOM ignores them).
    pub host_weighted: bool,
    /// Whether of several hosts with one address only the first is there, as in Envoy's EDS clusters;
    /// clusters that DNS resolves have them all.
    pub one_host_an_address: bool,
    /// How much more than its share a host carries.
    pub overprovisioning: Overprovisioning,
    /// Whether a priority is as healthy as its hosts weigh, instead of as many as they are; of Envoy. It
    /// changes neither panic nor the weights of localities. No istiod sets it.
    pub weighted_priority_health: bool,
    /// What becomes of requests to a priority in panic. Balancers of ring hash and Maglev send them
    /// whatever this says; whoever asks for the shares of one takes the
    /// [spread in force](crate::BalancerPolicy::spread_in_force). No istiod sets it.
    pub on_panic: OnPanic,
}

impl Default for Spread {
    /// Envoy as istiod configures it without any rule: panic off.
    fn default() -> Self {
        Self {
            data_plane: DataPlane::Envoy,
            panic_threshold: PanicThreshold::OFF,
            locality_weighted: false,
            health_weighted: true,
            host_weighted: true,
            one_host_an_address: true,
            overprovisioning: Overprovisioning::default(),
            weighted_priority_health: false,
            on_panic: OnPanic::Send,
        }
    }
}

impl Spread {
    /// What istiod configures for a destination.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/networking/core/cluster_traffic_policy.go` `applyLoadBalancer`,
    /// `applyOutlierDetection`; `loadbalancer/loadbalancer.go` `ApplyToCluster`.
    pub fn of(view: &ProxyView<'_>, destination: &Destination<'_>) -> Self {
        let compat = view.mesh().compat();
        let policy = destination.cluster_policy.as_deref();
        let load_balancer = policy.and_then(|policy| policy.load_balancer.as_ref());
        let outlier_detection = policy.and_then(|policy| policy.outlier_detection.as_ref());
        let distribution = destination.service.traffic_distribution;
        let config = &view.plane().config;
        let setting = EffectiveSetting::new(
            load_balancer,
            distribution,
            config.zone_aware_lb_setting.as_ref(),
            Some(&config.locality_lb_setting),
        );
        let algorithm = load_balancer.and_then(|settings| settings.policy.as_ref());
        let is_sharded = sends_by_key(view, destination);
        let is_random = matches!(algorithm, Some(LbPolicy::Simple(SimpleLb::Random)));
        let is_hashed = matches!(algorithm, Some(LbPolicy::ConsistentHash(_)));
        let percent = outlier_detection.map(|block| block.min_health_percent);
        let fails_over = outlier_detection.is_some() || setting.forces_failover();
        match view.proxy().data_plane {
            DataPlane::Grpc => return Self::of_grpc(algorithm),
            DataPlane::Ztunnel => return Self::of_ztunnel(),
            DataPlane::IstioProxy | DataPlane::Envoy => {}
        }
        Self {
            data_plane: view.proxy().data_plane,
            panic_threshold: panic_threshold(compat, distribution, percent),
            locality_weighted: is_locality_weighted(compat, setting, fails_over),
            health_weighted: !is_hashed && !is_sharded,
            host_weighted: !is_random || is_sharded,
            one_host_an_address: Discovery::of(view, destination) == Discovery::Eds,
            overprovisioning: Overprovisioning::default(),
            weighted_priority_health: false,
            on_panic: OnPanic::Send,
        }
    }

    /// A ztunnel draws by the weights of workloads; no rule of a destination's says anything to it.
    fn of_ztunnel() -> Self {
        Self { data_plane: DataPlane::Ztunnel, ..Self::default() }
    }

    /// What a gRPC client makes of a policy: localities by weight, unless it is least request, which
    /// looks at the whole priority; weights of endpoints only on a ring. There is no panic, and the
    /// weight of a locality stands as long as one of its endpoints is ready.
    fn of_grpc(algorithm: Option<&LbPolicy>) -> Self {
        let least = [SimpleLb::LeastRequest, SimpleLb::LeastConn];
        let is_least =
            matches!(algorithm, Some(LbPolicy::Simple(simple)) if least.contains(simple));
        Self {
            data_plane: DataPlane::Grpc,
            panic_threshold: PanicThreshold::OFF,
            locality_weighted: !is_least,
            health_weighted: true,
            host_weighted: matches!(algorithm, Some(LbPolicy::ConsistentHash(_))),
            one_host_an_address: false,
            overprovisioning: Overprovisioning::new(u32::MAX).unwrap_or_default(),
            weighted_priority_health: false,
            on_panic: OnPanic::Send,
        }
    }
}

/// `minHealthPercent`, where there is outlier detection and unhealthy endpoints are not forced; without
/// it off where unhealthy endpoints are sent, else Envoy's default.
fn panic_threshold(
    compat: &Compat,
    distribution: mesh_model::registry::TrafficDistribution,
    min_health_percent: Option<i32>,
) -> PanicThreshold {
    let sends = |percent| supports_unhealthy_endpoints(&compat.flags, distribution, percent);
    match min_health_percent {
        Some(percent) => {
            let percent = u32::try_from(percent).unwrap_or_default();
            // Where unhealthy endpoints are sent whatever is asked, panic stays off.
            if sends(i32::MAX) { PanicThreshold::OFF } else { PanicThreshold::new(percent) }
        }
        None if sends(0) => PanicThreshold::OFF,
        None => PanicThreshold::default(),
    }
}

fn is_locality_weighted(compat: &Compat, setting: EffectiveSetting<'_>, fails_over: bool) -> bool {
    if compat.flags.enable_locality_weighted_lb_config {
        return !matches!(setting, EffectiveSetting::ZoneAware(_));
    }
    match setting {
        EffectiveSetting::None | EffectiveSetting::ZoneAware(_) => false,
        EffectiveSetting::Distribution(_) => true,
        EffectiveSetting::Locality(setting) => {
            let orders = !setting.failover.is_empty() || !setting.failover_priority.is_empty();
            !setting.distribute.is_empty() || (fails_over && orders)
        }
    }
}
