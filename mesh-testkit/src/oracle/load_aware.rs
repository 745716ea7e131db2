//! Load-aware localities from a diary: every report that was ever made is written down, and what is smoothed
//! is computed from the first day on, each time.

/// The settings.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// The part of a new mean.
    pub alpha: f64,
    /// How much busier here may be.
    pub threshold: f64,
    /// The least part of others.
    pub probe: f64,
    /// How long a report counts.
    pub expiration: u64,
}

/// Of a host, its reports: when, and how busy.
pub type Reports = Vec<(u64, f64)>;

/// The weights of localities at the last of the days, of which one is the caller's own: the first.
pub fn weights(rules: &Rules, localities: &[Vec<Reports>], days: &[u64]) -> Vec<f64> {
    let hosts: Vec<f64> = localities.iter().map(|hosts| float(hosts.len())).collect();
    let known: Vec<Known> = localities.iter().map(|hosts| known(rules, hosts, days)).collect();
    let busy = |known: &Known| match known {
        Known::Never => 0.0,
        Known::Fresh(busy) | Known::Stale(busy) => *busy,
    };
    let left: Vec<f64> = known
        .iter()
        .zip(&hosts)
        .map(|(known, hosts)| match known {
            Known::Stale(_) => *hosts,
            Known::Never | Known::Fresh(_) => hosts * (1.0 - busy(known)).max(0.0),
        })
        .collect();
    let (here, elsewhere) = (hosts.first().copied().unwrap_or(0.0), sum(hosts.iter().skip(1)));
    if sum(left.iter()) == 0.0 {
        return hosts;
    }
    let others = known.iter().zip(&hosts).skip(1).map(|(known, hosts)| busy(known) * hosts);
    let mean = others.fold(0.0, |sum, one| sum + one) / elsewhere;
    let is_calm = known.first().is_some_and(|own| busy(own) <= mean + rules.threshold);
    let stays = here > 0.0 && elsewhere > 0.0 && is_calm;
    let before: Vec<f64> = match stays {
        true => (0..hosts.len()).map(|at| if at == 0 { 1.0 } else { 0.0 }).collect(),
        false => left,
    };
    let total = sum(before.iter());
    let lacking = rules.probe * total - sum(before.iter().skip(1));
    let own = before.first().copied().unwrap_or(0.0);
    let taken = if elsewhere > 0.0 && rules.probe > 0.0 { lacking.clamp(0.0, own) } else { 0.0 };
    let moved = |(at, (weight, hosts)): (usize, (&f64, &f64))| match at {
        0 => weight - taken,
        _ if elsewhere > 0.0 => weight + taken * hosts / elsewhere,
        _ => *weight,
    };
    before.iter().zip(&hosts).enumerate().map(moved).collect()
}

/// What is known of how busy a locality is.
enum Known {
    Never,
    Fresh(f64),
    Stale(f64),
}

fn known(rules: &Rules, hosts: &[Reports], days: &[u64]) -> Known {
    let mut known = Known::Never;
    for day in days {
        let fresh: Vec<f64> = hosts
            .iter()
            .filter_map(|reports| {
                let (when, busy) = reports.iter().rfind(|(when, _)| when <= day)?;
                let counts = rules.expiration == 0 || day - when <= rules.expiration;
                counts.then_some(*busy)
            })
            .collect();
        let mean = sum(fresh.iter()) / float(fresh.len());
        known = match (known, fresh.is_empty()) {
            (Known::Never, true) => Known::Never,
            (Known::Never, false) => Known::Fresh(mean),
            (Known::Fresh(before) | Known::Stale(before), true) => Known::Stale(before),
            (Known::Fresh(before) | Known::Stale(before), false) => {
                Known::Fresh(rules.alpha * mean + (1.0 - rules.alpha) * before)
            }
        };
    }
    known
}

fn sum<'n>(numbers: impl Iterator<Item = &'n f64>) -> f64 {
    numbers.fold(0.0, |sum, number| sum + number)
}

fn float(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::NAN, f64::from)
}
