//! Which subsets there are.
use std::collections::BTreeMap;
use std::fmt;

use super::fallback::{FallbackPolicy, MetadataFallbackPolicy, SelectorFallback};
use super::metadata::MetadataValue;
use crate::number::{single, truncated};

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
    /// What localities weigh inside a subset.
    pub locality_weights: SubsetLocalityWeights,
}

/// What localities weigh inside a subset: `locality_weight_aware`, and with it `scale_locality_weight`.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "two settings of the protocol, one of which needs the other"
)]
pub enum SubsetLocalityWeights {
    /// Nothing: hosts of all localities are alike.
    #[default]
    None,
    /// As much as in the cluster, however few of their hosts are in the subset.
    Whole,
    /// Their [part](super::scaled_locality_weight) of that.
    Scaled,
}

impl SubsetLocalityWeights {
    /// Returns the weight of a locality in a subset; none if it has none.
    ///
    /// # Upstream
    ///
    /// Envoy `source/extensions/load_balancing_policies/subset/subset_lb.cc`,
    /// `SubsetLoadBalancer::HostSubsetImpl::determineLocalityWeights`.
    pub fn of(self, weight: Option<u32>, original_hosts: u32, subset_hosts: u32) -> Option<u32> {
        match self {
            Self::None => None,
            Self::Whole => weight,
            Self::Scaled => {
                weight.map(|weight| scaled_locality_weight(weight, original_hosts, subset_hosts))
            }
        }
    }
}

/// Returns the weight of a locality in a subset that has `subset_hosts` of its hosts: its part,
/// in single precision, rounded half away from zero; 0 for a locality without hosts.
///
/// Only for subsets that are aware of locality weights and scale them; others that are aware keep
/// the weight, and all others have none.
///
/// # Upstream
///
/// Envoy `source/extensions/load_balancing_policies/subset/subset_lb.cc`,
/// `SubsetLoadBalancer::HostSubsetImpl::determineLocalityWeights`.
pub fn scaled_locality_weight(weight: u32, original_hosts: u32, subset_hosts: u32) -> u32 {
    if original_hosts == 0 {
        return 0;
    }
    let product = single(u64::from(weight) * u64::from(subset_hosts));
    truncated(f64::from((product / single(original_hosts.into())).round()))
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
    fn a_locality_weight_is_scaled_and_rounded_half_up() {
        assert_eq!(scaled_locality_weight(50, 4, 1), 13);
        assert_eq!(scaled_locality_weight(50, 2, 2), 50);
        assert_eq!(scaled_locality_weight(50, 0, 0), 0);
    }

    #[test]
    fn weights_of_localities_count_in_subsets_that_are_aware_of_them() {
        use SubsetLocalityWeights::{None as Unaware, Scaled, Whole};
        let of = |aware: SubsetLocalityWeights| aware.of(Some(50), 4, 1);
        assert_eq!([Unaware, Whole, Scaled].map(of), [None, Some(50), Some(13)]);
        assert_eq!([Unaware, Whole, Scaled].map(|aware| aware.of(None, 4, 1)), [None; 3]);
    }

    #[test]
    fn fallback_keys_are_a_true_part_of_the_keys() {
        check(&["a", "b"], &["b", "b"], Ok(()));
        check(&["a", "b"], &[], Err("fallback keys of a selector are empty"));
        check(&["a", "b"], &["c"], Err("fallback key `c` of a selector is not among its keys"));
        check(&["a", "b"], &["b", "a"], Err("fallback keys of a selector are all of its keys"));
    }
}
