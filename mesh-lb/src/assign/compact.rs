//! Priorities without gaps.
use super::Group;

/// Replaces each priority by its rank among those present: 0, 4, 4, 9 become 0, 1, 1, 2.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/networking/core/loadbalancer/loadbalancer.go`, the end of
/// `applyLocalityFailover`, `applyFailoverPriorities` and `applyZoneAwareRegionalFailover`.
pub(super) fn compact<M>(groups: &mut [Group<M>]) {
    let mut distinct: Vec<u32> = groups.iter().map(|group| group.priority).collect();
    distinct.sort_unstable();
    distinct.dedup();
    for group in groups {
        let rank = distinct.partition_point(|&priority| priority < group.priority);
        group.priority = u32::try_from(rank).unwrap_or(u32::MAX);
    }
}
