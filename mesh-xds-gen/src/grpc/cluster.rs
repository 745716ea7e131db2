//! The clusters of clients: where endpoints are asked for, and what of the policy gRPC has.
//!
//! # Upstream
//!
//! istio/istio `pilot/pkg/networking/grpcgen/cds.go`.
use std::collections::BTreeSet;

use mesh_envoy_proto::envoy::config::cluster::v3::cluster::{
    CommonLbConfig, DiscoveryType, EdsClusterConfig, LbPolicy,
};
use mesh_envoy_proto::envoy::config::cluster::v3::{
    CircuitBreakers, Cluster, circuit_breakers::Thresholds,
};
use mesh_model::resource::destination_rule::{
    self as rule, ClientTlsMode, SimpleLb, TrafficPolicy,
};
use mesh_model::view::{Destination, ProxyView};

use super::outbound::over_ads;
use super::tls;
use crate::cluster::{accounts, discovery, load_balancer, session_statuses, stat_name};
use crate::name::SubsetKey;

/// Returns the clusters of these names, by name; names of services, ports or subsets that do not
/// exist get none.
///
/// A subset's cluster does not need the default one.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/networking/grpcgen/cds.go` `BuildClusters`, `applyTrafficPolicy`.
pub fn clusters<'n>(
    view: &ProxyView<'_>,
    names: impl IntoIterator<Item = &'n str>,
) -> Vec<Cluster> {
    let names: BTreeSet<&str> = names.into_iter().collect();
    names.into_iter().filter_map(|name| cluster(view, name)).collect()
}

fn cluster(view: &ProxyView<'_>, name: &str) -> Option<Cluster> {
    let key = SubsetKey::parse(name);
    let (direction, subset) = (key.direction, key.subset);
    let canonical = format!("{direction}|{}|{subset}|{}", key.port, key.host);
    if name != canonical || !(subset.is_empty() || direction == "outbound") {
        return None;
    }
    let service = view.scope().service(key.host)?.clone();
    let port = service.port(u16::try_from(key.port).ok().filter(|&port| port != 0)?)?.clone();
    let destination = view.destination_of(service, port, subset.into());
    if !subset.is_empty() {
        destination.rule?.subset(subset)?;
    }
    let mut cluster = base(name);
    if subset.is_empty() && destination.service.has_session_label() {
        cluster.common_lb_config = Some(CommonLbConfig {
            override_host_status: Some(session_statuses()),
            ..CommonLbConfig::default()
        });
    }
    if let Some(policy) = &destination.policy {
        apply(view, &destination, policy, &mut cluster);
    }
    Some(cluster)
}

/// A cluster whose endpoints are asked for, whatever the service's own way of finding them.
fn base(name: &str) -> Cluster {
    Cluster {
        name: name.to_owned(),
        alt_stat_name: stat_name::delimited(name),
        cluster_discovery_type: discovery::kind(DiscoveryType::Eds),
        eds_cluster_config: Some(EdsClusterConfig {
            eds_config: Some(over_ads()),
            service_name: name.to_owned(),
        }),
        ..Cluster::default()
    }
}

fn apply(
    view: &ProxyView<'_>,
    destination: &Destination<'_>,
    policy: &TrafficPolicy,
    cluster: &mut Cluster,
) {
    // Mutual TLS only where the rule asks for it: nobody knows which servers would speak it.
    if policy.tls.as_ref().is_some_and(|tls| tls.mode == ClientTlsMode::IstioMutual) {
        let shards = view.shards(&destination.service).map(AsRef::as_ref);
        let aliases = &view.plane().config.trust_domain_aliases;
        let accounts = accounts::of_service(
            view.plane().services.accounts(&destination.service),
            shards,
            aliases,
        );
        cluster.transport_socket = Some(tls::upstream(&accounts));
    }
    let settings = policy.load_balancer.as_ref();
    match settings.and_then(|settings| settings.policy.as_ref()) {
        Some(rule::LbPolicy::ConsistentHash(hash)) => {
            let (policy, config) = load_balancer::consistent_hash(hash);
            (cluster.lb_policy, cluster.lb_config) = (policy.into(), config);
        }
        Some(rule::LbPolicy::Simple(SimpleLb::LeastRequest)) => {
            cluster.lb_policy = LbPolicy::LeastRequest.into();
        }
        // gRPC has no other policy: what it does by default is round robin.
        Some(rule::LbPolicy::Simple(_) | rule::LbPolicy::BackendUtilization(_)) | None => {}
    }
    let http = policy.connection_pool.as_ref().and_then(|pool| pool.http.as_ref());
    let requests = http.map(|http| http.http2_max_requests).unwrap_or_default();
    if let Ok(limit @ 1..) = u32::try_from(requests) {
        let threshold = Thresholds { max_requests: Some(limit), ..Thresholds::default() };
        cluster.circuit_breakers =
            Some(CircuitBreakers { thresholds: vec![threshold], per_host_thresholds: Vec::new() });
    }
}
