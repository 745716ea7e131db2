//! Bounded load: a hash balancer that passes over hosts with more than their share of requests.
use super::mt19937::Mt19937;
use super::weight::NormalizedWeights;
use crate::number::{double, truncated};

/// How much more than its share a host may carry, in percent: at least 100.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct HashBalanceFactor(
    // INVARIANT: at least 100.
    u32,
);

/// The requests in flight of the whole cluster and what follows for each host.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Slots {
    total: u32,
}

impl HashBalanceFactor {
    /// Returns a factor; none below 100, when load is not bounded.
    pub const fn new(percent: u32) -> Option<Self> {
        if percent < 100 { None } else { Some(Self(percent)) }
    }

    /// Returns the slots that a cluster with `active` requests in flight has for them and one
    /// more. The arithmetic is that of 32 bits and wraps, as upstream.
    pub const fn slots(self, active: u32) -> Slots {
        Slots { total: active.wrapping_add(1).wrapping_mul(self.0).wrapping_add(99) / 100 }
    }
}

impl Slots {
    /// Returns the slots of the whole cluster.
    pub const fn total(self) -> u32 {
        self.total
    }

    /// Returns the slots of a host with this share of the cluster: at least one.
    pub fn of(self, weight: f64) -> u32 {
        truncated((double(self.total.into()) * weight).ceil()).max(1)
    }

    /// Returns the part of its slots that a host has in use. Up to 1 it may have another request,
    /// so it can get one more than it has slots.
    ///
    /// # Upstream
    ///
    /// Envoy `source/extensions/load_balancing_policies/common/thread_aware_lb_impl.cc`,
    /// `ThreadAwareLoadBalancerBase::BoundedLoadHashingLoadBalancer::hostOverloadFactor`.
    pub fn overload(self, weight: f64, active: u64) -> f64 {
        double(active) / f64::from(self.of(weight))
    }

    /// Returns the host for a request with this hash, of which the ring or table said `base`.
    ///
    /// An overloaded host is replaced by the first one that is not, in an order that depends on
    /// the low 32 bits of the hash only; if all are overloaded, by the one that is least so.
    /// `scratch` is overwritten; its length is the number of hosts, and as many of them as it is
    /// shorter are not found.
    ///
    /// # Upstream
    ///
    /// Envoy `source/extensions/load_balancing_policies/common/thread_aware_lb_impl.cc`,
    /// `ThreadAwareLoadBalancerBase::BoundedLoadHashingLoadBalancer::chooseHost`.
    pub fn pick(
        self,
        base: u32,
        hash: u64,
        weights: &NormalizedWeights,
        active: impl Fn(u32) -> u64,
        scratch: &mut [u32],
    ) -> u32 {
        let mut least = self.overload(weights.of(base), active(base));
        if least <= 1.0 {
            return base;
        }
        for (place, number) in (0..).zip(scratch.iter_mut()) {
            *number = place;
        }
        let mut rest = scratch;
        let mut random = Mt19937::new(u32::try_from(hash & u64::from(u32::MAX)).unwrap_or(0));
        let mut best = base;
        while let Some(position) = draw(&mut rest, &mut random) {
            let position = usize::try_from(position).ok();
            let Some(&(host, weight)) = position.and_then(|at| weights.hosts().get(at)) else {
                return best;
            };
            if host == base {
                continue;
            }
            let overload = self.overload(weight, active(host));
            if overload <= 1.0 {
                return host;
            }
            if overload < least {
                (best, least) = (host, overload);
            }
        }
        best
    }
}

/// Takes one of `rest` at random: a step of a shuffle that is only as long as it must be.
fn draw(rest: &mut &mut [u32], random: &mut Mt19937) -> Option<u32> {
    let length = u32::try_from(rest.len()).ok().filter(|&length| length > 0)?;
    let chosen = usize::try_from(uniform(random, length)).ok()?;
    rest.swap(0, chosen);
    let (first, others) = std::mem::take(rest).split_first_mut()?;
    *rest = others;
    Some(*first)
}

/// Returns a number below `limit`, which is not 0.
fn uniform(random: &mut Mt19937, limit: u32) -> u32 {
    let width = (1_u64 << 32).checked_div(limit.into()).unwrap_or(1);
    loop {
        let drawn = u64::from(random.draw()).checked_div(width).unwrap_or(0);
        if let Some(drawn) = u32::try_from(drawn).ok().filter(|&drawn| drawn < limit) {
            return drawn;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(active: &[u64], hash: u64, base: u32, expected: u32) {
        let weights = NormalizedWeights::flat(&vec![1; active.len()]);
        let total = u32::try_from(active.iter().sum::<u64>()).unwrap();
        let slots = HashBalanceFactor::new(100).unwrap().slots(total);
        let active = |host: u32| active[host as usize];
        assert_eq!(
            slots.pick(base, hash, &weights, active, &mut vec![0; weights.hosts().len()]),
            expected
        );
    }

    #[test]
    fn a_host_with_a_free_slot_keeps_its_requests() {
        check(&[1, 1, 1], 7, 2, 2);
    }

    #[test]
    fn the_only_host_that_is_not_overloaded_is_found_for_every_hash() {
        for hash in 0..50 {
            check(&[90, 0, 90, 90], hash, 2, 1);
        }
    }

    #[test]
    fn a_single_host_takes_everything() {
        let weights = NormalizedWeights::flat(&[1]);
        let slots = HashBalanceFactor::new(150).unwrap().slots(0);
        assert_eq!(slots.pick(0, 7, &weights, |_| 99, &mut [0]), 0);
    }

    #[test]
    fn load_is_bounded_from_one_hundred_percent() {
        assert_eq!(HashBalanceFactor::new(99), None);
        assert_eq!(HashBalanceFactor::new(100).map(|factor| factor.slots(9).total()), Some(10));
    }
}
