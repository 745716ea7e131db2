//! Priorities without gaps.
use super::Group;

/// Replaces each priority by its rank among those present: 0, 4, 4, 9 become 0, 1, 1, 2.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/networking/core/loadbalancer/loadbalancer.go`, the end of
/// `applyLocalityFailover`, `applyFailoverPriorities` and `applyZoneAwareRegionalFailover`.
pub(super) fn compact<M, L>(groups: &mut [Group<M, L>]) {
    // Mostly there are few, and small ones: a bit each says which there are.
    let bit = |priority: u32| 1_u64.checked_shl(priority);
    let present = groups.iter().try_fold(0, |bits, group| Some(bits | bit(group.priority)?));
    if let Some(present) = present {
        for group in groups {
            let below = bit(group.priority).unwrap_or_default().wrapping_sub(1);
            group.priority = (present & below).count_ones();
        }
        return;
    }
    let mut distinct: Vec<u32> = groups.iter().map(|group| group.priority).collect();
    distinct.sort_unstable();
    distinct.dedup();
    for group in groups {
        let rank = distinct.partition_point(|&priority| priority < group.priority);
        group.priority = u32::try_from(rank).unwrap_or(u32::MAX);
    }
}
