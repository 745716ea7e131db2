//! Picking: scheduling by earliest deadline, rings and Maglev tables, without heap or index.

/// Picks from a list of `weights`, all positive, that was started with `seed`.
pub fn earliest_deadline_first(weights: &[f64], seed: u64, picks: usize) -> Vec<usize> {
    let initial = u32::try_from(seed % (1 << 32)).unwrap_or(0) % 429_496_729;
    let shifted: Vec<f64> = weights.iter().map(|weight| weight + 1e-13).collect();
    let sum = shifted.iter().fold(0.0, |sum, weight| sum + weight);
    // How often each entry was picked already, by its share, and never more than it is due.
    let taken: Vec<u32> = shifted
        .iter()
        .map(|weight| {
            let share = weight * f64::from(initial) / sum;
            let floor = (0..=initial).rev().find(|&n| f64::from(n) <= share).unwrap_or(0);
            let late = f64::from(floor) / weight >= f64::from(initial) / sum;
            if floor > 0 && late { floor - 1 } else { floor }
        })
        .collect();
    let mut now = 0.0;
    // Deadline and age of each entry.
    let mut due: Vec<(f64, usize)> = Vec::new();
    for (entry, (weight, taken)) in shifted.iter().zip(&taken).enumerate() {
        now = f64::max(now, f64::from(*taken) / weight);
        due.push(((f64::from(*taken) + 1.0) / weight, entry));
    }
    let already: u32 = taken.iter().sum();
    let left = usize::try_from(initial - already).unwrap_or(0);
    let mut sequence = Vec::new();
    for age in 0..left + picks {
        let mut next = 0;
        for (entry, deadline) in due.iter().enumerate() {
            if due.get(next).is_none_or(|first| deadline < first) {
                next = entry;
            }
        }
        if let (Some(deadline), Some(weight)) = (due.get_mut(next), weights.get(next)) {
            now = deadline.0;
            *deadline = (now + 1.0 / weight, weights.len() + age);
        }
        sequence.push(next);
    }
    sequence.split_off(left)
}

/// Looks a hash up on a ring of `entries`, each a hash and a host, in any order: the host of the
/// least hash that is not less, else of the least of all.
pub fn ring(entries: &[(u64, u32)], hash: u64) -> Option<u32> {
    let least = |entries: &mut dyn Iterator<Item = &(u64, u32)>| entries.min().copied();
    least(&mut entries.iter().filter(|entry| entry.0 >= hash))
        .or_else(|| least(&mut entries.iter()))
        .map(|(_, host)| host)
}

/// Fills a Maglev table of a prime number of slots. `hosts`, ascending by key, are a host's
/// number, weight (they sum to 1), and the two hashes of its key.
pub fn maglev(slots: u64, hosts: &[(u32, f64, u64, u64)]) -> Vec<u32> {
    let heaviest = hosts.iter().map(|host| host.1).fold(0.0, f64::max);
    let mut table: Vec<Option<u32>> = (0..slots).map(|_| None).collect();
    // How often each host had a turn.
    let mut targets = vec![0.0; hosts.len()];
    let mut round = 0.0;
    while !hosts.is_empty() && table.contains(&None) {
        round += 1.0;
        for ((host, weight, first, second), target) in hosts.iter().zip(&mut targets) {
            if round * weight < *target {
                continue;
            }
            *target += heaviest;
            // The whole permutation of this host, from its beginning.
            let permutation =
                (0..slots).map(|i| (first % slots + i * (second % (slots - 1) + 1)) % slots);
            let free = permutation
                .filter_map(|slot| usize::try_from(slot).ok())
                .find(|&slot| table.get(slot) == Some(&None));
            if let Some(slot) = free.and_then(|slot| table.get_mut(slot)) {
                *slot = Some(*host);
            }
        }
    }
    table.into_iter().flatten().collect()
}
