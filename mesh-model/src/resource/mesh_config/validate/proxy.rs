//! What is refused in the settings of proxies.
//!
//! # Upstream
//!
//! istio/istio `pkg/config/validation/agent/validation.go` `ValidateMeshConfigProxyConfig`.
use super::super::ProxyConfig;
use crate::manifest::decode::clip;
use crate::name::Duration;
use crate::resource::validate::{Verdict, Violations, Wrong, address, duration, host, port};

mod connections;
mod key_provider;
mod tracing;

/// Checks the settings of proxies that have none of their own.
pub(super) fn check(violations: &mut Violations, config: &ProxyConfig) {
    violations.take_at("drainDuration", drain(config.drain_duration));
    violations.take_at("discoveryAddress", endpoint(&config.discovery_address));
    let addresses = [
        ("statsdUdpAddress", &*config.statsd_udp_address),
        ("envoyMetricsServiceAddress", &*config.envoy_metrics_service_address),
        ("envoyMetricsService.address", address_of(config.envoy_metrics_service.as_ref())),
        ("envoyAccessLogService.address", address_of(config.envoy_access_log_service.as_ref())),
    ];
    for (name, text) in addresses {
        if !text.is_empty() {
            violations.take_at(name, endpoint(text));
        }
    }
    violations.take_at("proxyAdminPort", port::number(config.proxy_admin_port));
    violations.take_at("statusPort", port::number(config.status_port));
    if let Some(settings) = &config.connection_settings {
        violations.field("connectionSettings", |violations| {
            connections::check(violations, settings);
        });
    }
    if let Some(settings) = &config.tracing {
        violations.field("tracing", |violations| tracing::check(violations, settings));
    }
    if let Some(provider) = &config.private_key_provider {
        violations.field("privateKeyProvider", |violations| {
            violations.take(key_provider::check(provider));
        });
    }
    if config.proxy_metadata.contains_key("ISTIO_META_DNS_AUTO_ALLOCATE") {
        let message = "`ISTIO_META_DNS_AUTO_ALLOCATE` is deprecated";
        let help = "the control plane allocates addresses";
        let name = "proxyMetadata.ISTIO_META_DNS_AUTO_ALLOCATE";
        violations.warning_at(name, "MC-DNS-AUTO-ALLOCATE", message, help);
    }
}

/// Puts Istio's defaults in the place of what breaks a rule.
pub(super) fn repair(config: &mut ProxyConfig, is_wrong: &dyn Fn(&str) -> bool) {
    let standard = ProxyConfig::standard();
    if is_wrong("defaultConfig.drainDuration") {
        config.drain_duration = standard.drain_duration;
    }
    if is_wrong("defaultConfig.discoveryAddress") {
        config.discovery_address = standard.discovery_address;
    }
    if is_wrong("defaultConfig.proxyAdminPort") {
        config.proxy_admin_port = standard.proxy_admin_port;
    }
    if is_wrong("defaultConfig.statusPort") {
        config.status_port = standard.status_port;
    }
    if is_wrong("defaultConfig.statsdUdpAddress") {
        config.statsd_udp_address = Box::default();
    }
    if is_wrong("defaultConfig.envoyMetricsServiceAddress") {
        config.envoy_metrics_service_address = Box::default();
    }
    if is_wrong("defaultConfig.envoyMetricsService.address") {
        config.envoy_metrics_service = None;
    }
    if is_wrong("defaultConfig.envoyAccessLogService.address") {
        config.envoy_access_log_service = None;
    }
    if is_wrong("defaultConfig.tracing") {
        config.tracing = standard.tracing;
    }
    if is_wrong("defaultConfig.privateKeyProvider") {
        config.private_key_provider = None;
    }
    if let Some(settings) = &mut config.connection_settings {
        connections::repair(settings, is_wrong);
    }
}

fn address_of(service: Option<&super::super::RemoteService>) -> &str {
    service.map(|service| &*service.address).unwrap_or_default()
}

/// # Upstream
///
/// istio/istio `pkg/config/validation/agent/validation.go` `ValidateDrainDuration`.
fn drain(given: Option<Duration>) -> Verdict {
    let given = given.unwrap_or_default();
    duration::verdict(given)?;
    if given.subsec_nanos() == 0 {
        return Ok(());
    }
    let message = format!("`{given}` is not a whole number of seconds");
    Err(Wrong::new("DUR-PRECISION", message, "round it to seconds"))
}

/// Checks `HOST:PORT`.
///
/// # Upstream
///
/// istio/istio `pkg/config/validation/agent/validation.go` `ValidateProxyAddress`.
fn endpoint(text: &str) -> Verdict {
    let is_endpoint = |(name, number): (&str, &str)| {
        let is_port = number.parse::<i64>().is_ok_and(|number| port::number(number).is_ok());
        is_port && (host::fqdn(name).is_ok() || address::is_ip(name))
    };
    if address::split_host_port(text).is_some_and(is_endpoint) {
        return Ok(());
    }
    let message = format!("`{}` is not a host with a port", clip(text));
    Err(Wrong::new("MC-PROXY-ADDRESS", message, "write `HOST:PORT`"))
}
