//! What admission refuses in a DestinationRule.
//!
//! # Upstream
//!
//! istio/istio `pkg/config/validation/validation.go` `ValidateDestinationRule`.
use std::collections::BTreeSet;

use super::{
    DestinationRule, PortTrafficPolicy, ProxyProtocol, Subset, TrafficPolicy, TunnelSettings,
};
use crate::manifest::decode::clip;
use crate::resource::validate::{
    Verdict, Violation, Violations, Wrong, address, attachment, export_to, host, label, metadata,
    port,
};

mod connection_pool;
mod load_balancer;
mod locality;
mod outlier_detection;
mod tls;

pub(in crate::resource) use self::connection_pool::{
    check as connection_pool, settings as connection_pool_settings,
};
pub(crate) use self::locality::depends_on_order;
pub(in crate::resource) use self::locality::{OutlierDetectionIs, locality, zone_aware};
pub(in crate::resource) use self::outlier_detection::check as outlier_detection;
pub(in crate::resource) use self::tls::settings as tls_settings;

impl DestinationRule {
    /// Returns the rules of admission that the object breaks.
    ///
    /// Upstream loses the warnings about the policies of subsets and ports, and so does this.
    ///
    /// # Upstream
    ///
    /// istio/istio `pkg/config/validation/validation.go` `ValidateDestinationRule`.
    pub fn validate(&self) -> Vec<Violation> {
        metadata::then(&self.meta, |violations| {
            let spec = &self.spec;
            let namespace = self.meta.namespace.as_str();
            violations.take_at("host", host::wildcard_domain(&spec.host));
            policy(violations, namespace, spec.traffic_policy.as_ref());
            subsets(violations, namespace, &spec.subsets);
            let of = match spec.workload_selector {
                Some(_) => export_to::Of::SelectingRule,
                None => export_to::Of::Other,
            };
            export_to::check(violations, namespace, &spec.export_to, of);
            if let Some(selector) = &spec.workload_selector {
                violations.field("workloadSelector", |violations| {
                    attachment::selector(violations, selector);
                });
            }
        })
    }
}

/// Checks the name of a subset, where it is defined and where it is used.
///
/// # Upstream
///
/// istio/istio `pkg/config/validation/validation.go` `validateSubsetName`.
pub(in crate::resource) fn subset_name(name: &str) -> Verdict {
    if label::is_dns(name) {
        return Ok(());
    }
    let message = format!("`{}` is not the name of a subset", clip(name));
    Err(Wrong::new("SUBSET-NAME", message, "use letters, digits and inner dashes, at most 63"))
}

fn subsets(violations: &mut Violations, namespace: &str, subsets: &[Subset]) {
    let mut names = BTreeSet::new();
    violations.field("subsets", |violations| {
        violations.each(subsets, |violations, subset| {
            if !names.insert(&*subset.name) {
                let message = format!("there are two subsets `{}`", clip(&subset.name));
                violations.error_at("name", "SUBSET-DUP", &message, "rename one of them");
            }
            violations.take_at("name", subset_name(&subset.name));
            violations.field("labels", |violations| label::check(violations, &subset.labels));
            violations.without_warnings(|violations| {
                policy(violations, namespace, subset.traffic_policy.as_ref());
            });
        });
    });
}

/// Checks a traffic policy, if one is given.
fn policy(violations: &mut Violations, namespace: &str, policy: Option<&TrafficPolicy>) {
    let Some(policy) = policy else { return };
    violations.field("trafficPolicy", |violations| {
        if is_empty(policy) {
            violations.error("TP-EMPTY", "the policy says nothing", "add a setting or remove it");
            return;
        }
        if policy.tunnel.is_some() && policy.proxy_protocol.is_some() {
            let message = "a tunnel and the PROXY protocol exclude each other";
            violations.error("TP-TUNNEL-PROXY", message, "keep one of them");
            return;
        }
        outlier_detection(violations, policy.outlier_detection.as_ref());
        connection_pool(violations, policy.connection_pool.as_ref());
        let outlier = OutlierDetectionIs::of(policy.outlier_detection.as_ref());
        load_balancer::check(violations, policy.load_balancer.as_ref(), outlier);
        tls::check(violations, namespace, policy.tls.as_ref());
        ports(violations, namespace, &policy.port_level_settings);
        tunnel(violations, policy.tunnel.as_ref());
    });
}

fn is_empty(policy: &TrafficPolicy) -> bool {
    let TrafficPolicy {
        load_balancer: None,
        connection_pool: None,
        outlier_detection: None,
        tls: None,
        port_level_settings,
        tunnel: None,
        proxy_protocol: None::<ProxyProtocol>,
        retry_budget: None,
    } = policy
    else {
        return false;
    };
    port_level_settings.is_empty()
}

fn ports(violations: &mut Violations, namespace: &str, ports: &[PortTrafficPolicy]) {
    violations.field("portLevelSettings", |violations| {
        violations.each(ports, |violations, policy| {
            violations.without_warnings(|violations| of_port(violations, namespace, policy));
        });
    });
}

fn of_port(violations: &mut Violations, namespace: &str, policy: &PortTrafficPolicy) {
    if policy.port.is_none() {
        violations.error("PTP-PORT", "the policy has no port", "add `port.number`");
    }
    let is_empty = policy.outlier_detection.is_none()
        && policy.connection_pool.is_none()
        && policy.load_balancer.is_none()
        && policy.tls.is_none();
    if is_empty {
        let message = "the policy of the port says nothing";
        violations.error("PTP-EMPTY", message, "add a setting or remove the entry");
    }
    outlier_detection(violations, policy.outlier_detection.as_ref());
    connection_pool(violations, policy.connection_pool.as_ref());
    let outlier = OutlierDetectionIs::of(policy.outlier_detection.as_ref());
    load_balancer::check(violations, policy.load_balancer.as_ref(), outlier);
    tls::check(violations, namespace, policy.tls.as_ref());
}

/// # Upstream
///
/// istio/istio `pkg/config/validation/validation.go` `validateTunnelSettings`.
fn tunnel(violations: &mut Violations, tunnel: Option<&TunnelSettings>) {
    let Some(tunnel) = tunnel else { return };
    violations.field("tunnel", |violations| {
        if !matches!(&*tunnel.protocol, "" | "CONNECT" | "POST") {
            let message = format!("`{}` makes no tunnel", clip(&tunnel.protocol));
            violations.error_at("protocol", "TUNNEL-PROTOCOL", &message, "CONNECT or POST");
        }
        if host::fqdn(&tunnel.target_host).is_err() && !address::is_ip(&tunnel.target_host) {
            let message = format!("`{}` is no host", clip(&tunnel.target_host));
            let help = "write a host name or an IP address";
            violations.error_at("targetHost", "TUNNEL-HOST", &message, help);
        }
        let verdict = port::number(tunnel.target_port);
        let verdict = verdict.map_err(|wrong| Wrong { rule: "TUNNEL-PORT", ..wrong });
        violations.take_at("targetPort", verdict);
    });
}

#[cfg(test)]
mod tests;
