//! Folders: files of any bytes load without a panic, in whatever order they come, loading them again
//! changes nothing, and whatever is found says what to do.
//!
//! A file is what stands between two bytes 0xFF; its first byte says where it lies.
#![cfg_attr(fuzzing, no_main)]

use mesh_model::Compat;
use mesh_model::lint::lint;
use mesh_model::manifest::Limits;
use mesh_model::registry::{Origin, Registry, Source};

const PLACES: [&str; 8] = [
    "mesh.yaml",
    "networks.yaml",
    "proxies.json",
    "config/a.yaml",
    "clusters/c1/a.yaml",
    "clusters/c1/cluster.yaml",
    "clusters/c2/a.json",
    "clusters/c2/cluster.yaml",
];

fn source((index, file): (usize, &[u8])) -> Option<Source> {
    let (&place, text) = file.split_first()?;
    let path = PLACES[usize::from(place) % PLACES.len()];
    // Names differ, so that the order of equal ones cannot matter.
    let name = format!("{path}.{index}").into();
    Some(Source { origin: Origin::of_path(path)?, name, text: text.to_vec() })
}

fn registry() -> Registry {
    let limits = Limits { values: 1_000, aliases: 20, depth: 20, ..Limits::default() };
    Registry::new(Compat::default()).with_limits(limits)
}

mesh_fuzz::target!(|bytes| {
    let files: Vec<Source> =
        bytes.split(|byte| *byte == 0xFF).enumerate().filter_map(source).collect();
    let (mut one, mut other) = (registry(), registry());
    let found = one.load(files.iter().cloned());
    assert_eq!(other.load(files.iter().rev().cloned()), found);
    assert!(*one.mesh() == *other.mesh());
    let (again, effect) = one.reload(files);
    assert!(again == found && effect.is_empty(), "{effect:?}");
    for finding in found.iter().chain(&lint(&one.mesh())) {
        assert!(!finding.message.is_empty() && !finding.help.is_empty(), "{finding}");
    }
    for name in one.mesh().proxies() {
        let mesh = one.mesh();
        let proxy = mesh.proxy(&name);
        let view = proxy.as_ref().ok().and_then(|proxy| mesh.view(proxy));
        let _ = view.map(|view| view.services().len());
    }
});
