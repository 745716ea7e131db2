//! Envoy's priority load, panic and choice of a priority, one statement a rule.

/// The hosts of one priority.
#[derive(Clone, Debug)]
pub struct Level {
    /// The overprovisioning factor in percent.
    pub factor: u128,
    /// Numbers of hosts: total, healthy, degraded, excluded.
    pub hosts: [u32; 4],
    /// Sums of weights in the same order, if health is weighted.
    pub weights: Option<[u128; 4]>,
}

/// What the priorities get.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Loads {
    /// What healthy hosts can carry, a priority.
    pub health: Vec<u128>,
    /// What degraded hosts can carry, a priority.
    pub degraded_health: Vec<u128>,
    /// The share of the healthy hosts, a priority.
    pub healthy_load: Vec<u128>,
    /// The share of the degraded hosts, a priority.
    pub degraded_load: Vec<u128>,
    /// Whether the priority is in panic.
    pub panic: Vec<bool>,
}

/// Computes the loads of `levels` at a panic threshold in percent.
pub fn spill(levels: &[Level], threshold: u128) -> Loads {
    let health: Vec<u128> = levels.iter().map(|level| health_of(level, 1)).collect();
    let degraded_health: Vec<u128> = levels.iter().map(|level| health_of(level, 2)).collect();
    let everything: u128 = health.iter().chain(&degraded_health).sum::<u128>().min(100);
    let threshold = threshold.min(100);

    // Truncated shares of one list: all healthy levels, then all degraded ones.
    let capacity: Vec<u128> = health.iter().chain(&degraded_health).copied().collect();
    let mut shares = Vec::new();
    for part in &capacity {
        let given: u128 = shares.iter().sum();
        shares.push((part * 100).checked_div(everything).unwrap_or(0).min(100 - given));
    }
    let first = capacity.iter().position(|part| *part > 0);
    if let Some(at) = first.or((threshold == 0).then_some(0)) {
        let given: u128 = shares.iter().sum();
        shares = add(&shares, at, 100 - given);
    }
    let mut healthy_load: Vec<u128> = shares.iter().copied().take(levels.len()).collect();
    let mut degraded_load: Vec<u128> = shares.iter().copied().skip(levels.len()).collect();

    let panic: Vec<bool> =
        levels.iter().map(|level| everything < 100 && is_panic(level, threshold)).collect();
    if !levels.is_empty() && panic.iter().all(|panic| *panic) {
        let total: u128 = levels.iter().map(|level| u128::from(level.hosts[0])).sum();
        let shares: Vec<u128> = levels
            .iter()
            .map(|level| (u128::from(level.hosts[0]) * 100).checked_div(total).unwrap_or(0))
            .collect();
        let first = levels.iter().position(|level| level.hosts[0] > 0).unwrap_or(0);
        let given: u128 = shares.iter().sum();
        healthy_load = add(&shares, first, 100 - given);
        degraded_load = vec![0; levels.len()];
    }
    Loads { health, degraded_health, healthy_load, degraded_load, panic }
}

fn health_of(level: &Level, kind: usize) -> u128 {
    let counted = level.hosts[0].saturating_sub(level.hosts[3]);
    if counted == 0 {
        return 0;
    }
    let amounts = level.weights.unwrap_or(level.hosts.map(u128::from));
    let total = amounts[0].saturating_sub(amounts[3]);
    let part = amounts.get(kind).copied().unwrap_or(0);
    (level.factor * part).checked_div(total).unwrap_or(0).min(100)
}

/// Panic compares doubles, as Envoy does: two quotients, added.
fn is_panic(level: &Level, threshold: u128) -> bool {
    let [total, healthy, degraded, excluded] = level.hosts;
    let counted = f64::from(total.saturating_sub(excluded).max(1));
    let available = if total <= excluded {
        0.0
    } else {
        100.0 * f64::from(healthy) / counted + 100.0 * f64::from(degraded) / counted
    };
    (1..=threshold).any(|percent| available < f64::from(u8::try_from(percent).unwrap_or(100)))
}

fn add(shares: &[u128], at: usize, more: u128) -> Vec<u128> {
    shares
        .iter()
        .enumerate()
        .map(|(i, share)| if i == at { share + more } else { *share })
        .collect()
}

/// Chooses a priority for a hash: writes out the hundred percents and takes one of them. The
/// answer is the priority and whether its degraded hosts are meant.
pub fn choose(hash: u64, healthy_load: &[u128], degraded_load: &[u128]) -> (usize, bool) {
    let mut percents = Vec::new();
    for (loads, degraded) in [(healthy_load, false), (degraded_load, true)] {
        for (priority, load) in loads.iter().enumerate() {
            for _ in 0..*load {
                percents.push((priority, degraded));
            }
        }
    }
    let wanted = (hash % 100).try_into().unwrap_or(0);
    percents.iter().copied().nth(wanted).unwrap_or((0, false))
}

/// The loads of a client without overprovisioning: `healthy` hosts a priority. Everything goes to the
/// first with any; if none has any, to the last one, where it fails, or (`loses`) nowhere.
pub fn whole_priorities(healthy: &[u32], loses: bool) -> Vec<u128> {
    let last = (!loses).then(|| healthy.len().checked_sub(1)).flatten();
    let taker = healthy.iter().position(|hosts| *hosts > 0).or(last);
    (0..healthy.len()).map(|level| if Some(level) == taker { 100 } else { 0 }).collect()
}

/// What a request to an aggregate cluster may meet.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Row {
    /// Member cluster and priority there of each priority of the row.
    pub levels: Vec<(usize, usize)>,
    /// Their loads.
    pub loads: Loads,
}

/// Lays the priorities of the members of an aggregate cluster in a row. They are all walked by number,
/// the first one of the first member before its second one, and those without hosts struck out.
pub fn aggregate(members: &[Vec<Level>], threshold: u128) -> Row {
    let longest = members.iter().map(Vec::len).max().unwrap_or(0);
    let mut row = Vec::new();
    for number in 0..members.len() * longest {
        let (member, priority) = (number / longest, number % longest);
        if let Some(level) = members.get(member).and_then(|levels| levels.get(priority)) {
            row.push(((member, priority), level.clone()));
        }
    }
    row.retain(|(_, level)| level.hosts[0] != 0);
    let levels: Vec<Level> = row.iter().map(|(_, level)| level.clone()).collect();
    let loads = spill(&levels, threshold);
    Row { levels: row.into_iter().map(|(at, _)| at).collect(), loads }
}

/// What is left of the weight of each locality: `(weight, all, able, excluded)` hosts. None if no host
/// of any is able.
pub fn locality_weights(localities: &[(u32, u32, u32, u32)], factor: u32) -> Option<Vec<f64>> {
    if localities.iter().all(|locality| locality.2 == 0) {
        return None;
    }
    let left = |&(weight, all, able, excluded): &(u32, u32, u32, u32)| {
        if all <= excluded {
            return 0.0;
        }
        let part = f64::from(able) / f64::from(all - excluded);
        f64::from(weight) * f64::min(1.0, f64::from(factor) / 100.0 * part)
    };
    Some(localities.iter().map(left).collect())
}
