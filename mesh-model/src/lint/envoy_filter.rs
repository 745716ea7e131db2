//! EnvoyFilters whose patches do nothing, or depend on the order of others.
//!
//! Upstream: istio/istio `pkg/config/analysis/analyzers/envoyfilter/envoyfilter.go`.
use super::Subject;
use super::scene::Scene;
use crate::manifest::{Diagnostic, Node, Value};
use crate::resource::Opaque;

pub(super) fn check(scene: &Scene<'_>, found: &mut Vec<Diagnostic>) {
    // The filters that patches before name for a version of the proxy only.
    let mut versioned: Vec<String> = Vec::new();
    for store in scene.stores() {
        for object in store.opaque.values().filter(|object| object.kind == "EnvoyFilter") {
            check_one(scene, object, &mut versioned, found);
        }
    }
}

fn check_one(
    scene: &Scene<'_>,
    object: &Opaque,
    versioned: &mut Vec<String>,
    found: &mut Vec<Diagnostic>,
) {
    let subject = Subject::of(scene.mesh, &scene.plane.id, "EnvoyFilter", &object.meta);
    let Some(spec) = object.node.get(&["spec"]) else { return };
    let has_priority = spec
        .get(&["priority"])
        .is_some_and(|node| !matches!(node.value, Value::Null | Value::Integer(0)));
    let patches = spec.get(&["configPatches", "config_patches"]);
    let Some(Value::List(patches)) = patches.map(|node| &node.value) else { return };
    for (index, patch) in patches.iter().enumerate() {
        let field = format!("spec.configPatches[{index}].patch.operation");
        let name = name(patch);
        let text = |path: &[&str]| at(patch, path).and_then(Node::as_str).unwrap_or_default();
        let (operation, target) = (text(&["patch", "operation"]), text(&["applyTo"]));
        let is_route = matches!(target, "ROUTE_CONFIGURATION" | "HTTP_ROUTE");
        let is_replaced = matches!(target, "NETWORK_FILTER" | "HTTP_FILTER" | "VIRTUAL_HOST");
        let wrong = match operation {
            "ADD" if is_route => Some(("IST0153", "is ignored")),
            "REMOVE" if is_route => Some(("IST0154", "is ignored")),
            "REPLACE" if !is_replaced => Some(("IST0152", "is refused")),
            _ => None,
        };
        let is_relative =
            matches!(operation, "REMOVE" | "REPLACE" | "INSERT_BEFORE" | "INSERT_AFTER");
        if let Some((code, what)) = wrong {
            let message = format!("{operation} of a {target} {what}: the patch does nothing");
            let help = "use MERGE, or another object to patch";
            found.push(subject.error(code, &field, (message, help)));
        } else if is_relative && !has_priority {
            let is_known = !name.is_empty() && versioned.contains(&name);
            let (code, more) = if is_known {
                ("IST0155", "; another EnvoyFilter patches the same filter for one proxy version")
            } else {
                ("IST0151", "")
            };
            let message = format!(
                "{operation} is relative to what other patches leave, and no priority orders them: the \
                 result depends on names and ages{more}"
            );
            let help = "set `priority`, or use an absolute operation such as INSERT_FIRST";
            found.push(subject.warning(code, &field, (message, help)));
        }
        if at(patch, &["match", "proxy", "proxyVersion"]).is_some() {
            versioned.push(name);
        }
    }
}

/// The filter that a patch is about.
fn name(patch: &Node) -> String {
    let own = at(patch, &["patch", "value", "name"]);
    let matched = || at(patch, &["match", "listener", "filterChain", "filter", "name"]);
    own.or_else(matched).and_then(Node::as_str).unwrap_or_default().to_owned()
}

fn at<'n>(node: &'n Node, path: &[&str]) -> Option<&'n Node> {
    path.iter().try_fold(node, |node, name| node.get(&[name]))
}
