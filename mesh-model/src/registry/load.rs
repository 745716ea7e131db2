//! Loading: texts in, an index out, and everything that is wrong with the texts.
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::broken::{DEFAULT_NAMESPACE, Repeated};
use super::index::Index;
use super::mesh::{Parts, Refused};
use super::objects::Store;
use super::texts::Texts;
use super::topology::Topology;
use super::{ControlPlane, Effect, Mesh, Origin, Source};
use crate::compat::Compat;
use crate::manifest::decode::clip;
use crate::manifest::{
    self, Diagnostic, Document, Limits, Node, Place, Reading, SECURITY_KINDS, Severity,
};
use crate::name::{ClusterId, Labels, Namespace, is_dns_label};
use crate::resource::{
    self, MeshConfig, MeshConfigMap, MeshNetworks, ObjectKey, ProxyEntry, ProxyRef, Resource,
};

mod choice;
mod closing;
mod description;
mod duplicate;
mod findings;
mod incoming;
mod settings;

use self::description::DESCRIPTION;
use self::findings::Findings;
use self::incoming::Incoming;

/// The mutable side: what was loaded, and the index made of it.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    pub(super) compat: Arc<Compat>,
    limits: Limits,
    keeps_places: bool,
    // INVARIANT: empty but while texts are read.
    incoming: Incoming,
    pub(super) parts: Parts,
    pub(super) index: Index,
    pub(super) planes: BTreeMap<ClusterId, Arc<ControlPlane>>,
    pub(super) mesh: Arc<Mesh>,
}

impl Registry {
    /// An empty registry that follows the given upstream.
    pub fn new(compat: Compat) -> Self {
        let mut registry = Self { compat: Arc::new(compat), ..Self::default() };
        registry.rebuild();
        registry
    }

    /// The same with other limits for what is read.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// The same, remembering where pods, nodes and slices stand too, so that findings about them name
    /// their lines; it costs memory for each of them.
    #[must_use]
    pub fn with_all_places(self) -> Self {
        Self { keeps_places: true, ..self }
    }

    /// The index of what has been loaded.
    pub fn mesh(&self) -> Arc<Mesh> {
        self.mesh.clone()
    }

    /// Loads texts and indexes them; returns everything that is wrong with them, by file and place.
    ///
    /// What cannot be used is left out, the rest counts. Of two objects of one kind, namespace and
    /// name in one part of the mesh the first counts.
    pub fn load(&mut self, sources: impl IntoIterator<Item = Source>) -> Vec<Diagnostic> {
        let diagnostics = self.read_all(sources);
        self.rebuild();
        diagnostics
    }

    /// Loads texts in place of all that were loaded before, and tells what that makes different.
    ///
    /// The mesh and the diagnostics are those of a new registry; objects that are as they were, and
    /// what follows from them alone, stay the same allocations.
    pub fn reload(
        &mut self,
        sources: impl IntoIterator<Item = Source>,
    ) -> (Vec<Diagnostic>, Effect) {
        let mut fresh =
            Self { limits: self.limits, keeps_places: self.keeps_places, ..Self::default() };
        let diagnostics = fresh.read_all(sources);
        let has_moved =
            self.parts.places != fresh.parts.places || self.parts.refused != fresh.parts.refused;
        self.parts.places = fresh.parts.places.clone();
        self.parts.refused = fresh.parts.refused.clone();
        let effect = self.apply_all(self.parts.changes_to(&fresh.parts));
        if has_moved {
            // Nothing is different but where it stands.
            self.publish();
        }
        (diagnostics, effect)
    }

    fn read_all(&mut self, sources: impl IntoIterator<Item = Source>) -> Vec<Diagnostic> {
        let mut sources: Vec<Source> = sources.into_iter().collect();
        // By part and name, so that the order in which files are listed does not matter.
        sources.sort_by(|a, b| (&a.origin, &a.name).cmp(&(&b.origin, &b.name)));
        let mut diagnostics = Findings::new(self.limits.diagnostics);
        let (mut unread, mut texts) = (Vec::new(), Texts::default());
        self.open_incoming();
        for source in sources {
            unread.extend(self.read(&source, &mut texts, &mut diagnostics));
        }
        self.close_incoming();
        // What they attach is known once everything else is, and so is who applies a text.
        for document in unread {
            diagnostics.extend(self.remember_unread(&Origin::Config, &document));
        }
        diagnostics.extend(self.remember_texts(texts));
        self.check_descriptions(&mut diagnostics);
        settings::check(&self.parts, &mut diagnostics);
        choice::check(&self.parts, &mut diagnostics);
        self.check_twice(&mut diagnostics);
        diagnostics.into_sorted()
    }

    /// Reads a text, a document at a time where that is enough; returns the objects of `config/` that are
    /// of no cluster there and policies may be attached by.
    fn read(
        &mut self,
        source: &Source,
        texts: &mut Texts,
        diagnostics: &mut Findings,
    ) -> Vec<Document> {
        let limits = self.limits;
        let whole = || manifest::read(&source.name, &source.text, &limits);
        match &source.origin {
            Origin::Misplaced(meant) => {
                self.settle();
                diagnostics.extend(self.remember_misplaced(meant, source, &whole()));
                Vec::new()
            }
            Origin::Proxies => self.take(source, whole(), texts, diagnostics),
            Origin::MeshConfig
            | Origin::MeshNetworks
            | Origin::Description(_)
            | Origin::Config
            | Origin::Cluster(_) => {
                let mut unread = Vec::new();
                let mut repeated = Repeated::default();
                for part in manifest::parts(&source.name, &source.text, &limits) {
                    unread.extend(self.take(source, part, texts, diagnostics));
                    self.forget_repeated(&mut repeated);
                }
                unread
            }
        }
    }

    /// Takes what was read of a text.
    fn take(
        &mut self,
        source: &Source,
        reading: Reading,
        texts: &mut Texts,
        diagnostics: &mut Findings,
    ) -> Vec<Document> {
        let mut unread = Vec::new();
        let first = diagnostics.len();
        diagnostics.extend_limited(reading.diagnostics);
        let mut named = BTreeSet::new();
        if let (Origin::Proxies, [document]) = (&source.origin, &*reading.documents)
            && source.text.trim_ascii_start().starts_with(b"{")
            && document.node.get(&["ref"]).is_some()
        {
            diagnostics.push(no_list(document));
        }
        let is_of_objects = matches!(source.origin, Origin::Config | Origin::Cluster(_));
        if !is_of_objects || !reading.unreadable.is_empty() {
            self.settle();
        }
        for (place, unreadable) in reading.unreadable.iter().enumerate() {
            let before = self.parts.broken.len();
            self.remember_unreadable(&source.origin, unreadable);
            // One finding each; the last speaks for all that are not told.
            let told = diagnostics.since(first);
            let place = place.min(told.len().saturating_sub(1));
            let told = told.get_mut(place..).unwrap_or_default();
            closing::tell(told, self.broken_since(before));
            if let Origin::Description(cluster) = &source.origin {
                closing::tell_description(told, &self.description(cluster));
            }
        }
        for document in &reading.documents {
            if self.is_surplus(&source.origin, document) {
                let (first, before) = (diagnostics.len(), self.parts.broken.len());
                diagnostics.push(surplus(document));
                self.remember_unnamed(&source.origin, document, "its file holds one document");
                self.remember_surplus(&source.origin);
                closing::tell(diagnostics.since(first), self.broken_since(before));
                if let Origin::Description(cluster) = &source.origin {
                    closing::tell_description(diagnostics.since(first), &self.description(cluster));
                }
                continue;
            }
            let is_settings = settings_key(&source.origin).is_some();
            let policy =
                is_settings.then(|| self.remember_among_settings(&source.origin, document));
            if let Some(found) = policy.flatten() {
                diagnostics.push(found);
                continue;
            }
            self.place_settings(&source.origin, document);
            match &source.origin {
                Origin::MeshConfig | Origin::MeshNetworks
                    if self.unwrap(&source.origin, document, diagnostics).is_some() => {}
                Origin::MeshConfig => {
                    let (config, mut found) = MeshConfig::admit(&document.node, &document.file);
                    self.check_settings(&source.origin, &found);
                    closing::tell_settings(&mut found);
                    diagnostics.extend(settings::with_defaults(found));
                    self.parts.mesh_config = Some(Arc::new(config));
                }
                Origin::MeshNetworks => {
                    let (networks, found) = MeshNetworks::admit(&document.node, &document.file);
                    diagnostics.extend(found);
                    self.parts.networks = Some(Arc::new(networks));
                }
                Origin::Description(cluster) => {
                    self.describe(cluster, document, diagnostics);
                }
                Origin::Proxies => {
                    let (entry, found) = ProxyEntry::decode(&document.node, &document.file);
                    diagnostics.extend(found);
                    let reference = entry.as_ref().and_then(|entry| entry.reference.clone());
                    if let Some(reference) = reference.filter(|known| !named.insert(known.clone()))
                    {
                        diagnostics.push(named_twice(document, &reference));
                    }
                    Arc::make_mut(&mut self.parts.proxies).extend(entry);
                }
                Origin::Config | Origin::Cluster(_) | Origin::Misplaced(_) => {
                    self.add(&source.origin, document, diagnostics);
                    if texts.collect(&source.origin, document) {
                        self.settle();
                        diagnostics.extend(self.remember_below_fields(&source.origin, document));
                    }
                    let is_unread = source.origin == Origin::Config
                        && ["Service", "Namespace"].contains(&&*document.head().kind);
                    unread.extend(is_unread.then(|| document.clone()));
                }
            }
        }
        unread
    }

    /// Takes the settings and networks of a document that is the ConfigMap with them.
    fn unwrap(
        &mut self,
        origin: &Origin,
        document: &Document,
        diagnostics: &mut Findings,
    ) -> Option<()> {
        let map = MeshConfigMap::of(&document.node)?;
        if *origin == Origin::MeshConfig
            && let Some(mut found) = settings::no_key(origin, document, &map)
        {
            if found.severity == Severity::Error {
                self.remember_settings(origin, found.message.clone());
                closing::tell_settings(std::slice::from_mut(&mut found));
            }
            diagnostics.push(found);
        }
        if let Some((config, mut found)) = map.mesh_config(&document.file) {
            self.check_settings(origin, &found);
            closing::tell_settings(&mut found);
            diagnostics.extend(settings::with_defaults(found));
            self.parts.mesh_config = Some(Arc::new(config));
        }
        if let Some((networks, found)) = map.mesh_networks(&document.file) {
            diagnostics.extend(found);
            self.parts.networks = Some(Arc::new(networks));
        }
        Some(())
    }

    /// Whether a document is the second of a part that has one.
    fn is_surplus(&self, origin: &Origin, document: &Document) -> bool {
        match origin {
            Origin::MeshConfig | Origin::MeshNetworks => {
                // A ConfigMap holds both.
                let is_map = MeshConfigMap::of(&document.node).is_some();
                !is_map && self.place_of(origin).is_some()
            }
            Origin::Description(_) => self.place_of(origin).is_some(),
            Origin::Proxies | Origin::Config | Origin::Cluster(_) | Origin::Misplaced(_) => false,
        }
    }

    fn place_of(&self, origin: &Origin) -> Option<&(Arc<str>, Place)> {
        self.parts.places.get(&(origin.clone(), settings_key(origin)?))
    }

    /// Remembers where the documents that are no objects stand; of `proxies.json` the first entry.
    fn place_settings(&mut self, origin: &Origin, document: &Document) {
        let Some(key) = settings_key(origin) else { return };
        let place = (document.file.clone(), document.node.place);
        Arc::make_mut(&mut self.parts.places).entry((origin.clone(), key)).or_insert(place);
    }

    /// Tells of objects that `config/` and the cluster of a control plane both have: for its proxies they
    /// are two of one name.
    fn check_twice(&self, diagnostics: &mut Findings) {
        for id in Topology::of(&self.parts).control_planes() {
            let Some(part) = self.parts.clusters.get(&id) else { continue };
            let origin = Origin::Cluster(id);
            let twice = part.store.also_in(&self.parts.config);
            for key in twice.iter().filter(|key| !is_in_every_cluster(key.kind)) {
                let place = |origin| self.parts.places.get(&(origin, key.clone()));
                let Some((file, own)) = place(origin.clone()) else { continue };
                let first = place(Origin::Config).map(|(file, place)| (file, place.line));
                let at = first.map(|(file, line)| format!(" at {file}:{line}")).unwrap_or_default();
                let effect = if SECURITY_KINDS.contains(&key.kind) {
                    "nobody can tell which one is meant, and what they may concern is denied"
                } else {
                    "no API server holds two: both are used as if their names differed"
                };
                diagnostics.push(Diagnostic {
                    code: "DUPLICATE-OBJECT",
                    severity: Severity::Error,
                    file: file.clone(),
                    place: *own,
                    object: key.to_string(),
                    field: String::new(),
                    message: format!("`config/` defines this object, too{at}; {effect}"),
                    help: "remove one of them".to_owned(),
                });
            }
        }
    }

    /// The objects of a part of the mesh, unless there is no such cluster.
    pub(super) fn known_store(&self, origin: &Origin) -> Option<&Store> {
        debug_assert!(self.incoming.is_empty(), "objects that wait are not known");
        match origin {
            Origin::Cluster(cluster) | Origin::Description(cluster) => {
                self.parts.clusters.get(cluster).map(|part| &*part.store)
            }
            Origin::Config
            | Origin::MeshConfig
            | Origin::MeshNetworks
            | Origin::Proxies
            | Origin::Misplaced(_) => Some(&self.parts.config),
        }
    }

    pub(super) fn store(&mut self, origin: &Origin) -> &mut Store {
        debug_assert!(self.incoming.is_empty(), "objects that wait are not known");
        match origin {
            Origin::Cluster(cluster) | Origin::Description(cluster) => {
                Arc::make_mut(&mut self.parts.clusters.entry(cluster.clone()).or_default().store)
            }
            Origin::Config
            | Origin::MeshConfig
            | Origin::MeshNetworks
            | Origin::Proxies
            | Origin::Misplaced(_) => Arc::make_mut(&mut self.parts.config),
        }
    }

    /// Admits an object and puts it in.
    fn add(&mut self, origin: &Origin, document: &Document, diagnostics: &mut Findings) {
        let decoded = resource::admit(&document.node, &document.file, DEFAULT_NAMESPACE);
        let (first, before) = (diagnostics.len(), self.parts.broken.len());
        diagnostics.extend(decoded.diagnostics.iter().cloned());
        if decoded.resource.is_none() {
            self.settle();
        }
        let Some(key) = decoded.object else {
            let reason = decoded.diagnostics.first().map(|found| found.message.as_str());
            self.remember_unnamed(origin, document, reason.unwrap_or("it is no object"));
            closing::tell(diagnostics.since(first), self.broken_since(before));
            diagnostics.extend(self.remember_stray_settings(origin, document));
            diagnostics.extend(self.remember_carried(origin, document));
            return;
        };
        let Some(resource) = decoded.resource else {
            let mut errors = decoded.diagnostics.iter().filter(|d| d.severity == Severity::Error);
            let Some(reason) = errors.next().map(|error| error.message.clone()) else {
                diagnostics.extend(self.remember_stray_settings(origin, document));
                return;
            };
            self.refuse(&key, document);
            self.remember(key, origin, document, reason);
            closing::tell(diagnostics.since(first), self.broken_since(before));
            return;
        };
        if SECURITY_KINDS.contains(&key.kind) && !is_dns_label(key.namespace.as_str()) {
            let first = diagnostics.len();
            self.settle();
            diagnostics.push(no_namespace(document, &key));
            let key = ObjectKey { namespace: Namespace::default(), ..key };
            self.remember(key, origin, document, "its namespace is none".to_owned());
            closing::tell(diagnostics.since(first), self.broken_since(before));
            return;
        }
        if *origin == Origin::Config && OF_CLUSTERS.contains(&key.kind) {
            diagnostics.push(of_no_cluster(document, &key));
        }
        let map =
            if let Resource::MeshConfigMap(map) = &resource { Some(map.clone()) } else { None };
        if !self.put(origin, &key, resource) {
            diagnostics.push(self.duplicate(origin, document, &key));
            let reason = "two objects have this name".to_owned();
            self.remember(key, origin, document, reason);
            return;
        }
        if self.keeps_places || !is_plentiful(key.kind) {
            let place = (document.file.clone(), document.node.place);
            Arc::make_mut(&mut self.parts.places).insert((origin.clone(), key), place);
        }
        if let Some(map) = map {
            let is_of_mesh = *map.meta.name == *"istio";
            let no_key = is_of_mesh.then(|| settings::no_key(origin, document, &map)).flatten();
            diagnostics.extend(no_key);
            let of_config = map.mesh_config(&document.file).map(|(_, mut found)| {
                closing::tell_settings(&mut found);
                settings::with_defaults(found)
            });
            let of_networks = map.mesh_networks(&document.file).map(|(_, found)| found);
            diagnostics.extend(of_config.into_iter().chain(of_networks).flatten());
        }
    }

    /// Keeps what a refused object selects: whether that exists is worth telling all the same.
    fn refuse(&mut self, object: &ObjectKey, document: &Document) {
        let selector = match object.kind {
            "Gateway" => document.node.get(&["spec"]).and_then(|spec| spec.get(&["selector"])),
            _ => None,
        };
        let Some(selector) = selector.and_then(labels_of).filter(|labels| !labels.is_empty())
        else {
            return;
        };
        let (file, place) = (document.file.clone(), document.node.place);
        let refused = Refused { object: object.clone(), file, place, selector };
        Arc::make_mut(&mut self.parts.refused).push(refused);
    }
}

/// Kinds that are of one cluster: in the config folder they are of none.
const OF_CLUSTERS: [&str; 7] = [
    "Service",
    "EndpointSlice",
    "Pod",
    "Node",
    "HorizontalPodAutoscaler",
    "ServiceExport",
    "ServiceImport",
];

/// Whether objects of a kind say something of the cluster they are in: those of `config/` are other objects.
fn is_in_every_cluster(kind: &str) -> bool {
    OF_CLUSTERS.contains(&kind) || matches!(kind, "Namespace" | "ServiceAccount" | "ConfigMap")
}

/// What a part of the mesh folder that is one document is known by.
fn settings_key(origin: &Origin) -> Option<ObjectKey> {
    let (kind, name) = match origin {
        Origin::MeshConfig => ("MeshConfig", ""),
        Origin::MeshNetworks => ("MeshNetworks", ""),
        Origin::Description(cluster) => (DESCRIPTION, cluster.as_str()),
        Origin::Proxies => ("ProxyEntry", ""),
        Origin::Config | Origin::Cluster(_) | Origin::Misplaced(_) => return None,
    };
    Some(ObjectKey { kind, namespace: Namespace::default(), name: name.into() })
}

fn surplus(document: &Document) -> Diagnostic {
    Diagnostic {
        code: "ONE-DOCUMENT",
        severity: Severity::Error,
        file: document.file.clone(),
        place: document.node.place,
        object: String::new(),
        field: String::new(),
        message: "the file holds one document, and this is another: it is left out".to_owned(),
        help: "join them, or put objects into `config/` or the folder of a cluster".to_owned(),
    }
}

/// Two entries for one proxy.
fn named_twice(document: &Document, reference: &ProxyRef) -> Diagnostic {
    Diagnostic {
        code: "PROXY-TWICE",
        severity: Severity::Warning,
        file: document.file.clone(),
        place: document.node.locate("ref"),
        object: "ProxyEntry".to_owned(),
        field: "ref".to_owned(),
        message: format!("another entry names `{}`", clip(&reference.to_string())),
        help: "join them".to_owned(),
    }
}

/// An entry alone, which is read as a list of one.
fn no_list(document: &Document) -> Diagnostic {
    Diagnostic {
        code: "PROXY-LIST",
        severity: Severity::Warning,
        file: document.file.clone(),
        place: document.node.place,
        object: "ProxyEntry".to_owned(),
        field: String::new(),
        message: "the file holds a list of proxies, and this is one proxy".to_owned(),
        help: "put it in `[` and `]`".to_owned(),
    }
}

/// A namespace that the API server refuses: nobody knows which one was meant.
fn no_namespace(document: &Document, key: &ObjectKey) -> Diagnostic {
    Diagnostic {
        code: "NAMESPACE-NAME",
        severity: Severity::Error,
        file: document.file.clone(),
        place: document.node.place,
        object: key.to_string(),
        field: "metadata.namespace".to_owned(),
        message: format!("`{}` is no name of a namespace", clip(key.namespace.as_str())),
        help: "write a name of small letters, digits and `-`".to_owned(),
    }
}

fn of_no_cluster(document: &Document, key: &ObjectKey) -> Diagnostic {
    Diagnostic {
        code: "KIND-MISPLACED",
        severity: Severity::Warning,
        file: document.file.clone(),
        place: document.node.place,
        object: key.to_string(),
        field: String::new(),
        message: format!(
            "a {} belongs to a cluster, and `config/` is read for what counts in the whole mesh: nobody \
             sees this one",
            key.kind
        ),
        help: "move it below `clusters/NAME/`".to_owned(),
    }
}

/// Kinds that exist by the million: their places are not kept.
fn is_plentiful(kind: &str) -> bool {
    matches!(kind, "EndpointSlice" | "Pod" | "Node")
}

/// The labels of a map, if all of its values are texts.
pub(super) fn labels_of(map: &Node) -> Option<Labels> {
    let entries = map.entries().iter();
    let pairs = entries.map(|entry| Some((&*entry.key, entry.node.as_str()?)));
    pairs.collect::<Option<Vec<_>>>().map(|pairs| pairs.into_iter().collect())
}
