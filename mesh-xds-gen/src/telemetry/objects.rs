//! Which Telemetry objects concern a proxy, in the order in which later ones win.
//!
//! # Upstream
//!
//! istio/istio `pilot/pkg/model/telemetry.go` `applicableTelemetries`, `namespaceWideTelemetryConfig`;
//! `pilot/pkg/model/policyattachment.go` `ShouldAttachPolicy`.
use std::sync::Arc;

use mesh_model::resource::PolicyTargetReference;
use mesh_model::resource::telemetry::{AccessLogging, Metrics, Telemetry, TelemetryTracing};
use mesh_model::view::{Proxy, ProxyView};

const GATEWAY_NAME: &str = "gateway.networking.k8s.io/gateway-name";
const GATEWAY_API: &str = "gateway.networking.k8s.io";

/// The objects that concern one proxy.
#[derive(Clone, Debug, Default)]
pub(super) struct Objects<'m>(Vec<&'m Telemetry>);

impl<'m> Objects<'m> {
    /// The oldest without selector of the root namespace, that of the proxy's own namespace, then
    /// those of its own namespace that select it, oldest first.
    pub(super) fn of(view: &ProxyView<'m>) -> Self {
        let (plane, proxy) = (view.plane(), view.proxy());
        let of = |namespace: &str| -> Vec<&'m Telemetry> {
            let all = plane.telemetries.iter().map(Arc::as_ref);
            all.filter(|object| object.meta.namespace.as_str() == namespace).collect()
        };
        let (root, own) = (&*plane.config.root_namespace, proxy.namespace.as_str());
        let widest = |namespace| of(namespace).into_iter().find(|object| is_wide(object));
        let mut found: Vec<&Telemetry> = widest(root).into_iter().collect();
        found.extend(widest(own).filter(|_| own != root));
        let selects_gateways = view.mesh().compat().flags.enable_selector_based_k8s_gateway_policy;
        let attached =
            |object: &&Telemetry| !is_wide(object) && is_attached(object, proxy, selects_gateways);
        found.extend(of(own).into_iter().filter(attached));
        Self(found)
    }

    /// What they say of metrics.
    pub(super) fn metrics(&self) -> Vec<&'m Metrics> {
        self.0.iter().flat_map(|object| &object.spec.metrics).collect()
    }

    /// What they say of traces.
    pub(super) fn tracing(&self) -> Vec<&'m TelemetryTracing> {
        self.0.iter().flat_map(|object| &object.spec.tracing).collect()
    }

    /// What they say of access logs, object by object, without those that say nothing.
    pub(super) fn access_logging(&self) -> Vec<&'m [AccessLogging]> {
        let lists = self.0.iter().map(|object| object.spec.access_logging.as_slice());
        lists.filter(|list| !list.is_empty()).collect()
    }
}

/// Whether an object is for all workloads of its namespace.
fn is_wide(object: &Telemetry) -> bool {
    let selector = object.spec.selector.as_ref();
    selector.is_none_or(|selector| selector.match_labels.is_empty()) && refs(object).is_empty()
}

/// The references of an object; the single one counts only without a list.
fn refs(object: &Telemetry) -> &[PolicyTargetReference] {
    if object.spec.target_refs.is_empty() {
        object.spec.target_ref.as_slice()
    } else {
        &object.spec.target_refs
    }
}

/// Whether an object of the proxy's namespace is attached to it: by labels, or, to a gateway of the
/// Gateway API, by reference.
fn is_attached(object: &Telemetry, proxy: &Proxy, selects_gateways: bool) -> bool {
    let gateway = proxy.labels.get(GATEWAY_NAME);
    let refs = refs(object);
    if refs.is_empty() {
        let selector = object.spec.selector.as_ref();
        let is_selected =
            selector.is_none_or(|selector| proxy.labels.contains(&selector.match_labels));
        return is_selected && (gateway.is_none() || selects_gateways);
    }
    refs.iter().any(|reference| {
        (&*reference.group, &*reference.kind) == (GATEWAY_API, "Gateway")
            && gateway == Some(&*reference.name)
            && (reference.namespace.is_empty() || *reference.namespace == *proxy.namespace.as_str())
    })
}
