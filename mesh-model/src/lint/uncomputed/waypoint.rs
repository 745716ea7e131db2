//! Waypoints: who may call through them is decided here, what they are sent is not computed.
use std::collections::BTreeMap;

use super::super::Subject;
use super::super::scene::{Scene, some};
use crate::manifest::Diagnostic;
use crate::name::ClusterId;
use crate::registry::{USE_WAYPOINT, USE_WAYPOINT_NAMESPACE};
use crate::resource::Meta;

/// What can be behind a waypoint.
const KINDS: [&str; 5] = ["Namespace", "Service", "ServiceEntry", "WorkloadEntry", "Pod"];

/// An object behind a waypoint, and the cluster that it is in, if it is in one.
type User<'m> = (Option<&'m ClusterId>, &'static str, &'m Meta);

/// `HZ-NOT-COMPUTED`: the waypoints that something is behind, each told once.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/serviceregistry/kube/controller/ambient/waypoints.go` `fetchWaypointForTarget`:
/// of the namespace that the label names, else of the object's own; `none` is no waypoint.
pub(super) fn check(scene: &Scene<'_>, found: &mut Vec<Diagnostic>) {
    let config = (None, &*scene.mesh.parts.config);
    let stores = scene.clusters().map(|(id, store)| (Some(id), store)).chain([config]);
    let mut users: BTreeMap<(&str, &str), Vec<User<'_>>> = BTreeMap::new();
    for (cluster, store) in stores {
        for (kind, meta) in store.metas().filter(|(kind, _)| KINDS.contains(kind)) {
            let name = meta.labels.value(USE_WAYPOINT);
            if name.is_empty() || name == "none" {
                continue;
            }
            // A Namespace is in none: it is one.
            let own = if kind == "Namespace" { &*meta.name } else { meta.namespace.as_str() };
            let namespace = Some(meta.labels.value(USE_WAYPOINT_NAMESPACE));
            let namespace = namespace.filter(|it| !it.is_empty()).unwrap_or(own);
            users.entry((namespace, name)).or_default().push((cluster, kind, meta));
        }
    }
    found.extend(users.into_iter().filter_map(|(waypoint, users)| told(scene, waypoint, &users)));
}

fn told(
    scene: &Scene<'_>,
    (namespace, name): (&str, &str),
    users: &[User<'_>],
) -> Option<Diagnostic> {
    let mesh = scene.mesh;
    let subject = |(cluster, kind, meta): &User<'_>| match cluster {
        Some(id) => Subject::in_cluster(mesh, id, kind, meta),
        None => Subject::of(mesh, &scene.plane.id, kind, meta),
    };
    let first = subject(users.first()?);
    let named: Vec<String> = users.iter().map(|user| subject(user).object().to_owned()).collect();
    let message = format!(
        "{} stands behind the waypoint `{namespace}/{name}`: what that is sent is not computed here, and \
         ztunnels are told of no waypoint",
        some(&named)
    );
    let help = "ask the waypoint for what it is sent (`istioctl proxy-config`); `mesh authz` decides for it";
    Some(first.info("HZ-NOT-COMPUTED", "metadata.labels", (message, help)))
}
