//! By which names a proxy's requests reach a service.
//!
//! # Upstream
//!
//! istio/istio `pilot/pkg/networking/core/httproute.go` `generateVirtualHostDomains`,
//! `GenerateAltVirtualHosts`.
use std::net::IpAddr;
use std::ops::Range;

use mesh_model::registry::UNSPECIFIED;

/// What stands between a service and the domain of its cluster.
const SVC: &str = ".svc.";
/// So many bytes the domains of a service take, or less.
const USUAL: usize = 192;

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
        let list = DomainList::of(names);
        let all = list.iter().map(str::to_owned).collect();
        let alternates = list.domains.iter().filter(|domain| domain.is_alternate);
        let alternates = alternates.map(|domain| list.text(domain).to_owned()).collect();
        Self { all, alternates }
    }
}

/// The same, one text behind the other: there are many of them, and most are soon thrown away.
#[derive(Clone, Debug, Default)]
pub(super) struct DomainList {
    text: String,
    domains: Vec<Domain>,
}

#[derive(Clone, Debug)]
struct Domain {
    range: Range<usize>,
    is_alternate: bool,
}

impl DomainList {
    /// Returns the domains of a service: see [`Domains::of`].
    pub(super) fn of(names: &ServiceNames<'_>) -> Self {
        let port = names.port.map(|port| port.to_string());
        let port = port.as_deref();
        let mut list = Self { text: String::with_capacity(USUAL), domains: Vec::with_capacity(8) };
        for host in names.hosts {
            list.push(host, port, false);
            list.push_alternates(host, port, names.proxy_domain);
        }
        if names.headless {
            for index in 0..list.domains.len() {
                let start = list.text.len();
                list.text.push_str("*.");
                if let Some(domain) = list.domains.get(index) {
                    list.text.extend_from_within(domain.range.clone());
                }
                list.end(start, false);
            }
        }
        let usable = names.addresses.iter();
        for address in usable.filter(|address| !matches!(**address, "" | UNSPECIFIED)) {
            list.push(address, port, false);
        }
        list
    }

    /// The domains of a host that no service has: it, and where one is given with a port.
    pub(super) fn of_host(host: &str, port: Option<u32>) -> Self {
        let mut list = Self::default();
        list.push(host, port.map(|port| port.to_string()).as_deref(), false);
        list
    }

    /// Every domain.
    pub(super) fn any() -> Self {
        let mut list = Self::default();
        list.add(&["*"], false);
        list
    }

    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &str> + ExactSizeIterator {
        self.domains.iter().map(|domain| self.text(domain))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.domains.is_empty()
    }

    /// Whether a domain is a short or absolute form of some name.
    pub(super) fn is_alternate(&self, text: &str) -> bool {
        self.domains.iter().any(|domain| domain.is_alternate && self.text(domain) == text)
    }

    /// Keeps only some of the domains.
    pub(super) fn retain(&mut self, mut keeps: impl FnMut(&str) -> bool) {
        let Self { text, domains } = self;
        domains.retain(|domain| keeps(text.get(domain.range.clone()).unwrap_or_default()));
    }

    fn text(&self, domain: &Domain) -> &str {
        self.text.get(domain.range.clone()).unwrap_or_default()
    }

    /// Adds a name, and once more with the port where one is wanted.
    fn push(&mut self, name: &str, port: Option<&str>, is_alternate: bool) {
        if name.contains(':') {
            self.add(&["[", name, "]"], is_alternate);
        } else {
            self.add(&[name], is_alternate);
        }
        self.push_with_port(&[name], port, is_alternate);
    }

    /// Adds a name with the port where one is wanted.
    fn push_with_port(&mut self, name: &[&str], port: Option<&str>, is_alternate: bool) {
        let Some(port) = port else { return };
        let is_v6 = name.iter().any(|part| part.contains(':'));
        let [open, close] = if is_v6 { ["[", "]:"] } else { ["", ":"] };
        self.add(&[&[open], name, &[close, port]].concat(), is_alternate);
    }

    fn add(&mut self, parts: &[&str], is_alternate: bool) {
        let start = self.text.len();
        parts.iter().for_each(|part| self.text.push_str(part));
        self.end(start, is_alternate);
    }

    fn end(&mut self, start: usize, is_alternate: bool) {
        self.domains.push(Domain { range: start..self.text.len(), is_alternate });
    }

    /// Adds the absolute form of a host, and those that resolve to it within the proxy's domain.
    fn push_alternates(&mut self, host: &str, port: Option<&str>, proxy_domain: &str) {
        if host.parse::<IpAddr>().is_err() {
            self.add(&[host, "."], true);
        }
        // Upstream does this for addresses too.
        self.push_with_port(&[host, "."], port, true);
        match split_at_svc(proxy_domain) {
            Some((namespace, domain)) => {
                for name in kubernetes_names(host, namespace, domain).into_iter().flatten() {
                    self.push(name, port, true);
                }
            }
            None => {
                for name in names_below(host, proxy_domain) {
                    self.push(&name, port, true);
                }
            }
        }
    }
}

/// What stands before and behind the first `.svc.`, which is looked for byte by byte: hosts are short.
fn split_at_svc(text: &str) -> Option<(&str, &str)> {
    let at = text.as_bytes().windows(SVC.len()).position(|window| window == SVC.as_bytes())?;
    Some((text.get(..at)?, text.get(at + SVC.len()..)?))
}

/// The forms of `NAME.NAMESPACE.svc.DOMAIN`, the name alone only within its namespace; `None` for any
/// other host.
fn kubernetes_names<'h>(
    host: &'h str,
    own_namespace: &str,
    domain: &str,
) -> Option<impl Iterator<Item = &'h str>> {
    host.strip_suffix(domain)?.strip_suffix(SVC)?;
    let (service, _) = split_at_svc(host)?;
    let (name, namespace) = service.split_once('.')?;
    // What stands before `.svc.`, and the same with `.svc`.
    let with_svc = host.get(..service.len() + SVC.len() - 1)?;
    let names = if namespace == own_namespace {
        [Some(name), Some(with_svc), Some(service)]
    } else {
        [Some(service), Some(with_svc), None]
    };
    Some(names.into_iter().flatten())
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
