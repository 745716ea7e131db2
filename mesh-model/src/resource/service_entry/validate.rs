//! What admission refuses in a ServiceEntry.
use std::collections::BTreeSet;

use super::{Location, Resolution, ServiceEntry, ServiceEntrySpec};
use crate::manifest::decode::clip;
use crate::name::{Labels, Protocol};
use crate::resource::validate::{
    Violation, Violations, address, attachment, export_to, host, label, metadata, port,
};
use crate::resource::workload_entry;

impl ServiceEntry {
    /// Returns the rules of admission that the object breaks.
    ///
    /// # Upstream
    ///
    /// istio/istio `pkg/config/validation/validation.go` `ValidateServiceEntry`.
    pub fn validate(&self) -> Vec<Violation> {
        metadata::then(&self.meta, |violations| {
            let spec = &self.spec;
            let selector = spec.workload_selector.as_ref();
            if !attachment::labels(violations, "workloadSelector", selector) {
                return;
            }
            if selector.is_some() && !spec.endpoints.is_empty() {
                let message = "endpoints are listed or selected, not both";
                let help = "keep `endpoints` or `workloadSelector`";
                violations.error_at("endpoints", "SE-SELECTOR-AND-ENDPOINTS", message, help);
            }
            hosts(violations, spec);
            addresses(violations, spec);
            let allocates = allocates(&self.meta.labels, spec);
            ports(violations, spec, allocates);
            resolution(violations, spec, &self.meta.labels);
            several_hosts(violations, spec);
            let namespace = self.meta.namespace.as_str();
            export_to::check(violations, namespace, &spec.export_to, export_to::Of::ServiceEntry);
        })
    }
}

/// Whether addresses are allocated for an entry that has none.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/networking/serviceentry/ip_autoallocation.go`
/// `ShouldV2AutoAllocateIPFromConfig`.
fn allocates(labels: &Labels, spec: &ServiceEntrySpec) -> bool {
    let is_off = labels
        .get("networking.istio.io/enable-autoallocate-ip")
        .is_some_and(|value| value.eq_ignore_ascii_case("false"));
    spec.resolution != Resolution::None && !is_off && spec.addresses.is_empty()
}

fn hosts(violations: &mut Violations, spec: &ServiceEntrySpec) {
    if spec.hosts.is_empty() {
        violations.error("SE-NO-HOSTS", "the entry has no host", "add `hosts`");
    }
    violations.field("hosts", |violations| {
        violations.each(&spec.hosts, |violations, name| {
            if **name == *"*" {
                let message = "`*` is no host of its own";
                violations.error("SE-WILDCARD-HOST", message, "write `*.` and a domain");
                return;
            }
            violations.take(host::wildcard_domain(name));
            if spec.resolution != Resolution::DynamicDns && host::is_partial_wildcard(name) {
                let wrong = host::partial_wildcard(name);
                violations.warning(wrong.rule, &wrong.message, wrong.help);
            }
        });
    });
}

fn addresses(violations: &mut Violations, spec: &ServiceEntrySpec) {
    violations.field("addresses", |violations| {
        violations.each(&spec.addresses, |violations, text| {
            violations.take(address::subnet(text));
        });
        let takes_ranges = matches!(spec.resolution, Resolution::None | Resolution::Static);
        if !takes_ranges && spec.addresses.iter().any(|text| text.contains('/')) {
            let message = "a range of addresses needs the resolution NONE or STATIC";
            violations.error("SE-CIDR-RESOLUTION", message, "write single addresses");
        }
    });
}

fn ports(violations: &mut Violations, spec: &ServiceEntrySpec, allocates: bool) {
    let (mut names, mut numbers) = (BTreeSet::new(), BTreeSet::new());
    violations.field("ports", |violations| {
        violations.each(&spec.ports, |violations, port| {
            if !names.insert(&*port.name) {
                let message = format!("there are two ports `{}`", clip(&port.name));
                violations.error_at("name", "SE-PORT-NAME-DUP", &message, "rename one of them");
            }
            if !numbers.insert(port.number) {
                let message = format!("there are two ports {}", port.number);
                violations.error_at("number", "SE-PORT-NUMBER-DUP", &message, "keep one of them");
            }
            if port.target_port != 0 {
                violations.take_at("targetPort", port::number(port.target_port));
            }
            let is_bare = matches!(&*port.protocol, "" | "TCP");
            if is_bare && spec.addresses.is_empty() && !allocates {
                let message = "without an address the port takes all connections to its number";
                let help = "add `addresses`, or a resolution for which one is allocated";
                violations.warning("SE-ADDRESS-REQUIRED", message, help);
            }
            violations.take_at("name", port::name(&port.name));
            violations.take_at("protocol", port::protocol(&port.protocol));
            violations.take_at("number", port::number(port.number));
        });
    });
}

fn resolution(violations: &mut Violations, spec: &ServiceEntrySpec, labels: &Labels) {
    match spec.resolution {
        Resolution::None => without_resolution(violations, spec),
        Resolution::Static => {
            let names = port_names(spec);
            violations.field("endpoints", |violations| {
                violations.each(&spec.endpoints, |violations, entry| {
                    workload_entry::entry(violations, entry, workload_entry::Of::Static(&names));
                });
            });
        }
        Resolution::Dns | Resolution::DnsRoundRobin => dns(violations, spec),
        Resolution::DynamicDns => dynamic_dns(violations, spec, labels),
    }
}

fn port_names(spec: &ServiceEntrySpec) -> BTreeSet<&str> {
    spec.ports.iter().map(|port| &*port.name).collect()
}

fn without_resolution(violations: &mut Violations, spec: &ServiceEntrySpec) {
    if !spec.endpoints.is_empty() {
        let message = "with resolution NONE the endpoints are what clients ask for";
        let help = "remove them, or set `resolution: STATIC`";
        violations.error_at("endpoints", "SE-NONE-ENDPOINTS", message, help);
    }
    if spec.workload_selector.is_some() {
        let message = "with resolution NONE no endpoints are selected";
        let help = "remove the selector, or set `resolution: STATIC`";
        violations.warning_at("workloadSelector", "SE-NONE-SELECTOR", message, help);
    }
}

fn dns(violations: &mut Violations, spec: &ServiceEntrySpec) {
    let unresolvable = spec.hosts.iter().position(|name| host::fqdn(name).is_err());
    if let (Some(index), true) = (unresolvable, spec.endpoints.is_empty()) {
        let message = "the host cannot be looked up, and there are no endpoints";
        let help = "add `endpoints`, or write a host name without wildcard";
        violations.error_at(&format!("hosts[{index}]"), "SE-DNS-HOST", message, help);
    }
    if spec.resolution == Resolution::DnsRoundRobin && spec.endpoints.len() > 1 {
        let message = "DNS_ROUND_ROBIN looks up one name";
        violations.error_at("endpoints", "SE-RR-ENDPOINTS", message, "keep one endpoint");
    }
    let names = port_names(spec);
    violations.field("endpoints", |violations| {
        violations.each(&spec.endpoints, |violations, entry| {
            workload_entry::named(violations, &entry.address);
            violations.field("labels", |violations| label::check(violations, &entry.labels));
            workload_entry::ports(violations, entry, Some(&names));
        });
    });
    let is_tcp = |protocol: &str| Protocol::parse(protocol).is_tcp();
    let has_tcp = spec.ports.iter().any(|port| is_tcp(&port.protocol));
    if has_tcp && !spec.addresses.is_empty() && spec.hosts.len() > 1 {
        let message = "several hosts share an address that tells them apart on no TCP port";
        let help = "write an entry a host";
        violations.warning_at("addresses", "SE-MULTIHOST-ADDRESS-TCP", message, help);
    }
}

fn dynamic_dns(violations: &mut Violations, spec: &ServiceEntrySpec, labels: &Labels) {
    let help = "write `*.` and a domain, or set `resolution: DNS`";
    if spec.hosts.is_empty() {
        violations.error("SE-DYNAMIC-HOST", "DYNAMIC_DNS is for wildcards", help);
    }
    violations.field("hosts", |violations| {
        violations.each(&spec.hosts, |violations, name| {
            if !name.starts_with('*') {
                violations.error("SE-DYNAMIC-HOST", "DYNAMIC_DNS is for wildcards", help);
            }
        });
    });
    let lists = [
        ("addresses", "SE-DYNAMIC-ADDRESSES", spec.addresses.is_empty()),
        ("endpoints", "SE-DYNAMIC-ENDPOINTS", spec.endpoints.is_empty()),
    ];
    for (name, rule, is_empty) in lists {
        if !is_empty {
            let message = "DYNAMIC_DNS takes the address of the host that is asked for";
            violations.error_at(name, rule, message, "remove the list");
        }
    }
    violations.field("ports", |violations| {
        violations.each(&spec.ports, |violations, port| {
            let is_named = matches!(
                Protocol::parse(&port.protocol),
                Protocol::Http | Protocol::Tls | Protocol::Grpc | Protocol::Http2
            );
            if !is_named {
                let message = "the protocol does not name the host that is asked for";
                let help = "DYNAMIC_DNS works with HTTP, HTTP2, GRPC and TLS";
                violations.error_at("protocol", "SE-DYNAMIC-PROTOCOL", message, help);
            }
        });
    });
    let waypoint = labels.value("istio.io/use-waypoint");
    let has_waypoint = !waypoint.is_empty() && !waypoint.eq_ignore_ascii_case("none");
    if spec.location == Location::MeshInternal && has_waypoint {
        let message = "waypoints do not look up hosts of the mesh";
        let help = "set `location: MESH_EXTERNAL`, or the label to `none`";
        violations.error_at("location", "SE-DYNAMIC-WAYPOINT", message, help);
    }
}

/// A port without host names cannot tell several hosts apart, unless the address that a client asks
/// for is the endpoint.
fn several_hosts(violations: &mut Violations, spec: &ServiceEntrySpec) {
    if spec.resolution == Resolution::None || spec.hosts.len() < 2 {
        return;
    }
    let mute = spec.ports.iter().position(|port| {
        let protocol = Protocol::parse(&port.protocol);
        !protocol.is_http() && !protocol.is_tls()
    });
    if let Some(index) = mute {
        let message = "several hosts share a port whose protocol does not name the host";
        let help = "write an entry a host, or declare HTTP or TLS";
        violations.error_at(&format!("ports[{index}].protocol"), "SE-MULTIHOST-TCP", message, help);
    }
}

#[cfg(test)]
mod tests;
