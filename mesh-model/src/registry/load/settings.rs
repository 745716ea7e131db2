//! Settings of the mesh in several places, of which one counts.
use std::sync::Arc;

use super::Findings;
use crate::manifest::{Diagnostic, Place, Severity};
use crate::registry::mesh::Parts;
use crate::registry::settings::{Contradiction, contradictions};
use crate::registry::{Origin, SYSTEM_NAMESPACE};
use crate::resource::ObjectKey;

/// `SETTINGS-DIFFER`: settings that count for nobody and contradict those that count.
pub(super) fn check(parts: &Parts, diagnostics: &mut Findings) {
    diagnostics.extend(contradictions(parts).iter().map(|found| differ(parts, found)));
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
