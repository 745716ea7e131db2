//! The route configurations of clients: the virtual hosts of one host and port.
//!
//! # Upstream
//!
//! istio/istio `pilot/pkg/networking/grpcgen/rds.go` `buildHTTPRoute`,
//! `filterVirtualHostsForHostname`.
use std::collections::BTreeSet;

use mesh_envoy_proto::envoy::config::route::v3::{RouteConfiguration, VirtualHost};
use mesh_model::name::Hostname;
use mesh_model::view::ProxyView;

use super::name::split_host_port;
use crate::name::SubsetKey;
use crate::route::outbound_virtual_hosts;

/// Returns the route configurations of these names, by name; a name without host or port gets none.
///
/// A host's configuration has its virtual hosts in the order in which they are built, those of
/// VirtualServices first, and nothing for other hosts.
pub fn routes<'n>(
    view: &ProxyView<'_>,
    names: impl IntoIterator<Item = &'n str>,
) -> Vec<RouteConfiguration> {
    let names: BTreeSet<&str> = names.into_iter().collect();
    names.into_iter().filter_map(|name| configuration(view, name)).collect()
}

fn configuration(view: &ProxyView<'_>, name: &str) -> Option<RouteConfiguration> {
    let key = SubsetKey::parse(name);
    let port = u32::try_from(key.port).ok().filter(|&port| port != 0)?;
    if key.host.is_empty() {
        return None;
    }
    let wanted = Wanted::new(key.host, port);
    let hosts = outbound_virtual_hosts(view, name, port);
    Some(RouteConfiguration {
        name: name.to_owned(),
        virtual_hosts: hosts.into_iter().filter(|host| wanted.is_of(host)).collect(),
        ..RouteConfiguration::default()
    })
}

/// The host and port of a client's target.
struct Wanted {
    /// As a domain has it: an IPv6 address in brackets.
    host: String,
    host_port: String,
    name: Hostname,
    port: String,
}

impl Wanted {
    fn new(host: &str, port: u32) -> Self {
        let lower = host.to_lowercase();
        let host = if lower.contains(':') { format!("[{lower}]") } else { lower.clone() };
        let host_port = format!("{host}:{port}");
        Self { host_port, host, name: Hostname::from(&*lower), port: port.to_string() }
    }

    fn is_of(&self, host: &VirtualHost) -> bool {
        host.domains.iter().any(|domain| self.is_in(&domain.to_lowercase()))
    }

    fn is_in(&self, domain: &str) -> bool {
        if *domain == self.host || *domain == self.host_port {
            return true;
        }
        let (host, port) = split_host_port(domain).unwrap_or((domain, ""));
        let is_port = port.is_empty() || *port == self.port;
        is_port
            && (*host == self.host
                || (host.starts_with('*') && Hostname::from(host).matches(self.name.as_str())))
    }
}
