//! How much of its traffic a priority can carry.
//!
//! A priority is taken to carry its whole share as long as `100 / factor` of its hosts are healthy:
//! with the default of 140, 72 of 100.
use std::fmt;
use std::num::NonZeroU32;

/// A whole percentage, 0 to 100.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Percent(
    // INVARIANT: at most 100.
    u32,
);

impl Percent {
    /// Everything.
    pub const ALL: Self = Self(100);
    /// Nothing.
    pub const NONE: Self = Self(0);

    /// Returns `value` percent, or 100 percent if that is less.
    pub const fn saturating(value: u32) -> Self {
        Self(if value > 100 { 100 } else { value })
    }

    /// Returns the number of percent.
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", self.0)
    }
}

/// The overprovisioning factor of a priority, in percent: 140 by default, never 0.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Overprovisioning(NonZeroU32);

/// The overprovisioning factor is 0.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct InvalidOverprovisioning(());

impl fmt::Display for InvalidOverprovisioning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("overprovisioning factor must be greater than `0`")
    }
}

impl std::error::Error for InvalidOverprovisioning {}

impl Default for Overprovisioning {
    fn default() -> Self {
        const DEFAULT: NonZeroU32 = NonZeroU32::new(140).unwrap();
        Self(DEFAULT)
    }
}

impl Overprovisioning {
    /// Returns the factor of `percent`.
    ///
    /// # Errors
    ///
    /// `percent` is 0.
    pub fn new(percent: u32) -> Result<Self, InvalidOverprovisioning> {
        NonZeroU32::new(percent).map(Self).ok_or(InvalidOverprovisioning(()))
    }

    /// Returns the factor in percent.
    pub const fn get(self) -> u32 {
        self.0.get()
    }

    /// Returns what `part` of `total` hosts (or weights) can carry: `factor × part / total`,
    /// truncated, at most 100. A total of 0 carries nothing.
    #[inline]
    pub fn capacity(self, part: u64, total: u64) -> Percent {
        if part == 0 || total == 0 {
            return Percent::NONE;
        }
        // Counts fit in 32 bits and take the cheap division, if any; only sums of weights can be
        // larger.
        let capacity = match (u32::try_from(part), u32::try_from(total)) {
            (Ok(part), Ok(total)) => {
                let wanted = u64::from(self.get()) * u64::from(part);
                if wanted >= 100 * u64::from(total) {
                    return Percent::ALL;
                }
                match u32::try_from(wanted) {
                    Ok(wanted) => u128::from(wanted.checked_div(total).unwrap_or(0)),
                    Err(_) => u128::from(wanted.checked_div(total.into()).unwrap_or(0)),
                }
            }
            _ => u128::from(self.get()) * u128::from(part) / u128::from(total),
        };
        Percent::saturating(u32::try_from(capacity).unwrap_or(u32::MAX))
    }
}

/// The hosts of one priority, counted by health.
///
/// `total` includes all four kinds. A host may be excluded and healthy at once, or excluded and
/// unhealthy. No combination is an error: counts that contradict each other act as if clamped.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct LevelHosts {
    /// All hosts.
    pub total: u32,
    /// The hosts that are healthy.
    pub healthy: u32,
    /// The hosts that are degraded.
    pub degraded: u32,
    /// The hosts that do not count in denominators: draining, or not yet checked.
    pub excluded: u32,
    /// The factor by which a priority is overprovisioned.
    pub overprovisioning: Overprovisioning,
    /// The same counts as sums of weights, if `weighted_priority_health` is on.
    pub weights: Option<HostWeights>,
}

/// The hosts of one priority, as sums of their weights.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct HostWeights {
    /// The weight of all hosts.
    pub total: u64,
    /// The weight of the healthy hosts.
    pub healthy: u64,
    /// The weight of the degraded hosts.
    pub degraded: u64,
    /// The weight of the excluded hosts.
    pub excluded: u64,
}

impl LevelHosts {
    /// Returns a priority of `total` hosts of which `healthy` are healthy and the others are not.
    pub fn healthy_of(healthy: u32, total: u32) -> Self {
        Self { total, healthy, ..Self::default() }
    }

    /// Returns the number of hosts that count: all but the excluded ones.
    pub const fn counted(&self) -> u32 {
        self.total.saturating_sub(self.excluded)
    }

    /// Returns what the healthy and the degraded hosts can carry, in this order.
    ///
    /// # Upstream
    ///
    /// Envoy `source/extensions/load_balancing_policies/common/load_balancer_impl.cc`,
    /// `LoadBalancerBase::recalculatePerPriorityState`.
    #[inline]
    /// Whether the priority can be given any load. Of many hosts a few healthy ones round to none.
    pub fn is_available(&self) -> bool {
        let (healthy, degraded) = self.health();
        healthy.get() > 0 || degraded.get() > 0
    }

    pub(crate) fn health(&self) -> (Percent, Percent) {
        let (healthy, degraded, total) = self.measures();
        (
            self.overprovisioning.capacity(healthy, total),
            self.overprovisioning.capacity(degraded, total),
        )
    }

    /// Returns the healthy and degraded amounts and the total they are held against; all 0 if no
    /// host counts, even when weights are in play.
    #[inline]
    pub(crate) fn measures(&self) -> (u64, u64, u64) {
        match self.weights {
            _ if self.counted() == 0 => (0, 0, 0),
            None => (self.healthy.into(), self.degraded.into(), self.counted().into()),
            Some(weights) => {
                let total = weights.total.saturating_sub(weights.excluded);
                (weights.healthy, weights.degraded, total)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(hosts: LevelHosts, expected: (u32, u32)) {
        let (healthy, degraded) = hosts.health();
        assert_eq!((healthy.get(), degraded.get()), expected);
    }

    #[test]
    fn seventy_two_of_a_hundred_hosts_carry_everything_and_seventy_one_do_not() {
        check(LevelHosts::healthy_of(72, 100), (100, 0));
        check(LevelHosts::healthy_of(71, 100), (99, 0));
    }

    #[test]
    fn draining_hosts_leave_the_denominator() {
        check(LevelHosts { excluded: 2, ..LevelHosts::healthy_of(2, 6) }, (70, 0));
        check(LevelHosts { excluded: 6, ..LevelHosts::healthy_of(2, 6) }, (0, 0));
    }

    #[test]
    fn contradicting_counts_are_clamped() {
        check(LevelHosts { excluded: 9, degraded: 7, ..LevelHosts::healthy_of(9, 6) }, (0, 0));
        check(LevelHosts { degraded: 7, ..LevelHosts::healthy_of(u32::MAX, 1) }, (100, 100));
    }

    #[test]
    fn weights_replace_counts_but_not_emptiness() {
        let weights = HostWeights { total: 10, healthy: 5, degraded: 1, excluded: 0 };
        let hosts = LevelHosts { weights: Some(weights), ..LevelHosts::healthy_of(1, 4) };
        check(hosts, (70, 14));
        check(LevelHosts { total: 0, ..hosts }, (0, 0));
    }

    #[test]
    fn weights_beyond_32_bits_do_not_overflow() {
        let weights = HostWeights { total: u64::MAX, healthy: u64::MAX, ..HostWeights::default() };
        check(LevelHosts { weights: Some(weights), ..LevelHosts::healthy_of(1, 1) }, (100, 0));
    }
}
