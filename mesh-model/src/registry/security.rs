//! What security depends on, listed once: settings, policies, and what attaches policies.
//!
//! ```text
//! settings ──differ in one of these?──▶ nobody can tell which ones are meant: see `settings`
//! clusters ──differ in one of these?──▶ nobody can tell who is to serve others: see `serving`
//! ```
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Entry;
use super::attachment::{says_waypoint, waypoint};
use super::discovery::Discovery;
use super::map::Key;
use super::mesh::Parts;
use super::objects::{ByName, Object, Store};
use super::topology::Topology;
use crate::name::ClusterId;
use crate::resource::mesh_config::{ExtensionProvider, ProviderKind};
use crate::resource::{MeshConfig, Meta, PolicyTargetReference};

/// A setting that decides which policies count for whom and what they see, and whether two say the same of it.
type Setting = (&'static str, fn(&MeshConfig, &MeshConfig) -> bool);

const SETTINGS: [Setting; 6] = [
    ("rootNamespace", |a, b| a.root_namespace == b.root_namespace),
    ("trustDomain", |a, b| a.trust_domain == b.trust_domain),
    ("trustDomainAliases", |a, b| a.trust_domain_aliases == b.trust_domain_aliases),
    ("pathNormalization", |a, b| a.path_normalization == b.path_normalization),
    ("extensionProviders", |a, b| authorizers(a) == authorizers(b)),
    ("discoverySelectors", |a, b| a.discovery_selectors == b.discovery_selectors),
];

/// The providers that policies may ask, by name: of one name the first counts. Others only tell.
fn authorizers(config: &MeshConfig) -> BTreeMap<&str, &ExtensionProvider> {
    let mut first = BTreeMap::new();
    for provider in &config.extension_providers {
        first.entry(&*provider.name).or_insert(provider);
    }
    first.retain(|_, provider| {
        matches!(
            provider.kind,
            Some(ProviderKind::EnvoyExtAuthzHttp(_) | ProviderKind::EnvoyExtAuthzGrpc(_))
        )
    });
    first
}

/// Where the settings of connections stand.
const CONNECTIONS: &str = "defaultConfig.connectionSettings";

/// What of them decides which path and which headers policies see.
const SEEN: [&str; 4] = [
    "profile",
    "httpHeadersWithUnderscoresAction",
    "httpMergeSlashes",
    "httpPathWithEscapedSlashesAction",
];

/// The names of the settings that security depends on, those of connections aside.
pub(super) fn settings() -> [&'static str; 6] {
    SETTINGS.map(|(name, _)| name)
}

/// Whether security depends on a field of the settings, or on what stands there instead of fields.
pub(super) fn is_setting(field: &str) -> bool {
    if let Some(rest) = field.strip_prefix(CONNECTIONS) {
        let name = rest.trim_start_matches('.');
        return name.is_empty() || SEEN.contains(&name);
    }
    let name = field.split(['.', '[']).next().unwrap_or_default();
    field.is_empty() || field == "defaultConfig" || settings().contains(&name)
}

/// Whether proxies without settings of their own show policies the same path and headers.
fn show_the_same(a: &MeshConfig, b: &MeshConfig) -> bool {
    let seen = |config: &MeshConfig| {
        let settings = config.default_config.connection_settings.clone().unwrap_or_default();
        (
            settings.profile,
            settings.http_headers_with_underscores_action,
            settings.http_merge_slashes,
            settings.http_path_with_escaped_slashes_action,
        )
    };
    seen(a) == seen(b)
}

/// Returns the first setting that security depends on and that two do not say the same of.
pub(super) fn differing_setting(a: &MeshConfig, b: &MeshConfig) -> Option<&'static str> {
    let of_connections: Setting = (CONNECTIONS, show_the_same);
    let mut all = SETTINGS.into_iter().chain([of_connections]);
    all.find(|(_, is_same)| !is_same(a, b)).map(|(name, _)| name)
}

/// Two clusters that may each have the control plane of others.
#[derive(Clone, Copy)]
pub(super) struct Pair<'p> {
    pub(super) parts: &'p Parts,
    pub(super) topology: &'p Topology,
    pub(super) clusters: [&'p ClusterId; 2],
}

impl<'p> Pair<'p> {
    /// Whether what the control plane of either enforces elsewhere is the same.
    pub(super) fn has_same_security(self) -> bool {
        let [Some(a), Some(b)] = self.stores() else { return false };
        has_same_policies(a, b)
            && (![a, b, &self.parts.config].into_iter().any(has_policies)
                || self.discover_same_policies([a, b])
                    && self.discover_same_targets([a, b])
                    && self.have_same_waypoints([a, b]))
    }

    fn stores(self) -> [Option<&'p Store>; 2] {
        self.clusters.map(|id| self.parts.clusters.get(id).map(|part| &*part.store))
    }

    /// Whether both read the policies of the same namespaces, by the labels that those have in either cluster.
    fn discover_same_policies(self, [a, b]: [&'p Store; 2]) -> bool {
        let config = self.parts.settings();
        if config.discovery_selectors.is_empty() {
            return true;
        }
        let [of_a, of_b] = [a, b].map(|store| Discovery::new(&config, store));
        let stores = [a, b, &self.parts.config];
        let has_targets = stores.into_iter().any(has_targets);
        let mut namespaces: BTreeSet<&str> = stores.into_iter().flat_map(of_policies).collect();
        if has_targets {
            let of_services = |store: &'p Store| store.services.iter().map(|it| it.key().0);
            namespaces.extend([a, b].into_iter().flat_map(of_services));
        }
        namespaces.into_iter().all(|name| of_a.contains(name) == of_b.contains(name))
    }

    /// Whether both discover the same services, if policies are attached by those.
    fn discover_same_targets(self, [a, b]: [&Store; 2]) -> bool {
        let discovered = |id| self.topology.discovered_by(id).into_iter().collect::<BTreeSet<_>>();
        let [first, second] = self.clusters;
        ![a, b, &self.parts.config].into_iter().any(has_targets)
            || discovered(first) == discovered(second)
    }

    /// Whether the same is behind the same waypoints: a control plane reads labels of its own cluster, of
    /// services that are not there those of the first other cluster that has them. Labels of pods attach no
    /// policies.
    fn have_same_waypoints(self, [a, b]: [&Store; 2]) -> bool {
        let namespaces = |store: &Store, name: &str| {
            store.namespace(name).map(|meta| waypoint(&meta.labels)).unwrap_or_default()
        };
        let names = [a, b].into_iter().flat_map(|store| labelled(&store.namespaces));
        let entry = |store: &Store, key| {
            let object = store.service_entries.get(key);
            object.map(|object| waypoint(&object.meta.labels)).unwrap_or_default()
        };
        let entries = [a, b].into_iter().flat_map(|store| labelled(&store.service_entries));
        let [first, second] = self.clusters.map(|id| self.topology.discovered_by(id));
        let service = |clusters: &[ClusterId], key| {
            let mut stores = clusters.iter().filter_map(|id| self.parts.clusters.get(id));
            let object = stores.find_map(|part| part.store.services.get(key).cloned());
            object.map(|object| waypoint(&object.meta.labels)).unwrap_or_default()
        };
        let services = [a, b].into_iter().flat_map(|store| labelled(&store.services));
        names.map(|(_, name)| name).all(|name| namespaces(a, name) == namespaces(b, name))
            && entries.into_iter().all(|key| entry(a, key) == entry(b, key))
            && services.into_iter().all(|key| service(&first, key) == service(&second, key))
    }
}

/// The objects whose labels say something of a waypoint.
fn labelled<T: Object>(objects: &ByName<T>) -> Vec<Key<'_>> {
    let is_labelled = |object: &&Arc<T>| says_waypoint(&object.meta().labels);
    objects.iter().filter(is_labelled).map(Entry::key).collect()
}

/// Whether two clusters have equal policies of every security kind, by namespace and name, and those of which
/// the oldest counts in the same order. Of AuthorizationPolicies the order decides nothing.
fn has_same_policies(a: &Store, b: &Store) -> bool {
    let dry_run = |meta: &Meta| meta.annotations.value("istio.io/dry-run").to_owned();
    is_same(&a.authorization_policies, &b.authorization_policies, |a, b| {
        a.spec == b.spec && dry_run(&a.meta) == dry_run(&b.meta)
    }) && is_same(&a.peer_authentications, &b.peer_authentications, |a, b| a.spec == b.spec)
        && is_same(&a.request_authentications, &b.request_authentications, |a, b| a.spec == b.spec)
        && by_age(&a.peer_authentications).eq(by_age(&b.peer_authentications))
        && by_age(&a.request_authentications).eq(by_age(&b.request_authentications))
}

fn is_same<T: Object>(a: &ByName<T>, b: &ByName<T>, says_same: impl Fn(&T, &T) -> bool) -> bool {
    a.iter().map(Entry::key).eq(b.iter().map(Entry::key))
        && a.iter().zip(b.iter()).all(|(a, b)| says_same(a, b))
}

fn by_age<T: Object>(objects: &ByName<T>) -> impl Iterator<Item = Key<'_>> {
    let mut objects: Vec<&Arc<T>> = objects.iter().collect();
    objects.sort_by_key(|object| object.meta().age());
    objects.into_iter().map(Entry::key)
}

fn has_policies(store: &Store) -> bool {
    of_policies(store).next().is_some()
}

/// The namespaces of the policies of every kind.
fn of_policies(store: &Store) -> impl Iterator<Item = &str> {
    let policies = store.authorization_policies.iter().map(|it| it.key().0);
    let peers = store.peer_authentications.iter().map(|it| it.key().0);
    policies.chain(peers).chain(store.request_authentications.iter().map(|it| it.key().0))
}

/// Whether policies are attached to something by its name.
fn has_targets(store: &Store) -> bool {
    let policies = &store.authorization_policies;
    let requests = &store.request_authentications;
    let mut of_policies = policies.iter().map(|it| (&it.spec.target_ref, &it.spec.target_refs));
    let mut of_requests = requests.iter().map(|it| (&it.spec.target_ref, &it.spec.target_refs));
    let is_attached =
        |(one, many): (&Option<_>, &Vec<PolicyTargetReference>)| one.is_some() || !many.is_empty();
    of_policies.any(is_attached) || of_requests.any(is_attached)
}
