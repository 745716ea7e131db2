//! What admission refuses in a Sidecar.
use std::collections::BTreeSet;

use super::{IngressListener, OutboundTrafficMode, OutboundTrafficPolicy, Sidecar, SidecarPort};
use crate::manifest::decode::clip;
use crate::name::Protocol;
use crate::resource::gateway::{ServerTlsMode, ServerTlsSettings, server_tls};
use crate::resource::validate::{
    Verdict, Violation, Violations, Wrong, address, attachment, host, metadata, port,
};
use crate::resource::{destination_rule, virtual_service};

mod egress;

impl Sidecar {
    /// Returns the rules of admission that the object breaks.
    ///
    /// # Upstream
    ///
    /// istio/istio `pkg/config/validation/validation.go` `ValidateSidecar`.
    pub fn validate(&self) -> Vec<Violation> {
        metadata::then(&self.meta, |violations| {
            let spec = &self.spec;
            let is_empty = spec.ingress.is_empty()
                && spec.egress.is_empty()
                && spec.outbound_traffic_policy.is_none()
                && spec.inbound_connection_pool.is_none();
            let selector = spec.workload_selector.as_ref();
            if !attachment::labels(violations, "workloadSelector", selector) {
                return;
            }
            if is_empty {
                violations.keep_errors();
                let message = "the object says nothing";
                let help = "add `egress`, `ingress` or `outboundTrafficPolicy`";
                violations.error("SC-EMPTY", message, help);
                return;
            }
            ingress(violations, &spec.ingress);
            violations.field("inboundConnectionPool", |violations| {
                let pool = spec.inbound_connection_pool.as_ref();
                destination_rule::connection_pool_settings(violations, pool);
            });
            egress::check(violations, self.meta.namespace.as_str(), &spec.egress);
            if let Some(policy) = &spec.outbound_traffic_policy {
                violations.field("outboundTrafficPolicy", |violations| {
                    outbound_traffic_policy(violations, policy);
                });
            }
        })
    }
}

fn ingress(violations: &mut Violations, listeners: &[IngressListener]) {
    let mut numbers = BTreeSet::new();
    violations.field("ingress", |violations| {
        violations.each(listeners, |violations, listener| {
            let Some(port) = &listener.port else {
                violations.error("SC-INGRESS-PORT", "the listener has no port", "add `port`");
                return;
            };
            violations.field("port", |violations| listener_port(violations, port));
            violations.take_at("port.number", port::number(port.number));
            address::bind(violations, &listener.bind);
            if !numbers.insert(port.number) {
                let message = format!("two listeners have port {}", port.number);
                violations.error_at("port.number", "SC-PORT-DUP", &message, "keep one of them");
            }
            if !listener.default_endpoint.is_empty() {
                violations.take_at("defaultEndpoint", endpoint(&listener.default_endpoint));
            }
            if let Some(settings) = &listener.tls {
                tls(violations, settings, port);
            }
            pool(violations, listener, port);
        });
    });
}

/// Checks what ports of listeners of both directions have in common.
fn listener_port(violations: &mut Violations, port: &SidecarPort) {
    if port.target_port > 0 {
        let message = "a listener has no target port";
        violations.error_at("targetPort", "SC-TARGET-PORT", message, "use `defaultEndpoint`");
    }
    if !port.name.is_empty() {
        violations.take_at("name", port::name(&port.name));
    }
    violations.take_at("protocol", port::protocol(&port.protocol));
}

fn endpoint(text: &str) -> Verdict {
    if let Some(path) = address::socket(text) {
        return address::socket_path(path);
    }
    let own = ["", "127.0.0.1", "0.0.0.0", "::1", "::"];
    let parts = address::split_host_port(text).filter(|(host, _)| own.contains(host));
    let Some(number) = parts.and_then(|(_, number)| number.parse::<i64>().ok()) else {
        let message = format!("`{}` is not an endpoint of the workload itself", clip(text));
        let help = "write `127.0.0.1:PORT`, `0.0.0.0:PORT`, `[::1]:PORT` or `unix://PATH`";
        return Err(Wrong::new("SC-DEFAULT-ENDPOINT", message, help));
    };
    port::number(number)
}

fn tls(violations: &mut Violations, tls: &ServerTlsSettings, port: &SidecarPort) {
    let refused = [
        ("subjectAltNames", !tls.subject_alt_names.is_empty()),
        ("httpsRedirect", tls.https_redirect),
        ("credentialName", !tls.credential_name.is_empty()),
        ("credentialNames", !tls.credential_names.is_empty()),
        ("tlsCertificates", !tls.tls_certificates.is_empty()),
        ("mode", matches!(tls.mode, ServerTlsMode::IstioMutual | ServerTlsMode::AutoPassthrough)),
    ];
    violations.field("tls", |violations| {
        for (name, _) in refused.into_iter().filter(|(_, is_given)| *is_given) {
            let message = format!("a sidecar has no use for this `{name}`");
            violations.error_at(name, "SC-INGRESS-TLS", &message, "terminate TLS with files");
        }
        if !Protocol::parse(&port.protocol).is_tls() {
            let message = "the protocol of the port is not over TLS";
            violations.error("SC-INGRESS-TLS", message, "declare HTTPS or TLS, or remove `tls`");
        }
    });
    server_tls(violations, Some(tls));
}

fn pool(violations: &mut Violations, listener: &IngressListener, port: &SidecarPort) {
    let pool = listener.connection_pool.as_ref();
    destination_rule::connection_pool(violations, pool);
    let has_http = pool.is_some_and(|pool| pool.http.is_some());
    if has_http && !Protocol::parse(&port.protocol).is_http() {
        let message = "limits of requests do not count on a port that is not HTTP";
        violations.warning_at("connectionPool.http", "SC-POOL-HTTP", message, "declare HTTP");
    }
}

/// # Upstream
///
/// istio/istio `pkg/config/validation/validation.go` `validateSidecarOutboundTrafficPolicy`.
fn outbound_traffic_policy(violations: &mut Violations, policy: &OutboundTrafficPolicy) {
    if policy.mode == OutboundTrafficMode::AllowAnyDynamicDns {
        let message = "ALLOW_ANY_DYNAMIC_DNS is a setting of the whole mesh";
        violations.error_at("mode", "SC-OUTBOUND-MODE", message, "set it in MeshConfig");
        return;
    }
    let Some(proxy) = &policy.egress_proxy else { return };
    violations.field("egressProxy", |violations| {
        if policy.mode != OutboundTrafficMode::AllowAny {
            let message = "traffic that is dropped reaches no egress proxy";
            violations.error("SC-EGRESS-PROXY", message, "set `mode: ALLOW_ANY`");
            return;
        }
        // What is no wildcard either is told by the checks of the destination.
        if proxy.port.is_none() || host::wildcard_domain(&proxy.host).is_ok() {
            violations.take_at("host", host::fqdn(&proxy.host));
        }
        if proxy.port.is_none() {
            let message = "the egress proxy has no port";
            violations.error("SC-EGRESS-PROXY", message, "add `port.number`");
            return;
        }
        virtual_service::destination(violations, proxy);
    });
}

#[cfg(test)]
mod tests;
