//! Sets of labels, of one list and of two.
use std::collections::BTreeMap;
use std::hash::BuildHasher;

use proptest::collection::vec;
use proptest::prelude::*;
use rustc_hash::FxBuildHasher;

use super::*;

fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().copied().collect()
}

#[test]
fn an_empty_value_does_not_select_an_absent_label() {
    assert!(!labels(&[]).contains(&labels(&[("a", "")])));
    assert!(labels(&[("a", "")]).contains(&labels(&[("a", "")])));
    assert!(labels(&[("a", "1"), ("b", "2")]).contains(&labels(&[("b", "2")])));
}

#[test]
fn differences_are_named_once_whichever_set_they_are_in() {
    let check = |a: &[(&str, &str)], b: &[(&str, &str)], expected: &[&str]| {
        let (a, b) = (labels(a), labels(b));
        assert!(a.differences(&b).eq(expected.iter().copied()), "{a:?} {b:?}");
        assert!(b.differences(&a).eq(expected.iter().copied()), "{b:?} {a:?}");
    };
    check(&[("a", "1"), ("b", "2")], &[("a", "1"), ("b", "2")], &[]);
    check(&[("a", "1"), ("c", "2")], &[("b", "1"), ("c", "3")], &["a", "b", "c"]);
    check(&[("a", "1")], &[("a", ""), ("b", ""), ("c", "")], &["a", "b", "c"]);
}

#[test]
fn what_is_equal_is_shared_and_nothing_else_changes() {
    let near = labels(&[("a", "1"), ("c", "2"), ("d", "3")]);
    for pairs in [&[("a", "1"), ("b", "0"), ("c", "9")][..], &[("d", "3")], &[("e", "")], &[]] {
        let mut shared = labels(pairs);
        shared.share(&near);
        assert_eq!(shared, labels(pairs));
    }
    let mut equal = labels(&[("a", "1"), ("c", "2"), ("d", "3")]);
    equal.share(&near);
    assert!(equal.is_same(&near));
}

#[test]
fn the_last_value_of_a_key_counts() {
    assert_eq!(labels(&[("a", "1"), ("b", "0"), ("a", "2")]).value("a"), "2");
    assert_eq!(labels(&[("a", "1")]).overlaid(&labels(&[("a", "2")])).value("a"), "2");
}

/// The lists that a set is of, own labels first.
fn lists(labels: &Labels) -> [Vec<(&str, &str)>; 2] {
    [&*labels.own, labels.added()]
        .map(|list| list.iter().map(|(key, value)| (&**key, &**value)).collect())
}

#[test]
fn labels_take_three_words() {
    assert_eq!(size_of::<Labels>(), 3 * size_of::<usize>());
}

#[test]
fn what_is_added_is_a_list_of_its_own() {
    let own = labels(&[("app", "web"), ("zone", "a")]);
    let all = own.and([("node", "n1"), ("cluster", "c1"), ("zone", "a")]);
    assert!(Arc::ptr_eq(&all.own, &own.own));
    assert_eq!(lists(&all)[1], [("cluster", "c1"), ("node", "n1")]);
    assert!(all.iter().map(|(key, _)| key).eq(["app", "cluster", "node", "zone"]));
    // Nothing new is no list.
    assert!(own.and([("zone", "b"), ("zone", "a")]).is_same(&own));
}

#[test]
fn another_value_is_taken_out_of_the_own_labels() {
    let own = labels(&[("app", "web"), ("zone", "a")]);
    let all = own.and([("zone", "b"), ("node", "n1")]);
    assert_eq!(lists(&all), [vec![("app", "web")], vec![("node", "n1"), ("zone", "b")]]);
    let more = all.and([("zone", "c")]);
    assert_eq!(lists(&more), [vec![("app", "web"), ("node", "n1")], vec![("zone", "c")]]);
}

#[test]
fn equal_lists_laid_over_others_are_one_allocation() {
    let (mut layers, mut texts) = (Layers::default(), Texts::default());
    let mut of_node = |app: &str, node: &str| {
        let mut all = labels(&[("app", app)]).and([("cluster", "c1"), ("node", node)]);
        layers.share(&mut all, &mut texts);
        layers.add(&all);
        all
    };
    let [web, cart, other] = [of_node("web", "n1"), of_node("cart", "n1"), of_node("web", "n2")];
    let layer = |labels: &Labels| labels.over.clone().unwrap();
    assert!(layer(&web).is_same(&layer(&cart)) && !layer(&web).is_same(&layer(&other)));
    // Lists that differ have their texts in common.
    assert!(Arc::ptr_eq(&web.added()[0].1, &other.added()[0].1));
    assert_eq!((web.value("app"), cart.value("app"), other.value("node")), ("web", "cart", "n2"));
}

#[test]
fn a_list_is_shared_where_the_other_differs() {
    let near = labels(&[("app", "web")]).and([("node", "n1")]);
    let mut of_app = labels(&[("app", "web")]).and([("node", "n2")]);
    of_app.share(&near);
    assert!(Arc::ptr_eq(&of_app.own, &near.own));
    assert_eq!(of_app, labels(&[("app", "web"), ("node", "n2")]));
    let mut of_node = labels(&[("app", "cart")]).and([("node", "n1")]);
    of_node.share(&near);
    assert!(of_node.over.as_ref().unwrap().is_same(near.over.as_ref().unwrap()));
    assert_eq!(of_node, labels(&[("app", "cart"), ("node", "n1")]));
}

type Pairs = Vec<(String, String)>;
type Model = BTreeMap<String, String>;

/// Few keys, which both lists then have, or so many that they are not looked at one by one.
fn pairs() -> impl Strategy<Value = Pairs> {
    let key = |number: usize| format!("{}{}", ["a", "m", "n", "zone"][number % 4], number / 4);
    let pair = move |(number, value): (usize, u8)| (key(number), format!("v{value}"));
    let few = vec((0..8_usize, 0..2_u8).prop_map(pair), 0..6);
    let many = vec((0..80_usize, 0..2_u8).prop_map(pair), 30..70);
    prop_oneof![4 => few, 1 => many]
}

fn and(labels: &Labels, pairs: &Pairs) -> Labels {
    labels.and(pairs.iter().map(|(key, value)| (key.as_str(), value.as_str())))
}

fn model(lists: &[&Pairs]) -> Model {
    lists.iter().flat_map(|pairs| pairs.iter().cloned()).collect()
}

fn flat(pairs: &Pairs) -> Labels {
    pairs.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect()
}

/// Everything that can be read of one set.
fn check(labels: &Labels, model: &Model) -> Result<(), TestCaseError> {
    let expected = || model.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    prop_assert!(labels.iter().eq(expected()));
    let mut left = labels.iter();
    for len in (0..=model.len()).rev() {
        prop_assert_eq!((left.len(), left.clone().count()), (len, len));
        prop_assert_eq!(left.next().is_some(), len > 0);
    }
    prop_assert_eq!((labels.len(), labels.is_empty()), (model.len(), model.is_empty()));
    for key in model.keys().map(String::as_str).chain(["", "a", "a1", "m0", "n7", "zone3", "zz"]) {
        let value = model.get(key).map(String::as_str);
        prop_assert_eq!(labels.get(key), value);
        prop_assert_eq!(labels.value(key), value.unwrap_or_default());
    }
    prop_assert_eq!(format!("{labels:?}"), format!("{model:?}"));
    let flat: Labels = expected().collect();
    prop_assert_eq!((labels, &flat), (&flat, labels));
    prop_assert!(labels.cmp(&flat).is_eq());
    let [own, other] = [labels, &flat].map(|labels| FxBuildHasher.hash_one(labels));
    prop_assert_eq!(own, other);
    prop_assert_eq!(labels.differences(&flat).next(), None);
    Ok(())
}

proptest! {
    #[test]
    fn a_set_of_two_lists_is_what_a_map_is(own in pairs(), over in pairs(), more in pairs()) {
        let all = and(&flat(&own), &over);
        check(&all, &model(&[&own, &over]))?;
        check(&and(&all, &more), &model(&[&own, &over, &more]))?;
        check(&all.overlaid(&flat(&more)), &model(&[&own, &over, &more]))?;
        check(&flat(&more).overlaid(&all), &model(&[&more, &own, &over]))?;
    }

    #[test]
    fn two_sets_compare_as_maps_do(
        lists in prop::array::uniform4(pairs()),
        (has_own, has_over, is_shared) in any::<(bool, bool, bool)>(),
    ) {
        let [own, over, other_own, other_over] = &lists;
        let (other_own, other_over) =
            (if has_own { own } else { other_own }, if has_over { over } else { other_over });
        let base = flat(own);
        let other_base = if has_own && is_shared { base.clone() } else { flat(other_own) };
        let (mut a, mut b) = (and(&base, over), and(&other_base, other_over));
        if is_shared {
            let (mut layers, mut texts) = (Layers::default(), Texts::default());
            for labels in [&mut a, &mut b] {
                layers.share(labels, &mut texts);
                layers.add(labels);
            }
        }
        let [ours, theirs] = [model(&[own, over]), model(&[other_own, other_over])];
        check(&a, &ours)?;
        check(&b, &theirs)?;
        prop_assert_eq!(a == b, ours == theirs);
        prop_assert_eq!(a.cmp(&b), ours.cmp(&theirs));
        prop_assert_eq!(a.partial_cmp(&b), ours.partial_cmp(&theirs));
        prop_assert!(!a.is_same(&b) || ours == theirs);
        let selects = |a: &Model, b: &Model| b.iter().all(|(key, value)| a.get(key) == Some(value));
        prop_assert_eq!(a.contains(&b), selects(&ours, &theirs));
        prop_assert_eq!(b.contains(&a), selects(&theirs, &ours));
        let keys = model(&[own, over, other_own, other_over]).into_keys();
        let expected: Vec<_> = keys.filter(|key| ours.get(key) != theirs.get(key)).collect();
        prop_assert_eq!(a.differences(&b).collect::<Vec<_>>(), &*expected);
        prop_assert_eq!(b.differences(&a).collect::<Vec<_>>(), &*expected);
        let mut near = a.clone();
        near.share(&b);
        check(&near, &ours)?;
        prop_assert!(ours != theirs || near.is_same(&b));
        check(&a.overlaid(&b), &model(&[own, over, other_own, other_over]))?;
    }
}
