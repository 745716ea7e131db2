//! Retries and overrides: the loads of a request that avoids the priorities it has tried, the host of
//! one that avoids hosts, and the host of one that names it.

/// The host that a request ends up with. `picks` are what the balancer would say, one attempt after the
/// other; hosts in `rejected` are avoided `retries` times.
///
/// All picks that could be made are written down first. Those up to the first that is accepted, or that
/// finds no host, are made; the last one made counts.
pub fn host(picks: &[Option<u32>], rejected: &[Vec<u32>], retries: usize) -> Option<u32> {
    let possible: Vec<Option<u32>> = picks.iter().copied().take(retries + 1).collect();
    let is_wanted = |pick: &&Option<u32>| match pick {
        Some(host) => rejected.iter().all(|list| !list.contains(host)),
        None => true,
    };
    possible.iter().find(is_wanted).or(possible.last()).copied().flatten()
}

/// Why a host is not well, for those who ask by its name.
#[derive(Clone, Copy, Debug, Default)]
pub struct Illness {
    /// It fails active checks.
    pub fails_checks: bool,
    /// It was ejected as an outlier.
    pub is_outlier: bool,
    /// Its checks say that it is degraded.
    pub is_degraded: bool,
}

/// The status of a host, as a word: what the control plane says in `assigned`, unless it is well there
/// and ill in another way.
pub fn status(assigned: &str, ill: Illness) -> &str {
    let strong = ["unhealthy", "draining", "timeout"];
    [
        (ill.fails_checks, "unhealthy"),
        (ill.is_outlier, "unhealthy"),
        (strong.contains(&assigned), assigned),
        (ill.is_degraded, "degraded"),
        (true, assigned),
    ]
    .into_iter()
    .find_map(|(holds, word)| holds.then_some(word))
    .unwrap_or_default()
}

/// What becomes of a request that names a host with a status, if there is one; `allowed` are the
/// statuses that may be named.
pub fn named<'a>(status: Option<&str>, allowed: &[&str], is_strict: bool) -> &'a str {
    let may = status.is_some_and(|status| allowed.contains(&status));
    match (may, is_strict) {
        (true, _) => "that host",
        (false, false) => "any host",
        (false, true) => "no host",
    }
}

/// Healthy and degraded load, a priority.
pub type Loads = Vec<(u32, u32)>;

/// The loads after each of the attempts at these priorities. `health` is healthy and degraded health,
/// a priority; `original` what the balancer gives them; loads are computed every `frequency` attempts.
pub fn previous_priorities(
    health: &[(u32, u32)],
    original: &Loads,
    frequency: usize,
    attempts: &[usize],
) -> Vec<Loads> {
    let mut told = Vec::new();
    // All that is remembered between attempts.
    let (mut attempted, mut excluded) = (Vec::new(), Vec::new());
    let mut last = original.clone();
    for attempt in attempts {
        attempted.push(*attempt);
        if attempted.len() < frequency {
            told.push(original.clone());
            continue;
        }
        if attempted.len().checked_rem(frequency) == Some(0) {
            excluded.extend(attempted.clone());
            let mut left = without(health, &excluded);
            if total(&left) == 0 {
                (attempted, excluded) = (Vec::new(), Vec::new());
                left = health.to_vec();
            }
            if total(&left) == 0 {
                told.push(original.clone());
                continue;
            }
            last = shared(&left);
        }
        told.push(last.clone());
    }
    told
}

fn without(health: &[(u32, u32)], excluded: &[usize]) -> Vec<(u32, u32)> {
    let of = |(at, level): (usize, &(u32, u32))| {
        if excluded.contains(&at) { (0, 0) } else { *level }
    };
    health.iter().enumerate().map(of).collect()
}

fn total(health: &[(u32, u32)]) -> u32 {
    health.iter().map(|level| level.0 + level.1).sum::<u32>().min(100)
}

/// One hundred percent, handed out in rounds.
fn shared(health: &[(u32, u32)]) -> Loads {
    let all = total(health);
    let mut loads: Loads = vec![(0, 0); health.len()];
    let mut left = 100;
    while left > 0 {
        for (load, level) in loads.iter_mut().zip(health) {
            let more = (level.0 * 100 / all.max(1)).min(left);
            load.0 += more;
            left -= more;
        }
        for (load, level) in loads.iter_mut().zip(health) {
            let more = (level.1 * 100 / all.max(1)).min(left);
            load.1 += more;
            left -= more;
        }
    }
    loads
}
