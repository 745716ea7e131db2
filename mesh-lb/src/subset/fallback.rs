//! What requests get that find no subset.
use std::collections::BTreeMap;

use super::metadata::Criteria;
use super::selector::Selector;

/// What requests get that find no subset, and no policy of a selector either.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "the protocol has these three")]
pub enum FallbackPolicy {
    /// No host.
    #[default]
    NoFallback,
    /// Any host.
    AnyEndpoint,
    /// A host of the default subset.
    DefaultSubset,
}

/// What requests get whose keys are those of a selector.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "the protocol has these four")]
pub enum SelectorFallback {
    /// No host.
    NoFallback,
    /// Any host.
    AnyEndpoint,
    /// A host of the default subset, even if the balancer has another policy.
    DefaultSubset,
    /// Another search, with these keys only.
    Keys(Vec<Box<str>>),
}

/// Whether requests may bring a list of criteria to try.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "the protocol has these two")]
pub enum MetadataFallbackPolicy {
    /// A key `fallback_list` is like any other.
    #[default]
    NoFallback,
    /// Each entry of the list `fallback_list` is merged over the other criteria in turn, until a
    /// host is found. The others alone are tried only if the list is empty.
    FallbackList,
}

/// The policies of selectors by their keys.
///
/// A selector whose keys, in order, begin the keys of an earlier one loses its policy, and so
/// does one that repeats the keys of an earlier one: upstream keeps policies in a tree of keys,
/// and writes one only where a new branch ends.
#[derive(Clone, Debug, Default)]
pub(super) struct SelectorPolicies(
    // INVARIANT: ascending by keys, each list of which stands once.
    Box<[Branch]>,
);

/// Keys that the tree knows, with the policy that ends there.
#[derive(Clone, Debug)]
struct Branch {
    keys: Vec<Box<str>>,
    policy: Option<SelectorFallback>,
}

impl SelectorPolicies {
    /// # Upstream
    ///
    /// Envoy `source/extensions/load_balancing_policies/subset/subset_lb.cc`,
    /// `SubsetLoadBalancer::initSubsetSelectorMap`.
    pub(super) fn new<'s>(selectors: impl IntoIterator<Item = &'s Selector>) -> Self {
        let mut policies = BTreeMap::new();
        for selector in selectors {
            let mut path = Vec::new();
            for (index, key) in selector.keys().iter().enumerate() {
                path.push(key.clone());
                let is_last = index + 1 == selector.keys().len();
                policies
                    .entry(path.clone())
                    .or_insert_with(|| if is_last { selector.fallback().cloned() } else { None });
            }
        }
        Self(policies.into_iter().map(|(keys, policy)| Branch { keys, policy }).collect())
    }

    /// Returns the policy for criteria with exactly these keys.
    pub(super) fn of(&self, criteria: &Criteria) -> Option<&SelectorFallback> {
        let keys = |branch: &Branch| branch.keys.iter().map(|key| &**key).cmp(criteria.keys());
        self.0.get(self.0.binary_search_by(keys).ok()?)?.policy.as_ref()
    }

    /// Returns the policies that there are.
    pub(super) fn all(&self) -> impl Iterator<Item = &SelectorFallback> {
        self.0.iter().filter_map(|branch| branch.policy.as_ref())
    }
}
