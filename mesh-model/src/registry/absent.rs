//! What stands behind a service and is no endpoint of it: computed only when somebody asks.
//!
//! The registry drops addresses on the way from manifests to endpoints, before any proxy is asked about.
//! This finds them again and says which rule dropped them.
mod reason;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub use self::reason::AbsentReason;
use super::external::is_healthy;
use super::index::service_of_slice;
use super::kubernetes::{is_ready, pod_of};
use super::map::Key;
use super::{
    ControlPlane, Mesh, Resolution, Service, ServicePort, Store, alone, discovery::is_discovered,
};
use crate::endpoint::{Address, Endpoint, Provider, Workload};
use crate::name::{ClusterId, Labels, NetworkId};
use crate::resource::{
    AddressType, EndpointAddress, EndpointSlice, Pod, PodPhase, ServiceEntry, SliceEntry,
    SlicePort, WorkloadEntry,
};

/// The addresses that a mesh's manifests put behind services and that are no endpoints of them.
///
/// Made once for all the services that are asked about: it reads every slice of the mesh.
#[derive(Clone, Debug)]
pub struct Absences<'m> {
    mesh: &'m Mesh,
    slices: BTreeMap<Key<'m>, Vec<(&'m ClusterId, &'m EndpointSlice)>>,
}

/// An address behind a service that is no endpoint of the port.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Absent {
    /// The address.
    pub address: Address,
    /// The port, where it has the one that is asked for.
    pub port: Option<u16>,
    /// The cluster that it is in.
    pub cluster: ClusterId,
    /// Its network; empty where that is not known.
    pub network: NetworkId,
    /// The first rule that it fails.
    pub reason: AbsentReason,
}

/// What has been found of one port.
#[derive(Debug)]
struct Search<'a> {
    plane: &'a ControlPlane,
    service: &'a Service,
    port: &'a ServicePort,
    /// What is an endpoint of the port, and what is told already.
    known: BTreeSet<(ClusterId, Address)>,
    found: Vec<Absent>,
}

impl Mesh {
    /// What the manifests put behind services without making it an endpoint.
    pub fn absences(&self) -> Absences<'_> {
        let mut slices: BTreeMap<Key<'_>, Vec<_>> = BTreeMap::new();
        for (cluster, part) in &self.parts.clusters {
            for slice in part.store.endpoint_slices.iter() {
                if let Some(key) = service_of_slice(slice) {
                    slices.entry(key).or_default().push((cluster, &**slice));
                }
            }
        }
        Absences { mesh: self, slices }
    }
}

impl<'m> Absences<'m> {
    /// Returns what stands behind a service of a control plane and is no endpoint of a port, by cluster and
    /// address; each with the first rule that it fails.
    pub fn of(&self, plane: &ControlPlane, service: &Service, port: &ServicePort) -> Vec<Absent> {
        let (known, found) = (BTreeSet::new(), Vec::new());
        let mut search = Search { plane, service, port, known, found };
        let shards = plane.shards(service);
        search.endpoints(shards.iter().flat_map(|shards| shards.endpoints()));
        match service.provider {
            Provider::Kubernetes => {
                self.slices(&mut search);
                self.machines(&mut search);
            }
            Provider::External => self.entries(&mut search),
        }
        let mut found = search.found;
        found.sort_by(|a, b| (&a.cluster, &a.address).cmp(&(&b.cluster, &b.address)));
        found
    }

    fn store(&self, cluster: &ClusterId) -> Option<&'m Store> {
        self.mesh.parts.clusters.get(cluster).map(|part| &*part.store)
    }

    /// The clusters that the control plane reads.
    fn members<'p>(
        &self,
        plane: &'p ControlPlane,
    ) -> impl Iterator<Item = (&'p ClusterId, &'m Store)> {
        plane.clusters.iter().filter_map(|cluster| Some((cluster, self.store(cluster)?)))
    }

    /// The stores that configure the control plane.
    fn config_stores(&self, plane: &ControlPlane) -> impl Iterator<Item = &'m Store> + use<'m> {
        [&*self.mesh.parts.config].into_iter().chain(self.store(&plane.id))
    }

    fn slices(&self, search: &mut Search<'_>) {
        let key = (search.service.namespace.as_str(), &*search.service.name);
        for (cluster, slice) in self.slices.get(&key).into_iter().flatten() {
            let Some(store) = self.store(cluster) else { continue };
            let whole = whole_slice(search.plane, cluster, store, slice);
            for entry in slice.endpoints.iter() {
                for address in entry.addresses().map(address_of) {
                    if search.known.contains(&((*cluster).clone(), address.clone())) {
                        continue;
                    }
                    let reason =
                        whole.clone().unwrap_or_else(|| of_entry(search, store, slice, entry));
                    let port = slice.ports.iter().find(|port| *port.name == *search.port.name);
                    let port = port.and_then(|port| u16::try_from(port.port?).ok());
                    search.add(address, port, cluster, NetworkId::default(), reason);
                }
            }
        }
    }

    /// The machines that a service of Kubernetes selects in vain.
    fn machines(&self, search: &mut Search<'_>) {
        let service = search.service;
        let selects = service.resolution == Resolution::ClientSideLb && !service.mesh_external;
        if selects && !service.selector.is_empty() {
            self.selected(search, &service.selector, false);
        }
    }

    fn selected(&self, search: &mut Search<'_>, selector: &Labels, is_dns: bool) {
        let namespace = search.service.namespace.as_str();
        for (cluster, store) in self.members(search.plane) {
            let of_config =
                self.config_stores(search.plane).filter(|_| *cluster == search.plane.id);
            let own = (*cluster != search.plane.id).then_some(store);
            for entry in of_config.chain(own).flat_map(|s| s.workload_entries.with_first(namespace))
            {
                let name = || format!("{namespace}/{}", entry.meta.name).into_boxed_str();
                let reason = match (is_healthy(entry), Address::parse(&entry.spec.address)) {
                    (false, _) => AbsentReason::MachineUnhealthy(name()),
                    (true, Address::Host(_)) if !is_dns => AbsentReason::HostName,
                    (true, Address::Unix(_)) if !is_dns => AbsentReason::UnixSocket,
                    (true, _) => continue,
                };
                let is_of_config = *cluster == search.plane.id;
                let workload = self.machine(cluster, store, (entry, is_of_config));
                if workload.labels.contains(selector) {
                    let address = Address::parse(&entry.spec.address);
                    search.add(address, None, cluster, workload.place.network.clone(), reason);
                }
            }
        }
    }

    fn machine(
        &self,
        cluster: &ClusterId,
        store: &Store,
        entry: (&WorkloadEntry, bool),
    ) -> Arc<Workload> {
        let trust_domain = self.mesh.trust_domain(cluster);
        alone::workload_of_machine(cluster, &trust_domain, store, self.mesh.networks(), entry)
    }

    /// What ServiceEntries of the service's host list or select in vain.
    fn entries(&self, search: &mut Search<'_>) {
        let namespace = search.service.namespace.as_str();
        let host = search.service.hostname.as_str();
        let stores = self.config_stores(search.plane);
        let entries = stores.flat_map(|store| store.service_entries.with_first(namespace));
        for entry in entries.filter(|entry| entry.spec.hosts.iter().any(|own| **own == *host)) {
            let is_dns = is_dns(search.service);
            match &entry.spec.workload_selector {
                Some(selector) => {
                    self.unready_pods(search, &selector.labels);
                    self.selected(search, &selector.labels, is_dns);
                }
                None => self.not_first(search, entry),
            }
        }
    }

    fn unready_pods(&self, search: &mut Search<'_>, selector: &Labels) {
        let namespace = search.service.namespace.as_str();
        for (cluster, store) in self.members(search.plane) {
            let is_unready = |pod: &&Arc<Pod>| !has_ended(pod) && !is_ready(pod);
            for pod in store.pods.with_first(namespace).filter(is_unready) {
                let Some(ip) = pod.status.pod_ip else { continue };
                let workload = self.mesh.workload(cluster, store, pod);
                if workload.labels.contains(selector) {
                    let name = format!("{namespace}/{}", pod.meta.name);
                    let reason = AbsentReason::PodNotReady(name.into());
                    search.add(
                        Address::Ip(ip),
                        None,
                        cluster,
                        workload.place.network.clone(),
                        reason,
                    );
                }
            }
        }
    }

    fn not_first(&self, search: &mut Search<'_>, entry: &ServiceEntry) {
        if search.service.resolution != Resolution::DnsRoundRobinLb {
            return;
        }
        for endpoint in &entry.spec.endpoints {
            let (address, network) = (Address::parse(&endpoint.address), &*endpoint.network);
            let network = NetworkId::from(network);
            search.add(address, None, &search.plane.id, network, AbsentReason::NotFirst);
        }
    }
}

impl Search<'_> {
    /// Sorts out what is an endpoint of the port, and then what is one of other ports alone.
    fn endpoints<'e>(&mut self, endpoints: impl Iterator<Item = &'e Endpoint> + Clone) {
        let is_dns = is_dns(self.service);
        let serves = |endpoint: &&Endpoint| match is_dns {
            true => endpoint.service_port == self.port.number,
            false => *endpoint.port_name == *self.port.name,
        };
        let key = |e: &Endpoint| (e.workload.place.cluster.clone(), e.address.clone());
        self.known = endpoints.clone().filter(serves).map(key).collect();
        let mut others: BTreeMap<_, (&NetworkId, Vec<Box<str>>)> = BTreeMap::new();
        for endpoint in endpoints.filter(|endpoint| !self.known.contains(&key(endpoint))) {
            let has = match is_dns {
                true => endpoint.service_port.to_string().into(),
                false => (*endpoint.port_name).into(),
            };
            let network = &endpoint.workload.place.network;
            let (_, ports) = others.entry(key(endpoint)).or_insert((network, Vec::new()));
            if !ports.contains(&has) {
                ports.push(has);
            }
        }
        for ((cluster, address), (network, has)) in others {
            let reason = AbsentReason::OtherPorts { wanted: self.wanted(), has };
            self.add(address, None, &cluster, network.clone(), reason);
        }
    }

    fn wanted(&self) -> Box<str> {
        match is_dns(self.service) {
            true => self.port.number.to_string().into(),
            false => (*self.port.name).into(),
        }
    }

    fn add(
        &mut self,
        address: Address,
        port: Option<u16>,
        cluster: &ClusterId,
        network: NetworkId,
        reason: AbsentReason,
    ) {
        if self.known.insert((cluster.clone(), address.clone())) {
            self.found.push(Absent { address, port, cluster: cluster.clone(), network, reason });
        }
    }
}

/// Whether endpoints are matched to a port by its number.
const fn is_dns(service: &Service) -> bool {
    matches!(service.resolution, Resolution::DnsLb | Resolution::DnsRoundRobinLb)
}

/// Why nothing of a slice counts, if so.
fn whole_slice(
    plane: &ControlPlane,
    cluster: &ClusterId,
    store: &Store,
    slice: &EndpointSlice,
) -> Option<AbsentReason> {
    let namespace = slice.meta.namespace.as_str();
    if !plane.clusters.contains(cluster) {
        Some(AbsentReason::ClusterNotRead(plane.id.clone()))
    } else if !is_discovered(&plane.config, store, namespace) {
        Some(AbsentReason::NamespaceNotDiscovered)
    } else {
        let is_ignored = slice.address_type == AddressType::Fqdn;
        is_ignored.then_some(AbsentReason::SliceOfHostNames)
    }
}

/// Why an entry of a slice that counts is no endpoint.
fn of_entry(
    search: &Search<'_>,
    store: &Store,
    slice: &EndpointSlice,
    entry: SliceEntry<'_>,
) -> AbsentReason {
    if let Some((namespace, name)) = pod_of(slice, entry) {
        let named = || format!("{namespace}/{name}").into_boxed_str();
        let pod = store.pods.get((namespace, name));
        match pod.filter(|_| is_discovered(&search.plane.config, store, namespace)) {
            None => return AbsentReason::PodMissing(named()),
            Some(pod) if pod.status.phase == PodPhase::Failed => {
                return AbsentReason::PodFailed(named());
            }
            Some(_) => {}
        }
    }
    let is_usable = |port: &&SlicePort| u16::try_from(port.port.unwrap_or_default()).is_ok();
    let has = slice.ports.iter().filter(is_usable).map(|port| port.name.clone()).collect();
    AbsentReason::OtherPorts { wanted: search.wanted(), has }
}

fn has_ended(pod: &Pod) -> bool {
    matches!(pod.status.phase, PodPhase::Failed | PodPhase::Succeeded)
}

fn address_of(address: EndpointAddress) -> Address {
    match address {
        EndpointAddress::Ip(ip) => Address::Ip(ip),
        EndpointAddress::Name(name) => Address::Host(name),
    }
}
