//! The values of rules.
//!
//! # Upstream
//!
//! istio/istio `pkg/config/security/security.go`.
use std::net::IpAddr;

use super::{Operation, Source, Violations};
use crate::manifest::decode::clip;
use crate::name::Cidr;
use crate::resource::validate::Wrong;

/// What the values of a list are.
#[derive(Clone, Copy, Debug)]
pub(super) enum List {
    Texts,
    Addresses,
    Ports,
    Paths,
    ServiceAccounts,
    TrustDomains,
}

impl List {
    /// What to write.
    const fn help(self) -> &'static str {
        match self {
            Self::Texts => "write a text",
            Self::Addresses => "write an address or a range of addresses",
            Self::Ports => "write the number of a port in quotes",
            Self::Paths => "write `{*}` for one segment, `{**}` as the last one for several",
            Self::ServiceAccounts => "write `NAME`, or `NAMESPACE/NAME` for another namespace",
            Self::TrustDomains => "write a trust domain, with `*` at one end at most",
        }
    }
}

type Named<'l> = (&'static str, &'l [Box<str>], List);

/// The lists of a source by name.
pub(super) fn of_source(source: &Source) -> [Named<'_>; 14] {
    [
        ("principals", &source.principals, List::Texts),
        ("notPrincipals", &source.not_principals, List::Texts),
        ("requestPrincipals", &source.request_principals, List::Texts),
        ("notRequestPrincipals", &source.not_request_principals, List::Texts),
        ("namespaces", &source.namespaces, List::Texts),
        ("notNamespaces", &source.not_namespaces, List::Texts),
        ("ipBlocks", &source.ip_blocks, List::Addresses),
        ("notIpBlocks", &source.not_ip_blocks, List::Addresses),
        ("remoteIpBlocks", &source.remote_ip_blocks, List::Addresses),
        ("notRemoteIpBlocks", &source.not_remote_ip_blocks, List::Addresses),
        ("serviceAccounts", &source.service_accounts, List::ServiceAccounts),
        ("notServiceAccounts", &source.not_service_accounts, List::ServiceAccounts),
        ("trustDomains", &source.trust_domains, List::TrustDomains),
        ("notTrustDomains", &source.not_trust_domains, List::TrustDomains),
    ]
}

/// The lists of an operation by name.
pub(super) fn of_operation(operation: &Operation) -> [Named<'_>; 8] {
    [
        ("hosts", &operation.hosts, List::Texts),
        ("notHosts", &operation.not_hosts, List::Texts),
        ("ports", &operation.ports, List::Ports),
        ("notPorts", &operation.not_ports, List::Ports),
        ("methods", &operation.methods, List::Texts),
        ("notMethods", &operation.not_methods, List::Texts),
        ("paths", &operation.paths, List::Paths),
        ("notPaths", &operation.not_paths, List::Paths),
    ]
}

/// Checks the values of a list of a source or an operation.
pub(super) fn check(violations: &mut Violations, values: &[Box<str>], list: List) {
    if let (List::ServiceAccounts, Some(message)) = (list, too_many(values)) {
        violations.error("AP-SERVICE-ACCOUNT", message, "use several entries");
    }
    violations.each(values, |violations, value| {
        if value.is_empty() && !matches!(list, List::ServiceAccounts) {
            violations.error("AP-EMPTY-VALUE", "a value is empty", "remove it");
        }
        let (rule, wrong) = match list {
            List::Texts => return,
            List::Addresses => ("AP-IP", address(value)),
            List::Ports => ("AP-PORT", port(value)),
            List::Paths => ("AP-PATH-TEMPLATE", path(value)),
            List::ServiceAccounts => ("AP-SERVICE-ACCOUNT", service_account(value)),
            List::TrustDomains => ("AP-TRUST-DOMAIN", trust_domain(value)),
        };
        if let Some(wrong) = wrong {
            violations.error(rule, &format!("`{}`: {wrong}", clip(value)), list.help());
        }
    });
}

/// What is wrong with a value of a condition, if anything is.
type Test = fn(&str) -> Option<&'static str>;

/// Returns how the values of a condition are looked at, or what is wrong with its key.
///
/// # Upstream
///
/// istio/istio `pkg/config/security/security.go` `ValidateAttribute`.
pub(super) fn of_key(key: &str) -> Result<Test, Wrong> {
    let is_map = ["request.headers", "request.auth.claims", "experimental.envoy.filters."]
        .iter()
        .any(|map| key.starts_with(map));
    if is_map {
        if has_map_key(key) {
            return Ok(|_| None);
        }
        let message = format!("`{}` needs a name in brackets", clip(key));
        return Err(Wrong::new("AP-CONDITION-VALUE", message, "write it as `a[b]`"));
    }
    match key {
        "source.ip" | "remote.ip" | "destination.ip" => Ok(address),
        "destination.port" => Ok(port),
        "source.serviceAccount" => Ok(service_account),
        "source.trustDomain" => Ok(wildcard),
        "source.namespace"
        | "source.principal"
        | "request.auth.principal"
        | "request.auth.audiences"
        | "request.auth.presenter"
        | "connection.sni" => Ok(|_| None),
        _ => {
            let help = match key {
                "destination.namespace" => "a policy means the workloads of its own namespace",
                "destination.name" | "destination.user" => "select workloads by their labels",
                _ if key.starts_with("destination.labels") => "use the policy's selector",
                _ => "see `conditions` in the reference of AuthorizationPolicy for the keys",
            };
            let message = format!("the key `{}` is unknown", clip(key));
            Err(Wrong::new("AP-CONDITION-KEY", message, help))
        }
    }
}

/// Checks that no value of a condition is empty.
pub(super) fn none_empty(violations: &mut Violations, values: &[Box<str>]) {
    if values.iter().any(|value| value.is_empty()) {
        violations.error("AP-CONDITION-VALUE", "a value is empty", "remove it");
    }
}

/// Checks one of the lists of values of a condition.
pub(super) fn check_attribute(
    violations: &mut Violations,
    key: &str,
    values: &[Box<str>],
    test: Test,
) {
    if values.iter().any(|value| value.is_empty()) {
        return none_empty(violations, values);
    }
    let count = (key == "source.serviceAccount").then(|| too_many(values)).flatten();
    if let Some(message) = count {
        violations.error("AP-CONDITION-VALUE", message, "use several rules");
    }
    violations.each(values, |violations, value| {
        if let Some(wrong) = test(value) {
            let message = format!("`{}`: {wrong}", clip(value));
            violations.error("AP-CONDITION-VALUE", &message, "write a value of that form");
        }
    });
}

fn has_map_key(key: &str) -> bool {
    key.ends_with(']')
        && key.find('[').is_some_and(|open| open > 0 && open < key.len().saturating_sub(2))
}

fn address(value: &str) -> Option<&'static str> {
    // A zone is an address to Go and none to us, so it is looked at without.
    let is_address = match value.split_once('%') {
        Some((address, zone)) => {
            // A range has no zone.
            let is_zone = !zone.is_empty() && !zone.contains('/');
            is_zone && matches!(address.parse(), Ok(IpAddr::V6(_)))
        }
        None => value.parse::<Cidr>().is_ok(),
    };
    (!is_address).then_some("neither an IP address nor a range such as `10.0.0.0/8`")
}

fn port(value: &str) -> Option<&'static str> {
    let is_number = value.bytes().all(|byte| byte.is_ascii_digit());
    (!is_number || value.parse::<u16>().is_err()).then_some("a port is a number of 0 to 65535")
}

fn too_many(values: &[Box<str>]) -> Option<&'static str> {
    (values.len() > 16).then_some("there are more than 16 service accounts")
}

fn service_account(value: &str) -> Option<&'static str> {
    if value.contains('*') {
        return Some("a service account has no wildcard");
    }
    if value.len() > 320 {
        return Some("a service account has at most 320 characters");
    }
    let mut parts = value.split('/');
    let is_named = parts.clone().all(|part| !part.is_empty()) && parts.by_ref().count() < 3;
    (!is_named).then_some("a service account is `NAME` or `NAMESPACE/NAME`")
}

fn wildcard(value: &str) -> Option<&'static str> {
    let inner = value.strip_prefix('*').or_else(|| value.strip_suffix('*')).unwrap_or(value);
    inner.contains('*').then_some("a wildcard stands at one end only")
}

fn trust_domain(value: &str) -> Option<&'static str> {
    wildcard(value).or_else(|| value.contains('/').then_some("a trust domain has no `/`"))
}

/// Checks a path, template or not.
///
/// # Upstream
///
/// istio/istio `pkg/config/security/security.go` `CheckValidPathTemplate`.
fn path(value: &str) -> Option<&'static str> {
    let is_template = value.contains("{*}") || value.contains("{**}");
    let mut has_any = false;
    for segment in value.trim_matches('/').split('/') {
        match segment {
            "{*}" | "{**}" if has_any => return Some("`{**}` is the last operator"),
            "{*}" => {}
            "{**}" => has_any = true,
            _ if segment.contains(['{', '}']) => {
                return Some("braces stand only in the segments `{*}` and `{**}`");
            }
            _ if is_template && !is_literal(segment) => {
                return Some("beside an operator a segment is a plain text");
            }
            _ => {}
        }
    }
    None
}

fn is_literal(segment: &str) -> bool {
    let is_allowed =
        |byte: u8| byte.is_ascii_alphanumeric() || b"-._~%!$&'()+,;:@=".contains(&byte);
    !segment.is_empty() && segment.bytes().all(is_allowed)
}
