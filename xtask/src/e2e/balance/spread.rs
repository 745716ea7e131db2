//! The shares of hosts that no [`Balancer`](mesh_lb::Balancer) stands for: those of subsets.
use std::collections::BTreeMap;

use mesh_lb::health::status::CoarseHealth;
use mesh_lb::load::{DataPlane, LevelHosts, PanicThreshold, PriorityLoad};

use super::site::{SiteHost, server_name};

/// Shares in percent, by host.
pub(super) type Shares = BTreeMap<String, f64>;

/// Spreads requests over priorities by load, and within them over hosts of the right health alike;
/// `levels` are the numbers of hosts by priority.
pub(super) fn alike(levels: &[Vec<usize>], hosts: &[SiteHost], threshold: u32) -> Shares {
    let of = |class: CoarseHealth, level: &[usize]| -> Vec<usize> {
        let is =
            |at: &&usize| hosts.get(**at).is_some_and(|host| host.host_health().coarse() == class);
        level.iter().filter(is).copied().collect()
    };
    let narrow = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    let counted: Vec<LevelHosts> = levels
        .iter()
        .map(|level| LevelHosts {
            degraded: narrow(of(CoarseHealth::Degraded, level).len()),
            excluded: narrow(level.iter().filter(|&&at| is_excluded(hosts, at)).count()),
            ..LevelHosts::healthy_of(
                narrow(of(CoarseHealth::Healthy, level).len()),
                narrow(level.len()),
            )
        })
        .collect();
    let mut load = PriorityLoad::default();
    load.spill(DataPlane::Envoy, &counted, PanicThreshold::new(threshold));
    let mut shares = Shares::new();
    for (level, load) in levels.iter().zip(load.levels()) {
        let (healthy, degraded) = (load.healthy_load.get(), load.degraded_load.get());
        let among = |class| if load.panic { level.clone() } else { of(class, level) };
        add(&mut shares, &among(CoarseHealth::Healthy), healthy.into());
        add(&mut shares, &among(CoarseHealth::Degraded), degraded.into());
    }
    shares
}

/// Adds a share, to be divided alike.
pub(super) fn add(shares: &mut Shares, hosts: &[usize], share: f64) {
    let count = u32::try_from(hosts.len()).unwrap_or(u32::MAX);
    for &host in hosts.iter().filter(|_| share > 0.0) {
        *shares.entry(server_name(host)).or_default() += share / f64::from(count);
    }
}

fn is_excluded(hosts: &[SiteHost], at: usize) -> bool {
    hosts.get(at).is_some_and(|host| host.host_health().is_excluded())
}
