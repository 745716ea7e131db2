//! The mesh folders of the repository load without an error, and every proxy sees something.
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mesh_model::Compat;
use mesh_model::manifest::{Diagnostic, Severity};
use mesh_model::registry::{Origin, Registry, Source};

fn files(dir: &Path, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> =
        std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() { files(&path, found) } else { found.push(path) }
    }
}

fn load(folder: &Path) -> (Registry, Vec<Diagnostic>) {
    load_in_order(folder, false)
}

fn load_in_order(folder: &Path, reversed: bool) -> (Registry, Vec<Diagnostic>) {
    let mut paths = Vec::new();
    files(folder, &mut paths);
    if reversed {
        paths.reverse();
    }
    let sources = paths.iter().filter_map(|path| {
        let name = path.strip_prefix(folder).unwrap().to_str().unwrap();
        let text = std::fs::read(path).unwrap();
        Some(Source { origin: Origin::of_path(name)?, name: Arc::from(name), text })
    });
    let mut registry = Registry::new(Compat::default());
    let diagnostics = registry.load(sources);
    (registry, diagnostics)
}

/// The folders in the repository, and those that lie beside it.
fn folders() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut found = Vec::new();
    for dir in ["examples/meshes", "../shared/meshes"] {
        let Ok(entries) = std::fs::read_dir(root.join(dir)) else { continue };
        found.extend(entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()));
    }
    found.retain(|path| !path.ends_with("broken"));
    found
}

#[test]
fn every_folder_loads_without_an_error() {
    for folder in folders() {
        let (_, diagnostics) = load(&folder);
        let errors: Vec<String> = diagnostics
            .iter()
            .filter(|diagnostic| diagnostic.severity == Severity::Error)
            .map(ToString::to_string)
            .collect();
        assert_eq!(errors, [""; 0], "{}", folder.display());
    }
}

#[test]
fn every_named_proxy_exists_and_sees_services() {
    for folder in folders() {
        let (registry, _) = load(&folder);
        let mesh = registry.mesh();
        for reference in mesh.named_proxies() {
            let proxy = mesh.proxy(&reference).unwrap();
            let view = mesh.view(&proxy).unwrap();
            let sidecar = view.scope().sidecar();
            let wants_none = sidecar.is_some_and(|sidecar| {
                let mut hosts = sidecar.spec.egress.iter().flat_map(|listener| &listener.hosts);
                hosts.all(|host| host.starts_with('~'))
            });
            let sees_none = view.services().is_empty();
            assert!(!sees_none || wants_none, "{} {reference}", folder.display());
        }
    }
}

#[test]
fn the_order_of_files_does_not_matter() {
    for folder in folders() {
        let (registry, diagnostics) = load(&folder);
        let (again, other) = load_in_order(&folder, true);
        assert_eq!(diagnostics, other);
        let services = |registry: &Registry| -> Vec<String> {
            let mesh = registry.mesh();
            let planes = mesh.control_planes();
            planes.flat_map(|plane| plane.services.iter()).map(|s| format!("{s:?}")).collect()
        };
        assert_eq!(services(&registry), services(&again));
    }
}
