//! What a proxy's namespace and Sidecar let it see.
//!
//! ```text
//! visible services, VirtualServices ──egress listeners──▶ per listener ──by host──▶ all
//! ```
//!
//! # Upstream
//!
//! istio/istio `pilot/pkg/model/sidecar.go` `convertToSidecarScope`, `DefaultSidecarScopeForGateway`.
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::rule_destinations::{Source, destinations};
use super::{HostSelection, Proxy, ProxyKind};
use crate::compat::Flags;
use crate::endpoint::Provider;
use crate::name::{Hostname, Namespace, Protocol};
use crate::registry::{ControlPlane, Resolution, Service, Services};
use crate::resource::sidecar::EgressListener;
use crate::resource::virtual_service::Semantics;
use crate::resource::{Sidecar, VirtualService};

/// What one egress listener imports.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "a value that generators read")]
pub struct Egress {
    /// The listener as the Sidecar has it; `None` for the default one, which imports everything.
    pub listener: Option<EgressListener>,
    /// The services in the order in which they count; not merged by host: an entry with several
    /// addresses is several services.
    pub services: Vec<Arc<Service>>,
    /// The VirtualServices in the order in which they count.
    pub virtual_services: Vec<Arc<VirtualService>>,
}

impl Egress {
    /// The port of a listener that has one.
    pub fn port(&self) -> Option<u32> {
        self.listener.as_ref()?.port.as_ref().map(|port| port.number)
    }

    /// Whether only services with the listener's port are imported, reduced to it: a listener with a
    /// port that is no HTTP proxy.
    fn matches_port(&self) -> Option<u32> {
        let port = self.listener.as_ref()?.port.as_ref()?;
        let is_proxy = Protocol::parse(&port.protocol) == Protocol::HttpProxy;
        (port.number != 0 && !is_proxy).then_some(port.number)
    }
}

/// Everything that a proxy may send to.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    sidecar: Option<Arc<Sidecar>>,
    egress: Vec<Egress>,
    services: Vec<Arc<Service>>,
    by_host: FxHashMap<Hostname, usize>,
    /// The hosts of which an imported service keeps destinations.
    passthrough: BTreeSet<Hostname>,
}

impl Scope {
    /// The scope of a proxy.
    pub(super) fn of_proxy(plane: &ControlPlane, flags: &Flags, proxy: &Proxy) -> Self {
        match proxy.kind {
            ProxyKind::Sidecar => {
                let sidecar = plane.sidecar(&proxy.namespace, &proxy.labels);
                Self::of_sidecar(plane, flags, &proxy.namespace, sidecar)
            }
            ProxyKind::Router | ProxyKind::Waypoint | ProxyKind::Ztunnel => {
                Self::of_gateway(plane, &proxy.namespace)
            }
        }
    }

    /// The scope of a sidecar: what its Sidecar's egress listeners import, everything without one;
    /// and what imported VirtualServices send to.
    pub fn of_sidecar(
        plane: &ControlPlane,
        flags: &Flags,
        namespace: &Namespace,
        sidecar: Option<&Arc<Sidecar>>,
    ) -> Self {
        let mut scope = Self { sidecar: sidecar.cloned(), ..Self::default() };
        let listeners = sidecar.map(|sidecar| sidecar.spec.egress.as_slice()).unwrap_or_default();
        if listeners.is_empty() {
            scope.egress.push(egress(plane, flags, namespace, None));
        }
        for listener in listeners {
            scope.egress.push(egress(plane, flags, namespace, Some(listener)));
        }
        let egress = std::mem::take(&mut scope.egress);
        for listener in &egress {
            for service in &listener.services {
                scope.append(service);
                if service.resolution == Resolution::Passthrough {
                    scope.passthrough.insert(service.hostname.clone());
                }
            }
            scope.append_destinations(plane, namespace, listener);
        }
        Self { egress, ..scope }
    }

    /// The scope of a gateway: every service that its namespace sees, one a host.
    pub fn of_gateway(plane: &ControlPlane, namespace: &Namespace) -> Self {
        let mut scope = Self::default();
        for service in plane.services.visible_to(namespace) {
            scope.append(service);
        }
        scope
    }

    /// The Sidecar in force, if there is one.
    pub fn sidecar(&self) -> Option<&Arc<Sidecar>> {
        self.sidecar.as_ref()
    }

    /// The egress listeners in order; none for gateways.
    pub fn egress(&self) -> &[Egress] {
        &self.egress
    }

    /// The services, one a host, in order of import; ports may be reduced to those imported.
    pub fn services(&self) -> &[Arc<Service>] {
        &self.services
    }

    /// The service of a host.
    pub fn service(&self, host: &str) -> Option<&Arc<Service>> {
        self.services.get(*self.by_host.get(host)?)
    }

    /// Whether connections to a host keep their destination, as to headless services, in what is
    /// imported or in the service that counts for the host.
    pub fn keeps_destination(&self, host: &str) -> bool {
        let counts = self.service(host);
        self.passthrough.contains(host)
            || counts.is_some_and(|service| service.resolution == Resolution::Passthrough)
    }

    /// The egress listener that a route config is for: the first with its port (or, for port 0, its
    /// bind), or the first without a port.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/model/sidecar.go` `GetEgressListenerForRDS`.
    pub fn egress_for_route(&self, port: u32, bind: &str) -> Option<&Egress> {
        self.egress.iter().find(|egress| match (&egress.listener, egress.port()) {
            (None, _) | (Some(_), None) => true,
            (Some(listener), Some(0)) => port == 0 && *listener.bind == *bind,
            (Some(_), Some(number)) => number == port,
        })
    }

    /// Adds a service, or merges it with the one of its host: a Kubernetes service replaces another,
    /// ports are united where the services are alike, otherwise the first stays.
    fn append(&mut self, service: &Arc<Service>) {
        let Some(index) = self.by_host.get(&service.hostname).copied() else {
            self.by_host.insert(service.hostname.clone(), self.services.len());
            self.services.push(service.clone());
            return;
        };
        let Some(known) = self.services.get_mut(index) else { return };
        match (known.provider, service.provider) {
            (Provider::Kubernetes, Provider::External) => {}
            (Provider::External, Provider::Kubernetes) => *known = service.clone(),
            (Provider::Kubernetes, Provider::Kubernetes)
            | (Provider::External, Provider::External) => {
                if known.ports != service.ports && can_merge(known, service) {
                    *known = Arc::new(with_ports_of(known, service));
                }
            }
        }
    }

    /// Adds the services that imported VirtualServices send to; they never replace those that hosts
    /// ask for.
    fn append_destinations(
        &mut self,
        plane: &ControlPlane,
        namespace: &Namespace,
        listener: &Egress,
    ) {
        for rule in &listener.virtual_services {
            for (host, ports) in destinations(rule, Source::Namespace(namespace)) {
                let Some(service) = destination_service(plane, namespace, host) else { continue };
                let reduced = match listener.matches_port() {
                    Some(port) => at_port(service, port),
                    None => at_ports(service, &ports),
                };
                if let Some(service) = reduced {
                    self.append(&service);
                }
            }
        }
    }
}

fn can_merge(known: &Service, other: &Service) -> bool {
    known.namespace == other.namespace
        && known.resolution == other.resolution
        && known.labels == other.labels
        && known.selector == other.selector
        && known.export_to == other.export_to
}

fn with_ports_of(known: &Service, other: &Service) -> Service {
    let mut ports = known.ports.to_vec();
    for port in &other.ports {
        if ports.iter().all(|known| known.number != port.number) {
            ports.push(port.clone());
        }
    }
    Service { ports: ports.into(), ..known.clone() }
}

fn egress(
    plane: &ControlPlane,
    flags: &Flags,
    namespace: &Namespace,
    listener: Option<&EgressListener>,
) -> Egress {
    let hosts = match listener {
        Some(listener) => HostSelection::new(listener.hosts.iter().map(AsRef::as_ref), namespace),
        None => HostSelection::everything(),
    };
    let mut egress =
        Egress { listener: listener.cloned(), services: Vec::new(), virtual_services: Vec::new() };
    let rules = plane.virtual_services.selectable_by(namespace, flags);
    egress.virtual_services = select_rules(rules, &hosts);
    let port = egress.matches_port();
    egress.services = match hosts.exact() {
        Some(exact) => {
            let found = exact.filter_map(|(owner, host)| plane.services.get(host.as_str(), owner));
            let mut found: Vec<_> = found
                .filter(|service| {
                    Services::is_visible(service, namespace, &plane.default_service_export_to)
                })
                .collect();
            found.sort_by_key(|service| {
                (service.creation, service.name.clone(), service.namespace.clone())
            });
            select_services(found.into_iter(), flags, namespace, &hosts, port)
        }
        None => {
            let visible = plane.services.visible_to(namespace);
            select_services(visible, flags, namespace, &hosts, port)
        }
    };
    egress
}

/// The VirtualServices that have a selected host.
fn select_rules<'r>(
    rules: impl Iterator<Item = &'r Arc<VirtualService>>,
    hosts: &HostSelection,
) -> Vec<Arc<VirtualService>> {
    let mut seen = BTreeSet::new();
    rules
        .filter(|rule| {
            let namespace = &rule.meta.namespace;
            let selects = |host: &Hostname| match rule.semantics() {
                Semantics::Gateway => hosts.selects(host, namespace),
                Semantics::Istio | Semantics::Ingress => hosts.selects_rule(host, namespace),
            };
            rule.spec.hosts.iter().any(|host| selects(&Hostname::from(&**host)))
        })
        .filter(|rule| seen.insert((rule.meta.namespace.clone(), rule.meta.name.clone())))
        .cloned()
        .collect()
}

impl HostSelection {
    /// Returns the services that the hosts select for a workload of a namespace: of one namespace for
    /// each host, the workload's own if it is among them, else that of a Kubernetes service (with
    /// `PILOT_UNIFIED_SIDECAR_SCOPE`), else the first.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/model/sidecar.go` `selectServices`.
    pub fn services<'s>(
        &self,
        services: impl Iterator<Item = &'s Arc<Service>>,
        flags: &Flags,
        own: &Namespace,
    ) -> Vec<Arc<Service>> {
        select_services(services, flags, own, self, None)
    }
}

/// The services that hosts select, of one namespace for each host: the workload's own if it is among
/// them, else that of a Kubernetes service (with the flag), else the first.
fn select_services<'s>(
    services: impl Iterator<Item = &'s Arc<Service>>,
    flags: &Flags,
    own: &Namespace,
    hosts: &HostSelection,
    port: Option<u32>,
) -> Vec<Arc<Service>> {
    let mut selected: Vec<Arc<Service>> = services
        .filter(|service| hosts.selects(&service.hostname, &service.namespace))
        .filter_map(|service| match port {
            Some(port) => at_port(service, port),
            None => Some(service.clone()),
        })
        .map(|service| with_selected_aliases(service, hosts))
        .collect();
    let mut chosen: BTreeMap<Hostname, (Namespace, bool)> = BTreeMap::new();
    for service in &selected {
        let is_kubernetes =
            flags.pilot_unified_sidecar_scope && service.provider == Provider::Kubernetes;
        let candidate = (service.namespace.clone(), is_kubernetes);
        match chosen.get_mut(&service.hostname) {
            None => drop(chosen.insert(service.hostname.clone(), candidate)),
            Some(known) => {
                let is_own = service.namespace == *own;
                let is_better = !known.1 && is_kubernetes && (is_own || known.0 != *own);
                if is_own || is_better {
                    *known = candidate;
                }
            }
        }
    }
    selected.retain(|service| {
        chosen.get(&service.hostname).is_some_and(|(namespace, _)| *namespace == service.namespace)
    });
    selected
}

/// Leaves out the aliases that hosts do not select.
fn with_selected_aliases(service: Arc<Service>, hosts: &HostSelection) -> Arc<Service> {
    let is_selected =
        |alias: &&Hostname| hosts.keeps_alias(alias, &service.hostname, &service.namespace);
    if service.aliases.iter().all(|alias| is_selected(&alias)) {
        return service;
    }
    let aliases = service.aliases.iter().filter(is_selected).cloned().collect();
    Arc::new(Service { aliases, ..(*service).clone() })
}

/// The service reduced to the port of a listener; `None` if it does not have it.
fn at_port(service: &Arc<Service>, number: u32) -> Option<Arc<Service>> {
    let port = service.ports.iter().find(|port| u32::from(port.number) == number)?;
    if service.ports.len() == 1 {
        return Some(service.clone());
    }
    let ports = Box::from([port.clone()]);
    Some(Arc::new(Service { ports, ..(**service).clone() }))
}

/// The service reduced to the ports that destinations name; 0 stands for all. `None` if it has none
/// of them.
fn at_ports(service: &Arc<Service>, numbers: &BTreeSet<u32>) -> Option<Arc<Service>> {
    if numbers.contains(&0) {
        return Some(service.clone());
    }
    let ports: Box<[_]> = service
        .ports
        .iter()
        .filter(|port| numbers.contains(&u32::from(port.number)))
        .cloned()
        .collect();
    if ports.len() == service.ports.len() {
        return Some(service.clone());
    }
    (!ports.is_empty()).then(|| Arc::new(Service { ports, ..(**service).clone() }))
}

/// The service that a destination means: that of the workload's own namespace, exported or not, else
/// a visible Kubernetes service, else the oldest visible one.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/model/sidecar.go` `pickBestVisibleNamespace`.
fn destination_service<'p>(
    plane: &'p ControlPlane,
    namespace: &Namespace,
    host: &str,
) -> Option<&'p Arc<Service>> {
    if let Some(own) = plane.services.get(host, namespace.as_str()) {
        return Some(own);
    }
    let visible = plane.services.of_host(host).filter(|service| {
        Services::is_visible(service, namespace, &plane.default_service_export_to)
    });
    visible.min_by_key(|service| (service.provider != Provider::Kubernetes, service.creation))
}
