//! What admission refuses in a Gateway.
use std::collections::BTreeSet;

use super::{Gateway, Port, Server, ServerTlsMode};
use crate::manifest::decode::clip;
use crate::name::Protocol;
use crate::resource::validate::{Violation, Violations, address, host, label, metadata, port};

mod tls;

pub use self::tls::CIPHERS;
pub(in crate::resource) use self::tls::check as server_tls;

impl Gateway {
    /// Returns the rules of admission that the object breaks.
    ///
    /// # Upstream
    ///
    /// istio/istio `pkg/config/validation/validation.go` `ValidateGateway`.
    pub fn validate(&self) -> Vec<Violation> {
        metadata::then(&self.meta, |violations| {
            if !label::is_dns(&self.meta.name) {
                let message = format!("`{}` is not a name for a Gateway", clip(&self.meta.name));
                violations.error("GW-NAME", &message, "use letters, digits and inner dashes");
            }
            if self.spec.servers.is_empty() {
                violations.error("GW-NO-SERVERS", "the Gateway has no server", "add `servers`");
            }
            let mut names = BTreeSet::new();
            violations.field("servers", |violations| {
                violations.each(&self.spec.servers, |violations, block| {
                    server(violations, block);
                    let Some(port) = &block.port else { return };
                    if !names.insert(&*port.name) {
                        let message = format!("two servers have a port `{}`", clip(&port.name));
                        let help = "rename one of them";
                        violations.error_at("port.name", "GW-PORT-NAME-DUP", &message, help);
                    }
                    let redirects = block.tls.as_ref().is_some_and(|tls| tls.https_redirect);
                    if redirects && !Protocol::parse(&port.protocol).is_http() {
                        let message = "only requests in plain HTTP are redirected to HTTPS";
                        let help = "move it to the server of protocol HTTP";
                        let name = "tls.httpsRedirect";
                        violations.warning_at(name, "GW-HTTPS-REDIRECT", message, help);
                    }
                });
            });
        })
    }
}

/// # Upstream
///
/// istio/istio `pkg/config/validation/validation.go` `validateServer`.
fn server(violations: &mut Violations, server: &Server) {
    if server.hosts.is_empty() {
        violations.error("GW-SERVER-HOSTS", "the server has no host", "add `hosts`");
    }
    violations.field("hosts", |violations| {
        violations.each(&server.hosts, |violations, text| {
            host::namespaced(violations, text, host::Owner::Gateway);
        });
    });
    let is_legal = match &server.port {
        Some(block) => {
            let mut is_legal = false;
            violations.field("port", |violations| {
                is_legal = server_port(violations, block, &server.bind);
            });
            is_legal
        }
        None => {
            violations.error("GW-PORT-REQUIRED", "the server has no port", "add `port`");
            false
        }
    };
    bind(violations, server);
    server_tls(violations, server.tls.as_ref());
    if let Some(port) = server.port.as_ref().filter(|_| is_legal) {
        protocol(violations, server, Protocol::parse(&port.protocol));
    }
}

/// Checks a port; returns whether it is legal.
///
/// # Upstream
///
/// istio/istio `pkg/config/validation/validation.go` `validateServerPort`.
fn server_port(violations: &mut Violations, block: &Port, bind: &str) -> bool {
    let mut is_legal = true;
    if Protocol::parse(&block.protocol).is_unsupported() {
        violations.take_at("protocol", Err(port::unknown_protocol(&block.protocol)));
        is_legal = false;
    }
    if block.number > 0 || address::socket(bind).is_none() {
        let verdict = port::number(block.number);
        is_legal &= verdict.is_ok();
        violations.take_at("number", verdict);
    }
    if block.target_port > 0 {
        let message = "a gateway has no target port";
        violations.error_at("targetPort", "GW-TARGET-PORT", message, "remove it");
        is_legal = false;
    }
    if block.name.is_empty() {
        violations.error("GW-PORT-NAME", "the port has no name", "add `name`");
        is_legal = false;
    }
    is_legal
}

/// # Upstream
///
/// istio/istio `pkg/config/validation/validation.go` `validateServerBind`.
fn bind(violations: &mut Violations, server: &Server) {
    let Some(path) = address::socket(&server.bind) else {
        return address::bind(violations, &server.bind);
    };
    violations.take_at("bind", address::socket_path(path));
    if server.port.as_ref().is_some_and(|port| port.number != 0) {
        let message = "a socket has no port number";
        violations.error_at("port.number", "BIND-UNIX-PORT", message, "write 0");
    }
}

/// Checks that TLS is there where the protocol is over TLS, and only there.
fn protocol(violations: &mut Violations, server: &Server, protocol: Protocol) {
    let Some(tls) = &server.tls else {
        if protocol.is_tls() {
            let message = format!("the protocol {protocol} needs TLS settings");
            violations.error("GW-TLS-REQUIRED", &message, "add `tls`");
        }
        return;
    };
    let passes = matches!(tls.mode, ServerTlsMode::Passthrough | ServerTlsMode::AutoPassthrough);
    let files = [&tls.ca_certificates, &tls.private_key, &tls.server_certificate];
    // The redirect to HTTPS is the one setting that plain HTTP has a use for.
    let is_redirect = passes && files.iter().all(|file| file.is_empty());
    let has_use = protocol.is_tls() || (protocol.is_http() && is_redirect);
    if !has_use {
        let message = format!("the protocol {protocol} has no TLS");
        let help = "remove `tls`, or declare HTTPS or TLS";
        violations.error_at("tls", "GW-TLS-ON-PLAINTEXT", &message, help);
    }
}

#[cfg(test)]
mod tests;
