//! Clusters that stand for no service: where traffic goes that nothing explains.
use mesh_envoy_proto::envoy::config::cluster::v3::Cluster;
use mesh_envoy_proto::envoy::config::cluster::v3::cluster::{DiscoveryType, LbPolicy};
use mesh_envoy_proto::envoy::config::core::v3::{BindConfig, ExtraSourceAddress};
use mesh_model::view::IpFamilies;

use super::context::Context;
use super::http::HttpOptions;
use super::{connection_pool, discovery, stat_name, wire};
use crate::name::{BLACK_HOLE_CLUSTER, INBOUND_PASSTHROUGH_CLUSTER, PASSTHROUGH_CLUSTER};

/// Where inbound traffic that the proxy passes on seems to come from, so that it is not redirected
/// to the proxy again.
pub(super) const OWN_IPV4: &str = "127.0.0.6";
/// The same in IPv6.
pub(super) const OWN_IPV6: &str = "::6";

/// The cluster without endpoints.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/networking/core/cluster_builder.go` `buildBlackHoleCluster`.
pub(super) fn black_hole(context: &Context<'_>) -> Cluster {
    Cluster {
        name: BLACK_HOLE_CLUSTER.to_owned(),
        alt_stat_name: stat_name::delimited(BLACK_HOLE_CLUSTER),
        cluster_discovery_type: discovery::kind(DiscoveryType::Static),
        lb_policy: LbPolicy::RoundRobin.into(),
        connect_timeout: context.config.connect_timeout.map(wire::duration),
        ..Cluster::default()
    }
}

/// The cluster that keeps the client's destination.
///
/// Of the mesh's default policy its limits, the time for connecting and keepalive count.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/networking/core/cluster_builder.go` `buildDefaultPassthroughCluster`.
pub(super) fn passthrough(context: &Context<'_>) -> Cluster {
    let mut cluster = Cluster {
        name: PASSTHROUGH_CLUSTER.to_owned(),
        alt_stat_name: stat_name::delimited(PASSTHROUGH_CLUSTER),
        cluster_discovery_type: discovery::kind(DiscoveryType::OriginalDst),
        lb_policy: LbPolicy::ClusterProvided.into(),
        filters: context.filters(),
        ..Cluster::default()
    };
    let default = context.config.default_traffic_policy.as_ref();
    let pool = default.and_then(|default| default.connection_pool.as_ref());
    connection_pool::apply(&mut cluster, pool, None, context.config);
    HttpOptions::passthrough(context.preserves_case).apply(&mut cluster);
    cluster
}

/// The same for inbound traffic; its statistics have the other's name.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/networking/core/cluster_builder.go` `buildInboundPassthroughCluster`.
pub(super) fn inbound_passthrough(context: &Context<'_>) -> Cluster {
    let (source, more): (_, &[&str]) = match context.proxy.ip_families() {
        IpFamilies::V4 => (OWN_IPV4, &[]),
        IpFamilies::Dual => (OWN_IPV4, &[OWN_IPV6]),
        IpFamilies::V6 | IpFamilies::Unknown => (OWN_IPV6, &[]),
    };
    Cluster {
        name: INBOUND_PASSTHROUGH_CLUSTER.to_owned(),
        filters: Vec::new(),
        upstream_bind_config: Some(bind(source, more)),
        ..passthrough(context)
    }
}

/// Connections seem to come from an address, or from another one of the destination's family.
pub(super) fn bind(source: &str, more: &[&str]) -> BindConfig {
    let extra = more.iter().map(|address| ExtraSourceAddress {
        address: Some(wire::socket_address(address, 0)),
        socket_options: None,
    });
    BindConfig {
        source_address: Some(wire::socket_address(source, 0)),
        extra_source_addresses: extra.collect(),
        ..BindConfig::default()
    }
}
