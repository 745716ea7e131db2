//! Settings of the mesh in several places, of which one counts, and those that say nothing.
use std::sync::Arc;

use super::{DESCRIPTION, Findings};
use crate::manifest::{Diagnostic, Document, Place, Severity};
use crate::name::{Namespace, nearest_name};
use crate::registry::mesh::Parts;
use crate::registry::settings::{Contradiction, OtherDomain, contradictions, other_domains};
use crate::registry::{Origin, SYSTEM_NAMESPACE, security};
use crate::resource::{MeshConfigMap, ObjectKey};

/// Adds to what is said of misspelt settings what counts until they are mended, where security depends on it.
pub(super) fn with_defaults(mut found: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let misspelt = |it: &&mut Diagnostic| {
        it.code == "FIELD-UNKNOWN"
            && nearest_name(&it.field, security::settings().into_iter()).is_some()
    };
    for finding in found.iter_mut().filter(misspelt) {
        finding.help.push_str(" until then what is allowed is decided with the default of it");
    }
    found
}

/// `MC-KEY`: a ConfigMap for settings that has none; an error where nothing else can be meant.
///
/// # Upstream
///
/// istio/istio `pkg/config/mesh/kubemesh/watcher.go` `ReadConfigMap`: without the key there is an error in the
/// log, and what counted before stays, at first the defaults.
pub(super) fn no_key(
    origin: &Origin,
    document: &Document,
    map: &MeshConfigMap,
) -> Option<Diagnostic> {
    if map.mesh.is_some() {
        return None;
    }
    let keys = document.node.get(&["data"]).into_iter().flat_map(|data| data.entries());
    let mut keys = keys.map(|entry| &*entry.key);
    let misspelt = keys.find(|key| nearest_name(key, ["mesh"].into_iter()).is_some());
    let field = misspelt.map_or_else(|| "data".to_owned(), |key| format!("data.{key}"));
    let is_alone = *origin == Origin::MeshConfig && map.networks.is_none();
    let (severity, effect) = match is_alone {
        true => (
            Severity::Error,
            "because nobody can tell which are meant, what security policies might deny is denied",
        ),
        false => (Severity::Warning, "the defaults count, or what `mesh.yaml` says"),
    };
    Some(Diagnostic {
        code: "MC-KEY",
        severity,
        file: document.file.clone(),
        place: document.node.locate(&field),
        object: document.head().to_string(),
        field,
        message: format!("the ConfigMap has no key `mesh`, and so no settings: {effect}"),
        help: match misspelt {
            Some(_) => "did you mean `mesh`?".to_owned(),
            None => {
                "write the settings below key `mesh`, or `mesh: ''` for the defaults".to_owned()
            }
        },
    })
}

/// `SETTINGS-DIFFER`: settings that count for nobody and contradict those that count, and descriptions that do.
pub(super) fn check(parts: &Parts, diagnostics: &mut Findings) {
    diagnostics.extend(contradictions(parts).iter().map(|found| differ(parts, found)));
    diagnostics.extend(other_domains(parts).iter().map(|found| other(parts, found)));
}

fn other(parts: &Parts, found: &OtherDomain) -> Diagnostic {
    let namespace = Namespace::default();
    let key = ObjectKey { kind: DESCRIPTION, namespace, name: found.cluster.as_str().into() };
    let place = (Origin::Description(found.cluster.clone()), key);
    let (file, place): (Arc<str>, Place) = parts.places.get(&place).cloned().unwrap_or_default();
    Diagnostic {
        code: "SETTINGS-DIFFER",
        severity: Severity::Warning,
        file,
        place,
        object: DESCRIPTION.to_owned(),
        field: "trustDomain".to_owned(),
        message: found.message(),
        help: "say the same in both, or name the other one in `trustDomainAliases`".to_owned(),
    }
}

fn differ(parts: &Parts, found: &Contradiction) -> Diagnostic {
    let key =
        ObjectKey { kind: "ConfigMap", namespace: SYSTEM_NAMESPACE.into(), name: "istio".into() };
    let place: (Origin, ObjectKey) = (found.origin.clone(), key.clone());
    let (file, place): (Arc<str>, Place) = parts.places.get(&place).cloned().unwrap_or_default();
    Diagnostic {
        code: "SETTINGS-DIFFER",
        severity: Severity::Error,
        file,
        place,
        object: key.to_string(),
        field: format!("data.mesh.{}", found.field),
        message: found.message(),
        help: "say the same in both, or remove one of them".to_owned(),
    }
}
