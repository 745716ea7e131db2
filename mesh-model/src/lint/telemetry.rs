//! Telemetry that goes nowhere, or of which only one counts.
//!
//! Upstream: istio/istio `pkg/config/analysis/analyzers/telemetry`.
use std::collections::BTreeMap;
use std::sync::Arc;

use super::Subject;
use super::scene::Scene;
use crate::manifest::Diagnostic;
use crate::resource::Telemetry;

pub(super) fn check(scene: &Scene<'_>, found: &mut Vec<Diagnostic>) {
    let objects: Vec<&Arc<Telemetry>> =
        scene.stores().into_iter().flat_map(|store| store.telemetries.values()).collect();
    for object in &objects {
        found.extend(without_provider(scene, object));
    }
    without_selector(scene, &objects, found);
    overlapping(scene, &objects, found);
}

fn subject(scene: &Scene<'_>, object: &Telemetry) -> Subject {
    Subject::of(scene.mesh, &scene.plane.id, "Telemetry", &object.meta)
}

/// `IST0157`: an access log that nobody writes.
fn without_provider(scene: &Scene<'_>, object: &Telemetry) -> Option<Diagnostic> {
    if !scene.plane.config.default_providers.access_logging.is_empty() {
        return None;
    }
    let mut logs = object.spec.access_logging.iter();
    let index = logs.position(|log| log.disabled != Some(true) && log.providers.is_empty())?;
    let message =
        "access logging names no provider, and MeshConfig has no default one: nothing is \
                   logged"
            .to_owned();
    let help = "name a provider, or set `defaultProviders.accessLogging`";
    let field = format!("spec.accessLogging[{index}].providers");
    Some(subject(scene, object).warning("IST0157", &field, (message, help)))
}

/// `IST0160`: several for one whole namespace.
fn without_selector(scene: &Scene<'_>, objects: &[&Arc<Telemetry>], found: &mut Vec<Diagnostic>) {
    let mut first: BTreeMap<&str, &Telemetry> = BTreeMap::new();
    let is_whole = |object: &&&Arc<Telemetry>| {
        let spec = &object.spec;
        spec.selector.is_none() && spec.target_ref.is_none() && spec.target_refs.is_empty()
    };
    for object in objects.iter().filter(is_whole) {
        let Some(known) = first.get(object.meta.namespace.as_str()) else {
            first.insert(object.meta.namespace.as_str(), object);
            continue;
        };
        let message = format!(
            "Telemetry `{}` is for the whole namespace too: only the older of the two counts",
            known.meta.name
        );
        let help = "merge the two";
        found.push(subject(scene, object).error("IST0160", "spec", (message, help)));
    }
}

/// `IST0159`: several that select one pod.
fn overlapping(scene: &Scene<'_>, objects: &[&Arc<Telemetry>], found: &mut Vec<Diagnostic>) {
    let selecting: Vec<_> = objects
        .iter()
        .filter_map(|object| Some((*object, &object.spec.selector.as_ref()?.match_labels)))
        .filter(|(_, labels)| !labels.is_empty())
        .collect();
    for (index, (object, labels)) in selecting.iter().enumerate() {
        let others = selecting.iter().take(index);
        let near = others.filter(|(other, _)| other.meta.namespace == object.meta.namespace);
        let both = near.into_iter().find_map(|(other, theirs)| {
            let mut pods = scene
                .workloads
                .iter()
                .filter(|(pod, _)| pod.meta.namespace == object.meta.namespace);
            let pod = pods.find(|(_, w)| w.labels.contains(labels) && w.labels.contains(theirs))?;
            Some((other, pod.0))
        });
        let Some((other, pod)) = both else { continue };
        let message = format!(
            "Telemetry `{}` selects pod `{}` too: only the older of the two counts",
            other.meta.name, pod.meta.name
        );
        let help = "keep one Telemetry for each workload";
        found.push(subject(scene, object).error("IST0159", "spec.selector", (message, help)));
    }
}
