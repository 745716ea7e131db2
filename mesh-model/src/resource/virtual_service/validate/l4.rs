//! Routes of connections.
use super::super::{L4MatchAttributes, RouteDestination, TlsMatchAttributes, VirtualServiceSpec};
use super::destination::{self, Weighted};
use super::{Hosts, matching};
use crate::manifest::decode::clip;
use crate::name::Labels;
use crate::resource::validate::{Violations, address, gateway_ref, host, label};

/// Checks the routes of TLS and of other connections.
///
/// # Upstream
///
/// istio/istio `pkg/config/validation/validation.go` `validateTLSRoute`, `validateTCPRoute`.
pub(super) fn check(violations: &mut Violations, spec: &VirtualServiceSpec) {
    let hosts = Hosts::new(&spec.hosts);
    violations.field("tls", |violations| {
        violations.each(&spec.tls, |violations, route| {
            if route.matches.is_empty() {
                let message = "the route does not say which connections it is for";
                violations.error("TLSROUTE-MATCH", message, "add `match.sniHosts`");
            }
            violations.field("match", |violations| {
                violations.each(&route.matches, |violations, condition| {
                    tls(violations, spec, &hosts, condition);
                });
            });
            destinations(violations, &route.route);
        });
    });
    violations.field("tcp", |violations| {
        violations.each(&spec.tcp, |violations, route| {
            violations.field("match", |violations| violations.each(&route.matches, tcp));
            destinations(violations, &route.route);
        });
    });
}

fn destinations<'r>(violations: &mut Violations, route: &'r [RouteDestination]) {
    if route.is_empty() {
        let message = "the route has no destination";
        violations.error("ROUTE-REQUIRED", message, "add `route`");
    }
    let weighted = |entry: &'r RouteDestination| Weighted {
        destination: entry.destination.as_ref(),
        weight: entry.weight,
        headers: None,
    };
    let destinations: Vec<Weighted<'_>> = route.iter().map(weighted).collect();
    destination::weighted(violations, &destinations);
}

fn tls(
    violations: &mut Violations,
    spec: &VirtualServiceSpec,
    hosts: &Hosts<'_>,
    condition: &TlsMatchAttributes,
) {
    if condition.sni_hosts.is_empty() {
        let message = "the condition has no server name";
        violations.error("TLSROUTE-SNI", message, "add `sniHosts`");
    }
    // Without gateways upstream counts these as if there were some.
    let is_mesh = spec.gateways.iter().any(|gateway| **gateway == *super::MESH);
    let test = if is_mesh { host::wildcard_domain } else { host::sni_domain };
    violations.field("sniHosts", |violations| {
        violations.each(&condition.sni_hosts, |violations, name| match test(name) {
            Err(_) if address::is_ip(name) => {
                let message =
                    format!("`{}` is an address, which clients do not ask for", clip(name));
                violations.warning("SNI-IP", &message, "write the server's name");
            }
            Err(wrong) => violations.take(Err(wrong)),
            Ok(()) if hosts.cover(name) => {}
            Ok(()) => {
                let message = format!("`{}` is not among the hosts", clip(name));
                violations.error("SNI-NOT-SUBSET", &message, "add it to `hosts`");
            }
        });
    });
    let addresses = &condition.destination_subnets;
    connection(violations, addresses, condition.port, &condition.source_labels);
    gateway_ref::check(violations, &condition.gateways);
}

fn tcp(violations: &mut Violations, condition: &L4MatchAttributes) {
    let addresses = &condition.destination_subnets;
    connection(violations, addresses, condition.port, &condition.source_labels);
    gateway_ref::check(violations, &condition.gateways);
}

fn connection(violations: &mut Violations, addresses: &[Box<str>], port: u32, labels: &Labels) {
    violations.field("destinationSubnets", |violations| {
        violations.each(addresses, |violations, text| violations.take(address::subnet(text)));
    });
    matching::listener_port(violations, port);
    violations.field("sourceLabels", |violations| label::check(violations, labels));
}
