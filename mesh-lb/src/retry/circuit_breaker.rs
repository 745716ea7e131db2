//! Circuit breakers: how much one cluster may have in flight, by routing priority.
//!
//! A resource can be taken while what is in use is less than its limit.
use super::budget::RetryBudget;

/// The importance of a route; each has limits of its own.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[expect(clippy::exhaustive_enums, reason = "the protocol has these two")]
pub enum RoutingPriority {
    /// What routes have unless they say otherwise.
    #[default]
    Default,
    /// More important.
    High,
}

/// The limits of one routing priority, as configured: absent ones have their defaults.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Thresholds {
    /// The routing priority.
    pub priority: RoutingPriority,
    /// The limit of connections; 1,024 by default.
    pub max_connections: Option<u32>,
    /// The limit of requests that wait for a connection; 1,024 by default.
    pub max_pending_requests: Option<u32>,
    /// The limit of requests; 1,024 by default.
    pub max_requests: Option<u32>,
    /// The limit of retries; 3 by default. Not used if there is a budget.
    pub max_retries: Option<u32>,
    /// The limit of connection pools; none by default.
    pub max_connection_pools: Option<u32>,
    /// What replaces the limit of retries, if set.
    pub retry_budget: Option<RetryBudget>,
    /// Whether what remains of each limit is published; of no effect here.
    pub track_remaining: bool,
}

/// What each host of a cluster may have of one routing priority, as configured.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct PerHostThresholds {
    /// The routing priority.
    pub priority: RoutingPriority,
    /// The limit of connections; none by default. The protocol knows no other limit of a host.
    pub max_connections: Option<u32>,
}

impl PerHostThresholds {
    /// Returns the limit of connections of a host: that of the first entry for a priority, none if there
    /// is no limit.
    ///
    /// # Upstream
    ///
    /// Envoy `source/common/upstream/upstream_impl.cc`, `ClusterInfoImpl::ResourceManagers::load`.
    pub fn in_force(thresholds: &[Self], priority: RoutingPriority) -> Option<u32> {
        thresholds.iter().find(|entry| entry.priority == priority)?.max_connections
    }
}

/// The limits in force.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// The limit of connections. A host without any connection may always have one.
    pub max_connections: u32,
    /// The limit of requests that wait for a connection.
    pub max_pending_requests: u32,
    /// The limit of requests.
    pub max_requests: u32,
    /// The limit of retries, or what computes it.
    pub retries: RetryLimit,
    /// The limit of connection pools; none if there is no limit.
    pub max_connection_pools: Option<u32>,
    /// Whether what remains of each limit is published.
    pub track_remaining: bool,
}

/// What limits retries.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a budget replaces the number")]
pub enum RetryLimit {
    /// A number.
    Max(u32),
    /// A share of the requests in flight.
    Budget(RetryBudget),
}

impl Default for Limits {
    fn default() -> Self {
        Self::in_force(&[], RoutingPriority::Default)
    }
}

impl Limits {
    /// Returns the limits of a routing priority: those of the first entry for it, and the defaults
    /// if there is none.
    ///
    /// # Upstream
    ///
    /// Envoy `source/common/upstream/upstream_impl.cc`, `ClusterInfoImpl::ResourceManagers::load`.
    pub fn in_force(thresholds: &[Thresholds], priority: RoutingPriority) -> Self {
        let found = thresholds.iter().find(|thresholds| thresholds.priority == priority);
        let found = found.copied().unwrap_or_default();
        Self {
            max_connections: found.max_connections.unwrap_or(1024),
            max_pending_requests: found.max_pending_requests.unwrap_or(1024),
            max_requests: found.max_requests.unwrap_or(1024),
            retries: match found.retry_budget {
                Some(budget) => RetryLimit::Budget(budget),
                None => RetryLimit::Max(found.max_retries.unwrap_or(3)),
            },
            max_connection_pools: found.max_connection_pools,
            track_remaining: found.track_remaining,
        }
    }
}

impl RetryLimit {
    /// Returns how many retries there may be at once while so many requests are active or pending.
    ///
    /// # Upstream
    ///
    /// Envoy `source/common/upstream/resource_manager_impl.h`,
    /// `ResourceManagerImpl::RetryBudgetImpl::max`.
    pub fn max(self, active_requests: u64, pending_requests: u64) -> u64 {
        match self {
            Self::Max(max) => max.into(),
            Self::Budget(budget) => budget.max(active_requests.saturating_add(pending_requests)),
        }
    }
}

/// Returns whether one more of a resource can be taken.
pub const fn can_create(in_use: u64, limit: u64) -> bool {
    in_use < limit
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(thresholds: &[(RoutingPriority, u32)], query: RoutingPriority, expected: u32) {
        let thresholds: Vec<Thresholds> = thresholds
            .iter()
            .map(|&(priority, max)| Thresholds {
                priority,
                max_requests: Some(max),
                ..Thresholds::default()
            })
            .collect();
        assert_eq!(Limits::in_force(&thresholds, query).max_requests, expected);
    }

    #[test]
    fn the_first_entry_of_a_priority_wins() {
        use RoutingPriority::{Default, High};
        check(&[(High, 5), (Default, 7), (Default, 9)], Default, 7);
        check(&[(High, 5)], Default, 1024);
    }

    #[test]
    fn a_limit_of_nothing_admits_nothing() {
        assert!(!can_create(0, 0));
        assert!(can_create(2, 3));
        assert!(!can_create(3, 3));
    }
}
