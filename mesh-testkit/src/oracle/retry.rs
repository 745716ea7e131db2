//! Retries: the loads of a request that avoids the priorities it has tried.

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
