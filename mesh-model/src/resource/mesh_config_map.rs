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
    /// Where its value begins in the outer document, as [`Node::place`] tells it.
    pub place: Place,
    /// Where its first line begins, if its lines stand in the outer document as they are.
    pub lines: Option<Place>,
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
            finding.place = self.outer(finding.place);
        }
        (value, found)
    }

    /// Where a place of the text is in the outer document: the text itself if its lines are not there.
    fn outer(&self, inner: Place) -> Place {
        let Some(first) = self.lines.filter(|_| inner.line > 0) else { return self.place };
        let add = |first: u32, part: u32| first.saturating_add(part).saturating_sub(1);
        Place { line: add(first.line, inner.line), column: add(first.column, inner.column) }
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
        let (text, place): (Box<str>, _) = (Decode::decode(node, cursor)?, node.place);
        let lines = node.indent.map(|indent| {
            let empty = text.bytes().take_while(|byte| *byte == b'\n').count();
            let line = place.line.saturating_sub(u32::try_from(empty).unwrap_or(u32::MAX));
            Place { line, column: indent.saturating_add(1) }
        });
        Some(Self { text, place, lines })
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The places of what is wrong with the settings, then with the networks.
    fn check(text: &str, expected: &[&str]) {
        let file = Arc::from("istio.yaml");
        let reading = manifest::read("istio.yaml", text.as_bytes(), &Limits::default());
        let map = MeshConfigMap::of(&reading.documents[0].node).unwrap();
        let of_mesh = map.mesh_config(&file).map(|(_, found)| found);
        let of_networks = map.mesh_networks(&file).map(|(_, found)| found);
        let found = of_mesh.into_iter().chain(of_networks).flatten();
        let found: Vec<String> =
            found.map(|it| format!("{}:{} {}", it.place.line, it.place.column, it.field)).collect();
        assert_eq!(found, expected, "{text}");
    }

    const HEAD: &str = "apiVersion: v1\nkind: ConfigMap\n";

    #[test]
    fn what_is_wrong_in_a_block_stands_where_its_lines_do() {
        check(
            &format!(
                "{HEAD}data:\n  mesh: |\n    connectTimeout: -1s\n    foo: 1\n  \
                 meshNetworks: |-\n    networks: 5\n"
            ),
            &["5:5 connectTimeout", "6:5 foo", "8:15 networks"],
        );
    }

    #[test]
    fn empty_lines_comments_and_an_indentation_of_its_own_shift_nothing() {
        check(
            &format!(
                "# a\n---\n{HEAD}data:\n  mesh: |2 # b\n\n  \n    # c\n    foo: 1\n  \
                 meshNetworks: |+\n\n      # d\r\n      networks: 5\r\n\n"
            ),
            &["10:5 foo", "14:17 networks"],
        );
    }

    #[test]
    fn text_that_is_no_document_is_told_of_at_its_line() {
        check(&format!("{HEAD}data:\n  mesh: |\n    a: 1\n    b: [\n"), &["6:8 "]);
    }

    #[test]
    fn what_is_wrong_in_quotes_stands_where_they_begin() {
        check(
            &format!(
                "{HEAD}data:\n  mesh: \"connectTimeout: -1s\\nfoo: 1\"\n  \
                 meshNetworks: 'networks: 5'\n"
            ),
            &["4:9 connectTimeout", "4:9 foo", "5:17 networks"],
        );
        check(
            &format!("{HEAD}data:\n  mesh: >\n    foo: 1\n\n    bar: 2\n"),
            &["5:5 foo", "5:5 bar"],
        );
        check(
            r#"{"apiVersion": "v1", "kind": "ConfigMap", "data": {"mesh": "\nfoo: 1"}}"#,
            &["1:60 foo"],
        );
    }
}
