//! Virtual hosts: each name once, each domain once.
//!
//! # Upstream
//!
//! istio/istio `pilot/pkg/networking/core/httproute.go` `BuildSidecarOutboundVirtualHosts`,
//! `dedupeDomains`.
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use mesh_envoy_proto::envoy::config::route::v3::VirtualHost;
use mesh_envoy_proto::prost_types::Any;
use mesh_model::compat::DataPlane;
use mesh_model::registry::Service;
use mesh_model::view::network::addresses;
use rustc_hash::FxHashSet;

use super::domains::{DomainList, ServiceNames};
use super::session;
use super::translate::Translation;
use super::wrapper::{Routes, Wrapper, default_route_of};
use crate::name::host_port;

/// A virtual host before it is a message or bytes.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    pub(super) name: String,
    pub(super) domains: DomainList,
    pub(super) routes: Routes,
    /// Whose it is, if it is one service's.
    service: Option<Arc<Service>>,
}

/// The virtual hosts of all wrappers by port, in the order in which they are built.
pub(super) fn by_port(
    translation: &Translation<'_>,
    wrappers: Vec<Wrapper>,
    dual_stack: bool,
) -> BTreeMap<u32, Vec<Draft>> {
    let mut drafts: Vec<(u32, Draft)> = Vec::with_capacity(wrappers.len());
    for Wrapper { port, hosts, services, routes } in wrappers {
        for host in &hosts {
            drafts.push((port, Draft::of_host(translation, host, port, routes.clone())));
        }
        for service in services {
            let routes = routes.clone();
            drafts.push((port, Draft::of_service(translation, dual_stack, service, port, routes)));
        }
    }
    let mut kept = kept(&drafts, has_suffix(translation)).into_iter();
    let mut found: BTreeMap<u32, Vec<Draft>> = BTreeMap::new();
    for (port, mut draft) in drafts {
        draft.domains.retain(|_| kept.next().unwrap_or_default());
        if !draft.domains.is_empty() {
            found.entry(port).or_default().push(draft);
        }
    }
    found
}

/// Whether a port in `Host` does not count: Envoy is told to ignore it.
fn ignores_port(translation: &Translation<'_>) -> bool {
    translation.proxy.data_plane != DataPlane::Grpc
}

/// Whether names of services stand once more with their port.
fn has_suffix(translation: &Translation<'_>) -> bool {
    !ignores_port(translation) || translation.listener_port == 0
}

/// Which of all domains count, in their order: none of a virtual host whose name is in use, none that
/// another has, and no short or absolute form that is the full name of a service.
fn kept(drafts: &[(u32, Draft)], has_suffix: bool) -> Vec<bool> {
    let drafts = || drafts.iter().map(|(_, draft)| draft);
    let mut full_names: FxHashSet<&str> = FxHashSet::default();
    for draft in drafts() {
        if let Some(service) = &draft.service {
            full_names.insert(service.hostname.as_str());
            full_names.extend(has_suffix.then_some(&*draft.name));
        }
    }
    let n_domains = drafts().map(|draft| draft.domains.iter().len()).sum();
    let mut names: FxHashSet<&str> = FxHashSet::default();
    names.reserve(drafts().len());
    let mut domains: FxHashSet<Cow<'_, str>> = FxHashSet::default();
    domains.reserve(n_domains);
    let mut kept = Vec::with_capacity(n_domains);
    for draft in drafts() {
        let is_new = names.insert(&draft.name);
        kept.extend(draft.domains.iter().map(|domain| {
            let is_foreign = || full_names.contains(domain) && draft.domains.is_alternate(domain);
            is_new && !is_foreign() && domains.insert(lower_case(domain))
        }));
    }
    kept
}

fn lower_case(text: &str) -> Cow<'_, str> {
    // All of a name is read at once, which is sooner done than stopping at the first.
    let may_differ = |byte: u8| !byte.is_ascii() | byte.is_ascii_uppercase();
    let differs = text.bytes().fold(false, |differs, byte| differs | may_differ(byte));
    if differs { Cow::Owned(text.to_lowercase()) } else { Cow::Borrowed(text) }
}

impl Draft {
    fn of_host(translation: &Translation<'_>, host: &str, port: u32, routes: Routes) -> Self {
        let counted = (!ignores_port(translation)).then_some(port);
        let domains = DomainList::of_host(host, counted);
        Self { name: host_port(host, port), domains, routes, service: None }
    }

    fn of_service(
        translation: &Translation<'_>,
        dual_stack: bool,
        service: Arc<Service>,
        port: u32,
        routes: Routes,
    ) -> Self {
        let proxy = translation.proxy;
        let found = addresses(&service, proxy, dual_stack);
        let found: Vec<&str> = found.iter().map(AsRef::as_ref).collect();
        let aliases = service.aliases.iter().map(|alias| alias.as_str());
        let hosts: Vec<&str> = std::iter::once(service.hostname.as_str()).chain(aliases).collect();
        let domains = DomainList::of(&ServiceNames {
            hosts: &hosts,
            proxy_domain: &proxy.dns_domain,
            headless: service.is_kubernetes_headless(),
            addresses: &found,
            port: has_suffix(translation).then_some(port),
        });
        let name = host_port(service.hostname.as_str(), port);
        Self { name, domains, routes, service: Some(service) }
    }

    /// What it says to filters.
    pub(super) fn sessions(&self, translation: &Translation<'_>) -> Option<Any> {
        let flags = &translation.view?.mesh().compat().flags;
        session::per_route(Some(self.service.as_ref()?), flags)
    }

    /// The message.
    pub(super) fn message(self, translation: &Translation<'_>) -> VirtualHost {
        let sessions = self.sessions(translation);
        let routes = match self.routes {
            Routes::OfRule(routes) => Arc::unwrap_or_clone(routes),
            Routes::Default { service, port } => {
                vec![default_route_of(translation, &service, port)]
            }
        };
        VirtualHost {
            domains: self.domains.iter().map(str::to_owned).collect(),
            routes,
            ..frame(translation, sessions, self.name)
        }
    }
}

/// What a virtual host has beside its domains and routes.
pub(super) fn frame(
    translation: &Translation<'_>,
    sessions: Option<Any>,
    name: String,
) -> VirtualHost {
    let filters = sessions.map(|sessions| (session::FILTER.to_owned(), sessions));
    VirtualHost {
        name,
        include_request_attempt_count: translation.headers.attempt_count,
        typed_per_filter_config: filters.into_iter().collect(),
        ..Default::default()
    }
}
