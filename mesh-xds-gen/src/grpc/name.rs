//! By which names gRPC programs ask for listeners.
//!
//! # Upstream
//!
//! istio/istio `pilot/pkg/networking/grpcgen/lds.go` `newListenerNameFilter`, `tryFindFQDN`.
use std::collections::{BTreeMap, BTreeSet};

use mesh_model::view::Proxy;

/// What the names of servers' listeners begin with; an address and port follow.
pub const INBOUND_PREFIX: &str = "xds.istio.io/grpc/lds/inbound/";

/// The names that were asked for, by the host that each stands for.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ListenerNames {
    by_host: BTreeMap<String, Wanted>,
}

/// What is asked of one host.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "a value that callers read")]
pub struct Wanted {
    /// The forms in which it was named, without port.
    pub requested: BTreeSet<String>,
    /// The ports, as text; none: all.
    pub ports: BTreeSet<String>,
}

impl Wanted {
    /// Whether a port is asked for.
    pub fn has_port(&self, port: u16) -> bool {
        self.ports.is_empty() || self.ports.contains(&port.to_string())
    }
}

impl ListenerNames {
    /// Sorts names by host: each as it stands and, if it is short, also in full. A host that is once
    /// named without port is asked for with all of them.
    pub fn new<'n>(names: impl IntoIterator<Item = &'n str>, proxy: &Proxy) -> Self {
        Self::of(names, proxy.namespace.as_str(), &proxy.dns_domain)
    }

    /// The same for a namespace and the domain in which short names are resolved.
    pub fn of<'n>(
        names: impl IntoIterator<Item = &'n str>,
        namespace: &str,
        dns_domain: &str,
    ) -> Self {
        let mut found = Self::default();
        for name in names {
            if name.starts_with(INBOUND_PREFIX) {
                found.by_host.insert(name.to_owned(), Wanted::of(name));
                continue;
            }
            let (host, port) = match split_host_port(name) {
                Some((host, port)) => (host, Some(port)),
                None => (name, None),
            };
            let full = expand(host, namespace, dns_domain);
            for key in std::iter::once(host.to_owned()).chain(full) {
                found.add(key, host, port);
            }
        }
        found
    }

    fn add(&mut self, key: String, requested: &str, port: Option<&str>) {
        match (self.by_host.get_mut(&key), port) {
            (None, port) => {
                let mut wanted = Wanted::of(requested);
                wanted.ports.extend(port.map(str::to_owned));
                self.by_host.insert(key, wanted);
            }
            (Some(wanted), port) => {
                wanted.requested.insert(requested.to_owned());
                match port {
                    // Without ports all are asked for already.
                    Some(port) if !wanted.ports.is_empty() => {
                        wanted.ports.insert(port.to_owned());
                    }
                    Some(_) => {}
                    None => wanted.ports.clear(),
                }
            }
        }
    }

    /// What is asked of each host, by host; servers' listeners are among them, by their whole name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Wanted)> {
        self.by_host.iter().map(|(host, wanted)| (host.as_str(), wanted))
    }

    /// What is asked of a host; without any name everything is.
    pub fn of_host(&self, host: &str) -> Option<Wanted> {
        if self.by_host.is_empty() {
            return Some(Wanted::of(host));
        }
        self.by_host.get(host).cloned()
    }

    /// The names of servers' listeners, in order.
    pub fn inbound(&self) -> impl Iterator<Item = &str> {
        let names = self.by_host.keys().map(String::as_str);
        names.filter(|name| name.starts_with(INBOUND_PREFIX))
    }
}

impl Wanted {
    fn of(name: &str) -> Self {
        Self { requested: BTreeSet::from([name.to_owned()]), ports: BTreeSet::new() }
    }
}

/// Returns the full form of a short name: `NAME`, `NAME.NAMESPACE` and `NAME.NAMESPACE.svc` in the
/// domain of the proxy; `None` for any other.
///
/// # Examples
///
/// ```
/// # use mesh_xds_gen::grpc::name::expand;
/// let domain = "shop.svc.cluster.local";
/// assert_eq!(expand("cart", "shop", domain).as_deref(), Some("cart.shop.svc.cluster.local"));
/// assert_eq!(expand("cart.shop", "shop", domain).as_deref(), Some("cart.shop.svc.cluster.local"));
/// assert_eq!(expand("cart.com", "shop", domain), None);
/// ```
///
/// # Upstream
///
/// istio/istio `pilot/pkg/networking/grpcgen/lds.go` `tryFindFQDN`.
pub fn expand(name: &str, namespace: &str, dns_domain: &str) -> Option<String> {
    if !name.contains('.') {
        return Some(format!("{name}.{dns_domain}"));
    }
    [namespace.to_owned(), format!("{namespace}.svc")].into_iter().find_map(|suffix| {
        let short = name.strip_suffix(&suffix)?.strip_suffix('.')?;
        dns_domain.starts_with(&suffix).then(|| format!("{short}.{dns_domain}"))
    })
}

/// Splits `HOST:PORT`, an IPv6 address in brackets; `None` for what has no port.
///
/// # Upstream
///
/// Go's `net.SplitHostPort`.
pub(super) fn split_host_port(text: &str) -> Option<(&str, &str)> {
    if let Some(rest) = text.strip_prefix('[') {
        let (host, port) = rest.split_once("]:")?;
        return (!host.contains(['[', ']']) && !port.contains([':', '[', ']']))
            .then_some((host, port));
    }
    let (host, port) = text.rsplit_once(':')?;
    (!text.contains(['[', ']']) && !host.contains(':')).then_some((host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(names: &[&str], expected: &str) {
        let found = ListenerNames::of(names.iter().copied(), "shop", "shop.svc.cluster.local");
        let lines: Vec<String> = found
            .iter()
            .map(|(host, wanted)| {
                let join =
                    |set: &BTreeSet<String>| set.iter().cloned().collect::<Vec<_>>().join(",");
                format!("{host}={}:{}", join(&wanted.requested), join(&wanted.ports))
            })
            .collect();
        assert_eq!(lines.join(" "), expected);
    }

    #[test]
    fn a_short_name_is_asked_for_in_both_forms_and_answered_in_its_own() {
        check(&["cart:80"], "cart=cart:80 cart.shop.svc.cluster.local=cart:80");
        check(
            &["cart.shop:80", "cart.shop.svc.cluster.local:81"],
            "cart.shop=cart.shop:80 \
             cart.shop.svc.cluster.local=cart.shop,cart.shop.svc.cluster.local:80,81",
        );
    }

    #[test]
    fn a_host_without_port_is_asked_for_with_all_of_them() {
        check(&["a.com:80", "a.com"], "a.com=a.com:");
        check(&["a.com", "a.com:80"], "a.com=a.com:");
        check(&["a.com:80", "a.com:81"], "a.com=a.com:80,81");
    }

    #[test]
    fn servers_are_named_whole() {
        let name = "xds.istio.io/grpc/lds/inbound/[::]:80";
        check(&[name], &format!("{name}={name}:"));
    }

    #[test]
    fn a_port_follows_the_only_colon() {
        assert_eq!(split_host_port("a:1"), Some(("a", "1")));
        assert_eq!(split_host_port("[::1]:1"), Some(("::1", "1")));
        for text in ["a", "::1", "2001:db8::1:80", "[::1]", "[::1]1", "[a:1"] {
            assert_eq!(split_host_port(text), None, "{text}");
        }
    }
}
