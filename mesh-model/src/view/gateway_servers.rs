//! The servers of a gateway proxy: those of all Gateways that are for it, merged port by port.
//!
//! ```text
//! Gateways, oldest first ──selector──▶ servers ──service port to target port──▶ groups a listener is
//!                                                      conflicts are left out    made of, and routes
//! ```
//!
//! # Upstream
//!
//! istio/istio `pilot/pkg/model/gateway.go` `mergeGateways`; `push_context.go` `mergeGateways`.
mod merge;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{ProxyKind, ProxyView, ServiceTarget};
use crate::name::{Hostname, Namespace, Protocol};
use crate::registry::is_discovered;
use crate::resource::Gateway;
use crate::resource::gateway::{Server, ServerTlsMode};

/// The annotation by which a Gateway names the services that it is for, instead of labels.
const SERVICE: &str = "internal.istio.io/gateway-service";
/// The label of a service whose ports Gateways do not mean.
const NO_TRANSLATION: &str = "experimental.istio.io/disable-gateway-port-translation";

/// The servers of one gateway proxy.
#[derive(Clone, Debug, Default)]
pub struct GatewayServers {
    servers: Vec<GatewayServer>,
    groups: Vec<ServerGroup>,
    routes: BTreeMap<ServerRoute, Vec<usize>>,
    passes_mutual_tls: bool,
}

/// A server on the port that is listened on for it.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "a value that generators read")]
pub struct GatewayServer {
    /// The Gateway, as `NAMESPACE/NAME`.
    pub gateway: Box<str>,
    /// The server; its hosts are `HOST` or `NAMESPACE/HOST`.
    pub server: Arc<Server>,
    /// What is spoken.
    pub protocol: Protocol,
    /// The server's own port.
    pub number: u16,
    /// The port that is listened on.
    pub port: u16,
    /// The routes of its requests; `None` if they are not read.
    pub route: Option<ServerRoute>,
}

/// Servers of one port, protocol and bind.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "a value that generators read")]
pub struct ServerGroup {
    /// The port that is listened on.
    pub port: u16,
    /// What is spoken.
    pub protocol: Protocol,
    /// The address, empty for any.
    pub bind: Box<str>,
    /// The routes of plain-text requests; those of TLS are with each server.
    pub route: Option<ServerRoute>,
    /// The servers in order, as numbers of [`GatewayServers::server`].
    pub servers: Vec<usize>,
}

/// What the routes of servers are told apart by.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[expect(clippy::exhaustive_enums, reason = "generators name every kind")]
pub enum ServerRoute {
    /// Plain-text requests of all servers at an address.
    Http {
        /// The port that is listened on.
        port: u16,
        /// The address, empty for any.
        bind: Box<str>,
    },
    /// Requests of one server that terminates TLS.
    Https {
        /// The server's own port.
        port: u16,
        /// The name of the server's port.
        port_name: Box<str>,
        /// The name of the Gateway.
        gateway: Box<str>,
        /// The namespace of the Gateway.
        namespace: Namespace,
        /// The address, empty for any.
        bind: Box<str>,
    },
}

/// Which hosts chains of one port are already told apart by, and at which address.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/model/gateway.go` `CheckDuplicates`.
#[derive(Clone, Debug, Default)]
pub struct ClaimedHosts {
    // Of each host the address that claimed it last, as upstream.
    binds: BTreeMap<Box<str>, Box<str>>,
}

impl ClaimedHosts {
    /// Claims hosts at an address; claims none and returns false if one of them is taken there.
    pub fn claim(&mut self, hosts: &[Box<str>], bind: &str) -> bool {
        let taken = |host: &str| self.binds.get(host).is_some_and(|known| **known == *bind);
        if hosts.iter().any(|host| taken(host)) {
            return false;
        }
        self.binds.extend(hosts.iter().map(|host| (host.clone(), bind.into())));
        true
    }
}

impl GatewayServer {
    /// Whether TLS is passed on, to what a rule says or to what the server name spells.
    pub fn passes_tls(&self) -> bool {
        self.server.tls.as_ref().is_some_and(|tls| passes_tls(tls.mode))
    }

    /// Whether bytes are TLS that is terminated or passed on; a redirect to HTTPS is not.
    pub fn is_tls(&self) -> bool {
        self.server.tls.is_some() && !self.protocol.is_http()
    }

    /// Whether TLS is terminated and requests are read.
    pub fn is_terminated_https(&self) -> bool {
        self.is_https() && self.server.tls.is_some()
    }

    /// Whether requests are told to come back over TLS.
    pub fn redirects(&self) -> bool {
        self.server.tls.as_ref().is_some_and(|tls| tls.https_redirect)
    }

    /// The server names that tell its connections from others: its hosts, sorted; none without TLS.
    pub fn sni_hosts(&self) -> Vec<String> {
        let own = |host: &str| match host.split_once('/') {
            Some((_, host)) => host.split('/').next().unwrap_or_default().to_owned(),
            None => host.to_owned(),
        };
        let hosts = self.server.tls.iter().flat_map(|_| &self.server.hosts);
        hosts.map(|host| own(host)).collect::<BTreeSet<String>>().into_iter().collect()
    }

    /// Whether a rule of a namespace for a host is for one of the server's hosts.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/networking/core/gateway.go` `pickMatchingGatewayHosts`.
    pub fn serves(&self, host: &str, namespace: &Namespace) -> bool {
        self.server.hosts.iter().any(|own| match own.split_once('/') {
            Some((owner, own)) => owner == namespace.as_str() && Hostname::from(own).matches(host),
            None => Hostname::from(&**own).matches(host),
        })
    }

    fn is_https(&self) -> bool {
        self.protocol == Protocol::Https && !self.passes_tls()
    }

    /// Whether requests are read, or would be if TLS were said how to terminate.
    fn reads_requests(&self) -> bool {
        self.protocol.is_http() || self.is_https()
    }
}

fn passes_tls(mode: ServerTlsMode) -> bool {
    matches!(mode, ServerTlsMode::Passthrough | ServerTlsMode::AutoPassthrough)
}

impl GatewayServers {
    /// Whether a server is `AUTO_PASSTHROUGH`; not one whose hosts another server with TLS has taken.
    pub(super) const fn passes_mutual_tls(&self) -> bool {
        self.passes_mutual_tls
    }

    /// The groups, in the order in which their first servers come.
    pub fn groups(&self) -> &[ServerGroup] {
        &self.groups
    }

    /// A server by its number.
    pub fn server(&self, index: usize) -> Option<&GatewayServer> {
        self.servers.get(index)
    }

    /// The servers of a group, in order.
    pub fn of_group(&self, group: &ServerGroup) -> impl Iterator<Item = &GatewayServer> {
        group.servers.iter().filter_map(|index| self.server(*index))
    }

    /// The routes, each with its servers in order.
    pub fn routes(&self) -> impl Iterator<Item = (&ServerRoute, Vec<&GatewayServer>)> {
        self.routes.iter().map(|(route, servers)| {
            (route, servers.iter().filter_map(|index| self.server(*index)).collect())
        })
    }
}

impl ProxyView<'_> {
    /// The Gateways that are for this proxy, oldest first.
    pub(super) fn selecting_gateways(&self) -> Vec<&Arc<Gateway>> {
        let (plane, mesh, proxy) = (self.plane(), self.mesh(), self.proxy());
        if proxy.kind != ProxyKind::Router {
            return Vec::new();
        }
        let scoped = mesh.compat().flags.pilot_scope_gateway_to_namespace;
        let own = mesh.parts.clusters.get(&plane.id).map(|part| &*part.store);
        let stores = [&*mesh.parts.config].into_iter().chain(own);
        let is_for = |gateway: &&Arc<Gateway>| {
            let namespace = &gateway.meta.namespace;
            own.is_none_or(|own| is_discovered(&plane.config, own, namespace.as_str()))
                && (!scoped || *namespace == proxy.namespace)
                && (gateway.meta.annotations.get(SERVICE).is_some()
                    || proxy.labels.contains(&gateway.spec.selector))
        };
        let gateways = stores.flat_map(|store| store.gateways.values());
        let mut found: Vec<_> = gateways.filter(is_for).collect();
        found.sort_by(|a, b| a.meta.age().cmp(&b.meta.age()));
        found
    }

    /// The Gateways that are for this proxy and have a server, also where that is left out because of another
    /// one; those that name services only where the proxy stands behind one of them.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/model/gateway.go` `mergeGateways` (`GatewayNameForServer`);
    /// `push_context.go` `mergeGateways`.
    pub(super) fn gateways_with_servers(&self) -> Vec<&Arc<Gateway>> {
        let mut gateways = self.selecting_gateways();
        gateways.retain(|gateway| {
            let is_behind = gateway.meta.annotations.get(SERVICE).is_none_or(|services| {
                self.service_targets().iter().any(|target| is_named(gateway, services, target))
            });
            is_behind && gateway.spec.servers.iter().any(|server| server.port.is_some())
        });
        gateways
    }

    /// The servers that the proxy has as a gateway; none for other proxies.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/model/push_context.go` `mergeGateways`.
    pub fn gateway_servers(&self) -> GatewayServers {
        let gateways = self.selecting_gateways();
        if gateways.is_empty() {
            return GatewayServers::default();
        }
        let targets = self.service_targets();
        let mut merged = merge::Merger::default();
        for gateway in gateways {
            let services = gateway.meta.annotations.get(SERVICE);
            for server in &gateway.spec.servers {
                let Some(port) = &server.port else { continue };
                let ports = match services {
                    Some(services) => ports_of_services(port.number, gateway, services, &targets),
                    None => port_of_labels(port.number, &targets).into_iter().collect(),
                };
                merged.add_server(gateway, server, &ports);
            }
        }
        merged.finish()
    }
}

/// The port for a server of a Gateway that selects pods: the target of the first service that has
/// the server's port, else the port itself.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/model/gateway.go` `resolvePorts`.
fn port_of_labels(number: u32, targets: &[ServiceTarget]) -> Option<u16> {
    let translates = |target: &&ServiceTarget| target.service.labels.get(NO_TRANSLATION).is_none();
    let mut found = targets.iter().filter(translates);
    match found.find(|target| u32::from(target.port.number) == number) {
        Some(target) => Some(target.target_port),
        None => u16::try_from(number).ok(),
    }
}

/// The ports for a server of a Gateway that names services of its namespace: all their targets.
fn ports_of_services(
    number: u32,
    gateway: &Gateway,
    services: &str,
    targets: &[ServiceTarget],
) -> BTreeSet<u16> {
    let means = |target: &&ServiceTarget| {
        u32::from(target.port.number) == number && is_named(gateway, services, target)
    };
    targets.iter().filter(means).map(|target| target.target_port).collect()
}

/// Whether a Gateway that names services of its namespace names the one of a port.
fn is_named(gateway: &Gateway, services: &str, target: &ServiceTarget) -> bool {
    services.split(',').any(|name| target.service.hostname == *name)
        && target.service.namespace == gateway.meta.namespace
}
