//! Routes that a VirtualService leaves to another.
//!
//! ```text
//! root route ── delegate ──▶ routes of an object without hosts, each within the root's conditions
//! ```
//!
//! # Upstream
//!
//! istio/istio `pilot/pkg/model/virtualservice_controller.go` `mergeVirtualServices`;
//! `virtualservice.go` `MergeHTTPRoutes`, `hasConflict`.
use std::collections::BTreeMap;

use super::ExportTo;
use super::virtual_services::export_to;
use crate::name::Namespace;
use crate::resource::VirtualService;
use crate::resource::virtual_service::{
    Delegate, HttpMatchRequest, HttpRoute, Semantics, StringMatch,
};

/// The objects without hosts, by namespace and name.
pub(crate) type Delegates<'d> = BTreeMap<(&'d str, &'d str), &'d VirtualService>;

/// Returns an object that has hosts of its own with the routes of its delegates in place of those that
/// name one; `delegates` are the objects without hosts.
///
/// A delegate that is missing, not visible or in conflict with its root takes only the route away
/// that names it. Delegates of delegates are ignored.
pub(crate) fn merged(
    mut root: VirtualService,
    delegates: &Delegates<'_>,
    default_export_to: &ExportTo,
) -> VirtualService {
    if !has_any(&root) {
        return root;
    }
    let namespace = root.meta.namespace.clone();
    let mut routes = Vec::new();
    for route in std::mem::take(&mut root.spec.http) {
        let Some(delegate) = &route.delegate else {
            routes.push(route);
            continue;
        };
        let object = find(delegates, delegate, &namespace, default_export_to);
        let found = object.into_iter().flat_map(|object| &object.spec.http);
        routes.extend(found.filter_map(|sub| merged_route(&route, sub)));
    }
    root.spec.http = routes;
    root
}

/// Whether an object leaves routes to others.
pub(crate) fn has_any(object: &VirtualService) -> bool {
    object.semantics() == Semantics::Istio
        && object.spec.http.iter().any(|route| route.delegate.is_some())
}

/// The delegate of a route, if it exists and the root's namespace sees it.
fn find<'d>(
    delegates: &Delegates<'d>,
    delegate: &Delegate,
    namespace: &Namespace,
    default_export_to: &ExportTo,
) -> Option<&'d VirtualService> {
    let owner = match &*delegate.namespace {
        "" => namespace.as_str(),
        owner => owner,
    };
    let object = *delegates.get(&(owner, &*delegate.name))?;
    let export_to = export_to(object, default_export_to);
    export_to.reaches(&object.meta.namespace, namespace).then_some(object)
}

/// A delegate's route with what it lacks taken from the root's; `None` if it leaves the root's
/// conditions.
fn merged_route(root: &HttpRoute, delegate: &HttpRoute) -> Option<HttpRoute> {
    let mut route = delegate.clone();
    route.matches = merged_matches(&root.matches, &delegate.matches)?;
    route.name = joined(&root.name, &delegate.name);
    inherit(&mut route.rewrite, &root.rewrite);
    inherit(&mut route.direct_response, &root.direct_response);
    inherit(&mut route.timeout, &root.timeout);
    inherit(&mut route.retries, &root.retries);
    inherit(&mut route.fault, &root.fault);
    inherit(&mut route.mirror, &root.mirror);
    inherit(&mut route.mirror_percent, &root.mirror_percent);
    inherit(&mut route.mirror_percentage, &root.mirror_percentage);
    inherit(&mut route.cors_policy, &root.cors_policy);
    inherit(&mut route.headers, &root.headers);
    if route.mirrors.is_empty() {
        route.mirrors.clone_from(&root.mirrors);
    }
    Some(route)
}

fn inherit<T: Clone>(own: &mut Option<T>, root: &Option<T>) {
    if own.is_none() {
        own.clone_from(root);
    }
}

/// `ROOT-DELEGATE`, or the one that is there.
fn joined(root: &str, delegate: &str) -> Box<str> {
    match (root, delegate) {
        ("", name) | (name, "") => name.into(),
        (root, delegate) => format!("{root}-{delegate}").into(),
    }
}

/// Every condition of the delegate within every one of the root's that holds it; `None` if one is
/// within none of them.
fn merged_matches(
    root: &[HttpMatchRequest],
    delegate: &[HttpMatchRequest],
) -> Option<Vec<HttpMatchRequest>> {
    if root.is_empty() || delegate.is_empty() {
        return Some([root, delegate].concat());
    }
    let mut found = Vec::new();
    for sub in delegate {
        let known = found.len();
        let holding = root.iter().filter(|condition| !has_conflict(condition, sub));
        found.extend(holding.map(|condition| merged_match(condition, sub)));
        if found.len() == known {
            return None;
        }
    }
    Some(found)
}

fn merged_match(root: &HttpMatchRequest, delegate: &HttpMatchRequest) -> HttpMatchRequest {
    let mut found = delegate.clone();
    found.name = joined(&root.name, &delegate.name);
    inherit(&mut found.uri, &root.uri);
    inherit(&mut found.scheme, &root.scheme);
    inherit(&mut found.method, &root.method);
    inherit(&mut found.authority, &root.authority);
    unite(&mut found.headers, &root.headers);
    unite(&mut found.without_headers, &root.without_headers);
    unite(&mut found.query_params, &root.query_params);
    found.source_labels = root.source_labels.overlaid(&delegate.source_labels);
    if found.port == 0 {
        found.port = root.port;
    }
    if found.gateways.is_empty() {
        found.gateways.clone_from(&root.gateways);
    }
    for (own, root) in [
        (&mut found.source_namespace, &root.source_namespace),
        (&mut found.stat_prefix, &root.stat_prefix),
    ] {
        if own.is_empty() {
            own.clone_from(root);
        }
    }
    found
}

type Conditions = BTreeMap<Box<str>, Option<StringMatch>>;

fn unite(own: &mut Conditions, root: &Conditions) {
    for (name, value) in root {
        own.entry(name.clone()).or_insert_with(|| value.clone());
    }
}

/// Returns whether a delegate's condition is not within its root's.
///
/// Cautious: a regular expression beside anything else, and two presence tests of one header, are in
/// conflict, since nobody looks what they mean.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/model/virtualservice.go` `hasConflict`.
pub fn has_conflict(root: &HttpMatchRequest, delegate: &HttpMatchRequest) -> bool {
    let texts = [
        (&root.uri, &delegate.uri),
        (&root.scheme, &delegate.scheme),
        (&root.method, &delegate.method),
        (&root.authority, &delegate.authority),
    ];
    let maps = [
        (&root.headers, &delegate.headers),
        (&root.without_headers, &delegate.without_headers),
        (&root.query_params, &delegate.query_params),
    ];
    let labels = &delegate.source_labels;
    texts.into_iter().any(|(root, own)| differ(root.as_ref(), own.as_ref()))
        || maps.into_iter().any(|(root, own)| any_differs(root, own))
        || root.ignore_uri_case != delegate.ignore_uri_case
        || (root.port != 0 && delegate.port != 0 && root.port != delegate.port)
        || (!root.source_namespace.is_empty() && root.source_namespace != delegate.source_namespace)
        || labels
            .iter()
            .any(|(key, value)| root.source_labels.get(key).is_some_and(|known| known != value))
        || leaves_gateways(&root.gateways, &delegate.gateways)
}

fn any_differs(root: &Conditions, delegate: &Conditions) -> bool {
    delegate.iter().any(|(name, own)| {
        let root = root.get(name).and_then(Option::as_ref);
        differ(root, own.as_ref())
    })
}

/// Whether the delegate is for gateways that the root is not for.
fn leaves_gateways(root: &[Box<str>], delegate: &[Box<str>]) -> bool {
    !root.is_empty()
        && !delegate.is_empty()
        && (root.len() < delegate.len() || delegate.iter().any(|name| !root.contains(name)))
}

/// Whether two conditions on one text are in conflict; an empty text is no condition.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/model/virtualservice.go` `stringMatchConflict`.
fn differ(root: Option<&StringMatch>, delegate: Option<&StringMatch>) -> bool {
    let (Some(root), Some(delegate)) = (root, delegate) else { return false };
    match (root, delegate) {
        (StringMatch::Exact(root), StringMatch::Exact(own)) if !root.is_empty() => own != root,
        (StringMatch::Prefix(root), StringMatch::Prefix(own) | StringMatch::Exact(own))
            if !root.is_empty() && !own.is_empty() =>
        {
            !own.starts_with(&**root)
        }
        _ => true,
    }
}

#[cfg(test)]
mod tests;
