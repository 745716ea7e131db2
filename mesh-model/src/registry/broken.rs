//! Security that is not in force as it was meant: nobody can tell what it would have denied.
//!
//! ```text
//! loading ──remember──▶ Mesh::broken ──of_plane──▶ ControlPlane::broken ──▶ authorizers, ztunnels, mutual TLS
//! ```
use std::sync::Arc;

use super::load::labels_of;
use super::map::Key;
use super::mesh::Parts;
use super::objects::in_both;
use super::{Origin, Registry};
use crate::manifest::{
    Diagnostic, Document, Entry, Head, Meant, SECURITY_KINDS, Severity, Unreadable,
};
use crate::name::{ClusterId, Labels, Namespace};
use crate::resource::{Action, MeshConfig, ObjectKey};

/// The namespace of objects that do not name theirs.
pub(super) const DEFAULT_NAMESPACE: &str = "default";

/// The kind of what stands for settings of the mesh that security depends on.
const SETTINGS: &str = "MeshConfig";

/// The kind of what `discoverySelectors` are asked of.
const NAMESPACE: &str = "Namespace";

/// The settings that decide which policies count for whom and what they see.
const OF_SECURITY: [&str; 6] = [
    "rootNamespace",
    "trustDomain",
    "trustDomainAliases",
    "pathNormalization",
    "extensionProviders",
    "discoverySelectors",
];

/// A security policy that could not be understood, or the settings of the mesh (kind `MeshConfig`).
///
/// Nobody can tell what it would have denied, so the workloads that it may select deny what it might
/// have denied, until it is mended. A RequestAuthentication denies nothing that its callers could not
/// reach without a token: where it is not in force no request has a principal, and rules that ask for
/// one do not match.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "a value that later stages read")]
pub struct Broken {
    /// The object, as far as it can be told; without a namespace it may be of any.
    pub object: ObjectKey,
    /// Where it was found.
    pub origin: Origin,
    /// The labels of the workloads that it selects; `None` if that cannot be told: any.
    pub selector: Option<Labels>,
    /// What an AuthorizationPolicy does; `None` if that cannot be told, and for other kinds.
    pub action: Option<Action>,
    /// What is wrong with it.
    pub reason: String,
}

impl Broken {
    /// An object of which nothing more can be told.
    fn of(object: ObjectKey, origin: &Origin, reason: String) -> Self {
        Self { object, origin: origin.clone(), selector: None, action: None, reason }
    }

    /// An object of which there are two.
    fn twice(kind: &'static str, (namespace, name): Key<'_>, origin: &Origin) -> Self {
        let object = ObjectKey { kind, namespace: namespace.into(), name: name.into() };
        Self::of(object, origin, "`config/` has an object of this name, too".to_owned())
    }

    /// Returns whether the object counts for the proxies of a control plane: of the clusters only its
    /// own counts.
    pub fn counts_for(&self, control_plane: &ClusterId) -> bool {
        match &self.origin {
            Origin::Cluster(cluster) => cluster == control_plane,
            Origin::Config
            | Origin::MeshConfig
            | Origin::MeshNetworks
            | Origin::Proxies
            | Origin::Description(_) => true,
        }
    }
}

/// Returns what is broken for the proxies of a control plane.
///
/// That is what was remembered and counts for it; a stand-in for each policy that `config/` and the
/// control plane's own cluster both have, because nobody can tell which one is meant; and one for all
/// policies of a kind, if there are any, where settings that decide whom they concern are not understood,
/// or of one namespace, where selectors decide whether it is read and its labels cannot be.
pub(super) fn of_plane(parts: &Parts, config: &MeshConfig, plane: &ClusterId) -> Arc<[Broken]> {
    let [policy, peer, _] = SECURITY_KINDS;
    let mut found: Vec<Broken> =
        parts.broken.iter().filter(|broken| broken.counts_for(plane)).cloned().collect();
    let settings = found.iter().find(|broken| broken.object.kind == SETTINGS).cloned();
    let selects = !config.discovery_selectors.is_empty();
    let namespaces: Vec<Broken> = found.extract_if(.., |it| it.object.kind == NAMESPACE).collect();
    let own = parts.clusters.get(plane).map(|part| &part.store);
    let (policies, peers) =
        (&parts.config.authorization_policies, &parts.config.peer_authentications);
    let mut has_any = [!policies.is_empty(), !peers.is_empty()];
    if let Some(own) = own {
        let origin = Origin::Cluster(plane.clone());
        let mut stand_in = |kind, name: Key<'_>| found.push(Broken::twice(kind, name, &origin));
        in_both(&own.authorization_policies, policies).for_each(|name| stand_in(policy, name));
        in_both(&own.peer_authentications, peers).for_each(|name| stand_in(peer, name));
        has_any[0] |= !own.authorization_policies.is_empty();
        has_any[1] |= !own.peer_authentications.is_empty();
    }
    // Nobody can tell whether the policies of such a namespace are read.
    let unknown = namespaces.into_iter().filter(|_| selects).map(|it| {
        let namespace = Namespace::from(&*it.object.name);
        Broken { object: ObjectKey { namespace, ..it.object.clone() }, ..it }
    });
    for stands in unknown.chain(settings) {
        let kinds = [policy, peer].into_iter().zip(has_any).filter(|(_, has_any)| *has_any);
        found.extend(kinds.map(|(kind, _)| {
            let object = ObjectKey { kind, ..stands.object.clone() };
            Broken { object, ..stands.clone() }
        }));
    }
    found.into()
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
        if head.kind == NAMESPACE {
            let object = ObjectKey {
                kind: NAMESPACE,
                namespace: Namespace::default(),
                name: head.name.as_str().into(),
            };
            self.push_broken(Broken::of(object, origin, reason.to_owned()));
        }
        self.remember_meant(origin, head, meant, reason);
    }

    /// Remembers what was read, but is no object, for all that it may have been.
    pub(super) fn remember_unnamed(&mut self, origin: &Origin, document: &Document, reason: &str) {
        self.remember_meant(origin, &document.head(), &document.meant(), reason);
    }

    fn remember_meant(&mut self, origin: &Origin, head: &Head, meant: &Meant, reason: &str) {
        let namespace = match (meant.tells_namespace, head.namespace.as_str()) {
            (false, _) => "",
            (true, "") => DEFAULT_NAMESPACE,
            (true, namespace) => namespace,
        };
        for kind in &meant.security_kinds {
            let (namespace, name) = (Namespace::from(namespace), head.name.as_str().into());
            let broken = Broken::of(ObjectKey { kind, namespace, name }, origin, reason.to_owned());
            self.push_broken(broken);
        }
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
        if object.kind == NAMESPACE {
            return self.push_broken(Broken::of(object, origin, reason));
        }
        if !SECURITY_KINDS.contains(&object.kind) {
            return;
        }
        if !document.meant().tells_namespace {
            object.namespace = Namespace::default();
        }
        let (selector, action) = (selector_of(document), action_of(document));
        self.push_broken(Broken { selector, action, ..Broken::of(object, origin, reason) });
    }

    /// Remembers settings of the mesh if what is wrong with them is security's.
    pub(super) fn check_settings(&mut self, origin: &Origin, found: &[Diagnostic]) {
        let is_of_security = |finding: &&Diagnostic| {
            let field = finding.field.split(['.', '[']).next().unwrap_or_default();
            finding.severity == Severity::Error
                && (field.is_empty() || OF_SECURITY.contains(&field))
        };
        if let Some(finding) = found.iter().find(is_of_security) {
            self.remember_settings(origin, format!("{}: {}", finding.field, finding.message));
        }
    }

    /// Remembers that there are two of what decides about policies.
    pub(super) fn remember_surplus(&mut self, origin: &Origin) {
        if *origin == Origin::MeshConfig {
            self.remember_settings(origin, "its file holds two documents".to_owned());
        }
    }

    fn remember_settings(&mut self, origin: &Origin, reason: String) {
        let (namespace, name) = (Namespace::default(), "".into());
        let object = ObjectKey { kind: SETTINGS, namespace, name };
        self.push_broken(Broken::of(object, origin, reason));
    }

    fn push_broken(&mut self, broken: Broken) {
        Arc::make_mut(&mut self.parts.broken).push(broken);
    }
}

/// The labels in `spec.selector.matchLabels` of an object that could not be decoded.
///
/// Only a selector that is readable as a whole narrows what the object may concern, and only one that
/// stands alone: a reference beside it may mean others.
fn selector_of(document: &Document) -> Option<Labels> {
    let spec = document.node.get(&["spec"])?;
    let references = ["targetRef", "target_ref", "targetRefs", "target_refs"];
    if references.iter().any(|field| spec.get(&[*field]).is_some_and(|node| !node.is_null())) {
        return None;
    }
    let labels = spec.get(&["selector"])?.get(&["matchLabels", "match_labels"])?;
    // Who wrote a pattern where labels are equal or not meant more than it says.
    let is_plain = |entry: &Entry| {
        let value = entry.node.as_str().unwrap_or_default();
        !entry.key.is_empty() && !entry.key.contains('*') && !value.contains('*')
    };
    labels_of(labels).filter(|_| labels.entries().iter().all(is_plain))
}

/// The action of a policy that could not be decoded; absent is ALLOW.
fn action_of(document: &Document) -> Option<Action> {
    let action = document.node.get(&["spec"])?.get(&["action"]);
    let Some(action) = action.filter(|action| !action.is_null()) else {
        return Some(Action::Allow);
    };
    let text = action.as_str()?;
    [Action::Allow, Action::Deny, Action::Audit, Action::Custom]
        .into_iter()
        .find(|known| known.as_str() == text)
}
