//! The subset balancer against its oracle.
mod balancer;
mod engine;

use mesh_lb::subset::{Selector, SubsetConfig};
use mesh_testkit::oracle::subset::{self as oracle, Fallback, Pairs};
use proptest::prelude::*;

fn key() -> impl Strategy<Value = String> {
    prop_oneof![Just("a"), Just("b"), Just("c")].prop_map(str::to_owned)
}

fn pairs() -> impl Strategy<Value = Pairs> {
    let value = prop_oneof![Just("1"), Just("2")].prop_map(str::to_owned);
    proptest::collection::btree_map(key(), value, 0..4).prop_map(|map| map.into_iter().collect())
}

fn selector() -> impl Strategy<Value = oracle::Selector> {
    let keys = proptest::collection::btree_set(key(), 1..4);
    (keys, 0..5u8).prop_map(|(keys, fallback)| {
        let keys: Vec<String> = keys.into_iter().collect();
        let fallback = match fallback {
            0 => Some(Fallback::Nothing),
            1 => Some(Fallback::Any),
            2 => Some(Fallback::Default),
            3 if keys.len() > 1 => Some(Fallback::Keys(keys.iter().skip(1).cloned().collect())),
            _ => None,
        };
        oracle::Selector { keys, fallback }
    })
}

/// The values that a host has of each key: several only where any of them counts.
fn host() -> impl Strategy<Value = oracle::Metadata> {
    let value = prop_oneof![Just("1"), Just("2"), Just("3")].prop_map(str::to_owned);
    let values = proptest::collection::btree_set(value, 0..3);
    proptest::collection::btree_map(key(), values, 0..4).prop_map(|map| {
        map.into_iter().map(|(key, values)| (key, values.into_iter().collect())).collect()
    })
}

fn rules() -> impl Strategy<Value = oracle::Rules> {
    let fallback =
        prop_oneof![Just(Fallback::Nothing), Just(Fallback::Any), Just(Fallback::Default)];
    let selectors = proptest::collection::vec(selector(), 0..5);
    (selectors, pairs(), fallback, any::<bool>(), any::<bool>()).prop_map(
        |(selectors, default, fallback, panic_any, redundant_keys)| oracle::Rules {
            selectors,
            default,
            fallback,
            panic_any,
            redundant_keys,
        },
    )
}

proptest! {
    #[test]
    fn a_request_is_picked_among_the_hosts_the_oracle_names(
        rules in rules(),
        hosts in proptest::collection::vec(host(), 0..8),
        asked in pairs(),
        list in proptest::option::of(proptest::collection::vec(pairs(), 0..3)),
    ) {
        let list = list.as_deref();
        let found = engine::hosts(&rules, &hosts, &asked, list);
        prop_assert_eq!(found, oracle::hosts(&rules, &hosts, &asked, list));
    }

    /// A subset of single hosts has its first one.
    #[test]
    fn a_subset_of_single_hosts_has_the_first(
        hosts in proptest::collection::vec(host(), 0..8),
        value in prop_oneof![Just("1"), Just("2")],
    ) {
        let Ok(selector) = Selector::new(vec!["a".into()], None) else { return Ok(()) };
        let config = SubsetConfig {
            selectors: vec![selector.single_host_per_subset()],
            list_as_any: true,
            ..SubsetConfig::default()
        };
        let asked = vec![("a".to_owned(), value.to_owned())];
        let found = engine::select(&config, &hosts, engine::metadata(&asked));
        let rules = oracle::Rules {
            selectors: vec![oracle::Selector { keys: vec!["a".to_owned()], fallback: None }],
            default: Vec::new(),
            fallback: Fallback::Nothing,
            panic_any: false,
            redundant_keys: false,
        };
        let expected = oracle::hosts(&rules, &hosts, &asked, None);
        prop_assert_eq!(found, expected.into_iter().take(1).collect::<Vec<_>>());
    }
}
