//! Limits of hosts that Kubernetes does not know.
use super::{attachment, endpoint, longest, most};
use crate::resource::ServiceEntry;
use crate::resource::validate::Violations;

/// Hosts, addresses and ports of a ServiceEntry.
const MOST_OF_SERVICE: usize = 256;
/// Endpoints of a ServiceEntry.
const MOST_ENDPOINTS: usize = 4096;
/// Characters of an address of a ServiceEntry.
const LONGEST_ADDRESS: usize = 64;
/// Characters of names and protocols of ports.
const LONGEST_NAME: usize = 256;

pub(super) fn service(violations: &mut Violations, entry: &ServiceEntry) {
    let spec = &entry.spec;
    attachment::labels(violations, spec.workload_selector.as_ref());
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
    violations
        .field("endpoints", |violations| violations.each(&spec.endpoints, endpoint::endpoint));
}
