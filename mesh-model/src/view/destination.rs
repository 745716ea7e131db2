//! How traffic to a service, port and subset is to be handled: policies composed level by level.
//!
//! Blocks are replaced as a whole, fields inside a block are never merged.
//!
//! # Upstream
//!
//! istio/istio `pilot/pkg/networking/util/util.go` `GetPortLevelTrafficPolicy`,
//! `MergeSubsetTrafficPolicy`; `core/cluster_traffic_policy.go` `applyDefaultTrafficPolicy`.
use std::ops::Deref;
use std::sync::Arc;

use super::mtls::ClientTls;
use crate::registry::MergedRule;
use crate::resource::destination_rule::{ClientTlsMode, PortTrafficPolicy, TrafficPolicy};
use crate::resource::mesh_config::DefaultTrafficPolicy;

/// A policy as a rule has it, or one that was composed of several; soon copied and handed about.
///
/// Those that say the same are equal.
#[derive(Clone, Debug)]
pub struct ComposedPolicy<'p>(Inner<'p>);

#[derive(Clone, Debug)]
enum Inner<'p> {
    Rule(&'p TrafficPolicy),
    Own(Arc<TrafficPolicy>),
}

impl ComposedPolicy<'_> {
    /// Takes the policy, or copies it.
    pub fn into_owned(self) -> TrafficPolicy {
        match self.0 {
            Inner::Rule(policy) => policy.clone(),
            Inner::Own(policy) => Arc::unwrap_or_clone(policy),
        }
    }
}

impl Deref for ComposedPolicy<'_> {
    type Target = TrafficPolicy;

    fn deref(&self) -> &TrafficPolicy {
        match &self.0 {
            Inner::Rule(policy) => policy,
            Inner::Own(policy) => policy,
        }
    }
}

impl PartialEq for ComposedPolicy<'_> {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(&**self, &**other) || **self == **other
    }
}

impl<'p> From<&'p TrafficPolicy> for ComposedPolicy<'p> {
    fn from(policy: &'p TrafficPolicy) -> Self {
        Self(Inner::Rule(policy))
    }
}

impl From<TrafficPolicy> for ComposedPolicy<'_> {
    fn from(policy: TrafficPolicy) -> Self {
        Self(Inner::Own(Arc::new(policy)))
    }
}

/// Returns the policy of one port: the entry for its number alone, without anything inherited, or
/// the policy itself. The flag says whether there was an entry.
pub fn port_level(policy: ComposedPolicy<'_>, port: u16) -> (ComposedPolicy<'_>, bool) {
    let Some(entry) = port_entry(&policy, port) else { return (policy, false) };
    let only = TrafficPolicy {
        connection_pool: entry.connection_pool.clone(),
        outlier_detection: entry.outlier_detection.clone(),
        load_balancer: entry.load_balancer.clone(),
        tls: entry.tls.clone(),
        ..TrafficPolicy::default()
    };
    (only.into(), true)
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
    destination: Option<ComposedPolicy<'p>>,
    subset: Option<&'p TrafficPolicy>,
    port: Option<u16>,
) -> Option<ComposedPolicy<'p>> {
    let at_port = |policy| match port {
        Some(port) => port_level(policy, port),
        None => (policy, false),
    };
    let destination = destination.map(|policy| at_port(policy).0);
    let Some(subset) = subset else { return destination };
    let (subset, has_entry) = at_port(subset.into());
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
    Some(merged.into())
}

fn replace<T>(block: &mut Option<T>, over: Option<T>, clear: bool) {
    if over.is_some() || clear {
        *block = over;
    }
}

/// Fills connection pool and outlier detection from `MeshConfig.defaultTrafficPolicy` where the
/// policy has none. For clusters only: endpoints look at the rule alone.
pub fn with_mesh_default<'p>(
    policy: Option<ComposedPolicy<'p>>,
    mesh_default: Option<&DefaultTrafficPolicy>,
) -> Option<ComposedPolicy<'p>> {
    let Some(mesh_default) = mesh_default else { return policy };
    if mesh_default.connection_pool.is_none() && mesh_default.outlier_detection.is_none() {
        return policy;
    }
    let lacks = |policy: &TrafficPolicy| {
        (policy.connection_pool.is_none() && mesh_default.connection_pool.is_some())
            || (policy.outlier_detection.is_none() && mesh_default.outlier_detection.is_some())
    };
    if policy.as_deref().is_some_and(|policy| !lacks(policy)) {
        return policy;
    }
    let mut policy = policy.map(ComposedPolicy::into_owned).unwrap_or_default();
    if policy.connection_pool.is_none() {
        policy.connection_pool.clone_from(&mesh_default.connection_pool);
    }
    if policy.outlier_detection.is_none() {
        policy.outlier_detection.clone_from(&mesh_default.outlier_detection);
    }
    Some(policy.into())
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
