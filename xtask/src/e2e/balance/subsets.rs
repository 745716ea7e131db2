//! Subsets: hosts are chosen by their metadata, and what is done where none fits.
use std::borrow::Cow;
use std::collections::BTreeMap;

use mesh_lb::health::status::HealthStatus::{Healthy, Unhealthy};
use mesh_lb::subset::{
    Candidates, Criteria, FallbackPolicy, MetadataValue, Selector, SelectorFallback, SubsetConfig,
    SubsetHost, Subsets,
};
use serde_json::{Map, Value, json};

use super::scenario::{Expected, Probe, Scenario};
use super::site::{self, SiteHost, ZONES};
use super::spread::{self, Shares};
use crate::e2e::random::Random;

/// Metadata or criteria: values by key.
type Pairs = BTreeMap<Box<str>, MetadataValue>;

const KEYS: [&str; 3] = ["stage", "tier", "version"];
const VALUES: [&str; 2] = ["one", "two"];
/// How many random configurations there are.
const SCENARIOS: usize = 8;
/// How many requests of each are measured: who answers says more than how often.
const REQUESTS: usize = 300;
/// How many criteria are asked for in each of them.
const QUESTIONS: usize = 5;

/// A cluster with subsets.
struct Plan {
    hosts: Vec<(SiteHost, Pairs)>,
    config: SubsetConfig,
    panic: u32,
    asked: Vec<Pairs>,
}

pub(super) fn all(random: &mut Random) -> Vec<Scenario> {
    let mut scenarios = known();
    for number in 0..SCENARIOS {
        scenarios.push(scenario(&format!("subsets of chance {number}"), &plan(random)));
    }
    scenarios
}

fn pairs(pairs: &[(&str, &str)]) -> Pairs {
    pairs.iter().map(|&(key, value)| (key.into(), MetadataValue::Text(value.into()))).collect()
}

fn selector(keys: &[&str], fallback: Option<SelectorFallback>) -> Option<Selector> {
    Selector::new(keys.iter().map(|&key| key.into()).collect(), fallback).ok()
}

fn host(
    health: mesh_lb::health::status::HealthStatus,
    metadata: &[(&str, &str)],
) -> (SiteHost, Pairs) {
    (SiteHost { health, ..SiteHost::healthy(0, ZONES[0]) }, pairs(metadata))
}

/// One rule each.
fn known() -> Vec<Scenario> {
    let hosts = vec![
        host(Healthy, &[("version", "one"), ("stage", "one")]),
        host(Healthy, &[("version", "two"), ("stage", "one")]),
        host(Unhealthy, &[("version", "two"), ("stage", "two")]),
        host(Healthy, &[("version", "one")]),
        host(Unhealthy, &[("tier", "one")]),
    ];
    let asked = [
        pairs(&[]),
        pairs(&[("version", "one")]),
        pairs(&[("version", "three")]),
        pairs(&[("tier", "one")]),
        pairs(&[("version", "one"), ("stage", "one")]),
        pairs(&[("version", "one"), ("stage", "two")]),
        pairs(&[("version", "one"), ("tier", "one")]),
    ];
    let config = |fallback_policy, stage: Option<SelectorFallback>| SubsetConfig {
        selectors: [
            selector(&["version"], None),
            selector(&["tier"], Some(SelectorFallback::AnyEndpoint)),
            selector(&["stage", "version"], stage),
        ]
        .into_iter()
        .flatten()
        .collect(),
        fallback_policy,
        default_subset: pairs(&[("stage", "one")]),
        ..SubsetConfig::default()
    };
    let by_version = SelectorFallback::Keys(vec!["version".into()]);
    let panicking = SubsetConfig {
        panic_mode_any: true,
        default_subset: pairs(&[("stage", "three")]),
        ..config(FallbackPolicy::DefaultSubset, None)
    };
    let redundant =
        SubsetConfig { allow_redundant_keys: false, ..config(FallbackPolicy::AnyEndpoint, None) };
    let plans = [
        ("no subset, no host", config(FallbackPolicy::NoFallback, None), 0),
        ("no subset, any host", redundant, 0),
        ("no subset, a host of the default", config(FallbackPolicy::DefaultSubset, None), 0),
        ("fewer keys are tried", config(FallbackPolicy::NoFallback, Some(by_version)), 0),
        ("an empty default falls to any", panicking, 0),
        ("a subset panics by itself", config(FallbackPolicy::AnyEndpoint, None), 60),
    ];
    let plans = plans.map(|(sentence, config, panic)| {
        scenario(sentence, &Plan { hosts: hosts.clone(), config, panic, asked: asked.to_vec() })
    });
    plans.into()
}

fn plan(random: &mut Random) -> Plan {
    let hosts = (0..4 + random.below(6)).map(|_| {
        let health = if random.once_in(4) { Unhealthy } else { Healthy };
        let priority = usize::from(random.once_in(4));
        (SiteHost { health, ..SiteHost::healthy(priority, ZONES[0]) }, draw(random, 2))
    });
    let hosts = hosts.collect();
    let selectors = (0..1 + random.below(4)).filter_map(|_| {
        let mut keys: Vec<&str> = KEYS.into_iter().filter(|_| random.once_in(2)).collect();
        if keys.is_empty() {
            keys.push(random.text(&KEYS));
        }
        let fallback = match random.below(6) {
            0 => Some(SelectorFallback::NoFallback),
            1 => Some(SelectorFallback::AnyEndpoint),
            2 => Some(SelectorFallback::DefaultSubset),
            3 if keys.len() > 1 => {
                Some(SelectorFallback::Keys(keys.iter().skip(1).map(|&key| key.into()).collect()))
            }
            _ => None,
        };
        selector(&keys, fallback)
    });
    let policies =
        [FallbackPolicy::NoFallback, FallbackPolicy::AnyEndpoint, FallbackPolicy::DefaultSubset];
    let config = SubsetConfig {
        selectors: selectors.collect(),
        fallback_policy: random.of(&policies, FallbackPolicy::NoFallback),
        default_subset: draw(random, 4),
        panic_mode_any: random.once_in(3),
        ..SubsetConfig::default()
    };
    let asked = (0..QUESTIONS).map(|_| draw(random, 2)).collect();
    Plan { hosts, config, panic: random.of(&[0, 50], 0), asked }
}

/// Random values; each key is there once in so many times.
fn draw(random: &mut Random, times: usize) -> Pairs {
    let keys: Vec<&str> = KEYS.into_iter().filter(|_| random.once_in(times)).collect();
    let value = |key: &str| (key.into(), MetadataValue::Text(random.text(&VALUES).into()));
    keys.into_iter().map(value).collect()
}

fn scenario(sentence: &str, plan: &Plan) -> Scenario {
    let probe = |asked: &Pairs| {
        let criteria = json!({"filter_metadata": {"envoy.lb": values(asked)}});
        let route = if asked.is_empty() { json!({}) } else { json!({"metadata_match": criteria}) };
        let shares = shares(plan, asked);
        Probe { route, expected: Expected::Shares { shares, requests: REQUESTS } }
    };
    let probes = plan.asked.iter().map(probe).collect();
    Scenario { sentence: sentence.to_owned(), cluster: cluster(plan), probes }
}

/// The shares of the subset that our balancer finds.
fn shares(plan: &Plan, asked: &Pairs) -> Shares {
    let hosts: Vec<SiteHost> = plan.hosts.iter().map(|(host, _)| *host).collect();
    let of_subsets: Vec<SubsetHost<'_>> = plan
        .hosts
        .iter()
        .map(|(host, metadata)| SubsetHost {
            priority: host.priority,
            metadata: Cow::Borrowed(metadata),
        })
        .collect();
    let subsets = Subsets::new(&plan.config, &of_subsets);
    let found = subsets.select(&Criteria::new(asked.clone()), |candidates| {
        let shares = match candidates {
            Candidates::Single(host) => spread::alike(&[vec![wide(host)]], &hosts, 100),
            Candidates::Hosts(chosen) => {
                let levels: Vec<Vec<usize>> = chosen
                    .levels()
                    .iter()
                    .map(|level| level.iter().map(|&host| wide(host)).collect())
                    .collect();
                spread::alike(&levels, &hosts, plan.panic)
            }
        };
        Some(shares).filter(|shares| !shares.is_empty())
    });
    found.unwrap_or_default()
}

fn wide(host: u32) -> usize {
    usize::try_from(host).unwrap_or(usize::MAX)
}

fn values(pairs: &Pairs) -> Value {
    let text = |value: &MetadataValue| match value {
        MetadataValue::Text(text) => json!(text),
        MetadataValue::Null
        | MetadataValue::Bool(_)
        | MetadataValue::Number(_)
        | MetadataValue::List(_)
        | MetadataValue::Struct(_) => Value::Null,
    };
    let members: Map<String, Value> =
        pairs.iter().map(|(key, value)| (key.to_string(), text(value))).collect();
    Value::Object(members)
}

fn cluster(plan: &Plan) -> Value {
    let levels = plan.hosts.iter().map(|(host, _)| host.priority + 1).max().unwrap_or(0);
    let localities: Vec<Value> = (0..levels)
        .map(|level| {
            let of_level = plan.hosts.iter().enumerate().filter(|(_, (h, _))| h.priority == level);
            let endpoints: Vec<Value> = of_level
                .map(|(at, (host, metadata))| {
                    let mut endpoint =
                        site::lb_endpoint(&site::server(at), site::PORT, host.health, host.weight);
                    let metadata = json!({"filter_metadata": {"envoy.lb": values(metadata)}});
                    site::set(&mut endpoint, "metadata", metadata);
                    endpoint
                })
                .collect();
            json!({"priority": level, "lb_endpoints": endpoints})
        })
        .collect();
    let mut cluster = site::static_cluster(&localities, 140);
    let common = json!({
        "healthy_panic_threshold": {"value": plan.panic},
        "zone_aware_lb_config": site::no_zones(),
    });
    site::set(&mut cluster, "common_lb_config", common);
    site::set(&mut cluster, "lb_subset_config", config(&plan.config));
    cluster
}

fn config(config: &SubsetConfig) -> Value {
    let policy = match config.fallback_policy {
        FallbackPolicy::NoFallback => "NO_FALLBACK",
        FallbackPolicy::AnyEndpoint => "ANY_ENDPOINT",
        FallbackPolicy::DefaultSubset => "DEFAULT_SUBSET",
    };
    let selectors: Vec<Value> = config
        .selectors
        .iter()
        .map(|selector| {
            let mut text = json!({"keys": selector.keys()});
            match selector.fallback() {
                None => {}
                Some(SelectorFallback::NoFallback) => {
                    site::set(&mut text, "fallback_policy", json!("NO_FALLBACK"));
                }
                Some(SelectorFallback::AnyEndpoint) => {
                    site::set(&mut text, "fallback_policy", json!("ANY_ENDPOINT"));
                }
                Some(SelectorFallback::DefaultSubset) => {
                    site::set(&mut text, "fallback_policy", json!("DEFAULT_SUBSET"));
                }
                Some(SelectorFallback::Keys(keys)) => {
                    site::set(&mut text, "fallback_policy", json!("KEYS_SUBSET"));
                    site::set(&mut text, "fallback_keys_subset", json!(keys));
                }
            }
            text
        })
        .collect();
    json!({
        "fallback_policy": policy,
        "default_subset": values(&config.default_subset),
        "subset_selectors": selectors,
        "panic_mode_any": config.panic_mode_any,
    })
}
