//! The engine as the oracle is asked: the same question in its own words, for random tests and for the
//! fuzz target.
use std::borrow::Cow;
use std::collections::BTreeMap;

use mesh_lb::subset::{
    Candidates, Criteria, FallbackPolicy, MetadataFallbackPolicy, MetadataValue, Selector,
    SelectorFallback, SubsetConfig, SubsetHost, Subsets,
};
use mesh_testkit::oracle::subset::{self as oracle, Fallback, Pairs};

/// What the oracle of the same name answers.
pub(crate) fn hosts(
    rules: &oracle::Rules,
    hosts: &[oracle::Metadata],
    asked: &Pairs,
    list: Option<&[Pairs]>,
) -> Vec<usize> {
    select(&config(rules), hosts, criteria(asked, list))
}

/// What a request asks for.
pub(crate) fn criteria(asked: &Pairs, list: Option<&[Pairs]>) -> BTreeMap<Box<str>, MetadataValue> {
    let mut criteria = metadata(asked);
    if let Some(list) = list {
        let entries = list.iter().map(|entry| MetadataValue::Struct(metadata(entry)));
        criteria.insert("fallback_list".into(), MetadataValue::List(entries.collect()));
    }
    criteria
}

/// The hosts among which a request is picked.
pub(crate) fn select(
    config: &SubsetConfig,
    hosts: &[oracle::Metadata],
    criteria: BTreeMap<Box<str>, MetadataValue>,
) -> Vec<usize> {
    let hosts: Vec<SubsetHost<'_>> = hosts.iter().map(host).collect();
    let found = Subsets::new(config, &hosts).select(&Criteria::new(criteria), |candidates| {
        let hosts = match candidates {
            Candidates::Hosts(hosts) => hosts.levels().concat(),
            Candidates::Single(host) => vec![host],
        };
        Some(hosts).filter(|hosts| !hosts.is_empty())
    });
    found.unwrap_or_default().into_iter().filter_map(|host| usize::try_from(host).ok()).collect()
}

pub(crate) fn metadata(pairs: &Pairs) -> BTreeMap<Box<str>, MetadataValue> {
    pairs.iter().map(|(key, value)| (key.as_str().into(), text(value))).collect()
}

fn text(value: &str) -> MetadataValue {
    MetadataValue::Text(value.into())
}

fn boxed(keys: &[String]) -> Vec<Box<str>> {
    keys.iter().map(|key| key.as_str().into()).collect()
}

pub(crate) fn config(rules: &oracle::Rules) -> SubsetConfig {
    let selector = |selector: &oracle::Selector| {
        let fallback = selector.fallback.as_ref().map(|fallback| match fallback {
            Fallback::Nothing => SelectorFallback::NoFallback,
            Fallback::Any => SelectorFallback::AnyEndpoint,
            Fallback::Default => SelectorFallback::DefaultSubset,
            Fallback::Keys(keys) => SelectorFallback::Keys(boxed(keys)),
        });
        Selector::new(boxed(&selector.keys), fallback).ok()
    };
    SubsetConfig {
        selectors: rules.selectors.iter().filter_map(selector).collect(),
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
        ..SubsetConfig::default()
    }
}

pub(crate) fn host(host: &oracle::Metadata) -> SubsetHost<'static> {
    let value = |values: &Vec<String>| match values.as_slice() {
        [one] => text(one),
        several => MetadataValue::List(several.iter().map(|one| text(one)).collect()),
    };
    let pairs = host.iter().map(|(key, values)| (key.as_str().into(), value(values)));
    SubsetHost { priority: 0, metadata: Cow::Owned(pairs.collect()) }
}
