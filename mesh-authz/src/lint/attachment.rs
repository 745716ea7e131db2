//! References that attach policies to nothing.
use mesh_model::endpoint::Provider;
use mesh_model::manifest::Diagnostic;
use mesh_model::name::{Labels, Namespace};
use mesh_model::resource::{AuthorizationPolicy, PolicyTargetReference};
use mesh_model::view::ProxyKind;

use super::Plane;
use crate::of_mesh::waypoint_workload;
use crate::select::lost::{USE_WAYPOINT, USE_WAYPOINT_NAMESPACE};
use crate::select::{Workload, WorkloadKind, applies, target_refs};

/// `HZ-AUTHZ-TARGET-NOTHING`: a reference to what does not exist, or to a service behind no waypoint: nobody
/// enforces the policy there.
pub(super) fn check(plane: &Plane<'_>, found: &mut Vec<Diagnostic>) {
    let policies = plane.plane.authorization_policies.iter();
    let mut attached = policies.filter(|policy| !target_refs(policy).is_empty()).peekable();
    if attached.peek().is_none() {
        return;
    }
    let gateways = gateways(plane);
    for policy in attached {
        let refs = target_refs(policy);
        let is_list = !policy.spec.target_refs.is_empty();
        for (index, target) in refs.iter().enumerate() {
            let reaches =
                |gateway: &Workload| applies(&only(policy, target), gateway, &plane.selection);
            if gateways.iter().any(reaches) || may_come(plane, &policy.meta.namespace, target) {
                continue;
            }
            let field = if is_list {
                format!("spec.targetRefs[{index}]")
            } else {
                "spec.targetRef".to_owned()
            };
            let message =
                format!("{}: the policy is in force nowhere by it", why(plane, policy, target));
            let help = help(target);
            let subject = plane.subject(&policy.meta.namespace, &policy.meta.name);
            found.push(subject.warning("HZ-AUTHZ-TARGET-NOTHING", &field, (message, help)));
        }
    }
}

/// The gateways, and the waypoints with the services behind them.
fn gateways(plane: &Plane<'_>) -> Vec<Workload> {
    let of_gateways = plane
        .kinds
        .iter()
        .filter(|kind| kind.proxy.labels.get("gateway.networking.k8s.io/gateway-name").is_some());
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

/// A policy with one of its references.
fn only(policy: &AuthorizationPolicy, target: &PolicyTargetReference) -> AuthorizationPolicy {
    let mut only =
        AuthorizationPolicy { meta: policy.meta.clone(), ..AuthorizationPolicy::default() };
    only.spec.target_refs = vec![target.clone()];
    only
}

/// Whether a gateway is asked for that has no pods yet.
fn may_come(plane: &Plane<'_>, namespace: &Namespace, target: &PolicyTargetReference) -> bool {
    let mut gateways = plane.mesh.manifests(plane.plane).kubernetes_gateways();
    match &*target.kind {
        "Gateway" => gateways.any(|gateway| {
            gateway.meta.namespace == *namespace && *gateway.meta.name == *target.name
        }),
        "GatewayClass" => gateways.any(|gateway| *gateway.spec.gateway_class_name == *target.name),
        _ => {
            let named = waypoint_of(plane, namespace, target);
            named.is_some_and(|(of, name)| {
                gateways.any(|gateway| gateway.meta.namespace == of && *gateway.meta.name == *name)
            })
        }
    }
}

/// Why a reference reaches nobody.
fn why(plane: &Plane<'_>, policy: &AuthorizationPolicy, target: &PolicyTargetReference) -> String {
    let (kind, name) = (&target.kind, &target.name);
    let namespace = &policy.meta.namespace;
    if &**kind == "GatewayClass" {
        return format!(
            "no waypoint is of {kind} `{name}`, or the policy is not of the root namespace"
        );
    }
    match waypoint_of(plane, namespace, target) {
        Some((of, gateway)) => {
            format!(
                "{kind} `{namespace}/{name}` is to be behind the waypoint `{of}/{gateway}`, which does not exist"
            )
        }
        None if labels_of(plane, namespace, target).is_some() => {
            format!("{kind} `{namespace}/{name}` is behind no waypoint")
        }
        None => format!("there is no {kind} `{namespace}/{name}`"),
    }
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
            let found = entries
                .find(|entry| entry.meta.namespace == *namespace && entry.meta.name == target.name);
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
        _ => "name a gateway of the policy's namespace",
    }
}
