//! Saying that an error closes: who mends it shall know what is denied until then.
//!
//! What is remembered as broken denies what it might have denied. Findings that are made where that
//! happens say so themselves; those of reading and decoding do not know it, and are told here.
use crate::manifest::{Diagnostic, SECURITY_KINDS, Severity, TARGET_KINDS};
use crate::registry::broken::Broken;
use crate::registry::settings;
use crate::resource::ClusterDescription;

use super::choice;

const SETTINGS: &str = "until it is mended, what security policies might deny is denied";
const POLICIES: &str = "until it is mended, what it may concern denies what it might have denied";
const TARGETS: &str = "until it is mended, what policies that are attached by it might deny is denied to whom it \
                       may select";
const IDENTITY: &str =
    "until it is mended, nobody can tell who its workloads are, and nobody takes them for anyone";

/// Adds to the first error what is denied because of what was remembered for it.
pub(super) fn tell(found: &mut [Diagnostic], remembered: &[Broken]) {
    let is_any = |kinds: &[&str]| remembered.iter().any(|it| kinds.contains(&it.object.kind));
    let effect = if is_any(&SECURITY_KINDS) {
        POLICIES
    } else if is_any(&TARGET_KINDS) {
        TARGETS
    } else if !remembered.is_empty() {
        SETTINGS
    } else {
        return;
    };
    add(found.iter_mut().find(is_error), effect);
}

/// The same of settings of the mesh.
pub(super) fn tell_settings(found: &mut [Diagnostic]) {
    add(found.iter_mut().find(|finding| settings::is_refusal(finding)), SETTINGS);
}

/// The same of a cluster's description, of which this is known.
pub(super) fn tell_description(found: &mut [Diagnostic], known: &ClusterDescription) {
    let cluster = format!("until it is mended, {}", choice::CLOSED);
    if known.hides_control_plane() {
        add(found.iter_mut().find(is_error), &cluster);
    } else if known.hides_trust_domain() || known.hides_root() {
        add(found.iter_mut().find(is_error), IDENTITY);
    }
}

fn is_error(finding: &&mut Diagnostic) -> bool {
    finding.severity == Severity::Error
}

/// Adds a sentence that is not there yet.
fn add(finding: Option<&mut Diagnostic>, effect: &str) {
    let Some(finding) = finding.filter(|finding| !finding.message.ends_with(effect)) else {
        return;
    };
    finding.message.push_str("; ");
    finding.message.push_str(effect);
}
