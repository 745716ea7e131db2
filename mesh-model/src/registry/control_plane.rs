//! What one control plane knows: the index that its proxies are served from.
use std::collections::BTreeMap;
use std::sync::Arc;

use super::external::{External, Machines, Member, Settings, selected_by_service};
use super::kubernetes::{self, Cluster, Pods, Workloads};
use super::objects::Store;
use super::place::{NETWORK, NetworkMember, NetworkOf};
use super::{
    Broken, ClusterLocalHosts, DestinationRules, ExportTo, PeerAuthentications, Scoping, Service,
    Services, VirtualServices, gateways, merge_clusters,
};
use crate::compat::Compat;
use crate::endpoint::{
    Address, Discoverability, Endpoint, Gateways, NetworkGateway, Provider, Shard, Shards, Workload,
};
use crate::name::{ClusterId, Hostname, Labels, Namespace, NetworkId, TrustDomain};
use crate::resource::mesh_networks::{GatewayTarget, Network, NetworkEndpoints};
use crate::resource::{
    self, AuthorizationPolicy, EndpointSlice, MeshConfig, MeshNetworks, Meta,
    RequestAuthentication, Sidecar, Telemetry,
};

/// The namespace of the control plane itself, whatever `rootNamespace` says.
pub const SYSTEM_NAMESPACE: &str = "istio-system";
const SERVICE_OF_SLICE: &str = "kubernetes.io/service-name";
const FOREIGN_SERVICE_OF_SLICE: &str = "multicluster.kubernetes.io/service-name";

/// What one control plane knows.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "a value that later stages read")]
pub struct ControlPlane {
    /// The cluster whose Istio resources count: its config cluster.
    pub id: ClusterId,
    /// The clusters whose services it discovers, its own first, then by name.
    pub clusters: Vec<ClusterId>,
    /// The mesh's settings.
    pub config: Arc<MeshConfig>,
    /// The services.
    pub services: Services,
    /// The endpoints by host and namespace.
    pub shards: BTreeMap<(Hostname, Namespace), Arc<Shards>>,
    /// How networks are entered: IP addresses only.
    pub gateways: Gateways,
    /// The same with host names, for clusters whose endpoints are names too.
    pub named_gateways: Gateways,
    /// The DestinationRules.
    pub destination_rules: DestinationRules,
    /// The VirtualServices.
    pub virtual_services: VirtualServices,
    /// The Sidecars of each namespace: those with a selector first, then the older.
    pub sidecars: BTreeMap<Namespace, Vec<Arc<Sidecar>>>,
    /// The PeerAuthentications.
    pub peer_authentications: PeerAuthentications,
    /// The AuthorizationPolicies, oldest first.
    pub authorization_policies: Vec<Arc<AuthorizationPolicy>>,
    /// The Telemetry objects, oldest first.
    pub telemetries: Vec<Arc<Telemetry>>,
    /// The RequestAuthentications, oldest first.
    pub request_authentications: Vec<Arc<RequestAuthentication>>,
    /// The hosts that stay in the client's cluster.
    pub cluster_local: ClusterLocalHosts,
    /// `MeshConfig.defaultServiceExportTo`.
    pub default_service_export_to: ExportTo,
    /// The domain of the clusters.
    pub domain: Box<str>,
}

/// What a control plane is built from.
#[derive(Debug)]
pub(crate) struct Inputs<'o> {
    pub(crate) id: ClusterId,
    pub(crate) config: Arc<MeshConfig>,
    pub(crate) networks: &'o MeshNetworks,
    /// The stores with its Istio resources.
    pub(crate) config_stores: Vec<&'o Store>,
    /// The clusters that it discovers, in order, with their trust domains.
    pub(crate) clusters: Vec<(ClusterId, TrustDomain, &'o Store)>,
    /// The PeerAuthentications of those that could not be understood.
    pub(crate) broken: Vec<&'o Broken>,
    pub(crate) domain: &'o str,
    pub(crate) compat: &'o Compat,
}

impl ControlPlane {
    pub(crate) fn build(inputs: &Inputs<'_>) -> Self {
        let config = &inputs.config;
        let root = Namespace::from(&*config.root_namespace);
        let export = |values: &[Box<str>]| ExportTo::parse(values.iter().map(AsRef::as_ref));
        let default_service_export_to = export(&config.default_service_export_to);
        let registries: Vec<ClusterRegistry<'_>> =
            inputs.clusters.iter().map(|cluster| ClusterRegistry::new(cluster, inputs)).collect();
        let mut external = external(&registries, inputs, &default_service_export_to);
        let mut services = merge_clusters(registries.iter().map(ClusterRegistry::services));
        services.extend(std::mem::take(&mut external.services).into_iter().map(Arc::new));
        let all_gateways = network_gateways(&registries, inputs);
        let scoping = Scoping {
            root_namespace: &root,
            default_export_to: &export(&config.default_destination_rule_export_to),
            domain: inputs.domain,
            enhanced_merge: inputs.compat.flags.enable_enhanced_destinationrule_merge,
        };
        Self {
            id: inputs.id.clone(),
            clusters: inputs.clusters.iter().map(|(id, ..)| id.clone()).collect(),
            services: Services::new(with_aliases(services), &default_service_export_to),
            shards: shards(&registries, external, inputs),
            gateways: Gateways::new(
                all_gateways.iter().filter(|g| g.address.ip().is_some()).cloned(),
            ),
            named_gateways: Gateways::new(all_gateways),
            destination_rules: DestinationRules::new(
                all(inputs, |store| &store.destination_rules).cloned(),
                &scoping,
            ),
            virtual_services: VirtualServices::new(
                all(inputs, |store| &store.virtual_services),
                inputs.domain,
                &export(&config.default_virtual_service_export_to),
            ),
            sidecars: sidecars(all(inputs, |store| &store.sidecars)),
            peer_authentications: PeerAuthentications::new(
                all(inputs, |store| &store.peer_authentications).cloned(),
                &root,
            )
            .with_broken(
                inputs.broken.iter().map(|b| (&b.object.namespace, b.selector.as_ref())),
                &root,
            ),
            authorization_policies: by_age(
                all(inputs, |store| &store.authorization_policies),
                |policy| &policy.meta,
            ),
            telemetries: by_age(all(inputs, |store| &store.telemetries), |object| &object.meta),
            request_authentications: by_age(
                all(inputs, |store| &store.request_authentications),
                |policy| &policy.meta,
            ),
            cluster_local: cluster_local(config, inputs.domain),
            default_service_export_to,
            domain: inputs.domain.into(),
            config: config.clone(),
        }
    }

    /// Returns the endpoints of a service.
    pub fn shards(&self, service: &Service) -> Option<&Arc<Shards>> {
        self.shards.get(&(service.hostname.clone(), service.namespace.clone()))
    }

    /// Returns the Sidecar in force for a workload: the first of its namespace that selects it, else
    /// the one without selector, else that of the root namespace.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/model/push_context.go` `getSidecarScope`.
    pub fn sidecar(&self, namespace: &Namespace, labels: &Labels) -> Option<&Arc<Sidecar>> {
        let of = |namespace: &str| self.sidecars.get(namespace).into_iter().flatten();
        let own = of(namespace.as_str()).find(|sidecar| match &sidecar.spec.workload_selector {
            Some(selector) => labels.contains(&selector.labels),
            None => true,
        });
        own.or_else(|| {
            of(&self.config.root_namespace).find(|sidecar| sidecar.spec.workload_selector.is_none())
        })
    }
}

/// The objects of one kind of all stores that configure the control plane, without those of
/// namespaces that it does not discover.
fn all<'o, T: 'o>(
    inputs: &'o Inputs<'_>,
    kind: impl Fn(&'o Store) -> &'o super::objects::ByName<T>,
) -> impl Iterator<Item = &'o Arc<T>> {
    let discovered = Discovery::of(inputs);
    inputs
        .config_stores
        .iter()
        .flat_map(move |store| kind(store).iter())
        .filter(move |((namespace, _), _)| discovered.contains(namespace))
        .map(|(_, object)| object)
}

/// Which namespaces the config cluster's objects may live in.
struct Discovery<'o> {
    namespaces: Option<(&'o MeshConfig, &'o Store)>,
}

impl<'o> Discovery<'o> {
    fn of(inputs: &'o Inputs<'_>) -> Self {
        let own =
            inputs.clusters.iter().find(|(id, ..)| *id == inputs.id).map(|(.., store)| *store);
        let selects = !inputs.config.discovery_selectors.is_empty();
        Self { namespaces: own.filter(|_| selects).map(|store| (&*inputs.config, store)) }
    }

    fn contains(&self, namespace: &Namespace) -> bool {
        self.namespaces.is_none_or(|(config, store)| is_discovered(config, store, namespace))
    }
}

/// Whether a namespace of a cluster exists for the control plane.
pub(crate) fn is_discovered(config: &MeshConfig, store: &Store, namespace: &Namespace) -> bool {
    if config.discovery_selectors.is_empty() {
        return true;
    }
    let key = (Namespace::default(), Box::from(namespace.as_str()));
    store.namespaces.get(&key).is_some_and(|object| {
        config.discovery_selectors.iter().any(|selector| selector.selects(&object.meta.labels))
    })
}

fn by_age<'o, T: 'o>(
    objects: impl Iterator<Item = &'o Arc<T>>,
    meta: impl Fn(&T) -> &Meta,
) -> Vec<Arc<T>> {
    let mut objects: Vec<_> = objects.cloned().collect();
    objects.sort_by(|a, b| meta(a).age().cmp(&meta(b).age()));
    objects
}

fn sidecars<'o>(
    objects: impl Iterator<Item = &'o Arc<Sidecar>>,
) -> BTreeMap<Namespace, Vec<Arc<Sidecar>>> {
    let mut index: BTreeMap<Namespace, Vec<Arc<Sidecar>>> = BTreeMap::new();
    for object in objects {
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

fn cluster_local(config: &MeshConfig, domain: &str) -> ClusterLocalHosts {
    let settings = config
        .service_settings
        .iter()
        .map(|entry| (entry.settings.cluster_local, entry.hosts.iter().map(AsRef::as_ref)));
    ClusterLocalHosts::new(settings, &config.default_config.discovery_address, domain)
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

/// One cluster as a control plane reads it.
struct ClusterRegistry<'o> {
    cluster: Cluster<'o>,
    store: &'o Store,
    config: &'o MeshConfig,
    machines: Machines<'o>,
}

impl<'o> ClusterRegistry<'o> {
    fn new(
        (id, trust_domain, store): &(ClusterId, TrustDomain, &'o Store),
        inputs: &'o Inputs<'_>,
    ) -> Self {
        let config = &*inputs.config;
        let pods = store.pods.values();
        let pods = pods.filter(|pod| is_discovered(config, store, &pod.meta.namespace));
        let cluster = Cluster {
            id: id.clone(),
            trust_domain: trust_domain.clone(),
            domain: inputs.domain,
            networks: networks_of(id, store, inputs.networks),
            nodes: store.nodes.values().map(|node| (&*node.meta.name, &**node)).collect(),
            pods: Pods::new(pods),
        };
        let machines = machines(&cluster, store, inputs);
        Self { cluster, store, config, machines }
    }

    /// The cluster's services as the mesh knows them.
    fn services(&self) -> Vec<Service> {
        self.objects().map(|service| self.service(service)).collect()
    }

    fn objects(&self) -> impl Iterator<Item = &'o Arc<resource::Service>> {
        let (config, store) = (self.config, self.store);
        store
            .services
            .values()
            .filter(move |service| is_discovered(config, store, &service.meta.namespace))
    }

    fn service(&self, service: &resource::Service) -> Service {
        let key = (Namespace::default(), Box::from(service.meta.namespace.as_str()));
        let namespace = self.store.namespaces.get(&key).map(|object| &object.meta.annotations);
        kubernetes::convert(service, &self.cluster, namespace)
    }

    /// The cluster's slices by namespace and service, each list by the name of the slice.
    fn slices(&self) -> BTreeMap<(&'o Namespace, &'o str), Vec<&'o EndpointSlice>> {
        let mut slices: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for slice in self.store.endpoint_slices.values() {
            let labels = &slice.meta.labels;
            let is_foreign = labels.get(FOREIGN_SERVICE_OF_SLICE).is_some();
            let name = labels.value(SERVICE_OF_SLICE);
            let namespace = &slice.meta.namespace;
            if !is_foreign && !name.is_empty() && is_discovered(self.config, self.store, namespace)
            {
                slices.entry((namespace, name)).or_default().push(&**slice);
            }
        }
        slices
    }

    /// The endpoints of the cluster's services: those of slices, then the machines that they select.
    fn endpoints(&self) -> BTreeMap<(Hostname, Namespace), Vec<Endpoint>> {
        let mut workloads = Workloads::default();
        let mut found: BTreeMap<(Hostname, Namespace), Vec<Endpoint>> = BTreeMap::new();
        for ((namespace, name), slices) in self.slices() {
            let key = (namespace.clone(), Box::from(name));
            let service = self.store.services.get(&key).map(|object| self.service(object));
            let endpoints = kubernetes::endpoints_of_service(
                service.as_ref(),
                &slices,
                &self.cluster,
                Discoverability::Always,
                &mut workloads,
            );
            let host = kubernetes::hostname(name, namespace, self.cluster.domain);
            found.insert((host, namespace.clone()), endpoints);
        }
        for object in self.objects().filter(|_| !self.machines.is_empty()) {
            let service = self.service(object);
            let endpoints = selected_by_service(&service, object, &self.machines);
            found.entry((service.hostname, service.namespace)).or_default().extend(endpoints);
        }
        found
    }
}

/// The machines of a cluster: of the config cluster what configures the control plane, of another
/// one its own.
fn machines<'o>(cluster: &Cluster<'_>, store: &'o Store, inputs: &'o Inputs<'_>) -> Machines<'o> {
    if cluster.id == inputs.id {
        return Machines::new(all(inputs, |store| &store.workload_entries).map(|e| &**e), cluster);
    }
    if !inputs.compat.flags.pilot_enable_cross_cluster_workload_entry {
        return Machines::default();
    }
    let entries = store.workload_entries.values().map(|entry| &**entry);
    let discovered = |entry: &&'o resource::WorkloadEntry| {
        is_discovered(&inputs.config, store, &entry.meta.namespace)
    };
    Machines::new(entries.filter(discovered), cluster)
}

/// What ServiceEntries add.
fn external(
    registries: &[ClusterRegistry<'_>],
    inputs: &Inputs<'_>,
    default_export_to: &ExportTo,
) -> External {
    let own = registries.iter().find(|registry| registry.cluster.id == inputs.id);
    // Without a cluster of its own a control plane still has a name.
    let nowhere = Store::default();
    let trust_domain = TrustDomain::from(&*inputs.config.trust_domain);
    let lonely = own
        .is_none()
        .then(|| ClusterRegistry::new(&(inputs.id.clone(), trust_domain, &nowhere), inputs));
    let Some(home) = own.or(lonely.as_ref()) else { return External::default() };
    let members: Vec<Member<'_>> = lonely
        .iter()
        .chain(registries)
        .map(|registry| Member { cluster: &registry.cluster, machines: &registry.machines })
        .collect();
    let namespace = |name: &str| {
        let key = (Namespace::default(), Box::from(name));
        home.store.namespaces.get(&key).map(|object| &object.meta)
    };
    let settings = Settings {
        config: &inputs.config,
        default_export_to,
        namespace: &namespace,
        auto_allocate: inputs.compat.flags.pilot_enable_ip_autoallocate,
        dual_stack: inputs.compat.flags.istio_dual_stack,
    };
    let entries = all(inputs, |store| &store.service_entries).map(|entry| &**entry);
    External::new(entries, &home.cluster, &members, &settings)
}

/// What decides the network of an endpoint of a cluster.
fn networks_of(id: &ClusterId, store: &Store, networks: &MeshNetworks) -> NetworkOf {
    let key = (Namespace::default(), Box::from(SYSTEM_NAMESPACE));
    let system = store.namespaces.get(&key).map(|object| object.meta.labels.value(NETWORK));
    NetworkOf::new(id, system.unwrap_or_default(), members(networks))
}

/// Describes one pod of a cluster, whether its namespace is discovered or not.
pub(crate) fn workload_of(
    id: &ClusterId,
    trust_domain: TrustDomain,
    store: &Store,
    networks: &MeshNetworks,
    pod: &resource::Pod,
) -> Workload {
    let node = store.nodes.get(&(Namespace::default(), pod.spec.node_name.clone()));
    let cluster = Cluster {
        id: id.clone(),
        trust_domain,
        domain: "",
        networks: networks_of(id, store, networks),
        nodes: node.map(|node| (&*node.meta.name, &**node)).into_iter().collect(),
        pods: Pods::default(),
    };
    kubernetes::workload_of_pod(pod, &cluster)
}

/// Converts a service as its own cluster has it, not merged with those of other clusters.
pub(crate) fn service_of(
    id: &ClusterId,
    trust_domain: TrustDomain,
    store: &Store,
    domain: &str,
    service: &resource::Service,
) -> Service {
    let cluster = Cluster {
        id: id.clone(),
        trust_domain,
        domain,
        networks: NetworkOf::default(),
        nodes: BTreeMap::new(),
        pods: Pods::default(),
    };
    let key = (Namespace::default(), Box::from(service.meta.namespace.as_str()));
    let annotations = store.namespaces.get(&key).map(|object| &object.meta.annotations);
    kubernetes::convert(service, &cluster, annotations)
}

/// What `MeshNetworks` counts to each network.
fn members(networks: &MeshNetworks) -> impl Iterator<Item = (NetworkId, NetworkMember<'_>)> {
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

fn shards(
    registries: &[ClusterRegistry<'_>],
    external: External,
    inputs: &Inputs<'_>,
) -> BTreeMap<(Hostname, Namespace), Arc<Shards>> {
    let mut found: BTreeMap<(Hostname, Namespace), Vec<Arc<Shard>>> = BTreeMap::new();
    for (key, endpoints) in external.endpoints {
        let (provider, cluster) = (Provider::External, inputs.id.clone());
        let shard = Shard { provider, cluster, endpoints: endpoints.into() };
        found.entry(key).or_default().push(Arc::new(shard));
    }
    for registry in registries {
        for (key, endpoints) in registry.endpoints() {
            let (provider, cluster) = (Provider::Kubernetes, registry.cluster.id.clone());
            let shard = Shard { provider, cluster, endpoints: endpoints.into() };
            found.entry(key).or_default().push(Arc::new(shard));
        }
    }
    found.into_iter().map(|(key, shards)| (key, Arc::new(Shards::new(shards)))).collect()
}

fn network_gateways(
    registries: &[ClusterRegistry<'_>],
    inputs: &Inputs<'_>,
) -> Vec<NetworkGateway> {
    let mut found = Vec::new();
    for registry in registries {
        let id = &registry.cluster.id;
        let named = registry_gateways(inputs.networks, id);
        let named: Vec<_> = named.iter().map(|(n, host, port)| (n, *host, *port)).collect();
        for object in registry.objects() {
            let service = registry.service(object);
            let external = kubernetes::external_addresses(object, &registry.cluster);
            let ports: Vec<u16> = service
                .ports
                .iter()
                .filter(|port| port.protocol != crate::name::Protocol::Udp)
                .map(|port| port.number)
                .collect();
            let candidate = gateways::GatewayService {
                cluster: id,
                hostname: service.hostname.as_str(),
                labels: &service.labels,
                ports: &ports,
                addresses: &external.addresses,
                node_ports: &external.node_ports,
            };
            found.extend(gateways::of_service(&candidate, &named));
        }
    }
    for (network, settings) in &inputs.networks.networks {
        let network = NetworkId::from(&**network);
        for gateway in &settings.gateways {
            if let Some(GatewayTarget::Address(address)) = &gateway.target
                && let Ok(port) = u16::try_from(gateway.port)
            {
                found.push(gateways::of_mesh_networks(&network, address, port));
            }
        }
    }
    found.retain(|gateway| gateway.address != Address::Unknown);
    found
}

/// The gateways that networks which claim a cluster name by service.
fn registry_gateways<'n>(
    networks: &'n MeshNetworks,
    cluster: &ClusterId,
) -> Vec<(NetworkId, &'n str, u16)> {
    let claims = |network: &Network| {
        let mut endpoints = network.endpoints.iter();
        endpoints.any(|entry| {
            matches!(entry, NetworkEndpoints::FromRegistry(name) if **name == *cluster.as_str())
        })
    };
    let mut found = Vec::new();
    for (id, network) in networks.networks.iter().filter(|(_, network)| claims(network)) {
        for gateway in &network.gateways {
            if let Some(GatewayTarget::RegistryServiceName(name)) = &gateway.target
                && let Ok(port) = u16::try_from(gateway.port)
            {
                found.push((NetworkId::from(&**id), &**name, port));
            }
        }
    }
    found
}
