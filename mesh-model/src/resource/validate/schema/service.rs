//! Limits of hosts and endpoints that Kubernetes does not know.
use super::{longest, most};
use crate::resource::validate::Violations;
use crate::resource::{ServiceEntry, WorkloadEntrySpec};

/// Hosts, addresses and ports of a ServiceEntry.
const MOST_OF_SERVICE: usize = 256;
/// Endpoints of a ServiceEntry.
const MOST_ENDPOINTS: usize = 4096;
/// Characters of an address of a ServiceEntry.
const LONGEST_ADDRESS: usize = 64;
/// Characters of most short texts: names and protocols of ports, addresses of endpoints.
const LONGEST_NAME: usize = 256;
/// Characters of the name of a port of an endpoint.
const LONGEST_PORT: usize = 62;
/// Characters of a service account.
const LONGEST_ACCOUNT: usize = 253;
/// Characters of networks and localities.
const LONGEST_TEXT: usize = 2048;

pub(super) fn service(violations: &mut Violations, entry: &ServiceEntry) {
    let spec = &entry.spec;
    most(violations, "hosts", spec.hosts.len(), MOST_OF_SERVICE);
    most(violations, "addresses", spec.addresses.len(), MOST_OF_SERVICE);
    most(violations, "ports", spec.ports.len(), MOST_OF_SERVICE);
    most(violations, "endpoints", spec.endpoints.len(), MOST_ENDPOINTS);
    violations.field("addresses", |violations| {
        violations.each(&spec.addresses, |violations, address| {
            longest(violations, "", address, LONGEST_ADDRESS);
        });
    });
    violations.field("ports", |violations| {
        violations.each(&spec.ports, |violations, port| {
            longest(violations, "name", &port.name, LONGEST_NAME);
            longest(violations, "protocol", &port.protocol, LONGEST_NAME);
        });
    });
    violations.field("endpoints", |violations| violations.each(&spec.endpoints, endpoint));
}

pub(super) fn endpoint(violations: &mut Violations, spec: &WorkloadEntrySpec) {
    let texts = [
        ("address", &spec.address, LONGEST_NAME),
        ("network", &spec.network, LONGEST_TEXT),
        ("locality", &spec.locality, LONGEST_TEXT),
        ("serviceAccount", &spec.service_account, LONGEST_ACCOUNT),
    ];
    for (name, text, most) in texts {
        longest(violations, name, text, most);
    }
    violations.field("ports", |violations| {
        for name in spec.ports.keys() {
            longest(violations, name, name, LONGEST_PORT);
        }
    });
}
