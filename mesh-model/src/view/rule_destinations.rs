//! Which hosts and ports a VirtualService sends to.
//!
//! # Upstream
//!
//! istio/istio `pilot/pkg/model/push_context.go` `virtualServiceDestinations`,
//! `virtualServiceDestinationsFilteredBySourceNamespace`.
use std::collections::{BTreeMap, BTreeSet};

use crate::name::Namespace;
use crate::resource::VirtualService;
use crate::resource::virtual_service::HttpRoute;

/// Whose requests are meant.
#[derive(Clone, Copy, Debug)]
pub(super) enum Source<'n> {
    /// Anyone's.
    Any,
    /// Those of workloads of a namespace.
    Namespace(&'n Namespace),
}

impl Source<'_> {
    /// Whether a route can be for requests of the source: its matches name no source namespaces, or
    /// the source's among them. A match that names none does not rescue the others.
    fn may_take(self, route: &HttpRoute) -> bool {
        let Self::Namespace(own) = self else { return true };
        let names = route.matches.iter().map(|entry| &*entry.source_namespace);
        let mut named = names.filter(|name| !name.is_empty()).peekable();
        named.peek().is_none() || named.any(|name| name == own.as_str())
    }
}

/// The hosts that a VirtualService sends to, or copies to, with the ports that it names, 0 where it names
/// none, by host. Routes of HTTP that are not for the source are left out.
pub(super) fn destinations<'r>(
    rule: &'r VirtualService,
    source: Source<'_>,
) -> BTreeMap<&'r str, BTreeSet<u32>> {
    let spec = &rule.spec;
    let http = spec.http.iter().filter(|route| source.may_take(route)).flat_map(|route| {
        let routed = route.route.iter().filter_map(|entry| entry.destination.as_ref());
        let mirrors = route.mirrors.iter().filter_map(|entry| entry.destination.as_ref());
        routed.chain(&route.mirror).chain(mirrors)
    });
    let tcp = spec.tcp.iter().flat_map(|route| &route.route);
    let tls = spec.tls.iter().flat_map(|route| &route.route);
    let streams = tcp.chain(tls).filter_map(|entry| entry.destination.as_ref());
    let mut found: BTreeMap<&str, BTreeSet<u32>> = BTreeMap::new();
    for destination in http.chain(streams) {
        let port = destination.port.as_ref().map_or(0, |port| port.number);
        found.entry(&destination.host).or_default().insert(port);
    }
    found
}
