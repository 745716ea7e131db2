//! What a change of configuration does to a proxy's clusters, without building the others.
//!
//! ```text
//! changed objects ─▶ services that they concern ─▶ their clusters, built
//!                                               └▶ names that the proxy has and nobody builds: removed
//! ```
//!
//! # Upstream
//!
//! istio/istio `pilot/pkg/networking/core/cluster.go` `BuildDeltaClusters`, `deltaFromServices`,
//! `deltaFromDestinationRules`, `deltaFromPeerAuthentication`, `deltaFromServiceDiff`.
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use mesh_envoy_proto::envoy::config::cluster::v3::Cluster;
use mesh_model::name::Hostname;
use mesh_model::registry::{MergedRule, Service};
use mesh_model::view::ProxyView;

use super::Attached;
use crate::name::{ClusterName, Form, SubsetKey};

/// An object that changed, came or went.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "callers build changes, and each kind acts differently"
)]
pub enum Changed<'c> {
    /// A service of this host.
    Service(&'c str),
    /// A DestinationRule.
    DestinationRule {
        /// Its namespace.
        namespace: &'c str,
        /// Its name.
        name: &'c str,
    },
    /// A PeerAuthentication of this namespace.
    PeerAuthentication(&'c str),
    /// A VirtualService or a Sidecar: what the proxy sees may differ.
    Scope,
    /// Anything else.
    Other,
}

/// What to tell a proxy.
#[derive(Clone, Debug, Default, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "a value that callers read")]
pub struct ClusterDelta {
    /// Whether only a part was built; else it is everything, and names say what is gone.
    pub is_partial: bool,
    /// What was built, by name.
    pub clusters: Vec<Cluster>,
    /// What the proxy has and must forget, by name; empty if everything was built.
    pub removed: Vec<String>,
}

/// Builds the clusters that a change concerns, inbound and special ones always, and names those
/// that are gone; `watched` are the clusters that the proxy has, `previous` what it saw before.
///
/// A change of other kinds, or of a PeerAuthentication in the root namespace, builds everything.
/// A port that a service lost takes all of its clusters with it, subsets too (upstream remembers one
/// name of a port and may forget others).
pub fn delta<'w>(
    view: &ProxyView<'_>,
    previous: Option<&ProxyView<'_>>,
    changes: &[Changed<'_>],
    watched: impl IntoIterator<Item = &'w str>,
) -> ClusterDelta {
    let root = &*view.plane().config.root_namespace;
    let is_partial = !changes.is_empty()
        && changes.iter().all(|change| match change {
            Changed::PeerAuthentication(namespace) => *namespace != root,
            Changed::Service(_) | Changed::DestinationRule { .. } | Changed::Scope => true,
            Changed::Other => false,
        });
    if !is_partial {
        return ClusterDelta { clusters: super::clusters(view), ..ClusterDelta::default() };
    }
    let watched = Watched::new(watched);
    let (services, gone) = Default::default();
    let mut builder = Builder { view, previous, watched, services, gone };
    changes.iter().for_each(|change| builder.add(change));
    let clusters = super::of_services(view, &builder.services);
    let built: BTreeSet<&str> = clusters.iter().map(|cluster| &*cluster.name).collect();
    let gone = builder.gone.iter().chain(&builder.watched.inbound);
    let removed: BTreeSet<&str> = gone.copied().filter(|name| !built.contains(name)).collect();
    let removed = removed.into_iter().map(str::to_owned).collect();
    ClusterDelta { is_partial, clusters, removed }
}

/// The clusters that a proxy has.
#[derive(Default)]
struct Watched<'w> {
    inbound: BTreeSet<&'w str>,
    outbound: BTreeMap<&'w str, Vec<(i64, bool, &'w str)>>,
}

impl<'w> Watched<'w> {
    fn new(names: impl IntoIterator<Item = &'w str>) -> Self {
        let mut watched = Self::default();
        for name in names {
            let key = SubsetKey::parse(name);
            if key.direction == "inbound" {
                watched.inbound.insert(name);
            } else {
                let entry = (key.port, key.subset.is_empty(), name);
                watched.outbound.entry(key.host).or_default().push(entry);
            }
        }
        watched
    }

    /// The clusters of a host: port, whether it is a default one, and the name.
    fn of_host(&self, host: &str) -> &[(i64, bool, &'w str)] {
        self.outbound.get(host).map(Vec::as_slice).unwrap_or_default()
    }
}

struct Builder<'b, 'v, 'w> {
    view: &'b ProxyView<'v>,
    previous: Option<&'b ProxyView<'v>>,
    watched: Watched<'w>,
    services: Vec<Arc<Service>>,
    gone: BTreeSet<&'w str>,
}

impl Builder<'_, '_, '_> {
    fn add(&mut self, change: &Changed<'_>) {
        match change {
            Changed::Service(host) => self.service(host),
            Changed::DestinationRule { namespace, name } => self.rule(namespace, name),
            Changed::PeerAuthentication(namespace) => {
                self.build(|service| service.namespace.as_str() == *namespace);
            }
            Changed::Scope => self.scope(),
            Changed::Other => {}
        }
    }

    /// Builds the services that the proxy sees and that meet a condition.
    fn build(&mut self, concerns: impl Fn(&Service) -> bool) {
        for service in self.view.services().iter().filter(|service| concerns(service)) {
            if !self.services.iter().any(|known| known.hostname == service.hostname) {
                self.services.push(service.clone());
            }
        }
    }

    /// A service that is gone takes all of its clusters with it, one that stays those of its ports.
    fn service(&mut self, host: &str) {
        let found = self.view.scope().service(host).cloned();
        for (port, _, name) in self.watched.of_host(host) {
            let number = u16::try_from(*port).ok();
            let service = found.as_ref();
            let stays = number.and_then(|number| service?.port(number)).is_some();
            if !stays {
                self.gone.insert(name);
            }
        }
        self.build(|service| service.hostname.as_str() == host);
    }

    /// A rule concerns the services of its host, of the one before too; their subsets may be gone.
    fn rule(&mut self, namespace: &str, name: &str) {
        let now = rule_host(self.view, namespace, name);
        let before = self.previous.and_then(|view| rule_host(view, namespace, name));
        let hosts: Vec<&Hostname> = now.into_iter().chain(before).collect();
        let concerns = |service: &Service| hosts.iter().any(|host| is_for(host, &service.hostname));
        self.build(concerns);
        let services = self.view.services().iter().filter(|service| concerns(service));
        for service in services {
            let watched = self.watched.of_host(service.hostname.as_str()).iter();
            self.gone.extend(watched.filter(|(_, is_default, _)| !is_default).map(|entry| entry.2));
        }
    }

    /// Builds the services that are new to the proxy and forgets those that it sees no more, or has no
    /// clusters of.
    fn scope(&mut self) {
        let has_default = |host: &str| {
            let mut names = self.watched.of_host(host).iter();
            names.any(|(_, is_default, name)| *is_default && !is_of_server_names(name))
        };
        let new: Vec<Hostname> = self
            .view
            .services()
            .iter()
            .map(|service| service.hostname.clone())
            .filter(|host| !has_default(host.as_str()))
            .collect();
        self.build(|service| new.contains(&service.hostname));
        let attached = Attached::of(self.view);
        for (host, names) in &self.watched.outbound {
            // What is of no service has no host.
            if host.is_empty() {
                continue;
            }
            let service = self.view.scope().service(host);
            let is_kept = |name: &str| {
                service.is_some_and(|service| attached.has(service) || is_of_server_names(name))
            };
            self.gone.extend(names.iter().map(|entry| entry.2).filter(|name| !is_kept(name)));
        }
    }
}

/// Whether a cluster is one that server names spell: gateways have those of all that they see.
fn is_of_server_names(name: &str) -> bool {
    ClusterName::parse(name).is_ok_and(|name| name.form == Form::DnsSrv)
}

/// The host of a rule by its name, if the mesh has it.
fn rule_host<'v>(view: &ProxyView<'v>, namespace: &str, name: &str) -> Option<&'v Hostname> {
    let plane = view.plane();
    let is_part = |rule: &&MergedRule| {
        rule.from.iter().any(|(of, called)| of.as_str() == namespace && **called == *name)
    };
    plane.destination_rules.iter().find(is_part).map(|rule| &rule.host)
}

/// Whether a rule's host is the service's, or a wildcard that covers it.
fn is_for(rule: &Hostname, service: &Hostname) -> bool {
    if rule.is_wildcard() { service.is_subset_of(rule.as_str()) } else { rule == service }
}
