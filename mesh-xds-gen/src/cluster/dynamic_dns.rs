//! Clusters that look up the host of each request themselves: dynamic forward proxies.
use mesh_envoy_proto::envoy::config::cluster::v3::Cluster;
use mesh_envoy_proto::envoy::config::cluster::v3::cluster::{
    ClusterDiscoveryType, CustomClusterType, LbPolicy,
};
use mesh_envoy_proto::envoy::config::core::v3::TypedExtensionConfig;
use mesh_envoy_proto::envoy::extensions::clusters::dynamic_forward_proxy::v3::{
    ClusterConfig, cluster_config,
};
use mesh_envoy_proto::envoy::extensions::common::dynamic_forward_proxy::v3::DnsCacheConfig;
use mesh_envoy_proto::envoy::extensions::network::dns_resolver::cares::v3::CaresDnsResolverConfig;
use mesh_envoy_proto::pack;
use mesh_model::compat::Flags;
use mesh_model::name::Protocol;
use mesh_model::registry::{Resolution, Service};
use mesh_model::view::Proxy;

use super::{discovery, wire};

/// What a cluster that resolves hosts is told.
pub(super) struct Lookup {
    pub(super) cache: DnsCacheConfig,
    /// Whether the server need not be verified for the name that was looked up.
    pub(super) is_insecure: bool,
}

/// Whether requests for a service are looked up one by one: only wildcard hosts are.
pub(crate) fn is_for(service: &Service) -> bool {
    service.resolution == Resolution::DynamicDns && service.hostname.is_wildcard()
}

/// Whether a protocol names the host of each request.
pub(super) const fn carries_host(protocol: Protocol) -> bool {
    matches!(protocol, Protocol::Http | Protocol::Tls | Protocol::Grpc | Protocol::Http2)
}

/// The cache of a service, by its host.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/model/service.go` `BuildDNSCacheName`.
pub(crate) fn cache_of_service(proxy: &Proxy, flags: &Flags, service: &Service) -> DnsCacheConfig {
    let family = discovery::lookup_family(proxy.ip_families(), flags);
    DnsCacheConfig {
        name: format!("{}_dfp_dns_cache", service.hostname),
        dns_lookup_family: family.into(),
        ..DnsCacheConfig::default()
    }
}

/// The cache of hosts that no service explains. With DNS capture the agent is asked, which knows
/// the mesh's own names.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/networking/core/cluster_builder.go`
/// `buildAllowAnyDynamicDNSDNSCacheConfig`.
pub(crate) fn cache_of_any(proxy: &Proxy, flags: &Flags) -> DnsCacheConfig {
    let family = discovery::lookup_family(proxy.ip_families(), flags);
    DnsCacheConfig {
        name: "allow_any_dfp_dns_cache".to_owned(),
        dns_lookup_family: family.into(),
        max_hosts: Some(1024),
        typed_dns_resolver_config: agent(proxy),
        ..DnsCacheConfig::default()
    }
}

fn agent(proxy: &Proxy) -> Option<TypedExtensionConfig> {
    if !proxy.metadata_bool("DNS_CAPTURE") {
        return None;
    }
    let address = proxy.metadata_text("DNS_PROXY_ADDR");
    let (host, port) = address.rsplit_once(':').unwrap_or_default();
    let host = match host.trim_start_matches('[').trim_end_matches(']') {
        "" | "localhost" => "127.0.0.1",
        host => host,
    };
    let port = port.parse().unwrap_or(15053);
    let resolver = CaresDnsResolverConfig {
        resolvers: vec![wire::address(host, port)],
        ..CaresDnsResolverConfig::default()
    };
    Some(TypedExtensionConfig {
        name: "envoy.network.dns_resolver.cares".to_owned(),
        typed_config: Some(pack(&resolver)),
    })
}

impl Lookup {
    /// Sets a cluster up for it.
    pub(super) fn apply(self, cluster: &mut Cluster) {
        let cache = cluster_config::ClusterImplementationSpecifier::DnsCacheConfig(self.cache);
        let config = ClusterConfig {
            allow_insecure_cluster_options: self.is_insecure,
            cluster_implementation_specifier: Some(cache),
            ..ClusterConfig::default()
        };
        cluster.lb_policy = LbPolicy::ClusterProvided.into();
        cluster.cluster_discovery_type =
            Some(ClusterDiscoveryType::ClusterType(CustomClusterType {
                name: "envoy.clusters.dynamic_forward_proxy".to_owned(),
                typed_config: Some(pack(&config)),
            }));
    }
}
