//! `mesh load`: what loading found, and nothing else.
use std::path::Path;

use mesh_model::Compat;
use mesh_model::manifest::Severity;

use crate::say::say;
use crate::{Failure, Output, folder, json};

pub(crate) fn run(folder: &Path, output: Output) -> Result<(), Failure> {
    let loaded = folder::load(folder, &Compat::default())?;
    let diagnostics = &loaded.diagnostics;
    let errors = diagnostics.iter().filter(|found| found.severity == Severity::Error).count();
    match output {
        Output::Json => json::print(&json::diagnostics(diagnostics)),
        Output::Table => {
            for diagnostic in diagnostics {
                say!("{diagnostic}");
            }
            let warnings =
                diagnostics.iter().filter(|found| found.severity == Severity::Warning).count();
            say!(
                "{}, {}, {}, {}",
                folder::counted(loaded.mesh.clusters().count(), "cluster"),
                folder::counted(errors, "error"),
                folder::counted(warnings, "warning"),
                folder::counted(diagnostics.len() - errors - warnings, "note")
            );
        }
    }
    if errors > 0 { Err(Failure::No) } else { Ok(()) }
}
