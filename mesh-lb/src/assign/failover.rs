//! Regional failover: the nearer a locality, the earlier its turn.
use std::borrow::Borrow;

use mesh_model::name::Locality;

use super::{Group, Nearness, compact};

/// Ranks localities by how near they are to the client; ranks that labels gave already stay the
/// coarser criterion.
///
/// `target` is the region that the setting names for the client's region, if it names one.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/networking/core/loadbalancer/loadbalancer.go` `applyLocalityFailover`;
/// `pilot/pkg/networking/util/util.go` `LbPriority`.
pub(super) fn apply<M, L: Borrow<Locality>>(
    groups: &mut [Group<M, L>],
    client: &Locality,
    target: Option<&str>,
) {
    for group in groups.iter_mut() {
        let (base, nearness) = base(group.place(), client, target);
        // Five ranks: 0 to 4.
        group.priority = group.priority.wrapping_mul(5).wrapping_add(base);
        group.reason = group.reason.then(nearness);
    }
    compact::compact(groups);
}

fn base(group: Option<&Locality>, client: &Locality, target: Option<&str>) -> (u32, Nearness) {
    let (region, zone, sub_zone) = group
        .map_or(("", "", ""), |locality| (locality.region(), locality.zone(), locality.sub_zone()));
    if region == client.region() {
        return match (zone == client.zone(), sub_zone == client.sub_zone()) {
            (true, true) => (0, Nearness::SameSubZone),
            (true, false) => (1, Nearness::SameZone),
            (false, _) => (2, Nearness::SameRegion),
        };
    }
    match target {
        None => (3, Nearness::OtherRegion),
        Some(target) if group.is_some() && region == target => (3, Nearness::FailoverTarget),
        Some(_) => (4, Nearness::OtherRegion),
    }
}
