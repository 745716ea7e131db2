//! Objects that a control plane does not read: they are in force for nobody, or perhaps not for all.
use super::Subject;
use super::scene::Scene;
use crate::manifest::{Diagnostic, SECURITY_KINDS};
use crate::name::ClusterId;
use crate::registry::Mesh;

/// The kinds that control planes read in their own cluster only. WorkloadEntries they read in every one.
const OF_CONFIG: [&str; 13] = [
    "AuthorizationPolicy",
    "DestinationRule",
    "EnvoyFilter",
    "Gateway",
    "PeerAuthentication",
    "ProxyConfig",
    "RequestAuthentication",
    "ServiceEntry",
    "Sidecar",
    "Telemetry",
    "VirtualService",
    "WasmPlugin",
    "WorkloadGroup",
];

/// The label by which an object is for the control planes of one revision only.
const REVISION: &str = "istio.io/rev";

/// `HZ-REMOTE-CONFIG`: objects in clusters that no control plane reads configuration of.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/bootstrap/configcontroller.go` `initK8SConfigStore`: the store of
/// configuration is that of the config cluster; `pilot/pkg/serviceregistry/kube/controller/multicluster.go`
/// reads WorkloadEntries of the others.
pub(super) fn check_mesh(mesh: &Mesh, found: &mut Vec<Diagnostic>) {
    let is_read = |id: &ClusterId| mesh.control_planes().any(|plane| plane.id == *id);
    for (id, part) in mesh.parts.clusters.iter().filter(|(id, _)| !is_read(id)) {
        for (kind, meta) in part.store.metas().filter(|(kind, _)| OF_CONFIG.contains(kind)) {
            let plane = mesh.control_plane_of(id.as_str()).map(|plane| plane.id.as_str());
            let message = format!(
                "nobody reads it: cluster `{id}` is served by the control plane of `{}`, which reads \
                 configuration of its own cluster only",
                plane.unwrap_or("another cluster")
            );
            let help = "put it into `config/`, or into the cluster of the control plane";
            let subject = Subject::in_cluster(mesh, id, kind, meta);
            let finding =
                if SECURITY_KINDS.contains(&kind) { Subject::error } else { Subject::warning };
            found.push(finding(&subject, "HZ-REMOTE-CONFIG", "kind", (message, help)));
        }
    }
}

/// `HZ-REVISION`: objects for the control planes of one revision, which a mesh folder does not tell.
///
/// # Upstream
///
/// istio/istio `pkg/config/model.go` `ObjectInRevision`: a control plane without a revision reads all.
pub(super) fn check(scene: &Scene<'_>, found: &mut Vec<Diagnostic>) {
    for (kind, meta) in scene.stores().into_iter().flat_map(|store| store.metas()) {
        let Some(revision) = meta.labels.get(REVISION).filter(|_| OF_CONFIG.contains(&kind)) else {
            continue;
        };
        let message = format!(
            "only control planes of the revision `{revision}` read it, and those that have none; here \
             it counts for every proxy, because a mesh folder tells no revisions"
        );
        let help = "take the label away, or keep it out of folders that describe another revision";
        let subject = Subject::of(scene.mesh, &scene.plane.id, kind, meta);
        let field = format!("metadata.labels[{REVISION}]");
        found.push(subject.warning("HZ-REVISION", &field, (message, help)));
    }
}
