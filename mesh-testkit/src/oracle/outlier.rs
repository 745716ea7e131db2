//! Outlier detection from a diary: nothing is counted, everything is looked up in what was written
//! down.

/// What is configured. The arrays by cause are in this order: answers of 500 to 599, of 502 to 504,
/// failures to connect, success rate, the same of connections, failure percentage, the same of
/// connections.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// Consecutive errors that make an outlier, of the first three causes.
    pub consecutive: [usize; 3],
    /// The chance in percent that an outlier is ejected.
    pub enforcing: [u64; 7],
    /// Least number of hosts, least number of requests, thousandths of the deviation.
    pub success_rate: (usize, usize, u32),
    /// Least number of hosts, least number of requests, percent of failures.
    pub failure_percentage: (usize, usize, u32),
    /// The time between sweeps.
    pub interval: u64,
    /// The time of a first ejection, the longest, and the greatest that is added at random.
    pub time: (u64, u64, u64),
    /// The greatest share of hosts, in percent.
    pub max_percent: usize,
    /// Whether one may always be ejected.
    pub always_one: bool,
    /// Whether connections are told apart from answers.
    pub split: bool,
}

/// A line of a host's diary.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Line {
    Code(u16),
    Connection(bool),
    /// A cause (of the first three) was found, and its count begins anew.
    Found(usize),
    /// The host has come back.
    Back(u64),
    /// It was sent away, until then at the earliest.
    Away(u64),
    /// It calls itself degraded, and counts as that until then at the earliest.
    Degraded(u64),
    /// It counts as that no longer.
    Restored(u64),
    Sweep,
}

/// The hosts of a cluster and what has happened to each.
#[derive(Clone, Debug)]
pub struct Diary {
    rules: Rules,
    hosts: Vec<Vec<Line>>,
    backoff: Vec<u64>,
    /// The backoff of degradations.
    weariness: Vec<u64>,
}

impl Diary {
    /// Begins with so many hosts.
    pub fn new(rules: Rules, hosts: usize) -> Self {
        Self {
            rules,
            hosts: vec![Vec::new(); hosts],
            backoff: vec![0; hosts],
            weariness: vec![0; hosts],
        }
    }

    /// Which hosts are away.
    pub fn ejected(&self) -> Vec<bool> {
        self.hosts.iter().map(|host| away(host).is_some()).collect()
    }

    /// How often each was sent away.
    pub fn ejections(&self) -> Vec<usize> {
        let is_away = |line: &&Line| matches!(line, Line::Away(_));
        self.hosts.iter().map(|host| host.iter().filter(is_away).count()).collect()
    }

    /// The backoff of each.
    pub fn backoff(&self) -> &[u64] {
        &self.backoff
    }

    /// Which hosts are degraded.
    pub fn degraded(&self) -> Vec<bool> {
        self.hosts.iter().map(|host| degraded(host).is_some()).collect()
    }

    /// The backoff of the degradations of each.
    pub fn weariness(&self) -> &[u64] {
        &self.weariness
    }

    /// A host says in an answer that it is degraded.
    pub fn degrade(&mut self, host: usize, code: u16, now: u64, draw: u64) {
        let is_known = self.hosts.get(host).is_none_or(|lines| degraded(lines).is_some());
        if is_known || (500..600).contains(&code) {
            return;
        }
        let (base, max, jitter) = self.rules.time;
        if let Some(backoff) = self.weariness.get_mut(host) {
            *backoff += u64::from(*backoff * base < max + base);
            let time = (*backoff * base).min(max) + draw % (jitter + 1);
            self.write(host, Line::Degraded(now + time));
        }
    }

    /// A host answers; every draw gives the same number.
    pub fn answer(&mut self, host: usize, code: u16, now: u64, draw: u64) {
        self.write(host, Line::Code(code));
        let found = [1, 0].map(|cause| (cause, self.is_reached(host, cause)));
        for (cause, _) in found.into_iter().filter(|(_, is_reached)| *is_reached) {
            self.find(host, cause, now, draw);
        }
    }

    /// A connection is made or fails; matters only if they are told apart.
    pub fn connection(&mut self, host: usize, success: bool, now: u64, draw: u64) {
        self.write(host, Line::Connection(success));
        if self.is_reached(host, 2) {
            self.find(host, 2, now, draw);
        }
    }

    /// An active health check passes.
    pub fn checked(&mut self, host: usize, now: u64) {
        if self.hosts.get(host).is_some_and(|lines| away(lines).is_some()) {
            self.write(host, Line::Back(now));
        }
    }

    /// Sweeps all hosts.
    pub fn sweep(&mut self, now: u64, draw: u64) {
        for host in 0..self.hosts.len() {
            let until = self.hosts.get(host).and_then(|lines| away(lines));
            if until.is_some_and(|until| until <= now) {
                self.write(host, Line::Back(now));
            }
            let until = self.hosts.get(host).and_then(|lines| degraded(lines));
            if until.is_some_and(|until| until <= now) {
                self.write(host, Line::Restored(now));
            }
            self.write(host, Line::Sweep);
        }
        for of_connections in [false, true] {
            for (host, cause) in self.outliers(of_connections) {
                self.send_away(host, cause, now, draw);
            }
        }
        let interval = self.rules.interval;
        for (lines, backoff) in self.hosts.iter().zip(&mut self.backoff) {
            let back = lines
                .iter()
                .rev()
                .find_map(|line| if let Line::Back(at) = line { Some(*at) } else { None });
            if away(lines).is_none() && back.is_some_and(|at| now >= at + interval) {
                *backoff = backoff.saturating_sub(1);
            }
        }
        for (lines, backoff) in self.hosts.iter().zip(&mut self.weariness) {
            let restored = lines
                .iter()
                .rev()
                .find_map(|line| if let Line::Restored(at) = line { Some(*at) } else { None });
            if degraded(lines).is_none() && restored.is_some_and(|at| now >= at + interval) {
                *backoff = backoff.saturating_sub(1);
            }
        }
    }

    fn write(&mut self, host: usize, line: Line) {
        if let Some(lines) = self.hosts.get_mut(host) {
            lines.push(line);
        }
    }

    /// Whether the last line makes the count of a cause exactly what is asked for.
    fn is_reached(&self, host: usize, cause: usize) -> bool {
        let lines = self.hosts.get(host).map(Vec::as_slice).unwrap_or_default();
        let counts = |line: &Line| counts(*line, cause);
        let mut count = 0;
        for line in lines.iter().rev() {
            match counts(line) {
                Some(true) => count += 1,
                Some(false) => break,
                None => {}
            }
        }
        lines.last().and_then(counts) == Some(true)
            && self.rules.consecutive.get(cause) == Some(&count)
    }

    fn find(&mut self, host: usize, cause: usize, now: u64, draw: u64) {
        if self.hosts.get(host).is_some_and(|lines| away(lines).is_none()) {
            self.send_away(host, cause, now, draw);
            self.write(host, Line::Found(cause));
        }
    }

    fn send_away(&mut self, host: usize, cause: usize, now: u64, draw: u64) {
        let ejected = self.ejected().iter().filter(|is| **is).count();
        let fits = (ejected + 1) * 100 <= self.rules.max_percent.min(100) * self.hosts.len();
        let may = fits || (self.rules.always_one && ejected == 0);
        let chance = self.rules.enforcing.get(cause).copied().unwrap_or(0);
        let is_here = self.ejected().get(host) == Some(&false);
        if !may || draw % 100 >= chance || !is_here {
            return;
        }
        let (base, max, jitter) = self.rules.time;
        if let Some(backoff) = self.backoff.get_mut(host) {
            if *backoff * base < max + base {
                *backoff += 1;
            }
            let time = (*backoff * base).min(max) + draw % (jitter + 1);
            self.write(host, Line::Away(now + time));
        }
    }

    /// The hosts that answered worse than the others in the interval that has just ended.
    fn outliers(&self, of_connections: bool) -> Vec<(usize, usize)> {
        let (hosts, requests, factor) = self.rules.success_rate;
        let (failing, volume, threshold) = self.rules.failure_percentage;
        if self.hosts.len() < hosts.min(failing) {
            return Vec::new();
        }
        let rates = |volume: usize| -> Vec<(usize, f64)> {
            let of = |(host, lines): (usize, &Vec<Line>)| {
                let (good, all) = interval(lines, of_connections);
                let is_rated = away(lines).is_none() && all > 0 && all >= volume;
                is_rated.then(|| (host, float(good) * 100.0 / float(all)))
            };
            self.hosts.iter().enumerate().filter_map(of).collect()
        };
        let mut found = Vec::new();
        let rated = rates(requests);
        if !rated.is_empty() && rated.len() >= hosts {
            let mean = rated.iter().fold(0.0, |sum, (_, rate)| sum + rate) / float(rated.len());
            let variance = rated.iter().fold(0.0, |sum, (_, r)| sum + (r - mean) * (r - mean));
            let deviation = (variance / float(rated.len())).sqrt();
            let least = mean - f64::from(factor) / 1000.0 * deviation;
            let cause = if of_connections { 4 } else { 3 };
            found.extend(rated.iter().filter(|(_, r)| *r < least).map(|(host, _)| (*host, cause)));
        }
        let rated = rates(volume);
        if !rated.is_empty() && rated.len() >= failing {
            let cause = if of_connections { 6 } else { 5 };
            let fails = |rate: f64| 100.0 - rate >= f64::from(threshold);
            found.extend(rated.iter().filter(|(_, r)| fails(*r)).map(|(host, _)| (*host, cause)));
        }
        found
    }
}

/// The time until which a host is away, if it is.
fn away(lines: &[Line]) -> Option<u64> {
    let last = lines.iter().rev().find(|line| matches!(line, Line::Away(_) | Line::Back(_)))?;
    if let Line::Away(until) = last { Some(*until) } else { None }
}

/// The time until which a host counts as degraded, if it does.
fn degraded(lines: &[Line]) -> Option<u64> {
    let is_of = |line: &&Line| matches!(line, Line::Degraded(_) | Line::Restored(_));
    let last = lines.iter().rev().find(is_of)?;
    if let Line::Degraded(until) = last { Some(*until) } else { None }
}

/// Whether a line adds to the count of a cause, ends it, or has nothing to do with it.
fn counts(line: Line, cause: usize) -> Option<bool> {
    match (line, cause) {
        (Line::Code(code), 0) => Some((500..600).contains(&code)),
        (Line::Code(code), 1) => Some((502..=504).contains(&code)),
        (Line::Connection(success), 2) => Some(!success),
        (Line::Found(found), _) if found == cause => Some(false),
        (Line::Back(_), _) => Some(false),
        _ => None,
    }
}

/// Good and all results between the last two sweeps.
fn interval(lines: &[Line], of_connections: bool) -> (usize, usize) {
    let ended = lines.iter().rposition(|line| *line == Line::Sweep).unwrap_or(0);
    let before = lines.iter().take(ended);
    let results: Vec<bool> = before
        .rev()
        .take_while(|line| **line != Line::Sweep)
        .filter_map(|line| match line {
            Line::Code(code) if !of_connections => Some(!(500..600).contains(code)),
            Line::Connection(success) if of_connections => Some(*success),
            Line::Code(_) | Line::Connection(_) => None,
            Line::Found(_) | Line::Back(_) | Line::Away(_) | Line::Sweep => None,
            Line::Degraded(_) | Line::Restored(_) => None,
        })
        .collect();
    (results.iter().filter(|good| **good).count(), results.len())
}

fn float(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::NAN, f64::from)
}
