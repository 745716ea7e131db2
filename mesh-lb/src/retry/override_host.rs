//! Override host: a request that names the host it wants, as a session cookie does, or several in turn.
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

/// The hosts that a request names under the policy `override_host`, one an attempt.
///
/// # Examples
///
/// ```
/// use mesh_lb::retry::override_host::NamedHosts;
///
/// let mut named = NamedHosts::of_sources([None, Some("10.0.0.9:80, 10.0.0.1:80"), Some("10.0.0.2:80")]);
/// let is_known = |address: &str| address != "10.0.0.9:80";
/// assert_eq!(named.next(is_known), Some("10.0.0.1:80"));
/// assert_eq!(named.next(is_known), Some("10.0.0.2:80")); // The retry.
/// assert_eq!(named.next(is_known), None); // The fallback policy picks.
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct NamedHosts<'r> {
    /// The next one last.
    left: Vec<&'r str>,
}

impl<'r> NamedHosts<'r> {
    /// Reads what each source of the policy says, in the configured order: a text in metadata, or the
    /// first value of a header, of addresses `ip:port` with commas between them. None says nothing.
    pub fn of_sources(sources: impl IntoIterator<Item = Option<&'r str>>) -> Self {
        let texts = sources.into_iter().flatten().flat_map(|text| text.split(','));
        let addresses = texts.map(|text| text.trim_matches(|c: char| c.is_ascii_whitespace()));
        let mut left: Vec<&str> = addresses.filter(|address| !address.is_empty()).collect();
        left.reverse();
        Self { left }
    }

    /// Returns the host of the next attempt: the first one left that the cluster has, be it healthy or
    /// not. None if there is none, when the fallback policy picks.
    ///
    /// # Upstream
    ///
    /// Envoy `source/extensions/load_balancing_policies/override_host/load_balancer.cc`,
    /// `OverrideHostLoadBalancer::LoadBalancerImpl::getEndpoint`.
    pub fn next(&mut self, is_known: impl Fn(&str) -> bool) -> Option<&'r str> {
        std::iter::from_fn(|| self.left.pop()).find(|address| is_known(address))
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
