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

/// The least busy of the hosts that are drawn; of equals the one that was drawn first.
pub fn least_of_drawn(active: &[u64], draws: &[u64]) -> Option<usize> {
    let hosts = u64::try_from(active.len()).ok()?;
    let drawn = draws.iter().filter_map(|draw| usize::try_from(draw.checked_rem(hosts)?).ok());
    drawn.min_by_key(|&host| active.get(host))
}

/// The least busy of all hosts. Each that is as busy as the least before it draws a number; of the least
/// busy ones the last wins whose number is divisible by how many of them there are up to it. Returns how
/// many numbers were drawn, too.
pub fn least_of_all(active: &[u64], draws: &[u64]) -> (Option<usize>, usize) {
    let ties = |&host: &usize| {
        let before = active.get(..host).and_then(|before| before.iter().min());
        before.is_some() && before == active.get(host)
    };
    let drawing: Vec<usize> = (0..active.len()).filter(ties).collect();
    let draw_of = |host: usize| {
        let place = drawing.iter().position(|&drawing| drawing == host);
        place.and_then(|place| draws.get(place)).copied()
    };
    let least = active.iter().min();
    let best: Vec<usize> = (0..active.len()).filter(|&host| active.get(host) == least).collect();
    let wins = |&(count, host): &(u64, usize)| draw_of(host).is_none_or(|draw| draw % count == 0);
    let best = (1..).zip(best).filter(wins).map(|(_, host)| host);
    (best.last(), drawing.len())
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

/// Builds a ring of hosts, each with its weight (they sum to 1); `hash` is that of a host's so many-th
/// entry. The entries, ascending by hash; equal hashes by host.
pub fn ring_entries(
    weights: &[f64],
    (minimum, maximum): (f64, f64),
    hash: impl Fn(usize, u32) -> u64,
) -> Vec<(u64, usize)> {
    let least = weights.iter().copied().fold(1.0, f64::min);
    let scale = f64::min((least * minimum).ceil() / least, maximum);
    let mut entries = Vec::new();
    let (mut placed, mut due) = (0.0, 0.0);
    for (host, weight) in weights.iter().enumerate() {
        due += scale * weight;
        let mut entry = 0;
        while placed < due {
            entries.push((hash(host, entry), host));
            entry += 1;
            placed += 1.0;
        }
    }
    entries.sort();
    entries
}

/// The host of a request that a ring or table sends to `base`, if no host may carry much more than its
/// share: `hosts` are weight (they sum to 1) and requests in flight, `factor` percent of the share.
pub fn bounded_load(base: usize, hash: u64, factor: u32, hosts: &[(f64, u32)]) -> usize {
    let active: u32 = hosts.iter().map(|host| host.1).sum();
    let all = f64::from(((active + 1) * factor).div_ceil(100));
    let overload: Vec<f64> = hosts
        .iter()
        .map(|&(weight, active)| f64::from(active) / (all * weight).ceil().max(1.0))
        .collect();
    let of = |host: usize| overload.get(host).copied().unwrap_or(f64::INFINITY);
    // The whole shuffle first, then the search.
    let mut order: Vec<usize> = (0..hosts.len()).collect();
    let mut numbers = mersenne_twister(hash).into_iter();
    for at in 0..order.len() {
        let left = u64::try_from(order.len() - at).unwrap_or(1);
        let width = (1_u64 << 32) / left;
        let drawn = numbers.by_ref().map(|number| u64::from(number) / width).find(|n| *n < left);
        let offset = drawn.and_then(|drawn| usize::try_from(drawn).ok()).unwrap_or(0);
        order.swap(at, at + offset);
    }
    let others: Vec<usize> = order.into_iter().filter(|&host| host != base).collect();
    if of(base) <= 1.0 {
        return base;
    }
    let fit = others.iter().copied().find(|&host| of(host) <= 1.0);
    fit.unwrap_or_else(|| {
        others.iter().fold(base, |best, &host| if of(host) < of(best) { host } else { best })
    })
}

/// The first numbers of MT19937, seeded by the low half of a number: textbook, a round a time.
fn mersenne_twister(seed: u64) -> Vec<u32> {
    let low = |number: u64| u32::try_from(number & 0xffff_ffff).unwrap_or(0);
    let mut state: Vec<u32> = vec![low(seed)];
    for i in 1..624_u64 {
        let last = u64::from(state.last().copied().unwrap_or(0));
        state.push(low(1_812_433_253 * (last ^ (last >> 30)) + i));
    }
    // What comes next depends on what was 624, 623 and 227 before.
    for next in 624..3 * 624_usize {
        let back = |by: usize| next.checked_sub(by).and_then(|at| state.get(at)).copied();
        let [first, second, far] = [624, 623, 227].map(|by| back(by).unwrap_or(0));
        let mixed = (first & 0x8000_0000) | (second & 0x7fff_ffff);
        let twist = if mixed.is_multiple_of(2) { 0 } else { 0x9908_b0df };
        state.push(far ^ (mixed >> 1) ^ twist);
    }
    let temper = |number: &u32| {
        let mut number = *number;
        number ^= number >> 11;
        number ^= (number << 7) & 0x9d2c_5680;
        number ^= (number << 15) & 0xefc6_0000;
        number ^ (number >> 18)
    };
    state.iter().skip(624).map(temper).collect()
}

/// The weight of a healthy host that has been so for `since` of the `window` milliseconds that it takes
/// to warm up.
pub fn slow_start(
    weight: f64,
    since: u32,
    window: u32,
    aggression: f64,
    floor_percent: f64,
) -> f64 {
    if since >= window {
        return weight;
    }
    let time = f64::from(since.max(1)) / f64::from(window);
    let risen = if aggression == 1.0 { time } else { time.powf(1.0 / aggression) };
    weight * f64::max(risen, floor_percent / 100.0)
}

/// Of each host its reports: when, queries a second, errors a second, utilization.
pub type Reports = Vec<(u64, f64, f64, f64)>;

/// The weights of hosts by what they have reported before each time that they are asked for, ascending. A
/// report counts once its host has reported for `blackout`, and no longer than `expiration`.
pub fn reported_weights(
    hosts: &[Reports],
    asked: &[u64],
    (blackout, expiration): (u64, u64),
    penalty: f64,
) -> Vec<Vec<u32>> {
    let known: Vec<Vec<Option<u32>>> =
        hosts.iter().map(|one| known(one, asked, (blackout, expiration), penalty)).collect();
    let weights = |at: usize| {
        let here: Vec<Option<u32>> =
            known.iter().map(|one| one.get(at).copied().flatten()).collect();
        let mut sorted: Vec<u64> = here.iter().flatten().map(|weight| u64::from(*weight)).collect();
        sorted.sort_unstable();
        let from_below = sorted.get(sorted.len().saturating_sub(1) / 2).copied().unwrap_or(1);
        let from_above = sorted.get(sorted.len() / 2).copied().unwrap_or(1);
        let median = u32::try_from((from_below + from_above) / 2).unwrap_or(u32::MAX);
        here.iter().map(|weight| weight.unwrap_or(median).max(1)).collect()
    };
    (0..asked.len()).map(weights).collect()
}

fn known(
    reports: &Reports,
    asked: &[u64],
    (blackout, expiration): (u64, u64),
    penalty: f64,
) -> Vec<Option<u32>> {
    let told: Vec<(u64, u32)> = reports
        .iter()
        .filter_map(|&(then, queries, errors, utilization)| {
            let busy = utilization + penalty * errors / queries;
            if !(queries > 0.0 && busy > 0.0) {
                return None;
            }
            let weight = queries / busy;
            let truncated = (0..u32::MAX).take_while(|whole| f64::from(*whole) <= weight).last();
            Some((then, truncated.unwrap_or(0)))
        })
        .collect();
    // When it was last found out that the host had fallen silent.
    let mut silent = None;
    let at = |now: &u64| {
        let since =
            told.iter().map(|one| one.0).find(|then| silent.is_none_or(|end| *then > end))?;
        let (last, weight) = told.iter().rev().find(|one| one.0 <= *now).copied()?;
        if since > *now || now - since < blackout {
            return None;
        }
        if now - last > expiration {
            silent = Some(*now);
            return None;
        }
        Some(weight)
    };
    asked.iter().map(at).collect()
}

/// The smoothed round-trip time of a host, in the seconds that it is asked for: `samples` are how long an
/// answer took and when it came, in the order in which they are taken up at `now`; all of them count.
///
/// Written out: each sample counts its part, and what all later ones leave of it.
pub fn peak_ewma(samples: &[(f64, f64)], decay: f64, now: f64) -> f64 {
    let part = |(at, (_, when)): (usize, &(f64, f64))| match now - when {
        _ if at == 0 => 1.0,
        age if age > 0.0 => 1.0 - (-age / decay).exp(),
        _ => 1.0,
    };
    let parts: Vec<f64> = samples.iter().enumerate().map(part).collect();
    let left = |at: usize| parts.iter().skip(at + 1).map(|part| 1.0 - part).product::<f64>();
    let counted = samples.iter().zip(&parts).enumerate();
    counted.map(|(at, ((rtt, _), part))| rtt * part * left(at)).sum()
}

/// The cheaper of two hosts: requests in flight and round-trip time, none if it was never measured. Both
/// are named by a number.
pub fn cheaper_of_two(hosts: &[(u32, Option<f64>)], draw: u64) -> Option<usize> {
    let count = u64::try_from(hosts.len()).ok().filter(|count| *count > 0)?;
    let named = [draw % count, (draw / 65_536) % count];
    let [first, second] = match named {
        [one, same] if one == same => [one, (one + 1) % count],
        two => two,
    };
    let cost = |host: u64| {
        let (active, measured) = *hosts.get(usize::try_from(host).ok()?)?;
        let by_time = f64::from(active + 1);
        Some(match measured {
            Some(rtt) => rtt * by_time,
            None if active > 0 => 1_000_000.0 + f64::from(active),
            None => 10.0 * by_time,
        })
    };
    let winner = match cost(first)?.partial_cmp(&cost(second)?)? {
        std::cmp::Ordering::Less => first,
        std::cmp::Ordering::Greater => second,
        std::cmp::Ordering::Equal if draw % 2 == 1 => first,
        std::cmp::Ordering::Equal => second,
    };
    usize::try_from(winner).ok()
}
