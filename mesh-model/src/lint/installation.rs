//! What is written of how Istio is to be installed, beside what it does.
use super::Subject;
use super::scene::Scene;
use crate::manifest::{Diagnostic, Node, Value};
use crate::name::{Labels, Namespace};
use crate::resource::{MutualTlsMode, Opaque};

pub(super) fn check(scene: &Scene<'_>, found: &mut Vec<Diagnostic>) {
    let objects = scene.stores().into_iter().flat_map(|store| store.opaque.values());
    found.extend(objects.filter_map(|object| mutual_tls(scene, object)));
}

/// The value of a field of an object that is kept as it is.
pub(super) fn value_at<'n>(object: &'n Opaque, path: &[&str]) -> Option<&'n Node> {
    path.iter().try_fold(&object.node, |node, name| node.get(&[name]))
}

/// `HZ-MTLS-INSTALLED`: the mode of mutual TLS that `Istio` objects of Alibaba Cloud ask of the whole mesh
/// (`spec.mtls.enabled`), which is not the one that servers are told.
///
/// Their operator wrote a policy of the mesh for it. No control plane reads the object, so only a
/// PeerAuthentication of the root namespace makes it so.
fn mutual_tls(scene: &Scene<'_>, object: &Opaque) -> Option<Diagnostic> {
    if object.kind != "Istio" {
        return None;
    }
    let written = value_at(object, &["spec", "mtls", "enabled"]).filter(|node| !node.is_null())?;
    let root = Namespace::from(&*scene.plane.config.root_namespace);
    let modes = &scene.plane.peer_authentications;
    let mode = modes.server_mode(&root, &Labels::default()).mode;
    let subject = Subject::of(scene.mesh, &scene.plane.id, object.kind, &object.meta);
    let field = "spec.mtls.enabled";
    let of_mesh =
        format!("without a PeerAuthentication of its own a workload is {}", mode.as_str());
    match (&written.value, mode) {
        (Value::Bool(true), MutualTlsMode::Strict) => None,
        (Value::Bool(false), MutualTlsMode::Strict) => {
            let message = format!(
                "no control plane reads this object, which leaves mutual TLS to the clients: {of_mesh}"
            );
            let help = "remove the PeerAuthentication of the mesh, or enable mutual TLS here";
            Some(subject.warning("HZ-MTLS-INSTALLED", field, (message, help)))
        }
        (Value::Bool(false), _) => None,
        (_, MutualTlsMode::Strict) => None,
        (_, MutualTlsMode::Unset | MutualTlsMode::Disable | MutualTlsMode::Permissive) => {
            let message = format!(
                "no control plane reads this object, which asks for mutual TLS everywhere: {of_mesh}, and \
                 requests in plain text come through"
            );
            let help = format!(
                "add a PeerAuthentication without selector and with `mtls: {{mode: STRICT}}` to namespace \
                 `{root}`"
            );
            Some(subject.error("HZ-MTLS-INSTALLED", field, (message, &help)))
        }
    }
}
