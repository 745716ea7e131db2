//! The subset balancer against its oracle.
use std::borrow::Cow;
use std::collections::BTreeMap;

use mesh_lb::subset::{
    Candidates, Criteria, FallbackPolicy, MetadataValue, Selector, SelectorFallback, SubsetConfig,
    SubsetHost, Subsets,
};
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

fn metadata(pairs: &Pairs) -> BTreeMap<Box<str>, MetadataValue> {
    let text = |value: &String| MetadataValue::Text(value.as_str().into());
    pairs.iter().map(|(key, value)| (key.as_str().into(), text(value))).collect()
}

fn boxed(keys: &[String]) -> Vec<Box<str>> {
    keys.iter().map(|key| key.as_str().into()).collect()
}

fn engine_selector(selector: &oracle::Selector) -> Option<Selector> {
    let fallback = selector.fallback.as_ref().map(|fallback| match fallback {
        Fallback::Nothing => SelectorFallback::NoFallback,
        Fallback::Any => SelectorFallback::AnyEndpoint,
        Fallback::Default => SelectorFallback::DefaultSubset,
        Fallback::Keys(keys) => SelectorFallback::Keys(boxed(keys)),
    });
    Selector::new(boxed(&selector.keys), fallback).ok()
}

proptest! {
    #[test]
    fn a_request_is_picked_among_the_hosts_the_oracle_names(
        selectors in proptest::collection::vec(selector(), 1..5),
        hosts in proptest::collection::vec(pairs(), 0..8),
        default in pairs(),
        policy in 0..3u8,
        asked in pairs(),
    ) {
        let (policy, oracle_policy) = match policy {
            0 => (FallbackPolicy::NoFallback, Fallback::Nothing),
            1 => (FallbackPolicy::AnyEndpoint, Fallback::Any),
            _ => (FallbackPolicy::DefaultSubset, Fallback::Default),
        };
        let config = SubsetConfig {
            selectors: selectors.iter().filter_map(engine_selector).collect(),
            fallback_policy: policy,
            default_subset: metadata(&default),
            ..SubsetConfig::default()
        };
        let engine_hosts: Vec<SubsetHost<'_>> = hosts
            .iter()
            .map(|pairs| SubsetHost { priority: 0, metadata: Cow::Owned(metadata(pairs)) })
            .collect();
        let subsets = Subsets::new(&config, &engine_hosts);
        let found = subsets.select(&Criteria::new(metadata(&asked)), |candidates| match candidates {
            Candidates::Hosts(hosts) => Some(hosts.levels().concat()),
            Candidates::Single(host) => Some(vec![host]),
        });
        let found: Vec<usize> = found.unwrap_or_default().into_iter().map(|host| host as usize).collect();
        prop_assert_eq!(found, oracle::hosts(&selectors, &hosts, &default, &oracle_policy, &asked));
    }
}
