//! The endpoints of services as a control plane knows them: of all clusters, with the machines that
//! services select and what ServiceEntries list.
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::ClusterIndex;
use super::cluster::ServiceName;
use super::plane::{FromEntries, Plane, cluster_set_host};
use crate::endpoint::{Discoverability, Endpoint, Provider, Shard, Shards, Workload};
use crate::name::{ClusterId, Hostname, Namespace};
use crate::registry::control_plane::{ControlPlane, ServiceShards};
use crate::registry::discovery::Discovery;
use crate::registry::external::{Machines, selected_by_service};
use crate::registry::kubernetes::{self, Cluster};
use crate::registry::map::{Key, Map};
use crate::registry::{DOMAIN, Store};

/// The machines of each cluster.
type OfClusters<'o> = BTreeMap<&'o ClusterId, Machines<'o>>;

impl<'o> Plane<'o> {
    /// The machines of a cluster, all or those of a namespace: of the config cluster what configures the
    /// control plane, of another one its own.
    pub(super) fn machines<'c>(
        &self,
        cluster: &Cluster<'_>,
        store: &'c Store,
        namespace: Option<&'c str>,
    ) -> Machines<'c>
    where
        'o: 'c,
    {
        if *cluster.id == *self.id {
            return match namespace {
                None => {
                    Machines::new(self.all(|s| &s.workload_entries).map(|e| &**e), cluster, true)
                }
                Some(name) => {
                    let entries = self.all_in(name, |store| &store.workload_entries);
                    Machines::new(entries.map(|entry| &**entry), cluster, true)
                }
            };
        }
        let around = &self.index.around;
        if !around.compat.flags.pilot_enable_cross_cluster_workload_entry {
            return Machines::default();
        }
        let discovery = Discovery::new(&around.config, store);
        match namespace {
            Some(name) if !discovery.contains(name) => Machines::default(),
            Some(name) => {
                let entries = store.workload_entries.with_first(name);
                Machines::new(entries.map(|entry| &**entry), cluster, false)
            }
            None => {
                let entries = store.workload_entries.iter().map(|entry| &**entry);
                let discovered =
                    entries.filter(|entry| discovery.contains(entry.meta.namespace.as_str()));
                Machines::new(discovered, cluster, false)
            }
        }
    }

    fn machines_of_clusters(&self, namespace: Option<&'o str>) -> OfClusters<'o> {
        let around = &self.index.around;
        let machines = self.members().map(|(index, store)| {
            (&index.id, self.machines(&index.cluster(store, around), store, namespace))
        });
        machines.filter(|(_, machines)| !machines.is_empty()).collect()
    }

    /// The endpoints of all services; those that are as they were `before` are kept.
    pub(super) fn shards(
        &self,
        external: &FromEntries,
        before: Option<&Arc<ControlPlane>>,
    ) -> Map<Arc<ServiceShards>> {
        let machines = self.machines_of_clusters(None);
        let mut names: BTreeSet<&ServiceName> = BTreeSet::new();
        let mut selecting = BTreeSet::new();
        for (index, _) in self.members() {
            names.extend(index.served().map(|name| &**name));
            if let Some(machines) = machines.get(&index.id) {
                let services = index.services().filter(|s| machines.is_in(&s.namespace));
                selecting.extend(services.map(|s| (s.hostname.clone(), s.namespace.clone())));
            }
        }
        let has_cluster_set = self.index.around.has_cluster_set();
        let mut hosts: BTreeSet<(Hostname, Namespace)> = external.shards.keys().cloned().collect();
        hosts.append(&mut selecting);
        for ServiceName { namespace, name } in names {
            hosts.insert((kubernetes::hostname(name, namespace, DOMAIN), namespace.clone()));
            if has_cluster_set {
                let host = cluster_set_host(name, namespace.as_str());
                hosts.insert((host, namespace.clone()));
            }
        }
        let known = |key: Key<'_>| before.and_then(|before| before.shards.get(key));
        let of_host = |(hostname, namespace): (Hostname, Namespace)| {
            let shards = self.shards_with(&hostname, &namespace, external, &machines)?;
            let known = known((hostname.as_str(), namespace.as_str()));
            Some(match known {
                Some(known) if *known.shards == shards => known.clone(),
                Some(_) | None => {
                    let shards = Arc::new(shards);
                    Arc::new(ServiceShards { hostname, namespace, shards })
                }
            })
        };
        hosts.into_iter().filter_map(of_host).collect()
    }

    /// The endpoints of hosts, best given by namespace; `None` for none.
    pub(crate) fn shards_of_hosts(
        &self,
        hosts: &'o [(Hostname, Namespace)],
    ) -> Vec<Option<Shards>> {
        let Some(kept) = self.index.planes.get(self.id) else { return Vec::new() };
        let mut machines: (Option<&Namespace>, OfClusters<'o>) = <_>::default();
        let mut of_host = |(hostname, namespace): &'o (Hostname, Namespace)| {
            if machines.0 != Some(namespace) {
                let of_namespace = self.machines_of_clusters(Some(namespace.as_str()));
                machines = (Some(namespace), of_namespace);
            }
            self.shards_with(hostname, namespace, &kept.external, &machines.1)
        };
        hosts.iter().map(&mut of_host).collect()
    }

    fn shards_with(
        &self,
        hostname: &Hostname,
        namespace: &Namespace,
        external: &FromEntries,
        machines: &OfClusters<'_>,
    ) -> Option<Shards> {
        let listed = external.shards.get(&(hostname.clone(), namespace.clone()));
        let mut shards: Vec<Arc<Shard>> = listed.into_iter().cloned().collect();
        if let Some((name, host)) = kubernetes_name(hostname.as_str(), namespace.as_str()) {
            let key = (namespace.as_str(), name);
            for (index, store) in self.members() {
                let of_slices = index.shard(key).cloned();
                shards.extend(match host {
                    Host::Cluster => {
                        let selected = machines.get(&index.id);
                        let selected = selected.map(|list| selected_in(index, store, key, list));
                        joined(index, of_slices, selected.unwrap_or_default())
                    }
                    // Machines are not of the cluster set.
                    Host::ClusterSet => {
                        of_slices.map(|shard| self.exported(index, store, key, shard))
                    }
                });
            }
        }
        let shards = Shards::new(shards);
        (!shards.is_empty()).then_some(shards)
    }

    /// A cluster's endpoints as those of the cluster set's host.
    fn exported(
        &self,
        index: &ClusterIndex,
        store: &Store,
        key: Key<'_>,
        shard: Arc<Shard>,
    ) -> Arc<Shard> {
        let service = index.service(key);
        let discoverability = service.map_or(Discoverability::SameCluster, |service| {
            self.index.around.exported(service, store, key)
        });
        let is_other = |workload: &Workload| workload.discoverability != discoverability;
        if !shard.endpoints().iter().any(|endpoint| is_other(&endpoint.workload)) {
            return shard;
        }
        // What endpoints shared they share still.
        let mut made: FxHashMap<*const Workload, Arc<Workload>> = FxHashMap::default();
        let endpoints = shard.endpoints().iter().map(|endpoint| {
            let workload = made.entry(Arc::as_ptr(&endpoint.workload)).or_insert_with(|| {
                let mut workload = (*endpoint.workload).clone();
                workload.discoverability = discoverability;
                Arc::new(workload)
            });
            Endpoint { workload: Arc::clone(workload), ..endpoint.clone() }
        });
        Arc::new(shard.renewed(endpoints.collect::<Vec<_>>()))
    }
}

/// The machines of a cluster that a service of it selects.
fn selected_in(
    index: &ClusterIndex,
    store: &Store,
    key: Key<'_>,
    machines: &Machines<'_>,
) -> Vec<Endpoint> {
    let service = index.service(key).zip(store.services.get(key));
    service
        .map(|(service, object)| selected_by_service(service, object, machines))
        .unwrap_or_default()
}

/// The endpoints of slices, then the machines.
fn joined(
    index: &ClusterIndex,
    of_slices: Option<Arc<Shard>>,
    selected: Vec<Endpoint>,
) -> Option<Arc<Shard>> {
    if selected.is_empty() {
        return of_slices;
    }
    let of_slices = of_slices.as_ref().map(|shard| shard.endpoints()).unwrap_or_default();
    let endpoints = of_slices.iter().cloned().chain(selected).collect::<Vec<_>>();
    let (provider, cluster) = (Provider::Kubernetes, index.id.clone());
    Some(Arc::new(Shard::new(provider, cluster, endpoints)))
}

#[derive(Clone, Copy)]
enum Host {
    Cluster,
    ClusterSet,
}

/// The name of the Kubernetes service that has a host.
fn kubernetes_name<'h>(host: &'h str, namespace: &str) -> Option<(&'h str, Host)> {
    let rest = |domain: &str| {
        let rest = host.strip_suffix(domain)?.strip_suffix(".svc.")?;
        rest.strip_suffix(namespace)?.strip_suffix('.')
    };
    let of_cluster = rest(DOMAIN).map(|name| (name, Host::Cluster));
    of_cluster.or_else(|| rest("clusterset.local").map(|name| (name, Host::ClusterSet)))
}
