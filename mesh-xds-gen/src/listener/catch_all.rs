//! What happens to connections that no service explains.
//!
//! # Upstream
//!
//! istio/istio `pilot/pkg/networking/core/listener_builder.go` `buildOutboundCatchAllNetworkFiltersOnly`,
//! `buildVirtualOutboundListener`.
use mesh_envoy_proto::envoy::config::core::v3::TrafficDirection;
use mesh_envoy_proto::envoy::config::listener::v3::listener::ListenerSpecifier;
use mesh_envoy_proto::envoy::config::listener::v3::{
    Filter, FilterChain, FilterChainMatch, Listener,
};
use mesh_envoy_proto::envoy::extensions::filters::network::tcp_proxy::v3::TcpProxy;
use mesh_model::name::Protocol;
use mesh_model::resource::sidecar::OutboundTrafficMode;

use super::chain::plaintext_http;
use super::context::Context;
use super::emit::other_wildcards;
use super::filters::http_inspector;
use super::http::{Class, Http, http_connection_manager};
use super::tcp::{forward, stack, tcp_proxy};
use super::wire::address;
use crate::name::{
    BLACK_HOLE_CLUSTER, ClusterName, PASSTHROUGH_CLUSTER, VIRTUAL_OUTBOUND_LISTENER,
};
use crate::route;

fn mode(context: &Context<'_, '_>) -> OutboundTrafficMode {
    let sidecar = context.view.scope().sidecar();
    let own = sidecar.and_then(|sidecar| sidecar.spec.outbound_traffic_policy.as_ref());
    own.map_or(context.config().outbound_traffic_policy.mode, |policy| policy.mode)
}

/// Whether hosts of requests that no service explains are looked up.
pub(super) fn looks_up(context: &Context<'_, '_>) -> bool {
    mode(context) == OutboundTrafficMode::AllowAnyDynamicDns
}

/// The chain of requests to any host, each looked up; `None` unless they are treated so.
fn looked_up(context: &Context<'_, '_>) -> Option<FilterChain> {
    let http = || Http {
        stat_prefix: "outbound_virtualOutbound_allow_any_dynamic_dns;".to_owned(),
        protocol: Protocol::Http,
        class: Class::Anywhere { routes: Box::new(route::allow_any_dynamic_dns(context.view)) },
    };
    looks_up(context).then(|| FilterChain {
        name: "virtualOutbound-catchall-tcp-http".to_owned(),
        filter_chain_match: Some(FilterChainMatch {
            application_protocols: plaintext_http(context.allows_http10_at_inspection()),
            ..FilterChainMatch::default()
        }),
        filters: vec![http_connection_manager(context, http())],
        ..FilterChain::default()
    })
}

/// The filters for connections that no service explains: on to where they were going, or nowhere.
pub(super) fn filters(context: &Context<'_, '_>) -> Vec<Filter> {
    let sidecar = context.view.scope().sidecar();
    let own = sidecar.and_then(|sidecar| sidecar.spec.outbound_traffic_policy.as_ref());
    let cluster = match mode(context) {
        OutboundTrafficMode::RegistryOnly => BLACK_HOLE_CLUSTER.to_owned(),
        OutboundTrafficMode::AllowAny | OutboundTrafficMode::AllowAnyDynamicDns => {
            match own.and_then(|policy| policy.egress_proxy.as_ref()) {
                Some(proxy) => {
                    let port = proxy.port.as_ref().map_or(0, |port| port.number);
                    let port = u16::try_from(port).unwrap_or_default();
                    ClusterName::outbound(port, &proxy.subset, &proxy.host).to_string()
                }
                None => PASSTHROUGH_CLUSTER.to_owned(),
            }
        }
    };
    let proxy = TcpProxy { idle_timeout: context.idle_timeout, ..forward(&cluster) };
    stack(context, Protocol::Tcp, proxy)
}

/// The listener that receives redirected traffic; `None` where none is redirected.
pub(super) fn virtual_outbound(context: &Context<'_, '_>) -> Option<Listener> {
    let port = context.outbound_port();
    let nowhere = tcp_proxy(&forward(BLACK_HOLE_CLUSTER));
    let loops = FilterChain {
        name: "virtualOutbound-blackhole".to_owned(),
        filter_chain_match: Some(FilterChainMatch {
            destination_port: Some(port.into()),
            ..FilterChainMatch::default()
        }),
        filters: context.outbound.tcp_stats.iter().cloned().chain([nowhere]).collect(),
        ..FilterChain::default()
    };
    let others = FilterChain {
        name: "virtualOutbound-catchall-tcp".to_owned(),
        filters: filters(context),
        ..FilterChain::default()
    };
    let looked_up = looked_up(context);
    context.is_captured().then(|| Listener {
        name: VIRTUAL_OUTBOUND_LISTENER.to_owned(),
        address: Some(address(context.wildcard(), port)),
        additional_addresses: other_wildcards(context, port),
        listener_filters: looked_up.iter().map(|_| http_inspector()).collect(),
        filter_chains: [loops].into_iter().chain(looked_up).chain([others]).collect(),
        use_original_dst: Some(true),
        transparent: context.is_tproxy().then_some(true),
        traffic_direction: TrafficDirection::Outbound.into(),
        access_log: context.outbound.listener_logs.clone(),
        max_connections_to_accept_per_socket_event: Some(1),
        listener_specifier: None::<ListenerSpecifier>,
        ..Listener::default()
    })
}
