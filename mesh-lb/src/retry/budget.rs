//! The retry budget: retries as a share of what is in flight.
use crate::number::{double, truncated_wide};

/// How many retries a cluster may have at once, relative to its requests.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RetryBudget {
    /// The share of active and pending requests, in percent: 20 by default.
    pub budget_percent: f64,
    /// How many retries there may always be: 3 by default.
    pub min_retry_concurrency: u32,
}

impl Default for RetryBudget {
    fn default() -> Self {
        Self { budget_percent: 20.0, min_retry_concurrency: 3 }
    }
}

impl RetryBudget {
    /// Returns how many retries there may be at once with so many requests in flight: the share,
    /// truncated, but at least the minimum.
    ///
    /// # Upstream
    ///
    /// Envoy `source/common/upstream/resource_manager_impl.h`,
    /// `ResourceManagerImpl::RetryBudgetImpl::max`.
    pub fn max(&self, requests: u64) -> u64 {
        let share = truncated_wide(self.budget_percent / 100.0 * double(requests));
        share.max(self.min_retry_concurrency.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(percent: f64, requests: u64, expected: u64) {
        let budget = RetryBudget { budget_percent: percent, ..RetryBudget::default() };
        assert_eq!(budget.max(requests), expected);
    }

    #[test]
    fn the_share_is_truncated_and_has_a_floor() {
        check(20.0, 104, 20);
        check(20.0, 4, 3);
        check(f64::NAN, 100, 3);
        check(-5.0, 100, 3);
    }
}
