//! The endpoints that a cluster's slices list for a service.
use std::sync::Arc;

use rustc_hash::{FxBuildHasher, FxHashSet};

use super::workloads::Runner;
use super::{Cluster, Workloads};
use crate::endpoint::{Address, Discoverability, Endpoint, Endpoints, HealthStatus, MoreAddresses};
use crate::name::Text;
use crate::registry::Service;
use crate::resource::{
    AddressType, EndpointAddress, EndpointSlice, SliceEntry, SlicePort, TargetKind,
};

/// Returns the endpoints of a service in one cluster: slices by name, then endpoints, addresses and
/// ports in order; of several with one address and port name the first. With dual stack, a pod of both families
/// behind a service of both is one endpoint, which slices of IPv4 give.
///
/// `service` is `None` where slices exist without their service.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/serviceregistry/kube/controller/endpointslice.go`
/// `updateEndpointCacheForSlice`, `endpointSliceCache.get`.
pub(crate) fn endpoints_of_service<'o>(
    service: Option<&Service>,
    slices: &'o [Arc<EndpointSlice>],
    cluster: &Cluster<'o>,
    discoverability: Discoverability,
    workloads: &mut Workloads<'o>,
) -> Endpoints {
    let of_slice = |slice: &Arc<EndpointSlice>| slice.endpoints.len() * slice.ports.len();
    let mut made = Made::new(workloads.before(), slices.iter().map(of_slice).sum());
    let keeps_sessions = service.is_some_and(Service::has_session_label);
    for slice in slices {
        if slice.address_type == AddressType::Fqdn {
            continue;
        }
        let ports = slice.ports.iter().filter_map(|written| port(written, workloads));
        let ports: Vec<_> = ports.collect();
        for entry in slice.endpoints.iter() {
            let health = health(service.is_some(), keeps_sessions, entry);
            let of_both = of_both_families(service, cluster, slice, entry);
            if of_both.is_some() && slice.address_type == AddressType::Ipv6 {
                continue;
            }
            for address in entry.addresses() {
                let around = (cluster, discoverability);
                let found = workloads.find(slice, entry, &address, made.likely(), around);
                let Some(runner) = found else { continue };
                let alone = || (address_of(address), MoreAddresses::default());
                let addresses = of_both.clone().unwrap_or_else(alone);
                for port in &ports {
                    made.push(&addresses, port, health, &runner);
                }
            }
        }
    }
    made.endpoints.into()
}

/// How many endpoints a slice gives at most.
pub(super) fn count(slice: &EndpointSlice) -> usize {
    match slice.address_type {
        AddressType::Fqdn => 0,
        AddressType::Ipv4 | AddressType::Ipv6 => {
            slice.endpoints.addresses_of_first(slice.endpoints.len()) * ports(slice)
        }
    }
}

/// How many ports of a slice can be dialled.
pub(super) fn ports(slice: &EndpointSlice) -> usize {
    slice.ports.iter().filter(|port| number(port).is_some()).count()
}

fn number(port: &SlicePort) -> Option<u16> {
    u16::try_from(port.port.unwrap_or_default()).ok()
}

/// Endpoints while they are made.
struct Made<'o> {
    before: &'o Endpoints,
    endpoints: Vec<Endpoint>,
    // INVARIANT: none as long as the addresses and port names are those before, no two of which are equal.
    seen: Option<FxHashSet<(Address, Text)>>,
}

impl<'o> Made<'o> {
    fn new(before: &'o Endpoints, expected: usize) -> Self {
        Self { before, endpoints: Vec::with_capacity(expected), seen: None }
    }

    /// The endpoint that stood in the next place before, as long as the others are those before.
    fn likely(&self) -> Option<&'o Endpoint> {
        self.before.get(self.endpoints.len()).filter(|_| self.seen.is_none())
    }

    /// Adds an endpoint, unless there is one of that address and port name.
    fn push(
        &mut self,
        (address, more_addresses): &(Address, MoreAddresses),
        (port_name, port): &(Text, u16),
        health: HealthStatus,
        (instance, workload): &Runner,
    ) {
        let is_known =
            |known: &Endpoint| known.address == *address && known.port_name == *port_name;
        if !self.likely().is_some_and(is_known) && !self.is_first(address, port_name) {
            return;
        }
        self.endpoints.push(Endpoint {
            address: address.clone(),
            more_addresses: more_addresses.clone(),
            port: *port,
            port_name: port_name.clone(),
            service_port: 0,
            weight: 0,
            health,
            instance: instance.clone(),
            workload: workload.clone(),
        });
    }

    /// Takes note of an address and port name; returns whether they come for the first time.
    fn is_first(&mut self, address: &Address, port_name: &Text) -> bool {
        let Self { seen, endpoints, .. } = self;
        let seen = seen.get_or_insert_with(|| {
            let room = endpoints.capacity();
            let mut seen = FxHashSet::with_capacity_and_hasher(room, FxBuildHasher);
            seen.extend(
                endpoints.iter().map(|made| (made.address.clone(), made.port_name.clone())),
            );
            seen
        });
        seen.insert((address.clone(), port_name.clone()))
    }
}

/// The namespace and name of the pod that an entry of a slice refers to.
pub(crate) fn pod_of<'o>(
    slice: &'o EndpointSlice,
    entry: SliceEntry<'o>,
) -> Option<(&'o str, &'o str)> {
    let target = entry.target().filter(|target| target.kind == TargetKind::Pod)?;
    let namespace = match target.namespace {
        "" => slice.meta.namespace.as_str(),
        namespace => namespace,
    };
    Some((namespace, target.name))
}

/// All addresses of the pod that an entry refers to, in the pod's order, where they make one endpoint: with dual
/// stack, of a pod and a service that have more than one each.
fn of_both_families(
    service: Option<&Service>,
    cluster: &Cluster<'_>,
    slice: &EndpointSlice,
    entry: SliceEntry<'_>,
) -> Option<(Address, MoreAddresses)> {
    let service = service.filter(|_| cluster.dual_stack)?;
    let (namespace, name) = pod_of(slice, entry)?;
    let pod = cluster.pods.get(namespace, name)?;
    let mut addresses = pod.status.pod_ips.iter().map(Address::Ip);
    let (first, more) = (addresses.next()?, addresses.collect::<MoreAddresses>());
    (!more.is_empty() && service.vips_in(cluster.id).len() > 1).then_some((first, more))
}

/// The health of the endpoints of an entry; `is_known`: whether their service is.
pub(super) fn health(is_known: bool, keeps_sessions: bool, entry: SliceEntry<'_>) -> HealthStatus {
    HealthStatus::of_conditions(
        entry.conditions.ready,
        entry.conditions.serving,
        entry.conditions.terminating,
        is_known,
        keeps_sessions,
    )
}

/// The name of a port, shared by all endpoints of the cluster and those before, and its number, 0 where it
/// has none; no port where the number is none.
fn port(port: &SlicePort, workloads: &mut Workloads<'_>) -> Option<(Text, u16)> {
    let number = number(port)?;
    // The first endpoint has as many neighbours as it has ports.
    let known = workloads.before().iter().take(8).find(|known| *known.port_name == *port.name);
    let name = known.map(|known| known.port_name.clone());
    Some((name.unwrap_or_else(|| workloads.port_name(&port.name)), number))
}

fn address_of(address: EndpointAddress) -> Address {
    match address {
        EndpointAddress::Ip(ip) => Address::Ip(ip),
        EndpointAddress::Name(name) => Address::Host(name),
    }
}
