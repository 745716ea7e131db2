//! Mesh folders, as texts by their paths or on a disk, loaded with today's defaults.
//!
//! ```
//! use mesh_testkit::folder;
//!
//! let pod = "{apiVersion: v1, kind: Pod, metadata: {name: web, namespace: shop}}";
//! let (registry, found) = folder::load([("mesh.yaml", "{}"), ("clusters/c1/web.yaml", pod)]);
//! assert!(registry.mesh().pod("c1", "shop", "web").is_some());
//! assert_eq!(found, []);
//! ```
use std::io;
use std::path::{Path, PathBuf};

use mesh_model::Compat;
use mesh_model::manifest::Diagnostic;
use mesh_model::registry::{Origin, Registry, Source};

/// Loads files, each by its path in the folder and its text, and returns what is said of them.
///
/// A path where a folder holds nothing is no part of the mesh: its text is `config`'s, which the test that
/// misspelt it will see.
pub fn load<'f>(
    files: impl IntoIterator<Item = (&'f str, &'f str)>,
) -> (Registry, Vec<Diagnostic>) {
    let source = |(name, text): (&str, &str)| Source {
        origin: Origin::of_path(name).unwrap_or(Origin::Config),
        name: name.into(),
        text: text.as_bytes().to_vec(),
    };
    loaded(Compat::default(), files.into_iter().map(source))
}

/// Loads the files of a folder on a disk that are parts of the mesh, in the order of their paths.
///
/// # Errors
///
/// When a folder or a file cannot be read.
pub fn read(folder: &Path) -> io::Result<(Registry, Vec<Diagnostic>)> {
    read_as(folder, Compat::default())
}

/// The same for other versions and flags of upstream.
///
/// # Errors
///
/// As [`read`].
pub fn read_as(folder: &Path, compat: Compat) -> io::Result<(Registry, Vec<Diagnostic>)> {
    let mut paths = files(folder)?;
    paths.sort();
    let mut sources = Vec::new();
    for path in &paths {
        let name = path.strip_prefix(folder).unwrap_or(path).to_string_lossy();
        if let Some(origin) = Origin::of_path(&name) {
            sources.push(Source { origin, name: (&*name).into(), text: std::fs::read(path)? });
        }
    }
    Ok(loaded(compat, sources))
}

fn loaded(
    compat: Compat,
    sources: impl IntoIterator<Item = Source>,
) -> (Registry, Vec<Diagnostic>) {
    let mut registry = Registry::new(compat);
    let found = registry.load(sources);
    (registry, found)
}

/// The files in a folder and below.
fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() { found.extend(files(&path)?) } else { found.push(path) }
    }
    Ok(found)
}
