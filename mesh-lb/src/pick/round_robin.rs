//! Round robin over hosts of equal weight; hosts of different weight go through
//! [`Edf`](super::edf::Edf) with their weight.
use std::sync::atomic::{AtomicU64, Ordering};

use crate::number::index;

/// The place where one list of hosts has got to. It survives changes of the list. On cache lines of
/// its own: it changes at each pick.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct RoundRobin {
    next: AtomicU64,
}

impl RoundRobin {
    /// Starts at the balancer's seed.
    pub const fn new(seed: u64) -> Self {
        Self { next: AtomicU64::new(seed) }
    }

    /// Returns the next of `hosts` hosts, none if there are none.
    ///
    /// # Upstream
    ///
    /// Envoy `source/extensions/load_balancing_policies/round_robin/round_robin_lb.h`,
    /// `RoundRobinLoadBalancer::unweightedHostPick`.
    pub fn pick(&self, hosts: usize) -> Option<usize> {
        if hosts == 0 {
            return None;
        }
        index(self.turn(), hosts)
    }

    /// Takes the next number, whatever the number of hosts.
    #[inline]
    pub(crate) fn turn(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(seed: u64, hosts: &[usize], expected: &[Option<usize>]) {
        let round_robin = RoundRobin::new(seed);
        let picks: Vec<_> = hosts.iter().map(|&hosts| round_robin.pick(hosts)).collect();
        assert_eq!(picks, expected);
    }

    #[test]
    fn the_place_survives_a_change_of_the_list() {
        check(0, &[3, 3, 4, 4], &[Some(0), Some(1), Some(2), Some(3)]);
    }

    #[test]
    fn an_empty_list_does_not_move_the_place() {
        check(1, &[0, 3], &[None, Some(1)]);
    }

    #[test]
    fn the_place_wraps() {
        check(u64::MAX, &[3, 3], &[Some(0), Some(0)]);
    }
}
