//! Which proxies an object is attached to that is kept as it is.
//!
//! # Upstream
//!
//! istio/istio `pilot/pkg/model/policyattachment.go` `ShouldAttachPolicy`.
use super::super::scene::Scene;
use super::{items, text};
use crate::manifest::Node;
use crate::resource::Opaque;
use crate::view::{Proxy, ProxyKind};

/// The label of a pod that serves a Kubernetes Gateway.
const GATEWAY_NAME: &str = "gateway.networking.k8s.io/gateway-name";
const GATEWAY_API: &str = "gateway.networking.k8s.io";
/// The class of waypoints.
const WAYPOINT: &str = "istio-waypoint";

/// Where an object stands, and what it says of whom it is for.
pub(super) struct Attachment<'o> {
    namespace: &'o str,
    root: &'o str,
    /// Whether objects without references are for gateways of the Gateway API too.
    selects_gateways: bool,
    labels: Vec<(&'o str, &'o str)>,
    references: Vec<Reference<'o>>,
}

struct Reference<'o> {
    group: &'o str,
    kind: &'o str,
    name: &'o str,
    namespace: &'o str,
}

impl<'o> Attachment<'o> {
    pub(super) fn new(scene: &'o Scene<'_>, object: &'o Opaque) -> Self {
        let spec = object.node.get(&["spec"]);
        let field = |names: &[&str]| spec.and_then(|spec| spec.get(names));
        let selector = field(&["workloadSelector", "workload_selector", "selector"]);
        let labels = selector.and_then(|it| it.get(&["labels", "matchLabels", "match_labels"]));
        let pairs = labels.map(Node::entries).unwrap_or_default().iter();
        let several = field(&["targetRefs", "target_refs"]).map(items).unwrap_or_default();
        // The single reference counts only without a list.
        let one = field(&["targetRef", "target_ref"]).filter(|_| several.is_empty());
        let references = several.iter().chain(one).map(|node| Reference {
            group: text(node.get(&["group"])),
            kind: text(node.get(&["kind"])),
            name: text(node.get(&["name"])),
            namespace: text(node.get(&["namespace"])),
        });
        Self {
            namespace: object.meta.namespace.as_str(),
            root: &scene.plane.config.root_namespace,
            selects_gateways: scene.mesh.compat().flags.enable_selector_based_k8s_gateway_policy,
            labels: pairs.map(|entry| (&*entry.key, text(Some(&entry.node)))).collect(),
            references: references.collect(),
        }
    }

    /// Whether it is for a proxy; what refers to a service, which a waypoint may be asked for, is in
    /// [`services`](Self::services).
    pub(super) fn concerns(&self, proxy: &Proxy) -> bool {
        let gateway = proxy.labels.get(GATEWAY_NAME);
        let is_waypoint = proxy.kind == ProxyKind::Waypoint;
        let is_near = self.namespace == proxy.namespace.as_str();
        if self.references.is_empty() {
            let is_taken = gateway.is_none() || (self.selects_gateways && !is_waypoint);
            let mut labels = self.labels.iter();
            return is_taken
                && (is_near || self.namespace == self.root)
                && labels.all(|(key, value)| proxy.labels.get(key) == Some(value));
        }
        let Some(gateway) = gateway else { return false };
        self.references.iter().any(|of| match (of.group, of.kind) {
            (GATEWAY_API, "GatewayClass") => {
                is_waypoint && self.namespace == self.root && of.name == WAYPOINT
            }
            (GATEWAY_API, "Gateway") => {
                let is_own = of.namespace.is_empty() || of.namespace == self.namespace;
                is_near && is_own && of.name == gateway
            }
            _ => false,
        })
    }

    /// The services that it refers to, as `NAMESPACE/NAME`: it is for what waypoints do with requests to them.
    pub(super) fn services(&self) -> Vec<String> {
        let is_service = |of: &&Reference<'_>| {
            matches!(
                (of.group, of.kind),
                ("" | "core", "Service") | ("networking.istio.io", "ServiceEntry")
            )
        };
        let services = self.references.iter().filter(is_service);
        services.map(|of| format!("{}/{}", self.namespace, of.name)).collect()
    }
}
