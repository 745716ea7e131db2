//! Which subsets there are.
use std::collections::BTreeMap;
use std::fmt;

use super::fallback::{FallbackPolicy, MetadataFallbackPolicy, SelectorFallback};
use super::metadata::MetadataValue;

/// The configuration of the subset balancer. Without selectors there are no subsets, and nothing
/// else here matters.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SubsetConfig {
    /// The keys by which subsets are built.
    pub selectors: Vec<Selector>,
    /// What requests get that find no subset.
    pub fallback_policy: FallbackPolicy,
    /// What the hosts of the default subset have; nothing matches every host.
    pub default_subset: BTreeMap<Box<str>, MetadataValue>,
    /// Whether a host with a list counts as having each of its elements.
    pub list_as_any: bool,
    /// Whether requests that the fallback leaves without host get any host; of no effect without
    /// a fallback.
    pub panic_mode_any: bool,
    /// Whether requests may bring a list of criteria to try.
    pub metadata_fallback_policy: MetadataFallbackPolicy,
    /// Whether criteria may name more keys than a selector, the longest selector first.
    pub allow_redundant_keys: bool,
}

/// A set of keys: hosts that have them all are in the subset of their values.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Selector {
    // INVARIANT: ascending, without repetition.
    keys: Vec<Box<str>>,
    // INVARIANT: the keys of `SelectorFallback::Keys` are a true, non-empty part of `keys`.
    fallback: Option<SelectorFallback>,
    single_host_per_subset: bool,
}

/// The keys that a selector falls back to do not fit its own.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct InvalidSelector {
    kind: Kind,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Kind {
    Empty,
    Foreign { key: Box<str> },
    Equal,
}

impl fmt::Display for InvalidSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Empty => f.write_str("fallback keys of a selector are empty"),
            Kind::Foreign { key } => {
                write!(f, "fallback key `{key}` of a selector is not among its keys")
            }
            Kind::Equal => f.write_str("fallback keys of a selector are all of its keys"),
        }
    }
}

impl std::error::Error for InvalidSelector {}

fn as_set(mut keys: Vec<Box<str>>) -> Vec<Box<str>> {
    keys.sort_unstable();
    keys.dedup();
    keys
}

impl Selector {
    /// Returns a selector; `None` as `fallback` leaves it to the balancer. Without keys it builds
    /// no subset.
    ///
    /// # Errors
    ///
    /// The fallback is to some of its keys, and these are none, or not its own, or all of them.
    ///
    /// # Upstream
    ///
    /// Envoy `source/extensions/load_balancing_policies/subset/subset_lb_config.cc`,
    /// `SubsetSelector`.
    pub fn new(
        keys: Vec<Box<str>>,
        fallback: Option<SelectorFallback>,
    ) -> Result<Self, InvalidSelector> {
        let keys = as_set(keys);
        let fallback = match fallback {
            Some(SelectorFallback::Keys(wanted)) => {
                Some(SelectorFallback::Keys(checked(as_set(wanted), &keys)?))
            }
            other => other,
        };
        Ok(Self { keys, fallback, single_host_per_subset: false })
    }

    /// Keeps one host of each subset and priority: the first.
    #[must_use]
    pub fn single_host_per_subset(self) -> Self {
        Self { single_host_per_subset: true, ..self }
    }

    /// Returns the keys, ascending, each once.
    pub fn keys(&self) -> &[Box<str>] {
        &self.keys
    }

    /// Returns what requests get whose keys these are and whose values no host has; `None` leaves it to
    /// the balancer.
    pub const fn fallback(&self) -> Option<&SelectorFallback> {
        self.fallback.as_ref()
    }

    pub(super) const fn is_single_host(&self) -> bool {
        self.single_host_per_subset
    }
}

fn checked(wanted: Vec<Box<str>>, keys: &[Box<str>]) -> Result<Vec<Box<str>>, InvalidSelector> {
    let foreign = wanted.iter().find(|key| keys.binary_search(key).is_err());
    let kind = match foreign {
        _ if wanted.is_empty() => Kind::Empty,
        Some(key) => Kind::Foreign { key: key.clone() },
        None if wanted.len() == keys.len() => Kind::Equal,
        None => return Ok(wanted),
    };
    Err(InvalidSelector { kind })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(keys: &[&str], fallback: &[&str], expected: Result<(), &str>) {
        let boxed = |keys: &[&str]| keys.iter().map(|&key| key.into()).collect();
        let fallback = SelectorFallback::Keys(boxed(fallback));
        let got = Selector::new(boxed(keys), Some(fallback));
        let got = got.map(|_| ()).map_err(|error| error.to_string());
        assert_eq!(got, expected.map_err(str::to_owned));
    }

    #[test]
    fn fallback_keys_are_a_true_part_of_the_keys() {
        check(&["a", "b"], &["b", "b"], Ok(()));
        check(&["a", "b"], &[], Err("fallback keys of a selector are empty"));
        check(&["a", "b"], &["c"], Err("fallback key `c` of a selector is not among its keys"));
        check(&["a", "b"], &["b", "a"], Err("fallback keys of a selector are all of its keys"));
    }
}
