//! Outlier detection of a gRPC client, told from beginning to end: nothing is kept but a journal.

/// What is configured: thousandths or percent, the chance of an ejection, and how many endpoints and
/// requests it takes.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// Thousandths of the standard deviation, or percent of failures.
    pub bound: u32,
    /// The chance in percent.
    pub chance: u64,
    /// The least number of endpoints.
    pub endpoints: usize,
    /// The least number of requests.
    pub requests: u32,
}

/// What is configured.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// Success rates far below the mean.
    pub rate: Option<Rule>,
    /// Too many failures.
    pub failures: Option<Rule>,
    /// The time of a first ejection, and the longest.
    pub time: (u64, u64),
    /// The share of ejected endpoints at which no more are.
    pub max_percent: u32,
}

/// A line of the journal.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Line {
    Away(usize, u64),
    Back(usize),
    /// A sweep that found the endpoint in place.
    Calm(usize),
}

/// What is known after a sweep.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct After {
    /// Which endpoints are ejected.
    pub ejected: Vec<bool>,
    /// The multiplier of each.
    pub multipliers: Vec<u64>,
    /// How many ejections count against the limit.
    pub counted: u64,
}

/// Returns what is known after each sweep, given by its time and the successes and failures of each
/// endpoint in the interval before; every draw gives the same number.
pub fn sweeps(rules: Rules, intervals: &[(u64, Vec<(u32, u32)>)], draw: u64) -> Vec<After> {
    let mut journal = Vec::new();
    let mut told = Vec::new();
    for (now, results) in intervals {
        let mut caught: Vec<(usize, Rule)> = Vec::new();
        caught.extend(rules.rate.iter().flat_map(|rule| slow(*rule, results)));
        caught.extend(rules.failures.iter().flat_map(|rule| broken(*rule, results)));
        for (endpoint, rule) in caught {
            let share = float(counted(&journal)) / float(count(results.len())) * 100.0;
            if share < f64::from(rules.max_percent) && draw % 100 < rule.chance {
                journal.push(Line::Away(endpoint, *now));
            }
        }
        for endpoint in 0..results.len() {
            let time =
                (rules.time.0 * multiplier(&journal, endpoint)).min(rules.time.1.max(rules.time.0));
            match since(&journal, endpoint) {
                None => journal.push(Line::Calm(endpoint)),
                Some(since) if *now > since + time => journal.push(Line::Back(endpoint)),
                Some(_) => {}
            }
        }
        let every = 0..results.len();
        told.push(After {
            ejected: every.clone().map(|one| since(&journal, one).is_some()).collect(),
            multipliers: every.map(|one| multiplier(&journal, one)).collect(),
            counted: counted(&journal),
        });
    }
    told
}

/// Since when an endpoint is away.
fn since(journal: &[Line], endpoint: usize) -> Option<u64> {
    let last = journal.iter().rev().find_map(|line| match line {
        Line::Away(who, at) if *who == endpoint => Some(Some(*at)),
        Line::Back(who) if *who == endpoint => Some(None),
        Line::Away(..) | Line::Back(_) | Line::Calm(_) => None,
    });
    last.flatten()
}

/// One more for each time away, one less for each calm sweep.
fn multiplier(journal: &[Line], endpoint: usize) -> u64 {
    journal.iter().fold(0, |multiplier: u64, line| match line {
        Line::Away(who, _) if *who == endpoint => multiplier + 1,
        Line::Calm(who) if *who == endpoint => multiplier.saturating_sub(1),
        Line::Away(..) | Line::Back(_) | Line::Calm(_) => multiplier,
    })
}

/// Who was sent away twice and came back once still counts.
fn counted(journal: &[Line]) -> u64 {
    let number = |of: fn(&&Line) -> bool| count(journal.iter().filter(of).count());
    let away = number(|line| matches!(line, Line::Away(..)));
    away - number(|line| matches!(line, Line::Back(_)))
}

/// The endpoints with enough requests, and their results, if there are enough of them.
fn measured(rule: Rule, results: &[(u32, u32)]) -> Vec<(usize, (u32, u32))> {
    let all = results.iter().copied().enumerate();
    let found: Vec<_> = all.filter(|(_, (ok, failed))| ok + failed >= rule.requests).collect();
    if found.len() < rule.endpoints { Vec::new() } else { found }
}

fn slow(rule: Rule, results: &[(u32, u32)]) -> Vec<(usize, Rule)> {
    let measured = measured(rule, results);
    let rate = |(ok, failed): (u32, u32)| f64::from(ok) / f64::from(ok + failed);
    let number = float(count(measured.len()));
    let mean = measured.iter().fold(0.0, |sum, one| sum + rate(one.1)) / number;
    let square = |one: &(usize, (u32, u32))| (rate(one.1) - mean) * (rate(one.1) - mean);
    let deviation = (measured.iter().fold(0.0, |sum, one| sum + square(one)) / number).sqrt();
    let least = mean - deviation * (f64::from(rule.bound) / 1000.0);
    let caught = measured.iter().filter(|one| rate(one.1) < least);
    caught.map(|one| (one.0, rule)).collect()
}

/// Failures in percent: a quotient times a hundred, as upstream multiplies.
fn broken(rule: Rule, results: &[(u32, u32)]) -> Vec<(usize, Rule)> {
    let percent = |(ok, failed): (u32, u32)| f64::from(failed) / f64::from(ok + failed) * 100.0;
    let is_broken = |result: (u32, u32)| percent(result) > f64::from(rule.bound);
    let caught = measured(rule, results).into_iter().filter(|one| is_broken(one.1));
    caught.map(|one| (one.0, rule)).collect()
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

/// Small numbers only.
fn float(number: u64) -> f64 {
    u32::try_from(number).map_or(f64::INFINITY, f64::from)
}
