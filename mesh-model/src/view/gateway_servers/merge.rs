//! Which servers share a port, and which are left out.
//!
//! # Upstream
//!
//! istio/istio `pilot/pkg/model/gateway.go` `mergeGateways`.
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{ClaimedHosts, GatewayServer, GatewayServers, ServerGroup, ServerRoute};
use crate::name::Protocol;
use crate::resource::Gateway;
use crate::resource::gateway::{Server, ServerTlsMode};

/// Port, protocol as written, and bind.
type Key = (u16, Box<str>, Box<str>);

/// Adds servers one by one.
#[derive(Debug, Default)]
pub(super) struct Merger {
    found: GatewayServers,
    by_key: BTreeMap<Key, usize>,
    /// Ports in use.
    ports: BTreeSet<u16>,
    /// The plain-text server that a port got last.
    plaintext: BTreeMap<u16, Key>,
    hosts: BTreeMap<u16, ClaimedHosts>,
}

impl Merger {
    /// Adds a server on each of the ports that are listened on for it.
    pub(super) fn add_server<'p>(
        &mut self,
        gateway: &Gateway,
        server: &Server,
        ports: impl IntoIterator<Item = &'p u16>,
    ) {
        let Some(port) = &server.port else { return };
        let Ok(number) = u16::try_from(port.number) else { return };
        let hosts = sanitized(&server.hosts, gateway.meta.namespace.as_str());
        let server = Arc::new(Server { hosts, ..server.clone() });
        for resolved in ports {
            let mut found = GatewayServer {
                gateway: format!("{}/{}", gateway.meta.namespace, gateway.meta.name).into(),
                protocol: Protocol::parse(&port.protocol),
                number,
                port: *resolved,
                route: None,
                server: server.clone(),
            };
            found.route = route(&found, gateway, &port.name);
            self.add(found, &port.protocol);
        }
    }

    pub(super) fn finish(self) -> GatewayServers {
        self.found
    }

    fn add(&mut self, server: GatewayServer, protocol: &str) {
        let port = server.port;
        let bind = &server.server.bind;
        let key: Key = (port, protocol.into(), bind.clone());
        let claimed = self.hosts.entry(port).or_default();
        if let Some(tls) = &server.server.tls {
            if !claimed.claim(&server.server.hosts, bind) {
                return;
            }
            // What else becomes of the server does not matter.
            self.found.passes_mutual_tls |= tls.mode == ServerTlsMode::AutoPassthrough;
        }
        if self.ports.insert(port) {
            self.open(key, server);
            return;
        }
        match self.plaintext.get(&port).cloned() {
            Some(current) if current.2 == *bind => {
                // Only plain-text requests can share an address with plain text.
                if server.protocol.is_http() && Protocol::parse(&current.1).is_http() {
                    self.join(&current, server, Keep::Route);
                }
            }
            Some(_) if self.by_key.contains_key(&key) => self.join(&key, server, Keep::Newer),
            Some(_) => self.open(key, server),
            // Upstream does not look whether TLS is at the address already.
            None if !server.is_tls() => self.open(key, server),
            None => self.add_tls(key, server),
        }
    }

    /// Adds a server with TLS to a port that has no other.
    fn add_tls(&mut self, key: Key, server: GatewayServer) {
        let route = server.route.clone().filter(|_| server.reads_requests());
        if route.is_some_and(|route| self.found.routes.contains_key(&route)) {
            return;
        }
        if self.by_key.contains_key(&key) {
            self.join(&key, server, Keep::Route);
        } else {
            self.open(key, server);
        }
    }

    /// Adds a server as the first of its group; a group of the same key gives way.
    fn open(&mut self, key: Key, server: GatewayServer) {
        if !server.is_tls() {
            self.plaintext.insert(server.port, key.clone());
        }
        let index = self.found.servers.len();
        if let Some(route) = server.route.clone() {
            self.found.routes.insert(route, vec![index]);
        }
        let group = ServerGroup {
            port: server.port,
            protocol: server.protocol,
            bind: server.server.bind.clone(),
            route: server.route.clone(),
            servers: vec![index],
        };
        self.found.servers.push(server);
        match self.by_key.get(&key).and_then(|place| self.found.groups.get_mut(*place)) {
            Some(known) => *known = group,
            None => {
                self.by_key.insert(key, self.found.groups.len());
                self.found.groups.push(group);
            }
        }
    }

    /// Adds a server to a group.
    fn join(&mut self, key: &Key, server: GatewayServer, keep: Keep) {
        let place = self.by_key.get(key);
        let Some(group) = place.and_then(|place| self.found.groups.get_mut(*place)) else {
            return;
        };
        let index = self.found.servers.len();
        if keep == Keep::Newer {
            group.route.clone_from(&server.route);
        }
        group.servers.push(index);
        if let Some(route) = server.route.clone() {
            self.found.routes.entry(route).or_default().push(index);
        }
        self.found.servers.push(server);
    }
}

/// Which routes a group has once a server joins it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Keep {
    /// Those that it had.
    Route,
    /// The newcomer's.
    Newer,
}

/// What the routes of a server are told apart by.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/model/gateway.go` `gatewayRDSRouteName`.
fn route(server: &GatewayServer, gateway: &Gateway, port_name: &str) -> Option<ServerRoute> {
    let bind = server.server.bind.clone();
    if server.protocol.is_http() {
        return Some(ServerRoute::Http { port: server.port, bind });
    }
    server.is_https().then(|| ServerRoute::Https {
        port: server.number,
        port_name: port_name.into(),
        gateway: gateway.meta.name.as_str().into(),
        namespace: gateway.meta.namespace.clone(),
        bind,
    })
}

/// The hosts with `.` as the Gateway's namespace and without `*/`; `*/*` stands for all others.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/model/gateway.go` `sanitizeServerHostNamespace`, which fails where `*/*`
/// is not the last with a namespace.
fn sanitized(hosts: &[Box<str>], namespace: &str) -> Vec<Box<str>> {
    if hosts.iter().any(|host| **host == *"*/*") {
        return vec!["*".into()];
    }
    let host = |host: &str| match host.split_once('/') {
        Some((".", rest)) => format!("{namespace}/{}", first_part(rest)).into(),
        Some(("*", rest)) => first_part(rest).into(),
        Some(_) | None => host.into(),
    };
    hosts.iter().map(|text| host(text)).collect()
}

fn first_part(text: &str) -> &str {
    text.split('/').next().unwrap_or_default()
}
