//! Reading a mesh folder from disk: the only place where files become sources.
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mesh_model::Compat;
use mesh_model::manifest::Diagnostic;
use mesh_model::registry::{Mesh, Origin, Registry, Source};

use crate::Failure;

/// The example mesh of the repository that this program was built from.
pub(crate) fn example() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/meshes/shop"))
}

/// A folder that has been loaded.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// The index.
    pub mesh: Arc<Mesh>,
    /// Everything that is wrong with the documents.
    pub diagnostics: Vec<Diagnostic>,
}

/// Loads a folder; what is wrong with its documents is part of the result.
///
/// # Errors
///
/// Where the folder cannot be read or holds no document of a mesh.
pub(crate) fn load(folder: &Path, compat: &Compat) -> Result<Loaded, Failure> {
    let sources = sources(folder)?;
    let mut registry = Registry::new(compat.clone()).with_all_places();
    let diagnostics = registry.load(sources);
    Ok(Loaded { mesh: registry.mesh(), diagnostics })
}

/// Loads a folder and tells on stderr what is wrong with its documents.
///
/// # Errors
///
/// As [`load`].
pub(crate) fn load_and_tell(folder: &Path, compat: &Compat) -> Result<Arc<Mesh>, Failure> {
    let loaded = load(folder, compat)?;
    for diagnostic in &loaded.diagnostics {
        eprintln!("{diagnostic}");
    }
    Ok(loaded.mesh)
}

/// Reads every file of a mesh folder.
///
/// # Errors
///
/// Where the folder or a file of it cannot be read, or there is none that belongs to a mesh.
pub(crate) fn sources(folder: &Path) -> Result<Vec<Source>, Failure> {
    if !folder.is_dir() {
        return Err(Failure::Unanswered(format!(
            "there is no folder `{}`; `-f DIR` names the mesh folder",
            folder.display()
        )));
    }
    let mut sources = Vec::new();
    collect(folder, folder, &mut sources)?;
    if sources.is_empty() {
        return Err(Failure::Unanswered(format!(
            "`{}` is not a mesh folder: it has no mesh.yaml, no config/ and no clusters/NAME/ with a document",
            folder.display()
        )));
    }
    Ok(sources)
}

fn collect(root: &Path, folder: &Path, sources: &mut Vec<Source>) -> Result<(), Failure> {
    let unreadable = |error: std::io::Error| {
        Failure::Unanswered(format!("cannot read `{}`: {error}", folder.display()))
    };
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.is_dir() {
            collect(root, &path, sources)?;
            continue;
        }
        let relative = path.strip_prefix(root).unwrap_or(&path);
        let parts: Vec<_> = relative.iter().map(|part| part.to_string_lossy()).collect();
        let name = parts.join("/");
        let Some(origin) = Origin::of_path(&name) else { continue };
        let text = std::fs::read(&path).map_err(|error| {
            Failure::Unanswered(format!("cannot read `{}`: {error}", path.display()))
        })?;
        sources.push(Source { origin, name: Arc::from(name), text });
    }
    Ok(())
}
