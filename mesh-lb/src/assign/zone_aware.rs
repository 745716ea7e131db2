//! Zone-aware load balancing: ranks by region only, so that Envoy balances over the zones.
use std::borrow::Borrow;

use mesh_model::name::Locality;

use super::{Group, Nearness, compact};

/// Ranks localities by region: the client's, the one that `failover` names for it, all others.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/networking/core/loadbalancer/loadbalancer.go`
/// `applyZoneAwareRegionalFailover`.
pub(super) fn apply<M, L: Borrow<Locality>>(
    groups: &mut [Group<M, L>],
    client: &Locality,
    target: Option<&str>,
) {
    for group in groups.iter_mut() {
        let region = group.place().map_or("", Locality::region);
        let (base, nearness) = if region == client.region() {
            (0, Nearness::SameRegion)
        } else if target == Some(region) {
            (1, Nearness::FailoverTarget)
        } else {
            (2, Nearness::OtherRegion)
        };
        group.priority = group.priority.wrapping_mul(3).wrapping_add(base);
        group.reason = group.reason.then(nearness);
    }
    compact::compact(groups);
}
