//! `mesh lint`: what will hurt, and what to do about it.
use std::path::Path;

use mesh_model::Compat;
use mesh_model::manifest::{Diagnostic, Limits, Severity};
use mesh_model::registry::Mesh;

use crate::say::say;
use crate::{Failure, Output, folder, json};

pub(crate) fn run(folder: &Path, output: Output) -> Result<(), Failure> {
    let loaded = folder::load(folder, &Compat::default())?;
    let found = findings(&loaded);
    let count = |severity| found.iter().filter(|one| one.severity == severity).count();
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    match output {
        Output::Json => json::print(&json::diagnostics(&found)),
        Output::Table => {
            for diagnostic in &found {
                say!("{diagnostic}");
            }
            let notes = found.len() - errors - warnings;
            let [errors, warnings, notes] =
                [(errors, "error"), (warnings, "warning"), (notes, "note")]
                    .map(|(number, thing)| folder::counted(number, thing));
            say!("{errors}, {warnings}, {notes}");
        }
    }
    if errors > 0 { Err(Failure::No) } else { Ok(()) }
}

/// What loading found and what every crate's rules find, by file, line and code.
pub(crate) fn findings(loaded: &folder::Loaded) -> Vec<Diagnostic> {
    let mut found = loaded.diagnostics.clone();
    for crate_rules in RULES {
        found.extend(crate_rules(&loaded.mesh));
    }
    mesh_lb::lint::add_figures(&loaded.mesh, &mut found);
    // What has changed on disk meanwhile is not where it was: such findings point at their objects.
    let text_of = |name: &str| folder::text(&loaded.folder.join(name)).ok();
    mesh_model::lint::point_at_fields(&mut found, &Limits::default(), text_of);
    found
}

/// Each crate's own rules.
const RULES: &[fn(&Mesh) -> Vec<Diagnostic>] =
    &[mesh_model::lint::lint, mesh_lb::lint::lint, mesh_authz::lint::lint];
