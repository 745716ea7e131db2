//! Virtual hosts: each name once, each domain once.
//!
//! # Upstream
//!
//! istio/istio `pilot/pkg/networking/core/httproute.go` `BuildSidecarOutboundVirtualHosts`,
//! `dedupeDomains`.
use std::borrow::Cow;
use std::collections::BTreeMap;

use mesh_envoy_proto::envoy::config::route::v3::{Route, VirtualHost};
use mesh_model::compat::DataPlane;
use mesh_model::registry::Service;
use mesh_model::view::network::addresses;
use rustc_hash::FxHashSet;

use super::domains::{Domains, ServiceNames};
use super::session;
use super::translate::Translation;
use super::value::{bracketed, host_port};
use super::wrapper::Wrapper;

/// Builds the virtual hosts of one route configuration.
#[derive(Debug)]
struct Builder<'t> {
    translation: &'t Translation<'t>,
    dual_stack: bool,
    /// Names in use.
    names: FxHashSet<String>,
    /// Domains in use, in lower case.
    domains: FxHashSet<String>,
    /// The full names of services, with and without port.
    full_names: FxHashSet<String>,
}

/// The virtual hosts of all wrappers by port, in the order in which they are built.
pub(super) fn by_port(
    translation: &Translation<'_>,
    wrappers: Vec<Wrapper>,
    dual_stack: bool,
) -> BTreeMap<u32, Vec<VirtualHost>> {
    let (names, domains, full_names) = Default::default();
    let mut builder = Builder { translation, dual_stack, names, domains, full_names };
    for wrapper in &wrappers {
        for service in &wrapper.services {
            let host = service.hostname.as_str();
            builder.full_names.insert(host.to_owned());
            if builder.has_suffix() {
                builder.full_names.insert(host_port(host, wrapper.port));
            }
        }
    }
    let mut found: BTreeMap<u32, Vec<VirtualHost>> = BTreeMap::new();
    for wrapper in wrappers {
        let Wrapper { port, hosts, services, routes } = wrapper;
        let at_port = found.entry(port).or_default();
        if let ([], [service]) = (hosts.as_slice(), services.as_slice()) {
            at_port.extend(builder.of_service(service, port, Cow::Owned(routes)));
            continue;
        }
        for host in &hosts {
            at_port.extend(builder.of_host(host, port, Cow::Borrowed(&routes)));
        }
        for service in &services {
            at_port.extend(builder.of_service(service, port, Cow::Borrowed(&routes)));
        }
    }
    found
}

impl Builder<'_> {
    fn of_host(&mut self, host: &str, port: u32, routes: Cow<'_, [Route]>) -> Option<VirtualHost> {
        let mut all = vec![bracketed(host)];
        if !self.ignores_port() {
            all.push(host_port(host, port));
        }
        self.build(host_port(host, port), Domains { all, ..Default::default() }, routes)
    }

    fn of_service(
        &mut self,
        service: &Service,
        port: u32,
        routes: Cow<'_, [Route]>,
    ) -> Option<VirtualHost> {
        let proxy = self.translation.proxy;
        let found = addresses(service, proxy, self.dual_stack);
        let found: Vec<&str> = found.iter().map(AsRef::as_ref).collect();
        let aliases = service.aliases.iter().map(|alias| alias.as_str());
        let hosts: Vec<&str> = std::iter::once(service.hostname.as_str()).chain(aliases).collect();
        let domains = Domains::of(&ServiceNames {
            hosts: &hosts,
            proxy_domain: &proxy.dns_domain,
            headless: service.is_kubernetes_headless(),
            addresses: &found,
            port: self.has_suffix().then_some(port),
        });
        let name = host_port(service.hostname.as_str(), port);
        let mut host = self.build(name, domains, routes)?;
        let flags = self.translation.view.map(|view| &view.mesh().compat().flags);
        if let Some(sessions) = flags.and_then(|flags| session::per_route(Some(service), flags)) {
            host.typed_per_filter_config.insert(session::FILTER.to_owned(), sessions);
        }
        Some(host)
    }

    /// Whether a port in `Host` does not count: Envoy is told to ignore it.
    fn ignores_port(&self) -> bool {
        self.translation.proxy.data_plane != DataPlane::Grpc
    }

    /// Whether names of services stand once more with their port.
    fn has_suffix(&self) -> bool {
        !self.ignores_port() || self.translation.listener_port == 0
    }

    /// The virtual host, unless its name or all of its domains are in use.
    fn build(
        &mut self,
        name: String,
        domains: Domains,
        routes: Cow<'_, [Route]>,
    ) -> Option<VirtualHost> {
        if !self.names.insert(name.clone()) {
            return None;
        }
        let Domains { mut all, alternates } = domains;
        all.retain(|domain| {
            let is_foreign = self.full_names.contains(domain) && alternates.contains(domain);
            !is_foreign && self.domains.insert(domain.to_lowercase())
        });
        (!all.is_empty()).then(|| VirtualHost {
            name,
            domains: all,
            routes: routes.into_owned(),
            include_request_attempt_count: self.translation.headers.attempt_count,
            ..Default::default()
        })
    }
}
