//! Clients that no rule can tell apart: they share one assignment.
use std::sync::Arc;

use mesh_model::compat::DataPlane;
use mesh_model::name::{ClusterId, Hostname, Labels, Locality, Namespace, NetworkId};
use mesh_model::registry::{Effect, MergedRule, Mesh, Resolution, TrafficDistribution};
use mesh_model::view::{Destination, IpFamilies, Proxy, ProxyKind, ProxyView};
use rustc_hash::{FxHashMap, FxHashSet};

use super::basis::Bases;
use super::failover_priority::asked_labels;
use super::{Assignment, ClusterForm, Input};

/// What every assignment reads of its client, whatever the destination.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Standpoint {
    cluster: ClusterId,
    network: NetworkId,
    locality: Locality,
    kind: ProxyKind,
    data_plane: DataPlane,
    families: IpFamilies,
    network_view: Box<[NetworkId]>,
    is_ingress_gateway: bool,
    may_tunnel: bool,
    has_labels: bool,
}

impl Standpoint {
    /// A client wherever it is: its labels, its locality and, unless they count, its cluster and network
    /// are left out.
    pub(super) fn anywhere(proxy: &Proxy, in_cluster: bool, in_network: bool) -> Self {
        Self {
            cluster: if in_cluster { proxy.cluster.clone() } else { ClusterId::default() },
            network: if in_network { proxy.network.clone() } else { NetworkId::default() },
            locality: Locality::default(),
            has_labels: false,
            ..Self::of(proxy)
        }
    }

    pub(crate) fn of(proxy: &Proxy) -> Self {
        Self {
            cluster: proxy.cluster.clone(),
            network: proxy.network.clone(),
            locality: proxy.locality.clone(),
            kind: proxy.kind,
            data_plane: proxy.data_plane,
            families: proxy.ip_families(),
            network_view: proxy.network_view.clone(),
            is_ingress_gateway: proxy.is_ingress_gateway(),
            may_tunnel: !proxy.metadata_bool("DISABLE_HBONE_SEND"),
            has_labels: !proxy.labels.is_empty(),
        }
    }

    /// Leaves out which addresses the client has: gateways alone are chosen by them.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/xds/endpoints/ep_filters.go` `filterGatewaysByIPFamily`.
    pub(crate) const fn forget_families(&mut self) {
        self.families = IpFamilies::Unknown;
    }
}

/// All that an assignment reads of its client: clients of one class use a destination alike.
///
/// Of labels only those count that the setting in effect names; the node only where a service stays on
/// it.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct ClientClass {
    standpoint: Standpoint,
    /// The values of the labels that rank endpoints, in the order of the setting.
    labels: Box<[Box<str>]>,
    node: Box<str>,
    /// The whole workload, which only its own cluster is told.
    workload: Option<(Labels, Box<str>)>,
}

impl ClientClass {
    /// The class of an input's client for its destination.
    pub fn new(input: &Input<'_>) -> Self {
        let proxy = input.proxy;
        let setting = input.setting();
        let is_own = input.form == ClusterForm::SelfDiscovery;
        let mut standpoint = Standpoint::of(proxy);
        if input.gateways.is_empty() && !input.compat.flags.ambient_multi_network() {
            standpoint.forget_families();
        }
        Self {
            standpoint,
            labels: asked_labels(setting.failover_priority())
                .map(|label| proxy.labels.value(label).into())
                .collect(),
            node: if input.service.node_local { proxy.node.clone() } else { Box::default() },
            workload: is_own
                .then(|| (proxy.labels.clone(), proxy.metadata_text("WORKLOAD_NAME").into())),
        }
    }
}

/// The assignments of one mesh, each computed once a class of clients.
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
///
/// use mesh_lb::assign::Assignments;
/// use mesh_model::registry::{Origin, Registry, Source};
/// use mesh_model::view::Subset;
/// use mesh_testkit::by_hand;
///
/// let text = "{apiVersion: v1, kind: Service, metadata: {name: cart, namespace: shop}, spec: {ports: [{port: 80}]}}";
/// let mut registry = Registry::default();
/// let origin = Origin::Cluster("c1".into());
/// registry.load([Source { origin, name: "cart.yaml".into(), text: text.into() }]);
/// let mut assignments = Assignments::new(registry.mesh());
/// let mesh = registry.mesh();
/// let shared = ["eu/a", "eu/a", "us/b"].map(|locality| {
///     let proxy = by_hand::proxy("c1", locality);
///     let view = mesh.view(&proxy).unwrap();
///     let cart = view.destination("cart.shop", 80, Subset::None).unwrap();
///     assignments.get(&view, &cart)
/// });
/// assert!(Arc::ptr_eq(&shared[0], &shared[1]));
/// assert_eq!(assignments.len(), 2);
/// ```
#[derive(Clone, Debug)]
pub struct Assignments {
    // Held so that addresses in it stay those of its parts.
    mesh: Arc<Mesh>,
    rules: Rules,
    known: FxHashMap<(Asked, ClientClass), Arc<Assignment>>,
    bases: FxHashMap<Asked, Bases>,
}

/// The rules in use, numbered; a rule that stays as it is keeps its number from mesh to mesh.
#[derive(Clone, Debug, Default)]
struct Rules {
    /// Numbers by address in the present mesh.
    seen: FxHashMap<usize, u32>,
    /// Rules with their numbers, by host.
    known: FxHashMap<Hostname, Vec<(u32, MergedRule)>>,
    last: u32,
}

impl Rules {
    fn number(&mut self, rule: &MergedRule) -> u32 {
        let address = std::ptr::from_ref(rule).addr();
        if let Some(number) = self.seen.get(&address) {
            return *number;
        }
        let known = self.known.entry(rule.host.clone()).or_default();
        let number = match known.iter().find(|(_, known)| known == rule) {
            Some((number, _)) => *number,
            None => {
                self.last += 1;
                known.push((self.last, rule.clone()));
                self.last
            }
        };
        self.seen.insert(address, number);
        number
    }

    /// Forgets rules that are not in use.
    fn retain(&mut self, in_use: &FxHashSet<u32>) {
        self.seen.clear();
        self.known.retain(|_, rules| {
            rules.retain(|(number, _)| in_use.contains(number));
            !rules.is_empty()
        });
    }
}

/// What is asked for: a destination under the rule in force, as a control plane knows it.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
struct Asked {
    plane: ClusterId,
    rule: Option<u32>,
    service: (Hostname, Namespace),
    port: (u16, Arc<str>),
    subset: Box<str>,
    form: ClusterForm,
    /// What else of the service is read: several objects can describe one host.
    traits: (Resolution, TrafficDistribution, bool, bool),
}

impl Asked {
    /// Whether what was read of the mesh can be different: endpoints, their modes, the rule.
    fn is_concerned(&self, effect: &Effect) -> bool {
        let (host, namespace) = &self.service;
        effect.services.contains(&self.service)
            || effect.endpoints.contains(&self.service)
            || effect.namespaces.contains(namespace)
            || effect.hosts.iter().any(|pattern| pattern.matches(host.as_str()))
    }
}

impl Assignments {
    /// Those of a mesh, none of them computed yet.
    pub fn new(mesh: Arc<Mesh>) -> Self {
        Self {
            mesh,
            rules: Rules::default(),
            known: FxHashMap::default(),
            bases: FxHashMap::default(),
        }
    }

    /// Goes on to the mesh that a change has made. Assignments of services that its effect does not
    /// concern stay, the same allocations; the others are computed again when they are asked for.
    pub fn renew(&mut self, mesh: Arc<Mesh>, effect: &Effect) {
        self.mesh = mesh;
        if effect.everything || !effect.networks.is_empty() {
            self.known.clear();
            self.bases.clear();
        }
        self.bases.retain(|asked, _| !asked.is_concerned(effect));
        self.known.retain(|(asked, _), _| !asked.is_concerned(effect));
        let in_use = self.known.keys().filter_map(|(asked, _)| asked.rule);
        self.rules.retain(&in_use.collect());
    }

    /// Returns how many are known, each computed once.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Returns whether none was computed.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// Returns the assignment of a destination as a proxy sees it, shared by all proxies of its class.
    ///
    /// A view of another mesh is answered too, but not remembered.
    pub fn get(&mut self, view: &ProxyView<'_>, destination: &Destination<'_>) -> Arc<Assignment> {
        if !std::ptr::eq(view.mesh(), &*self.mesh) {
            return Arc::new(Assignment::new(view, destination));
        }
        let form = ClusterForm::of(destination.service.resolution);
        let rule = destination.rule.map(|rule| self.rules.number(rule));
        Assignment::with_input(view, destination, form, |input| {
            let service = input.service;
            let asked = Asked {
                plane: view.plane().id.clone(),
                rule,
                service: (service.hostname.clone(), service.namespace.clone()),
                port: (input.port.number, input.port.name.clone()),
                subset: destination.subset.clone(),
                form: input.form,
                traits: (
                    service.resolution,
                    service.traffic_distribution,
                    service.node_local,
                    service.keeps_sessions(),
                ),
            };
            let key = (asked, ClientClass::new(input));
            if let Some(known) = self.known.get(&key) {
                return known.clone();
            }
            let bases = self.bases.entry(key.0.clone()).or_default();
            let assignment = Arc::new(bases.assign(input));
            self.known.insert(key, assignment.clone());
            assignment
        })
    }
}
