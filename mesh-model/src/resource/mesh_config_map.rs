//! The ConfigMap that holds the settings of the mesh.
use std::collections::BTreeMap;
use std::sync::Arc;

use super::{MeshConfig, MeshNetworks, Meta};
use crate::manifest::decode::{Cursor, Decode, message};
use crate::manifest::{self, Diagnostic, Limits, Node, Place, Value};

/// ConfigMap `istio` or `istio-REVISION` of namespace `istio-system`: YAML within YAML.
///
/// The texts are read on demand: [`mesh_config`](Self::mesh_config),
/// [`mesh_networks`](Self::mesh_networks).
///
/// # Upstream
///
/// istio/istio `pkg/config/mesh/kubemesh/watcher.go`.
#[derive(Clone, Debug, Default, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "callers build objects by hand")]
pub struct MeshConfigMap {
    /// Name, namespace.
    pub meta: Meta,
    /// The document under key `mesh`.
    pub mesh: Option<EmbeddedText>,
    /// The document under key `meshNetworks`.
    pub networks: Option<EmbeddedText>,
    /// Of ConfigMap `istio-sidecar-injector`: whether pods of namespaces that do not say so get
    /// sidecars (`sidecarInjectorWebhook.enableNamespacesByDefault` below key `values`).
    pub injects_by_default: bool,
}

/// A document inside a value of another one.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "a text and its place")]
pub struct EmbeddedText {
    /// The text.
    pub text: Box<str>,
    /// Where its value begins in the outer document: for a block (`|`) the line before its first.
    pub place: Place,
}

impl MeshConfigMap {
    /// Returns the revision whose settings these are, empty for the default one.
    pub fn revision(&self) -> &str {
        self.meta.name.strip_prefix("istio-").unwrap_or_default()
    }

    /// Reads a document that is such a ConfigMap, whatever its name; `None` for any other.
    pub fn of(node: &Node) -> Option<Self> {
        let is = |field, value| node.get(&[field]).and_then(Node::as_str) == Some(value);
        let is_config_map = is("apiVersion", "v1") && is("kind", "ConfigMap");
        is_config_map.then(|| Self::decode(node, &mut Cursor::default())).flatten()
    }

    /// Returns the settings, as [`MeshConfig::admit`] reads them, and what is wrong with their text;
    /// `None` if the ConfigMap has none.
    pub fn mesh_config(&self, file: &Arc<str>) -> Option<(MeshConfig, Vec<Diagnostic>)> {
        Some(self.mesh.as_ref()?.read(file, MeshConfig::admit))
    }

    /// Returns the networks, as [`MeshNetworks::admit`] reads them, and what is wrong with their text;
    /// `None` if the ConfigMap has none.
    pub fn mesh_networks(&self, file: &Arc<str>) -> Option<(MeshNetworks, Vec<Diagnostic>)> {
        Some(self.networks.as_ref()?.read(file, MeshNetworks::admit))
    }

    /// Returns whether an object of kind ConfigMap holds settings of the mesh.
    pub(super) fn is_at(meta: &Meta) -> bool {
        meta.namespace == "istio-system"
            && (*meta.name == *"istio" || meta.name.starts_with("istio-"))
    }
}

impl EmbeddedText {
    /// Whether the values of the injector make it inject by default.
    fn injects(&self) -> bool {
        let reading = manifest::read("values", self.text.as_bytes(), &Limits::default());
        let values = reading.documents.first();
        let webhook = values.and_then(|values| values.node.get(&["sidecarInjectorWebhook"]));
        let flag = webhook.and_then(|webhook| webhook.get(&["enableNamespacesByDefault"]));
        flag.is_some_and(|flag| matches!(flag.value, Value::Bool(true)))
    }

    /// Reads the first document of the text; findings stand where it is in the outer document.
    fn read<T: Default>(
        &self,
        file: &Arc<str>,
        admit: fn(&Node, &Arc<str>) -> (T, Vec<Diagnostic>),
    ) -> (T, Vec<Diagnostic>) {
        let reading = manifest::read(file, self.text.as_bytes(), &Limits::default());
        let mut found = reading.diagnostics;
        let mut value = T::default();
        if let Some(document) = reading.documents.first() {
            let (read, more) = admit(&document.node, file);
            value = read;
            found.extend(more);
        }
        for finding in &mut found {
            finding.place.line = finding.place.line.saturating_add(self.place.line);
        }
        (value, found)
    }
}

message! {
    /// What is read of a ConfigMap.
    struct Written ignoring unknown {
        /// The texts.
        data: BTreeMap<Box<str>, EmbeddedText> = "data",
    }
}

impl Decode for EmbeddedText {
    fn decode(node: &Node, cursor: &mut Cursor) -> Option<Self> {
        Some(Self { text: Decode::decode(node, cursor)?, place: node.place })
    }
}

impl Decode for MeshConfigMap {
    fn decode(node: &Node, cursor: &mut Cursor) -> Option<Self> {
        let mut data = Written::decode(node, cursor)?.data;
        Some(Self {
            meta: Meta::default(),
            mesh: data.remove("mesh"),
            networks: data.remove("meshNetworks"),
            injects_by_default: data.remove("values").is_some_and(|values| values.injects()),
        })
    }
}
