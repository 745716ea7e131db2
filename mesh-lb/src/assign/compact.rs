//! Priorities without gaps.
use super::Group;

/// Replaces each priority by its rank among those present: 0, 4, 4, 9 become 0, 1, 1, 2.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/networking/core/loadbalancer/loadbalancer.go`, the end of
/// `applyLocalityFailover`, `applyFailoverPriorities` and `applyZoneAwareRegionalFailover`.
pub(super) fn compact<M, L>(groups: &mut [Group<M, L>]) {
    let present = Present::of(groups);
    for group in groups {
        group.priority = present.below(group.priority);
    }
}

/// The priorities that are there.
enum Present {
    /// A bit each, while there are few and small ones, as mostly.
    Bits(u64),
    /// Each once.
    Sorted(Vec<u32>),
}

impl Present {
    fn of<M, L>(groups: &[Group<M, L>]) -> Self {
        let bits = groups.iter().try_fold(0, |bits, group| Some(bits | bit(group.priority)?));
        bits.map_or_else(
            || {
                let mut distinct: Vec<u32> = groups.iter().map(|group| group.priority).collect();
                distinct.sort_unstable();
                distinct.dedup();
                Self::Sorted(distinct)
            },
            Self::Bits,
        )
    }

    /// How many are less than one of them.
    fn below(&self, priority: u32) -> u32 {
        match self {
            Self::Bits(bits) => {
                let less = bit(priority).unwrap_or_default().wrapping_sub(1);
                (bits & less).count_ones()
            }
            Self::Sorted(distinct) => {
                let less = distinct.partition_point(|&other| other < priority);
                u32::try_from(less).unwrap_or(u32::MAX)
            }
        }
    }
}

/// The bit of a priority, if 64 are enough.
const fn bit(priority: u32) -> Option<u64> {
    1_u64.checked_shl(priority)
}
