//! What admission refuses in the settings of the mesh, and what stands in for it.
//!
//! Upstream drops the whole document for one mistake. Here only the setting that is wrong falls back
//! to Istio's default, so that a mesh does not lose its trust domain over a port.
//!
//! # Upstream
//!
//! istio/istio `pkg/config/validation/agent/validation.go` `ValidateMeshConfig`.
use std::collections::BTreeSet;

use super::MeshConfig;
use crate::manifest::Severity;
use crate::manifest::decode::clip;
use crate::name::Duration;
use crate::resource::destination_rule::{self, OutlierDetectionIs};
use crate::resource::validate::{
    Verdict, Violation, Violations, Wrong, duration, host, label, port,
};
use crate::resource::virtual_service::{self, Retry};

mod namespaces;
pub(in crate::resource) mod providers;
mod proxy;

/// How long connecting may be allowed to take.
const LONGEST: Duration = Duration::from_secs(3600);

/// The curves that Envoy knows.
///
/// # Upstream
///
/// istio/istio `pkg/config/security/security.go` `ValidECDHCurves`.
const CURVES: [&str; 7] =
    ["P-224", "P-256", "P-521", "P-384", "X25519", "X25519Kyber768Draft00", "X25519MLKEM768"];

impl MeshConfig {
    /// Returns the rules that the settings break.
    ///
    /// # Upstream
    ///
    /// istio/istio `pkg/config/validation/agent/validation.go` `ValidateMeshConfig`.
    pub fn validate(&self) -> Vec<Violation> {
        let mut violations = Violations::default();
        self.check(&mut violations);
        violations.into_found()
    }

    fn check(&self, violations: &mut Violations) {
        violations.take_at("proxyListenPort", port::number(self.proxy_listen_port));
        violations.take_at("connectTimeout", connect_timeout(self.connect_timeout));
        let detection = self.protocol_detection_timeout.unwrap_or_default();
        violations.take_at("protocolDetectionTimeout", duration::precision(detection));
        violations
            .field("defaultConfig", |violations| proxy::check(violations, &self.default_config));
        violations.field("localityLbSetting", |violations| {
            let block = &self.locality_lb_setting;
            destination_rule::locality(violations, block, OutlierDetectionIs::Elsewhere);
        });
        if let Some(block) = &self.zone_aware_lb_setting {
            violations.field("zoneAwareLbSetting", |violations| {
                destination_rule::zone_aware(violations, block, OutlierDetectionIs::Elsewhere);
            });
        }
        violations.field("serviceSettings", |violations| {
            violations.each(&self.service_settings, |violations, entry| {
                violations.field("hosts", |violations| {
                    violations.each(&entry.hosts, |violations, name| {
                        violations.take(host::wildcard_domain(name));
                    });
                });
            });
        });
        violations.take_at("trustDomain", trust_domain(&self.trust_domain));
        violations.field("trustDomainAliases", |violations| {
            violations.each(&self.trust_domain_aliases, |violations, name| {
                violations.take(trust_domain(name));
            });
        });
        self.check_tls(violations);
        self.check_defaults(violations);
        namespaces::selectors(violations, &self.discovery_selectors);
        namespaces::names(violations, self);
    }

    fn check_tls(&self, violations: &mut Violations) {
        if self.mesh_mtls.as_ref().is_some_and(|tls| !tls.ecdh_curves.is_empty()) {
            let message = "between workloads the curves are Istio's own";
            violations.error_at("meshMTLS.ecdhCurves", "MC-MESH-CURVES", message, "remove them");
        }
        let mut seen = BTreeSet::new();
        violations.field("tlsDefaults.ecdhCurves", |violations| {
            let curves = self.tls_defaults.iter().flat_map(|tls| &tls.ecdh_curves);
            violations.each(curves, |violations, curve| {
                if !curve.is_empty() && !CURVES.contains(&&**curve) {
                    let message = format!("the curve `{}` is unknown", clip(curve));
                    violations.warning("MC-CURVE", &message, "use BoringSSL's names");
                } else if !seen.insert(curve) {
                    let message = format!("the curve `{}` is there twice", clip(curve));
                    violations.warning("MC-CURVE", &message, "remove one of them");
                }
            });
        });
    }

    fn check_defaults(&self, violations: &mut Violations) {
        if let Some(policy) = &self.default_traffic_policy {
            violations.field("defaultTrafficPolicy", |violations| {
                // Upstream does not look at HTTP/2's keepalive here.
                let mut pool = policy.connection_pool.clone();
                if let Some(http) = pool.as_mut().and_then(|pool| pool.http.as_mut()) {
                    http.http2_keep_alive = None;
                }
                destination_rule::connection_pool(violations, pool.as_ref());
                let outlier = policy.outlier_detection.as_ref();
                // Upstream does not warn of the deprecated field here.
                violations.without_warnings(|violations| {
                    destination_rule::outlier_detection(violations, outlier);
                });
            });
        }
        let name = "defaultInboundHttpRetryPolicy";
        let retries = self.default_inbound_http_retry_policy.as_ref();
        virtual_service::retry(violations, name, retries);
        if retries.is_some_and(|retries| retries.attempts == 0 && retries.backoff.is_some()) {
            let message = "there are settings for retries and no attempts";
            let help = "set `attempts`, or remove the others";
            violations.error_at(name, "RETRY-DISABLED-WITH-SETTINGS", message, help);
        }
        if let Some(retries) = retries {
            violations.field(name, |violations| inbound_retry(violations, retries));
        }
    }

    /// Puts Istio's defaults in the place of what breaks a rule, and leaves out the entries of lists
    /// that do.
    pub(in crate::resource) fn repair(&mut self, violations: &[Violation]) {
        let defaults = Self::default();
        let is_wrong = |field: &str| {
            let is_of = |violation: &Violation| {
                let rest = violation.field.strip_prefix(field);
                violation.severity == Severity::Error
                    && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
            };
            violations.iter().any(is_of)
        };
        let mut reset = |field: &str, repair: &dyn Fn(&mut Self, &Self)| {
            if is_wrong(field) {
                repair(self, &defaults);
            }
        };
        reset("proxyListenPort", &|ours, theirs| ours.proxy_listen_port = theirs.proxy_listen_port);
        reset("connectTimeout", &|ours, theirs| ours.connect_timeout = theirs.connect_timeout);
        reset("protocolDetectionTimeout", &|ours, theirs| {
            ours.protocol_detection_timeout = theirs.protocol_detection_timeout;
        });
        reset("localityLbSetting", &|ours, theirs| {
            ours.locality_lb_setting = theirs.locality_lb_setting.clone();
        });
        reset("zoneAwareLbSetting", &|ours, _| ours.zone_aware_lb_setting = None);
        reset("trustDomain", &|ours, theirs| ours.trust_domain = theirs.trust_domain.clone());
        reset("meshMTLS.ecdhCurves", &|ours, _| {
            if let Some(tls) = &mut ours.mesh_mtls {
                tls.ecdh_curves.clear();
            }
        });
        reset("defaultTrafficPolicy", &|ours, _| ours.default_traffic_policy = None);
        reset("defaultInboundHttpRetryPolicy", &|ours, _| {
            ours.default_inbound_http_retry_policy = None;
        });
        reset("discoverySelectors", &|ours, _| ours.discovery_selectors.clear());
        for entry in &mut self.service_settings {
            entry.hosts.retain(|name| host::wildcard_domain(name).is_ok());
        }
        self.trust_domain_aliases.retain(|name| trust_domain(name).is_ok());
        proxy::repair(&mut self.default_config, &is_wrong);
    }
}

/// Tells of settings that retries of inbound requests do not have: there is one host, the workload.
///
/// # Upstream
///
/// istio/istio `pkg/config/validation/agent/validation.go` `validateMeshConfigDefaultInboundHTTPRetryPolicy`.
fn inbound_retry(violations: &mut Violations, retries: &Retry) {
    let without_effect = [
        ("perTryTimeout", retries.per_try_timeout.is_some()),
        ("retryRemoteLocalities", retries.retry_remote_localities.is_some()),
        ("retryIgnorePreviousHosts", retries.retry_ignore_previous_hosts.is_some()),
    ];
    for (name, _) in without_effect.iter().filter(|(_, is_given)| *is_given) {
        let message = "retries of inbound requests do not have this setting: it changes nothing";
        violations.warning_at(name, "MC-INBOUND-RETRY", message, "remove it");
    }
}

fn connect_timeout(timeout: Option<Duration>) -> Verdict {
    let timeout = timeout.unwrap_or_default();
    duration::verdict(timeout)?;
    if timeout <= LONGEST {
        return Ok(());
    }
    let message = format!("`{timeout}` is more than an hour");
    Err(Wrong::new("MC-CONNECT-TIMEOUT", message, "write a duration such as `10s`"))
}

/// # Upstream
///
/// istio/istio `pkg/config/validation/agent/validation.go` `ValidateTrustDomain`.
pub(in crate::resource) fn trust_domain(name: &str) -> Verdict {
    let body = name.strip_suffix('.').unwrap_or(name);
    if body.split('.').all(label::is_dns) {
        return Ok(());
    }
    let message = format!("`{}` is not a trust domain", clip(name));
    Err(Wrong::new("MC-TRUST-DOMAIN", message, "write a name such as `cluster.local`"))
}

#[cfg(test)]
mod tests;
