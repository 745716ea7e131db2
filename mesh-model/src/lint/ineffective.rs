//! Objects and fields that are read and do nothing.
use super::Subject;
use super::scene::Scene;
use crate::manifest::Diagnostic;
use crate::name::Labels;
use crate::resource::Meta;

/// The label of a pod that serves a Kubernetes Gateway.
const GATEWAY_NAME: &str = "gateway.networking.k8s.io/gateway-name";

pub(super) fn check(scene: &Scene<'_>, found: &mut Vec<Diagnostic>) {
    for store in scene.stores() {
        for object in store.authorization_policies.values() {
            let spec = &object.spec;
            let selector = spec.selector.as_ref().map(|selector| &selector.match_labels);
            let selector = selector.filter(|_| spec.target_ref.is_none());
            found.extend(selector_of_gateway(scene, "AuthorizationPolicy", &object.meta, selector));
        }
        for object in store.request_authentications.values() {
            let spec = &object.spec;
            let selector = spec.selector.as_ref().map(|selector| &selector.match_labels);
            let selector = selector.filter(|_| spec.target_ref.is_none());
            found.extend(selector_of_gateway(
                scene,
                "RequestAuthentication",
                &object.meta,
                selector,
            ));
        }
        for object in store.telemetries.values() {
            let spec = &object.spec;
            let selector = spec.selector.as_ref().map(|selector| &selector.match_labels);
            let selector = selector.filter(|_| spec.target_ref.is_none());
            found.extend(selector_of_gateway(scene, "Telemetry", &object.meta, selector));
        }
        for object in store.sidecars.values() {
            let selector = object.spec.workload_selector.as_ref().map(|selector| &selector.labels);
            found.extend(without_sidecar(scene, &object.meta, selector));
            let policy = object.spec.outbound_traffic_policy.as_ref();
            if policy.is_some_and(|policy| policy.egress_proxy.is_some()) {
                let subject = Subject::of(scene.mesh, &scene.plane.id, "Sidecar", &object.meta);
                let message = "`egressProxy` is deprecated: a later version may ignore it";
                let field = "spec.outboundTrafficPolicy.egressProxy";
                let help = "send such traffic to the proxy by a ServiceEntry and a VirtualService";
                found.push(subject.warning("IST0002", field, (message.to_owned(), help)));
            }
        }
    }
    deprecated(scene, found);
}

/// `IST0166`: a selector of pods of a Kubernetes Gateway, for which only `targetRefs` count.
fn selector_of_gateway(
    scene: &Scene<'_>,
    kind: &'static str,
    meta: &Meta,
    selector: Option<&Labels>,
) -> Option<Diagnostic> {
    let selector = selector?;
    let mut pods = scene.workloads.iter().filter(|(pod, _)| pod.meta.namespace == meta.namespace);
    let (pod, _) = pods.find(|(pod, _)| {
        pod.meta.labels.get(GATEWAY_NAME).is_some() && pod.meta.labels.contains(selector)
    })?;
    let gateway = pod.meta.labels.value(GATEWAY_NAME);
    let message = format!(
        "the selector means pods of the Kubernetes Gateway `{gateway}`, where selectors may not count"
    );
    let help = format!("name the Gateway `{gateway}` in `targetRefs`");
    let subject = Subject::of(scene.mesh, &scene.plane.id, kind, meta);
    Some(subject.warning("IST0166", "spec.selector", (message, &help)))
}

/// `IST0167`: a Sidecar for workloads without one.
fn without_sidecar(
    scene: &Scene<'_>,
    meta: &Meta,
    selector: Option<&Labels>,
) -> Option<Diagnostic> {
    let is_ambient = |labels: &Labels| labels.value("istio.io/dataplane-mode") == "ambient";
    let mut stores = scene.clusters().map(|(_, store)| store);
    let in_namespace = stores.any(|store| {
        let object = store.namespaces.get(("", meta.namespace.as_str()));
        object.is_some_and(|object| is_ambient(&object.meta.labels))
    });
    let of_pods = || {
        let pods = scene.workloads.iter().map(|(pod, _)| pod);
        let mut pods = pods.filter(|pod| pod.meta.namespace == meta.namespace);
        pods.any(|pod| {
            let is_meant = selector.is_some_and(|labels| pod.meta.labels.contains(labels));
            is_meant && (is_ambient(&pod.meta.labels) || redirected(&pod.meta.annotations))
        })
    };
    if !in_namespace && !of_pods() {
        return None;
    }
    let message = "the workloads are in ambient mode and have no sidecar: the object does nothing";
    let help = "leave it out; what a waypoint sends is not limited by a Sidecar";
    let subject = Subject::of(scene.mesh, &scene.plane.id, "Sidecar", meta);
    Some(subject.warning("IST0167", "spec", (message.to_owned(), help)))
}

fn redirected(annotations: &Labels) -> bool {
    annotations.value("ambient.istio.io/redirection") == "enabled"
}

/// `IST0002`: fields that another one replaces.
fn deprecated(scene: &Scene<'_>, found: &mut Vec<Diagnostic>) {
    for (object, subject) in scene.virtual_services() {
        for (index, route) in object.spec.http.iter().enumerate() {
            let delay = route.fault.as_ref().and_then(|fault| fault.delay.as_ref());
            if delay.is_some_and(|delay| delay.percent > 0) {
                let message =
                    "`percent` of a delay is deprecated, and cannot name less than 1 percent";
                let field = format!("spec.http[{index}].fault.delay.percent");
                let help = "write `percentage: {value: …}`";
                found.push(subject.warning("IST0002", &field, (message.to_owned(), help)));
            }
        }
    }
}
