//! Whole mesh folders: every document of a mesh that works is read without a word.
#![expect(clippy::unwrap_used, reason = "tests may unwrap")]
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mesh_model::manifest::{Diagnostic, Document, Limits, read};
use mesh_model::resource::{ClusterDescription, MeshConfig, MeshNetworks, ProxyEntry, decode};

/// Mesh folders: the repository's own, and those below the folder that `MESH_FOLDERS` named when the
/// test was built.
fn mesh_folders() -> Vec<PathBuf> {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let mut parents = vec![examples.join("meshes"), examples];
    parents.extend(option_env!("MESH_FOLDERS").map(PathBuf::from));
    let entries = parents.iter().filter_map(|parent| fs::read_dir(parent).ok()).flatten();
    let mut folders: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    folders.retain(|folder| folder.join("clusters").is_dir());
    folders.sort();
    folders
}

/// The files of a folder and the folders below it.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.extension().and_then(|extension| extension.to_str()) {
                _ if path.is_dir() => folders.push(path),
                Some("yaml" | "json") => files.push(path),
                _ => {}
            }
        }
    }
    files.sort();
    files
}

/// Reads a document by what its file is in a mesh folder.
fn diagnose(path: &Path, document: &Document) -> Vec<Diagnostic> {
    let file: &Arc<str> = &document.file;
    match path.file_name().and_then(|name| name.to_str()) {
        Some("mesh.yaml") => MeshConfig::decode(&document.node, file).1,
        Some("networks.yaml") => MeshNetworks::decode(&document.node, file).1,
        Some("cluster.yaml") => ClusterDescription::decode(&document.node, file).1,
        Some("proxies.json") => ProxyEntry::decode(&document.node, file).1,
        _ => {
            let decoded = decode(&document.node, file, "default");
            assert_eq!(decoded.resource.as_ref().map(|r| r.key()), decoded.object);
            decoded.diagnostics
        }
    }
}

#[test]
fn every_document_of_a_working_mesh_is_read_without_a_word() {
    for folder in mesh_folders() {
        if folder.ends_with("broken") {
            continue;
        }
        for path in files(&folder) {
            let text = fs::read(&path).unwrap();
            let reading = read(&path.display().to_string(), &text, &Limits::default());
            assert_eq!(reading.diagnostics, [], "{}", path.display());
            for document in &reading.documents {
                assert_eq!(diagnose(&path, document), [], "{}", path.display());
            }
        }
    }
}

#[test]
fn a_broken_mesh_is_read_and_what_is_left_out_has_an_error() {
    for folder in mesh_folders().into_iter().filter(|folder| folder.ends_with("broken")) {
        for path in files(&folder.join("config")) {
            let text = fs::read(&path).unwrap();
            for document in read("broken", &text, &Limits::default()).documents {
                let decoded = decode(&document.node, &document.file, "default");
                let is_told = !decoded.diagnostics.is_empty();
                assert!(decoded.resource.is_some() || is_told, "{}", path.display());
            }
        }
    }
}
