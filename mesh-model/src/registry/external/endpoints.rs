//! From instances and ports to endpoints.
use std::sync::Arc;

use super::{Instance, Machines};
use crate::endpoint::{Address, Endpoint, HealthStatus, MoreAddresses, Place, Template, Workload};
use crate::name::Text;
use crate::registry::kubernetes::Cluster;
use crate::registry::{Resolution, Service};
use crate::resource::service_entry::{ServiceEntryPort, ServiceEntrySpec};
use crate::resource::{self, PortTarget, ServiceEntry};

/// Returns the endpoints of an instance, one a port of the entry: the instance's port of that name,
/// else the target port, else the number; none for a Unix socket.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/serviceregistry/serviceentry/conversion.go`
/// `convertWorkloadInstanceToServiceInstance`.
pub(super) fn of_instance(instance: &Instance<'_>, spec: &ServiceEntrySpec) -> Vec<Endpoint> {
    let endpoint = |port: &ServiceEntryPort| {
        let number = match (&instance.address, instance.port(&port.name)) {
            (Address::Unix(_), _) => 0,
            (_, Some(number)) => number,
            (_, None) => own_number(port)?,
        };
        let service_port = u16::try_from(port.number).ok()?;
        Some(endpoint(instance, number, Text::from(&*port.name), service_port))
    };
    spec.ports.iter().filter_map(endpoint).collect()
}

/// Returns the endpoints of a DNS service that has none: its host.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/serviceregistry/serviceentry/conversion.go`
/// `convertServiceEntryToInstances`.
pub(super) fn of_host(
    entry: &ServiceEntry,
    service: &Service,
    cluster: &Cluster<'_>,
) -> Vec<Endpoint> {
    let workload = Arc::new(Workload {
        place: Arc::new(Place { cluster: cluster.id.clone(), ..Place::default() }),
        template: Arc::new(Template {
            name: Some(entry.meta.name.clone()),
            namespace: entry.meta.namespace.clone(),
            tls_mode: "disabled".into(),
            ..Template::default()
        }),
        ..Workload::default()
    });
    let endpoint = |port: &ServiceEntryPort| {
        Some(Endpoint {
            address: Address::Host(service.hostname.as_str().into()),
            more_addresses: MoreAddresses::default(),
            port: own_number(port)?,
            port_name: Text::from(&*port.name),
            service_port: u16::try_from(port.number).ok()?,
            weight: 0,
            health: HealthStatus::Unknown,
            instance: Text::default(),
            workload: workload.clone(),
        })
    };
    entry.spec.ports.iter().filter_map(endpoint).collect()
}

/// The port of endpoints that do not name it: the target port, else the number.
fn own_number(port: &ServiceEntryPort) -> Option<u16> {
    let number = if port.target_port == 0 { port.number } else { port.target_port };
    u16::try_from(number).ok()
}

/// Returns the endpoints of the machines that a Kubernetes service of their cluster selects, port
/// after port.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/serviceregistry/kube/controller/controller.go`
/// `collectWorkloadInstanceEndpoints`, `serviceInstancesFromWorkloadInstances`.
pub(crate) fn selected_by_service(
    service: &Service,
    object: &resource::Service,
    machines: &Machines<'_>,
) -> Vec<Endpoint> {
    let is_candidate = service.resolution == Resolution::ClientSideLb && !service.mesh_external;
    if !is_candidate || service.selector.is_empty() {
        return Vec::new();
    }
    let selects = |machine: &&Instance<'_>| {
        !machine.needs_dns() && machine.workload.labels.contains(&service.selector)
    };
    let mut endpoints = Vec::new();
    for port in &service.ports {
        // Ports count by number: of two with one number the first stands for both.
        let Some(first) = service.ports.iter().find(|other| other.number == port.number) else {
            continue;
        };
        let mut ports = object.spec.ports.iter();
        let target = ports
            .find(|other| *other.name == *first.name || other.port == u32::from(first.number))
            .and_then(|port| port.target_port.as_ref());
        let name = Text::from(&*first.name);
        for machine in machines.of(&service.namespace).filter(selects) {
            if let Some(number) = target_port(target, (&first.name, first.number), machine) {
                endpoints.push(endpoint(machine, number, name.clone(), 0));
            }
        }
    }
    endpoints
}

/// The port of a machine that a service port leads to; `None` if it is named and the machine has no
/// such name.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/serviceregistry/kube/controller/controller.go`
/// `serviceInstanceFromWorkloadInstance`; `util.go` `findServiceTargetPort`.
fn target_port(
    target: Option<&PortTarget>,
    (name, number): (&str, u16),
    machine: &Instance<'_>,
) -> Option<u16> {
    match target {
        Some(PortTarget::Number(target)) if *target > 0 => {
            machine.port(name).or_else(|| u16::try_from(*target).ok())
        }
        Some(PortTarget::Name(name)) if !name.is_empty() => machine.port(name),
        Some(PortTarget::Number(_) | PortTarget::Name(_)) | None => Some(number),
    }
}

fn endpoint(instance: &Instance<'_>, port: u16, port_name: Text, service_port: u16) -> Endpoint {
    Endpoint {
        address: instance.address.clone(),
        more_addresses: instance.more_addresses.clone(),
        port,
        port_name,
        service_port,
        weight: instance.weight,
        health: instance.health,
        instance: instance.name.clone(),
        workload: instance.workload.clone(),
    }
}
