//! What lies where nothing of its kind is read: a policy that is not in force.
use std::sync::Arc;

use super::broken::DEFAULT_NAMESPACE;
use super::{Origin, Registry, Source};
use crate::manifest::{
    Diagnostic, Document, Entry, OF_OBJECTS, Place, Reading, SECURITY_KINDS, Severity,
};
use crate::name::nearest_name;
use crate::resource;

impl Registry {
    /// Remembers the policies of a text that lies where nothing is read, and tells of them. What has not the
    /// form of a manifest is none, whatever it speaks of.
    pub(super) fn remember_misplaced(
        &mut self,
        origin: &Origin,
        source: &Source,
        reading: &Reading,
    ) -> Vec<Diagnostic> {
        let reason = "it lies where nothing is read";
        let mut found = Vec::new();
        let mut tell = |place, kinds: &[&str]| {
            found.extend((!kinds.is_empty()).then(|| misplaced(&source.name, place, kinds)));
        };
        for unreadable in reading.unreadable.iter().filter(|unreadable| unreadable.is_manifest) {
            self.remember_meant(origin, &unreadable.head, &unreadable.meant, reason);
            tell(Place::default(), &unreadable.meant.security_kinds);
        }
        for document in reading.documents.iter().filter(|document| document.is_manifest()) {
            let kinds = self.remember_out_of_place(origin, document, reason);
            tell(document.node.place, &kinds);
        }
        found
    }

    /// Remembers an object that stands where the folder's own files say something else, and tells of it;
    /// nothing for what may be no policy.
    pub(super) fn remember_among_settings(
        &mut self,
        origin: &Origin,
        document: &Document,
    ) -> Option<Diagnostic> {
        let is_of_object =
            |entry: &Entry| nearest_name(&entry.key, OF_OBJECTS.into_iter()).is_some();
        if !document.node.entries().iter().any(is_of_object) {
            return None;
        }
        let reason = "its file says something else";
        let kinds = self.remember_out_of_place(origin, document, reason);
        if kinds.is_empty() {
            return None;
        }
        if let Origin::Description(cluster) = origin {
            self.close_cluster(cluster);
        }
        Some(misplaced(&document.file, document.node.place, &kinds))
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

/// `FILE-MISPLACED`: a policy that is not in force.
fn misplaced(file: &Arc<str>, place: Place, kinds: &[&str]) -> Diagnostic {
    Diagnostic {
        code: "FILE-MISPLACED",
        severity: Severity::Error,
        file: file.clone(),
        place,
        object: kinds.join(", "),
        field: String::new(),
        message: "a policy lies where none is read, and is not in force: what it may concern denies what it \
                  might have denied"
            .to_owned(),
        help: "move it below `config/` or `clusters/NAME/`, into a file whose name ends in `.yaml`, or away"
            .to_owned(),
    }
}
