//! Policies that are attached by what could not be read: a service, or the namespace of one.
//!
//! ```text
//! Service, ServiceEntry, Namespace ─lost─▶ its policies, its waypoint's ─▶ its workloads deny
//!                                                                      └─▶ the waypoint denies, too
//! ```
//!
//! Such a policy is in force at a waypoint. Where the service cannot be read, nobody sends its traffic
//! there: it comes to the workloads directly. So the workloads that the service may select deny what its
//! policies, and those of the waypoint that it may be behind, might have denied. What comes to the waypoint
//! all the same, addressed to no service that it knows, is decided by the DENY and CUSTOM policies of the
//! service, and as if its ALLOW policies had no rules. A service says what it selects and which waypoint
//! it is behind as long as its document can be read as far. A Service selects pods of its own cluster only,
//! a ServiceEntry those of any; a waypoint may serve either, of every cluster that its control plane reads.
use mesh_model::endpoint::Provider;
use mesh_model::name::{Labels, Namespace};
use mesh_model::registry::{Broken, ControlPlane, Mesh, USE_WAYPOINT, USE_WAYPOINT_NAMESPACE};
use mesh_model::resource::{Action, AuthorizationPolicy, Pod, PolicyTargetReference};
use mesh_model::view::{Proxy, ProxyKind};

use super::{
    AttachedService, BrokenPolicy, ServiceRegistry, Subject, target_refs, target_refs_of_tokens,
};
use crate::dry_run::is_dry_run;

/// The waypoint that something is behind.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Waypoint {
    None,
    /// By namespace and name.
    Named(Namespace, Box<str>),
    /// It cannot be told.
    Any,
}

/// An object that could not be read, and what is told of it.
struct Lost<'p> {
    object: &'p Broken,
    /// Its namespace, or itself if it is one; empty: any.
    namespace: Namespace,
    waypoint: Waypoint,
}

/// What can be read.
#[derive(Clone, Copy)]
struct Known<'k> {
    mesh: &'k Mesh,
    plane: &'k ControlPlane,
}

impl Known<'_> {
    /// Whether a gateway may be a waypoint: unless it has pods, and none of them is one.
    fn may_be_waypoint(self, namespace: &Namespace, name: &str) -> bool {
        let pods = self.mesh.manifests(self.plane).pods();
        let pods = pods.filter(|pod| pod.meta.namespace == *namespace);
        let mut of_gateway = pods
            .filter(|pod| pod.meta.labels.value("gateway.networking.k8s.io/gateway-name") == name)
            .peekable();
        let is_waypoint = |pod: &Pod| {
            let proxy = format!("{}/{namespace}/{}", self.plane.id, pod.meta.name);
            self.mesh.proxy(&proxy).is_ok_and(|proxy| proxy.kind == ProxyKind::Waypoint)
        };
        of_gateway.peek().is_none() || of_gateway.any(is_waypoint)
    }
}

/// Those of a control plane that may be behind a waypoint.
fn lost<'p>(mesh: &Mesh, plane: &'p ControlPlane) -> Vec<Lost<'p>> {
    let all = plane.lost_targets.iter().map(|object| {
        let is_namespace = object.object.kind == "Namespace";
        let namespace = if is_namespace {
            Namespace::from(&*object.object.name)
        } else {
            object.object.namespace.clone()
        };
        let own = waypoint(object.labels.as_ref(), &namespace);
        let waypoint = match own {
            Some(waypoint) => waypoint,
            None if is_namespace => Waypoint::None,
            None if namespace.is_empty() => Waypoint::Any,
            // A namespace that cannot be read stands in the list for itself.
            None => mesh
                .manifests(plane)
                .namespace(&namespace)
                .and_then(|meta| waypoint(Some(&meta.labels), &namespace))
                .unwrap_or(Waypoint::None),
        };
        Lost { object, namespace, waypoint }
    });
    all.filter(|lost| lost.waypoint != Waypoint::None).collect()
}

/// The waypoint that labels name; `None` if they say nothing of one.
fn waypoint(labels: Option<&Labels>, namespace: &Namespace) -> Option<Waypoint> {
    let Some(labels) = labels else { return Some(Waypoint::Any) };
    match (labels.value(USE_WAYPOINT), labels.value(USE_WAYPOINT_NAMESPACE)) {
        ("", _) => None,
        ("none", _) => Some(Waypoint::None),
        (_, "") if namespace.is_empty() => Some(Waypoint::Any),
        (name, "") => Some(Waypoint::Named(namespace.clone(), name.into())),
        (name, other) => Some(Waypoint::Named(other.into(), name.into())),
    }
}

impl Lost<'_> {
    /// The service by which a reference of a policy of a namespace may mean this.
    fn meant(
        &self,
        known: Known<'_>,
        namespace: &Namespace,
        target: &PolicyTargetReference,
    ) -> Option<AttachedService> {
        let registry = match (&*target.group, &*target.kind) {
            ("" | "core", "Service") => ServiceRegistry::Kubernetes,
            ("networking.istio.io", "ServiceEntry") => ServiceRegistry::External,
            _ => return None,
        };
        let object = &self.object.object;
        let is_near = self.namespace.is_empty() || self.namespace == *namespace;
        let is_named = object.kind == &*target.kind
            && (object.name.is_empty() || *object.name == *target.name);
        let is_of_namespace = || {
            object.kind == "Namespace" && !says_waypoint(known, namespace, (registry, &target.name))
        };
        let found =
            AttachedService { name: target.name.clone(), namespace: namespace.clone(), registry };
        (is_near && (is_named || is_of_namespace())).then_some(found)
    }

    /// Whether a reference may mean the waypoint that this is behind.
    fn may_be_behind(
        &self,
        known: Known<'_>,
        namespace: &Namespace,
        target: &PolicyTargetReference,
    ) -> bool {
        if &*target.group != "gateway.networking.k8s.io" {
            return false;
        }
        match (&*target.kind, &self.waypoint) {
            ("GatewayClass", _) => {
                *namespace.as_str() == *known.plane.config.root_namespace
                    && &*target.name == "istio-waypoint"
            }
            ("Gateway", Waypoint::Any) => known.may_be_waypoint(namespace, &target.name),
            ("Gateway", Waypoint::Named(of, name)) => of == namespace && *name == target.name,
            _ => false,
        }
    }

    fn concerns(
        &self,
        known: Known<'_>,
        namespace: &Namespace,
        targets: &[PolicyTargetReference],
    ) -> bool {
        targets.iter().any(|target| {
            self.meant(known, namespace, target).is_some()
                || self.may_be_behind(known, namespace, target)
        })
    }

    fn stand_in(&self, namespace: &Namespace, name: &str, action: Action) -> BrokenPolicy {
        // A ztunnel asks nobody: there CUSTOM would be without effect.
        let action = if action == Action::Custom { Action::Deny } else { action };
        BrokenPolicy {
            namespace: namespace.clone(),
            name: name.into(),
            selector: self.object.selector.clone(),
            action: Some(action),
            subject: Subject::Connections,
            workloads: Some(self.namespace.clone()),
        }
    }

    fn may_be_at(&self, proxy: &Proxy) -> bool {
        match &self.waypoint {
            Waypoint::None => false,
            Waypoint::Any => true,
            Waypoint::Named(namespace, name) => {
                let gateway = proxy.labels.value("gateway.networking.k8s.io/gateway-name");
                *namespace == proxy.namespace && **name == *gateway
            }
        }
    }
}

/// Whether a service that a policy refers to is known and says itself which waypoint it is behind: the
/// object of that kind and name, which of a `ServiceEntry` is not its host.
fn says_waypoint(
    Known { mesh, plane }: Known<'_>,
    namespace: &Namespace,
    (registry, name): (ServiceRegistry, &str),
) -> bool {
    let says = |labels: &Labels| !labels.value(USE_WAYPOINT).is_empty();
    match registry {
        ServiceRegistry::Kubernetes => plane.services.iter().any(|service| {
            service.provider == Provider::Kubernetes
                && service.namespace == *namespace
                && *service.name == *name
                && says(&service.labels)
        }),
        ServiceRegistry::External => mesh.manifests(plane).service_entries().any(|entry| {
            let meta = &entry.meta;
            meta.namespace == *namespace && *meta.name == *name && says(&meta.labels)
        }),
    }
}

/// Whether a service of a namespace that cannot be read, which says nothing of a waypoint itself, may be
/// behind this one.
pub(crate) fn may_be_behind(mesh: &Mesh, plane: &ControlPlane, proxy: &Proxy) -> Vec<Namespace> {
    let of_namespaces = lost(mesh, plane).into_iter();
    let of_namespaces = of_namespaces.filter(|lost| lost.object.object.kind == "Namespace");
    of_namespaces.filter(|lost| lost.may_be_at(proxy)).map(|lost| lost.namespace).collect()
}

/// What denies at the workloads that those of the lost services may select that are meant.
pub(super) fn of_workloads(
    mesh: &Mesh,
    plane: &ControlPlane,
    is_meant: impl Fn(&Broken) -> bool,
) -> Vec<BrokenPolicy> {
    let (mut found, known) = (Vec::new(), Known { mesh, plane });
    for lost in lost(mesh, plane).into_iter().filter(|lost| is_meant(lost.object)) {
        for policy in plane.authorization_policies.iter().filter(|policy| !is_dry_run(policy)) {
            let namespace = &policy.meta.namespace;
            if lost.concerns(known, namespace, target_refs(policy)) {
                found.push(lost.stand_in(namespace, &policy.meta.name, policy.spec.action));
            }
        }
        for policy in plane.request_authentications.iter() {
            let namespace = &policy.meta.namespace;
            if lost.concerns(known, namespace, target_refs_of_tokens(policy)) {
                let subject = Subject::of_rules(&policy.spec.jwt_rules);
                let stand_in = lost.stand_in(namespace, &policy.meta.name, Action::Deny);
                found.push(BrokenPolicy { subject, ..stand_in });
            }
        }
    }
    found
}

/// What decides at a waypoint about the lost services that it may serve.
#[derive(Default)]
pub(crate) struct AtWaypoint<'p> {
    /// Those services, as far as policies refer to them.
    pub(crate) services: Vec<AttachedService>,
    /// Their policies that can only deny: as they are.
    pub(crate) denying: Vec<&'p AuthorizationPolicy>,
    /// What stands in for those that allow, and for what their tokens are.
    pub(crate) broken: Vec<BrokenPolicy>,
}

pub(crate) fn at_waypoint<'p>(
    mesh: &Mesh,
    plane: &'p ControlPlane,
    proxy: &Proxy,
) -> AtWaypoint<'p> {
    let mut found = AtWaypoint::default();
    let lost: Vec<Lost<'_>> = lost(mesh, plane)
        .into_iter()
        .filter(|lost| lost.object.object.kind != "Namespace" && lost.may_be_at(proxy))
        .collect();
    let meant = |namespace: &Namespace, targets: &[PolicyTargetReference]| -> Vec<_> {
        let pairs = lost.iter().flat_map(|lost| targets.iter().map(move |target| (lost, target)));
        pairs
            .filter_map(|(lost, target)| lost.meant(Known { mesh, plane }, namespace, target))
            .collect()
    };
    for policy in plane.authorization_policies.iter().filter(|policy| !is_dry_run(policy)) {
        let namespace = &policy.meta.namespace;
        let services = meant(namespace, target_refs(policy));
        if services.is_empty() {
            continue;
        }
        found.services.extend(services);
        if policy.spec.action == Action::Allow {
            found.broken.push(at(namespace, &policy.meta.name, Action::Allow));
        } else {
            found.denying.push(policy);
        }
    }
    for policy in plane.request_authentications.iter() {
        let namespace = &policy.meta.namespace;
        let services = meant(namespace, target_refs_of_tokens(policy));
        if !services.is_empty() {
            found.services.extend(services);
            let subject = Subject::of_rules(&policy.spec.jwt_rules);
            found
                .broken
                .push(BrokenPolicy { subject, ..at(namespace, &policy.meta.name, Action::Deny) });
        }
    }
    found
}

/// What stands in for a policy at the waypoint itself.
fn at(namespace: &Namespace, name: &str, action: Action) -> BrokenPolicy {
    BrokenPolicy {
        namespace: namespace.clone(),
        name: name.into(),
        selector: None,
        action: Some(action),
        subject: Subject::Connections,
        workloads: None,
    }
}
