//! By which names a proxy's requests reach a service.
//!
//! # Upstream
//!
//! istio/istio `pilot/pkg/networking/core/httproute.go` `generateVirtualHostDomains`,
//! `GenerateAltVirtualHosts`.
use std::net::IpAddr;

use mesh_model::registry::UNSPECIFIED;

use super::value::{bracketed, host_port};

/// What the domains of a service's virtual host depend on.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "the inputs of one function")]
pub struct ServiceNames<'s> {
    /// The host of the service, then its aliases.
    pub hosts: &'s [&'s str],
    /// The domain that the proxy resolves short names in, such as `shop.svc.cluster.local`.
    pub proxy_domain: &'s str,
    /// Whether names below the host are endpoints: a Kubernetes service without address.
    pub headless: bool,
    /// The addresses at which the proxy finds the service; empty ones and `0.0.0.0` do not count.
    pub addresses: &'s [&'s str],
    /// The port that follows every name once more; `None` where ports in `Host` do not count.
    pub port: Option<u32>,
}

/// Domains in order of preference.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "a value that callers read")]
pub struct Domains {
    /// All of them.
    pub all: Vec<String>,
    /// Those that are short or absolute forms: they give way to services of that very name.
    pub alternates: Vec<String>,
}

impl Domains {
    /// Returns the domains of a service: full names, other forms of them, addresses.
    ///
    /// # Examples
    ///
    /// ```
    /// # use mesh_xds_gen::route::domains::{Domains, ServiceNames};
    /// let cart = Domains::of(&ServiceNames {
    ///     hosts: &["cart.shop.svc.cluster.local"],
    ///     proxy_domain: "web.svc.cluster.local",
    ///     headless: false,
    ///     addresses: &["10.96.0.7"],
    ///     port: None,
    /// });
    /// let full = "cart.shop.svc.cluster.local";
    /// assert_eq!(
    ///     cart.all,
    ///     [full, &format!("{full}."), "cart.shop", "cart.shop.svc", "10.96.0.7"]
    /// );
    /// ```
    pub fn of(names: &ServiceNames<'_>) -> Self {
        let mut domains = Self::default();
        for host in names.hosts {
            let alternates = alternates(host, names.port, names.proxy_domain);
            push(&mut domains.all, host, names.port);
            domains.all.extend(alternates.iter().cloned());
            domains.alternates.extend(alternates);
        }
        if names.headless {
            let below: Vec<String> = domains.all.iter().map(|name| ["*.", name].concat()).collect();
            domains.all.extend(below);
        }
        let usable = names.addresses.iter();
        for address in usable.filter(|address| !matches!(**address, "" | UNSPECIFIED)) {
            push(&mut domains.all, address, names.port);
        }
        domains
    }
}

/// Adds a name, and once more with the port where one is wanted.
fn push(domains: &mut Vec<String>, name: &str, port: Option<u32>) {
    domains.push(bracketed(name));
    domains.extend(port.map(|port| host_port(name, port)));
}

/// The absolute form of a host, and those that resolve to it within the proxy's domain.
fn alternates(host: &str, port: Option<u32>, proxy_domain: &str) -> Vec<String> {
    let mut found = Vec::new();
    if host.parse::<IpAddr>().is_err() {
        found.push([host, "."].concat());
    }
    // Upstream does this for addresses too.
    found.extend(port.map(|port| host_port(&format!("{host}."), port)));
    for name in short_names(host, proxy_domain) {
        push(&mut found, &name, port);
    }
    found
}

fn short_names(host: &str, proxy_domain: &str) -> Vec<String> {
    match proxy_domain.split_once(".svc.") {
        Some((namespace, domain)) => kubernetes_names(host, namespace, domain).unwrap_or_default(),
        None => names_below(host, proxy_domain),
    }
}

/// The forms of `NAME.NAMESPACE.svc.DOMAIN`; `None` for any other host.
fn kubernetes_names(host: &str, own_namespace: &str, domain: &str) -> Option<Vec<String>> {
    host.strip_suffix(domain)?.strip_suffix(".svc.")?;
    let (service, _) = host.split_once(".svc.")?;
    let (name, namespace) = service.split_once('.')?;
    let with_svc = [service, ".svc"].concat();
    Some(if namespace == own_namespace {
        vec![name.to_owned(), with_svc, service.to_owned()]
    } else {
        vec![service.to_owned(), with_svc]
    })
}

/// The part of a host that is not shared with the end of the proxy's domain.
fn names_below(host: &str, proxy_domain: &str) -> Vec<String> {
    let labels: Vec<&str> = host.split('.').collect();
    let shared = labels
        .iter()
        .rev()
        .zip(proxy_domain.split('.').rev())
        .take_while(|(label, other)| *label == other)
        .count();
    let (own, shared) = labels.split_at(labels.len() - shared);
    let Some(first_shared) = shared.first() else { return Vec::new() };
    let unique = own.join(".");
    let with_shared = (own.len() == 2).then(|| format!("{unique}.{first_shared}"));
    std::iter::once(unique).chain(with_shared).collect()
}
