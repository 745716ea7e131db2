//! The arithmetic of [`LocalityWeights`](super::LocalityWeights) and [`ZoneRouting`], step by step, for
//! people.
use std::fmt::Display;

use super::degraded::Availability;
use super::locality::{LocalityHosts, LocalityWeights};
use super::overprovision::Overprovisioning;
use super::zone_aware::{LocalityBasis, NoZoneRouting, Zone, ZoneAwareConfig, ZoneRouting, Zones};

/// Explains how the localities of a priority share its traffic by weight, one line a step; localities are
/// called by their indices.
///
/// # Examples
///
/// ```
/// use mesh_lb::load::{Availability, LocalityHosts, Overprovisioning, explain_localities};
///
/// let half = LocalityHosts { weight: 1, total: 2, healthy: 1, ..LocalityHosts::default() };
/// let whole = LocalityHosts { weight: 2, total: 1, healthy: 1, ..LocalityHosts::default() };
/// let factor = Overprovisioning::default();
/// let steps = explain_localities(&[half, whole], factor, Availability::Healthy);
/// assert_eq!(steps[0], "locality 0: weight = 1 × min(1, 140 % × 1 / 2) = 0.7");
/// assert_eq!(steps[2], "locality 0: share = 0.7 / 2.7 = 25.93 %");
/// ```
pub fn explain_localities(
    localities: &[LocalityHosts],
    factor: Overprovisioning,
    availability: Availability,
) -> Vec<String> {
    let weights = LocalityWeights::new(localities, factor, availability);
    explain_weights(|index| index, localities, weights.as_ref(), (Some(factor), availability))
}

/// Explains weights of localities that have names; without a factor they stand as they are.
pub(crate) fn explain_weights<N: Display>(
    name: impl Fn(usize) -> N,
    localities: &[LocalityHosts],
    weights: Option<&LocalityWeights>,
    (factor, availability): (Option<Overprovisioning>, Availability),
) -> Vec<String> {
    let hosts = match availability {
        Availability::Healthy => "healthy",
        Availability::Degraded => "degraded",
    };
    let Some(weights) = weights else {
        return vec![format!("no host is {hosts}: localities do not matter")];
    };
    let weighed = localities.iter().zip(weights.effective()).enumerate();
    let mut steps: Vec<String> = weighed
        .map(|(index, (locality, effective))| {
            let (name, weight) = (name(index), locality.weight);
            let counted = locality.total.saturating_sub(locality.excluded);
            let eligible = locality.eligible(availability);
            match factor {
                None if *effective > 0.0 => {
                    format!("locality {name}: weight = {weight}, whatever its health")
                }
                None => format!("locality {name}: weight = 0"),
                Some(_) if counted == 0 => {
                    format!("locality {name}: no host counts: weight = 0")
                }
                Some(factor) => format!(
                    "locality {name}: weight = {weight} × min(1, {} % × {eligible} / {counted}) = {}",
                    factor.get(),
                    short(*effective)
                ),
            }
        })
        .collect();
    let sum: f64 = weights.effective().iter().sum();
    match weights.fractions() {
        None => steps.push(format!("no locality has weight: all {hosts} hosts share alike")),
        Some(fractions) => {
            let shares = fractions.into_iter().zip(weights.effective()).enumerate();
            steps.extend(shares.map(|(index, (fraction, effective))| {
                let (effective, sum) = (short(*effective), short(sum));
                let share = 100.0 * fraction;
                format!("locality {}: share = {effective} / {sum} = {share:.2} %", name(index))
            }));
        }
    }
    steps
}

/// At most six decimals.
fn short(number: f64) -> String {
    let text = format!("{number:.6}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Explains how the requests of a caller find their zone, one line a step; from the arguments of
/// [`ZoneRouting::new`].
///
/// # Examples
///
/// ```
/// use mesh_lb::load::{Zone, ZoneAwareConfig, Zones, explain_zones};
///
/// let zones = |healthy: [u32; 2]| {
///     [0, 1].map(|locality| {
///         let healthy = healthy[locality];
///         Zone { locality, total: healthy, healthy, healthy_weight: healthy.into() }
///     })
/// };
/// let (callers, hosts) = (zones([4, 6]), zones([2, 8]));
/// let steps = explain_zones(
///     &ZoneAwareConfig::default(),
///     &Zones { zones: &callers, has_local_locality: true },
///     &Zones { zones: &hosts, has_local_locality: true },
/// );
/// assert_eq!(steps[0], "zone 0: 4000 of 10000 callers, 2000 of 10000 hosts");
/// assert_eq!(steps[2], "here 2000 × 10000 / 4000 = 5000 of 10000 requests stay");
/// assert_eq!(steps[3], "zone 1: takes 8000 - 6000 = 2000 of 2000 that leave");
/// ```
pub fn explain_zones<L: Display + Ord>(
    config: &ZoneAwareConfig,
    local: &Zones<'_, L>,
    upstream: &Zones<'_, L>,
) -> Vec<String> {
    let routing = match ZoneRouting::new(config, local, upstream) {
        Ok(routing) => routing,
        Err(why) => return vec![format!("zones do not matter: {}", reason(why, config))],
    };
    let what = match config.locality_basis {
        LocalityBasis::HealthyHostsNum => "",
        LocalityBasis::HealthyHostsWeight => " by weight",
    };
    let shares = || upstream.zones.iter().zip(routing.shares());
    let mut steps: Vec<String> = shares()
        .map(|(Zone { locality, .. }, share)| {
            let (callers, hosts) = (share.local, share.upstream);
            format!("zone {locality}: {callers} of 10000 callers, {hosts} of 10000 hosts{what}")
        })
        .collect();
    let own = shares().next().filter(|_| upstream.has_local_locality);
    if routing.is_direct() {
        steps.push(match own {
            Some((_, share)) if share.upstream > 0 && share.upstream >= share.local => {
                "here are as many hosts as callers, or more: all requests stay".to_owned()
            }
            Some((zone, _)) => {
                format!(
                    "{} hosts here are healthy, which is enough: all requests stay",
                    zone.healthy
                )
            }
            None => "all requests stay".to_owned(),
        });
        return steps;
    }
    let stays = routing.local_percent_to_route();
    steps.push(match own {
        Some((_, share)) if share.local > 0 => {
            let (hosts, callers) = (share.upstream, share.local);
            format!("here {hosts} × 10000 / {callers} = {stays} of 10000 requests stay")
        }
        Some(_) | None => "no host is here: all requests leave".to_owned(),
    });
    let all = routing.residual_capacity().last().copied().unwrap_or(0);
    if all == 0 {
        steps.push("no zone has capacity left: any takes what leaves".to_owned());
        return steps;
    }
    let elsewhere = shares().skip(usize::from(own.is_some()));
    steps.extend(elsewhere.filter(|(_, share)| share.upstream > share.local).map(
        |(Zone { locality, .. }, share)| {
            let (hosts, callers) = (share.upstream, share.local);
            let spare = hosts.saturating_sub(callers);
            format!("zone {locality}: takes {hosts} - {callers} = {spare} of {all} that leave")
        },
    ));
    steps
}

fn reason(why: NoZoneRouting, config: &ZoneAwareConfig) -> String {
    match why {
        NoZoneRouting::FewerThanTwoUpstreamLocalities => {
            "the hosts are in fewer than two zones".to_owned()
        }
        NoZoneRouting::FewerThanTwoLocalLocalities => {
            "the callers are in fewer than two zones".to_owned()
        }
        NoZoneRouting::LocalClusterNotOk => "no caller is known to be here".to_owned(),
        NoZoneRouting::ClusterTooSmall => {
            format!("fewer than {} hosts are healthy", config.min_cluster_size)
        }
        NoZoneRouting::OtherDataPlane => "the data plane knows no zones".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Callers and hosts by zone; the caller is in the first.
    fn check(callers: &[u32], hosts: &[u32], forced: Option<u32>, expected: &[&str]) {
        let zones = |counts: &[u32]| -> Vec<Zone<usize>> {
            let zone = |(locality, &healthy): (usize, &u32)| Zone {
                locality,
                total: healthy,
                healthy,
                healthy_weight: healthy.into(),
            };
            counts.iter().enumerate().map(zone).collect()
        };
        let (callers, hosts) = (zones(callers), zones(hosts));
        let config =
            ZoneAwareConfig { force_local_zone_min_size: forced, ..ZoneAwareConfig::default() };
        let of = |zones| Zones { zones, has_local_locality: true };
        let steps = explain_zones(&config, &of(&callers), &of(&hosts));
        assert!(
            steps
                .iter()
                .map(String::as_str)
                .rev()
                .take(expected.len())
                .eq(expected.iter().rev().copied()),
            "{steps:?}"
        );
    }

    #[test]
    fn what_stays_and_what_leaves_is_told() {
        check(
            &[4, 4, 2],
            &[5, 10, 5],
            None,
            &[
                "zone 2: 2000 of 10000 callers, 2500 of 10000 hosts",
                "here 2500 × 10000 / 4000 = 6250 of 10000 requests stay",
                "zone 1: takes 5000 - 4000 = 1000 of 1500 that leave",
                "zone 2: takes 2500 - 2000 = 500 of 1500 that leave",
            ],
        );
        check(
            &[1, 1],
            &[0, 6],
            None,
            &[
                "zone 0: 0 of 10000 callers, 0 of 10000 hosts",
                "zone 1: 5000 of 10000 callers, 10000 of 10000 hosts",
                "no host is here: all requests leave",
                "zone 1: takes 10000 - 5000 = 5000 of 5000 that leave",
            ],
        );
    }

    #[test]
    fn why_everything_stays_or_zones_do_not_matter_is_told() {
        check(
            &[1, 1],
            &[3, 3],
            None,
            &["here are as many hosts as callers, or more: all requests stay"],
        );
        check(
            &[4, 1],
            &[3, 3],
            Some(3),
            &["3 hosts here are healthy, which is enough: all requests stay"],
        );
        check(&[1, 1], &[2, 3], None, &["zones do not matter: fewer than 6 hosts are healthy"]);
        check(&[0, 1], &[3, 3], None, &["zones do not matter: no caller is known to be here"]);
        check(
            &[1],
            &[3, 3],
            None,
            &["zones do not matter: the callers are in fewer than two zones"],
        );
    }

    #[test]
    fn weights_that_decide_nothing_are_told() {
        let check = |localities: &[LocalityHosts], expected: &[&str]| {
            let factor = Overprovisioning::default();
            let steps = explain_localities(localities, factor, Availability::Healthy);
            assert_eq!(steps, expected);
        };
        let sick = LocalityHosts { weight: 1, total: 2, ..LocalityHosts::default() };
        check(&[sick], &["no host is healthy: localities do not matter"]);
        let unset = LocalityHosts { weight: 0, healthy: 2, ..sick };
        check(
            &[unset, LocalityHosts::default()],
            &[
                "locality 0: weight = 0 × min(1, 140 % × 2 / 2) = 0",
                "locality 1: no host counts: weight = 0",
                "no locality has weight: all healthy hosts share alike",
            ],
        );
    }
}
