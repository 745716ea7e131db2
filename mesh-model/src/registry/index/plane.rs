//! What one control plane knows, part by part.
//!
//! Each part is computed by a function of its own, from scratch or where it changed, and keeps its
//! allocation where it comes out equal.
use std::collections::BTreeMap;
use std::sync::Arc;

use super::{ClusterIndex, Index};
use crate::endpoint::{Gateways, Provider, Shard};
use crate::name::{ClusterId, Hostname, Namespace, TrustDomain};
use crate::registry::control_plane::{ControlPlane, keep};
use crate::registry::discovery::Discovery;
use crate::registry::external::{External, Machines, Member, Settings};
use crate::registry::map::{Key, Map};
use crate::registry::mesh::Parts;
use crate::registry::objects::{ByName, Object};
use crate::registry::{
    AuthorizationPolicies, Broken, DOMAIN, DestinationRules, ExportTo, PeerAuthentications,
    Resolution, Scoping, Service, Services, Store, UNSPECIFIED, VirtualServices, allocation,
    broken, merge_clusters,
};
use crate::resource::{RequestAuthentication, Sidecar, Telemetry};

/// What is kept of a control plane to go on from.
#[derive(Clone, Debug, Default)]
pub(crate) struct PlaneIndex {
    /// The clusters that it discovers, in order.
    pub(crate) clusters: Arc<[ClusterId]>,
    /// The services of Kubernetes, of all clusters.
    pub(crate) kubernetes: Map<Arc<Service>>,
    pub(crate) external: FromEntries,
}

/// What ServiceEntries add.
#[derive(Clone, Debug, Default)]
pub(crate) struct FromEntries {
    services: Vec<Arc<Service>>,
    pub(super) shards: BTreeMap<(Hostname, Namespace), Arc<Shard>>,
}

impl FromEntries {
    /// The services with endpoints that two lists do not share.
    pub(crate) fn differences(&self, other: &Self) -> Vec<(Hostname, Namespace)> {
        let keys = self.shards.keys().chain(other.shards.keys());
        let differs =
            |key: &&(Hostname, Namespace)| self.shards.get(*key) != other.shards.get(*key);
        keys.filter(differs).cloned().collect()
    }

    /// The same with the parts of an earlier one that are equal.
    pub(crate) fn keeping(mut self, before: &Self) -> Self {
        for (key, shard) in &mut self.shards {
            if let Some(known) = before.shards.get(key) {
                keep(shard, known);
            }
        }
        if self.services == before.services {
            self.services.clone_from(&before.services);
        }
        self
    }

    /// Whether both add the same services.
    pub(crate) fn has_services_of(&self, other: &Self) -> bool {
        self.services == other.services
    }
}

/// A control plane while a part of it is computed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plane<'o> {
    pub(super) id: &'o ClusterId,
    pub(super) clusters: &'o Arc<[ClusterId]>,
    pub(super) index: &'o Index,
    pub(super) parts: &'o Parts,
}

impl<'o> Plane<'o> {
    /// Computes all; parts of what was known before are kept where they come out equal.
    pub(super) fn build(
        &self,
        before: Option<&Arc<ControlPlane>>,
    ) -> (PlaneIndex, Arc<ControlPlane>) {
        let external = self.external();
        let kubernetes = self.kubernetes();
        let (gateways, named_gateways) = self.gateways();
        let broken = self.broken();
        let around = &self.index.around;
        let built = ControlPlane {
            id: self.id.clone(),
            clusters: self.clusters.clone(),
            services: Arc::new(self.services(&kubernetes, &external, before)),
            shards: self.shards(&external, before),
            gateways: Arc::new(gateways),
            named_gateways: Arc::new(named_gateways),
            destination_rules: Arc::new(self.destination_rules()),
            virtual_services: Arc::new(self.virtual_services(None)),
            sidecars: Arc::new(self.sidecars()),
            peer_authentications: Arc::new(self.peer_authentications(&broken)),
            authorization_policies: self.authorization_policies(),
            broken,
            lost_targets: self.lost_targets(),
            telemetries: self.telemetries(),
            request_authentications: self.request_authentications(),
            cluster_local: around.cluster_local.clone(),
            default_service_export_to: around.default_service_export_to.clone(),
            domain: DOMAIN.into(),
            config: around.config.clone(),
        };
        let clusters = self.clusters.clone();
        (PlaneIndex { clusters, kubernetes, external }, Arc::new(built.keeping(before)))
    }

    /// The stores with its Istio resources.
    fn config_stores(&self) -> impl Iterator<Item = &'o Store> + Clone + use<'o> {
        let own = self.parts.clusters.get(self.id).map(|part| &*part.store);
        [&*self.parts.config].into_iter().chain(own)
    }

    /// Which namespaces its Istio resources may live in.
    pub(super) fn discovery(&self) -> Discovery<'o> {
        let own = self.parts.clusters.get(self.id).filter(|_| self.clusters.contains(self.id));
        own.map_or(Discovery::everywhere(), |part| {
            Discovery::new(&self.index.around.config, &part.store)
        })
    }

    /// The objects of one kind that configure it.
    pub(crate) fn all<T: Object + 'o>(
        &self,
        kind: impl Fn(&'o Store) -> &'o ByName<T>,
    ) -> impl Iterator<Item = &'o Arc<T>> {
        let discovery = self.discovery();
        self.config_stores()
            .flat_map(move |store| kind(store).iter())
            .filter(move |object| discovery.contains(object.meta().namespace.as_str()))
    }

    /// Those of one namespace.
    pub(crate) fn all_in<T: Object + 'o>(
        &self,
        namespace: &'o str,
        kind: impl Fn(&'o Store) -> &'o ByName<T>,
    ) -> impl Iterator<Item = &'o Arc<T>> {
        let is_discovered = self.discovery().contains(namespace);
        let stores = self.config_stores().filter(move |_| is_discovered);
        stores.flat_map(move |store| kind(store).with_first(namespace))
    }

    /// The clusters that it discovers, in order.
    pub(super) fn members(
        &self,
    ) -> impl Iterator<Item = (&'o ClusterIndex, &'o Store)> + Clone + use<'o> {
        let (index, parts) = (self.index, self.parts);
        self.clusters
            .iter()
            .filter_map(move |id| Some((index.clusters.get(id)?, &*parts.clusters.get(id)?.store)))
    }

    pub(crate) fn destination_rules(&self) -> DestinationRules {
        self.with_scoping(|scoping| {
            DestinationRules::new(self.all(|store| &store.destination_rules).cloned(), scoping)
        })
    }

    /// The rules after one of a namespace changed.
    pub(crate) fn destination_rules_in(
        &self,
        before: &DestinationRules,
        namespace: &Namespace,
    ) -> DestinationRules {
        self.with_scoping(|scoping| {
            let rules = self.all_in(namespace.as_str(), |store| &store.destination_rules);
            before.renewed(namespace, rules.cloned(), scoping)
        })
    }

    fn with_scoping<T>(&self, compute: impl FnOnce(&Scoping<'_>) -> T) -> T {
        let around = &self.index.around;
        let config = &around.config;
        compute(&Scoping {
            root_namespace: &Namespace::from(&*config.root_namespace),
            default_export_to: &export(&config.default_destination_rule_export_to),
            domain: DOMAIN,
            enhanced_merge: around.compat.flags.enable_enhanced_destinationrule_merge,
        })
    }

    /// The rules; those that are as they were `before` are kept.
    pub(crate) fn virtual_services(&self, before: Option<&VirtualServices>) -> VirtualServices {
        let export_to = export(&self.index.around.config.default_virtual_service_export_to);
        let objects = self.all(|store| &store.virtual_services);
        match before {
            None => VirtualServices::new(objects, DOMAIN, &export_to),
            Some(before) => before.renewed(objects, DOMAIN, &export_to),
        }
    }

    pub(crate) fn sidecars(&self) -> BTreeMap<Namespace, Vec<Arc<Sidecar>>> {
        let mut index: BTreeMap<Namespace, Vec<Arc<Sidecar>>> = BTreeMap::new();
        for object in self.all(|store| &store.sidecars) {
            index.entry(object.meta.namespace.clone()).or_default().push(object.clone());
        }
        for list in index.values_mut() {
            list.sort_by(|a, b| {
                let order = |sidecar: &Sidecar| sidecar.spec.workload_selector.is_none();
                (order(a), a.meta.age()).cmp(&(order(b), b.meta.age()))
            });
        }
        index
    }

    /// The PeerAuthentications; what those that could not be understood may be for is STRICT. They are in
    /// [`broken`](Self::broken).
    pub(crate) fn peer_authentications(&self, broken: &[Broken]) -> PeerAuthentications {
        let root = Namespace::from(&*self.index.around.config.root_namespace);
        let objects = self.all(|store| &store.peer_authentications).cloned();
        let broken = broken.iter().filter(|broken| broken.object.kind == "PeerAuthentication");
        let broken = broken.map(|broken| (&broken.object.namespace, broken.selector.as_ref()));
        PeerAuthentications::new(objects, &root).with_broken(broken, &root)
    }

    /// What is meant to secure its workloads and is not in force as it was meant.
    pub(crate) fn broken(&self) -> Arc<[Broken]> {
        broken::of_plane(self.parts, &self.index.around, self.id)
    }

    /// What policies may be attached by, and could not be read.
    pub(crate) fn lost_targets(&self) -> Arc<[Broken]> {
        broken::targets_of_plane(self.parts, self.id)
    }

    pub(crate) fn authorization_policies(&self) -> Arc<AuthorizationPolicies> {
        let all = by_age(self.all(|store| &store.authorization_policies));
        Arc::new(AuthorizationPolicies::new(all))
    }

    pub(crate) fn telemetries(&self) -> Arc<[Arc<Telemetry>]> {
        by_age(self.all(|store| &store.telemetries))
    }

    pub(crate) fn request_authentications(&self) -> Arc<[Arc<RequestAuthentication>]> {
        by_age(self.all(|store| &store.request_authentications))
    }

    /// How networks are entered: by IP addresses, and by names too.
    pub(crate) fn gateways(&self) -> (Gateways, Gateways) {
        let all = super::gateways::all(self);
        let by_address = all.iter().filter(|gateway| gateway.address.ip().is_some());
        (Gateways::new(by_address.cloned()), Gateways::new(all))
    }

    /// The services of Kubernetes.
    fn kubernetes(&self) -> Map<Arc<Service>> {
        let mut merged = Map::default();
        for service in self.members().flat_map(|(index, _)| index.services()) {
            let key = (service.namespace.as_str(), &*service.name);
            if !merged.contains(key)
                && let Some(service) = self.kubernetes_service(key)
            {
                merged.insert(service);
            }
        }
        merged
    }

    /// A service of Kubernetes, merged over the clusters.
    pub(crate) fn kubernetes_service(&self, key: Key<'_>) -> Option<Arc<Service>> {
        let mut services = self.members().filter_map(|(index, _)| index.service(key));
        let first = services.next()?;
        let more: Vec<Vec<Service>> = services.map(|service| vec![(**service).clone()]).collect();
        if more.is_empty() {
            return Some(first.clone());
        }
        merge_clusters([vec![(**first).clone()]].into_iter().chain(more)).pop()
    }

    /// All services; those that are as they were `before` are kept.
    pub(crate) fn services(
        &self,
        kubernetes: &Map<Arc<Service>>,
        external: &FromEntries,
        before: Option<&Arc<ControlPlane>>,
    ) -> Services {
        let imported = self.imported(kubernetes);
        let services = kubernetes.iter().cloned().chain(imported);
        let services = services.chain(external.services.iter().cloned()).collect();
        let services = with_aliases(services);
        let known = before.map(|before| &*before.services);
        let keep = |service: Arc<Service>| {
            let (host, namespace) = (&service.hostname, service.namespace.as_str());
            let known = known.and_then(|known| known.get(host.as_str(), namespace));
            match known {
                Some(known) if *known == service => known.clone(),
                Some(_) | None => service,
            }
        };
        let services = services.into_iter().map(keep).collect();
        Services::new(services, &self.index.around.default_service_export_to)
    }

    /// The services' hosts of the cluster set: one where a cluster imports it with an address.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/serviceregistry/kube/controller/serviceimportcache.go` `genMCSService`.
    fn imported(&self, kubernetes: &Map<Arc<Service>>) -> Vec<Arc<Service>> {
        if !self.index.around.has_cluster_set() {
            return Vec::new();
        }
        let of_cluster = |(index, store): (&'o ClusterIndex, &'o Store)| {
            let imports = store.service_imports.iter().filter(|import| !import.spec.ips.is_empty());
            let imports = imports.filter_map(|import| {
                let (namespace, name) = (import.meta.namespace.as_str(), &*import.meta.name);
                let service = kubernetes.get((namespace, name))?;
                let mut ips = import.spec.ips.to_vec();
                ips.sort_unstable();
                let ips: Box<[Arc<str>]> = ips.iter().map(|ip| ip.to_string().into()).collect();
                Some(Service {
                    hostname: cluster_set_host(name, namespace),
                    default_address: ips.first()?.clone(),
                    cluster_vips: Box::from([(index.id.clone(), ips)]),
                    ..(**service).clone()
                })
            });
            imports.collect::<Vec<_>>()
        };
        merge_clusters(self.members().map(of_cluster))
    }

    /// What ServiceEntries add.
    pub(crate) fn external(&self) -> FromEntries {
        let around = &self.index.around;
        // Without a cluster of its own a control plane still has a name.
        let nowhere = Store::default();
        let trust_domain = TrustDomain::from(&*around.config.trust_domain);
        let lonely = ClusterIndex::empty(self.id, trust_domain, around);
        let own = self.members().find(|(index, _)| index.id == *self.id);
        let lonely = own.is_none().then_some((&lonely, &nowhere));
        let clusters: Vec<_> = lonely
            .into_iter()
            .chain(self.members())
            .map(|(index, store)| (index.cluster(store, around), store))
            .collect();
        let machines: Vec<Machines<'_>> =
            clusters.iter().map(|(cluster, store)| self.machines(cluster, store, None)).collect();
        let members: Vec<Member<'_>> = clusters
            .iter()
            .zip(&machines)
            .map(|((cluster, _), machines)| Member { cluster, machines })
            .collect();
        let home = clusters.iter().find(|(cluster, _)| *cluster.id == *self.id);
        let Some((home, store)) = home else { return FromEntries::default() };
        let namespace = |name: &str| store.namespace(name);
        let settings = Settings {
            config: &around.config,
            default_export_to: &around.default_service_export_to,
            namespace: &namespace,
            auto_allocate: around.compat.flags.pilot_enable_ip_autoallocate,
            dual_stack: around.compat.flags.istio_dual_stack,
        };
        let entries = self.all(|store| &store.service_entries).map(|entry| &**entry);
        let External { mut services, endpoints } =
            External::new(entries, home, &members, &settings);
        if !settings.auto_allocate {
            allocate_by_name(&mut services);
        }
        let shard = |(key, endpoints): (_, Vec<_>)| {
            let (provider, cluster) = (Provider::External, self.id.clone());
            (key, Arc::new(Shard::new(provider, cluster, endpoints)))
        };
        FromEntries {
            services: services.into_iter().map(Arc::new).collect(),
            shards: endpoints.into_iter().map(shard).collect(),
        }
    }
}

/// Gives the services of entries the addresses that follow from their names.
fn allocate_by_name(services: &mut [Service]) {
    let wants = |service: &&mut Service| {
        *service.default_address == *UNSPECIFIED
            && !service.hostname.is_wildcard()
            && service.resolution != Resolution::Passthrough
    };
    let key = |service: &Service| format!("{}/{}", service.namespace, service.hostname);
    let mut without: Vec<&mut Service> = services.iter_mut().filter(wants).collect();
    let keys: Vec<String> = without.iter().map(|service| key(service)).collect();
    let addresses = allocation::by_name(keys.iter().map(String::as_str));
    for (service, addresses) in without.iter_mut().zip(addresses) {
        service.auto_allocated = addresses.unwrap_or_default();
    }
}

/// Objects, the oldest first.
fn by_age<'o, T: Object + 'o>(objects: impl Iterator<Item = &'o Arc<T>>) -> Arc<[Arc<T>]> {
    let mut objects: Vec<Arc<T>> = objects.cloned().collect();
    objects.sort_by(|a, b| a.meta().age().cmp(&b.meta().age()));
    objects.into()
}

fn export(values: &[Box<str>]) -> ExportTo {
    ExportTo::parse(values.iter().map(AsRef::as_ref))
}

/// The host of a service in the cluster set.
pub(crate) fn cluster_set_host(name: &str, namespace: &str) -> Hostname {
    Hostname::from(format!("{name}.{namespace}.svc.clusterset.local").as_str())
}

/// Tells each service which ExternalName services stand for it, following chains of them.
fn with_aliases(services: Vec<Arc<Service>>) -> Vec<Arc<Service>> {
    let targets: BTreeMap<Hostname, Hostname> = services
        .iter()
        .filter_map(|service| Some((service.hostname.clone(), service.alias_of.clone()?)))
        .collect();
    if targets.is_empty() {
        return services;
    }
    let mut aliases: BTreeMap<&Hostname, Vec<Hostname>> = BTreeMap::new();
    for alias in targets.keys() {
        let mut target = alias;
        // A chain is as long as there are aliases at most; a circle stands for nothing.
        for _ in 0..targets.len() {
            match targets.get(target) {
                Some(next) => target = next,
                None => break,
            }
        }
        aliases.entry(target).or_default().push(alias.clone());
    }
    let named = |service: Arc<Service>| match aliases.get(&service.hostname) {
        Some(list) if service.alias_of.is_none() => {
            Arc::new(Service { aliases: list.as_slice().into(), ..(*service).clone() })
        }
        Some(_) | None => service,
    };
    services.into_iter().map(named).collect()
}
