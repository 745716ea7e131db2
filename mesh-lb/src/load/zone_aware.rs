//! Zone-aware routing: how much traffic stays in the caller's own locality.
//!
//! ```text
//! callers by locality ─┐
//!                      ├─▶ shares in ten-thousandths ─▶ all local, or a part and the residue
//! hosts by locality ───┘
//! ```
//!
//! Every caller keeps local what the hosts of its locality can take from all the callers there,
//! and spreads the rest over localities that have more hosts than callers. Only the highest
//! priority is routed like this.
use std::collections::BTreeMap;

use crate::number::index;

/// Options of zone-aware routing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ZoneAwareConfig {
    /// The least number of healthy hosts for zones to matter: 6 by default.
    pub min_cluster_size: u64,
    /// If set, everything stays local as soon as this many local hosts are healthy. Off by
    /// default; 1 if the option is given without a number.
    pub force_local_zone_min_size: Option<u32>,
    /// What shares are measured in.
    pub locality_basis: LocalityBasis,
}

impl Default for ZoneAwareConfig {
    fn default() -> Self {
        Self {
            min_cluster_size: 6,
            force_local_zone_min_size: None,
            locality_basis: LocalityBasis::HealthyHostsNum,
        }
    }
}

/// What the shares of localities are measured in, of the callers as of the hosts.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "the protocol has these two")]
pub enum LocalityBasis {
    /// The number of healthy hosts.
    #[default]
    HealthyHostsNum,
    /// The sum of the weights of healthy hosts.
    HealthyHostsWeight,
}

/// The hosts of one locality.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Zone<L> {
    /// The locality.
    pub locality: L,
    /// All hosts; looked at in the callers' own cluster only.
    pub total: u32,
    /// The hosts that are healthy.
    pub healthy: u32,
    /// The sum of the weights of the healthy hosts.
    pub healthy_weight: u64,
}

/// The localities of a cluster, in the order of their indices.
#[derive(Clone, Copy, Debug)]
pub struct Zones<'a, L> {
    /// A slot a locality, empty ones included.
    pub zones: &'a [Zone<L>],
    /// Whether the first slot is the caller's own locality.
    pub has_local_locality: bool,
}

/// Why zones do not matter.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum NoZoneRouting {
    /// The hosts are in fewer than two localities.
    FewerThanTwoUpstreamLocalities,
    /// The callers are in fewer than two localities.
    FewerThanTwoLocalLocalities,
    /// No caller is known in the caller's own locality (`lb_local_cluster_not_ok`).
    LocalClusterNotOk,
    /// There are too few healthy hosts (`lb_zone_cluster_too_small`).
    ClusterTooSmall,
    /// The data plane knows no zones.
    OtherDataPlane,
}

/// The shares of one locality, in ten-thousandths.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ZoneShare {
    /// Of the callers.
    pub local: u64,
    /// Of the hosts.
    pub upstream: u64,
}

/// How requests of this caller are routed to localities.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ZoneRouting {
    shares: Box<[ZoneShare]>,
    state: State,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum State {
    Direct,
    Residual { local_percent_to_route: u64, residual_capacity: Box<[u64]> },
}

/// The locality of one request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ZonePick {
    /// The index of the locality.
    pub locality: usize,
    /// How it came about.
    pub how: ZonePickReason,
}

/// How the locality of a request was found; Envoy counts each.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum ZonePickReason {
    /// Everything stays local (`lb_zone_routing_all_directly`).
    AllDirectly,
    /// The request is in the part that stays local (`lb_zone_routing_sampled`).
    Sampled,
    /// It leaves (`lb_zone_routing_cross_zone`).
    CrossZone,
    /// It leaves, and rounding has hidden all capacity elsewhere, so any locality will do
    /// (`lb_zone_no_capacity_left`, counted besides `lb_zone_routing_cross_zone`).
    NoCapacityLeft,
}

impl ZoneRouting {
    /// Computes the routing of a caller to `upstream`, the hosts of the highest priority; `local`
    /// is the cluster that the callers themselves form.
    ///
    /// # Errors
    ///
    /// Zones do not matter, and why: traffic goes to the healthy hosts of the priority alike.
    ///
    /// # Upstream
    ///
    /// Envoy `source/extensions/load_balancing_policies/common/load_balancer_impl.cc`,
    /// `ZoneAwareLoadBalancerBase::regenerateLocalityRoutingStructures` and
    /// `earlyExitNonLocalityRouting`.
    pub fn new<L: Ord>(
        config: &ZoneAwareConfig,
        local: &Zones<'_, L>,
        upstream: &Zones<'_, L>,
    ) -> Result<Self, NoZoneRouting> {
        let forced = config.force_local_zone_min_size;
        if upstream.zones.len() < 2 {
            return Err(NoZoneRouting::FewerThanTwoUpstreamLocalities);
        }
        if local.zones.len() < 2 && forced.is_none() {
            return Err(NoZoneRouting::FewerThanTwoLocalLocalities);
        }
        if local.own().is_none_or(|own| own.total == 0) {
            return Err(NoZoneRouting::LocalClusterNotOk);
        }
        let healthy: u64 = upstream.zones.iter().map(|zone| u64::from(zone.healthy)).sum();
        if healthy < config.min_cluster_size {
            return Err(NoZoneRouting::ClusterTooSmall);
        }
        let shares = shares(config.locality_basis, local.zones, upstream.zones);
        let own = upstream.own().zip(shares.first());
        let direct = own.is_some_and(|(zone, share)| {
            (share.upstream > 0 && share.upstream >= share.local)
                || forced.is_some_and(|least| zone.healthy >= least)
        });
        let state =
            if direct { State::Direct } else { residual(&shares, upstream.has_local_locality) };
        Ok(Self { shares, state })
    }

    /// Returns the shares of each locality of the hosts; 0 and 0 where no host is healthy.
    pub const fn shares(&self) -> &[ZoneShare] {
        &self.shares
    }

    /// Returns whether everything stays local.
    pub const fn is_direct(&self) -> bool {
        matches!(self.state, State::Direct)
    }

    /// Returns the ten-thousandths of requests that stay local.
    pub const fn local_percent_to_route(&self) -> u64 {
        match self.state {
            State::Direct => 10_000,
            State::Residual { local_percent_to_route, .. } => local_percent_to_route,
        }
    }

    /// Returns the capacity that each locality and those before it have for requests that leave.
    pub const fn residual_capacity(&self) -> &[u64] {
        match &self.state {
            State::Direct => &[],
            State::Residual { residual_capacity, .. } => residual_capacity,
        }
    }

    /// Returns the locality of one request. Draws none, one or two random numbers.
    ///
    /// # Upstream
    ///
    /// Envoy `source/extensions/load_balancing_policies/common/load_balancer_impl.cc`,
    /// `ZoneAwareLoadBalancerBase::tryChooseLocalLocalityHosts`.
    pub fn pick(&self, mut random: impl FnMut() -> u64) -> ZonePick {
        let State::Residual { local_percent_to_route, residual_capacity } = &self.state else {
            return ZonePick { locality: 0, how: ZonePickReason::AllDirectly };
        };
        if random() % 10_000 < *local_percent_to_route {
            return ZonePick { locality: 0, how: ZonePickReason::Sampled };
        }
        let draw = random();
        match residual_capacity.last().and_then(|&all| draw.checked_rem(all)) {
            Some(threshold) => ZonePick {
                locality: residual_capacity.partition_point(|&reached| reached <= threshold),
                how: ZonePickReason::CrossZone,
            },
            None => ZonePick {
                locality: index(draw, residual_capacity.len()).unwrap_or(0),
                how: ZonePickReason::NoCapacityLeft,
            },
        }
    }
}

impl<'a, L> Zones<'a, L> {
    /// Returns the caller's own locality.
    fn own(&self) -> Option<&'a Zone<L>> {
        self.zones.first().filter(|_| self.has_local_locality)
    }
}

/// # Upstream
///
/// Envoy `source/extensions/load_balancing_policies/common/load_balancer_impl.cc`,
/// `ZoneAwareLoadBalancerBase::calculateLocalityPercentages`.
fn shares<L: Ord>(
    basis: LocalityBasis,
    local: &[Zone<L>],
    upstream: &[Zone<L>],
) -> Box<[ZoneShare]> {
    let value = |zone: &Zone<L>| match basis {
        LocalityBasis::HealthyHostsNum => u64::from(zone.healthy),
        LocalityBasis::HealthyHostsWeight => zone.healthy_weight,
    };
    let sum = |zones: &[Zone<L>]| zones.iter().map(|zone| u128::from(value(zone))).sum::<u128>();
    let share = |part: u64, all: u128| {
        let share = (10_000 * u128::from(part)).checked_div(all).unwrap_or(0);
        u64::try_from(share).unwrap_or(10_000)
    };
    let (all_local, all_upstream) = (sum(local), sum(upstream));
    let callers: BTreeMap<&L, u64> = local
        .iter()
        .filter(|zone| zone.healthy > 0)
        .map(|zone| (&zone.locality, value(zone)))
        .collect();
    upstream
        .iter()
        .map(|zone| match zone.healthy {
            0 => ZoneShare::default(),
            _ => ZoneShare {
                local: share(callers.get(&zone.locality).copied().unwrap_or(0), all_local),
                upstream: share(value(zone), all_upstream),
            },
        })
        .collect()
}

fn residual(shares: &[ZoneShare], has_local_locality: bool) -> State {
    let own = shares.first().filter(|_| has_local_locality);
    let local_percent_to_route =
        own.and_then(|own| (own.upstream * 10_000).checked_div(own.local)).unwrap_or(0);
    let mut reached = 0;
    let residual_capacity = shares
        .iter()
        .enumerate()
        .map(|(i, share)| {
            if i > 0 || !has_local_locality {
                reached += share.upstream.saturating_sub(share.local);
            }
            reached
        })
        .collect();
    State::Residual { local_percent_to_route, residual_capacity }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zones(healthy: &[u32]) -> Vec<Zone<usize>> {
        healthy
            .iter()
            .enumerate()
            .map(|(locality, &healthy)| Zone {
                locality,
                total: healthy,
                healthy,
                healthy_weight: healthy.into(),
            })
            .collect()
    }

    fn routing(local: &[u32], upstream: &[u32]) -> Result<ZoneRouting, NoZoneRouting> {
        let (local, upstream) = (zones(local), zones(upstream));
        ZoneRouting::new(
            &ZoneAwareConfig::default(),
            &Zones { zones: &local, has_local_locality: true },
            &Zones { zones: &upstream, has_local_locality: true },
        )
    }

    fn check(local: &[u32], upstream: &[u32], expected: Result<(u64, &[u64]), NoZoneRouting>) {
        let got = routing(local, upstream);
        let got = got
            .as_ref()
            .map(|routing| (routing.local_percent_to_route(), routing.residual_capacity()))
            .map_err(|why| *why);
        assert_eq!(got, expected);
    }

    #[test]
    fn callers_keep_what_their_locality_can_take_and_spread_the_rest() {
        check(&[4, 4, 2], &[5, 10, 5], Ok((6250, &[0, 1000, 1500])));
    }

    #[test]
    fn a_locality_with_its_share_of_hosts_keeps_everything() {
        check(&[1, 1, 1], &[2, 2, 2], Ok((10_000, &[])));
    }

    #[test]
    fn five_hosts_are_too_few_for_zones_to_matter() {
        check(&[4, 4, 2], &[1, 2, 2], Err(NoZoneRouting::ClusterTooSmall));
    }

    #[test]
    fn a_caller_that_its_own_cluster_does_not_know_is_not_routed() {
        check(&[0, 2], &[4, 4], Err(NoZoneRouting::LocalClusterNotOk));
    }

    #[test]
    fn capacity_that_rounding_hides_is_drawn_alike() {
        // One local locality only, forced: no residue anywhere.
        let (local, upstream) = (zones(&[1]), zones(&[0, 0]));
        let config = ZoneAwareConfig {
            min_cluster_size: 0,
            force_local_zone_min_size: Some(1),
            ..ZoneAwareConfig::default()
        };
        let routing = ZoneRouting::new(
            &config,
            &Zones { zones: &local, has_local_locality: true },
            &Zones { zones: &upstream, has_local_locality: true },
        );
        let pick = routing.map(|routing| routing.pick(|| 7));
        let how = ZonePickReason::NoCapacityLeft;
        assert_eq!(pick, Ok(ZonePick { locality: 1, how }));
    }
}
