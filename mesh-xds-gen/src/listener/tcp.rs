//! The filters of connections that are not read as HTTP.
//!
//! # Upstream
//!
//! istio/istio `pilot/pkg/networking/core/networkfilter.go` `buildOutboundNetworkFilters`,
//! `buildOutboundNetworkFiltersWithWeightedClusters`, `setAccessLogAndBuildTCPFilter`.
use mesh_envoy_proto::envoy::config::listener::v3::Filter;
use mesh_envoy_proto::envoy::extensions::filters::network::tcp_proxy::v3::TcpProxy;
use mesh_envoy_proto::envoy::extensions::filters::network::tcp_proxy::v3::tcp_proxy::{
    ClusterSpecifier, TunnelingConfig, WeightedCluster, weighted_cluster::ClusterWeight,
};
use mesh_envoy_proto::envoy::r#type::v3::{HashPolicy, hash_policy};
use mesh_lb::assign::is_sharded;
use mesh_model::name::Protocol;
use mesh_model::registry::{MergedRule, Service};
use mesh_model::resource::destination_rule::{HashKey, LbPolicy, TrafficPolicy};
use mesh_model::resource::virtual_service::{Destination, RouteDestination};
use mesh_model::resource::{Meta, VirtualService};

use super::context::Context;
use super::filters::{mongo_proxy, mysql_proxy, redis_proxy};
use super::wire::{duration, filter};
use crate::cluster::stat_name::StatName;
use crate::name::{ClusterName, host_port};
use crate::telemetry::Signals;

const NAME: &str = "envoy.filters.network.tcp_proxy";

/// Forwards connections to a cluster, without any rule of its own.
pub(super) fn forward(cluster: &str) -> TcpProxy {
    TcpProxy {
        stat_prefix: cluster.to_owned(),
        cluster_specifier: Some(ClusterSpecifier::Cluster(cluster.to_owned())),
        ..TcpProxy::default()
    }
}

/// The filter that forwards connections.
pub(super) fn tcp_proxy(proxy: &TcpProxy) -> Filter {
    filter(NAME, proxy)
}

/// The last filters of what is sent: statistics, what reads the protocol, then what forwards it.
pub(super) fn stack(context: &Context<'_, '_>, protocol: Protocol, proxy: TcpProxy) -> Vec<Filter> {
    observed(context, &context.outbound, protocol, proxy)
}

/// The same of what the workload receives.
pub(super) fn inbound_stack(
    context: &Context<'_, '_>,
    protocol: Protocol,
    proxy: TcpProxy,
) -> Vec<Filter> {
    observed(context, &context.inbound, protocol, proxy)
}

fn observed(
    context: &Context<'_, '_>,
    signals: &Signals,
    protocol: Protocol,
    proxy: TcpProxy,
) -> Vec<Filter> {
    let proxy = TcpProxy { access_log: signals.tcp_logs.clone(), ..proxy };
    signals.tcp_stats.iter().cloned().chain(ending(context, protocol, &proxy)).collect()
}

/// What reads a protocol and what forwards it; the filter of Redis does both, and knows one cluster.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/networking/core/networkfilter.go` `buildNetworkFiltersStack`.
fn ending(context: &Context<'_, '_>, protocol: Protocol, proxy: &TcpProxy) -> Vec<Filter> {
    let (flags, stat_prefix) = (context.flags(), &proxy.stat_prefix);
    if is_sharded(flags, protocol) {
        return vec![redis_proxy(stat_prefix, first_cluster(proxy).unwrap_or_default())];
    }
    let reads_mongo = protocol == Protocol::Mongo && flags.pilot_enable_mongo_filter;
    let mongo = reads_mongo.then(|| mongo_proxy(stat_prefix));
    let reads_mysql = protocol == Protocol::Mysql && flags.pilot_enable_mysql_filter;
    let mysql = reads_mysql.then(|| mysql_proxy(stat_prefix));
    mongo.into_iter().chain(mysql).chain([tcp_proxy(proxy)]).collect()
}

/// The cluster that connections go to, the first of several.
fn first_cluster(proxy: &TcpProxy) -> Option<&str> {
    match proxy.cluster_specifier.as_ref()? {
        ClusterSpecifier::Cluster(name) => Some(name),
        ClusterSpecifier::WeightedClusters(several) => {
            several.clusters.first().map(|cluster| &*cluster.name)
        }
    }
}

/// A port that a listener is for.
#[derive(Clone, Copy, Debug)]
pub(super) struct ListenPort<'a> {
    pub(super) number: u16,
    pub(super) protocol: Protocol,
    /// The name, for statistics.
    pub(super) name: &'a str,
}

/// The filters of the chain that sends to a service without a rule.
pub(super) fn to_service(
    context: &Context<'_, '_>,
    service: &Service,
    port: ListenPort<'_>,
) -> Vec<Filter> {
    let number = only_port(service).unwrap_or(port.number);
    let name = ClusterName::outbound(number, "", service.hostname.as_str()).to_string();
    let host = service.hostname.as_str();
    let known = stat_name(service, host, "", ListenPort { number, name: "", ..port });
    let stat_prefix = stat_prefix(context, &name, known);
    let forward = TcpProxy { stat_prefix, ..forward(&name) };
    let proxy = ruled(context, forward, rule_of(context, Some(service)), "");
    stack(context, port.protocol, proxy)
}

/// Whether a route leads anywhere: the only destination, or one of several that has a weight. Upstream
/// ends itself where no weight is above 0, and Envoy refuses a choice among no clusters.
pub(super) fn leads_somewhere(destinations: &[RouteDestination]) -> bool {
    let is_only = destinations.len() == 1;
    destinations.iter().any(|to| to.destination.is_some() && (is_only || to.weight > 0))
}

/// The filters of the chain of a route that leads somewhere, by its destinations.
pub(super) fn to_destinations(
    context: &Context<'_, '_>,
    owner: &VirtualService,
    destinations: &[RouteDestination],
    port: ListenPort<'_>,
) -> Vec<Filter> {
    let first = destinations.iter().find_map(|entry| entry.destination.as_ref());
    let service = first.and_then(|first| context.view.scope().service(&first.host));
    let rule = rule_of(context, service.map(AsRef::as_ref));
    let proxy = match destinations {
        [RouteDestination { destination: Some(only), .. }] => {
            let name = cluster(context, only, port.number);
            let mut forward = forward(&name);
            if let Some(service) = service {
                let known = stat_name(service, &only.host, &only.subset, port);
                forward.stat_prefix = stat_prefix(context, &name, known);
            }
            ruled(context, forward, rule, &only.subset)
        }
        several => ruled(context, weighted(context, &owner.meta, several, port.number), rule, ""),
    };
    stack(context, port.protocol, proxy)
}

/// The filters of the chain that passes mutual TLS on to a cluster, unread.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/networking/core/gateway.go` `builtAutoPassthroughFilterChains`.
pub(super) fn to_passed_through(
    context: &Context<'_, '_>,
    cluster: &str,
    service: &Service,
    subset: &str,
    port: ListenPort<'_>,
) -> Vec<Filter> {
    let known = stat_name(service, service.hostname.as_str(), subset, port);
    let stat_prefix = stat_prefix(context, cluster, known);
    let forward = TcpProxy { stat_prefix, ..forward(cluster) };
    let ruled = ruled(context, forward, context.view.rule(service), subset);
    let proxy = TcpProxy { tunneling_config: None, ..ruled };
    stack(context, port.protocol, proxy)
}

fn stat_name<'a>(
    service: &'a Service,
    host: &'a str,
    subset: &'a str,
    port: ListenPort<'a>,
) -> StatName<'a> {
    StatName {
        host,
        kubernetes: StatName::kubernetes_name(service),
        subset,
        port: port.number,
        port_name: port.name,
        target_port: 0,
    }
}

/// What a cluster's connections are called in statistics.
fn stat_prefix(context: &Context<'_, '_>, cluster: &str, name: StatName<'_>) -> String {
    name.prefix(&context.config().outbound_cluster_stat_name, cluster)
}

fn weighted(
    context: &Context<'_, '_>,
    owner: &Meta,
    destinations: &[RouteDestination],
    port: u16,
) -> TcpProxy {
    let clusters = destinations.iter().filter_map(|entry| {
        let weight = u32::try_from(entry.weight).ok().filter(|weight| *weight > 0)?;
        let name = cluster(context, entry.destination.as_ref()?, port);
        Some(ClusterWeight { name, weight, ..ClusterWeight::default() })
    });
    let clusters = WeightedCluster { clusters: clusters.collect() };
    TcpProxy {
        stat_prefix: format!("{}.{}", owner.name, owner.namespace),
        cluster_specifier: Some(ClusterSpecifier::WeightedClusters(clusters)),
        ..TcpProxy::default()
    }
}

/// The cluster that a destination means on a listener's port.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/networking/core/route/route.go` `GetDestinationCluster`.
fn cluster(context: &Context<'_, '_>, destination: &Destination, listener: u16) -> String {
    let service = context.view.scope().service(&destination.host);
    let host = service
        .and_then(|service| service.alias_of.as_ref())
        .map_or(&*destination.host, |target| target.as_str());
    let named = destination.port.as_ref().map(|port| u16::try_from(port.number).unwrap_or(0));
    let port = named.or_else(|| only_port(service?)).unwrap_or(listener);
    ClusterName::outbound(port, &destination.subset, host).to_string()
}

fn only_port(service: &Service) -> Option<u16> {
    match &*service.ports {
        [only] => Some(only.number),
        _ => None,
    }
}

/// The rule for a service, as the scope knows it.
fn rule_of<'v>(context: &Context<'_, 'v>, service: Option<&Service>) -> Option<&'v MergedRule> {
    let service = service?;
    let known = context.view.scope().service(service.hostname.as_str());
    context.view.rule(known.map_or(service, AsRef::as_ref))
}

/// Adds what a DestinationRule says to clients of a cluster.
fn ruled(
    context: &Context<'_, '_>,
    proxy: TcpProxy,
    rule: Option<&MergedRule>,
    subset: &str,
) -> TcpProxy {
    let policy = rule.and_then(|rule| rule.traffic_policy.as_ref());
    let of_subset = rule.and_then(|rule| rule.subset(subset)).filter(|_| !subset.is_empty());
    let subset_policy = of_subset.and_then(|subset| subset.traffic_policy.as_ref());
    let pool = policy.and_then(|policy| policy.connection_pool.as_ref());
    let limits = pool.and_then(|pool| pool.tcp.as_ref());
    let idle = limits.and_then(|limits| limits.idle_timeout).map(duration);
    let tunneled = if subset.is_empty() { policy } else { subset_policy };
    let hash_policy = if hashes_source(policy, subset_policy) {
        let source = hash_policy::SourceIp {};
        let specifier = hash_policy::PolicySpecifier::SourceIp(source);
        vec![HashPolicy { policy_specifier: Some(specifier) }]
    } else {
        Vec::new()
    };
    TcpProxy {
        idle_timeout: idle.or(context.idle_timeout),
        max_downstream_connection_duration: limits
            .and_then(|limits| limits.max_connection_duration)
            .map(duration),
        hash_policy,
        tunneling_config: tunneled.and_then(tunnel),
        ..proxy
    }
}

/// Whether the client's address decides on the endpoint: as the subset says, if it says anything of
/// load balancing.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/networking/core/networkfilter.go` `maybeSetHashPolicy`.
fn hashes_source(policy: Option<&TrafficPolicy>, subset: Option<&TrafficPolicy>) -> bool {
    let balancer =
        |policy: Option<&'_ TrafficPolicy>| policy.and_then(|policy| policy.load_balancer.clone());
    let decides = balancer(subset).or_else(|| balancer(policy));
    match decides.and_then(|balancer| balancer.policy) {
        Some(LbPolicy::ConsistentHash(hash)) => hash.key == Some(HashKey::UseSourceIp(true)),
        Some(LbPolicy::Simple(_) | LbPolicy::BackendUtilization(_)) | None => false,
    }
}

fn tunnel(policy: &TrafficPolicy) -> Option<TunnelingConfig> {
    let tunnel = policy.tunnel.as_ref()?;
    Some(TunnelingConfig {
        hostname: host_port(&tunnel.target_host, tunnel.target_port),
        use_post: *tunnel.protocol == *"POST",
        ..TunnelingConfig::default()
    })
}
