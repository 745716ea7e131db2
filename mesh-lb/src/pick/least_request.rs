//! Least request: fewer requests in flight, better chances.
//!
//! Hosts of different weight go through [`Edf`](super::edf::Edf) with a [weight](ActiveRequestBias)
//! that requests in flight lower; hosts of equal weight are sampled or scanned.
use std::fmt;

use super::edf::weight_of;
use crate::number::{Divisor, double};

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
/// none if there are no hosts. Draws one random number a sample.
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
