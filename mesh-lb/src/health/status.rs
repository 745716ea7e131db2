//! The health classes of a host.
//!
//! ```text
//! EDS status ─┐
//!             ├─▶ flags ─┬─▶ coarse class: healthy, degraded or unhealthy   (who is picked)
//! checks ─────┘          ├─▶ excluded                                       (who is counted)
//!                        └─▶ detailed status                                (who may be named)
//! ```
//!
//! A host can be healthy and excluded at once: it then leaves the denominators and keeps its traffic.
use std::ops::BitOr;

/// The health that a control plane states of an endpoint in EDS.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[expect(clippy::exhaustive_enums, reason = "callers act on every status of the protocol")]
pub enum HealthStatus {
    /// Not stated: treated as healthy.
    #[default]
    Unknown,
    /// Fit for traffic.
    Healthy,
    /// Not fit for traffic.
    Unhealthy,
    /// Being taken away: unhealthy, and left out of the denominators of health.
    Draining,
    /// A health check timed out: unhealthy.
    Timeout,
    /// Fit for traffic that no healthy host can take.
    Degraded,
}

/// The class by which hosts are sorted into the lists that a balancer picks from.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[expect(clippy::exhaustive_enums, reason = "every host is in exactly one of three lists")]
pub enum CoarseHealth {
    /// Not picked, except in panic.
    Unhealthy,
    /// Picked when healthy capacity does not suffice.
    Degraded,
    /// Picked.
    Healthy,
}

/// One reason why a host is not simply healthy. The values are Envoy's.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[repr(u32)]
#[non_exhaustive]
pub enum HealthFlag {
    /// An active health check failed, or none has passed yet.
    FailedActiveHc = 0x1,
    /// Outlier detection has ejected the host.
    FailedOutlierCheck = 0x2,
    /// EDS says that the host is unhealthy, or that its check timed out.
    FailedEdsHealth = 0x4,
    /// A health check response said `x-envoy-degraded`.
    DegradedActiveHc = 0x8,
    /// EDS says that the host is degraded.
    DegradedEdsHealth = 0x10,
    /// Gone from EDS, kept while its active health check passes.
    PendingDynamicRemoval = 0x20,
    /// New, and to be ignored until its first active health check.
    PendingActiveHc = 0x40,
    /// A response asked for an immediate health check failure.
    ExcludedViaImmediateHcFail = 0x80,
    /// The active health check failed by timeout: a detail, of no effect here.
    ActiveHcTimeout = 0x100,
    /// EDS says that the host is draining.
    EdsStatusDraining = 0x200,
    /// Outlier detection found degraded answers.
    DegradedOutlierDetection = 0x400,
}

/// A set of [`HealthFlag`]s.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct HealthFlags(u32);

const UNHEALTHY: HealthFlags = HealthFlags::of(&[
    HealthFlag::FailedActiveHc,
    HealthFlag::FailedOutlierCheck,
    HealthFlag::FailedEdsHealth,
    HealthFlag::EdsStatusDraining,
]);
const DEGRADED: HealthFlags = HealthFlags::of(&[
    HealthFlag::DegradedActiveHc,
    HealthFlag::DegradedEdsHealth,
    HealthFlag::DegradedOutlierDetection,
]);
const EXCLUDED: HealthFlags = HealthFlags::of(&[
    HealthFlag::PendingActiveHc,
    HealthFlag::ExcludedViaImmediateHcFail,
    HealthFlag::EdsStatusDraining,
]);

impl HealthFlags {
    /// No flag: a healthy host.
    pub const NONE: Self = Self(0);

    /// Returns the set of the given flags.
    pub const fn of(flags: &[HealthFlag]) -> Self {
        let mut bits = 0;
        let mut rest = flags;
        while let [first, others @ ..] = rest {
            bits |= *first as u32;
            rest = others;
        }
        Self(bits)
    }

    /// Returns whether this flag is in the set.
    pub const fn contains(self, flag: HealthFlag) -> bool {
        self.0 & flag as u32 != 0
    }

    /// Returns the set with this flag.
    pub const fn with(self, flag: HealthFlag) -> Self {
        Self(self.0 | flag as u32)
    }

    /// Returns the set without this flag.
    pub const fn without(self, flag: HealthFlag) -> Self {
        Self(self.0 & !(flag as u32))
    }

    /// Returns whether the two sets share a flag.
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Returns the flags of a host that the control plane has just left out, if it stays: a host that
    /// passes its active checks is used until it fails one. None if it goes at once.
    ///
    /// # Upstream
    ///
    /// Envoy `source/common/upstream/upstream_impl.cc`,
    /// `BaseDynamicClusterImpl::updateDynamicHostList`.
    pub const fn after_removal(self, on_removal: OnRemoval) -> Option<Self> {
        let failed = Self::of(&[HealthFlag::FailedActiveHc, HealthFlag::FailedEdsHealth]);
        match on_removal {
            OnRemoval::StayWhileItPasses if !self.intersects(failed) => {
                Some(self.with(HealthFlag::PendingDynamicRemoval))
            }
            OnRemoval::StayWhileItPasses | OnRemoval::Go => None,
        }
    }

    /// Returns the flags of a host that stayed and is named again, in the same priority.
    pub const fn after_return(self) -> Self {
        self.without(HealthFlag::PendingDynamicRemoval)
    }

    /// Returns whether a host that stayed goes now, since it has failed a check.
    ///
    /// # Upstream
    ///
    /// Envoy `source/extensions/clusters/eds/eds.cc`, `EdsClusterImpl::reloadHealthyHostsHelper`.
    pub const fn is_to_go(self) -> bool {
        self.contains(HealthFlag::PendingDynamicRemoval)
            && self.contains(HealthFlag::FailedActiveHc)
    }
}

/// What becomes of hosts that the control plane leaves out.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "hosts may stay or they may not")]
pub enum OnRemoval {
    /// Those that pass active checks stay until they fail one.
    StayWhileItPasses,
    /// They go at once: there are no active checks, or `ignore_health_on_host_removal` is set, or the host
    /// has come back at another priority.
    Go,
}

impl BitOr for HealthFlags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl HealthStatus {
    /// Returns the flags that this status sets on a host.
    ///
    /// # Upstream
    ///
    /// Envoy `source/common/upstream/upstream_impl.h`, `HostImpl::setEdsHealthFlag`. Draining has a
    /// flag of its own in current versions; older ones treated it as unhealthy.
    pub const fn flags(self) -> HealthFlags {
        match self {
            Self::Unknown | Self::Healthy => HealthFlags::NONE,
            Self::Unhealthy | Self::Timeout => HealthFlags::of(&[HealthFlag::FailedEdsHealth]),
            Self::Draining => HealthFlags::of(&[HealthFlag::EdsStatusDraining]),
            Self::Degraded => HealthFlags::of(&[HealthFlag::DegradedEdsHealth]),
        }
    }
}

/// Everything that decides how fit a host is.
///
/// # Examples
///
/// ```
/// use mesh_lb::health::status::{CoarseHealth, HealthFlags, HealthStatus, HostHealth};
///
/// let draining = HostHealth::new(HealthStatus::Draining, HealthFlags::NONE);
/// assert_eq!(draining.coarse(), CoarseHealth::Unhealthy);
/// assert!(draining.is_excluded());
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct HostHealth {
    eds: HealthStatus,
    flags: HealthFlags,
}

impl HostHealth {
    /// Joins what EDS says with what was seen: `seen` holds the flags that EDS does not set.
    pub const fn new(eds: HealthStatus, seen: HealthFlags) -> Self {
        Self { eds, flags: HealthFlags(eds.flags().0 | seen.0) }
    }

    /// Returns the flags that EDS does not set: what checks and outlier detection have found.
    pub const fn found(self) -> HealthFlags {
        let of_eds = HealthFlags::of(&[
            HealthFlag::FailedEdsHealth,
            HealthFlag::DegradedEdsHealth,
            HealthFlag::EdsStatusDraining,
        ]);
        HealthFlags(self.flags.0 & !of_eds.0)
    }

    /// Returns the class that decides which list the host is in.
    ///
    /// # Upstream
    ///
    /// Envoy `source/common/upstream/upstream_impl.h`, `HostImpl::coarseHealth`.
    pub const fn coarse(self) -> CoarseHealth {
        if self.flags.intersects(UNHEALTHY) {
            CoarseHealth::Unhealthy
        } else if self.flags.intersects(DEGRADED) {
            CoarseHealth::Degraded
        } else {
            CoarseHealth::Healthy
        }
    }

    /// Returns whether the host is left out of the denominators of health, whatever its class.
    ///
    /// # Upstream
    ///
    /// Envoy `source/common/upstream/upstream_impl.cc`, `excludeBasedOnHealthFlag`.
    pub const fn is_excluded(self) -> bool {
        self.flags.intersects(EXCLUDED)
    }

    /// Returns the status that decides whether a request may name this host.
    ///
    /// # Upstream
    ///
    /// Envoy `source/common/upstream/upstream_impl.h`, `HostImpl::healthStatus`. It ignores
    /// degradation found by outlier detection.
    pub const fn detailed(self) -> HealthStatus {
        let failed = HealthFlags::of(&[HealthFlag::FailedActiveHc, HealthFlag::FailedOutlierCheck]);
        if self.flags.intersects(failed) {
            return HealthStatus::Unhealthy;
        }
        match self.eds {
            HealthStatus::Unhealthy | HealthStatus::Draining | HealthStatus::Timeout => self.eds,
            HealthStatus::Unknown | HealthStatus::Healthy | HealthStatus::Degraded => {
                if self.flags.intersects(HealthFlags::of(&[HealthFlag::DegradedActiveHc])) {
                    HealthStatus::Degraded
                } else {
                    self.eds
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(eds: HealthStatus, seen: &[HealthFlag], expected: (CoarseHealth, bool, HealthStatus)) {
        let health = HostHealth::new(eds, HealthFlags::of(seen));
        assert_eq!((health.coarse(), health.is_excluded(), health.detailed()), expected);
    }

    #[test]
    fn a_timeout_is_unhealthy_and_still_counted() {
        let expected = (CoarseHealth::Unhealthy, false, HealthStatus::Timeout);
        check(HealthStatus::Timeout, &[], expected);
    }

    #[test]
    fn a_host_asked_to_fail_at_once_is_healthy_and_excluded_until_the_check_fails() {
        let expected = (CoarseHealth::Healthy, true, HealthStatus::Healthy);
        check(HealthStatus::Healthy, &[HealthFlag::ExcludedViaImmediateHcFail], expected);
    }

    #[test]
    fn removal_alone_does_not_make_a_host_unhealthy() {
        let expected = (CoarseHealth::Healthy, false, HealthStatus::Unknown);
        check(HealthStatus::Unknown, &[HealthFlag::PendingDynamicRemoval], expected);
    }

    #[test]
    fn degradation_by_outlier_detection_shows_in_the_class_only() {
        let expected = (CoarseHealth::Degraded, false, HealthStatus::Healthy);
        check(HealthStatus::Healthy, &[HealthFlag::DegradedOutlierDetection], expected);
    }

    #[test]
    fn an_ejection_outranks_a_degraded_check() {
        let seen = [HealthFlag::FailedOutlierCheck, HealthFlag::DegradedActiveHc];
        check(
            HealthStatus::Degraded,
            &seen,
            (CoarseHealth::Unhealthy, false, HealthStatus::Unhealthy),
        );
    }

    #[test]
    fn a_host_that_passes_stays_when_it_is_left_out_and_goes_when_it_fails() {
        let stay = OnRemoval::StayWhileItPasses;
        let kept = HealthFlags::NONE.after_removal(stay).unwrap();
        assert!(!kept.is_to_go() && kept.with(HealthFlag::FailedActiveHc).is_to_go());
        assert_eq!(kept.after_return(), HealthFlags::NONE);
        assert_eq!(HostHealth::new(HealthStatus::Healthy, kept).coarse(), CoarseHealth::Healthy);
        assert_eq!(HealthFlags::NONE.after_removal(OnRemoval::Go), None);
        for failed in [HealthFlag::FailedActiveHc, HealthFlag::FailedEdsHealth] {
            assert_eq!(HealthFlags::of(&[failed]).after_removal(stay), None);
        }
        // Neither an ejection nor degradation lets it go.
        assert!(HealthFlags::of(&[HealthFlag::FailedOutlierCheck]).after_removal(stay).is_some());
    }
}
