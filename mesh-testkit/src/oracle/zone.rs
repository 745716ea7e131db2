//! Zone-aware routing, with the part that leaves written out ten-thousandth by ten-thousandth.

/// The hosts of one locality, of the callers' own cluster or of the one that is called.
#[derive(Clone, Copy, Debug)]
pub struct Zone {
    /// Which locality.
    pub locality: u32,
    /// All hosts.
    pub total: u64,
    /// The healthy ones.
    pub healthy: u64,
    /// The weight of the healthy ones.
    pub weight: u64,
}

/// What is configured.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// The least number of healthy hosts.
    pub min_cluster_size: u64,
    /// As many healthy local hosts keep everything.
    pub force_local: Option<u64>,
    /// Whether weights are compared instead of numbers.
    pub by_weight: bool,
}

/// How requests find their locality.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Routing {
    /// The ten-thousandths that stay in the first locality.
    pub stays: u64,
    /// The locality of each ten-thousandth of spare capacity.
    pub leaves: Vec<usize>,
}

/// Computes the routing; `None` where zones do not matter. `fleet_is_local` and `hosts_are_local` say
/// whether the first locality of each is the caller's own.
pub fn routing(
    rules: Rules,
    (fleet, fleet_is_local): (&[Zone], bool),
    (hosts, hosts_are_local): (&[Zone], bool),
) -> Option<Routing> {
    let healthy: u64 = hosts.iter().map(|zone| zone.healthy).sum();
    let knows_itself = fleet_is_local && fleet.first().is_some_and(|zone| zone.total > 0);
    let has_choice = hosts.len() >= 2 && (fleet.len() >= 2 || rules.force_local.is_some());
    if !has_choice || !knows_itself || healthy < rules.min_cluster_size {
        return None;
    }
    let value = |zone: &Zone| u128::from(if rules.by_weight { zone.weight } else { zone.healthy });
    let share = |zone: &Zone, all: &[Zone]| {
        let sum: u128 = all.iter().map(value).sum();
        (10_000 * value(zone)).checked_div(sum).unwrap_or(0)
    };
    let has = |zone: &Zone| if zone.healthy == 0 { 0 } else { share(zone, hosts) };
    let needs = |zone: &Zone| {
        let same = fleet.iter().find(|f| f.locality == zone.locality && f.healthy > 0);
        if zone.healthy == 0 { 0 } else { same.map_or(0, |callers| share(callers, fleet)) }
    };
    let own = hosts.first().filter(|_| hosts_are_local);
    let keeps_all = own.is_some_and(|own| {
        (has(own) > 0 && has(own) >= needs(own))
            || rules.force_local.is_some_and(|least| own.healthy >= least)
    });
    if keeps_all {
        return Some(Routing { stays: 10_000, leaves: Vec::new() });
    }
    let stays = own.and_then(|own| (10_000 * has(own)).checked_div(needs(own))).unwrap_or(0);
    let mut leaves = Vec::new();
    for (at, zone) in hosts.iter().enumerate() {
        if at == 0 && hosts_are_local {
            continue;
        }
        for _ in needs(zone)..has(zone) {
            leaves.push(at);
        }
    }
    Some(Routing { stays: u64::try_from(stays).unwrap_or(u64::MAX), leaves })
}

/// The locality of a request with these draws, of so many.
pub fn locality(routing: &Routing, localities: usize, draws: [u64; 2]) -> usize {
    let wide = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    if draws[0] % 10_000 < routing.stays {
        return 0;
    }
    // Without spare capacity any locality will do.
    let all: Vec<usize> =
        if routing.leaves.is_empty() { (0..localities).collect() } else { routing.leaves.clone() };
    let at = draws[1].checked_rem(wide(all.len())).and_then(|at| usize::try_from(at).ok());
    at.and_then(|at| all.get(at)).copied().unwrap_or(0)
}
