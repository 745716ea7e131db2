//! Which endpoint is taken.
use mesh_envoy_proto::envoy::config::cluster::v3::Cluster;
use mesh_envoy_proto::envoy::config::cluster::v3::cluster::{
    DiscoveryType, LbConfig, LbPolicy, LeastRequestLbConfig, MaglevLbConfig, RingHashLbConfig,
    RoundRobinLbConfig, SlowStartConfig,
};
use mesh_envoy_proto::envoy::config::core::v3::RuntimeDouble;
pub(crate) use mesh_lb::assign::is_passthrough;
use mesh_lb::assign::is_sharded;
use mesh_model::compat::Flags;
use mesh_model::name::Protocol;
use mesh_model::resource::destination_rule::{
    self as rule, ConsistentHashLb, HashAlgorithm, LoadBalancerSettings, SimpleLb,
    WarmupConfiguration,
};

use super::{discovery, wire};

/// The size of a ring of which the rule says nothing.
const RING_SIZE: u64 = 1024;

/// Gives a cluster of known discovery type its policy. `simple: PASSTHROUGH` turns it into one of
/// original destinations and takes its endpoints away.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/networking/core/cluster_traffic_policy.go` `applyLoadBalancer`,
/// `ApplyRingHashLoadBalancer`.
pub fn apply(
    cluster: &mut Cluster,
    settings: Option<&LoadBalancerSettings>,
    protocol: Protocol,
    flags: &Flags,
) {
    if discovery::of_cluster(cluster) == Some(DiscoveryType::OriginalDst) {
        cluster.lb_policy = LbPolicy::ClusterProvided.into();
        return;
    }
    if is_sharded(flags, protocol) {
        cluster.lb_policy = LbPolicy::Maglev.into();
        return;
    }
    let (policy, config) = match settings.and_then(|settings| settings.policy.as_ref()) {
        Some(rule::LbPolicy::ConsistentHash(hash)) => consistent_hash(hash),
        Some(rule::LbPolicy::Simple(simple)) => of_simple(*simple, settings),
        Some(rule::LbPolicy::BackendUtilization(_)) | None => {
            of_simple(SimpleLb::Unspecified, settings)
        }
    };
    cluster.lb_policy = policy.into();
    cluster.lb_config = config;
    if policy == LbPolicy::ClusterProvided {
        cluster.cluster_discovery_type = discovery::kind(DiscoveryType::OriginalDst);
        cluster.load_assignment = None;
    }
}

fn of_simple(
    simple: SimpleLb,
    settings: Option<&LoadBalancerSettings>,
) -> (LbPolicy, Option<LbConfig>) {
    match simple {
        SimpleLb::Random => (LbPolicy::Random, None),
        SimpleLb::Passthrough => (LbPolicy::ClusterProvided, None),
        SimpleLb::RoundRobin => {
            let with = |slow| RoundRobinLbConfig { slow_start_config: Some(slow) };
            let config = slow_start(settings).map(with).map(LbConfig::RoundRobinLbConfig);
            (LbPolicy::RoundRobin, config)
        }
        SimpleLb::Unspecified | SimpleLb::LeastConn | SimpleLb::LeastRequest => {
            let with = |slow| LeastRequestLbConfig {
                slow_start_config: Some(slow),
                ..LeastRequestLbConfig::default()
            };
            let config = slow_start(settings).map(with).map(LbConfig::LeastRequestLbConfig);
            (LbPolicy::LeastRequest, config)
        }
    }
}

/// The policy of a consistent hash, and its sizes.
pub(crate) fn consistent_hash(hash: &ConsistentHashLb) -> (LbPolicy, Option<LbConfig>) {
    let given = |size: u64| Some(size).filter(|&size| size > 0);
    let ring = |size| {
        let config =
            RingHashLbConfig { minimum_ring_size: Some(size), ..RingHashLbConfig::default() };
        LbConfig::RingHashLbConfig(config)
    };
    match &hash.algorithm {
        Some(HashAlgorithm::Maglev(maglev)) => {
            let table = |size| MaglevLbConfig { table_size: Some(size) };
            let config = given(maglev.table_size).map(table).map(LbConfig::MaglevLbConfig);
            (LbPolicy::Maglev, config)
        }
        Some(HashAlgorithm::RingHash(settings)) => {
            (LbPolicy::RingHash, given(settings.minimum_ring_size).map(ring))
        }
        None => {
            let size = given(hash.minimum_ring_size).unwrap_or(RING_SIZE);
            (LbPolicy::RingHash, Some(ring(size)))
        }
    }
}

/// How the share of a new endpoint grows; none without a warmup.
fn slow_start(settings: Option<&LoadBalancerSettings>) -> Option<SlowStartConfig> {
    let settings = settings?;
    match (&settings.warmup, settings.warmup_duration_secs) {
        (Some(warmup), _) => Some(warmed_up(warmup)),
        (None, Some(duration)) => Some(SlowStartConfig {
            slow_start_window: Some(wire::duration(duration)),
            ..SlowStartConfig::default()
        }),
        (None, None) => None,
    }
}

fn warmed_up(warmup: &WarmupConfiguration) -> SlowStartConfig {
    SlowStartConfig {
        slow_start_window: warmup.duration.map(wire::duration),
        aggression: Some(RuntimeDouble {
            default_value: warmup.aggression.unwrap_or(1.0),
            // The key is a slip of upstream's; Envoy finds no runtime value under it.
            runtime_key: "(".to_owned(),
        }),
        min_weight_percent: Some(wire::percent(warmup.minimum_percent.unwrap_or(10.0))),
    }
}
