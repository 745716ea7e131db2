//! The subset balancer against its oracle.
use std::borrow::Cow;
use std::collections::BTreeMap;

use mesh_lb::subset::{
    Candidates, Criteria, FallbackPolicy, MetadataFallbackPolicy, MetadataValue, Selector,
    SelectorFallback, SubsetConfig, SubsetHost, Subsets,
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

fn config(rules: &oracle::Rules) -> SubsetConfig {
    SubsetConfig {
        selectors: rules.selectors.iter().filter_map(engine_selector).collect(),
        fallback_policy: match rules.fallback {
            Fallback::Nothing | Fallback::Keys(_) => FallbackPolicy::NoFallback,
            Fallback::Any => FallbackPolicy::AnyEndpoint,
            Fallback::Default => FallbackPolicy::DefaultSubset,
        },
        default_subset: metadata(&rules.default),
        panic_mode_any: rules.panic_any,
        allow_redundant_keys: rules.redundant_keys,
        list_as_any: true,
        metadata_fallback_policy: MetadataFallbackPolicy::FallbackList,
    }
}

fn engine_host(host: &oracle::Metadata) -> SubsetHost<'static> {
    let text = |value: &String| MetadataValue::Text(value.as_str().into());
    let value = |values: &Vec<String>| match values.as_slice() {
        [one] => text(one),
        several => MetadataValue::List(several.iter().map(text).collect()),
    };
    let pairs = host.iter().map(|(key, values)| (key.as_str().into(), value(values)));
    SubsetHost { priority: 0, metadata: Cow::Owned(pairs.collect()) }
}

proptest! {
    #[test]
    fn a_request_is_picked_among_the_hosts_the_oracle_names(
        rules in rules(),
        hosts in proptest::collection::vec(host(), 0..8),
        asked in pairs(),
        list in proptest::option::of(proptest::collection::vec(pairs(), 0..3)),
    ) {
        let engine_hosts: Vec<SubsetHost<'_>> = hosts.iter().map(engine_host).collect();
        let subsets = Subsets::new(&config(&rules), &engine_hosts);
        let mut criteria = metadata(&asked);
        if let Some(list) = &list {
            let entries = list.iter().map(|entry| MetadataValue::Struct(metadata(entry)));
            criteria.insert("fallback_list".into(), MetadataValue::List(entries.collect()));
        }
        let found = subsets.select(&Criteria::new(criteria), |candidates| {
            let hosts = match candidates {
                Candidates::Hosts(hosts) => hosts.levels().concat(),
                Candidates::Single(host) => vec![host],
            };
            Some(hosts).filter(|hosts| !hosts.is_empty())
        });
        let found: Vec<usize> = found.unwrap_or_default().into_iter().map(|host| host as usize).collect();
        prop_assert_eq!(found, oracle::hosts(&rules, &hosts, &asked, list.as_deref()));
    }

    /// A subset of single hosts has its first one.
    #[test]
    fn a_subset_of_single_hosts_has_the_first(
        hosts in proptest::collection::vec(host(), 0..8),
        value in prop_oneof![Just("1"), Just("2")],
    ) {
        let engine_hosts: Vec<SubsetHost<'_>> = hosts.iter().map(engine_host).collect();
        let Ok(selector) = Selector::new(vec!["a".into()], None) else { return Ok(()) };
        let config = SubsetConfig {
            selectors: vec![selector.single_host_per_subset()],
            list_as_any: true,
            ..SubsetConfig::default()
        };
        let asked = vec![("a".to_owned(), value.to_owned())];
        let subsets = Subsets::new(&config, &engine_hosts);
        let found = subsets.select(&Criteria::new(metadata(&asked)), |candidates| match candidates {
            Candidates::Single(host) => Some(host as usize),
            Candidates::Hosts(_) => None,
        });
        let rules = oracle::Rules {
            selectors: vec![oracle::Selector { keys: vec!["a".to_owned()], fallback: None }],
            default: Vec::new(),
            fallback: Fallback::Nothing,
            panic_any: false,
            redundant_keys: false,
        };
        prop_assert_eq!(found, oracle::hosts(&rules, &hosts, &asked, None).first().copied());
    }
}
