//! How a cluster finds its endpoints.
use mesh_envoy_proto::envoy::config::cluster::v3::Cluster;
use mesh_envoy_proto::envoy::config::cluster::v3::cluster::{
    ClusterDiscoveryType, DiscoveryType, DnsLookupFamily, EdsClusterConfig, LbConfig,
    OriginalDstLbConfig,
};
use mesh_envoy_proto::envoy::config::core::v3::{ConfigSource, TypedExtensionConfig};
use mesh_envoy_proto::envoy::extensions::network::dns_resolver::cares::v3::CaresDnsResolverConfig;
use mesh_envoy_proto::pack;
use mesh_lb::assign::Discovery;
use mesh_model::compat::Flags;
use mesh_model::name::Duration;
use mesh_model::registry::{Resolution, Service};
use mesh_model::view::{IpFamilies, ProxyKind};

use super::wire;
use crate::secret::over_ads;

/// Returns how a proxy's clusters of a service find endpoints, before any policy. An alias has no
/// cluster, and a wildcard host that the proxy resolves itself has one of another kind; both are not
/// told apart here.
pub fn of_service(service: &Service, kind: ProxyKind, flags: &Flags) -> DiscoveryType {
    match Discovery::of_service(service, kind, flags) {
        Discovery::StrictDns => DiscoveryType::StrictDns,
        Discovery::LogicalDns => DiscoveryType::LogicalDns,
        Discovery::OriginalDestination => DiscoveryType::OriginalDst,
        Discovery::Eds | Discovery::Alias | Discovery::DynamicForwardProxy => DiscoveryType::Eds,
    }
}

/// The type of a cluster; `None` for a custom one.
pub(super) fn of_cluster(cluster: &Cluster) -> Option<DiscoveryType> {
    match cluster.cluster_discovery_type {
        Some(ClusterDiscoveryType::Type(number)) => DiscoveryType::try_from(number).ok(),
        Some(ClusterDiscoveryType::ClusterType(_)) | None => None,
    }
}

/// The type as a cluster has it.
pub(crate) fn kind(kind: DiscoveryType) -> Option<ClusterDiscoveryType> {
    Some(ClusterDiscoveryType::Type(kind.into()))
}

/// The name that EDS is asked for.
pub(crate) fn eds_name(cluster: &Cluster) -> Option<&str> {
    let is_eds = of_cluster(cluster) == Some(DiscoveryType::Eds);
    let config = cluster.eds_cluster_config.as_ref().filter(|_| is_eds)?;
    Some(if config.service_name.is_empty() { &cluster.name } else { &config.service_name })
}

/// Tells a cluster of type EDS where its endpoints come from; does nothing for others.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/networking/core/cluster_builder.go` `maybeApplyEdsConfig`.
pub(super) fn apply_eds(cluster: &mut Cluster) {
    if of_cluster(cluster) == Some(DiscoveryType::Eds) {
        cluster.eds_cluster_config = Some(EdsClusterConfig {
            eds_config: Some(ConfigSource {
                initial_fetch_timeout: Some(wire::seconds(0)),
                ..over_ads()
            }),
            service_name: cluster.name.clone(),
        });
    }
}

/// The port that is dialled instead of the client's: the `targetPort` of a ServiceEntry whose
/// destinations are kept.
pub(super) fn port_override(service: &Service, number: u16) -> Option<LbConfig> {
    let port = service.ports.iter().find(|port| port.number == number)?;
    let is_given = service.resolution == Resolution::Passthrough && port.target_port != 0;
    is_given.then(|| {
        LbConfig::OriginalDstLbConfig(OriginalDstLbConfig {
            upstream_port_override: Some(port.target_port.into()),
            ..OriginalDstLbConfig::default()
        })
    })
}

/// Tells a cluster how to ask DNS.
pub(super) fn apply_dns(
    cluster: &mut Cluster,
    races: bool,
    families: DnsLookupFamily,
    refresh_rate: Option<Duration>,
) {
    let family = if races { DnsLookupFamily::All } else { families };
    cluster.dns_lookup_family = family.into();
    cluster.dns_refresh_rate = refresh_rate.map(wire::duration);
    cluster.dns_jitter = Some(wire::duration(Duration::from_millis(100)));
    cluster.respect_dns_ttl = true;
    let resolver =
        CaresDnsResolverConfig { udp_max_queries: Some(100), ..CaresDnsResolverConfig::default() };
    cluster.typed_dns_resolver_config = Some(TypedExtensionConfig {
        name: "envoy.network.dns_resolver.cares".to_owned(),
        typed_config: Some(pack(&resolver)),
    });
}

/// Which addresses a proxy asks DNS for.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/networking/util/util.go` `SelectDNSLookupFamily`.
pub(super) fn lookup_family(families: IpFamilies, flags: &Flags) -> DnsLookupFamily {
    match families {
        IpFamilies::V6 => DnsLookupFamily::V6Only,
        IpFamilies::Dual if flags.istio_dual_stack => DnsLookupFamily::All,
        IpFamilies::V4 | IpFamilies::Dual | IpFamilies::Unknown => DnsLookupFamily::V4Only,
    }
}
