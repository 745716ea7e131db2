//! Which hosts the `hosts` of a Sidecar's egress listener select.
//!
//! # Upstream
//!
//! istio/istio `pilot/pkg/model/sidecar.go` `IstioEgressListenerWrapper`, `hostClassification`,
//! `convertIstioListenerToWrapper`, `selectServices`.
use std::collections::BTreeMap;

use crate::name::{Hostname, Namespace};

const ANY: &str = "*";

/// The entries of `hosts`, by the namespace that they name (`*`: any).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct HostSelection {
    included: BTreeMap<Box<str>, Vec<Hostname>>,
    excluded: BTreeMap<Box<str>, Vec<Hostname>>,
}

impl HostSelection {
    /// Everything (`*/*`).
    pub fn everything() -> Self {
        Self::new(["*/*"], &Namespace::default())
    }

    /// Reads entries `namespace/host`: `.` is the workload's namespace, `*` any, a leading `~`
    /// excludes (`~/host` from every namespace). Entries without exactly one `/` are ignored.
    pub fn new<'h>(hosts: impl IntoIterator<Item = &'h str>, own: &Namespace) -> Self {
        let mut selection = Self::default();
        for entry in hosts {
            let Some((namespace, host)) = entry.split_once('/') else { continue };
            if host.contains('/') {
                continue;
            }
            let (map, namespace) = match namespace.strip_prefix('~') {
                Some("") => (&mut selection.excluded, ANY),
                Some(namespace) => (&mut selection.excluded, namespace),
                None => (&mut selection.included, namespace),
            };
            let namespace = if namespace == "." { own.as_str() } else { namespace };
            map.entry(namespace.into()).or_default().push(Hostname::from(host));
        }
        selection
    }

    /// Returns whether a service is selected: not excluded, and its host is an entry of its
    /// namespace's list or of the `*` list, or inside a wildcard of it.
    pub fn selects(&self, host: &Hostname, namespace: &Namespace) -> bool {
        !self.excludes(host, namespace)
            && lists(&self.included, namespace).any(|hosts| is_within(hosts, host))
    }

    /// Returns whether a selected service keeps an alias: the list that selects the service has it too. That is the
    /// one of its namespace, where both have the service; what is excluded does not matter.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/model/sidecar.go` `selectServices`, `matchingAliasService`.
    pub fn keeps_alias(&self, alias: &Hostname, host: &Hostname, namespace: &Namespace) -> bool {
        let selecting = lists(&self.included, namespace).find(|hosts| is_within(hosts, host));
        selecting.is_some_and(|hosts| is_within(hosts, alias))
    }

    /// Returns whether a `VirtualService` with this host is selected: an entry matches it in either
    /// direction, so that `*/a.foo.com` selects one for `*.foo.com`.
    pub fn selects_rule(&self, host: &Hostname, namespace: &Namespace) -> bool {
        let matches = |hosts: &[Hostname]| hosts.iter().any(|entry| host.matches(entry.as_str()));
        !self.excludes(host, namespace) && lists(&self.included, namespace).any(matches)
    }

    /// Returns whether an entry with `~` takes the host away.
    fn excludes(&self, host: &Hostname, namespace: &Namespace) -> bool {
        let within =
            |hosts: &[Hostname]| hosts.iter().any(|entry| host.is_subset_of(entry.as_str()));
        lists(&self.excluded, namespace).any(within)
    }

    /// Returns the entries as namespace and host if each names one host of one namespace, without
    /// wildcards: then services are looked up one by one.
    pub fn exact(&self) -> Option<impl Iterator<Item = (&str, &Hostname)>> {
        let is_exact = self.included.iter().all(|(namespace, hosts)| {
            &**namespace != ANY && hosts.iter().all(|host| !host.is_wildcard())
        });
        is_exact.then(|| {
            self.included
                .iter()
                .flat_map(|(namespace, hosts)| hosts.iter().map(move |host| (&**namespace, host)))
        })
    }
}

/// Whether a host is an entry of a list, or inside a wildcard of it.
fn is_within(hosts: &[Hostname], host: &Hostname) -> bool {
    hosts
        .iter()
        .any(|entry| host == entry || (entry.is_wildcard() && host.is_subset_of(entry.as_str())))
}

/// The lists that concern a namespace: its own, then that for any.
fn lists<'m>(
    map: &'m BTreeMap<Box<str>, Vec<Hostname>>,
    namespace: &Namespace,
) -> impl Iterator<Item = &'m [Hostname]> {
    [map.get(namespace.as_str()), map.get(ANY)].into_iter().flatten().map(Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(hosts: &[&str], host: &str, namespace: &str, expected: bool) {
        let selection = HostSelection::new(hosts.iter().copied(), &Namespace::from("own"));
        let selected = selection.selects(&Hostname::from(host), &Namespace::from(namespace));
        assert_eq!(selected, expected, "{hosts:?} {namespace}/{host}");
    }

    #[test]
    fn entries_select_by_namespace_and_host() {
        check(&["./*"], "a.own.svc.cluster.local", "own", true);
        check(&["./*"], "a.b.svc.cluster.local", "b", false);
        check(&["*/*.b.svc.cluster.local"], "a.b.svc.cluster.local", "b", true);
        check(&["b/a.com"], "*.com", "b", false);
        check(&["a.com"], "a.com", "own", false);
    }

    #[test]
    fn a_tilde_takes_hosts_away() {
        check(&["*/*", "~b/*.com"], "a.com", "b", false);
        check(&["*/*", "~b/*.com"], "a.com", "c", true);
        check(&["*/*", "~/a.com"], "a.com", "c", false);
    }

    #[test]
    fn a_rule_is_selected_in_either_direction() {
        let selection = HostSelection::new(["*/a.foo.com"], &Namespace::default());
        assert!(selection.selects_rule(&Hostname::from("*.foo.com"), &Namespace::from("x")));
        assert!(!selection.selects_rule(&Hostname::from("*.bar.com"), &Namespace::from("x")));
    }
}
