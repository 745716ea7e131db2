//! Security that is not in force as it was meant: nobody can tell what it would have denied.
//!
//! ```text
//! loading ──remember──▶ Mesh::broken ──of_plane──▶ ControlPlane::broken ──▶ authorizers, ztunnels, mutual TLS
//! ```
use std::sync::Arc;

use super::index::Around;
use super::map::Key;
use super::mesh::Parts;
use super::objects::in_both;
use super::topology::Topology;
use super::{Origin, Registry, settings};
use crate::manifest::{
    Diagnostic, Document, Head, Meant, SECURITY_KINDS, TARGET_KINDS, Unreadable,
};
use crate::name::{ClusterId, Labels, Namespace};
use crate::resource::{Action, ObjectKey, UNTOLD};

mod repeated;
mod told;

pub(super) use self::repeated::Repeated;
pub use self::told::TokenPlace;
pub(super) use self::told::labels as labels_of_document;

/// The namespace of objects that do not name theirs.
pub(super) const DEFAULT_NAMESPACE: &str = "default";

/// The kind of what stands for settings of the mesh that security depends on.
const SETTINGS: &str = "MeshConfig";

/// The name of a control plane that runs in none of the clusters.
pub(super) const EXTERNAL: &str = "external";

/// The kind of what `discoverySelectors` are asked of.
const NAMESPACE: &str = "Namespace";

/// A security policy that could not be understood, the settings of the mesh (kind `MeshConfig`), or a
/// Service, ServiceEntry or Namespace, by which policies are attached.
///
/// Nobody can tell what it would have denied, so the workloads that it may select deny what it might
/// have denied, until it is mended: of a RequestAuthentication requests that carry what it may take for a
/// token, and those with headers that it may write.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "a value that later stages read")]
pub struct Broken {
    /// The object, as far as it can be told; without a namespace it may be of any.
    pub object: ObjectKey,
    /// Where it was found.
    pub origin: Origin,
    /// The labels of the workloads that it selects; `None` if that cannot be told: any.
    pub selector: Option<Labels>,
    /// The labels that it has itself, of a Service, ServiceEntry or Namespace: those that are texts;
    /// `None` if they cannot be told.
    pub labels: Option<Labels>,
    /// What an AuthorizationPolicy does; `None` if that cannot be told, and for other kinds.
    pub action: Option<Action>,
    /// Where a RequestAuthentication looks and what it writes; `None` if that cannot be told, and for
    /// other kinds.
    pub token_places: Option<Box<[TokenPlace]>>,
    /// What is wrong with it.
    pub reason: String,
}

impl Broken {
    /// An object of which nothing more can be told.
    pub(super) fn of(object: ObjectKey, origin: &Origin, reason: String) -> Self {
        Self {
            object,
            origin: origin.clone(),
            selector: None,
            labels: None,
            action: None,
            token_places: None,
            reason,
        }
    }

    /// Settings of the mesh.
    pub(super) fn settings(origin: &Origin, reason: String) -> Self {
        let (namespace, name) = (Namespace::default(), "".into());
        Self::of(ObjectKey { kind: SETTINGS, namespace, name }, origin, reason)
    }

    /// An object of which there are two.
    fn twice(kind: &'static str, (namespace, name): Key<'_>, origin: &Origin) -> Self {
        let object = ObjectKey { kind, namespace: namespace.into(), name: name.into() };
        Self::of(object, origin, "`config/` has an object of this name, too".to_owned())
    }

    /// Whether it is something that has endpoints.
    fn is_service(&self) -> bool {
        matches!(self.object.kind, "Service" | "ServiceEntry")
    }

    /// Returns whether the object counts for the proxies of a known control plane: of the clusters only its
    /// own counts.
    pub fn counts_for(&self, control_plane: &ClusterId) -> bool {
        match &self.origin {
            Origin::Cluster(cluster) => cluster == control_plane,
            Origin::Config
            | Origin::MeshConfig
            | Origin::MeshNetworks
            | Origin::Proxies
            | Origin::Description(_)
            | Origin::Misplaced(_) => true,
        }
    }
}

/// Returns what is broken for the proxies of a control plane.
///
/// That is what was remembered and counts for it, of a control plane that is in no cluster what was found
/// in any; settings of ConfigMaps that contradict others or cannot be understood; a stand-in for each policy that `config/` and the
/// control plane's own cluster both have, because nobody can tell which one is meant; and one for all
/// policies of a kind, if there are any, where settings that decide whom they concern are not understood,
/// or of one namespace, where selectors decide whether it is read and its labels cannot be.
pub(super) fn of_plane(parts: &Parts, around: &Around, plane: &ClusterId) -> Arc<[Broken]> {
    let [policy, peer, request] = SECURITY_KINDS;
    let unknown = unknown_plane(parts, plane);
    // Whose policies count is unknown: those that nobody understands count as those of all that are.
    let counts = |broken: &&Broken| unknown.is_some() || broken.counts_for(plane);
    let counting = parts.broken.iter().chain(&*around.broken_settings).filter(counts);
    let mut found: Vec<Broken> = counting.filter(|it| !it.is_service()).cloned().collect();
    // What is told of them must not depend on the order of documents.
    found.sort_by(|a, b| (&a.object, &a.origin, &a.reason).cmp(&(&b.object, &b.origin, &b.reason)));
    let settings = found.iter().find(|broken| broken.object.kind == SETTINGS).cloned();
    let selects = !around.config.discovery_selectors.is_empty();
    let namespaces: Vec<Broken> = found.extract_if(.., |it| it.object.kind == NAMESPACE).collect();
    let own = parts.clusters.get(plane).map(|part| &part.store);
    let (policies, peers) =
        (&parts.config.authorization_policies, &parts.config.peer_authentications);
    let requests = &parts.config.request_authentications;
    let mut has_any = [!policies.is_empty(), !peers.is_empty(), !requests.is_empty()];
    if let Some(own) = own {
        let origin = Origin::Cluster(plane.clone());
        let mut stand_in = |kind, name: Key<'_>| found.push(Broken::twice(kind, name, &origin));
        in_both(&own.authorization_policies, policies).for_each(|name| stand_in(policy, name));
        in_both(&own.peer_authentications, peers).for_each(|name| stand_in(peer, name));
        in_both(&own.request_authentications, requests).for_each(|name| stand_in(request, name));
        has_any[0] |= !own.authorization_policies.is_empty();
        has_any[1] |= !own.peer_authentications.is_empty();
        has_any[2] |= !own.request_authentications.is_empty();
    }
    if unknown.is_some() {
        let of_clusters = any_in_clusters(parts);
        let known = has_any.map(|has_any| has_any && settings.is_some());
        has_any = of_clusters;
        has_any.iter_mut().zip(known).for_each(|(has_any, known)| *has_any |= known);
    }
    let settings = settings.or(unknown);
    // Nobody can tell whether the policies of such a namespace are read.
    let unknown = namespaces.into_iter().filter(|_| selects).map(|it| {
        let namespace = Namespace::from(&*it.object.name);
        Broken { object: ObjectKey { namespace, ..it.object.clone() }, ..it }
    });
    for stands in unknown.chain(settings) {
        let kinds = SECURITY_KINDS.into_iter().zip(has_any).filter(|(_, has_any)| *has_any);
        found.extend(kinds.map(|(kind, _)| {
            let object = ObjectKey { kind, ..stands.object.clone() };
            Broken { object, ..stands.clone() }
        }));
    }
    found.into()
}

/// What stands for a control plane that runs in no cluster of the mesh: policies of any may be meant.
fn unknown_plane(parts: &Parts, plane: &ClusterId) -> Option<Broken> {
    if parts.clusters.contains_key(plane) || *plane.as_str() == *EXTERNAL {
        return None;
    }
    let object =
        ObjectKey { kind: SETTINGS, namespace: Namespace::default(), name: <_>::default() };
    let reason = if *plane.as_str() == *UNTOLD {
        "which control plane serves the cluster cannot be told".to_owned()
    } else {
        format!("no cluster is called `{plane}`, which is to be the control plane")
    };
    Some(Broken::of(object, &Origin::Config, reason))
}

/// Whether any cluster has policies, by kind; those of `config/` count for everybody.
fn any_in_clusters(parts: &Parts) -> [bool; 3] {
    let mut found = [false; 3];
    for store in parts.clusters.values().map(|part| &part.store) {
        found[0] |= !store.authorization_policies.is_empty();
        found[1] |= !store.peer_authentications.is_empty();
        found[2] |= !store.request_authentications.is_empty();
    }
    found
}

/// Returns the services and namespaces that could not be read and that policies for the proxies of a
/// control plane may be attached by.
///
/// Services count from every cluster that it discovers, namespaces from its own, as what is readable of
/// them; of a control plane that is in no cluster from any.
pub(super) fn targets_of_plane(parts: &Parts, plane: &ClusterId) -> Arc<[Broken]> {
    let targets = parts.broken.iter().filter(|it| TARGET_KINDS.contains(&it.object.kind));
    let mut targets = targets.peekable();
    if targets.peek().is_none() {
        return Arc::default();
    }
    let discovered = Topology::of(parts).discovered_by(plane);
    let is_unknown = unknown_plane(parts, plane).is_some();
    let counts = |broken: &&Broken| match (&broken.origin, broken.object.kind) {
        (Origin::Cluster(cluster), "Service") => discovered.contains(cluster),
        // A service that is read nowhere may be of any cluster.
        (_, "Service") => true,
        _ => is_unknown || broken.counts_for(plane),
    };
    targets.filter(counts).cloned().collect()
}

impl Registry {
    /// Remembers what a text that could not be read may have been.
    pub(super) fn remember_unreadable(&mut self, origin: &Origin, unreadable: &Unreadable) {
        let Unreadable { head, meant, .. } = unreadable;
        let reason = "the document could not be read";
        let is_settings_map = head.kind == "ConfigMap" && head.name == "istio";
        if *origin == Origin::MeshConfig || is_settings_map {
            self.remember_settings(origin, reason.to_owned());
        }
        self.remember_meant(origin, head, meant, reason);
        if let Origin::Description(cluster) = origin {
            self.close_cluster(cluster);
        }
        for kind in &meant.target_kinds {
            let object = object_of(kind, head, meant.tells_namespace);
            self.push_broken(Broken::of(object, origin, reason.to_owned()));
        }
    }

    /// Remembers what was read, but is no object, for all that it may have been.
    pub(super) fn remember_unnamed(&mut self, origin: &Origin, document: &Document, reason: &str) {
        let (head, meant) = (document.head(), document.meant());
        self.remember_meant(origin, &head, &meant, reason);
        for kind in &meant.target_kinds {
            let object = object_of(kind, &head, meant.tells_namespace);
            self.remember_target(object, origin, document, reason.to_owned());
        }
    }

    pub(super) fn remember_meant(
        &mut self,
        origin: &Origin,
        head: &Head,
        meant: &Meant,
        reason: &str,
    ) {
        for kind in &meant.security_kinds {
            let object = object_of(kind, head, meant.tells_namespace);
            self.push_broken(Broken::of(object, origin, reason.to_owned()));
        }
    }

    /// Remembers an object that policies are attached by; one that is there, too, and says the same has
    /// lost nothing.
    fn remember_target(
        &mut self,
        object: ObjectKey,
        origin: &Origin,
        document: &Document,
        reason: String,
    ) {
        let labels = told::labels(document);
        let known = self.known_store(origin).and_then(|store| store.labels_of_target(&object));
        if known.is_none() || known != labels.as_ref() {
            self.push_target(object, origin, document, reason);
        }
    }

    /// Remembers an object that policies are attached by, with what it selects and says of itself.
    pub(super) fn push_target(
        &mut self,
        object: ObjectKey,
        origin: &Origin,
        document: &Document,
        reason: String,
    ) {
        let (selector, labels) = (told::selector_of_service(document), told::labels(document));
        self.push_broken(Broken { selector, labels, ..Broken::of(object, origin, reason) });
    }

    /// Remembers an object that was refused, if it is one of security.
    pub(super) fn remember(
        &mut self,
        mut object: ObjectKey,
        origin: &Origin,
        document: &Document,
        reason: String,
    ) {
        if object.kind == "ConfigMap" && *object.name == *"istio" {
            return self.remember_settings(origin, reason);
        }
        if TARGET_KINDS.contains(&object.kind) {
            if !document.meant().tells_namespace {
                object.namespace = Namespace::default();
            }
            return self.remember_target(object, origin, document, reason);
        }
        if !SECURITY_KINDS.contains(&object.kind) {
            return;
        }
        if !document.meant().tells_namespace {
            object.namespace = Namespace::default();
        }
        let is_tokens = object.kind == "RequestAuthentication";
        self.push_broken(Broken {
            selector: told::selector(document),
            action: told::action(document),
            token_places: is_tokens.then(|| told::token_places(document)).flatten(),
            ..Broken::of(object, origin, reason)
        });
    }

    /// Remembers settings of the mesh if what is wrong with them is security's.
    pub(super) fn check_settings(&mut self, origin: &Origin, found: &[Diagnostic]) {
        if let Some(reason) = settings::refused(found) {
            self.remember_settings(origin, reason);
        }
    }

    /// Remembers that there are two of what decides about policies.
    pub(super) fn remember_surplus(&mut self, origin: &Origin) {
        if *origin == Origin::MeshConfig {
            self.remember_settings(origin, "its file holds two documents".to_owned());
        }
        if let Origin::Description(cluster) = origin {
            self.close_cluster(cluster);
        }
    }

    /// Nobody can tell who serves a cluster, or who its workloads are.
    pub(super) fn close_cluster(&mut self, cluster: &ClusterId) {
        let part = self.parts.clusters.entry(cluster.clone()).or_default();
        let known = part.description.as_deref().cloned().unwrap_or_default();
        part.description = Some(Arc::new(known.closed()));
    }

    pub(super) fn remember_settings(&mut self, origin: &Origin, reason: String) {
        self.push_broken(Broken::settings(origin, reason));
    }

    /// What was remembered after the first of these.
    pub(super) fn broken_since(&mut self, first: usize) -> &mut [Broken] {
        Arc::make_mut(&mut self.parts.broken).get_mut(first..).unwrap_or_default()
    }

    pub(super) fn push_broken(&mut self, broken: Broken) {
        Arc::make_mut(&mut self.parts.broken).push(broken);
    }
}

/// An object as its head names it; a namespace is in none.
pub(super) fn object_of(kind: &'static str, head: &Head, tells_namespace: bool) -> ObjectKey {
    let namespace = match (tells_namespace, head.namespace.as_str()) {
        _ if kind == NAMESPACE => "",
        (false, _) => "",
        (true, "") => DEFAULT_NAMESPACE,
        (true, namespace) => namespace,
    };
    ObjectKey { kind, namespace: namespace.into(), name: head.name.as_str().into() }
}
