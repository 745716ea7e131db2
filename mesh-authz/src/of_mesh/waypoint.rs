//! What a waypoint decides by, for each of the services behind it.
//!
//! Most services behind a waypoint have the same policies: those that refer to the waypoint itself, or
//! none. What is compiled of them is made once.
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use mesh_model::compat::DataPlane;
use mesh_model::endpoint::Provider;
use mesh_model::name::Namespace;
use mesh_model::registry::{ControlPlane, Mesh, Service, USE_WAYPOINT, USE_WAYPOINT_NAMESPACE};
use mesh_model::view::Proxy;

use super::{jwt_rules, policies, words};
use crate::authorizer::{Authorizer, ServiceBehind};
use crate::compile::{Environment, Policies};
use crate::identity::IdentitySource;
use crate::select::lost::{self, AtWaypoint};
use crate::select::{
    AttachedService, BrokenPolicy, ServiceRegistry, Workload, WorkloadKind, applies, target_refs,
};

/// Compiles what decides who may call the services behind a waypoint, and the waypoint itself.
pub(super) fn authorizer(mesh: &Mesh, plane: &ControlPlane, proxy: &Proxy) -> Authorizer {
    let broken = BrokenPolicy::of_plane(plane);
    let policies = policies(plane, &broken);
    let mut of_plane = Environment::of_proxy(mesh, plane, proxy);
    of_plane.compat.data_plane = DataPlane::IstioProxy;
    let environment = Environment { identity: IdentitySource::FilterState, ..of_plane };
    let words = |services| words(&jwt_rules(mesh, plane, proxy, services));
    let own = own(&policies, &lost::at_waypoint(mesh, plane, proxy), proxy, &environment);
    let own = own.with_space_delimited_claims(words(Vec::new()));
    let mut compiler = Compiler::new(&policies, &environment);
    let names = Names::new(mesh, plane);
    let services = behind(mesh, plane, proxy).map(|service| {
        let attached = names.attached(service);
        let authorizer = compiler.of(proxy, attached.clone());
        ServiceBehind {
            host: service.hostname.as_str().into(),
            addresses: addresses(service),
            authorizer: authorizer.with_space_delimited_claims(words(vec![attached])),
        }
    });
    own.with_services(services)
}

/// Compiles what decides about what is addressed to no service that is known: the waypoint's own policies,
/// and those of services that could not be read.
fn own(
    policies: &Policies<'_>,
    lost: &AtWaypoint<'_>,
    proxy: &Proxy,
    environment: &Environment,
) -> Authorizer {
    let (alone, selection) = (workload(proxy, Vec::new()), environment.selection());
    let understood = policies.understood.iter().copied();
    let own = understood.filter(|policy| applies(policy, &alone, &selection));
    let denying =
        lost.denying.iter().copied().filter(|policy| !applies(policy, &alone, &selection));
    let policies = Policies {
        understood: own.chain(denying).collect(),
        broken: policies.broken.iter().copied().chain(&lost.broken).collect(),
    };
    Authorizer::new(&policies, &workload(proxy, lost.services.clone()), environment)
}

/// The service of a host behind a waypoint, as policies refer to it; nothing if it is not behind it.
pub(super) fn attached(
    mesh: &Mesh,
    plane: &ControlPlane,
    proxy: &Proxy,
    host: &str,
) -> Vec<AttachedService> {
    let is_behind = Behind::new(mesh, plane, proxy);
    let named = plane.services.of_host(host).filter(|service| is_behind.has(service));
    let has_entry = named.clone().any(|service| service.provider == Provider::External);
    let names = if has_entry { Names::new(mesh, plane) } else { Names(BTreeMap::new()) };
    named.map(|service| names.attached(service)).collect()
}

fn workload(proxy: &Proxy, services: Vec<AttachedService>) -> Workload {
    let kind = WorkloadKind::Waypoint(services);
    Workload { kind, ..super::workload(&proxy.namespace, &proxy.labels) }
}

/// The policies by what they refer to, and what has been compiled.
struct Compiler<'c, 'p> {
    policies: &'c Policies<'p>,
    environment: &'c Environment,
    /// The places of those that refer to a service of their namespace, by its name.
    of_services: BTreeMap<(&'p Namespace, &'p str), Vec<usize>>,
    /// The places of those that refer to anything else.
    others: Vec<usize>,
    made: BTreeMap<[Vec<usize>; 2], Authorizer>,
}

impl<'c, 'p> Compiler<'c, 'p> {
    fn new(policies: &'c Policies<'p>, environment: &'c Environment) -> Self {
        let mut of_services = BTreeMap::<_, Vec<_>>::new();
        let mut others = Vec::new();
        for (place, policy) in policies.understood.iter().enumerate() {
            let refs = target_refs(policy);
            // Without a reference a policy reaches no waypoint that has services.
            let (services, rest): (Vec<_>, Vec<_>) =
                refs.iter().partition(|target| matches!(&*target.kind, "Service" | "ServiceEntry"));
            if !rest.is_empty() {
                others.push(place);
                continue;
            }
            for target in services {
                of_services.entry((&policy.meta.namespace, &*target.name)).or_default().push(place);
            }
        }
        Self { policies, environment, of_services, others, made: BTreeMap::new() }
    }

    /// What decides about a service.
    fn of(&mut self, proxy: &Proxy, service: AttachedService) -> Authorizer {
        let named = self.of_services.get(&(&service.namespace, &*service.name));
        let mut places: Vec<usize> = named.into_iter().flatten().copied().collect();
        places.extend(&self.others);
        let workload = workload(proxy, vec![service]);
        let selection = self.environment.selection();
        let Policies { understood, broken } = self.policies;
        places.retain(|place| {
            understood.get(*place).is_some_and(|policy| applies(policy, &workload, &selection))
        });
        places.sort_unstable();
        places.dedup();
        let refused = broken.iter().enumerate();
        let refused = refused.filter(|(_, policy)| policy.may_select(&workload, &selection));
        let key = [places, refused.map(|(place, _)| place).collect()];
        if let Some(made) = self.made.get(&key) {
            return made.clone();
        }
        let [places, refused] = &key;
        let policies = Policies {
            understood: places.iter().filter_map(|at| understood.get(*at).copied()).collect(),
            broken: refused.iter().filter_map(|at| broken.get(*at).copied()).collect(),
        };
        let made = Authorizer::new(&policies, &workload, self.environment);
        self.made.entry(key).or_insert(made).clone()
    }
}

/// A waypoint with all the services behind it.
pub(crate) fn waypoint_workload(mesh: &Mesh, plane: &ControlPlane, proxy: &Proxy) -> Workload {
    let names = Names::new(mesh, plane);
    workload(proxy, behind(mesh, plane, proxy).map(|service| names.attached(service)).collect())
}

/// The services that a waypoint serves: those that name it by label, or whose namespaces do.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/serviceregistry/ambient/waypoints.go` `fetchWaypointForTarget`.
fn behind<'p>(
    mesh: &Mesh,
    plane: &'p ControlPlane,
    proxy: &Proxy,
) -> impl Iterator<Item = &'p Arc<Service>> {
    let is_behind = Behind::new(mesh, plane, proxy);
    let all = plane.services.iter().filter(|service| is_behind.has(service));
    all.collect::<Vec<_>>().into_iter()
}

struct Behind<'b> {
    mesh: &'b Mesh,
    plane: &'b ControlPlane,
    waypoint: &'b Proxy,
    gateway: &'b str,
    /// Namespaces that cannot be read and may name it.
    lost: Vec<Namespace>,
}

impl<'b> Behind<'b> {
    fn new(mesh: &'b Mesh, plane: &'b ControlPlane, waypoint: &'b Proxy) -> Self {
        let gateway = waypoint.labels.value("gateway.networking.k8s.io/gateway-name");
        let lost = lost::may_be_behind(mesh, plane, waypoint);
        Self { mesh, plane, waypoint, gateway, lost }
    }

    fn may_be_of_lost(&self, namespace: &Namespace) -> bool {
        self.lost.iter().any(|lost| lost.is_empty() || lost == namespace)
    }

    fn has(&self, service: &Service) -> bool {
        let manifests = self.mesh.manifests(self.plane);
        let own = (!service.labels.value(USE_WAYPOINT).is_empty()).then_some(&service.labels);
        let of_namespace = || manifests.namespace(&service.namespace).map(|meta| &meta.labels);
        if own.is_none() && self.may_be_of_lost(&service.namespace) {
            return true;
        }
        own.or_else(of_namespace).is_some_and(|labels| {
            let namespace = labels.value(USE_WAYPOINT_NAMESPACE);
            let is_near = *namespace == *self.waypoint.namespace.as_str()
                || (namespace.is_empty() && service.namespace == self.waypoint.namespace);
            is_near && !self.gateway.is_empty() && *labels.value(USE_WAYPOINT) == *self.gateway
        })
    }
}

/// The names of `ServiceEntries` by namespace and host.
struct Names<'m>(BTreeMap<(&'m Namespace, &'m str), &'m str>);

impl<'m> Names<'m> {
    fn new(mesh: &'m Mesh, plane: &'m ControlPlane) -> Self {
        let mut names = BTreeMap::new();
        for entry in mesh.manifests(plane).service_entries() {
            for host in &entry.spec.hosts {
                names.entry((&entry.meta.namespace, &**host)).or_insert(&*entry.meta.name);
            }
        }
        Self(names)
    }

    /// A service as policies refer to it: by the object's name, which of a `ServiceEntry` is not the host.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/model/policyattachment.go` `WithService`; `serviceentry/conversion.go`.
    fn attached(&self, service: &Service) -> AttachedService {
        let key = (&service.namespace, service.hostname.as_str());
        let (registry, name) = match service.provider {
            Provider::Kubernetes => (ServiceRegistry::Kubernetes, None),
            Provider::External => (ServiceRegistry::External, self.0.get(&key)),
        };
        let name = name.map_or_else(|| (&*service.name).into(), |name| Box::from(*name));
        AttachedService { name, namespace: service.namespace.clone(), registry }
    }
}

/// The addresses by which a service is reached, in any cluster.
fn addresses(service: &Service) -> Vec<IpAddr> {
    let of_clusters = service.cluster_vips.iter().flat_map(|(_, vips)| vips.iter());
    let texts = of_clusters.chain([&service.default_address]);
    let written = texts.filter_map(|text| text.parse::<IpAddr>().ok());
    let allocated = [service.auto_allocated.v4, service.auto_allocated.v6];
    let all = written.chain(allocated.into_iter().flatten());
    all.filter(|address| !address.is_unspecified()).collect()
}
