//! What proxies are sent after a mesh has changed is what they are sent by a mesh made at once, and
//! who is not named by the effect of a change is sent nothing.
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use mesh_model::Compat;
use mesh_model::registry::{Change, Mesh, Registry};
use mesh_testkit::strategy::mesh;
use mesh_xds_gen::Generator;
use mesh_xds_gen::snapshot::Snapshot;
use proptest::prelude::*;

fn from_scratch(changes: &[Change]) -> Arc<Mesh> {
    let mut registry = Registry::new(Compat::default());
    // Long enough that everything is indexed once, at the end.
    let idle = std::iter::repeat_n(Change::Proxies(Vec::new()), 300);
    registry.apply_all(idle.chain(changes.iter().cloned()).collect::<Vec<_>>());
    registry.mesh()
}

/// What each proxy of a mesh is sent.
fn snapshots(mesh: &Mesh) -> BTreeMap<String, Snapshot> {
    let mut generator = Generator::new();
    let of_proxy = |name: String| {
        let proxy = mesh.proxy(&name).ok()?;
        let snapshot = generator.snapshot(&mesh.view(&proxy)?);
        Some((name, snapshot))
    };
    mesh.proxies().filter_map(of_proxy).collect()
}

/// Of several states of one object the first: of those the last would count, whichever it is.
fn once(mut changes: Vec<Change>) -> Vec<Change> {
    let mut seen = BTreeSet::new();
    changes.retain(|change| match change {
        Change::Upsert { origin, resource } => {
            seen.insert(format!("{origin:?} {}", resource.key()))
        }
        Change::Remove(_) | Change::Delete { .. } => false,
        Change::Describe(..)
        | Change::MeshConfig(_)
        | Change::MeshNetworks(_)
        | Change::Proxies(_)
        | Change::Broken(_) => seen.insert(format!("{:?}", std::mem::discriminant(change))),
    });
    changes
}

fn sees(mesh: &Mesh, effect: &mesh_model::registry::Effect, name: &str) -> bool {
    let Ok(proxy) = mesh.proxy(name) else { return false };
    mesh.view(&proxy).is_some_and(|view| view.sees(effect))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn snapshots_of_a_changed_mesh_are_those_of_the_mesh_from_scratch(
        mesh in mesh::mesh(),
        changes in mesh::changes(1..4),
    ) {
        let mut registry = Registry::new(Compat::default());
        registry.apply_all(mesh.clone());
        let mut all = mesh;
        let mut before = (registry.mesh(), snapshots(&registry.mesh()));
        for change in changes {
            all.push(change.clone());
            let effect = registry.apply(change.clone());
            let after = (registry.mesh(), snapshots(&registry.mesh()));
            let scratch = snapshots(&from_scratch(&all));
            prop_assert!(after.1 == scratch, "after {change:?}");
            for (name, snapshot) in &after.1 {
                let is_seen = sees(&before.0, &effect, name) || sees(&after.0, &effect, name);
                let is_same = before.1.get(name) == Some(snapshot);
                prop_assert!(is_same || is_seen, "{name} after {change:?}: {effect:?}");
            }
            before = after;
        }
    }

    /// In whatever order objects come, every proxy is sent the same bytes.
    #[test]
    fn the_order_of_the_input_shows_in_no_byte(
        mesh in mesh::mesh().prop_flat_map(|mesh| (Just(once(mesh.clone())), Just(once(mesh)).prop_shuffle())),
    ) {
        let (mesh, shuffled) = mesh;
        prop_assert!(snapshots(&from_scratch(&mesh)) == snapshots(&from_scratch(&shuffled)));
    }
}
