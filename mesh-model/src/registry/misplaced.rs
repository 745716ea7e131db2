//! What lies where nothing of its kind is read, and decides what policies are in force: nobody can tell
//! whether it is meant to count.
//!
//! | What | What is closed |
//! |---|---|
//! | a policy | what it may concern denies what it might have denied |
//! | settings of the mesh with a field that policies depend on | the same of all policies |
//! | a description of a cluster | who serves it, and who its workloads are |
//! | a Service, ServiceEntry or Namespace that may stand behind a waypoint | what policies that it attaches might deny |
//!
//! Everything else that lies there decides nothing, and closes nothing.
use std::sync::Arc;

use super::attachment::{DATAPLANE_MODE, is_behind_waypoint, says_waypoint};
use super::broken::{DEFAULT_NAMESPACE, labels_of_document, object_of};
use super::carried::carried;
use super::{Broken, Origin, Registry, Source, security};
use crate::manifest::{
    self, Diagnostic, Document, Entry, Limits, Node, OF_OBJECTS, Place, Reading, SECURITY_KINDS,
    Severity, TARGET_KINDS, Unreadable, has_field,
};
use crate::name::{Labels, nearest_name};
use crate::resource::{self, ObjectKey};

const REASON: &str = "it lies where nothing is read";

/// What of security an object decides.
enum Decides {
    /// It may be a policy of these kinds.
    Policies(Vec<&'static str>),
    /// Settings of the mesh.
    Settings,
    /// What a cluster is to the mesh.
    Description,
    /// What proxies are, where their manifests do not tell.
    Proxies,
    /// What policies may be attached by.
    Target(ObjectKey),
}

impl Decides {
    fn of(document: &Document) -> Option<Self> {
        if let Some(found) = Self::of_settings(&document.node) {
            return Some(found);
        }
        if !document.is_manifest() {
            return None;
        }
        let key = resource::admit(&document.node, &document.file, DEFAULT_NAMESPACE).object;
        if let Some(key) = key {
            return match key.kind {
                kind if SECURITY_KINDS.contains(&kind) => Some(Self::Policies(vec![kind])),
                kind if TARGET_KINDS.contains(&kind) => Some(Self::Target(key)),
                _ => None,
            };
        }
        let meant = document.meant();
        if !meant.security_kinds.is_empty() {
            return Some(Self::Policies(meant.security_kinds));
        }
        let head = document.head();
        let target = meant.target_kinds.first()?;
        Some(Self::Target(object_of(target, &head, meant.tells_namespace)))
    }

    /// Settings are known by what they say: a file of them has no kind.
    fn of_settings(node: &Node) -> Option<Self> {
        if node.entries().iter().any(is_of_object) {
            return is_config_map(node).then_some(Self::Settings);
        }
        let has = |names: &[&'static str]| has_any(node, names);
        let role = node.get(&["role"]).and_then(Node::as_str).unwrap_or_default();
        if has(&["controlPlane", "rootCaFingerprint"]) || ROLES.contains(&role) {
            return Some(Self::Description);
        }
        if has(&security::settings()) {
            return Some(Self::Settings);
        }
        let reference = node.get(&["ref"]).and_then(Node::as_str).unwrap_or_default();
        let is_proxy = reference.split('/').count() == 3
            && ["type", "metadata"].iter().any(|field| node.get(&[*field]).is_some());
        is_proxy.then_some(Self::Proxies)
    }

    /// What a file that could not be read may have decided by a name that is nearly that of one of the
    /// folder's own.
    fn of_own_file(origin: &Origin, source: &Source) -> Option<Self> {
        let text = String::from_utf8_lossy(&source.text);
        match origin {
            Origin::MeshConfig => has_field(&text, &security::settings()).then_some(Self::Settings),
            Origin::Description(_) => has_field(&text, &OF_CLUSTER).then_some(Self::Description),
            Origin::Config
            | Origin::Cluster(_)
            | Origin::MeshNetworks
            | Origin::Proxies
            | Origin::Misplaced(_) => None,
        }
    }

    /// What a manifest that could not be read may have decided.
    fn of_unreadable(unreadable: &Unreadable) -> Vec<Self> {
        let Unreadable { head, meant, is_manifest, .. } = unreadable;
        if !is_manifest {
            return Vec::new();
        }
        let is_settings = head.kind == "ConfigMap" && head.name == "istio";
        let kinds = meant.security_kinds.clone();
        let target = |kind| Self::Target(object_of(kind, head, meant.tells_namespace));
        let targets = meant.target_kinds.iter().map(|kind| target(*kind));
        let policies = (!kinds.is_empty()).then_some(Self::Policies(kinds));
        policies.into_iter().chain(is_settings.then_some(Self::Settings)).chain(targets).collect()
    }
}

/// The fields of a description that security depends on.
const OF_CLUSTER: [&str; 4] = ["controlPlane", "role", "trustDomain", "rootCaFingerprint"];

/// What the role of a cluster may be.
const ROLES: [&str; 4] = ["primary", "remote", "config", "standalone"];

/// Whether a map has a field of one of these names, misspelt or not.
fn has_any(node: &Node, names: &[&'static str]) -> bool {
    let is_meant = |name: &str| nearest_name(name, names.iter().copied()).is_some();
    node.entries().iter().any(|entry| is_meant(&entry.key))
}

/// Whether an object may have been meant as the ConfigMap with settings that policies depend on.
fn is_config_map(node: &Node) -> bool {
    let is_near = |written: Option<&Node>, name: &'static str| {
        let written = written.and_then(Node::as_str).unwrap_or_default();
        nearest_name(written, [name].into_iter()).is_some()
    };
    let name = node.get(&["metadata"]).and_then(|metadata| metadata.get(&["name"]));
    if !is_near(node.get(&["kind"]), "ConfigMap") || !is_near(name, "istio") {
        return false;
    }
    let data = node.get(&["data"]).map(Node::entries).unwrap_or_default();
    let texts =
        data.iter().filter(|entry| nearest_name(&entry.key, ["mesh"].into_iter()).is_some());
    texts.filter_map(|entry| entry.node.as_str()).any(|text| {
        let reading = manifest::read("", text.as_bytes(), &Limits::default());
        !reading.unreadable.is_empty()
            || reading
                .documents
                .iter()
                .any(|document| has_any(&document.node, &security::settings()))
    })
}

fn is_of_object(entry: &Entry) -> bool {
    nearest_name(&entry.key, OF_OBJECTS.into_iter()).is_some()
}

/// Whether labels say, or may say, that policies of a service are in force at a waypoint, or who carries
/// a namespace's pods; none: nobody can tell.
fn attaches(labels: Option<&Labels>) -> bool {
    labels
        .is_none_or(|labels| is_behind_waypoint(labels) || !labels.value(DATAPLANE_MODE).is_empty())
}

/// Returns whether a text decides what is allowed, were it read: by policies, by settings that those depend
/// on, by what attaches them. Prose does not, whatever it speaks of.
///
/// For those who put texts aside: what is in force without them is not what they say.
///
/// # Examples
///
/// ```
/// use mesh_model::manifest::{Limits, read};
/// use mesh_model::registry::decides_security;
///
/// let decides = |text: &str| decides_security(&read("", text.as_bytes(), &Limits::default()));
/// assert!(decides("trustDomain: example.com"));
/// assert!(decides("{apiVersion: security.istio.io/v1, kind: PeerAuthentication}"));
/// assert!(!decides("{apiVersion: v1, kind: Service, metadata: {name: cart}}"));
/// ```
pub fn decides_security(reading: &Reading) -> bool {
    let of_document = |document: &Document| match Decides::of(document) {
        Some(Decides::Target(_)) => attaches(labels_of_document(document).as_ref()),
        Some(_) => true,
        None => false,
    };
    let holds =
        |document: &Document| of_document(document) || carried(document).iter().any(of_document);
    reading.documents.iter().any(holds)
        || reading.unreadable.iter().any(|it| !Decides::of_unreadable(it).is_empty())
}

impl Registry {
    /// Remembers what a text that lies where nothing is read decides, and tells of it. What has not the form
    /// of a manifest, nor of the folder's own files, decides nothing.
    pub(super) fn remember_misplaced(
        &mut self,
        origin: &Origin,
        source: &Source,
        reading: &Reading,
    ) -> Vec<Diagnostic> {
        // A cluster that there is not may be any.
        let is_known = self.known_store(origin).is_some();
        let origin = if is_known { origin } else { &Origin::Config };
        let mut found = Vec::new();
        let own = || Decides::of_own_file(origin, source);
        if let Some(decides) = (!reading.unreadable.is_empty()).then(own).flatten() {
            found.push(misplaced(&source.name, Place::default(), &decides));
            self.close_by_settings(origin);
        }
        for unreadable in &reading.unreadable {
            for decides in Decides::of_unreadable(unreadable) {
                found.push(misplaced(&unreadable.file, Place::default(), &decides));
                match decides {
                    Decides::Policies(_) => {
                        let Unreadable { head, meant, .. } = unreadable;
                        self.remember_meant(origin, head, meant, REASON);
                    }
                    Decides::Target(object) => {
                        self.push_broken(Broken::of(object, origin, REASON.to_owned()));
                    }
                    Decides::Settings | Decides::Description => self.close_by_settings(origin),
                    Decides::Proxies => {}
                }
            }
        }
        for document in &reading.documents {
            found.extend(self.remember_unread(origin, document));
            found.extend(self.remember_carried(origin, document));
        }
        found
    }

    /// Remembers settings that are not read where they are, and tells of them.
    pub(super) fn remember_stray_settings(
        &mut self,
        origin: &Origin,
        document: &Document,
    ) -> Option<Diagnostic> {
        let decides = Decides::of_settings(&document.node)?;
        if !matches!(decides, Decides::Proxies) {
            self.close_by_settings(origin);
        }
        Some(misplaced(&document.file, document.node.place, &decides))
    }

    /// Remembers what an object decides that is not read where it is, and tells of it.
    pub(super) fn remember_unread(
        &mut self,
        origin: &Origin,
        document: &Document,
    ) -> Option<Diagnostic> {
        let decides = Decides::of(document)?;
        let told = misplaced(&document.file, document.node.place, &decides);
        match decides {
            Decides::Policies(_) => {
                self.remember_out_of_place(origin, document, REASON);
            }
            Decides::Settings | Decides::Description => self.close_by_settings(origin),
            Decides::Proxies => {}
            Decides::Target(object) => {
                if !self.may_attach(origin, &object, document) {
                    return None;
                }
                self.push_target(object, origin, document, REASON.to_owned());
            }
        }
        Some(told)
    }

    /// Whether an object that is not read may attach policies, and nothing that is read says the same.
    fn may_attach(&self, origin: &Origin, object: &ObjectKey, document: &Document) -> bool {
        let labels = labels_of_document(document);
        let of_clusters = || self.parts.clusters.values().map(|part| &*part.store);
        let of_config = (object.kind == "ServiceEntry").then_some(&*self.parts.config);
        let own = match origin {
            Origin::Cluster(id) => Some(id),
            Origin::Config
            | Origin::MeshConfig
            | Origin::MeshNetworks
            | Origin::Proxies
            | Origin::Description(_)
            | Origin::Misplaced(_) => None,
        };
        let own = own.and_then(|id| self.parts.clusters.get(id)).map(|part| vec![&*part.store]);
        let stores: Vec<_> = own.unwrap_or_else(|| of_clusters().chain(of_config).collect());
        // Of which cluster it was to be cannot be told: the others' say nothing of that one's.
        let mut known = stores.iter().map(|store| store.labels_of_target(object));
        let is_entry = object.kind == "ServiceEntry";
        let is_same = |known: Option<&Labels>| known.is_some() && known == labels.as_ref();
        let says_same = if is_entry { known.any(is_same) } else { known.all(is_same) };
        if labels.is_some() && !stores.is_empty() && says_same {
            return false;
        }
        if attaches(labels.as_ref()) {
            return true;
        }
        if object.kind == "Namespace" {
            return !self.parts.settings().discovery_selectors.is_empty();
        }
        let namespace = object.namespace.as_str();
        let mut namespaces = of_clusters().filter_map(|store| store.namespace(namespace));
        !labels.is_some_and(|labels| says_waypoint(&labels))
            && namespaces.any(|meta| is_behind_waypoint(&meta.labels))
    }

    /// Nobody can tell which settings are meant: of the cluster that they are of, or of the mesh.
    fn close_by_settings(&mut self, origin: &Origin) {
        if let Origin::Cluster(cluster) | Origin::Description(cluster) = origin {
            self.close_cluster(cluster);
        }
        self.remember_settings(origin, REASON.to_owned());
    }

    /// Remembers an object that stands where the folder's own files say something else, and tells of it;
    /// nothing for what may be no policy.
    pub(super) fn remember_among_settings(
        &mut self,
        origin: &Origin,
        document: &Document,
    ) -> Option<Diagnostic> {
        if !document.node.entries().iter().any(is_of_object) {
            return None;
        }
        let kinds = self.remember_out_of_place(origin, document, "its file says something else");
        if kinds.is_empty() {
            return None;
        }
        if let Origin::Description(cluster) = origin {
            self.close_cluster(cluster);
        }
        Some(misplaced(&document.file, document.node.place, &Decides::Policies(kinds)))
    }

    /// Remembers a policy that is not in force where it stands; returns the kinds that it may be of.
    fn remember_out_of_place(
        &mut self,
        origin: &Origin,
        document: &Document,
        reason: &str,
    ) -> Vec<&'static str> {
        let key = resource::admit(&document.node, &document.file, DEFAULT_NAMESPACE).object;
        if let Some(key) = key.filter(|key| SECURITY_KINDS.contains(&key.kind)) {
            let kinds = vec![key.kind];
            self.remember(key, origin, document, reason.to_owned());
            return kinds;
        }
        let meant = document.meant();
        self.remember_meant(origin, &document.head(), &meant, reason);
        meant.security_kinds
    }
}

/// `FILE-MISPLACED`: something that decides what is allowed, and is not in force.
fn misplaced(file: &Arc<str>, place: Place, decides: &Decides) -> Diagnostic {
    let (object, message, help) = match decides {
        Decides::Policies(kinds) => (
            kinds.join(", "),
            "a policy lies where none is read, and is not in force: what it may concern denies what it might \
             have denied",
            "move it below `config/` or `clusters/NAME/`, into a file whose name ends in `.yaml`, or away",
        ),
        Decides::Settings => (
            "MeshConfig".to_owned(),
            "settings that policies depend on lie where none are read: because nobody can tell whether they \
             are meant, what security policies might deny is denied",
            "call the file `mesh.yaml`, or put the ConfigMap `istio` below `config/`, or move them away",
        ),
        Decides::Description => (
            "ClusterDescription".to_owned(),
            "what a cluster is to the mesh is said where nobody reads it: because nobody can tell whether it is \
             meant, what policies of any cluster might deny is denied",
            "call the file `clusters/NAME/cluster.yaml`, or move it away",
        ),
        Decides::Proxies => (
            "ProxyEntry".to_owned(),
            "what is said of proxies lies where nobody reads it: each is taken for what its manifests say",
            "call the file `proxies.json`, or move it away",
        ),
        Decides::Target(object) => (
            object.to_string(),
            "it lies where nothing is read, and policies may be attached by it: what they might deny is denied \
             to whom it may select",
            "move it below `clusters/NAME/`, into a file whose name ends in `.yaml`, or away",
        ),
    };
    Diagnostic {
        code: "FILE-MISPLACED",
        severity: Severity::Error,
        file: file.clone(),
        place,
        object,
        field: String::new(),
        message: message.to_owned(),
        help: help.to_owned(),
    }
}
