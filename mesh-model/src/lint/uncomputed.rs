//! Objects that change what proxies are sent, and that are kept here without being carried out; and
//! waypoints, to which nothing is sent.
//!
//! ```text
//! object ──namespace, selector or references──▶ proxies ──▶ one note: whom it concerns, what they lack
//! ```
//!
//! # Upstream
//!
//! istio/istio `pilot/pkg/model/policyattachment.go` `ShouldAttachPolicy`; `pilot/pkg/model/push_context.go`
//! `EnvoyFilters`, `TrafficExtensions`; `pilot/pkg/networking/core/extension/extensionfilter.go`.
mod attachment;
mod waypoint;

use self::attachment::Attachment;
use super::Subject;
use super::scene::{Scene, some};
use crate::compat::DataPlane;
use crate::manifest::{Diagnostic, Node, Value};
use crate::resource::Opaque;
use crate::view::{Proxy, ProxyKind, data_plane, is_in_mesh};

/// What an object asks for that is not computed.
struct Missing {
    /// What proxies lack, in words.
    what: String,
    /// The kinds of proxies that it can be for.
    kinds: Vec<ProxyKind>,
    /// Whether it can let in or keep out callers.
    decides: bool,
}

const ALL: [ProxyKind; 3] = [ProxyKind::Sidecar, ProxyKind::Router, ProxyKind::Waypoint];

/// `HZ-NOT-COMPUTED`: an EnvoyFilter, WasmPlugin or TrafficExtension, or a waypoint.
pub(super) fn check(scene: &Scene<'_>, found: &mut Vec<Diagnostic>) {
    let stores = scene.stores().into_iter();
    let objects = stores.flat_map(|store| store.opaque.values());
    let missing: Vec<(&Opaque, Missing)> =
        objects.filter_map(|object| Some((&**object, missing(object)?))).collect();
    // Proxies are looked at only if anything concerns them.
    let proxies = if missing.is_empty() { Vec::new() } else { proxies(scene) };
    found.extend(missing.iter().map(|(object, missing)| told(scene, object, missing, &proxies)));
    waypoint::check(scene, found);
}

/// The Envoys that the control plane serves.
fn proxies(scene: &Scene<'_>) -> Vec<Proxy> {
    let mesh = scene.mesh;
    let all = mesh.proxies().filter_map(|reference| mesh.proxy(&reference).ok());
    let is_served = |proxy: &Proxy| {
        let plane = mesh.control_plane_of(proxy.cluster.as_str());
        let is_envoy = !matches!(data_plane(mesh, proxy), DataPlane::Ztunnel | DataPlane::Grpc);
        plane.is_some_and(|plane| plane.id == scene.plane.id) && is_envoy && is_in_mesh(mesh, proxy)
    };
    all.filter(is_served).collect()
}

fn told(scene: &Scene<'_>, object: &Opaque, missing: &Missing, proxies: &[Proxy]) -> Diagnostic {
    let attachment = Attachment::new(scene, object);
    let concerned = proxies.iter().filter(|proxy| missing.kinds.contains(&proxy.kind));
    let concerned: Vec<String> =
        concerned.filter(|proxy| attachment.concerns(proxy)).map(Proxy::reference).collect();
    let mut whom = match concerned.len() {
        0 => "no proxy that is known".to_owned(),
        1 => some(&concerned),
        count => format!("{count} proxies ({})", some(&concerned)),
    };
    let services = attachment.services();
    if !services.is_empty() && missing.kinds.contains(&ProxyKind::Waypoint) {
        whom.push_str(&format!(", and the waypoints of {}", some(&services)));
    }
    let decides = if missing.decides {
        "; it may change who may call, which `mesh authz` does not know"
    } else {
        ""
    };
    let message = format!(
        "it concerns {whom} and is not computed: what proxies are sent here lacks {}{decides}",
        missing.what
    );
    let help = "ask the proxies themselves for it (`istioctl proxy-config`)";
    let subject = Subject::of(scene.mesh, &scene.plane.id, object.kind, &object.meta);
    subject.info("HZ-NOT-COMPUTED", "spec", (message, help))
}

/// What the object asks for; `None` if that is nothing.
fn missing(object: &Opaque) -> Option<Missing> {
    let spec = object.node.get(&["spec"])?;
    match object.kind {
        "EnvoyFilter" => patches(spec),
        "WasmPlugin" => Some(wasm(spec, spec)),
        "TrafficExtension" => Some(extension(spec)),
        _ => None,
    }
}

/// What Envoy is told by anything else than its clusters and its bootstrap may decide about callers, unless
/// it is for what the workload sends.
fn patches(spec: &Node) -> Option<Missing> {
    let patches = items(spec.get(&["configPatches", "config_patches"])?);
    let mut targets: Vec<&str> = Vec::new();
    let mut kinds: Vec<ProxyKind> = Vec::new();
    let mut decides = false;
    for patch in patches {
        let target = text(patch.get(&["applyTo", "apply_to"]));
        let context = text(patch.get(&["match"]).and_then(|it| it.get(&["context"])));
        let own: &[ProxyKind] = match context {
            "SIDECAR_INBOUND" | "SIDECAR_OUTBOUND" => &[ProxyKind::Sidecar],
            "GATEWAY" => &[ProxyKind::Router],
            "WAYPOINT" => &[ProxyKind::Waypoint],
            _ => &ALL,
        };
        kinds.extend(own);
        decides |= !matches!(target, "CLUSTER" | "BOOTSTRAP") && context != "SIDECAR_OUTBOUND";
        if !target.is_empty() && !targets.contains(&target) {
            targets.push(target);
        }
    }
    if patches.is_empty() {
        return None;
    }
    Some(Missing { what: format!("its patches of {}", some(&targets)), kinds, decides })
}

/// The filter is found by ECDS. Those of phase AUTHN and AUTHZ stand where callers are decided about.
fn wasm(spec: &Node, config: &Node) -> Missing {
    let filter = match text(config.get(&["type"])) {
        "NETWORK" => "network filter",
        _ => "HTTP filter",
    };
    let what = format!("its {filter} and the resource of it (ECDS)");
    Missing { what, kinds: ALL.to_vec(), decides: is_of_security(spec) }
}

/// A script stands in its filter, which is one of requests.
fn extension(spec: &Node) -> Missing {
    match spec.get(&["wasm"]) {
        Some(config) => wasm(spec, config),
        None => Missing {
            what: "its HTTP filter".to_owned(),
            kinds: ALL.to_vec(),
            decides: is_of_security(spec),
        },
    }
}

fn is_of_security(spec: &Node) -> bool {
    matches!(text(spec.get(&["phase"])), "AUTHN" | "AUTHZ")
}

fn text(node: Option<&Node>) -> &str {
    node.and_then(Node::as_str).unwrap_or_default()
}

fn items(node: &Node) -> &[Node] {
    if let Value::List(items) = &node.value { items } else { &[] }
}
