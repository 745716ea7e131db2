//! Among whom: Envoy's subset balancer.
//!
//! ```text
//! hosts' metadata ──selectors──▶ subsets ◀──criteria── request
//!                                   └─ none: fallback of the selector, then of the balancer
//! ```
//!
//! This is not the subset of a `DestinationRule`, which is a cluster of its own: it is
//! `lb_subset_config` inside one cluster. [`SubsetBalancer`](crate::SubsetBalancer) picks by it.
mod fallback;
mod index;
mod metadata;
mod selector;

pub use self::fallback::{FallbackPolicy, MetadataFallbackPolicy, SelectorFallback};
pub use self::index::{Candidates, MAX_PRIORITY, SubsetHost, SubsetHosts, Subsets};
pub use self::metadata::{Criteria, MetadataValue};
pub use self::selector::{
    InvalidSelector, Selector, SubsetConfig, SubsetLocalityWeights, scaled_locality_weight,
};
