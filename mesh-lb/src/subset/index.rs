//! Building subsets, and finding the one of a request.
use std::borrow::Cow;
use std::collections::BTreeMap;

use super::fallback::{FallbackPolicy, MetadataFallbackPolicy, SelectorFallback, SelectorPolicies};
use super::metadata::{Criteria, MetadataValue};
use super::selector::{Selector, SubsetConfig};
use crate::health::status::{CoarseHealth, HostHealth};
use crate::load::{DataPlane, LevelHosts, Overprovisioning, PanicThreshold, Percent, PriorityLoad};

/// The greatest priority that Envoy takes.
pub const MAX_PRIORITY: usize = 128;

/// As many subsets of one selector as a host may be in.
const MOST_SUBSETS: usize = 65_536;

/// A host as the subset balancer sees it.
#[derive(Clone, Debug)]
pub struct SubsetHost<'m> {
    /// Its priority. Envoy has none above [`MAX_PRIORITY`]: such a host is nowhere.
    pub priority: usize,
    /// Its metadata, of the namespace `envoy.lb`.
    pub metadata: Cow<'m, BTreeMap<Box<str>, MetadataValue>>,
}

/// The hosts of one subset, by priority; each is an index into the list of all hosts, ascending.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SubsetHosts {
    levels: Vec<Vec<u32>>,
    /// Which of the [lists](Subsets::lists) it is.
    number: usize,
}

/// What a list of hosts is known by when subsets are built anew.
#[derive(Clone, Copy, Debug)]
pub(crate) enum SubsetName<'s> {
    /// All hosts.
    All,
    /// The default subset.
    Default,
    /// The subset of these values.
    Of(&'s Criteria),
}

/// Among whom a host is picked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "callers act on both")]
pub enum Candidates<'a> {
    /// These: an inner balancer picks, by their health, load and panic alone.
    Hosts(&'a SubsetHosts),
    /// This one, whatever its health.
    Single(u32),
}

#[derive(Clone, Debug, Default)]
struct Subset {
    hosts: SubsetHosts,
    single_host: bool,
}

/// The subsets of a cluster.
#[derive(Clone, Debug)]
pub struct Subsets {
    // INVARIANT: without selectors that have no keys; by falling number of keys if redundant keys
    // are allowed.
    selectors: Vec<Selector>,
    policies: SelectorPolicies,
    // By the keys and values that their hosts have.
    subsets: BTreeMap<Criteria, Subset>,
    all: SubsetHosts,
    default: SubsetHosts,
    enabled: bool,
    fallback_policy: FallbackPolicy,
    panic_mode_any: bool,
    metadata_fallback_policy: MetadataFallbackPolicy,
    allow_redundant_keys: bool,
}

impl SubsetHosts {
    fn push(&mut self, priority: usize, host: u32) {
        if self.levels.len() <= priority {
            self.levels.resize(priority + 1, Vec::new());
        }
        // Hosts come in ascending order; one that two selectors brought is kept once.
        if let Some(level) = self.levels.get_mut(priority).filter(|l| l.last() != Some(&host)) {
            level.push(host);
        }
    }

    /// Returns the hosts of each priority.
    pub fn levels(&self) -> &[Vec<u32>] {
        &self.levels
    }

    /// Returns which of the [lists](Subsets::lists) these are.
    pub(crate) const fn number(&self) -> usize {
        self.number
    }

    fn first(&self) -> Option<u32> {
        self.levels.iter().find_map(|level| level.first().copied())
    }

    /// Returns the hosts that a balancer may pick from these, ascending: those of the priorities
    /// that get load, by the health that gets it, or all of a priority in panic.
    pub fn reachable(
        &self,
        health: impl Fn(u32) -> HostHealth,
        factor: Overprovisioning,
        threshold: PanicThreshold,
    ) -> Vec<u32> {
        let count = |level: &[u32], is: &dyn Fn(HostHealth) -> bool| {
            let hosts = level.iter().filter(|&&host| is(health(host))).count();
            u32::try_from(hosts).unwrap_or(u32::MAX)
        };
        let counted: Vec<LevelHosts> = self
            .levels
            .iter()
            .map(|level| LevelHosts {
                total: count(level, &|_| true),
                healthy: count(level, &|health| health.coarse() == CoarseHealth::Healthy),
                degraded: count(level, &|health| health.coarse() == CoarseHealth::Degraded),
                excluded: count(level, &HostHealth::is_excluded),
                overprovisioning: factor,
                weights: None,
            })
            .collect();
        let mut load = PriorityLoad::default();
        load.spill(DataPlane::Envoy, &counted, threshold);
        let mut reachable = Vec::new();
        for (level, load) in self.levels.iter().zip(load.levels()) {
            let is_reached = |host: u32| {
                let healthy = load.healthy_load != Percent::NONE;
                let degraded = load.degraded_load != Percent::NONE;
                match health(host).coarse() {
                    _ if load.panic => healthy || degraded,
                    CoarseHealth::Healthy => healthy,
                    CoarseHealth::Degraded => degraded,
                    CoarseHealth::Unhealthy => false,
                }
            };
            reachable.extend(level.iter().copied().filter(|&host| is_reached(host)));
        }
        reachable.sort_unstable();
        reachable
    }
}

impl Subsets {
    /// Builds the subsets of `hosts`.
    ///
    /// With `list_as_any` a host is in a subset for each combination of the elements of its
    /// lists. Envoy sets no bound to that; here a host with more than 65,536 combinations is in none
    /// of the selector's subsets.
    ///
    /// # Upstream
    ///
    /// Envoy `source/extensions/load_balancing_policies/subset/subset_lb.cc`,
    /// `SubsetLoadBalancer::processSubsets` and `extractSubsetMetadata`.
    pub fn new(config: &SubsetConfig, hosts: &[SubsetHost<'_>]) -> Self {
        let mut selectors: Vec<Selector> = config
            .selectors
            .iter()
            .filter(|selector| !selector.keys().is_empty())
            .cloned()
            .collect();
        if config.allow_redundant_keys {
            selectors.sort_by_key(|selector| std::cmp::Reverse(selector.keys().len()));
        }
        let mut result = Self {
            policies: SelectorPolicies::new(&selectors),
            selectors,
            subsets: BTreeMap::new(),
            all: SubsetHosts::default(),
            default: SubsetHosts::default(),
            enabled: !config.selectors.is_empty(),
            fallback_policy: config.fallback_policy,
            panic_mode_any: config.panic_mode_any,
            metadata_fallback_policy: config.metadata_fallback_policy,
            allow_redundant_keys: config.allow_redundant_keys,
        };
        let known = (0..).zip(hosts).filter(|(_, host)| host.priority <= MAX_PRIORITY);
        for (index, host) in known {
            result.add(config, index, host);
        }
        let subsets = result.subsets.values_mut().map(|subset| &mut subset.hosts);
        let lists = [&mut result.all, &mut result.default].into_iter().chain(subsets);
        lists.enumerate().for_each(|(number, hosts)| hosts.number = number);
        result
    }

    /// Returns the lists of hosts in the order of their numbers; none for those that nobody is ever
    /// picked among: subsets of a single host, and all hosts or the default subset if that is no
    /// fallback.
    pub(crate) fn lists(&self) -> impl Iterator<Item = Option<(SubsetName<'_>, &SubsetHosts)>> {
        let falls_to = |fallback, of_selector: &SelectorFallback| {
            self.fallback_policy == fallback || self.policies.all().any(|one| one == of_selector)
        };
        let in_panic = self.panic_mode_any && self.fallback_policy != FallbackPolicy::NoFallback;
        let needs_all = falls_to(FallbackPolicy::AnyEndpoint, &SelectorFallback::AnyEndpoint);
        let all = (in_panic || needs_all).then_some((SubsetName::All, &self.all));
        let default = falls_to(FallbackPolicy::DefaultSubset, &SelectorFallback::DefaultSubset)
            .then_some((SubsetName::Default, &self.default));
        let subsets = self.subsets.iter().map(|(values, subset)| {
            (!subset.single_host).then_some((SubsetName::Of(values), &subset.hosts))
        });
        [all, default].into_iter().chain(subsets)
    }

    /// Returns the number of the list that has this name.
    pub(crate) fn number(&self, name: SubsetName<'_>) -> Option<usize> {
        let hosts = match name {
            SubsetName::All => &self.all,
            SubsetName::Default => &self.default,
            SubsetName::Of(values) => &self.subsets.get(values)?.hosts,
        };
        Some(hosts.number)
    }

    fn add(&mut self, config: &SubsetConfig, index: u32, host: &SubsetHost<'_>) {
        self.all.push(host.priority, index);
        if matches_default(config, &host.metadata) {
            self.default.push(host.priority, index);
        }
        for selector in &self.selectors {
            for values in values_of(selector, &host.metadata, config.list_as_any) {
                let subset = self.subsets.entry(values).or_insert_with(|| Subset {
                    single_host: selector.is_single_host(),
                    ..Subset::default()
                });
                subset.hosts.push(host.priority, index);
            }
        }
    }

    /// Finds a host for a request. `pick` is the inner balancer: it picks one of the candidates.
    ///
    /// A subset is found only by exactly its keys and values. If it has a host, healthy or not,
    /// the answer of the inner balancer is final.
    ///
    /// # Upstream
    ///
    /// Envoy `source/extensions/load_balancing_policies/subset/subset_lb.cc`,
    /// `SubsetLoadBalancer::chooseHost`.
    pub fn select<H>(
        &self,
        criteria: &Criteria,
        mut pick: impl FnMut(Candidates<'_>) -> Option<H>,
    ) -> Option<H> {
        if !self.enabled {
            return pick(Candidates::Hosts(&self.all));
        }
        let pick = &mut pick as &mut dyn FnMut(Candidates<'_>) -> Option<H>;
        let list = match (self.metadata_fallback_policy, criteria.value(FALLBACK_LIST)) {
            (MetadataFallbackPolicy::FallbackList, Some(MetadataValue::List(list))) => list,
            _ => return self.select_once(Cow::Borrowed(criteria), pick),
        };
        let criteria = criteria.without(FALLBACK_LIST);
        if list.is_empty() {
            return self.select_once(Cow::Owned(criteria), pick);
        }
        list.iter().find_map(|entry| {
            let merged = match entry {
                MetadataValue::Struct(more) => criteria.merge(more),
                MetadataValue::Null
                | MetadataValue::Bool(_)
                | MetadataValue::Number(_)
                | MetadataValue::Text(_)
                | MetadataValue::List(_) => criteria.clone(),
            };
            self.select_once(Cow::Owned(merged), pick)
        })
    }

    fn select_once<H>(
        &self,
        mut criteria: Cow<'_, Criteria>,
        pick: &mut dyn FnMut(Candidates<'_>) -> Option<H>,
    ) -> Option<H> {
        // Each further search has fewer keys than the last.
        while !criteria.is_empty() {
            if self.allow_redundant_keys {
                criteria = self.without_redundant_keys(criteria);
            }
            if let Some(candidates) = self.subset(&criteria) {
                return pick(candidates);
            }
            match self.policies.of(&criteria) {
                None => break,
                Some(SelectorFallback::NoFallback) => return None,
                Some(SelectorFallback::AnyEndpoint) => return pick(Candidates::Hosts(&self.all)),
                Some(SelectorFallback::DefaultSubset) => {
                    return pick(Candidates::Hosts(&self.default));
                }
                Some(SelectorFallback::Keys(keys)) => criteria = Cow::Owned(criteria.reduced(keys)),
            }
        }
        let fallback = match self.fallback_policy {
            FallbackPolicy::NoFallback => return None,
            FallbackPolicy::AnyEndpoint => &self.all,
            FallbackPolicy::DefaultSubset => &self.default,
        };
        pick(Candidates::Hosts(fallback))
            .or_else(|| self.panic_mode_any.then(|| pick(Candidates::Hosts(&self.all))).flatten())
    }

    fn without_redundant_keys<'c>(&self, criteria: Cow<'c, Criteria>) -> Cow<'c, Criteria> {
        let has_all =
            |selector: &&Selector| selector.keys().iter().all(|key| criteria.value(key).is_some());
        match self.selectors.iter().find(has_all) {
            Some(selector) if criteria.keys().count() > selector.keys().len() => {
                Cow::Owned(criteria.reduced(selector.keys()))
            }
            Some(_) | None => criteria,
        }
    }

    fn subset(&self, criteria: &Criteria) -> Option<Candidates<'_>> {
        let subset = self.subsets.get(criteria)?;
        if subset.single_host {
            return subset.hosts.first().map(Candidates::Single);
        }
        Some(Candidates::Hosts(&subset.hosts))
    }
}

const FALLBACK_LIST: &str = "fallback_list";

fn matches_default(config: &SubsetConfig, metadata: &BTreeMap<Box<str>, MetadataValue>) -> bool {
    config.default_subset.iter().all(|(key, wanted)| match metadata.get(key) {
        Some(MetadataValue::List(list)) if config.list_as_any => list.contains(wanted),
        found => found == Some(wanted),
    })
}

/// Returns the values that a host has for the keys of a selector: none if it lacks one, several
/// if lists stand for any of their elements.
fn values_of(
    selector: &Selector,
    metadata: &BTreeMap<Box<str>, MetadataValue>,
    list_as_any: bool,
) -> Vec<Criteria> {
    let mut all = vec![Criteria::default()];
    for key in selector.keys() {
        let Some(value) = metadata.get(key) else { return Vec::new() };
        let choices = if let (MetadataValue::List(list), true) = (value, list_as_any) {
            list.as_slice()
        } else {
            std::slice::from_ref(value)
        };
        if all.len().saturating_mul(choices.len()) > MOST_SUBSETS {
            return Vec::new();
        }
        all = all
            .into_iter()
            .flat_map(|values| {
                choices.iter().map(move |choice| {
                    let mut values = values.clone();
                    values.insert(key.clone(), choice.clone());
                    values
                })
            })
            .collect();
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata(pairs: &[(&str, &str)]) -> BTreeMap<Box<str>, MetadataValue> {
        pairs.iter().map(|&(key, value)| (key.into(), MetadataValue::Text(value.into()))).collect()
    }

    fn selector(keys: &[&str], fallback: Option<SelectorFallback>) -> Selector {
        Selector::new(keys.iter().map(|&key| key.into()).collect(), fallback).unwrap()
    }

    fn check(
        config: &SubsetConfig,
        hosts: &[&[(&str, &str)]],
        asked: &[(&str, &str)],
        expected: &[u32],
    ) {
        let hosts: Vec<SubsetHost<'_>> = hosts
            .iter()
            .map(|pairs| SubsetHost { priority: 0, metadata: Cow::Owned(metadata(pairs)) })
            .collect();
        let subsets = Subsets::new(config, &hosts);
        let found =
            subsets.select(&Criteria::new(metadata(asked)), |candidates| match candidates {
                Candidates::Single(host) => Some(vec![host]),
                Candidates::Hosts(hosts) => {
                    Some(hosts.levels().concat()).filter(|all| !all.is_empty())
                }
            });
        assert_eq!(found.unwrap_or_default(), expected);
    }

    const HOSTS: [&[(&str, &str)]; 3] =
        [&[("v", "1"), ("s", "prod")], &[("v", "2"), ("s", "prod")], &[("v", "1")]];

    #[test]
    fn without_selectors_there_are_no_subsets() {
        check(&SubsetConfig::default(), &HOSTS, &[("v", "1")], &[0, 1, 2]);
    }

    #[test]
    fn a_shorter_selector_behind_a_longer_one_loses_its_policy() {
        let any = || Some(SelectorFallback::AnyEndpoint);
        let (long, short) = (selector(&["s", "v"], None), selector(&["s"], any()));
        let first = SubsetConfig {
            selectors: vec![short.clone(), long.clone()],
            ..SubsetConfig::default()
        };
        check(&first, &HOSTS, &[("s", "none")], &[0, 1, 2]);
        let last = SubsetConfig { selectors: vec![long, short], ..SubsetConfig::default() };
        check(&last, &HOSTS, &[("s", "none")], &[]);
    }

    #[test]
    fn a_missing_or_an_extra_key_finds_nothing() {
        let config = SubsetConfig {
            selectors: vec![selector(&["s", "v"], None)],
            ..SubsetConfig::default()
        };
        check(&config, &HOSTS, &[("v", "1"), ("s", "prod")], &[0]);
        check(&config, &HOSTS, &[("v", "1")], &[]);
        check(&config, &HOSTS, &[("v", "1"), ("s", "prod"), ("x", "y")], &[]);
    }

    #[test]
    fn two_selectors_of_the_same_keys_bring_a_host_once() {
        let selectors = vec![selector(&["v"], None), selector(&["v"], None)];
        let config = SubsetConfig { selectors, ..SubsetConfig::default() };
        check(&config, &HOSTS, &[("v", "1")], &[0, 2]);
    }
}
