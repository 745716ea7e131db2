//! What is no Kubernetes service: ServiceEntries, and the machines and pods behind them.
//!
//! ```text
//! ServiceEntry ──service──▶ registry::Service, one a host and address
//! WorkloadEntry, Pod, inline endpoint ──instance──▶ Instance ──endpoints──▶ Endpoint
//! ```
//!
//! # Upstream
//!
//! istio/istio `pilot/pkg/serviceregistry/serviceentry/conversion.go`, `controller.go`.
mod endpoints;
mod instance;
mod service;

use std::collections::{BTreeMap, BTreeSet};

pub(crate) use self::endpoints::selected_by_service;
use self::endpoints::{of_host, of_instance};
pub(crate) use self::instance::{Instance, is_healthy};
pub(crate) use self::service::{Settings, visibility};
use super::kubernetes::Cluster;
use super::{Resolution, Service};
use crate::endpoint::Endpoint;
use crate::name::{Hostname, Namespace};
use crate::resource::{ServiceEntry, WorkloadEntry};

/// The machines of one cluster that take traffic, by namespace and name.
#[derive(Debug, Default)]
pub(crate) struct Machines<'o>(BTreeMap<Namespace, Vec<Instance<'o>>>);

impl<'o> Machines<'o> {
    /// Describes the WorkloadEntries of a cluster that are healthy; `is_of_config` says that it is the config
    /// cluster.
    pub(crate) fn new(
        entries: impl IntoIterator<Item = &'o WorkloadEntry>,
        cluster: &Cluster<'_>,
        is_of_config: bool,
    ) -> Self {
        let mut machines: BTreeMap<Namespace, Vec<Instance<'o>>> = BTreeMap::new();
        for entry in entries.into_iter().filter(|entry| is_healthy(entry)) {
            let machine = Instance::of_workload_entry(entry, cluster, is_of_config);
            machines.entry(entry.meta.namespace.clone()).or_default().push(machine);
        }
        for list in machines.values_mut() {
            list.sort_by(|a, b| a.name.cmp(&b.name));
        }
        Self(machines)
    }

    /// Returns whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns whether there is one in a namespace.
    pub(crate) fn is_in(&self, namespace: &Namespace) -> bool {
        self.0.contains_key(namespace)
    }

    /// Returns the machines of a namespace, by name.
    pub(crate) fn of(&self, namespace: &Namespace) -> impl Iterator<Item = &Instance<'o>> {
        self.0.get(namespace).into_iter().flatten()
    }
}

/// One cluster as selectors search it.
#[derive(Debug)]
pub(crate) struct Member<'o> {
    pub(crate) cluster: &'o Cluster<'o>,
    pub(crate) machines: &'o Machines<'o>,
}

/// Services and endpoints from ServiceEntries.
#[derive(Debug, Default)]
pub(crate) struct External {
    pub(crate) services: Vec<Service>,
    pub(crate) endpoints: BTreeMap<(Hostname, Namespace), Vec<Endpoint>>,
}

impl External {
    /// Converts ServiceEntries, the oldest first; `home` is the config cluster and `members` all
    /// clusters, in their order.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/serviceregistry/serviceentry/conversion.go` `services`,
    /// `mergeServicesInstancesByNamespaceHost`.
    pub(crate) fn new<'o>(
        entries: impl IntoIterator<Item = &'o ServiceEntry>,
        home: &Cluster<'_>,
        members: &[Member<'_>],
        settings: &Settings<'_>,
    ) -> Self {
        let mut entries: Vec<&ServiceEntry> = entries.into_iter().collect();
        entries.sort_by(|a, b| a.meta.age().cmp(&b.meta.age()));
        let mut external = Self::default();
        let mut served: BTreeMap<(Hostname, Namespace), BTreeSet<u16>> = BTreeMap::new();
        for entry in entries {
            let instances = instances(entry, home, members, settings);
            for service in service::convert(entry, settings) {
                let mut endpoints: Vec<Endpoint> = match &instances {
                    Some(instances) => {
                        instances.iter().flat_map(|one| of_instance(one, &entry.spec)).collect()
                    }
                    None => of_host(entry, &service, home),
                };
                let key = (service.hostname.clone(), service.namespace.clone());
                let ports = served.entry(key.clone()).or_default();
                if service.resolution == Resolution::DnsRoundRobinLb {
                    // One endpoint a port, whichever entry has it first.
                    endpoints.retain(|endpoint| ports.insert(endpoint.service_port));
                } else {
                    ports.extend(endpoints.iter().map(|endpoint| endpoint.service_port));
                }
                external.endpoints.entry(key).or_default().extend(endpoints);
                external.services.push(service);
            }
        }
        external
    }
}

/// The entries that the services of a host and namespace are of, service by service: an entry has as many as
/// it has addresses. Services of one host and namespace stand in the order of their entries' ages.
pub(crate) fn of_services<'o>(
    entries: impl IntoIterator<Item = &'o ServiceEntry>,
    host: &Hostname,
    namespace: &Namespace,
) -> Vec<&'o ServiceEntry> {
    let number = |entry: &ServiceEntry| {
        let times = entry.spec.hosts.iter().filter(|of| ***of == *host.as_str()).count();
        times * service::number_of_a_host(entry)
    };
    let mut entries: Vec<&ServiceEntry> =
        entries.into_iter().filter(|entry| entry.meta.namespace == *namespace).collect();
    entries.sort_by(|a, b| a.meta.age().cmp(&b.meta.age()));
    entries.into_iter().flat_map(|entry| std::iter::repeat_n(entry, number(entry))).collect()
}

/// The endpoints of an entry before they have ports; `None`: its hosts are the endpoints.
fn instances<'e>(
    entry: &'e ServiceEntry,
    home: &Cluster<'_>,
    members: &[Member<'e>],
    settings: &Settings<'_>,
) -> Option<Vec<Instance<'e>>> {
    let spec = &entry.spec;
    let is_dns = matches!(
        service::resolution(spec.resolution),
        Resolution::DnsLb | Resolution::DnsRoundRobinLb
    );
    let Some(selector) = &spec.workload_selector else {
        let inline = spec.endpoints.iter().enumerate();
        let found: Vec<_> =
            inline.map(|(index, one)| Instance::inline(entry, index, one, home)).collect();
        return (!found.is_empty() || !is_dns).then_some(found);
    };
    let namespace = &entry.meta.namespace;
    let selects = |one: &Instance<'_>| one.workload.labels.contains(&selector.labels);
    let pods = members.iter().flat_map(|member| {
        let pods = member.cluster.pods.ready_in(namespace.as_str());
        pods.map(|pod| Instance::of_pod(pod, member.cluster, settings.dual_stack))
    });
    let mut pods: Vec<_> = pods.filter(|pod| selects(pod)).collect();
    let machines = members.iter().flat_map(|member| member.machines.of(namespace));
    let machines = machines.filter(|one| selects(one) && (is_dns || !one.needs_dns()));
    let mut machines: Vec<_> = machines.cloned().collect();
    // Stable: those of one name stay in the order of their clusters.
    pods.sort_by(|a, b| a.name.cmp(&b.name));
    machines.sort_by(|a, b| a.name.cmp(&b.name));
    pods.append(&mut machines);
    Some(pods)
}
