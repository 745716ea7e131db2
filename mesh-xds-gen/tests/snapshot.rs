//! Laws of snapshots: what is applied is what was compared, order and history do not show.
use std::collections::BTreeMap;
use std::sync::Arc;

use mesh_xds_gen::snapshot::{Resource, Snapshot, TypeUrl};
use proptest::prelude::*;

type Contents = BTreeMap<(usize, u16), u8>;

const KINDS: [TypeUrl; 3] = [TypeUrl::CLUSTER, TypeUrl::ENDPOINT, TypeUrl::LISTENER];

fn resources(contents: &Contents) -> Vec<Resource> {
    let kind = |index: usize| KINDS.get(index).cloned().unwrap_or(TypeUrl::ROUTE);
    contents
        .iter()
        .map(|((index, name), content)| {
            Resource::new(kind(*index), format!("{name:04}"), vec![*content])
        })
        .collect()
}

fn snapshot(contents: &Contents) -> Snapshot {
    Snapshot::new(resources(contents))
}

/// Few or many resources, so that chunks are filled, split and emptied.
fn contents() -> impl Strategy<Value = Contents> {
    let name = prop_oneof![0..20_u16, 0..400_u16];
    let size = prop_oneof![0..5_usize, 0..300_usize];
    size.prop_flat_map(move |size| {
        prop::collection::btree_map((0..3_usize, name.clone()), 0..3_u8, 0..=size)
    })
}

/// The newer contents with a few edits, as most changes are.
fn edited() -> impl Strategy<Value = (Contents, Contents)> {
    let edits = prop::collection::vec(((0..3_usize, 0..400_u16), prop::option::of(0..3_u8)), 0..10);
    (contents(), edits).prop_map(|(before, edits)| {
        let mut after = before.clone();
        for (key, content) in edits {
            match content {
                Some(content) => after.insert(key, content),
                None => after.remove(&key),
            };
        }
        (before, after)
    })
}

fn check(before: &Contents, after: &Contents) -> Result<(), TestCaseError> {
    let (a, b) = (snapshot(before), snapshot(after));
    let delta = b.diff(&a);
    let applied = a.apply(&delta);
    prop_assert_eq!(&applied, &b);
    prop_assert_eq!(applied.len(), after.len());
    // Against the obvious: a key is in the delta if and only if its content differs.
    let keys = before.keys().chain(after.keys()).collect::<std::collections::BTreeSet<_>>();
    let differing = keys.into_iter().filter(|key| before.get(key) != after.get(key)).count();
    prop_assert_eq!(delta.len(), differing);
    prop_assert_eq!(delta.is_empty(), differing == 0);
    for ((_, left), (_, right)) in applied.types().zip(b.types()) {
        prop_assert_eq!(left.version(), right.version(), "history does not show");
    }
    for resource in resources(after) {
        let found = applied.resource(resource.type_url(), resource.name());
        prop_assert_eq!(found.map(|it| it.version()), Some(resource.version()));
    }
    // The other way round, and over several steps in shared chunks.
    prop_assert_eq!(&applied.apply(&a.diff(&applied)), &a);
    Ok(())
}

proptest! {
    #[test]
    fn applying_a_difference_makes_the_other(before in contents(), after in contents()) {
        check(&before, &after)?;
    }

    #[test]
    fn applying_a_small_difference_makes_the_other((before, after) in edited()) {
        check(&before, &after)?;
    }

    #[test]
    fn the_order_of_input_does_not_show(
        contents in contents(), seed in prop::collection::vec(any::<prop::sample::Index>(), 0..50),
    ) {
        let mut shuffled = resources(&contents);
        for index in seed {
            if !shuffled.is_empty() {
                let at = index.index(shuffled.len());
                shuffled.swap(0, at);
            }
        }
        let (one, other) = (snapshot(&contents), Snapshot::new(shuffled));
        prop_assert_eq!(&one, &other);
        prop_assert!(one.diff(&other).is_empty());
    }

    #[test]
    fn what_did_not_change_is_shared((before, after) in edited()) {
        let (a, b) = (snapshot(&before), snapshot(&after));
        let shared = b.sharing(&a);
        prop_assert_eq!(&shared, &b);
        for (type_url, collection) in shared.types() {
            let untouched = b.diff(&a).of(type_url).is_none();
            let same = a.collection(type_url).is_some_and(|it| Arc::ptr_eq(it, collection));
            prop_assert_eq!(untouched, same, "{}", type_url);
            for resource in collection.iter() {
                let old = a.resource(type_url, resource.name());
                let unchanged = old.filter(|old| old.version() == resource.version());
                prop_assert!(unchanged.is_none_or(|old| Arc::ptr_eq(old, resource)));
            }
        }
    }

    #[test]
    fn the_first_phase_breaks_nothing_and_the_second_ends_it(
        (before, after) in edited(),
    ) {
        let (a, b) = (snapshot(&before), snapshot(&after));
        let union = b.retaining(&a);
        for resource in resources(&after) {
            let found = union.resource(resource.type_url(), resource.name());
            prop_assert_eq!(found.map(|it| it.version()), Some(resource.version()));
        }
        for resource in resources(&before) {
            let kept = union.resource(resource.type_url(), resource.name()).is_some();
            let new = b.resource(resource.type_url(), resource.name()).is_some();
            prop_assert_eq!(kept, new || *resource.type_url() != TypeUrl::LISTENER);
        }
        prop_assert_eq!(union.apply(&b.diff(&union)), b);
    }
}

#[test]
fn of_two_resources_with_one_name_the_first_counts() {
    let resource = |content: &'static [u8]| Resource::new(TypeUrl::CLUSTER, "cart", content);
    let (snapshot, duplicates) = Snapshot::with_duplicates([resource(b"1"), resource(b"2")]);
    assert_eq!(snapshot, Snapshot::new([resource(b"1")]));
    assert_eq!(duplicates, [resource(b"2")]);
}
