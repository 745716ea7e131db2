//! Two objects of one name, which no API server holds.
use crate::manifest::{Diagnostic, Document, SECURITY_KINDS, Severity, TARGET_KINDS};
use crate::registry::broken::labels_of_document;
use crate::registry::{Origin, Registry};
use crate::resource::ObjectKey;

impl Registry {
    /// `DUPLICATE-OBJECT`: of an object that is there already, before it is remembered.
    pub(super) fn duplicate(
        &mut self,
        origin: &Origin,
        document: &Document,
        key: &ObjectKey,
    ) -> Diagnostic {
        let consequence = self.consequence(origin, document, key);
        let first = self.parts.places.get(&(origin.clone(), key.clone()));
        let at = first.map(|(file, place)| format!("; the other is at {file}:{}", place.line));
        Diagnostic {
            code: "DUPLICATE-OBJECT",
            severity: Severity::Error,
            file: document.file.clone(),
            place: document.node.place,
            object: key.to_string(),
            field: String::new(),
            message: format!("an object of this kind and name is defined before; {consequence}"),
            help: format!("rename one of them, or remove it{}", at.unwrap_or_default()),
        }
    }

    /// What becomes of the second object.
    fn consequence(
        &mut self,
        origin: &Origin,
        document: &Document,
        key: &ObjectKey,
    ) -> &'static str {
        let store = self.store(origin);
        let has_other_labels = || {
            let known = match key.kind {
                "Pod" => {
                    store.pods.get((key.namespace.as_str(), &*key.name)).map(|pod| &pod.meta.labels)
                }
                _ => store.labels_of_target(key),
            };
            known.is_none() || known != labels_of_document(document).as_ref()
        };
        if SECURITY_KINDS.contains(&key.kind) {
            return "the first counts, and because nobody can tell which one is meant, what this one may \
                    concern denies what it might have denied";
        }
        if key.kind == "ConfigMap" && *key.name == *"istio" {
            return "the first counts, and because nobody can tell which settings are meant, what security \
                    policies might deny is denied";
        }
        if TARGET_KINDS.contains(&key.kind) && has_other_labels() {
            return "the first counts, and because this one has other labels, what policies that it attaches \
                    might deny is denied";
        }
        if key.kind == "Pod" && has_other_labels() {
            return "the first counts: policies and services that select the labels of this one alone are not \
                    in force for it";
        }
        "this one is not used"
    }
}
