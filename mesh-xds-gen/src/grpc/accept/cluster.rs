//! Clusters.
use mesh_envoy_proto::envoy::config::cluster::v3::cluster::{
    ClusterDiscoveryType, DiscoveryType, LbConfig, LbPolicy, RingHashLbConfig,
    ring_hash_lb_config::HashFunction,
};
use mesh_envoy_proto::envoy::config::cluster::v3::{Cluster, OutlierDetection};
use mesh_envoy_proto::envoy::config::core::v3::address::Address;
use mesh_envoy_proto::envoy::config::core::v3::config_source::ConfigSourceSpecifier;
use mesh_envoy_proto::envoy::config::core::v3::socket_address::PortSpecifier;
use mesh_envoy_proto::envoy::config::core::v3::{ConfigSource, SocketAddress, TransportSocket};
use mesh_envoy_proto::envoy::config::endpoint::v3::lb_endpoint::HostIdentifier;
use mesh_envoy_proto::envoy::extensions::clusters::aggregate::v3::ClusterConfig;
use mesh_envoy_proto::envoy::extensions::transport_sockets::tls::v3::UpstreamTlsContext;
use mesh_envoy_proto::prost::Name;
use mesh_envoy_proto::prost_types::Duration;

use super::super::tls::SOCKET;
use super::{Refused, demand, refuse, security};

/// The largest ring.
const MAX_RING: u64 = 8 * 1024 * 1024;

/// Takes or refuses a cluster.
///
/// # Errors
///
/// Where a gRPC client refuses it: a type, policy or TLS setting that it does not have.
pub fn cluster(cluster: &Cluster) -> Result<(), Refused> {
    demand(!cluster.name.is_empty(), "a cluster has no name")?;
    policy(cluster)?;
    demand(
        cluster.transport_socket_matches.is_empty(),
        "`transport_socket_matches` is not supported",
    )?;
    cluster.transport_socket.as_ref().map_or(Ok(()), transport_socket)?;
    cluster.outlier_detection.as_ref().map_or(Ok(()), outliers)?;
    if let Some(source) = &cluster.lrs_server {
        let is_self =
            matches!(source.config_source_specifier, Some(ConfigSourceSpecifier::Self_(_)));
        demand(is_self, "`lrs_server` is not the server itself")?;
    }
    discovery(cluster)
}

/// The old field is read first, whether or not the new one replaces it.
fn policy(cluster: &Cluster) -> Result<(), Refused> {
    match LbPolicy::try_from(cluster.lb_policy) {
        Ok(LbPolicy::RoundRobin) => Ok(()),
        Ok(LbPolicy::RingHash) => match &cluster.lb_config {
            Some(LbConfig::RingHashLbConfig(config)) => ring(config),
            _ => Ok(()),
        },
        Ok(LbPolicy::LeastRequest) => match &cluster.lb_config {
            Some(LbConfig::LeastRequestLbConfig(config)) => {
                let enough = config.choice_count.is_none_or(|count| count >= 2);
                demand(enough, "`choice_count` is below 2")
            }
            _ => Ok(()),
        },
        _ => refuse("the load balancing policy is not supported"),
    }
}

fn ring(config: &RingHashLbConfig) -> Result<(), Refused> {
    let is_xx = config.hash_function == i32::from(HashFunction::XxHash);
    demand(is_xx, "the hash function of the ring is not XX_HASH")?;
    let minimum = config.minimum_ring_size.unwrap_or(1024);
    let maximum = config.maximum_ring_size.unwrap_or(MAX_RING);
    demand(minimum <= MAX_RING && maximum <= MAX_RING, "the ring is larger than 8388608")?;
    // A size of 0 is the same as none to the policy itself.
    let minimum = if minimum == 0 { 1024 } else { minimum };
    let maximum = if maximum == 0 { 4096 } else { maximum };
    demand(minimum <= maximum, "the smallest ring is larger than the largest")
}

fn transport_socket(socket: &TransportSocket) -> Result<(), Refused> {
    use mesh_envoy_proto::envoy::config::core::v3::transport_socket::ConfigType;
    demand(socket.name == SOCKET, "the transport socket is not `envoy.transport_sockets.tls`")?;
    let Some(ConfigType::TypedConfig(config)) = &socket.config_type else {
        return refuse("the transport socket has no configuration");
    };
    let is_tls = config.type_url == UpstreamTlsContext::type_url();
    let tls = config.to_msg::<UpstreamTlsContext>().ok().filter(|_| is_tls);
    match tls.and_then(|tls| tls.common_tls_context) {
        Some(common) => security::client(&common),
        None => refuse("the transport socket has no common TLS context"),
    }
}

fn outliers(detection: &OutlierDetection) -> Result<(), Refused> {
    let times = [&detection.interval, &detection.base_ejection_time, &detection.max_ejection_time];
    let is_time = |time: &Duration| time.seconds >= 0 && time.nanos >= 0;
    let are_times = times.into_iter().flatten().all(is_time);
    demand(are_times, "a time of outlier detection is negative")?;
    let percents = [
        detection.max_ejection_percent,
        detection.enforcing_success_rate,
        detection.failure_percentage_threshold,
        detection.enforcing_failure_percentage,
    ];
    let are_percents = percents.into_iter().flatten().all(|percent| percent <= 100);
    demand(are_percents, "a percentage of outlier detection is above 100")
}

fn discovery(cluster: &Cluster) -> Result<(), Refused> {
    let Some(kind) = &cluster.cluster_discovery_type else {
        return refuse("the type of the cluster is not supported");
    };
    match kind {
        ClusterDiscoveryType::Type(number) => match DiscoveryType::try_from(*number) {
            Ok(DiscoveryType::Eds) => {
                let config = cluster.eds_cluster_config.as_ref();
                let source = config.and_then(|config| config.eds_config.as_ref());
                demand(is_own_stream(source), "endpoints are not asked for over ADS")
            }
            Ok(DiscoveryType::LogicalDns) => one_name(cluster),
            Ok(DiscoveryType::Static | DiscoveryType::StrictDns | DiscoveryType::OriginalDst)
            | Err(_) => refuse("the type of the cluster is not supported"),
        },
        ClusterDiscoveryType::ClusterType(custom) => {
            let config = custom.typed_config.as_ref();
            let aggregate = config
                .filter(|_| custom.name == "envoy.clusters.aggregate")
                .and_then(|config| config.to_msg::<ClusterConfig>().ok());
            match aggregate {
                Some(config) => {
                    demand(!config.clusters.is_empty(), "the aggregate cluster has no clusters")
                }
                None => refuse("the type of the cluster is not supported"),
            }
        }
    }
}

/// Whether resources come by the stream that named them.
pub(super) const fn is_own_stream(source: Option<&ConfigSource>) -> bool {
    let Some(source) = source else { return false };
    matches!(
        source.config_source_specifier,
        Some(ConfigSourceSpecifier::Ads(_) | ConfigSourceSpecifier::Self_(_))
    )
}

/// Exactly one endpoint: a name and a port.
fn one_name(cluster: &Cluster) -> Result<(), Refused> {
    let localities = cluster.load_assignment.as_ref().map(|assignment| &*assignment.endpoints);
    let Some([locality]) = localities else {
        return refuse("a LOGICAL_DNS cluster needs exactly one locality");
    };
    let [endpoint] = locality.lb_endpoints.as_slice() else {
        return refuse("a LOGICAL_DNS cluster needs exactly one endpoint");
    };
    let address = match &endpoint.host_identifier {
        Some(HostIdentifier::Endpoint(endpoint)) => endpoint.address.as_ref(),
        Some(HostIdentifier::EndpointName(_)) | None => None,
    };
    let Some(Address::SocketAddress(socket)) = address.and_then(|it| it.address.as_ref()) else {
        return refuse("the endpoint of a LOGICAL_DNS cluster has no socket address");
    };
    demand(is_name_and_port(socket), "the endpoint of a LOGICAL_DNS cluster is no name and port")
}

fn is_name_and_port(socket: &SocketAddress) -> bool {
    let port = match socket.port_specifier {
        Some(PortSpecifier::PortValue(port)) => port,
        Some(PortSpecifier::NamedPort(_)) | None => 0,
    };
    socket.resolver_name.is_empty() && !socket.address.is_empty() && port != 0
}
