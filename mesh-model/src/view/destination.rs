//! How traffic to a service, port and subset is to be handled: policies composed level by level.
//!
//! Blocks are replaced as a whole, fields inside a block are never merged.
//!
//! # Upstream
//!
//! istio/istio `pilot/pkg/networking/util/util.go` `GetPortLevelTrafficPolicy`,
//! `MergeSubsetTrafficPolicy`; `core/cluster_traffic_policy.go` `applyDefaultTrafficPolicy`.
use std::borrow::Cow;

use super::mtls::ClientTls;
use crate::registry::MergedRule;
use crate::resource::destination_rule::{ClientTlsMode, PortTrafficPolicy, TrafficPolicy};
use crate::resource::mesh_config::DefaultTrafficPolicy;

/// Returns the policy of one port: the entry for its number alone, without anything inherited, or
/// the policy itself. The flag says whether there was an entry.
pub fn port_level(policy: Cow<'_, TrafficPolicy>, port: u16) -> (Cow<'_, TrafficPolicy>, bool) {
    let Some(entry) = port_entry(&policy, port) else { return (policy, false) };
    let only = TrafficPolicy {
        connection_pool: entry.connection_pool.clone(),
        outlier_detection: entry.outlier_detection.clone(),
        load_balancer: entry.load_balancer.clone(),
        tls: entry.tls.clone(),
        ..TrafficPolicy::default()
    };
    (Cow::Owned(only), true)
}

fn port_entry(policy: &TrafficPolicy, port: u16) -> Option<&PortTrafficPolicy> {
    policy.port_level_settings.iter().find(|entry| is_for(entry, port))
}

fn is_for(entry: &PortTrafficPolicy, port: u16) -> bool {
    entry.port.as_ref().is_some_and(|selector| selector.number == u32::from(port))
}

/// Composes the policy of a subset over that of its destination, for a port if one is given.
///
/// A block that the subset has replaces the destination's; where the subset has an entry for the
/// port, blocks that the entry lacks are cleared too, but for tunnel, PROXY protocol and retry
/// budget, which are always inherited.
pub fn subset_policy<'p>(
    destination: Option<Cow<'p, TrafficPolicy>>,
    subset: Option<&'p TrafficPolicy>,
    port: Option<u16>,
) -> Option<Cow<'p, TrafficPolicy>> {
    let at_port = |policy| match port {
        Some(port) => port_level(policy, port),
        None => (policy, false),
    };
    let destination = destination.map(|policy| at_port(policy).0);
    let Some(subset) = subset else { return destination };
    let (subset, has_entry) = at_port(Cow::Borrowed(subset));
    let Some(destination) = destination else { return Some(subset) };

    let mut merged = destination.into_owned();
    merged.port_level_settings = <_>::default();
    let subset = subset.into_owned();
    replace(&mut merged.connection_pool, subset.connection_pool, has_entry);
    replace(&mut merged.outlier_detection, subset.outlier_detection, has_entry);
    replace(&mut merged.load_balancer, subset.load_balancer, has_entry);
    replace(&mut merged.tls, subset.tls, has_entry);
    replace(&mut merged.tunnel, subset.tunnel, false);
    replace(&mut merged.proxy_protocol, subset.proxy_protocol, false);
    replace(&mut merged.retry_budget, subset.retry_budget, false);
    Some(Cow::Owned(merged))
}

fn replace<T>(block: &mut Option<T>, over: Option<T>, clear: bool) {
    if over.is_some() || clear {
        *block = over;
    }
}

/// Fills connection pool and outlier detection from `MeshConfig.defaultTrafficPolicy` where the
/// policy has none. For clusters only: endpoints look at the rule alone.
pub fn with_mesh_default<'p>(
    policy: Option<Cow<'p, TrafficPolicy>>,
    mesh_default: Option<&DefaultTrafficPolicy>,
) -> Option<Cow<'p, TrafficPolicy>> {
    let Some(mesh_default) = mesh_default else { return policy };
    if mesh_default.connection_pool.is_none() && mesh_default.outlier_detection.is_none() {
        return policy;
    }
    let mut policy = policy.unwrap_or_default();
    if policy.connection_pool.is_none() && mesh_default.connection_pool.is_some() {
        policy.to_mut().connection_pool.clone_from(&mesh_default.connection_pool);
    }
    if policy.outlier_detection.is_none() && mesh_default.outlier_detection.is_some() {
        policy.to_mut().outlier_detection.clone_from(&mesh_default.outlier_detection);
    }
    Some(policy)
}

/// Returns the TLS mode that a rule sets for endpoints, which is not the rule of clusters: a port
/// entry without `tls` changes nothing here; a subset that is not found sets nothing.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/xds/endpoints/mtls_checker.go` `mtlsChecker`, `tlsModeForDestinationRule`.
pub fn endpoint_tls(rule: &MergedRule, subset: &str, port: u16) -> Option<ClientTls> {
    let of_policy = |policy: &TrafficPolicy| {
        let entry = policy.port_level_settings.iter().filter(|entry| is_for(entry, port));
        let entry = entry.filter_map(|entry| entry.tls.as_ref()).next();
        entry.or(policy.tls.as_ref()).map(|tls| client_tls(tls.mode))
    };
    let destination = rule.traffic_policy.as_ref().and_then(of_policy);
    if subset.is_empty() {
        return destination;
    }
    let subset = rule.subset(subset)?;
    subset.traffic_policy.as_ref().and_then(of_policy).or(destination)
}

/// The mode as decisions about mutual TLS name it.
pub const fn client_tls(mode: ClientTlsMode) -> ClientTls {
    match mode {
        ClientTlsMode::Disable => ClientTls::Disable,
        ClientTlsMode::Simple => ClientTls::Simple,
        ClientTlsMode::Mutual => ClientTls::Mutual,
        ClientTlsMode::IstioMutual => ClientTls::IstioMutual,
    }
}
