//! The ConfigMap that holds the settings of the mesh.
use std::collections::BTreeMap;

use super::Meta;
use crate::manifest::decode::{Cursor, Decode, message};
use crate::manifest::{Node, Place};

/// ConfigMap `istio` or `istio-REVISION` of namespace `istio-system`: YAML within YAML.
///
/// The texts are read by the caller, who knows how to read YAML, as a
/// [`MeshConfig`](super::MeshConfig) and a [`MeshNetworks`](super::MeshNetworks).
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
    pub mesh_networks: Option<EmbeddedText>,
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

    /// Returns whether an object of kind ConfigMap holds settings of the mesh.
    pub(super) fn is_at(meta: &Meta) -> bool {
        meta.namespace == "istio-system"
            && (*meta.name == *"istio" || meta.name.starts_with("istio-"))
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
            mesh_networks: data.remove("meshNetworks"),
        })
    }
}
