//! Panic: when too few hosts are left to trust health.
//!
//! A priority in panic sends to all its hosts, healthy or not. If every priority is in panic, the
//! shares of the priorities follow their numbers of hosts.
use super::overprovision::{LevelHosts, Percent};
use super::priority::LevelLoad;

/// The share of available hosts below which a priority panics: 50 percent unless said otherwise.
///
/// 0 turns panic off; Istio's clusters carry 0 unless `minHealthPercent` says otherwise.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct PanicThreshold(Percent);

impl Default for PanicThreshold {
    fn default() -> Self {
        Self(Percent::saturating(50))
    }
}

impl PanicThreshold {
    /// No priority ever panics.
    pub const OFF: Self = Self(Percent::NONE);

    /// Returns a threshold of `percent`; values above 100 act as 100.
    pub const fn new(percent: u32) -> Self {
        Self(Percent::saturating(percent))
    }

    /// Returns the threshold that a fractional configuration value stands for: its whole part, at
    /// most 100. Negative values and NaN act as 0.
    ///
    /// # Upstream
    ///
    /// Envoy truncates `healthy_panic_threshold`: 71.9 acts as 71.
    pub fn from_fraction(percent: f64) -> Self {
        let whole = (1..=100).rev().find(|&whole| percent >= f64::from(whole));
        Self(Percent::saturating(whole.unwrap_or(0)))
    }

    /// Returns the threshold in percent; 0 means that panic is off.
    pub const fn get(self) -> u32 {
        self.0.get()
    }

    /// Returns whether too few of the hosts are available. Hosts count, never their weights; a
    /// priority that is exactly at the threshold is not in panic, one without hosts is.
    ///
    /// # Upstream
    ///
    /// Envoy `source/extensions/load_balancing_policies/common/load_balancer_impl.cc`,
    /// `LoadBalancerBase::isHostSetInPanic`.
    pub fn is_panic(self, hosts: &LevelHosts) -> bool {
        if hosts.counted() == 0 {
            return self.get() > 0;
        }
        if hosts.degraded == 0 {
            // A single quotient: whole numbers of this size decide as its double would.
            return 100 * u64::from(hosts.healthy)
                < u64::from(self.get()) * u64::from(hosts.counted());
        }
        available_percent(hosts) < f64::from(self.get())
    }
}

/// Returns the percentage of hosts that are healthy or degraded, as the panic test computes it:
/// two quotients, added.
pub(super) fn available_percent(hosts: &LevelHosts) -> f64 {
    let counted = f64::from(hosts.counted());
    if hosts.counted() == 0 {
        return 0.0;
    }
    let share = |part: u32| if part == 0 { 0.0 } else { 100.0 * f64::from(part) / counted };
    share(hosts.healthy) + share(hosts.degraded)
}

/// Replaces the loads by shares of the number of hosts, excluded ones included. What truncation
/// leaves over goes to the first priority with hosts; without any host the first priority gets all.
///
/// # Upstream
///
/// Envoy `source/extensions/load_balancing_policies/common/load_balancer_impl.cc`,
/// `LoadBalancerBase::recalculateLoadInTotalPanic`.
pub(super) fn distribute_by_hosts(hosts: &[LevelHosts], loads: &mut [LevelLoad]) {
    let total: u64 = hosts.iter().map(|level| u64::from(level.total)).sum();
    let mut left = 100;
    // Priorities are often of one size, and a division takes longer than all else.
    let mut known = (0, Percent::NONE);
    for (level, load) in hosts.iter().zip(&mut *loads) {
        if level.total != known.0 {
            known = (level.total, percent_of(level.total, total));
        }
        load.healthy_load = known.1;
        load.degraded_load = Percent::NONE;
        left -= load.healthy_load.get();
    }
    let first = hosts.iter().position(|level| level.total > 0).unwrap_or(0);
    if let Some(load) = loads.get_mut(first) {
        load.healthy_load = Percent::saturating(load.healthy_load.get() + left);
    }
}

/// `part` as a truncated percentage of `total`; none of a total of 0.
fn percent_of(part: u32, total: u64) -> Percent {
    // Numbers of this size take the cheap division.
    let share = match (part.checked_mul(100), u32::try_from(total)) {
        (Some(part), Ok(total)) => part.checked_div(total).unwrap_or(0),
        _ => {
            let share = (100 * u64::from(part)).checked_div(total).unwrap_or(0);
            u32::try_from(share).unwrap_or(100)
        }
    };
    Percent::saturating(share)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(threshold: u32, hosts: LevelHosts, expected: bool) {
        assert_eq!(PanicThreshold::new(threshold).is_panic(&hosts), expected);
    }

    #[test]
    fn half_the_hosts_at_a_threshold_of_half_is_not_panic() {
        check(50, LevelHosts::healthy_of(1, 2), false);
        check(51, LevelHosts::healthy_of(1, 2), true);
    }

    #[test]
    fn degraded_hosts_are_available() {
        check(50, LevelHosts { degraded: 1, ..LevelHosts::healthy_of(1, 4) }, false);
    }

    #[test]
    fn an_empty_priority_panics_unless_panic_is_off() {
        check(1, LevelHosts::default(), true);
        check(0, LevelHosts::default(), false);
    }

    #[test]
    fn a_fractional_threshold_loses_its_fraction() {
        for (percent, expected) in [(71.9, 71), (0.9, 0), (250.0, 100), (-1.0, 0), (f64::NAN, 0)] {
            assert_eq!(PanicThreshold::from_fraction(percent).get(), expected);
        }
    }
}
