//! What one cluster contributes, whichever control plane reads it.
//!
//! ```text
//! Service ──convert──▶ services        EndpointSlice ──group──▶ slices of a service ──▶ shard
//!                                      what slices refer to ──▶ which services a pod concerns
//! ```
use std::net::IpAddr;
use std::sync::Arc;

use super::Around;
use crate::endpoint::{Endpoints, Provider, Shard};
use crate::name::{ClusterId, Namespace, NetworkId, Text, TrustDomain};
use crate::registry::discovery::Discovery;
use crate::registry::kubernetes::{
    self, Addresses, Cluster, Common, Pods, SliceChange, Workloads, endpoints_of_service, pod_of,
};
use crate::registry::map::{Entry, Key, Map};
use crate::registry::multimap::Multimap;
use crate::registry::place::{NETWORK, NetworkMember, NetworkOf};
use crate::registry::{DOMAIN, SYSTEM_NAMESPACE, Service, Store};
use crate::resource::mesh_networks::NetworkEndpoints;
use crate::resource::{EndpointAddress, EndpointSlice, MeshNetworks, Pod, SliceEntry};

const SERVICE_OF_SLICE: &str = "kubernetes.io/service-name";
const FOREIGN_SERVICE_OF_SLICE: &str = "multicluster.kubernetes.io/service-name";

/// The namespace and name of a Kubernetes service.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct ServiceName {
    pub(crate) namespace: Namespace,
    pub(crate) name: Text,
}

impl ServiceName {
    pub(crate) fn key(&self) -> Key<'_> {
        (self.namespace.as_str(), &self.name)
    }
}

/// The slices of a service, by the names of the slices, and what they give.
#[derive(Clone, Debug)]
struct Group {
    service: Arc<ServiceName>,
    id: ServiceId,
    // INVARIANT: not empty, but until the shard is renewed where the last one is taken out.
    slices: Vec<Arc<EndpointSlice>>,
    /// The endpoints, if there are any.
    shard: Option<Arc<Shard>>,
}

impl Entry for Group {
    fn key(&self) -> Key<'_> {
        self.service.key()
    }
}

/// A number for the name of a service that has slices.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct ServiceId(u32);

/// The names of services with slices, by their numbers.
#[derive(Clone, Debug, Default)]
struct ServiceNames {
    names: Vec<Option<Arc<ServiceName>>>,
    // INVARIANT: of those that name nothing.
    free: Vec<ServiceId>,
}

impl ServiceNames {
    fn get(&self, id: ServiceId) -> Option<&Arc<ServiceName>> {
        self.names.get(usize::try_from(id.0).ok()?)?.as_ref()
    }

    fn add(&mut self, name: Arc<ServiceName>) -> ServiceId {
        let next = ServiceId(u32::try_from(self.names.len()).unwrap_or(u32::MAX));
        let id = self.free.pop().unwrap_or(next);
        if id == next {
            self.names.push(Some(name));
        } else if let Some(place) =
            usize::try_from(id.0).ok().and_then(|index| self.names.get_mut(index))
        {
            *place = Some(name);
        }
        id
    }

    fn remove(&mut self, id: ServiceId) {
        let index = usize::try_from(id.0).ok();
        if let Some(place) = index.and_then(|index| self.names.get_mut(index)) {
            *place = None;
            self.free.push(id);
        }
    }
}

/// One cluster as control planes read it.
#[derive(Clone, Debug, Default)]
pub(crate) struct ClusterIndex {
    pub(crate) id: ClusterId,
    trust_domain: TrustDomain,
    networks: NetworkOf,
    services: Map<Arc<Service>>,
    groups: Map<Group>,
    by_address: Addresses,
    /// The services whose slices refer to a pod or an address.
    users: Multimap<ServiceId>,
    names: ServiceNames,
    /// What its workloads have in common.
    common: Common,
}

impl ClusterIndex {
    /// Indexes all that a cluster contains.
    pub(crate) fn build(
        id: &ClusterId,
        trust_domain: TrustDomain,
        store: &Store,
        around: &Around,
    ) -> Self {
        let system = store.namespace(SYSTEM_NAMESPACE).map(|meta| meta.labels.value(NETWORK));
        let networks = NetworkOf::new(id, system.unwrap_or_default(), members(&around.networks));
        let mut index = Self { id: id.clone(), trust_domain, networks, ..Self::default() };
        let discovery = Discovery::new(&around.config, store);
        let cluster = index.cluster(store, around);
        let services = store.services.iter();
        let services = services.filter(|object| discovery.contains(object.meta.namespace.as_str()));
        let services = services.map(|object| Arc::new(convert(object, store, &cluster))).collect();
        index.services = services;
        for slice in store.endpoint_slices.iter() {
            index.group(slice, &discovery);
        }
        let cluster = index.cluster(store, around);
        let mut workloads = Workloads::default();
        let groups = index.groups.iter().map(|group| {
            let endpoints = index.endpoints(group, store, &cluster, around, &mut workloads);
            Group { shard: index.shard_of(None, endpoints), ..group.clone() }
        });
        let groups = groups.collect();
        let common = workloads.into_common();
        Self { groups, common, ..index }
    }

    /// A cluster that contains nothing.
    pub(crate) fn empty(id: &ClusterId, trust_domain: TrustDomain, around: &Around) -> Self {
        Self::build(id, trust_domain, &Store::default(), around)
    }

    /// The cluster as conversions read it.
    pub(crate) fn cluster<'o>(&'o self, store: &'o Store, around: &'o Around) -> Cluster<'o> {
        Cluster {
            id: &self.id,
            trust_domain: &self.trust_domain,
            domain: DOMAIN,
            networks: &self.networks,
            nodes: &store.nodes,
            pods: Pods {
                by_name: &store.pods,
                by_address: &self.by_address,
                discovery: Discovery::new(&around.config, store),
            },
            dual_stack: around.compat.flags.istio_dual_stack,
        }
    }

    /// Returns the services, by namespace and name.
    pub(crate) fn services(&self) -> impl Iterator<Item = &Arc<Service>> {
        self.services.iter()
    }

    /// Returns a service as this cluster has it.
    pub(crate) fn service(&self, key: Key<'_>) -> Option<&Arc<Service>> {
        self.services.get(key)
    }

    /// Returns the endpoints that the slices of a service give; `None` for none.
    pub(crate) fn shard(&self, key: Key<'_>) -> Option<&Arc<Shard>> {
        self.groups.get(key)?.shard.as_ref()
    }

    /// Returns the services that have endpoints.
    pub(crate) fn served(&self) -> impl Iterator<Item = &Arc<ServiceName>> {
        self.groups.iter().filter(|group| group.shard.is_some()).map(|group| &group.service)
    }

    /// Converts a service again; returns whether it is different.
    pub(crate) fn renew_service(&mut self, key: Key<'_>, store: &Store, around: &Around) -> bool {
        let discovery = Discovery::new(&around.config, store);
        let object = store.services.get(key).filter(|_| discovery.contains(key.0));
        let Some(object) = object else { return self.services.remove(key).is_some() };
        let service = convert(object, store, &self.cluster(store, around));
        if self.services.get(key).is_some_and(|known| **known == service) {
            return false;
        }
        self.services.insert(Arc::new(service));
        true
    }

    /// Takes note of a slice that is new or gone; returns the services whose endpoints it lists.
    pub(crate) fn renew_slice(
        &mut self,
        before: Option<&Arc<EndpointSlice>>,
        after: Option<&Arc<EndpointSlice>>,
        store: &Store,
        around: &Around,
    ) -> Vec<Arc<ServiceName>> {
        let discovery = Discovery::new(&around.config, store);
        let left = before.and_then(|slice| self.ungroup(slice, &discovery));
        let joined = after.and_then(|slice| self.group(slice, &discovery));
        left.into_iter().chain(joined).collect()
    }

    /// Takes note of a slice that is another; returns the services whose endpoints it listed and lists.
    pub(crate) fn replace_slice(
        &mut self,
        change: &SliceChange<'_>,
        store: &Store,
        around: &Around,
    ) -> Vec<Arc<ServiceName>> {
        let discovery = Discovery::new(&around.config, store);
        let SliceChange { before, after, .. } = change;
        if service_of(before, &discovery) == service_of(after, &discovery)
            && let Some(service) = self.regroup(change, &discovery)
        {
            return vec![service];
        }
        self.renew_slice(Some(before), Some(after), store, around)
    }

    /// Takes note of a pod that changed; returns the services whose slices refer to it.
    pub(crate) fn renew_pod(
        &mut self,
        before: Option<&Arc<Pod>>,
        after: Option<&Arc<Pod>>,
    ) -> Vec<Arc<ServiceName>> {
        if let Some(pod) = before {
            self.by_address.remove(pod);
        }
        if let Some(pod) = after {
            self.by_address.add(pod);
        }
        let mut users: Vec<_> =
            before.into_iter().chain(after).flat_map(|pod| self.users_of(pod)).cloned().collect();
        users.sort();
        users.dedup();
        users
    }

    /// The services whose slices refer to a pod, and perhaps others.
    pub(crate) fn users_of(&self, pod: &Pod) -> impl Iterator<Item = &Arc<ServiceName>> {
        let namespace = pod.meta.namespace.as_str();
        let named = self.users.get(&User::Pod(namespace, &pod.meta.name));
        let addressed = pod.status.pod_ip.map(|ip| self.users.get(&User::Address(namespace, ip)));
        named.chain(addressed.into_iter().flatten()).filter_map(|id| self.names.get(*id))
    }

    /// Computes the endpoints of a service again, with those workloads as they were that `changed`
    /// does not name; returns whether they are different.
    pub(crate) fn renew_shard(
        &mut self,
        service: &Arc<ServiceName>,
        changed: Changed<'_>,
        store: &Store,
        around: &Around,
    ) -> bool {
        if let Changed::Slice(change) = changed
            && let Some(differs) = self.renew_health(service, change)
        {
            return differs;
        }
        let common = std::mem::take(&mut self.common);
        let Some(group) = self.groups.get(service.key()) else {
            self.common = common;
            return false;
        };
        let known = group.shard.as_ref();
        let before = known.map(|shard| shard.endpoints()).unwrap_or_default();
        let mut workloads = match changed {
            Changed::Slice(_) | Changed::Slices => Workloads::of(before, None),
            Changed::Pod(pod) => Workloads::of(before, Some(pod)),
            Changed::All => Workloads::default(),
        };
        workloads = workloads.knowing(common);
        let cluster = self.cluster(store, around);
        let endpoints = self.endpoints(group, store, &cluster, around, &mut workloads);
        let common = workloads.into_common();
        let is_same = *before == endpoints && !group.slices.is_empty();
        let shard = (!is_same).then(|| self.shard_of(known, endpoints));
        self.common = common;
        shard.is_some_and(|shard| self.put(service, shard))
    }

    /// Gives the endpoints of a service another health where a slice differs in nothing else; returns whether
    /// any has another, `None` where more may differ.
    fn renew_health(&mut self, service: &ServiceName, change: SliceChange<'_>) -> Option<bool> {
        let object = self.services.get(service.key()).map(|service| &**service);
        let group = self.groups.get_mut(service.key())?;
        let known = group.shard.as_ref()?;
        let changed = change.in_health(known.endpoints(), object, &group.slices)?;
        if changed.is_empty() {
            return Some(false);
        }
        group.shard = Some(Arc::new(known.with_health(&changed)));
        Some(true)
    }

    /// Sets the shard of a service, which is another; returns whether there is or was one.
    fn put(&mut self, service: &ServiceName, shard: Option<Arc<Shard>>) -> bool {
        let Some(group) = self.groups.get_mut(service.key()) else { return false };
        let (id, is_left) = (group.id, !group.slices.is_empty());
        let has_any = shard.is_some();
        let had_any = std::mem::replace(&mut group.shard, shard).is_some();
        if !is_left {
            self.names.remove(id);
            self.groups.remove(service.key());
        }
        has_any || had_any
    }

    /// The shard of endpoints, if there are any.
    fn shard_of(&self, known: Option<&Arc<Shard>>, endpoints: Endpoints) -> Option<Arc<Shard>> {
        let shard = match known {
            _ if endpoints.is_empty() => return None,
            Some(known) => known.renewed(endpoints),
            None => Shard::new(Provider::Kubernetes, self.id.clone(), endpoints),
        };
        Some(Arc::new(shard))
    }

    fn endpoints<'o>(
        &'o self,
        group: &'o Group,
        store: &Store,
        cluster: &Cluster<'o>,
        around: &Around,
        workloads: &mut Workloads<'o>,
    ) -> Endpoints {
        let service = self.services.get(group.key()).map(|service| &**service);
        let discoverability = around.discoverability(service, store, group.key());
        endpoints_of_service(service, &group.slices, cluster, discoverability, workloads)
    }

    /// Adds a slice to those of its service, which it returns.
    fn group(
        &mut self,
        slice: &Arc<EndpointSlice>,
        discovery: &Discovery<'_>,
    ) -> Option<Arc<ServiceName>> {
        let key = service_of(slice, discovery)?;
        let mut group = self.groups.get(key).cloned().unwrap_or_else(|| {
            let service = ServiceName { namespace: key.0.into(), name: key.1.into() };
            let service = Arc::new(service);
            Group { id: self.names.add(service.clone()), service, slices: Vec::new(), shard: None }
        });
        let index = group.slices.partition_point(|other| other.meta.name < slice.meta.name);
        group.slices.insert(index, slice.clone());
        for user in users(slice) {
            self.users.insert(&user, group.id);
        }
        let service = group.service.clone();
        self.groups.insert(group);
        Some(service)
    }

    /// Takes a slice from those of its service, which it returns.
    fn ungroup(
        &mut self,
        slice: &EndpointSlice,
        discovery: &Discovery<'_>,
    ) -> Option<Arc<ServiceName>> {
        let key = service_of(slice, discovery)?;
        let group = self.groups.get_mut(key)?;
        group.slices.retain(|other| other.meta.name != slice.meta.name);
        for user in users(slice) {
            self.users.remove(&user, |id| *id == group.id);
        }
        Some(group.service.clone())
    }

    /// Replaces a slice of a service, which it returns, by another of the same name.
    fn regroup(
        &mut self,
        change: &SliceChange<'_>,
        discovery: &Discovery<'_>,
    ) -> Option<Arc<ServiceName>> {
        let SliceChange { before, after, .. } = *change;
        let group = self.groups.get_mut(service_of(after, discovery)?)?;
        let name = &after.meta.name;
        *group.slices.iter_mut().find(|other| other.meta.name == *name)? = after.clone();
        let old = || users_of_entries(before, change.old_entries());
        let new = || users_of_entries(before, change.new_entries());
        if !change.is_of_conditions() && !old().eq(new()) {
            old().for_each(|user| self.users.remove(&user, |id| *id == group.id));
            new().for_each(|user| self.users.insert(&user, group.id));
        }
        Some(group.service.clone())
    }
}

/// What of a cluster changed, beside the service whose endpoints are asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Changed<'c> {
    /// One slice of it is another.
    Slice(SliceChange<'c>),
    /// Nothing that its pods are described by.
    Slices,
    /// The pod of a namespace and name.
    Pod((&'c str, &'c str)),
    /// Anything.
    All,
}

/// What an entry of a slice refers to.
#[derive(Debug, Eq, Hash, PartialEq)]
enum User<'o> {
    Pod(&'o str, &'o str),
    Address(&'o str, IpAddr),
}

/// What the entries of a slice refer to, in order.
fn users(slice: &EndpointSlice) -> impl Iterator<Item = User<'_>> {
    users_of_entries(slice, slice.endpoints.iter())
}

fn users_of_entries<'s>(
    slice: &'s EndpointSlice,
    entries: impl Iterator<Item = SliceEntry<'s>>,
) -> impl Iterator<Item = User<'s>> {
    entries.flat_map(move |entry| {
        let pod = pod_of(slice, entry);
        let addresses = pod.is_none().then(|| entry.addresses()).into_iter().flatten();
        let addresses = addresses.filter_map(|address| match address {
            EndpointAddress::Ip(ip) => Some(User::Address(slice.meta.namespace.as_str(), ip)),
            EndpointAddress::Name(_) => None,
        });
        pod.map(|(namespace, name)| User::Pod(namespace, name)).into_iter().chain(addresses)
    })
}

/// The service whose endpoints a slice lists, if it counts.
fn service_of<'s>(slice: &'s EndpointSlice, discovery: &Discovery<'_>) -> Option<Key<'s>> {
    service_of_slice(slice).filter(|(namespace, _)| discovery.contains(namespace))
}

/// The service whose endpoints a slice of any namespace lists, if it does.
pub(crate) fn service_of_slice(slice: &EndpointSlice) -> Option<Key<'_>> {
    let labels = &slice.meta.labels;
    let (namespace, name) = (slice.meta.namespace.as_str(), labels.value(SERVICE_OF_SLICE));
    let is_foreign = labels.get(FOREIGN_SERVICE_OF_SLICE).is_some();
    (!is_foreign && !name.is_empty()).then_some((namespace, name))
}

/// Converts a service with what its namespace says.
fn convert(object: &crate::resource::Service, store: &Store, cluster: &Cluster<'_>) -> Service {
    let namespace = store.namespace(object.meta.namespace.as_str());
    kubernetes::convert(object, cluster, namespace.map(|meta| &meta.annotations))
}

/// What `MeshNetworks` counts to each network.
pub(crate) fn members(
    networks: &MeshNetworks,
) -> impl Iterator<Item = (NetworkId, NetworkMember<'_>)> {
    networks.networks.iter().flat_map(|(id, network)| {
        network.endpoints.iter().filter_map(move |entry| {
            let member = match entry {
                NetworkEndpoints::FromRegistry(name) => NetworkMember::Registry(name),
                NetworkEndpoints::FromCidr(range) => NetworkMember::Range(range),
                NetworkEndpoints::Nothing => return None,
            };
            Some((NetworkId::from(&**id), member))
        })
    })
}
