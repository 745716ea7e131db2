//! Clusters as their `cluster.yaml` describes them.
use std::sync::Arc;

use super::findings::Findings;
use super::{Registry, choice, closing};
use crate::manifest::decode::clip;
use crate::manifest::{Diagnostic, Document, Severity};
use crate::name::{ClusterId, Namespace, nearest_name};
use crate::registry::Origin;
use crate::registry::broken::EXTERNAL;
use crate::registry::topology::Topology;
use crate::resource::{ClusterDescription, ObjectKey};

/// The kind of `cluster.yaml`.
pub(super) const DESCRIPTION: &str = "ClusterDescription";

impl Registry {
    /// Takes what `cluster.yaml` says; a name that is not the folder's is an error.
    pub(super) fn describe(
        &mut self,
        cluster: &ClusterId,
        document: &Document,
        diagnostics: &mut Findings,
    ) {
        let (description, mut found) = ClusterDescription::decode(&document.node, &document.file);
        closing::tell_description(&mut found, &description);
        diagnostics.extend(found);
        if !description.name.is_empty() && *description.name != *cluster.as_str() {
            diagnostics.push(Diagnostic {
                code: "CLUSTER-NAME",
                severity: Severity::Error,
                file: document.file.clone(),
                place: document.node.locate("name"),
                object: "ClusterDescription".to_owned(),
                field: "name".to_owned(),
                message: format!(
                    "the name `{}` is not that of the folder, `{cluster}`",
                    description.name
                ),
                help: "write the folder's name, or leave it out".to_owned(),
            });
        }
        let part = self.parts.clusters.entry(cluster.clone()).or_default();
        // Another document could not be read.
        let is_closed = part.description.as_ref().is_some_and(|known| known.hides_control_plane());
        let description = if is_closed { description.closed() } else { description };
        part.description = Some(Arc::new(description));
    }

    /// What is known of a cluster by its description.
    pub(super) fn description(&self, cluster: &ClusterId) -> ClusterDescription {
        let part = self.parts.clusters.get(cluster);
        part.and_then(|part| part.description.as_deref()).cloned().unwrap_or_default()
    }

    /// Tells of clusters that a description names and the mesh does not have, and of those named as control
    /// planes that have none.
    pub(super) fn check_descriptions(&self, diagnostics: &mut Findings) {
        let topology = Topology::of(&self.parts);
        for (id, part) in &self.parts.clusters {
            let Some(description) = &part.description else { continue };
            let control_plane = (!description.control_plane.is_empty()
                && !description.hides_control_plane()
                && &*description.control_plane != EXTERNAL)
                .then_some(("controlPlane".to_owned(), &description.control_plane));
            diagnostics.extend(
                control_plane
                    .iter()
                    .filter(|(_, name)| topology.is_remote(name))
                    .map(|(_, name)| choice::remote(&self.parts, id, name)),
            );
            let list = |field: &'static str, names: &'_ Option<Vec<Box<str>>>| -> Vec<_> {
                let names = names.iter().flatten().enumerate();
                names.map(|(index, name)| (format!("{field}[{index}]"), name.clone())).collect()
            };
            let named = control_plane.map(|(field, name)| (field, name.clone())).into_iter();
            let reads = list("reads", &description.reads);
            let routable = list("routable", &description.routable);
            for (field, name) in named.chain(reads).chain(routable) {
                if self.parts.clusters.keys().all(|known| *known.as_str() != *name) {
                    diagnostics.push(self.unknown_cluster(id, field, &name));
                }
            }
        }
    }

    fn unknown_cluster(&self, described: &ClusterId, field: String, name: &str) -> Diagnostic {
        let namespace = Namespace::default();
        let key = ObjectKey { kind: DESCRIPTION, namespace, name: described.as_str().into() };
        let place = self.parts.places.get(&(Origin::Description(described.clone()), key));
        let (file, place) = place.cloned().unwrap_or_default();
        let names = self.parts.clusters.keys().map(ClusterId::as_str);
        let help = match nearest_name(name, names) {
            Some(nearest) => format!("did you mean `{nearest}`?"),
            None => "name a folder of `clusters/`".to_owned(),
        };
        // Whose policies count is unknown: what any may deny is denied.
        let is_closed = field == "controlPlane";
        Diagnostic {
            code: "CLUSTER-UNKNOWN",
            severity: if is_closed { Severity::Error } else { Severity::Warning },
            file,
            place,
            object: DESCRIPTION.to_owned(),
            field,
            message: match is_closed {
                true => format!("the mesh has no cluster `{}`: {}", clip(name), choice::CLOSED),
                false => format!("the mesh has no cluster `{}`", clip(name)),
            },
            help,
        }
    }
}
