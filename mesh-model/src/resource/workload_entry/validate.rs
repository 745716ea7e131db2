//! What admission refuses in a WorkloadEntry, alone and as an endpoint, and in a WorkloadGroup.
use std::collections::BTreeSet;

use super::{WorkloadEntry, WorkloadEntrySpec, WorkloadGroup};
use crate::manifest::decode::clip;
use crate::resource::readiness_probe::{HealthCheckMethod, HttpHealthCheck, ReadinessProbe};
use crate::resource::validate::{
    Violation, Violations, address, header, host, label, metadata, port,
};

impl WorkloadEntry {
    /// Returns the rules of admission that the object breaks.
    ///
    /// # Upstream
    ///
    /// istio/istio `pkg/config/validation/validation.go` `ValidateWorkloadEntry`.
    pub fn validate(&self) -> Vec<Violation> {
        metadata::then(&self.meta, |violations| entry(violations, &self.spec, Of::Itself))
    }
}

/// What an endpoint belongs to.
#[derive(Clone, Copy, Debug)]
pub(in crate::resource) enum Of<'s> {
    /// Nothing yet: it may have a host name.
    Itself,
    /// A ServiceEntry with a list of endpoints, which has ports of these names.
    Static(&'s BTreeSet<&'s str>),
}

/// Checks an endpoint.
///
/// # Upstream
///
/// istio/istio `pkg/config/validation/validation.go` `validateWorkloadEntry`.
pub(in crate::resource) fn entry(
    violations: &mut Violations,
    entry: &WorkloadEntrySpec,
    of: Of<'_>,
) {
    let text = &*entry.address;
    if text.is_empty() {
        if entry.network.is_empty() {
            let message = "the endpoint has no address";
            violations.error("WE-ADDRESS", message, "add `address`, or at least `network`");
            return;
        }
        let message = "without an address the endpoint is reached through its network's gateway";
        violations.warning("WE-ADDRESS-NETWORK-ONLY", message, "add `address` if it has one");
    }
    if let Some(path) = address::socket(text) {
        socket(violations, entry, path, of);
    } else if !text.is_empty() && !address::is_ip(text) {
        place(violations, text, of);
    }
    let names = match of {
        Of::Itself => None,
        Of::Static(names) => Some(names),
    };
    ports(violations, entry, names);
    violations.field("labels", |violations| label::check(violations, &entry.labels));
}

/// Checks an endpoint that is a socket, the `unix://` taken off.
pub(in crate::resource) fn socket(
    violations: &mut Violations,
    entry: &WorkloadEntrySpec,
    path: &str,
    of: Of<'_>,
) {
    violations.take_at("address", address::socket_path(path));
    if !entry.ports.is_empty() {
        let message = "a socket has no ports";
        violations.error_at("ports", "WE-UNIX-PORTS", message, "remove them");
    }
    if matches!(of, Of::Static(names) if names.len() != 1) {
        let message = "a socket is the endpoint of one port only";
        let help = "leave one port in the ServiceEntry";
        violations.error_at("address", "WE-UNIX-SINGLE-PORT", message, help);
    }
}

fn place(violations: &mut Violations, text: &str, of: Of<'_>) {
    match of {
        Of::Static(_) => {
            let message = format!("`{}` is not an IP address", clip(text));
            let help = "write an address, or set a DNS resolution";
            violations.error_at("address", "WE-ADDRESS-NOT-IP", &message, help);
        }
        Of::Itself => named(violations, text),
    }
}

/// Checks that an address is one of the internet or a host name.
pub(in crate::resource) fn named(violations: &mut Violations, text: &str) {
    if !address::is_ip(text) && host::fqdn(text).is_err() {
        let message = format!("`{}` is neither an IP address nor a host", clip(text));
        let help = "write an address or a host name";
        violations.error_at("address", "WE-ADDRESS-INVALID", &message, help);
    }
}

/// Checks the ports of an endpoint, whose names those of its service have, if they are known.
pub(in crate::resource) fn ports(
    violations: &mut Violations,
    entry: &WorkloadEntrySpec,
    names: Option<&BTreeSet<&str>>,
) {
    violations.field("ports", |violations| {
        violations.entries(&entry.ports, |violations, name, number| {
            if names.is_some_and(|names| !names.contains(&**name)) {
                let message = format!("the service has no port `{}`", clip(name));
                violations.error("WE-PORT-UNDEFINED", &message, "use the name of a port");
            }
            violations.take(port::name(name));
            violations.take(port::number(*number));
        });
    });
}

impl WorkloadGroup {
    /// Returns the rules of admission that the object breaks.
    ///
    /// # Upstream
    ///
    /// istio/istio `pkg/config/validation/validation.go` `ValidateWorkloadGroup`.
    pub fn validate(&self) -> Vec<Violation> {
        metadata::then(&self.meta, |violations| {
            if self.spec.template.is_none() {
                let message = "the group has no template";
                violations.error("WG-TEMPLATE", message, "add `template`, if only `{}`");
                return;
            }
            if let Some(metadata) = &self.spec.metadata {
                violations.field("metadata.labels", |violations| {
                    label::check(violations, &metadata.labels);
                });
                if violations.has_error() {
                    return;
                }
            }
            if let Some(block) = &self.spec.probe {
                violations.field("probe", |violations| probe(violations, block));
            }
        })
    }
}

/// # Upstream
///
/// istio/istio `pkg/config/validation/validation.go` `validateReadinessProbe`.
fn probe(violations: &mut Violations, probe: &ReadinessProbe) {
    let numbers = [
        ("periodSeconds", probe.period_seconds),
        ("initialDelaySeconds", probe.initial_delay_seconds),
        ("timeoutSeconds", probe.timeout_seconds),
        ("successThreshold", probe.success_threshold),
        ("failureThreshold", probe.failure_threshold),
    ];
    for (name, number) in numbers {
        if number < 0 {
            let message = format!("`{number}` is negative");
            violations.error_at(name, "PROBE-NEGATIVE", &message, "0 is the default");
        }
    }
    match &probe.method {
        Some(HealthCheckMethod::HttpGet(block)) => {
            violations.field("httpGet", |violations| http(violations, block));
        }
        Some(HealthCheckMethod::TcpSocket(block)) => {
            violations.take_at("tcpSocket.port", port::number(block.port));
        }
        Some(HealthCheckMethod::Exec(block)) if block.command.is_empty() => {
            let message = "the probe has no command";
            violations.error_at("exec.command", "PROBE-EXEC", message, "add the command");
        }
        Some(HealthCheckMethod::Exec(_)) => {}
        // Upstream's validation does not know probes of gRPC.
        Some(HealthCheckMethod::Grpc(_)) | None => {
            let message = "the probe does not say how the workload is asked";
            let help = "add `httpGet`, `tcpSocket` or `exec`";
            violations.error("PROBE-METHOD", message, help);
        }
    }
}

fn http(violations: &mut Violations, block: &HttpHealthCheck) {
    violations.take_at("port", port::number(block.port));
    if !matches!(&*block.scheme, "" | "HTTP" | "HTTPS") {
        let message = format!("`{}` is not a scheme", clip(&block.scheme));
        violations.error_at("scheme", "PROBE-SCHEME", &message, "write `HTTP` or `HTTPS`");
    }
    violations.field("httpHeaders", |violations| {
        violations.each(&block.http_headers, |violations, header| {
            violations.take_at("name", header::probe(&header.name));
        });
    });
}

#[cfg(test)]
mod tests;
