//! Every client of a mesh at once: proxies that no rule can tell apart, and where their traffic goes.
//!
//! ```text
//! proxies ─by what rules read─▶ clients ─each destination─▶ classes with one outcome
//!                                                              └─ a failure ─▶ impact
//! ```
use std::collections::BTreeSet;
use std::sync::Arc;

use mesh_model::name::{ClusterId, Labels, Namespace, Text};
use mesh_model::registry::{
    Autoscalers, ControlPlane, MergedRule, Mesh, Resolution, Service, ServicePort,
    TrafficDistribution,
};
use mesh_model::resource::destination_rule::{LoadBalancerSettings, TrafficPolicy};
use mesh_model::view::{Destination, Proxy, ProxyView, Subset};
use rustc_hash::FxHashMap;

use super::common::Outcomes;
use super::crowd::Crowd;
use super::fallen::Fallen;
use super::overload::Carriers;
use super::{Outcome, Scenario};
use crate::assign::{Discovery, EffectiveSetting, Standpoint, asked_labels};
use crate::share::Spread;

/// What is asked about: a port of a service that a proxy sees, or a subset of it.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "callers name destinations")]
pub struct Asked {
    /// The service.
    pub service: Arc<Service>,
    /// The port.
    pub port: ServicePort,
    /// The subset, empty for all of the service.
    pub subset: Box<str>,
}

/// Every service port that a proxy sees as a whole, in the order of the services; aliases of other
/// hosts are left out.
pub fn services(view: &ProxyView<'_>) -> Vec<Asked> {
    let services = view.services().iter();
    let services = services.filter(|service| service.resolution != Resolution::Alias);
    let mut asked = Vec::new();
    for service in services {
        let ports = service.ports.iter();
        asked.extend(
            ports.filter(|port| service.port(port.number) == Some(*port)).map(|port| Asked {
                service: service.clone(),
                port: port.clone(),
                subset: "".into(),
            }),
        );
    }
    asked
}

/// The same with the subsets that the rules in force define.
pub fn services_and_subsets(view: &ProxyView<'_>) -> Vec<Asked> {
    let mut asked = Vec::new();
    for whole in services(view) {
        let rule = view.rule(&whole.service);
        let subsets = rule.map(|rule| rule.subsets.as_slice()).unwrap_or_default();
        let named: Vec<Asked> =
            subsets.iter().map(|s| Asked { subset: s.name.clone(), ..whole.clone() }).collect();
        asked.push(whole);
        asked.extend(named);
    }
    asked
}

/// Where the traffic of many proxies goes, each outcome computed once for all that share it.
///
/// # Examples
///
/// Two clients in one zone are one class:
///
/// ```
/// use mesh_lb::whatif::{Scenario, Survey, services};
/// use mesh_model::registry::{Origin, Registry, Source};
/// use mesh_testkit::by_hand;
///
/// let text = "{apiVersion: v1, kind: Service, metadata: {name: cart, namespace: shop}, spec: {ports: [{port: 80}]}}";
/// let mut registry = Registry::default();
/// let origin = Origin::Cluster("c1".into());
/// registry.load([Source { origin, name: "cart.yaml".into(), text: text.into() }]);
/// let (mesh, proxies) = (registry.mesh(), [by_hand::proxy("c1", "eu/a"), by_hand::proxy("c1", "eu/a")]);
/// let survey = Survey::new(&mesh, &proxies, services);
/// assert_eq!(survey.destinations().len(), 1);
/// assert_eq!(survey.destinations()[0].classes[0].n_proxies, 2);
/// assert_eq!(survey.impact(&Scenario::default(), 1.4).len(), 1);
/// ```
#[derive(Clone, Debug)]
pub struct Survey<'m> {
    clients: Vec<Vec<&'m Proxy>>,
    // INVARIANT: in the order of their keys.
    destinations: Vec<Surveyed<'m>>,
    crowds: Vec<Crowd<'m>>,
}

/// One destination, and the classes of its clients.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Surveyed<'m> {
    /// The destination as the first client sees it; the same for all.
    pub destination: Destination<'m>,
    /// The classes in the order of their first proxies.
    pub classes: Vec<SurveyedClass<'m>>,
    pub(super) carriers: Carriers<'m>,
    /// What outcomes have in common at present.
    pub(super) before: Outcomes,
}

/// Proxies whose traffic to a destination goes the same ways.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SurveyedClass<'m> {
    /// The mesh as the first of them sees it.
    pub view: ProxyView<'m>,
    /// Where the traffic goes at present.
    pub before: Outcome,
    /// How many proxies they are.
    pub n_proxies: usize,
    /// The place among what outcomes have in common.
    pub(super) common: usize,
    clients: Vec<usize>,
}

impl<'m> Survey<'m> {
    /// Looks at what `asked` names for each client; proxies that no control plane serves are left out.
    ///
    /// `asked` is called once for all proxies that no rule can tell apart.
    pub fn new(
        mesh: &'m Mesh,
        proxies: &'m [Proxy],
        mut asked: impl FnMut(&ProxyView<'m>) -> Vec<Asked>,
    ) -> Self {
        let clients = clients(mesh, proxies);
        let mut found = Found::new(mesh.autoscalers());
        for (index, client) in clients.iter().enumerate() {
            for asked in asked(&client.view) {
                found.add((index, client), asked);
            }
        }
        let mut destinations = found.destinations;
        destinations.sort_by(|a, b| a.key().cmp(&b.key()));
        let crowds = Crowd::all(&destinations);
        Self { clients: clients.into_iter().map(|c| c.proxies).collect(), destinations, crowds }
    }

    /// Returns the destinations by host, port and subset; several where proxies see one under
    /// different rules.
    pub fn destinations(&self) -> &[Surveyed<'m>] {
        &self.destinations
    }

    /// The destinations that are one to the endpoints behind them, in the same order.
    pub(super) fn crowds(&self) -> &[Crowd<'m>] {
        &self.crowds
    }

    /// Returns the proxies of a class, in the order given.
    pub fn proxies(&self, class: &SurveyedClass<'m>) -> Vec<&'m Proxy> {
        let groups = class.clients.iter().filter_map(|index| self.clients.get(*index));
        groups.flatten().copied().collect()
    }
}

/// Proxies that no rule can tell apart.
struct Client<'m> {
    view: ProxyView<'m>,
    place: usize,
    proxies: Vec<&'m Proxy>,
}

/// The views of proxies that rules can tell apart, each of the first of its kind.
pub(crate) fn distinct_views<'m>(mesh: &'m Mesh, proxies: &'m [Proxy]) -> Vec<ProxyView<'m>> {
    clients(mesh, proxies).into_iter().map(|client| client.view).collect()
}

/// What rules of a control plane read of its proxies beside their places and namespaces.
#[derive(Default)]
pub(super) struct Read {
    labels: BTreeSet<Box<str>>,
    node: bool,
    /// Which gateways a proxy can dial; there are some.
    families: bool,
}

impl Read {
    pub(super) fn by(plane: &ControlPlane) -> Self {
        let mut read = Self::default();
        for sidecar in plane.sidecars.values().flatten() {
            let selector = sidecar.spec.workload_selector.as_ref();
            read.add(selector.map(|selector| &selector.labels));
        }
        for rule in plane.destination_rules.iter() {
            let selector = rule.rule.spec.workload_selector.as_ref();
            read.add(selector.map(|selector| &selector.match_labels));
            let subsets = rule.subsets.iter().filter_map(|subset| subset.traffic_policy.as_ref());
            for policy in rule.traffic_policy.iter().chain(subsets) {
                read.add_policy(policy);
            }
        }
        read.ranks(&plane.config.locality_lb_setting.failover_priority);
        if let Some(setting) = &plane.config.zone_aware_lb_setting {
            read.ranks(&setting.failover_priority);
        }
        for service in plane.services.iter() {
            read.node |= service.node_local;
            read.add_distribution(service.traffic_distribution);
        }
        read
    }

    /// The names of the labels.
    pub(super) fn labels(&self) -> impl Iterator<Item = &str> {
        self.labels.iter().map(AsRef::as_ref)
    }

    fn add(&mut self, selector: Option<&Labels>) {
        let labels = selector.into_iter().flat_map(Labels::iter);
        self.labels.extend(labels.map(|(name, _)| Box::from(name)));
    }

    fn add_policy(&mut self, policy: &TrafficPolicy) {
        let of_ports = policy.port_level_settings.iter().map(|port| &port.load_balancer);
        for settings in of_ports.chain([&policy.load_balancer]).flatten() {
            self.add_settings(settings);
        }
    }

    fn add_settings(&mut self, settings: &LoadBalancerSettings) {
        if let Some(setting) = &settings.locality_lb_setting {
            self.ranks(&setting.failover_priority);
        }
        if let Some(setting) = &settings.zone_aware_lb_setting {
            self.ranks(&setting.failover_priority);
        }
    }

    /// Adds the labels that a service's own preference ranks by, the node's name among them.
    fn add_distribution(&mut self, distribution: TrafficDistribution) {
        for label in EffectiveSetting::Distribution(distribution).failover_priority() {
            if !self.labels.contains(label) {
                self.labels.insert(label.into());
            }
        }
    }

    fn ranks(&mut self, list: &[Box<str>]) {
        let asked = asked_labels(list.iter().map(AsRef::as_ref));
        self.labels.extend(asked.map(Box::from));
    }
}

fn clients<'m>(mesh: &'m Mesh, proxies: &'m [Proxy]) -> Vec<Client<'m>> {
    let mut read: FxHashMap<ClusterId, Read> = FxHashMap::default();
    let mut places: FxHashMap<Standpoint, usize> = FxHashMap::default();
    type Told<'m> = (usize, Namespace, Vec<&'m str>, &'m str);
    let mut known: FxHashMap<Told<'m>, usize> = FxHashMap::default();
    let mut clients: Vec<Client<'m>> = Vec::new();
    for proxy in proxies {
        let Some(plane) = mesh.control_plane_of(proxy.cluster.as_str()) else { continue };
        let read = read.entry(plane.id.clone()).or_insert_with(|| {
            let flags = &mesh.compat().flags;
            let families = !plane.named_gateways.is_empty() || flags.ambient_multi_network();
            Read { families, ..Read::by(plane) }
        });
        let next = places.len();
        let mut standpoint = Standpoint::of(proxy);
        if !read.families {
            standpoint.forget_families();
        }
        let place = *places.entry(standpoint).or_insert(next);
        let labels = read.labels.iter().map(|name| proxy.labels.value(name)).collect();
        let node = if read.node { &*proxy.node } else { "" };
        let told = (place, proxy.namespace.clone(), labels, node);
        let at = known.get(&told).copied();
        if let Some(client) = at.and_then(|at| clients.get_mut(at)) {
            client.proxies.push(proxy);
        } else if let Some(view) = mesh.view(proxy) {
            known.insert(told, clients.len());
            clients.push(Client { view, place, proxies: vec![proxy] });
        }
    }
    clients
}

/// Numbers of merged rules, from 1 on: the same for two that were merged of the same.
#[derive(Default)]
struct Rules<'m> {
    by_address: FxHashMap<usize, usize>,
    by_parts: FxHashMap<&'m [(Namespace, Text)], usize>,
}

impl<'m> Rules<'m> {
    fn number(&mut self, rule: &'m MergedRule) -> usize {
        let next = self.by_parts.len() + 1;
        let by_parts = &mut self.by_parts;
        let address = std::ptr::from_ref(rule).addr();
        *self
            .by_address
            .entry(address)
            .or_insert_with(|| *by_parts.entry(&rule.from).or_insert(next))
    }
}

/// A destination under a rule, by their addresses in the mesh and the number of the rule.
#[derive(Eq, Hash, PartialEq)]
struct DestinationKey {
    plane: usize,
    service: usize,
    rule: usize,
    port: (u16, Arc<str>),
    subset: Box<str>,
}

/// What tells classes of one destination apart.
#[derive(Eq, Hash, PartialEq)]
struct ClassKey {
    destination: usize,
    place: usize,
    labels: Box<[Box<str>]>,
    node: Box<str>,
}

struct Found<'m> {
    autoscalers: Autoscalers<'m>,
    destinations: Vec<Surveyed<'m>>,
    rules: Rules<'m>,
    known: FxHashMap<DestinationKey, usize>,
    classes: FxHashMap<ClassKey, usize>,
}

impl<'m> Found<'m> {
    fn new(autoscalers: Autoscalers<'m>) -> Self {
        Self {
            autoscalers,
            destinations: Vec::new(),
            rules: Rules::default(),
            known: FxHashMap::default(),
            classes: FxHashMap::default(),
        }
    }

    fn add(&mut self, (index, client): (usize, &Client<'m>), asked: Asked) {
        let view = &client.view;
        let rule = view.rule(&asked.service);
        let key = DestinationKey {
            plane: std::ptr::from_ref(view.plane()).addr(),
            service: Arc::as_ptr(&asked.service).addr(),
            rule: rule.map_or(0, |rule| self.rules.number(rule)),
            port: (asked.port.number, asked.port.name.clone()),
            subset: asked.subset.clone(),
        };
        let next = self.destinations.len();
        let at = *self.known.entry(key).or_insert(next);
        if at == next {
            let subset = Subset::from(&*asked.subset);
            let destination = view.destination_of(asked.service, asked.port, subset);
            let shards = view.shards(&destination.service).map(|shards| &**shards);
            let around = (view.mesh(), &self.autoscalers);
            let carriers = shards.map(|shards| Carriers::new(around, shards));
            let carriers = carriers.unwrap_or_default();
            let before = Outcomes::default();
            self.destinations.push(Surveyed { destination, classes: Vec::new(), carriers, before });
        }
        let Some(surveyed) = self.destinations.get_mut(at) else { return };
        let key = class_key(at, client, &surveyed.destination);
        let next = surveyed.classes.len();
        let class = *self.classes.entry(key).or_insert(next);
        if class == next {
            surveyed.look(view);
        }
        if let Some(class) = surveyed.classes.get_mut(class) {
            class.n_proxies += client.proxies.len();
            class.clients.push(index);
        }
    }
}

impl<'m> Surveyed<'m> {
    /// What the endpoints behind a destination know of it.
    pub(super) fn key(&self) -> (&str, u16, &str) {
        let Destination { service, port, subset, .. } = &self.destination;
        (service.hostname.as_str(), port.number, subset)
    }

    /// Adds a class by its first member's view.
    fn look(&mut self, view: &ProxyView<'m>) {
        let (now, destination) = (Scenario::default(), &self.destination);
        let by = (Discovery::of(view, destination), Spread::of(view, destination));
        let numbers = self.carriers.numbers();
        let none = Fallen::default();
        let (before, common) = now.with_failed((view, &none), destination, |failed| {
            self.before.add((view, destination), failed, by, numbers)
        });
        let view = view.clone();
        let class = SurveyedClass { view, before, n_proxies: 0, common, clients: Vec::new() };
        self.classes.push(class);
    }
}

fn class_key(at: usize, client: &Client<'_>, destination: &Destination<'_>) -> ClassKey {
    let (proxy, config) = (client.view.proxy(), &client.view.plane().config);
    let policy = destination.policy.as_deref();
    let setting = EffectiveSetting::new(
        policy.and_then(|policy| policy.load_balancer.as_ref()),
        destination.service.traffic_distribution,
        config.zone_aware_lb_setting.as_ref(),
        Some(&config.locality_lb_setting),
    );
    let asked = asked_labels(setting.failover_priority());
    let is_on_node = destination.service.node_local;
    ClassKey {
        destination: at,
        place: client.place,
        labels: asked.map(|label| proxy.labels.value(label).into()).collect(),
        node: if is_on_node { proxy.node.clone() } else { Box::default() },
    }
}
