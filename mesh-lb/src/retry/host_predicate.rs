//! Which hosts a retry rejects.
//!
//! A pick is repeated while a predicate rejects its host, a limited number of times; the host of
//! the last pick is used even if it is rejected.

/// How often a pick is repeated at most: 1 by default.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct HostSelection {
    /// `host_selection_retry_max_attempts`.
    pub max_attempts: u32,
}

impl Default for HostSelection {
    fn default() -> Self {
        Self { max_attempts: 1 }
    }
}

/// One reason to reject a host.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum HostPredicate<'a> {
    /// The host was attempted already.
    PreviousHosts {
        /// The hosts that were.
        attempted: &'a [u32],
    },
    /// The host is a canary.
    OmitCanaryHosts {
        /// The canaries, ascending.
        canaries: &'a [u32],
    },
    /// The host's metadata has everything that is to be omitted.
    OmitHostMetadata {
        /// The hosts whose metadata has, ascending.
        matching: &'a [u32],
    },
}

impl HostPredicate<'_> {
    /// Returns whether a host is to be passed over.
    ///
    /// # Upstream
    ///
    /// Envoy `source/extensions/retry/host/{previous_hosts,omit_canary_hosts,omit_host_metadata}`,
    /// `shouldSelectAnotherHost`.
    pub fn rejects(&self, host: u32) -> bool {
        match self {
            Self::PreviousHosts { attempted } => attempted.contains(&host),
            Self::OmitCanaryHosts { canaries: hosts }
            | Self::OmitHostMetadata { matching: hosts } => hosts.binary_search(&host).is_ok(),
        }
    }
}

impl HostSelection {
    /// Picks until no predicate rejects the host; `pick` gets the number of the attempt, from 0. A
    /// pick without host ends it.
    ///
    /// # Upstream
    ///
    /// Envoy `source/extensions/load_balancing_policies/common/load_balancer_impl.cc`,
    /// `ZoneAwareLoadBalancerBase::chooseHost`.
    pub fn pick(
        self,
        predicates: &[HostPredicate<'_>],
        mut pick: impl FnMut(u32) -> Option<u32>,
    ) -> Option<u32> {
        let mut host = pick(0)?;
        for attempt in 1..=self.max_attempts {
            if !predicates.iter().any(|predicate| predicate.rejects(host)) {
                break;
            }
            host = pick(attempt)?;
        }
        Some(host)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(attempted: &[u32], max_attempts: u32, picks: &[Option<u32>], expected: Option<u32>) {
        let predicates = [HostPredicate::PreviousHosts { attempted }];
        let pick = |attempt: u32| picks[attempt as usize];
        assert_eq!(HostSelection { max_attempts }.pick(&predicates, pick), expected);
    }

    #[test]
    fn the_last_pick_counts_even_if_it_is_rejected() {
        check(&[1], 2, &[Some(1), Some(1), Some(1)], Some(1));
        check(&[1], 2, &[Some(1), Some(2)], Some(2));
        check(&[1], 0, &[Some(1)], Some(1));
    }

    #[test]
    fn a_pick_without_host_ends_the_search() {
        check(&[1], 2, &[Some(1), None], None);
    }

    #[test]
    fn canaries_and_hosts_with_the_metadata_are_omitted() {
        assert!(HostPredicate::OmitCanaryHosts { canaries: &[3, 5] }.rejects(5));
        assert!(!HostPredicate::OmitHostMetadata { matching: &[3, 5] }.rejects(4));
    }
}
