//! Least request: fewer requests in flight, better chances.
//!
//! Hosts of different weight go through [`Edf`](super::edf::Edf) with a [weight](ActiveRequestBias)
//! that requests in flight lower; hosts of equal weight are sampled or scanned.
use std::fmt;

use super::edf::weight_of;
use crate::number::{Divisor, double, index};

/// How much requests in flight lower the weight of a host: 1 by default, 0 not at all.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ActiveRequestBias(
    // INVARIANT: not NaN, not negative.
    f64,
);

impl Default for ActiveRequestBias {
    fn default() -> Self {
        Self(1.0)
    }
}

impl ActiveRequestBias {
    /// Returns the bias; a negative one or NaN acts as 1.
    pub fn new(bias: f64) -> Self {
        if bias >= 0.0 { Self(bias) } else { Self::default() }
    }

    /// Returns the weight of a host with `active` requests in flight, before slow start.
    ///
    /// # Upstream
    ///
    /// Envoy `source/extensions/load_balancing_policies/least_request/least_request_lb.cc`,
    /// `LeastRequestLoadBalancer::hostWeight`.
    pub fn weight(self, weight: u32, active: u64) -> f64 {
        let weight = weight_of(weight);
        let requests = double(active.saturating_add(1));
        if self.0 == 1.0 {
            weight / requests
        } else if self.0 == 0.0 {
            weight
        } else {
            weight / requests.powf(self.0)
        }
    }
}

/// How many hosts are sampled: 2 by default, never fewer.
///
/// There is no upper bound, as in Envoy, which draws as often as it is told, 4,294,967,295 times a pick
/// if need be. Here a pick of more samples than there are hosts, and more than 64, draws twice: how far
/// down it comes from the least busy hosts, and which of those that are equally busy it is. Each host
/// is as likely as if all samples were drawn.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ChoiceCount(
    // INVARIANT: at least 2.
    u32,
);

/// The number of choices is less than 2.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct InvalidChoiceCount {
    count: u32,
}

impl fmt::Display for InvalidChoiceCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "choice count `{}` is less than 2", self.count)
    }
}

impl std::error::Error for InvalidChoiceCount {}

impl Default for ChoiceCount {
    fn default() -> Self {
        Self(2)
    }
}

impl ChoiceCount {
    /// Returns a count.
    ///
    /// # Errors
    ///
    /// `count` is less than 2.
    pub const fn new(count: u32) -> Result<Self, InvalidChoiceCount> {
        if count < 2 { Err(InvalidChoiceCount { count }) } else { Ok(Self(count)) }
    }
}

/// Samples hosts, repeats allowed, and returns the first sampled one with the fewest requests;
/// none if there are no hosts. Draws one random number a sample, but two in all for
/// [many](ChoiceCount) samples.
///
/// # Upstream
///
/// Envoy `source/extensions/load_balancing_policies/least_request/least_request_lb.cc`,
/// `LeastRequestLoadBalancer::unweightedHostPickNChoices`.
pub fn pick_of_choices(
    hosts: usize,
    choices: ChoiceCount,
    active: impl Fn(usize) -> u64,
    random: impl FnMut() -> u64,
) -> Option<usize> {
    pick_of_choices_in(Divisor::new(hosts), choices, active, random)
}

/// The same of as many hosts as the divisor says, which is worth keeping.
#[inline]
pub(crate) fn pick_of_choices_in(
    hosts: Divisor,
    choices: ChoiceCount,
    active: impl Fn(usize) -> u64,
    mut random: impl FnMut() -> u64,
) -> Option<usize> {
    if hosts.is_zero() {
        return None;
    }
    if choices.0 > ALWAYS_DRAWN && u64::from(choices.0) > hosts.len() {
        return pick_of_many_choices(hosts.len(), choices, active, random);
    }
    let mut best = hosts.index(random())?;
    let mut least = active(best);
    for _ in 1..choices.0 {
        let sample = hosts.index(random())?;
        let requests = active(sample);
        if requests < least {
            (best, least) = (sample, requests);
        }
    }
    Some(best)
}

/// So many samples are drawn of however few hosts.
const ALWAYS_DRAWN: u32 = 64;
/// As many steps down as can be told from none: each is passed with a chance of 1/e at most, since
/// there are as many samples as hosts.
const STEPS: u32 = 64;

/// The pick of at least as many samples as there are hosts, by its chances.
///
/// Hosts that are equally busy are equally likely, and all samples miss the `c` least busy ones of `n`
/// hosts with a chance of `(1 - c/n)^samples`. So one number says how many of them are missed, from the
/// least busy ones up, and another one which of the next it is.
#[cold]
fn pick_of_many_choices(
    hosts: u64,
    choices: ChoiceCount,
    active: impl Fn(usize) -> u64,
    mut random: impl FnMut() -> u64,
) -> Option<usize> {
    let hosts = usize::try_from(hosts).ok()?;
    // The high 53 bits are those of a double from 0 to 1.
    let chance = double(random() >> 11) / double(1 << 53);
    let (mut at_least, mut missed) = (0, 0);
    for _ in 0..STEPS {
        let Some((least, first, equals)) = least_busy(hosts, at_least, &active) else { break };
        missed += equals;
        let rest = double(u64::try_from(hosts.saturating_sub(missed)).ok()?);
        let all = double(u64::try_from(hosts).ok()?);
        if chance >= (rest / all).powf(f64::from(choices.0)) {
            let mut equal = (0..hosts).filter(|host| active(*host) == least);
            // Another thread may have made the last of them busier meanwhile.
            return equal.nth(index(random(), equals)?).or(Some(first));
        }
        let Some(more) = least.checked_add(1) else { break };
        at_least = more;
    }
    pick_of_all(hosts, active, random)
}

/// The fewest requests of all hosts that have at least so many, the first host that has them, and how
/// many do.
fn least_busy(
    hosts: usize,
    at_least: u64,
    active: impl Fn(usize) -> u64,
) -> Option<(u64, usize, usize)> {
    let mut found: Option<(u64, usize, usize)> = None;
    for host in 0..hosts {
        let requests = active(host);
        match &mut found {
            _ if requests < at_least => {}
            Some((least, ..)) if requests > *least => {}
            Some((least, _, equals)) if requests == *least => *equals += 1,
            Some(_) | None => found = Some((requests, host, 1)),
        }
    }
    found
}

/// Looks at every host and returns one with the fewest requests; none if there are no hosts.
/// Draws one random number a tie, so that each of the tied hosts is as likely.
///
/// # Upstream
///
/// Envoy `source/extensions/load_balancing_policies/least_request/least_request_lb.cc`,
/// `LeastRequestLoadBalancer::unweightedHostPickFullScan`.
pub fn pick_of_all(
    hosts: usize,
    active: impl Fn(usize) -> u64,
    mut random: impl FnMut() -> u64,
) -> Option<usize> {
    let mut best: Option<(usize, u64)> = None;
    let mut ties: u64 = 1;
    for host in 0..hosts {
        let requests = active(host);
        match best {
            Some((_, least)) if requests > least => {}
            Some((_, least)) if requests == least => {
                ties += 1;
                if random().is_multiple_of(ties) {
                    best = Some((host, requests));
                }
            }
            Some(_) | None => {
                best = Some((host, requests));
                ties = 1;
            }
        }
    }
    best.map(|(host, _)| host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(active: &[u64], choices: Option<u32>, draws: &[u64], expected: Option<usize>) {
        let mut draws = draws.iter().copied();
        let random = || draws.next().expect("a draw too many");
        let host = match choices {
            Some(count) => {
                let count = ChoiceCount::new(count).unwrap();
                pick_of_choices(active.len(), count, |host| active[host], random)
            }
            None => pick_of_all(active.len(), |host| active[host], random),
        };
        assert_eq!(host, expected);
        assert_eq!(draws.next(), None, "a draw too few");
    }

    #[test]
    fn the_first_of_equals_stays() {
        check(&[1, 1], Some(2), &[1, 0], Some(1));
    }

    #[test]
    fn many_samples_of_few_hosts_are_two_draws() {
        let all = Some(u32::MAX);
        // Four thousand million samples miss nobody: the least busy hosts are as likely.
        check(&[5, 1, 1], all, &[0, 0], Some(1));
        check(&[5, 1, 1], all, &[u64::MAX, 1], Some(2));
        check(&[7], all, &[0, 3], Some(0));
        check(&[u64::MAX, u64::MAX], all, &[0, 1], Some(1));
        // 64 are drawn whatever the number of hosts.
        check(&[1], Some(64), &[0; 64], Some(0));
        check(&[1], Some(65), &[0; 2], Some(0));
    }

    #[test]
    fn hosts_that_get_busy_during_a_pick_do_not_make_it_fail() {
        let calls = std::cell::Cell::new(0_u64);
        let busier = |_: usize| {
            calls.set(calls.get() + 1);
            calls.get()
        };
        for draw in [0, u64::MAX] {
            let count = ChoiceCount::new(1_000).unwrap();
            assert!(pick_of_choices(3, count, busier, || draw).is_some());
        }
        // Those that get idle neither.
        let idler = |_: usize| u64::MAX - busier(0);
        assert!(pick_of_choices(3, ChoiceCount::new(65).unwrap(), idler, || 0).is_some());
    }

    #[test]
    fn many_samples_are_as_likely_as_if_they_were_drawn() {
        // 100 hosts, of which 1 is least busy, 2 are next, and so on; 120 samples.
        let busy = |host: usize| u64::from(host >= 1) + u64::from(host >= 3) + u64::from(host >= 6);
        let count = ChoiceCount::new(120).unwrap();
        let mut state = 7_u64;
        let mut draw = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_889);
            state ^ (state >> 29)
        };
        let (mut drawn, mut told) = ([0_i32; 4], [0_i32; 4]);
        for _ in 0..4_000 {
            let best = (0..120).filter_map(|_| index(draw() >> 20, 100)).map(busy).min();
            drawn[usize::try_from(best.unwrap()).unwrap()] += 1;
            let host = pick_of_choices(100, count, busy, &mut draw).unwrap();
            told[usize::try_from(busy(host)).unwrap()] += 1;
        }
        // By arithmetic 70.1 %, 27.3 %, 2.5 % and 0.06 %.
        for (drawn, told) in drawn.into_iter().zip(told) {
            assert!((drawn - told).abs() < 130, "{drawn} and {told}");
        }
    }

    #[test]
    fn a_scan_draws_only_for_ties_with_the_least() {
        check(&[5, 5, 1, 1, 5], None, &[1, 0], Some(3));
    }

    #[test]
    fn without_hosts_nothing_is_drawn() {
        check(&[], Some(2), &[], None);
        check(&[], None, &[], None);
    }

    #[test]
    fn a_bias_that_makes_no_sense_acts_as_one() {
        for bias in [-1.0, f64::NAN] {
            assert_eq!(ActiveRequestBias::new(bias), ActiveRequestBias::default());
        }
        assert_eq!(ActiveRequestBias::new(2.0).weight(9, 2).to_bits(), 1.0_f64.to_bits());
    }

    #[test]
    fn one_choice_is_no_choice() {
        let message = ChoiceCount::new(1).unwrap_err().to_string();
        assert_eq!(message, "choice count `1` is less than 2");
    }
}
