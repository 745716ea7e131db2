//! Clusters that stand for no service: where traffic goes that nothing explains.
use mesh_envoy_proto::envoy::config::cluster::v3::Cluster;
use mesh_envoy_proto::envoy::config::cluster::v3::cluster::{DiscoveryType, LbPolicy};
use mesh_envoy_proto::envoy::config::core::v3::{
    Address, BindConfig, ExtraSourceAddress, Pipe, address,
};
use mesh_envoy_proto::envoy::config::endpoint::v3::{
    ClusterLoadAssignment, Endpoint, LbEndpoint, LocalityLbEndpoints, lb_endpoint,
};
use mesh_model::resource::destination_rule::{ClientTlsMode, ClientTlsSettings};
use mesh_model::resource::sidecar::OutboundTrafficMode;
use mesh_model::view::IpFamilies;

use super::context::Context;
use super::dynamic_dns::{self, Lookup};
use super::http::HttpOptions;
use super::tls::ServerName;
use super::tls_context::{self, Surroundings};
use super::{connection_pool, discovery, socket, stat_name, wire};
use crate::name::{
    ALLOW_ANY_DYNAMIC_DNS_CLUSTER, BLACK_HOLE_CLUSTER, INBOUND_PASSTHROUGH_CLUSTER,
    PASSTHROUGH_CLUSTER,
};
use crate::secret;

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

/// The server of credentials behind the proxy's socket, if it has one.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/networking/core/cluster_builder.go` `buildExternalSDSCluster`.
pub(super) fn external_secrets(context: &Context<'_>) -> Option<Cluster> {
    if !secret::has_socket(context.proxy) {
        return None;
    }
    let pipe = Pipe { path: secret::EXTERNAL_SOCKET.to_owned(), ..Pipe::default() };
    let address = Address { address: Some(address::Address::Pipe(pipe)) };
    let endpoint = Endpoint { address: Some(address), ..Endpoint::default() };
    let endpoint = LbEndpoint {
        host_identifier: Some(lb_endpoint::HostIdentifier::Endpoint(endpoint)),
        ..LbEndpoint::default()
    };
    let endpoints = LocalityLbEndpoints { lb_endpoints: vec![endpoint], ..<_>::default() };
    let name = secret::EXTERNAL_CLUSTER;
    let mut cluster = Cluster {
        name: name.to_owned(),
        alt_stat_name: stat_name::delimited(name),
        cluster_discovery_type: discovery::kind(DiscoveryType::Static),
        connect_timeout: context.config.connect_timeout.map(wire::duration),
        load_assignment: Some(ClusterLoadAssignment {
            cluster_name: name.to_owned(),
            endpoints: vec![endpoints],
            ..ClusterLoadAssignment::default()
        }),
        ..Cluster::default()
    };
    let mut options = HttpOptions::default();
    options.upgrade();
    options.apply(&mut cluster);
    Some(cluster)
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

/// The cluster of HTTP hosts that no service explains, each looked up as requests name it; `None`
/// unless traffic for unknown hosts is treated so.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/networking/core/cluster_builder.go` `buildAllowAnyDFPCluster`.
pub(super) fn allow_any_dynamic_dns(context: &Context<'_>) -> Option<Cluster> {
    let sidecar = context.view.scope().sidecar();
    let own = sidecar.and_then(|sidecar| sidecar.spec.outbound_traffic_policy.as_ref());
    let policy = &context.config.outbound_traffic_policy;
    if own.map_or(policy.mode, |own| own.mode) != OutboundTrafficMode::AllowAnyDynamicDns {
        return None;
    }
    let mut cluster = Cluster {
        name: ALLOW_ANY_DYNAMIC_DNS_CLUSTER.to_owned(),
        alt_stat_name: stat_name::delimited(ALLOW_ANY_DYNAMIC_DNS_CLUSTER),
        filters: context.filters(),
        ..Cluster::default()
    };
    connection_pool::apply(&mut cluster, None, None, context.config);
    let settings = policy.tls.as_ref().filter(|tls| tls.mode != ClientTlsMode::Disable);
    let server_name = settings.and_then(|settings| apply_tls(context, settings, &mut cluster));
    let mut options = HttpOptions::default();
    match server_name {
        Some(name) => options.apply_auto(name.from_request, name.is_checked),
        None => options = HttpOptions::passthrough(context.preserves_case),
    }
    options.apply(&mut cluster);
    let is_insecure = match server_name {
        Some(name) => name.is_insecure(),
        None => settings.is_none(),
    };
    Lookup { cache: dynamic_dns::cache_of_any(context.proxy, context.flags), is_insecure }
        .apply(&mut cluster);
    Some(cluster)
}

/// Sets the mesh's TLS for such hosts up; returns how the server's name is found, if there is TLS.
fn apply_tls(
    context: &Context<'_>,
    settings: &ClientTlsSettings,
    cluster: &mut Cluster,
) -> Option<ServerName> {
    let around = Surroundings {
        proxy: context.proxy,
        rule_selects: false,
        foreign_accounts: &[],
        is_http2: false,
        exchanges_metadata: context.flags.pilot_enable_metadata_exchange,
        defaults: context.config.tls_defaults.as_ref(),
        default_sni: "",
    };
    match tls_context::context(settings, &around) {
        tls_context::Context::Plain => return None,
        tls_context::Context::Broken => {}
        tls_context::Context::Tls(made) => {
            cluster.transport_socket = Some(socket::tls(&*made));
        }
    }
    ServerName::looked_up(settings)
}
