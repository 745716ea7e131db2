//! The names by which an agent's DNS answers for a host.
use std::collections::BTreeSet;

/// A host of the name table.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "the inputs of one function")]
pub struct NamedHost<'h> {
    /// The whole name.
    pub hostname: &'h str,
    /// The name of its service.
    pub short_name: &'h str,
    /// The namespace of its service.
    pub namespace: &'h str,
}

/// Returns the names of a host, each with a dot at its end: the whole one and, for a proxy of the same
/// domain, `NAME.NAMESPACE`, `NAME.NAMESPACE.svc` and in its own namespace `NAME`.
///
/// # Upstream
///
/// istio/istio `pkg/dns/client/dns.go` `generateAltHosts`.
pub fn dns_names(
    host: &NamedHost<'_>,
    proxy_namespace: &str,
    proxy_domain: &str,
) -> BTreeSet<String> {
    let NamedHost { hostname, short_name, namespace } = host;
    let mut names = BTreeSet::new();
    if hostname.ends_with('.') {
        return names;
    }
    names.insert(format!("{hostname}."));
    if proxy_domain.is_empty() || !hostname.ends_with(proxy_domain) {
        return names;
    }
    names.insert(format!("{short_name}.{namespace}."));
    if proxy_namespace == *namespace {
        names.insert(format!("{short_name}."));
    }
    let first = proxy_domain.split('.').next().unwrap_or_default();
    names.insert(format!("{short_name}.{namespace}.{first}."));
    names
}
