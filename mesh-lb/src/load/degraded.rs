//! Healthy capacity first, degraded capacity only for what is left.
//!
//! The healthy hosts of **every** priority come before the degraded hosts of any.
use super::overprovision::Percent;
use super::priority::LevelLoad;

/// Which of a priority's hosts a request goes to.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[expect(clippy::exhaustive_enums, reason = "load is split in exactly two")]
pub enum Availability {
    /// The healthy ones.
    Healthy,
    /// The degraded ones.
    Degraded,
}

/// Distributes 100 percent over the health of `levels`; `available` is the sum of all health,
/// capped at 100, and not 0.
///
/// Each share is truncated. What that leaves over goes, as one lump, to the first priority with
/// health; if none has any, to the first with degraded health.
///
/// # Upstream
///
/// Envoy `source/extensions/load_balancing_policies/common/load_balancer_impl.cc`,
/// `distributeLoad`, and its two calls in `LoadBalancerBase::recalculatePerPriorityState`.
pub(super) fn distribute(levels: &mut [LevelLoad], available: Percent) {
    let mut left = 100;
    for level in &mut *levels {
        level.healthy_load = take(&mut left, level.health, available);
    }
    if left == 0 {
        return;
    }
    for level in &mut *levels {
        level.degraded_load = take(&mut left, level.degraded_health, available);
    }
    if left == 0 {
        return;
    }
    if let Some(level) = levels.iter_mut().find(|level| level.health != Percent::NONE) {
        level.healthy_load = Percent::saturating(level.healthy_load.get() + left);
    } else if let Some(level) =
        levels.iter_mut().find(|level| level.degraded_health != Percent::NONE)
    {
        level.degraded_load = Percent::saturating(level.degraded_load.get() + left);
    }
}

/// Takes from `left` what `health` is entitled to when `available` stands for everything.
fn take(left: &mut u32, health: Percent, available: Percent) -> Percent {
    let share = entitled(health, available).min(*left);
    *left -= share;
    Percent::saturating(share)
}

/// Returns `health` as a truncated percentage of `available`.
pub(crate) fn entitled(health: Percent, available: Percent) -> u32 {
    match available.get() {
        100 => health.get(),
        available => (health.get() * 100).checked_div(available).unwrap_or(0),
    }
}
