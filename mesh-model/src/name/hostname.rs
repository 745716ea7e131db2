//! Host names and the three relations between them.
use std::cmp::Ordering;

use super::cluster::name;

name! {
    /// A host name, possibly a wildcard: a text whose first byte is `*`.
    ///
    /// Comparison is byte by byte; nothing is folded to lower case. Any text is allowed, as rules
    /// may name hosts that no service has.
    Hostname
}

impl Hostname {
    /// Returns whether the name begins with `*`.
    pub fn is_wildcard(&self) -> bool {
        is_wildcard(self.as_str())
    }

    /// Returns whether some host could match both: two wildcards overlap if the shorter covers the
    /// longer, a wildcard covers what ends with its suffix.
    ///
    /// `*` matches everything, also the empty name; `*.foo.com` does not match `foo.com`.
    ///
    /// # Upstream
    ///
    /// istio/istio `pkg/config/host/name.go` `Name.Matches`.
    pub fn matches(&self, other: &str) -> bool {
        let this = self.as_str();
        match (suffix(this), suffix(other)) {
            (Some(a), Some(b)) => a.ends_with(b) || b.ends_with(a),
            (Some(a), None) => other.ends_with(a),
            (None, Some(b)) => this.ends_with(b),
            (None, None) => this == other,
        }
    }

    /// Returns whether every host that this name covers is covered by `other`.
    ///
    /// # Upstream
    ///
    /// istio/istio `pkg/config/host/name.go` `Name.SubsetOf`.
    pub fn is_subset_of(&self, other: &str) -> bool {
        let this = self.as_str();
        match (suffix(this), suffix(other)) {
            (Some(a), Some(b)) => this.len() >= other.len() && a.ends_with(b),
            (Some(_), None) => false,
            (None, Some(b)) => this.ends_with(b),
            (None, None) => this == other,
        }
    }

    /// Orders by specificity: names before wildcards, then the longer first, then by bytes.
    ///
    /// # Upstream
    ///
    /// istio/istio `pkg/config/host/names.go` `Names.Less`.
    pub fn by_specificity(&self, other: &Self) -> Ordering {
        let rank = |name: &Self| (name.is_wildcard(), std::cmp::Reverse(name.as_str().len()));
        rank(self).cmp(&rank(other)).then_with(|| self.cmp(other))
    }

    /// Returns whether this name comes before `other` by specificity; of two empty names either does.
    ///
    /// # Upstream
    ///
    /// istio/istio `pkg/config/host/names.go` `MoreSpecific`.
    pub fn is_more_specific_than(&self, other: &Self) -> bool {
        let are_empty = self.as_str().is_empty() && other.as_str().is_empty();
        are_empty || self.by_specificity(other) == Ordering::Less
    }

    /// Completes a short name with the namespace and domain of the object that wrote it.
    ///
    /// Names with a dot, `*`, the empty name and IP addresses stay as they are, so `reviews.ns2`
    /// is not completed.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/model/config.go` `ResolveShortnameToFQDN`.
    pub fn resolve(text: &str, namespace: &str, domain: &str) -> Self {
        let complete = text.is_empty()
            || text == "*"
            || text.contains('.')
            || text.parse::<std::net::IpAddr>().is_ok();
        if complete {
            return Self::from(text);
        }
        let mut resolved = text.to_owned();
        if !namespace.is_empty() {
            resolved.push('.');
            resolved.push_str(namespace);
        }
        if !domain.is_empty() {
            resolved.push_str(".svc.");
            resolved.push_str(domain);
        }
        Self::from(resolved.as_str())
    }
}

/// Returns whether a host name begins with `*`.
fn is_wildcard(name: &str) -> bool {
    name.starts_with('*')
}

/// What every host covered by a wildcard ends with; `None` for a name that is no wildcard.
fn suffix(name: &str) -> Option<&str> {
    name.strip_prefix('*')
}

/// Returns the most specific of `hosts` for `needle`: itself, else the most specific wildcard that
/// covers it. A needle that is a wildcard is covered by wildcards only.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/model/config.go` `MostSpecificHostMatch`.
pub fn most_specific<'h>(
    needle: &Hostname,
    hosts: impl IntoIterator<Item = &'h Hostname>,
) -> Option<&'h Hostname> {
    let text = suffix(needle.as_str()).unwrap_or(needle.as_str());
    hosts
        .into_iter()
        .filter(|host| match suffix(host.as_str()) {
            Some(suffix) => text.ends_with(suffix),
            None => *host == needle,
        })
        .min_by(|a, b| {
            // The needle itself beats every wildcard, also a longer one.
            (*a != needle).cmp(&(*b != needle)).then_with(|| a.by_specificity(b))
        })
}

/// Returns the names that both lists cover: of each pair of which one is within the other that one,
/// in the order of `a`, then of `b`, each once.
///
/// # Upstream
///
/// istio/istio `pkg/config/host/names.go` `Names.Intersection`.
pub fn common_hosts<'h>(a: &'h [Hostname], b: &'h [Hostname]) -> Vec<&'h Hostname> {
    let mut common = Vec::new();
    for (one, other) in a.iter().flat_map(|one| b.iter().map(move |other| (one, other))) {
        let within = if one.is_subset_of(other.as_str()) {
            one
        } else if other.is_subset_of(one.as_str()) {
            other
        } else {
            continue;
        };
        if !common.contains(&within) {
            common.push(within);
        }
    }
    common
}

/// Returns the hosts of a list of `[namespace/]host` that are for a namespace: those without one, or
/// with `*` or that very namespace.
///
/// # Upstream
///
/// istio/istio `pkg/config/host/names.go` `NamesForNamespace`.
pub fn hosts_for_namespace<'h>(
    hosts: impl IntoIterator<Item = &'h str>,
    namespace: &str,
) -> Vec<Hostname> {
    let host = |entry: &'h str| {
        let mut parts = entry.split('/');
        match (parts.next(), parts.next()) {
            (Some(owner), Some(host)) => (owner == "*" || owner == namespace).then_some(host),
            _ => Some(entry),
        }
    };
    hosts.into_iter().filter_map(host).map(Hostname::from).collect()
}

/// Returns whether a text names a namespace, or anything else that is one label in small letters: 1 to 63
/// of `[a-z0-9-]`, not beginning or ending with `-`.
///
/// # Upstream
///
/// kubernetes/apimachinery `pkg/util/validation/validation.go` `IsDNS1123Label`.
pub fn is_dns_label(text: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=63).contains(&text.len())
        && text.bytes().all(is_letter)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Hostname {
        Hostname::from(text)
    }

    #[test]
    fn a_wildcard_covers_what_ends_with_its_suffix() {
        assert!(name("*.foo.com").matches("a.foo.com"));
        assert!(!name("*.foo.com").matches("foo.com"));
        assert!(name("*foo.com").matches("foo.com"));
        assert!(name("*").matches(""));
        assert!(name("a.foo.com").is_subset_of("*.foo.com"));
        assert!(!name("*.foo.com").is_subset_of("a.foo.com"));
    }

    #[test]
    fn short_names_are_completed_and_half_qualified_ones_are_not() {
        assert_eq!(
            Hostname::resolve("cart", "shop", "cluster.local"),
            "cart.shop.svc.cluster.local"
        );
        assert_eq!(Hostname::resolve("cart.shop", "shop", "cluster.local"), "cart.shop");
        assert_eq!(Hostname::resolve("::1", "shop", "cluster.local"), "::1");
    }

    #[test]
    fn the_most_specific_host_is_itself_or_the_longest_wildcard() {
        let hosts = ["*", "*.com", "*.foo.com", "a.foo.com"].map(name);
        let find = |needle| most_specific(&name(needle), &hosts).map(Hostname::as_str);
        assert_eq!(find("a.foo.com"), Some("a.foo.com"));
        assert_eq!(find("b.foo.com"), Some("*.foo.com"));
        assert_eq!(find("*.a.foo.com"), Some("*.foo.com"));
        assert_eq!(find("x"), Some("*"));
    }
    #[test]
    fn lists_have_in_common_what_one_covers_of_the_other() {
        let (a, b) = (["*.com", "a.org"].map(name), ["foo.com", "*", "foo.com"].map(name));
        let common: Vec<_> = common_hosts(&a, &b).into_iter().map(Hostname::as_str).collect();
        assert_eq!(common, ["foo.com", "*.com", "a.org"]);
    }

    #[test]
    fn hosts_of_other_namespaces_are_left_out() {
        let hosts = hosts_for_namespace(["a/x.com", "*/y.com", "z.com", "b/w.com"], "a");
        assert_eq!(hosts, ["x.com", "y.com", "z.com"].map(name));
    }
}
