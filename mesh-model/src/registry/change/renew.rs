//! What an object that changed touches, and how that is computed again.
use std::sync::Arc;

use super::Touched;
use crate::endpoint::Shards;
use crate::manifest::TARGET_KINDS;
use crate::name::{ClusterId, Hostname, Namespace};
use crate::registry::attachment::is_same_waypoint;
use crate::registry::control_plane::{ServiceShards, keep};
use crate::registry::effect::Effect;
use crate::registry::index::{Changed, ServiceName, cluster_set_host, is_candidate};
use crate::registry::kubernetes::SliceChange;
use crate::registry::objects::Stored;
use crate::registry::place::NETWORK;
use crate::registry::{
    DOMAIN, Origin, Registry, Resolution, SYSTEM_NAMESPACE, kubernetes, serving, settings,
};
use crate::resource::{
    self, EndpointSlice, Node, ObjectKey, Pod, ProxyRef, VirtualService, WorkloadEntry,
};

const TRAFFIC_DISTRIBUTION: &str = "networking.istio.io/traffic-distribution";

/// The two states of an object of one kind.
macro_rules! states {
    ($touched:expr, $kind:ident) => {{
        let state = |stored: &'_ Option<Stored>| match stored {
            Some(Stored::$kind(object)) => Some(object.clone()),
            _ => None,
        };
        (state(&$touched.before), state(&$touched.after))
    }};
}

impl Registry {
    /// Computes again what an object that changed touches; returns whether that is everything.
    pub(super) fn renew(&mut self, touched: &Touched, effect: &mut Effect) -> bool {
        self.name(touched, effect);
        let Some(object) = touched.after.as_ref().or(touched.before.as_ref()) else { return false };
        let cluster = match &touched.origin {
            Origin::Cluster(id) => Some(id),
            Origin::Description(_)
            | Origin::Config
            | Origin::MeshConfig
            | Origin::MeshNetworks
            | Origin::Proxies
            | Origin::Misplaced(_) => None,
        };
        match (object, cluster) {
            (Stored::EndpointSlice(_), Some(cluster)) => {
                let (before, after) = states!(touched, EndpointSlice);
                self.renew_slice(cluster, before.as_ref(), after.as_ref(), effect);
            }
            (Stored::Pod(_), Some(cluster)) => {
                let (before, after) = states!(touched, Pod);
                self.renew_pod(cluster, before.as_ref(), after.as_ref(), effect);
            }
            (Stored::Service(_), Some(cluster)) => {
                let (before, after) = states!(touched, Service);
                let labels = |service: &'_ Option<Arc<resource::Service>>| {
                    service.as_ref().map(|service| service.meta.labels.clone())
                };
                let is_attached_alike = is_same_waypoint(labels(&before), labels(&after));
                self.renew_service(cluster, &touched.key, &[before, after], effect);
                return !is_attached_alike && self.renew_served(effect);
            }
            (Stored::Node(node), Some(cluster)) => self.renew_node(cluster, node, effect),
            (Stored::Namespace(_), Some(_)) => {
                let (before, after) = states!(touched, Namespace);
                let matters = self.namespace_matters(&touched.key.name, before, after, effect);
                return matters || self.renew_served(effect);
            }
            (Stored::ServiceExport(_) | Stored::ServiceImport(_), Some(_)) => {
                return self.compat.flags.enable_mcs_service_discovery;
            }
            (Stored::KubernetesGateway(_), _) => self.renew_gateways(effect),
            (Stored::MeshConfigMap(_), _) if self.sets(&touched.origin) => {
                effect.everything = true;
                return true;
            }
            (Stored::WorkloadEntry(_), _) => {
                let (before, after) = states!(touched, WorkloadEntry);
                self.renew_machine(cluster, before.or(after).as_deref(), effect);
            }
            (
                Stored::AuthorizationPolicy(_)
                | Stored::PeerAuthentication(_)
                | Stored::RequestAuthentication(_),
                _,
            ) => {
                self.renew_config(touched, effect);
                return self.renew_unknown(effect);
            }
            (Stored::ServiceEntry(_), Some(_)) => {
                self.renew_config(touched, effect);
                return self.renew_served(effect);
            }
            (_, _) => self.renew_config(touched, effect),
        }
        false
    }

    /// Whether any cluster is served otherwise by what attaches policies: everything is different then.
    fn renew_served(&self, effect: &mut Effect) -> bool {
        let is_otherwise = self.is_served_otherwise();
        effect.everything |= is_otherwise;
        is_otherwise
    }

    /// Computes again what stands for policies of any cluster, where it is unknown whose count; returns
    /// whether that itself is different.
    fn renew_unknown(&mut self, effect: &mut Effect) -> bool {
        if self.renew_served(effect) {
            return true;
        }
        if self.planes.keys().any(|id| !self.parts.clusters.contains_key(id)) {
            let before = self.planes.clone();
            self.renew_peer_authentications();
            let mut planes = before.values().zip(self.planes.values());
            effect.everything |= planes.any(|(before, after)| before.broken != after.broken);
        }
        false
    }

    /// Whether any cluster is served by another control plane than is indexed: policies decide that where
    /// any of several may be meant.
    pub(super) fn is_served_otherwise(&self) -> bool {
        serving::served_by(&self.parts) != *self.index.served_by
    }

    /// Names a policy and whom it concerns.
    pub(super) fn name_policy(&self, policy: &ObjectKey, effect: &mut Effect) {
        effect.policies.insert(policy.clone());
        let root = &*self.index.around.config.root_namespace;
        let is_target = TARGET_KINDS.contains(&policy.kind);
        if *policy.namespace.as_str() == *root || policy.namespace.is_empty() || is_target {
            effect.everything = true;
        } else {
            effect.namespaces.insert(policy.namespace.clone());
        }
    }

    /// Names what follows from the object itself.
    pub(super) fn name(&self, touched: &Touched, effect: &mut Effect) {
        let Touched { origin, key, before, after } = touched;
        let Some(object) = after.as_ref().or(before.as_ref()) else { return };
        match (object, origin) {
            (Stored::Pod(_), Origin::Cluster(cluster)) => {
                effect.proxies.insert(reference(cluster, &key.namespace, &key.name));
            }
            (Stored::WorkloadEntry(_), _) => {
                effect.machines.insert(key.clone());
            }
            (Stored::Service(_), Origin::Cluster(_)) => {
                let (before, after) = states!(touched, Service);
                let spec =
                    |service: Option<Arc<resource::Service>>| service.map(|s| s.spec.clone());
                if spec(before) != spec(after) {
                    let host = kubernetes::hostname(&key.name, &key.namespace, DOMAIN);
                    effect.services.insert((host, key.namespace.clone()));
                }
            }
            (Stored::DestinationRule(_), _) if self.configures(origin) => {
                effect.policies.insert(key.clone());
                let (before, after) = states!(touched, DestinationRule);
                let rules = before.into_iter().chain(after);
                effect.hosts.extend(rules.map(|rule| {
                    Hostname::resolve(&rule.spec.host, key.namespace.as_str(), DOMAIN)
                }));
            }
            (Stored::VirtualService(_), _) if self.configures(origin) => {
                effect.policies.insert(key.clone());
                let (before, after) = states!(touched, VirtualService);
                let rules = before.into_iter().chain(after);
                effect.hosts.extend(rules.flat_map(|rule| hosts_of(&rule)));
            }
            (
                Stored::Sidecar(_)
                | Stored::AuthorizationPolicy(_)
                | Stored::PeerAuthentication(_)
                | Stored::RequestAuthentication(_)
                | Stored::Gateway(_)
                | Stored::ProxyConfig(_)
                | Stored::Telemetry(_)
                | Stored::MeshConfigMap(_)
                | Stored::Opaque(_),
                _,
            ) if self.configures(origin) => self.name_policy(key, effect),
            _ => {}
        }
    }

    /// Whether settings of a part of the mesh may count, as [`Parts`](crate::registry::mesh::Parts) takes
    /// them: those of a control plane also where nobody can tell whom it serves.
    fn sets(&self, origin: &Origin) -> bool {
        let Origin::Cluster(id) = origin else { return self.configures(origin) };
        settings::candidates(&self.parts).contains(id)
    }

    /// Whether Istio resources of a part of the mesh count for anyone.
    fn configures(&self, origin: &Origin) -> bool {
        match origin {
            Origin::Cluster(id) | Origin::Description(id) => self.planes.contains_key(id),
            Origin::Config | Origin::MeshConfig | Origin::MeshNetworks | Origin::Proxies => true,
            Origin::Misplaced(_) => false,
        }
    }

    /// The control planes that Istio resources of a part of the mesh count for.
    fn configured_by(&self, origin: &Origin) -> Vec<ClusterId> {
        let is_meant = |id: &&ClusterId| match origin {
            Origin::Cluster(cluster) | Origin::Description(cluster) => *id == cluster,
            Origin::Config | Origin::MeshConfig | Origin::MeshNetworks | Origin::Proxies => true,
            Origin::Misplaced(_) => false,
        };
        self.planes.keys().filter(is_meant).cloned().collect()
    }

    /// The control planes that discover a cluster.
    fn readers_of(&self, cluster: &ClusterId) -> Vec<ClusterId> {
        let planes = self.index.planes.iter();
        let readers = planes.filter(|(_, plane)| plane.clusters.contains(cluster));
        readers.map(|(id, _)| id.clone()).collect()
    }

    fn renew_slice(
        &mut self,
        cluster: &ClusterId,
        before: Option<&Arc<EndpointSlice>>,
        after: Option<&Arc<EndpointSlice>>,
        effect: &mut Effect,
    ) {
        let (Some(index), Some(part)) =
            (self.index.clusters.get_mut(cluster), self.parts.clusters.get(cluster))
        else {
            return;
        };
        let (store, around) = (&part.store, &self.index.around);
        let change = before.zip(after).map(|(before, after)| SliceChange::new(before, after));
        let services = match &change {
            Some(change) => index.replace_slice(change, store, around),
            None => index.renew_slice(before, after, store, around),
        };
        // Of one service before and after.
        let change = change.filter(|_| services.len() == 1);
        let changed = change.map_or(Changed::Slices, Changed::Slice);
        self.renew_shards(cluster, &services, changed, effect);
    }

    fn renew_pod(
        &mut self,
        cluster: &ClusterId,
        before: Option<&Arc<Pod>>,
        after: Option<&Arc<Pod>>,
        effect: &mut Effect,
    ) {
        let Some(index) = self.index.clusters.get_mut(cluster) else { return };
        let services = index.renew_pod(before, after);
        let Some(pod) = after.or(before) else { return };
        let namespace = pod.meta.namespace.clone();
        let changed = Changed::Pod((namespace.as_str(), &pod.meta.name));
        self.renew_shards(cluster, &services, changed, effect);
        self.renew_selecting(&self.readers_of(cluster), &namespace, effect);
    }

    fn renew_node(&mut self, cluster: &ClusterId, node: &Arc<Node>, effect: &mut Effect) {
        let (Some(index), Some(part)) =
            (self.index.clusters.get(cluster), self.parts.clusters.get(cluster))
        else {
            return;
        };
        let pods = part.store.pods.iter().filter(|pod| *pod.spec.node_name == *node.meta.name);
        let mut services: Vec<Arc<ServiceName>> = Vec::new();
        let mut namespaces: Vec<Namespace> = Vec::new();
        for pod in pods {
            services.extend(index.users_of(pod).cloned());
            namespaces.push(pod.meta.namespace.clone());
            effect.proxies.insert(reference(cluster, &pod.meta.namespace, &pod.meta.name));
        }
        services.sort();
        services.dedup();
        namespaces.sort();
        namespaces.dedup();
        self.renew_shards(cluster, &services, Changed::All, effect);
        let readers = self.readers_of(cluster);
        for namespace in namespaces {
            self.renew_selecting(&readers, &namespace, effect);
        }
        self.renew_gateways(effect);
    }

    /// Computes the endpoints of services in one cluster again, and where they differ in all control
    /// planes.
    fn renew_shards(
        &mut self,
        cluster: &ClusterId,
        services: &[Arc<ServiceName>],
        changed: Changed<'_>,
        effect: &mut Effect,
    ) {
        let (Some(index), Some(part)) =
            (self.index.clusters.get_mut(cluster), self.parts.clusters.get(cluster))
        else {
            return;
        };
        let around = &self.index.around;
        let mut hosts = Vec::new();
        for service in services {
            if index.renew_shard(service, changed, &part.store, around) {
                hosts.extend(hosts_of_service(service, around.has_cluster_set()));
            }
        }
        if hosts.is_empty() {
            return;
        }
        for plane in self.readers_of(cluster) {
            self.renew_hosts(&plane, &hosts, effect);
        }
    }

    /// Collects the endpoints of hosts again.
    fn renew_hosts(
        &mut self,
        id: &ClusterId,
        hosts: &[(Hostname, Namespace)],
        effect: &mut Effect,
    ) {
        let Some(known) = self.planes.get(id) else { return };
        let Some(plane) = self.index.plane(id, &self.parts) else { return };
        let computed = plane.shards_of_hosts(hosts);
        let differs = |((host, namespace), shards): &(&(Hostname, Namespace), Option<Shards>)| {
            let known = known.shards_of(host.as_str(), namespace.as_str());
            known.map(|known| &**known) != shards.as_ref()
        };
        let different: Vec<_> = hosts.iter().zip(computed).filter(differs).collect();
        if different.is_empty() {
            return;
        }
        let Some(plane) = self.plane_mut(id) else { return };
        for ((hostname, namespace), shards) in different {
            effect.endpoints.insert((hostname.clone(), namespace.clone()));
            let (hostname, namespace) = (hostname.clone(), namespace.clone());
            match shards {
                Some(shards) => {
                    let shards = Arc::new(shards);
                    let found = ServiceShards { hostname, namespace, shards };
                    plane.shards.insert(Arc::new(found));
                }
                None => drop(plane.shards.remove((hostname.as_str(), namespace.as_str()))),
            }
        }
    }

    fn renew_service(
        &mut self,
        cluster: &ClusterId,
        key: &ObjectKey,
        states: &[Option<Arc<resource::Service>>; 2],
        effect: &mut Effect,
    ) {
        let name = (key.namespace.as_str(), &*key.name);
        let (Some(index), Some(part)) =
            (self.index.clusters.get_mut(cluster), self.parts.clusters.get(cluster))
        else {
            return;
        };
        let around = &self.index.around;
        let differs = index.renew_service(name, &part.store, around);
        let service =
            Arc::new(ServiceName { namespace: key.namespace.clone(), name: key.name.clone() });
        index.renew_shard(&service, Changed::Slices, &part.store, around);
        let hosts = hosts_of_service(&service, around.has_cluster_set());
        let mut states = states.iter().flatten();
        let is_gateway = states.any(|service| is_candidate(&around.networks, service));
        for id in self.readers_of(cluster) {
            if differs {
                self.renew_merged(&id, &service);
                self.renew_services(&id, effect);
            }
            self.renew_hosts(&id, &hosts, effect);
        }
        if is_gateway {
            self.renew_gateways(effect);
        }
    }

    /// Merges a service of Kubernetes again.
    fn renew_merged(&mut self, id: &ClusterId, service: &ServiceName) {
        let Some(plane) = self.index.plane(id, &self.parts) else { return };
        let merged = plane.kubernetes_service(service.key());
        let Some(kept) = self.index.planes.get_mut(id) else { return };
        match merged {
            Some(merged) => drop(kept.kubernetes.insert(merged)),
            None => drop(kept.kubernetes.remove(service.key())),
        }
    }

    /// Indexes the services again.
    fn renew_services(&mut self, id: &ClusterId, effect: &mut Effect) {
        let Some(before) = self.planes.get(id).cloned() else { return };
        let (Some(plane), Some(kept)) =
            (self.index.plane(id, &self.parts), self.index.planes.get(id))
        else {
            return;
        };
        let services = plane.services(&kept.kubernetes, &kept.external, Some(&before));
        let mut services = Arc::new(services);
        if !keep(&mut services, &before.services) {
            return;
        }
        let Some(plane) = self.plane_mut(id) else { return };
        plane.services = services;
        effect.compare_services(&before, plane);
    }

    /// Reads ServiceEntries again where one of a namespace selects workloads.
    fn renew_selecting(
        &mut self,
        planes: &[ClusterId],
        namespace: &Namespace,
        effect: &mut Effect,
    ) {
        for id in planes {
            let plane = self.index.plane(id, &self.parts);
            let selects = plane.is_some_and(|plane| {
                let mut entries = plane.all_in(namespace.as_str(), |store| &store.service_entries);
                entries.any(|entry| entry.spec.workload_selector.is_some())
            });
            if selects {
                self.renew_external(id, effect);
            }
        }
    }

    /// Reads ServiceEntries again.
    fn renew_external(&mut self, id: &ClusterId, effect: &mut Effect) {
        let Some(plane) = self.index.plane(id, &self.parts) else { return };
        let external = plane.external();
        let Some(kept) = self.index.planes.get_mut(id) else { return };
        let external = external.keeping(&kept.external);
        let hosts = external.differences(&kept.external);
        let has_services = external.has_services_of(&kept.external);
        kept.external = external;
        if !has_services {
            self.renew_services(id, effect);
        }
        self.renew_hosts(id, &hosts, effect);
    }

    fn renew_machine(
        &mut self,
        cluster: Option<&ClusterId>,
        entry: Option<&WorkloadEntry>,
        effect: &mut Effect,
    ) {
        let Some(entry) = entry else { return };
        let namespace = &entry.meta.namespace;
        let planes = match cluster {
            Some(cluster) => self.readers_of(cluster),
            None => self.planes.keys().cloned().collect(),
        };
        for id in &planes {
            // Those of the config folder are of the config cluster.
            let Some(index) = self.index.clusters.get(cluster.unwrap_or(id)) else { continue };
            let services = index.services().filter(|service| {
                service.namespace == *namespace
                    && service.resolution == Resolution::ClientSideLb
                    && !service.selector.is_empty()
            });
            let names = services.map(|service| ServiceName {
                namespace: service.namespace.clone(),
                name: (&*service.name).into(),
            });
            let has_cluster_set = self.index.around.has_cluster_set();
            let hosts: Vec<_> =
                names.flat_map(|name| hosts_of_service(&name, has_cluster_set)).collect();
            self.renew_hosts(id, &hosts, effect);
        }
        self.renew_selecting(&planes, namespace, effect);
    }

    fn renew_gateways(&mut self, effect: &mut Effect) {
        for id in self.planes.keys().cloned().collect::<Vec<_>>() {
            let Some(plane) = self.index.plane(&id, &self.parts) else { continue };
            let (gateways, named) = plane.gateways();
            let (mut gateways, mut named) = (Arc::new(gateways), Arc::new(named));
            let Some(before) = self.planes.get(&id).cloned() else { continue };
            let differs = keep(&mut gateways, &before.gateways);
            if !(keep(&mut named, &before.named_gateways) || differs) {
                continue;
            }
            let Some(plane) = self.plane_mut(&id) else { continue };
            plane.gateways = gateways;
            plane.named_gateways = named;
            effect.compare_gateways(&before, plane);
        }
    }

    /// Indexes Istio resources of one kind again.
    fn renew_config(&mut self, touched: &Touched, effect: &mut Effect) {
        let Some(object) = touched.after.as_ref().or(touched.before.as_ref()) else { return };
        for id in self.configured_by(&touched.origin) {
            if let Stored::ServiceEntry(_) = object {
                self.renew_external(&id, effect);
                continue;
            }
            let Some(before) = self.planes.get(&id).cloned() else { continue };
            let Some(plane) = self.index.plane(&id, &self.parts) else { continue };
            let mut next = (*before).clone();
            if let Stored::DestinationRule(_) = object {
                let known = &before.destination_rules;
                let rules = plane.destination_rules_in(known, &touched.key.namespace);
                next.destination_rules = Arc::new(rules);
            } else if let Stored::VirtualService(_) = object {
                let rules = plane.virtual_services(Some(&before.virtual_services));
                effect.hosts.extend(before.virtual_services.differing_hosts(&rules));
                next.virtual_services = Arc::new(rules);
            } else if let Stored::Sidecar(_) = object {
                next.sidecars = Arc::new(plane.sidecars());
            } else if let Stored::PeerAuthentication(_) = object {
                next.broken = plane.broken();
                next.peer_authentications = Arc::new(plane.peer_authentications(&next.broken));
                effect.everything |= keep(&mut next.broken, &before.broken);
            } else if let Stored::AuthorizationPolicy(_) = object {
                next.authorization_policies = plane.authorization_policies();
                next.broken = plane.broken();
                effect.everything |= keep(&mut next.broken, &before.broken);
            } else if let Stored::RequestAuthentication(_) = object {
                next.request_authentications = plane.request_authentications();
                next.broken = plane.broken();
                effect.everything |= keep(&mut next.broken, &before.broken);
            } else if let Stored::Telemetry(_) = object {
                next.telemetries = plane.telemetries();
            } else {
                return;
            }
            self.planes.insert(id, Arc::new(next));
        }
    }

    /// Indexes PeerAuthentications again, with those that could not be understood.
    pub(super) fn renew_peer_authentications(&mut self) {
        for id in self.planes.keys().cloned().collect::<Vec<_>>() {
            let Some(plane) = self.index.plane(&id, &self.parts) else { continue };
            let (broken, lost_targets) = (plane.broken(), plane.lost_targets());
            let policies = Arc::new(plane.peer_authentications(&broken));
            if let Some(plane) = self.plane_mut(&id) {
                plane.peer_authentications = policies;
                plane.broken = broken;
                plane.lost_targets = lost_targets;
            }
        }
    }

    /// Whether what a namespace says is read: which namespaces exist, the network of its cluster, how
    /// services spread their traffic, who may see ServiceEntries.
    fn namespace_matters(
        &self,
        name: &str,
        before: Option<Arc<resource::Namespace>>,
        after: Option<Arc<resource::Namespace>>,
        effect: &mut Effect,
    ) -> bool {
        let config = &self.index.around.config;
        let (before, after) = (before.unwrap_or_default(), after.unwrap_or_default());
        let label = |key| before.meta.labels.value(key) != after.meta.labels.value(key);
        let annotation = |key| before.meta.annotations.get(key) != after.meta.annotations.get(key);
        let reads_labels =
            !config.discovery_selectors.is_empty() || config.service_entry_visibility.is_some();
        // Every proxy of the cluster is in another network then.
        let moves_cluster = name == SYSTEM_NAMESPACE && label(NETWORK);
        effect.everything |= moves_cluster;
        reads_labels || moves_cluster || annotation(TRAFFIC_DISTRIBUTION)
    }
}

fn reference(cluster: &ClusterId, namespace: &Namespace, pod: &str) -> ProxyRef {
    let (cluster, namespace) = (cluster.as_str().into(), namespace.as_str().into());
    ProxyRef { cluster, namespace, pod: pod.into() }
}

/// The hosts of a service of Kubernetes.
fn hosts_of_service(service: &ServiceName, has_cluster_set: bool) -> Vec<(Hostname, Namespace)> {
    let ServiceName { namespace, name } = service;
    let mut hosts = vec![kubernetes::hostname(name, namespace, DOMAIN)];
    if has_cluster_set {
        hosts.push(cluster_set_host(name, namespace.as_str()));
    }
    hosts.into_iter().map(|host| (host, namespace.clone())).collect()
}

fn hosts_of(rule: &VirtualService) -> Vec<Hostname> {
    let namespace = rule.meta.namespace.as_str();
    rule.spec.hosts.iter().map(|host| Hostname::resolve(host, namespace, DOMAIN)).collect()
}
