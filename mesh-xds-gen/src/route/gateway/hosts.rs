//! The hosts of a gateway's route configuration, collected one by one, and those with the same
//! routes put together.
//!
//! # Upstream
//!
//! istio/istio `pilot/pkg/networking/core/gateway.go` `buildGatewayHTTPRouteConfig`,
//! `collapseDuplicateRoutes`.
use std::collections::BTreeMap;

use mesh_envoy_proto::envoy::config::route::v3::virtual_host::TlsRequirementType;
use mesh_envoy_proto::envoy::config::route::v3::{Route, VirtualHost};
use mesh_model::name::Hostname;
use mesh_model::view::GatewayServer;

use super::super::translate::catch_all_last;
use crate::name::host_port;

/// The routes of one VirtualService of one Gateway, by number.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Bundle(pub(super) usize);

/// A host before it is written.
#[derive(Clone, Debug, Default)]
struct Host {
    /// The own port of the server that had it first.
    port: u16,
    /// Other hosts with the same routes.
    others: Vec<Hostname>,
    bundles: Vec<Bundle>,
    needs_tls: bool,
}

/// The hosts of one route configuration, in lower case.
#[derive(Clone, Debug, Default)]
pub(super) struct Hosts {
    found: BTreeMap<Hostname, Host>,
}

impl Hosts {
    pub(super) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// Appends routes to those of a host, repeats included.
    pub(super) fn add(&mut self, host: &str, server: &GatewayServer, bundle: Bundle) {
        let host = self.entry(host, server);
        host.bundles.push(bundle);
        host.needs_tls |= server.redirects();
    }

    /// Sends requests for a host to HTTPS, whether it has routes or not.
    ///
    /// A host with a namespace keeps it here, as upstream, so that no request matches.
    pub(super) fn redirect(&mut self, host: &str, server: &GatewayServer) {
        self.entry(host, server).needs_tls = true;
    }

    fn entry(&mut self, host: &str, server: &GatewayServer) -> &mut Host {
        let host = Hostname::from(&*host.to_lowercase());
        let port = server.number;
        self.found.entry(host).or_insert_with(|| Host { port, ..Host::default() })
    }

    /// Writes the virtual hosts, by name.
    pub(super) fn finish(
        self,
        mut bundles: Vec<Vec<Route>>,
        attempt_count: bool,
    ) -> Vec<VirtualHost> {
        let collapsed = self.collapsed();
        let mut uses = vec![0_usize; bundles.len()];
        for bundle in collapsed.iter().flat_map(|(_, entry)| &entry.bundles) {
            uses.get_mut(bundle.0).into_iter().for_each(|uses| *uses += 1);
        }
        let written = collapsed.into_iter().map(|(host, entry)| {
            let domains = std::iter::once(&host).chain(&entry.others);
            let mut routes = Vec::new();
            for Bundle(at) in &entry.bundles {
                let left = uses.get_mut(*at).map(|uses| {
                    *uses = uses.saturating_sub(1);
                    *uses
                });
                // Who uses them last takes them.
                match (bundles.get_mut(*at), left) {
                    (Some(own), Some(0)) => routes.append(own),
                    (Some(own), _) => routes.extend_from_slice(own),
                    (None, _) => {}
                }
            }
            catch_all_last(&mut routes);
            let needs_tls =
                if entry.needs_tls { TlsRequirementType::All } else { TlsRequirementType::None };
            VirtualHost {
                name: host_port(host.as_str(), entry.port.into()),
                domains: domains.map(ToString::to_string).collect(),
                routes,
                require_tls: needs_tls.into(),
                include_request_attempt_count: attempt_count,
                ..VirtualHost::default()
            }
        });
        let mut written: Vec<VirtualHost> = written.collect();
        written.sort_by(|a, b| a.name.cmp(&b.name));
        written
    }

    /// Puts hosts with the same routes together, the most specific first. A host is compared with the
    /// last one of its routes that stood alone, as upstream, which remembers no other.
    fn collapsed(self) -> Vec<(Hostname, Host)> {
        let mut hosts: Vec<(Hostname, Host)> = self.found.into_iter().collect();
        hosts.sort_by(|(a, _), (b, _)| a.by_specificity(b));
        let mut known: BTreeMap<Vec<Bundle>, usize> = BTreeMap::new();
        let mut kept: Vec<(Hostname, Host)> = Vec::new();
        for (host, entry) in hosts {
            let place = known.get(&entry.bundles).copied();
            match place.and_then(|place| kept.get_mut(place)) {
                Some((_, first)) if first.needs_tls == entry.needs_tls => first.others.push(host),
                Some(_) | None => {
                    known.insert(entry.bundles.clone(), kept.len());
                    kept.push((host, entry));
                }
            }
        }
        kept
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use mesh_model::name::Protocol;
    use mesh_model::resource::gateway::{Server, ServerTlsSettings};

    use super::*;

    fn server(https_redirect: bool) -> GatewayServer {
        let tls = ServerTlsSettings { https_redirect, ..ServerTlsSettings::default() };
        GatewayServer {
            gateway: "ns/edge".into(),
            server: Arc::new(Server { tls: Some(tls), ..Server::default() }),
            protocol: Protocol::Http,
            number: 80,
            port: 8080,
            route: None,
        }
    }

    /// Checks the virtual hosts of hosts with the same routes; those with `!` are redirected.
    fn check(hosts: &[&str], expected: &[&str]) {
        let mut found = Hosts::default();
        for host in hosts {
            let redirects = host.ends_with('!');
            found.add(host.trim_end_matches('!'), &server(redirects), Bundle(0));
        }
        let found = found.finish(vec![Vec::new()], true);
        let domains = found.iter().map(|host| host.domains.join(" "));
        assert_eq!(domains.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn hosts_with_the_same_routes_are_one_virtual_host_of_the_most_specific() {
        check(&["b", "long", "a", "*"], &["long a b *"]);
    }

    #[test]
    fn upper_case_is_no_other_host() {
        check(&["A", "a"], &["a"]);
    }

    #[test]
    fn a_redirected_host_stands_alone_and_hides_those_before_it() {
        check(&["a", "b!", "c"], &["a", "b", "c"]);
        check(&["a", "b", "c!"], &["a b", "c"]);
    }
}
