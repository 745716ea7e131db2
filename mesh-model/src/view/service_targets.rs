//! The services that a proxy itself stands behind, with the ports that its workload listens on.
//!
//! ```text
//! the pod's labels ──selectors──▶ Services ──▶ ports ──container ports──▶ targets
//!      a WorkloadEntry has its address: that one's labels and ports
//!      none selects it: EndpointSlices that list its address
//!      no such pod: the proxy's own labels and POD_PORTS
//! ServiceEntries of its namespace ──addresses of their endpoints──────────▶ targets
//! ```
//!
//! # Upstream
//!
//! istio/istio `pilot/pkg/serviceregistry/kube/controller/controller.go` and
//! `pilot/pkg/serviceregistry/serviceentry/controller.go` `GetProxyServiceTargets`;
//! `pilot/pkg/model/context.go` `SetServiceTargets`.
use std::collections::BTreeSet;
use std::sync::Arc;

use super::ProxyView;
use crate::endpoint::{Address, Endpoint, Provider};
use crate::name::{Labels, Namespace, Protocol, Text};
use crate::registry::{
    Service, ServicePort, Store, is_discovered, machine_ports, may_be_machine_at, pod_port,
    service_of,
};
use crate::resource::{self, Json, ObjectKey, Pod, PortTarget, Transport, WorkloadEntry};

/// A service that a proxy stands behind, and the port that serves it.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "a value that generators read")]
pub struct ServiceTarget {
    /// The service as the proxy's own cluster has it.
    pub service: Arc<Service>,
    /// The port that clients dial.
    pub port: ServicePort,
    /// The port that the workload listens on; 0 where a named one is unknown.
    pub target_port: u16,
}

impl ProxyView<'_> {
    /// Returns the services that the proxy stands behind, oldest first, then by host; of one service
    /// one target per distinct target port and protocol, in the order of its ports.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/model/context.go` `SetServiceTargets`.
    pub fn service_targets(&self) -> Vec<ServiceTarget> {
        let mut targets = self.kubernetes_targets();
        self.add_external_targets(&mut targets);
        targets.sort_by(|a, b| {
            let order = |target: &ServiceTarget| target.service.creation;
            (order(a), &a.service.hostname).cmp(&(order(b), &b.service.hostname))
        });
        targets
    }

    /// Adds those of the ServiceEntries of the proxy's namespace that list or select one of its addresses,
    /// whoever may see them.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/serviceregistry/serviceentry/controller.go` `GetProxyServiceTargets`.
    fn add_external_targets(&self, targets: &mut Vec<ServiceTarget>) {
        let proxy = self.proxy();
        let addresses: Vec<Address> = proxy.addresses.iter().copied().map(Address::Ip).collect();
        // A service of several addresses has each endpoint as often.
        let mut seen = BTreeSet::new();
        let is_own = |service: &&Arc<Service>| {
            service.provider == Provider::External && service.namespace == proxy.namespace
        };
        for service in self.plane().services.iter().filter(is_own) {
            let shards = self.shards(service).into_iter().flat_map(|shards| shards.iter());
            let external = shards.filter(|shard| shard.provider == Provider::External);
            for endpoint in external.flat_map(|shard| shard.endpoints()) {
                let port = service.ports.iter().find(|port| *port.name == *endpoint.port_name);
                if let Some(port) = port.filter(|_| has_address(endpoint, &addresses))
                    && seen.insert((&service.hostname, port.number, endpoint.port))
                {
                    targets.push(ServiceTarget {
                        service: service.clone(),
                        port: port.clone(),
                        target_port: endpoint.port,
                    });
                }
            }
        }
    }

    /// Whether services of a namespace may be the proxy's own: it is of the namespace, or a WorkloadEntry there has
    /// its first address, so that it may be that machine's.
    pub fn may_stand_in(&self, namespace: &Namespace) -> bool {
        *namespace == self.proxy().namespace
            || self.is_at_machine(|store| store.workload_entries.with_first(namespace.as_str()))
    }

    /// Whether a WorkloadEntry has the proxy's first address.
    pub(super) fn may_be_of_machine(&self, machine: &ObjectKey) -> bool {
        let key = (machine.namespace.as_str(), &*machine.name);
        self.is_at_machine(|store| store.workload_entries.get(key).into_iter())
    }

    /// Whether any of some WorkloadEntries has the proxy's first address.
    fn is_at_machine<'m, I: Iterator<Item = &'m Arc<WorkloadEntry>>>(
        &'m self,
        entries: impl Fn(&'m Store) -> I,
    ) -> bool {
        let proxy = self.proxy();
        let Some(address) = proxy.addresses.first().copied().map(Address::Ip) else { return false };
        let parts = &self.mesh().parts;
        let own = parts.clusters.get(&proxy.cluster).map(|part| &*part.store);
        let mut stores = [&*parts.config].into_iter().chain(own);
        stores.any(|store| entries(store).any(|entry| may_be_machine_at(entry, &address)))
    }

    /// Those of the proxy's own cluster, if its control plane reads it.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/serviceregistry/aggregate/controller.go` `GetProxyServiceTargets`;
    /// `pilot/pkg/serviceregistry/kube/controller/controller.go` `GetProxyServiceTargets`.
    fn kubernetes_targets(&self) -> Vec<ServiceTarget> {
        let proxy = self.proxy();
        if !self.plane().clusters.contains(&proxy.cluster) {
            return Vec::new();
        }
        let Some(part) = self.mesh().parts.clusters.get(&proxy.cluster) else { return Vec::new() };
        let own = Own { view: self, store: &part.store };
        if let Some(machine) = own.machine() {
            return own.targets_of_machine(machine);
        }
        let Some(pod) = own.pod() else { return own.targets_by_metadata() };
        let labels = &pod.meta.labels;
        let mut services = own.selecting(&pod.meta.namespace, labels).peekable();
        if services.peek().is_none() {
            return own.targets_by_slices();
        }
        let port =
            |service: &resource::ServicePort| pod_port(pod, &target_of(service), service.protocol);
        services.flat_map(|service| own.targets(service, port)).collect()
    }
}

/// Whether an endpoint has one of some addresses.
fn has_address(endpoint: &Endpoint, addresses: &[Address]) -> bool {
    [&endpoint.address]
        .into_iter()
        .chain(&*endpoint.more_addresses)
        .any(|own| addresses.contains(own))
}

/// The proxy's own cluster.
struct Own<'v, 'm> {
    view: &'v ProxyView<'m>,
    store: &'v Store,
}

impl<'v> Own<'v, '_> {
    fn is_discovered(&self, namespace: &Namespace) -> bool {
        is_discovered(&self.view.plane().config, self.store, namespace.as_str())
    }

    /// The pod that the proxy runs beside: by name, else by its first address.
    fn pod(&self) -> Option<&'v Arc<Pod>> {
        let proxy = self.view.proxy();
        let key = (proxy.namespace.as_str(), &*proxy.name);
        let address = proxy.addresses.first();
        let by_address = || {
            let mut pods = self.store.pods.iter();
            pods.find(|pod| address.is_some() && pod.status.pod_ip.as_ref() == address)
        };
        let pod = self.store.pods.get(key).or_else(by_address)?;
        self.is_discovered(&pod.meta.namespace).then_some(pod)
    }

    /// The WorkloadEntry of the cluster that has the proxy's first address: of several the one of its name, else
    /// one of its namespace, else the first by namespace and name.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/serviceregistry/util/workloadinstances/util.go` `GetInstanceForProxy`.
    fn machine(&self) -> Option<&'v Arc<WorkloadEntry>> {
        let view = self.view;
        let (proxy, plane) = (view.proxy(), view.plane());
        let address = Address::Ip(*proxy.addresses.first()?);
        let is_home = proxy.cluster == plane.id;
        if !is_home && !view.mesh().compat().flags.pilot_enable_cross_cluster_workload_entry {
            return None;
        }
        let config = Some(&*view.mesh().parts.config).filter(|_| is_home);
        let entries =
            config.into_iter().chain([self.store]).flat_map(|s| s.workload_entries.iter());
        let mut found: Vec<_> =
            entries.filter(|entry| may_be_machine_at(entry, &address)).collect();
        found.retain(|entry| self.is_discovered(&entry.meta.namespace));
        found.sort_by_key(|entry| (&entry.meta.namespace, &entry.meta.name));
        let is_near = |entry: &&&Arc<WorkloadEntry>| entry.meta.namespace == proxy.namespace;
        let is_own =
            |entry: &&&Arc<WorkloadEntry>| is_near(entry) && *entry.meta.name == *proxy.name;
        let mut best =
            found.iter().filter(is_own).chain(found.iter().filter(is_near)).chain(&found);
        best.next().copied()
    }

    /// The targets of the services that select a machine.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/serviceregistry/kube/controller/controller.go`
    /// `serviceTargetsFromWorkloadInstance`.
    fn targets_of_machine(&self, machine: &'v WorkloadEntry) -> Vec<ServiceTarget> {
        let namespace = &machine.meta.namespace;
        let cluster = &self.view.proxy().cluster;
        let mesh = self.view.mesh();
        let trust_domain = mesh.trust_domain(cluster);
        let targets = self.of_namespace(namespace).flat_map(|object| {
            let service = self.converted(object);
            let ports = machine_ports(
                (cluster, &trust_domain, self.store),
                mesh.networks(),
                (machine, *cluster == self.view.plane().id),
                (&service, object),
            );
            let target = |(name, target_port): (Text, u16)| {
                let port = service.ports.iter().find(|port| *port.name == *name)?;
                (port.protocol != Protocol::Udp).then(|| ServiceTarget {
                    service: service.clone(),
                    port: port.clone(),
                    target_port,
                })
            };
            ports.into_iter().filter_map(target).collect::<Vec<_>>()
        });
        targets.collect()
    }

    /// The services of a namespace whose selector fits.
    fn selecting(
        &self,
        namespace: &'v Namespace,
        labels: &'v Labels,
    ) -> impl Iterator<Item = &'v Arc<resource::Service>> {
        let is_discovered = self.is_discovered(namespace);
        self.of_namespace(namespace).filter(move |service| {
            let selector = &service.spec.selector;
            is_discovered && !selector.is_empty() && labels.contains(selector)
        })
    }

    fn of_namespace(
        &self,
        namespace: &'v Namespace,
    ) -> impl Iterator<Item = &'v Arc<resource::Service>> {
        self.store.services.with_first(namespace.as_str())
    }

    fn converted(&self, service: &resource::Service) -> Arc<Service> {
        let cluster = &self.view.proxy().cluster;
        let trust_domain = self.view.mesh().trust_domain(cluster);
        let domain = &self.view.plane().domain;
        Arc::new(service_of(cluster, &trust_domain, self.store, domain, service))
    }

    /// The targets of one service, given what finds the number of a target port.
    fn targets(
        &self,
        object: &resource::Service,
        number: impl Fn(&resource::ServicePort) -> Option<u16>,
    ) -> Vec<ServiceTarget> {
        let service = self.converted(object);
        let mut seen = BTreeSet::new();
        let targets = object.spec.ports.iter().filter_map(|port| {
            let known = service.ports.iter().find(|known| *known.name == *port.name)?;
            let target_port = number(port)?;
            seen.insert((target_port, known.protocol)).then(|| ServiceTarget {
                service: service.clone(),
                port: known.clone(),
                target_port,
            })
        });
        targets.collect()
    }

    /// The targets of the services whose slices list the proxy's first address.
    fn targets_by_slices(&self) -> Vec<ServiceTarget> {
        let proxy = self.view.proxy();
        let Some(address) = proxy.addresses.first().copied().map(Address::Ip) else {
            return Vec::new();
        };
        let services = self.of_namespace(&proxy.namespace).flat_map(|object| {
            let service = self.converted(object);
            let shards = self.view.shards(&service).into_iter().flat_map(|shards| shards.iter());
            let own = shards.filter(|shard| shard.cluster == proxy.cluster);
            let endpoints = own.flat_map(|shard| shard.endpoints().iter());
            let own = endpoints.filter(|endpoint| endpoint.address == address);
            let targets = own.filter_map(|endpoint| {
                let port = service.ports.iter().find(|port| *port.name == *endpoint.port_name)?;
                Some(ServiceTarget {
                    service: service.clone(),
                    port: port.clone(),
                    target_port: endpoint.port,
                })
            });
            targets.collect::<Vec<_>>()
        });
        services.collect()
    }

    /// The targets of a proxy without pod, by what its own metadata says: its labels, and the ports
    /// of its containers. A port that it does not list leaves no service at all.
    fn targets_by_metadata(&self) -> Vec<ServiceTarget> {
        let proxy = self.view.proxy();
        let listed = pod_ports(proxy.metadata.get("POD_PORTS"));
        let services: Vec<_> = self.selecting(&proxy.namespace, &proxy.labels).collect();
        let resolve = |port: &resource::ServicePort| match (target_of(port), &*listed) {
            (PortTarget::Number(number), _) => u16::try_from(number).ok(),
            (PortTarget::Name(_), []) => Some(0),
            (PortTarget::Name(name), listed) => {
                listed.iter().find(|known| known.serves(&name, port.protocol))?.number()
            }
        };
        let ports = services.iter().flat_map(|service| service.spec.ports.iter());
        if ports.clone().any(|port| resolve(port).is_none()) {
            return Vec::new();
        }
        services.iter().flat_map(|service| self.targets(service, resolve)).collect()
    }
}

/// The port of the pods; absent: the service's own number.
fn target_of(port: &resource::ServicePort) -> PortTarget {
    port.target_port.clone().unwrap_or(PortTarget::Number(port.port))
}

/// A container port in metadata `POD_PORTS`.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct PodPort {
    name: String,
    container_port: u32,
    protocol: String,
}

impl PodPort {
    fn serves(&self, name: &str, transport: Transport) -> bool {
        self.name == name && self.protocol == transport.as_str()
    }

    fn number(&self) -> Option<u16> {
        u16::try_from(self.container_port).ok()
    }
}

/// Reads metadata `POD_PORTS`: JSON in a text.
fn pod_ports(metadata: Option<&Json>) -> Vec<PodPort> {
    let text = metadata.and_then(Json::as_str).unwrap_or_default();
    serde_json::from_str(text).unwrap_or_default()
}
