//! Objects whose selectors select nothing, or each other's workloads.
use std::collections::BTreeMap;

use super::Subject;
use super::scene::Scene;
use crate::manifest::Diagnostic;
use crate::name::{Labels, Namespace};
use crate::resource::Meta;
use crate::view::{is_captured, selects_behind_ztunnel};

pub(super) fn check(scene: &Scene<'_>, found: &mut Vec<Diagnostic>) {
    for store in scene.stores() {
        for object in store.gateways.values() {
            let selector = Some(&object.spec.selector);
            found.extend(unmatched(scene, "Gateway", &object.meta, (selector, Reach::Mesh)));
        }
        for object in store.sidecars.values() {
            let selector = object.spec.workload_selector.as_ref().map(|selector| &selector.labels);
            found.extend(unmatched(scene, "Sidecar", &object.meta, (selector, Reach::Namespace)));
        }
        for object in store.authorization_policies.values() {
            let selector = object.spec.selector.as_ref().map(|selector| &selector.match_labels);
            let meta = &object.meta;
            if selector.is_some_and(|selector| selects_nobody(scene, &meta.namespace, selector)) {
                let what = (selector, Reach::Namespace);
                found.extend(unmatched(scene, "AuthorizationPolicy", meta, what));
            }
        }
        for object in store.peer_authentications.values() {
            let selector = object.spec.selector.as_ref().map(|selector| &selector.match_labels);
            let what = (selector, Reach::Namespace);
            found.extend(unmatched(scene, "PeerAuthentication", &object.meta, what));
        }
        for object in store.request_authentications.values() {
            let selector = object.spec.selector.as_ref().map(|selector| &selector.match_labels);
            let what = (selector, Reach::Namespace);
            found.extend(unmatched(scene, "RequestAuthentication", &object.meta, what));
        }
        for object in store.telemetries.values() {
            let selector = object.spec.selector.as_ref().map(|selector| &selector.match_labels);
            let what = (selector, Reach::Namespace);
            found.extend(unmatched(scene, "Telemetry", &object.meta, what));
        }
        for object in store.proxy_configs.values() {
            let selector = object.spec.selector.as_ref().map(|selector| &selector.match_labels);
            let what = (selector, Reach::Namespace);
            found.extend(unmatched(scene, "ProxyConfig", &object.meta, what));
        }
        for object in store.destination_rules.values() {
            let selector = object.spec.workload_selector.as_ref();
            let what = (selector.map(|selector| &selector.match_labels), Reach::Own);
            found.extend(unmatched(scene, "DestinationRule", &object.meta, what));
        }
    }
    for refused in scene.mesh.parts.refused.iter() {
        let subject = Subject::of_refused(refused);
        let meta = (&refused.object.namespace, Reach::Mesh);
        found.extend(unselected(scene, (&subject, "spec.selector"), meta, &refused.selector));
    }
    sidecars(scene, found);
}

/// Where the workloads of a selector are looked for.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Reach {
    /// In every namespace.
    Mesh,
    /// In the object's own; in the root namespace everywhere.
    Namespace,
    /// In the object's own, the root namespace too.
    Own,
}

/// `IST0127`: a selector that nothing fits.
fn unmatched(
    scene: &Scene<'_>,
    kind: &'static str,
    meta: &Meta,
    (selector, reach): (Option<&Labels>, Reach),
) -> Option<Diagnostic> {
    let selector = selector.filter(|selector| !selector.is_empty())?;
    let subject = Subject::of(scene.mesh, &scene.plane.id, kind, meta);
    let field = match kind {
        "Sidecar" | "DestinationRule" => "spec.workloadSelector",
        _ => "spec.selector",
    };
    unselected(scene, (&subject, field), (&meta.namespace, reach), selector)
}

/// Whether the selector of an AuthorizationPolicy concerns a pod or a machine as only ztunnels have it.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/serviceregistry/ambient/workloads.go` `podWorkloadBuilder`,
/// `workloadEntryWorkloadBuilder`.
fn is_met_behind_ztunnel(scene: &Scene<'_>, own: &Namespace, selector: &Labels) -> bool {
    let is_root = *own.as_str() == *scene.plane.config.root_namespace;
    let is_near = |meta: &&Meta| is_root || meta.namespace == *own;
    let pods = scene.workloads.iter().map(|(pod, workload)| {
        (&pod.meta, workload.place.cluster.as_str(), pod.meta.labels.clone())
    });
    let machines = machines(scene).map(|(meta, labels)| (meta, scene.plane.id.as_str(), labels));
    let mut captured = pods
        .chain(machines)
        .filter(|(meta, ..)| is_near(meta))
        .filter(|(meta, cluster, _)| is_captured(scene.mesh, cluster, meta));
    captured.any(|(.., labels)| selects_behind_ztunnel(selector, &labels))
}

/// The WorkloadEntries that count, with the labels that they have: their own, and over them those of the
/// object.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/serviceregistry/serviceentry/conversion.go` `ConvertWorkloadEntry`.
fn machines<'m>(scene: &Scene<'m>) -> impl Iterator<Item = (&'m Meta, Labels)> {
    let entries = scene.stores().into_iter().flat_map(|store| store.workload_entries.values());
    entries.map(|entry| (&entry.meta, entry.spec.labels.overlaid(&entry.meta.labels)))
}

/// Whether the selector of an AuthorizationPolicy means no workload of its namespace, or of the mesh in the
/// root namespace.
pub(super) fn selects_nobody(scene: &Scene<'_>, own: &Namespace, selector: &Labels) -> bool {
    !selector.is_empty()
        && !is_met(scene, (own, Reach::Namespace), selector)
        && !is_met_behind_ztunnel(scene, own, selector)
}

/// Whether a selector means a pod or a machine.
fn is_met(scene: &Scene<'_>, (own, reach): (&Namespace, Reach), selector: &Labels) -> bool {
    let is_root = *own.as_str() == *scene.plane.config.root_namespace;
    let is_wide = reach == Reach::Mesh || (reach == Reach::Namespace && is_root);
    let is_there = |namespace: &Namespace| is_wide || namespace == own;
    let pods = scene.workloads.iter().filter(|(pod, _)| is_there(&pod.meta.namespace));
    let mut machines = machines(scene).filter(|(meta, _)| is_there(&meta.namespace));
    pods.map(|(_, workload)| &workload.labels).any(|labels| labels.contains(selector))
        || machines.any(|(_, labels)| labels.contains(selector))
}

fn unselected(
    scene: &Scene<'_>,
    (subject, field): (&Subject, &str),
    place: (&Namespace, Reach),
    selector: &Labels,
) -> Option<Diagnostic> {
    if is_met(scene, place, selector) {
        return None;
    }
    let labels: Vec<String> =
        selector.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let message = format!("no workload has {}: the object concerns nobody", labels.join(", "));
    let help = "correct the selector, or deploy what it names";
    Some(subject.warning("IST0127", field, (message, help)))
}

/// `IST0110` and `IST0111`: Sidecars of which only one can count.
fn sidecars(scene: &Scene<'_>, found: &mut Vec<Diagnostic>) {
    let objects = scene.stores().into_iter().flat_map(|store| store.sidecars.values());
    let mut whole: BTreeMap<&Namespace, &Meta> = BTreeMap::new();
    let mut selecting: Vec<(&Meta, &Labels)> = Vec::new();
    for object in objects {
        let meta = &object.meta;
        let subject = || Subject::of(scene.mesh, &scene.plane.id, "Sidecar", meta);
        let help = "keep one Sidecar for each workload";
        match object.spec.workload_selector.as_ref().map(|selector| &selector.labels) {
            None => match whole.get(&meta.namespace) {
                None => {
                    whole.insert(&meta.namespace, meta);
                }
                Some(first) => {
                    let message = format!(
                        "Sidecar `{}` is for the whole namespace too: only the older of the two counts",
                        first.name
                    );
                    found.push(subject().error("IST0111", "spec", (message, help)));
                }
            },
            Some(labels) => {
                let mut others = selecting.iter().filter(|(m, _)| m.namespace == meta.namespace);
                let mut pods =
                    scene.workloads.iter().filter(|(pod, _)| pod.meta.namespace == meta.namespace);
                let both = others.find_map(|(other, theirs)| {
                    let pod =
                        pods.find(|(_, w)| w.labels.contains(labels) && w.labels.contains(theirs));
                    pod.map(|(pod, _)| (other, pod))
                });
                if let Some((other, pod)) = both {
                    let message = format!(
                        "Sidecar `{}` selects pod `{}` too: only the older of the two counts",
                        other.name, pod.meta.name
                    );
                    let field = "spec.workloadSelector";
                    found.push(subject().error("IST0110", field, (message, help)));
                }
                selecting.push((meta, labels));
            }
        }
    }
}
