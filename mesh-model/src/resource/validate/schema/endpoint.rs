//! Limits of endpoints that are no pods, alone, of a ServiceEntry and as templates.
use super::attachment::MOST_LABELS;
use super::{longest, most, not_empty};
use crate::name::Labels;
use crate::resource::readiness_probe::HealthCheckMethod;
use crate::resource::validate::{Violations, address};
use crate::resource::{WorkloadEntrySpec, WorkloadGroup, workload_entry};

/// Ports of an endpoint.
const MOST_PORTS: usize = 128;
/// Characters of an address.
const LONGEST_ADDRESS: usize = 256;
/// Characters of the name of a port.
const LONGEST_PORT: usize = 62;
/// Characters of a service account.
const LONGEST_ACCOUNT: usize = 253;
/// Characters of networks and localities.
const LONGEST_TEXT: usize = 2048;

pub(super) fn endpoint(violations: &mut Violations, spec: &WorkloadEntrySpec) {
    let texts = [
        ("address", &spec.address, LONGEST_ADDRESS),
        ("network", &spec.network, LONGEST_TEXT),
        ("locality", &spec.locality, LONGEST_TEXT),
        ("serviceAccount", &spec.service_account, LONGEST_ACCOUNT),
    ];
    for (name, text, most) in texts {
        longest(violations, name, text, most);
    }
    // For admission the name of an abstract socket may end so; of other paths it tells itself.
    let path = address::socket(&spec.address);
    if let Some(path) = path.filter(|path| path.starts_with('@') && path.ends_with('/')) {
        violations.take_at("address", Err(address::no_socket(path)));
    }
    most(violations, "ports", spec.ports.len(), MOST_PORTS);
    violations.field("ports", |violations| {
        for name in spec.ports.keys() {
            longest(violations, name, name, LONGEST_PORT);
        }
    });
    labels(violations, "labels", &spec.labels);
}

fn labels(violations: &mut Violations, name: &str, labels: &Labels) {
    most(violations, name, labels.len(), MOST_LABELS);
}

/// Checks a WorkloadGroup, whose template admission does not look into.
pub(super) fn group(violations: &mut Violations, group: &WorkloadGroup) {
    let spec = &group.spec;
    if let Some(metadata) = &spec.metadata {
        violations.field("metadata", |violations| {
            labels(violations, "labels", &metadata.labels);
            labels(violations, "annotations", &metadata.annotations);
        });
    }
    if let Some(template) = &spec.template {
        violations.field("template", |violations| {
            endpoint(violations, template);
            if let Some(path) = address::socket(&template.address) {
                workload_entry::socket(violations, template, path, workload_entry::Of::Itself);
            }
            workload_entry::ports(violations, template, None);
        });
    }
    if let Some(HealthCheckMethod::Exec(block)) =
        spec.probe.as_ref().and_then(|probe| probe.method.as_ref())
    {
        violations.field("probe.exec.command", |violations| {
            violations.each(&block.command, |violations, word| not_empty(violations, word));
        });
    }
}
