//! References that attach policies to nothing.
use std::collections::BTreeMap;

use mesh_model::endpoint::Provider;
use mesh_model::manifest::Diagnostic;
use mesh_model::name::{Labels, Namespace};
use mesh_model::registry::{USE_WAYPOINT, USE_WAYPOINT_NAMESPACE};
use mesh_model::resource::{AuthorizationPolicy, KubernetesGateway, Meta, PolicyTargetReference};
use mesh_model::view::ProxyKind;

use super::Plane;
use crate::of_mesh::waypoint_workload;
use crate::select::{
    AttachedService, GATEWAY_NAME, ServiceRegistry, Workload, WorkloadKind, applies, target_refs,
    target_refs_of_tokens,
};

/// `HZ-AUTHZ-TARGET-NOTHING`: a reference to what does not exist, or to a service behind no waypoint: nobody
/// enforces the policy there.
///
/// Several control planes may have a policy, from `config/` or a copy each: a reference that reaches somebody
/// for one of them is as it is meant.
pub(super) fn check(planes: &[Plane<'_>], found: &mut Vec<Diagnostic>) {
    let mut reached: BTreeMap<Reference<'_>, Option<Diagnostic>> = BTreeMap::new();
    for plane in planes {
        let attached = attached(plane);
        if attached.is_empty() {
            continue;
        }
        let gateways = gateways(plane);
        for policy in &attached {
            for (index, target) in policy.refs.iter().enumerate() {
                let (namespace, name) = (&policy.meta.namespace, &policy.meta.name);
                let key = (policy.kind, namespace, &**name, index, &*target.name);
                let told = policy.check(plane, &gateways, (index, target));
                let known = reached.entry(key).or_insert_with(|| told.clone());
                if told.is_none() {
                    *known = None;
                }
            }
        }
    }
    found.extend(reached.into_values().flatten());
}

/// A reference of an object: kind, namespace and name, its place, and what it names.
type Reference<'p> = (&'static str, &'p Namespace, &'p str, usize, &'p str);

/// The policies that are attached by reference.
fn attached<'p>(plane: &Plane<'p>) -> Vec<Attached<'p>> {
    let calls = plane.plane.authorization_policies.iter().map(|policy| Attached {
        kind: "AuthorizationPolicy",
        meta: &policy.meta,
        refs: target_refs(policy),
        is_list: !policy.spec.target_refs.is_empty(),
    });
    let tokens = plane.plane.request_authentications.iter().map(|policy| Attached {
        kind: "RequestAuthentication",
        meta: &policy.meta,
        refs: target_refs_of_tokens(policy),
        is_list: !policy.spec.target_refs.is_empty(),
    });
    calls.chain(tokens).filter(|of| !of.refs.is_empty()).collect()
}

/// A policy that is attached by reference.
struct Attached<'p> {
    kind: &'static str,
    meta: &'p Meta,
    refs: &'p [PolicyTargetReference],
    is_list: bool,
}

impl Attached<'_> {
    /// What is to be told of a reference, by its place; nothing if it attaches the policy to anything.
    fn check(
        &self,
        plane: &Plane<'_>,
        gateways: &[Workload],
        (index, target): (usize, &PolicyTargetReference),
    ) -> Option<Diagnostic> {
        let (namespace, name) = (&self.meta.namespace, &self.meta.name);
        let only = only(self.meta, target);
        let reaches = |gateway: &Workload| applies(&only, gateway, &plane.selection);
        if gateways.iter().any(reaches) || may_come(plane, &only, target) {
            return None;
        }
        let field = if self.is_list {
            format!("spec.targetRefs[{index}]")
        } else {
            "spec.targetRef".to_owned()
        };
        let why = why(plane, gateways, namespace, target);
        let texts = (format!("{why}: the policy is in force nowhere by it"), help(target));
        let subject = plane.subject_of(self.kind, namespace, name);
        Some(subject.warning("HZ-AUTHZ-TARGET-NOTHING", &field, texts))
    }
}

/// The gateways, and the waypoints with the services behind them.
fn gateways(plane: &Plane<'_>) -> Vec<Workload> {
    let of_gateways =
        plane.kinds.iter().filter(|kind| kind.proxy.labels.get(GATEWAY_NAME).is_some());
    let workloads = of_gateways.map(|kind| match kind.proxy.kind {
        ProxyKind::Waypoint => waypoint_workload(plane.mesh, plane.plane, &kind.proxy),
        ProxyKind::Sidecar | ProxyKind::Router | ProxyKind::Ztunnel => Workload {
            namespace: kind.proxy.namespace.clone(),
            labels: kind.proxy.labels.clone(),
            kind: WorkloadKind::Proxy,
        },
    });
    workloads.collect()
}

/// A policy with one of its references. Policies of both kinds are attached alike.
fn only(meta: &Meta, target: &PolicyTargetReference) -> AuthorizationPolicy {
    let mut only = AuthorizationPolicy { meta: meta.clone(), ..AuthorizationPolicy::default() };
    only.spec.target_refs = vec![target.clone()];
    only
}

/// Whether a Gateway is asked for that has no pods yet, and that the policy will reach once it has.
fn may_come(plane: &Plane<'_>, only: &AuthorizationPolicy, target: &PolicyTargetReference) -> bool {
    let behind = waypoint_of(plane, &only.meta.namespace, target);
    let registry = if &*target.kind == "Service" {
        ServiceRegistry::Kubernetes
    } else {
        ServiceRegistry::External
    };
    plane.mesh.manifests(plane.plane).kubernetes_gateways().any(|gateway| {
        let (namespace, name) = (&gateway.meta.namespace, &gateway.meta.name);
        let is_behind =
            behind.as_ref().is_some_and(|(of, waypoint)| of == namespace && **waypoint == **name);
        let services = is_behind.then(|| AttachedService {
            name: target.name.clone(),
            namespace: only.meta.namespace.clone(),
            registry,
        });
        let workload = Workload {
            namespace: namespace.clone(),
            labels: [(GATEWAY_NAME, &**name)].into_iter().collect(),
            kind: if is_waypoint(gateway) {
                WorkloadKind::Waypoint(services.into_iter().collect())
            } else {
                WorkloadKind::Proxy
            },
        };
        applies(only, &workload, &plane.selection)
    })
}

/// Whether a Gateway is a waypoint; its class may be one of the mesh's own making.
fn is_waypoint(gateway: &KubernetesGateway) -> bool {
    !matches!(&*gateway.spec.gateway_class_name, "istio" | "istio-remote")
}

/// Why a reference reaches nobody.
fn why(
    plane: &Plane<'_>,
    gateways: &[Workload],
    namespace: &Namespace,
    target: &PolicyTargetReference,
) -> String {
    let (kind, name) = (&target.kind, &target.name);
    if &**kind == "GatewayClass" {
        return if *namespace != plane.selection.root_namespace {
            let root = &plane.selection.root_namespace;
            format!("a {kind} is referred to from the root namespace `{root}` only")
        } else if &**name == "istio-waypoint" {
            format!("there is no waypoint of {kind} `{name}`")
        } else {
            format!("{kind} `{name}` is not that of waypoints, `istio-waypoint`")
        };
    }
    let Some((of, gateway)) = waypoint_of(plane, namespace, target) else {
        return if labels_of(plane, namespace, target).is_some() {
            format!("{kind} `{namespace}/{name}` is behind no waypoint")
        } else {
            format!("there is no {kind} `{namespace}/{name}`")
        };
    };
    let is_named =
        |known: &&Workload| known.namespace == of && known.labels.value(GATEWAY_NAME) == &*gateway;
    let mut objects = plane.mesh.manifests(plane.plane).kubernetes_gateways();
    let object = objects.find(|known| known.meta.namespace == of && *known.meta.name == *gateway);
    let runs = gateways.iter().find(is_named).map(|known| known.kind != WorkloadKind::Proxy);
    let but = match runs.or_else(|| object.map(is_waypoint)) {
        None => "does not exist",
        Some(false) => "is a gateway and no waypoint",
        Some(true) => "does not have it: another service has its hosts",
    };
    format!(
        "{kind} `{namespace}/{name}` is to be behind the waypoint `{of}/{gateway}`, which {but}"
    )
}

/// The labels of the service that a policy of a namespace refers to: the object of that kind and name.
fn labels_of<'p>(
    plane: &Plane<'p>,
    namespace: &Namespace,
    target: &PolicyTargetReference,
) -> Option<&'p Labels> {
    match &*target.kind {
        "Service" => {
            let mut services = plane.plane.services.iter();
            let found = services.find(|service| {
                service.provider == Provider::Kubernetes
                    && service.namespace == *namespace
                    && *service.name == *target.name
            });
            found.map(|service| &service.labels)
        }
        "ServiceEntry" => {
            let mut entries = plane.mesh.manifests(plane.plane).service_entries();
            let found = entries.find(|entry| {
                entry.meta.namespace == *namespace && *entry.meta.name == *target.name
            });
            found.map(|entry| &entry.meta.labels)
        }
        _ => None,
    }
}

/// The waypoint that such a service is to be behind, by namespace and name: as it says itself, else as its
/// namespace says.
fn waypoint_of(
    plane: &Plane<'_>,
    namespace: &Namespace,
    target: &PolicyTargetReference,
) -> Option<(Namespace, Box<str>)> {
    let own = labels_of(plane, namespace, target)?;
    let says = |labels: &&Labels| !labels.value(USE_WAYPOINT).is_empty();
    let of_namespace = || plane.mesh.manifests(plane.plane).namespace(namespace);
    let labels = Some(own).filter(says).or_else(|| of_namespace().map(|meta| &meta.labels))?;
    match (labels.value(USE_WAYPOINT), labels.value(USE_WAYPOINT_NAMESPACE)) {
        ("" | "none", _) => None,
        (name, "") => Some((namespace.clone(), name.into())),
        (name, of) => Some((of.into(), name.into())),
    }
}

fn help(target: &PolicyTargetReference) -> &'static str {
    match &*target.kind {
        "Service" | "ServiceEntry" => {
            "name a service of the policy's namespace, and its waypoint by `istio.io/use-waypoint`"
        }
        "GatewayClass" => {
            "name `istio-waypoint` in the root namespace, or a gateway of the policy's own"
        }
        _ => "name a gateway of the policy's namespace",
    }
}
