//! Fields of which one at most may be given: the one that is empty is given, too.
//!
//! Where both say something the rules of the kind refuse them; a schema asks what is there.
use super::super::exclusive;
use super::is_empty;
use crate::manifest::Node;
use crate::resource::validate::Violations;

/// A field by both its names.
type Names = [&'static str; 2];

const TARGET_REFS: Names = ["targetRefs", "targetRefs"];
const SELECTORS: [Names; 2] = [["selector", "selector"], ["targetRef", "targetRef"]];
const ACCOUNTS: [Names; 2] =
    [["serviceAccounts", "service_accounts"], ["notServiceAccounts", "not_service_accounts"]];
const CALLERS: [Names; 4] = [
    ["principals", "principals"],
    ["notPrincipals", "not_principals"],
    ["namespaces", "namespaces"],
    ["notNamespaces", "not_namespaces"],
];
const ENDPOINTS: Names = ["endpoints", "endpoints"];
const WORKLOAD_SELECTOR: Names = ["workloadSelector", "workload_selector"];

/// Checks what a policy is attached by.
pub(super) fn targets(violations: &mut Violations, spec: &Node) {
    check(violations, spec, TARGET_REFS, &SELECTORS);
}

/// Checks an entry of `from`.
pub(super) fn source(violations: &mut Violations, entry: &Node) {
    let Some(source) = entry.get(&["source"]) else { return };
    violations.field("source", |violations| {
        ACCOUNTS.iter().for_each(|name| check(violations, source, *name, &CALLERS));
        CALLERS.iter().for_each(|name| check(violations, source, *name, &ACCOUNTS));
    });
}

/// Checks the keys of a token. The schema has the address by both its names.
pub(super) fn keys(violations: &mut Violations, rule: &Node) {
    check(violations, rule, ["jwks", "jwks"], &[["jwksUri", "jwks_uri"]]);
    if is_given(rule, &["jwksUri"]) && is_given(rule, &["jwks_uri"]) {
        exclusive(violations, "jwks_uri", "jwksUri");
    }
}

/// Checks what the endpoints of a ServiceEntry are.
pub(super) fn endpoints(violations: &mut Violations, spec: &Node) {
    check(violations, spec, ENDPOINTS, &[WORKLOAD_SELECTOR]);
    let resolution = spec.get(&["resolution"]).and_then(Node::as_str);
    let has_none = resolution.is_none_or(|text| text == "NONE");
    if has_none && spec.get(&ENDPOINTS).is_some_and(is_empty) {
        exclusive(violations, ENDPOINTS[0], "resolution: NONE");
    }
}

/// Checks an endpoint that may be a socket.
pub(super) fn socket(violations: &mut Violations, endpoint: &Node) {
    let address = endpoint.get(&["address"]).and_then(Node::as_str);
    let is_socket = address.is_some_and(|address| address.starts_with("unix://"));
    if is_socket && endpoint.get(&["ports"]).is_some_and(is_empty) {
        exclusive(violations, "ports", "unix://");
    }
}

/// Checks the secrets of a server.
pub(super) fn secrets(violations: &mut Violations, tls: &Node) {
    let names: Names = ["credentialName", "credential_name"];
    check(violations, tls, names, &[["credentialNames", "credential_names"]]);
}

/// Checks a field that may not stand beside others, if it is given and empty.
fn check(violations: &mut Violations, node: &Node, name: Names, others: &[Names]) {
    let other = others.iter().find(|other| is_given(node, *other));
    if let Some(other) = other.filter(|_| node.get(&name).is_some_and(is_empty)) {
        exclusive(violations, name[0], other[0]);
    }
}

fn is_given(node: &Node, names: &[&str]) -> bool {
    node.get(names).is_some_and(|node| !node.is_null())
}
