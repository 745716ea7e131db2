//! Which types of resources, and of which hosts, a change can make different for a proxy.
use std::collections::BTreeSet;
use std::sync::Arc;

use mesh_model::endpoint::Provider;
use mesh_model::name::{Hostname, Namespace};
use mesh_model::registry::{ControlPlane, Difference, Effect, Resolution, Service};
use mesh_model::view::{ProxyKind, ProxyView};

use crate::cluster::{self, Attached};

/// The one kind of rules that can let a proxy see more services.
const VIRTUAL_SERVICE: &str = "VirtualService";
/// The one kind of rules that concerns whatever can be sent over mutual TLS.
const PEER_AUTHENTICATION: &str = "PeerAuthentication";

/// What of one proxy's snapshot a change can make different.
///
/// It may name what is equal, never leave out what is not. The default is nothing.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "callers act on every type")]
pub struct Reach {
    /// CDS. With [`Part::Hosts`] also those clusters that are of no host: the proxy's own.
    pub clusters: Part,
    /// EDS.
    pub endpoints: Part,
    /// LDS, and RDS as far as listeners name other routes.
    pub listeners: bool,
    /// RDS.
    pub routes: bool,
    /// NDS.
    pub names: bool,
}

/// How much of a type a change can make different.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "callers act on every part")]
pub enum Part {
    /// Nothing.
    #[default]
    None,
    /// What is of these hosts.
    Hosts(BTreeSet<Hostname>),
    /// All of it.
    All,
}

impl Part {
    fn add(&mut self, host: &Hostname) {
        match self {
            Self::None => *self = Self::Hosts(BTreeSet::from([host.clone()])),
            Self::Hosts(hosts) => drop(hosts.insert(host.clone())),
            Self::All => {}
        }
    }

    /// Whether nothing is meant.
    pub fn is_none(&self) -> bool {
        *self == Self::None
    }
}

impl Reach {
    /// A change that can make everything different.
    pub fn everything() -> Self {
        Self {
            clusters: Part::All,
            endpoints: Part::All,
            listeners: true,
            routes: true,
            names: true,
        }
    }

    /// Whether nothing can be different.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// What a change can make different, given the proxy's views before and after it: nothing, if
    /// neither sees it.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn example(before: &mesh_model::view::ProxyView<'_>, after: &mesh_model::view::ProxyView<'_>) {
    /// use mesh_model::registry::Effect;
    /// use mesh_xds_gen::Reach;
    ///
    /// assert!(Reach::of(before, after, &Effect::default()).is_empty());
    /// let effect = Effect { everything: true, ..Effect::default() };
    /// assert_eq!(Reach::of(before, after, &effect), Reach::everything());
    /// # }
    /// ```
    pub fn of(before: &ProxyView<'_>, after: &ProxyView<'_>, effect: &Effect) -> Self {
        if !before.sees(effect) && !after.sees(effect) {
            return Self::default();
        }
        let is_general = effect.everything
            || before.proxy() != after.proxy()
            || !effect.networks.is_empty()
            || !effect.proxies.is_empty() && names_proxy(effect, after)
            || !effect.namespaces.iter().all(|namespace| is_explained(effect, namespace))
            || !matches!(before.proxy().kind, ProxyKind::Sidecar | ProxyKind::Router);
        if is_general || !effect.policies.iter().all(|policy| is_of_few(policy.kind)) {
            return Self::everything();
        }
        if !effect.policies.is_empty() && Attached::of(before) != Attached::of(after) {
            return Self::everything();
        }
        let has_routes = effect.policies.iter().any(|policy| policy.kind == VIRTUAL_SERVICE);
        if has_routes && !is_same(before.services(), after.services()) {
            // What routes send to is seen, too.
            return Self::everything();
        }
        let is_own = |(_, namespace): &(Hostname, Namespace)| {
            before.may_stand_in(namespace) || after.may_stand_in(namespace)
        };
        let is_own_changed = effect.endpoints.iter().chain(&effect.services).any(is_own);
        if (is_own_changed || !effect.machines.is_empty())
            && before.service_targets() != after.service_targets()
        {
            return Self::everything();
        }
        let mut reach = Self::of_endpoints(before.plane(), after, &effect.endpoints);
        if reach == Self::everything() {
            return reach;
        }
        reach.listeners |= !effect.policies.is_empty();
        reach.routes |= has_routes;
        if !effect.hosts.is_empty() {
            for service in before.services().iter().chain(after.services()) {
                let host = &service.hostname;
                if effect.hosts.iter().any(|named| named.matches(host.as_str())) {
                    reach.add_service(host, false);
                }
            }
        }
        for (host, _) in &effect.services {
            reach.add_service(host, true);
        }
        if !effect.hosts.is_empty() {
            (reach.listeners, reach.routes) = (true, true);
        }
        if effect.policies.iter().any(|policy| policy.kind == PEER_AUTHENTICATION) {
            reach.add_mutual_tls();
        }
        let concerns_rules = !effect.hosts.is_empty() || !effect.services.is_empty();
        if concerns_rules && reach.clusters.is_none() {
            // The proxy's own ports may be of a service that it does not see.
            reach.clusters = Part::Hosts(BTreeSet::new());
        }
        reach
    }

    /// What differs where a control plane differs so from what it was `before`.
    pub(super) fn of_difference(
        view: &ProxyView<'_>,
        before: &ControlPlane,
        difference: &Difference,
    ) -> Self {
        if difference.rest {
            return Self::everything();
        }
        let mut reach = Self::of_endpoints(before, view, &difference.endpoints);
        reach.listeners |= difference.policies;
        if difference.policies && cluster::follows_tokens(view) {
            (reach.clusters, reach.endpoints) = (Part::All, Part::All);
        }
        if difference.mutual_tls {
            reach.add_mutual_tls();
        }
        reach
    }

    /// What tells clients how servers want to be spoken to, and what servers do about it.
    fn add_mutual_tls(&mut self) {
        (self.clusters, self.endpoints) = (Part::All, Part::All);
        self.listeners = true;
    }

    fn add_service(&mut self, host: &Hostname, is_described: bool) {
        self.clusters.add(host);
        self.endpoints.add(host);
        (self.listeners, self.routes) = (true, true);
        self.names |= is_described;
    }

    /// What endpoints of services can make different.
    fn of_endpoints<'k>(
        before: &ControlPlane,
        view: &ProxyView<'_>,
        keys: impl IntoIterator<Item = &'k (Hostname, Namespace)>,
    ) -> Self {
        let mut reach = Self::default();
        for (host, namespace) in keys {
            let own = view.may_stand_in(namespace);
            let Some(service) = view.scope().service(host.as_str()) else {
                // What no selector tells, slices may: which services the proxy stands behind.
                if own {
                    return Self::everything();
                }
                continue;
            };
            if own && (service.selector.is_empty() || service.provider == Provider::External) {
                return Self::everything();
            }
            reach.endpoints.add(host);
            if is_told_by_clusters(before, view, service) {
                reach.clusters.add(host);
            }
            if view.scope().keeps_destination(host.as_str()) {
                (reach.listeners, reach.names) = (true, true);
            }
        }
        reach
    }
}

/// Whether the clusters of a service show that its endpoints are other ones: they hold them, or whom
/// servers may be.
fn is_told_by_clusters(before: &ControlPlane, view: &ProxyView<'_>, service: &Service) -> bool {
    match service.resolution {
        Resolution::ClientSideLb => {}
        Resolution::DnsLb
        | Resolution::DnsRoundRobinLb
        | Resolution::Passthrough
        | Resolution::Alias
        | Resolution::DynamicDns => return true,
    }
    let policy = view.rule(service).is_some_and(|rule| {
        let subsets = rule.subsets.iter().filter_map(|subset| subset.traffic_policy.as_ref());
        let mut policies = rule.traffic_policy.iter().chain(subsets);
        policies.any(|policy| {
            cluster::load_balancer::is_passthrough(policy.load_balancer.as_ref())
                || policy
                    .port_level_settings
                    .iter()
                    .any(|port| cluster::load_balancer::is_passthrough(port.load_balancer.as_ref()))
        })
    });
    let (old, new) = (before.shards(service), view.shards(service));
    let accepts = |plane: &ControlPlane| -> Vec<bool> {
        service.ports.iter().map(|port| plane.all_accept_tunnel(service, port.number)).collect()
    };
    policy
        || accepts(before) != accepts(view.plane())
        || cluster::accounts::identities(old.map(AsRef::as_ref))
            != cluster::accounts::identities(new.map(AsRef::as_ref))
}

/// Whether a change names the proxy itself.
fn names_proxy(effect: &Effect, view: &ProxyView<'_>) -> bool {
    let own = view.proxy().reference();
    effect.proxies.iter().any(|reference| reference.to_string() == own)
}

/// Whether a namespace is named only for policies that concern few types.
fn is_explained(effect: &Effect, namespace: &Namespace) -> bool {
    effect.policies.iter().any(|policy| policy.namespace == *namespace && is_of_few(policy.kind))
}

/// Whether a policy of this kind concerns some types only, or only the hosts that its effect names.
fn is_of_few(kind: &str) -> bool {
    matches!(
        kind,
        "AuthorizationPolicy"
            | "RequestAuthentication"
            | "Telemetry"
            | "DestinationRule"
            | PEER_AUTHENTICATION
            | VIRTUAL_SERVICE
    )
}

/// Whether two lists are of the same services.
fn is_same(a: &[Arc<Service>], b: &[Arc<Service>]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| Arc::ptr_eq(a, b) || a == b)
}
