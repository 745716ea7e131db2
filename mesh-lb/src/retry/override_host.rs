//! Override host: a request that names the host it wants, as a session cookie does.
use crate::health::status::{HealthStatus, HostHealth};

/// The health statuses that a host may have to be used because a request named it.
///
/// Unknown, healthy and degraded by default. An empty set turns overriding off.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct OverrideHostStatus(
    // INVARIANT: bit `n` stands for the `n`th status of `HealthStatus`.
    u8,
);

impl Default for OverrideHostStatus {
    fn default() -> Self {
        Self::of(&[HealthStatus::Unknown, HealthStatus::Healthy, HealthStatus::Degraded])
    }
}

/// What becomes of a request that names a host.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "callers act on every outcome")]
pub enum Override {
    /// The named host is used.
    Use,
    /// The balancer picks.
    Balance,
    /// There is no host for this request.
    NoHost,
}

/// Whether a request that cannot have the host it names may have another.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "an override is strict or it is not")]
pub enum OverrideMode {
    /// It may.
    Lenient,
    /// It may not.
    Strict,
}

impl OverrideHostStatus {
    /// Returns the set of the given statuses.
    pub const fn of(statuses: &[HealthStatus]) -> Self {
        let mut bits = 0;
        let mut rest = statuses;
        while let [first, others @ ..] = rest {
            bits |= 1 << (*first as u8);
            rest = others;
        }
        Self(bits)
    }

    /// Returns whether a host of this health may be named.
    pub const fn allows(self, health: HostHealth) -> bool {
        self.0 & (1 << (health.detailed() as u8)) != 0
    }

    /// Decides for a request that names a host; `named` is its health, `None` if the cluster has
    /// no such host in any priority.
    ///
    /// # Upstream
    ///
    /// Envoy `source/common/upstream/host_utility.cc`, `HostUtility::selectOverrideHost` and
    /// `HostUtility::allowLBChooseHost`.
    pub const fn decide(self, named: Option<HostHealth>, mode: OverrideMode) -> Override {
        match (named, mode) {
            (Some(health), _) if self.allows(health) => Override::Use,
            (_, OverrideMode::Lenient) => Override::Balance,
            (_, OverrideMode::Strict) => Override::NoHost,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::status::HealthFlags;

    fn check(named: Option<HealthStatus>, mode: OverrideMode, expected: Override) {
        let health = named.map(|status| HostHealth::new(status, HealthFlags::NONE));
        assert_eq!(OverrideHostStatus::default().decide(health, mode), expected);
    }

    #[test]
    fn a_degraded_host_may_be_named() {
        check(Some(HealthStatus::Degraded), OverrideMode::Strict, Override::Use);
    }

    #[test]
    fn a_draining_host_may_not_be_named_by_default() {
        check(Some(HealthStatus::Draining), OverrideMode::Lenient, Override::Balance);
        check(Some(HealthStatus::Draining), OverrideMode::Strict, Override::NoHost);
    }

    #[test]
    fn a_host_that_is_gone_is_balanced_away_unless_the_override_is_strict() {
        check(None, OverrideMode::Lenient, Override::Balance);
        check(None, OverrideMode::Strict, Override::NoHost);
    }
}
