//! The lists that hosts are picked from, and the tables that stand for them.
use std::sync::Arc;

use super::host::{Host, Traffic};
use super::level::{Level, LevelInput};
use super::policy::{Algorithm, BalancerPolicy, Selection};
use crate::number::index;
use crate::pick::bounded_load::HashBalanceFactor;
use crate::pick::edf::{Edf, InSlowStart, is_scheduled, weight_of};
use crate::pick::least_request::{pick_of_all, pick_of_choices};
use crate::pick::maglev::Maglev;
use crate::pick::ring_hash::Ring;
use crate::pick::round_robin::RoundRobin;
use crate::pick::turns::Turns;
use crate::pick::weight::NormalizedWeights;

/// One list of hosts: healthy or degraded ones, of a priority or a locality, or all of a priority.
#[derive(Debug)]
pub(super) struct Source {
    /// The places of the hosts in their level.
    hosts: Box<[u32]>,
    turn: Arc<RoundRobin>,
    /// None if all hosts weigh the same, and none is warming up.
    schedule: Option<Schedule>,
}

/// Turns by weight.
#[derive(Debug)]
enum Schedule {
    /// By weights that stay as they are.
    Fixed(Turns),
    /// By weights that are asked for at each turn: hosts warm up, or requests in flight count.
    Moving(Box<Edf>),
}

impl Source {
    /// `turn` is where this list had got to before an update, if it was there.
    pub(super) fn new(
        hosts: Box<[u32]>,
        turn: Option<Arc<RoundRobin>>,
        level: &LevelInput,
        policy: &BalancerPolicy,
    ) -> Self {
        let turn = turn.unwrap_or_else(|| Arc::new(RoundRobin::new(policy.seed)));
        let own = |&host| at(level.hosts(), host).map_or(1, |host| own_weight(policy, host));
        let weights: Vec<u32> = hosts.iter().map(own).collect();
        let by_turns =
            matches!(policy.algorithm, Algorithm::RoundRobin | Algorithm::LeastRequest { .. });
        let schedule = (by_turns && is_scheduled(&weights, level.in_slow_start)).then(|| {
            let stays = level.in_slow_start == InSlowStart::No
                && level.now_ms.is_none()
                && policy.algorithm == Algorithm::RoundRobin;
            if stays {
                let weights: Vec<f64> = weights.iter().copied().map(weight_of).collect();
                return Schedule::Fixed(Turns::with_picks(&weights, policy.seed));
            }
            let entries = u32::try_from(hosts.len()).unwrap_or(u32::MAX);
            let weigh = |entry| weight(policy, &hosts, level.hosts(), entry, level.now_ms);
            Schedule::Moving(Box::new(Edf::with_picks(entries, policy.seed, weigh)))
        });
        Self { hosts, turn, schedule }
    }

    pub(super) const fn turn(&self) -> &Arc<RoundRobin> {
        &self.turn
    }

    /// Returns the place of a host in its level.
    #[inline]
    pub(super) fn pick(
        &self,
        policy: &BalancerPolicy,
        level: &[Host],
        hash: u64,
        now_ms: Option<u64>,
        random: impl FnMut() -> u64,
    ) -> Option<u32> {
        if let Some(schedule) = &self.schedule {
            let entry = match schedule {
                Schedule::Fixed(turns) => turns.pick(),
                Schedule::Moving(edf) => {
                    edf.pick(|entry| weight(policy, &self.hosts, level, entry, now_ms))
                }
            };
            return at(&self.hosts, entry?).copied();
        }
        let count = self.hosts.len();
        let place = match policy.algorithm {
            Algorithm::RoundRobin => self.turn.pick(count),
            Algorithm::Random => index(hash, count),
            Algorithm::LeastRequest { selection, .. } => {
                let active = |place: usize| {
                    let host = self.hosts.get(place).and_then(|&host| at(level, host));
                    host.map_or(0, |host| u64::from(host.active()))
                };
                match selection {
                    Selection::Choices(choices) => pick_of_choices(count, choices, active, random),
                    Selection::FullScan => pick_of_all(count, active, random),
                }
            }
            Algorithm::RingHash { .. } | Algorithm::Maglev { .. } | Algorithm::Passthrough => None,
        }?;
        self.hosts.get(place).copied()
    }
}

#[inline]
fn at<T>(list: &[T], place: u32) -> Option<&T> {
    list.get(usize::try_from(place).ok()?)
}

#[inline]
const fn own_weight(policy: &BalancerPolicy, host: &Host) -> u32 {
    if policy.spread.host_weighted { host.weight() } else { 1 }
}

/// The weight of a host when it is put back in the schedule.
#[inline]
fn weight(
    policy: &BalancerPolicy,
    hosts: &[u32],
    level: &[Host],
    entry: u32,
    now_ms: Option<u64>,
) -> f64 {
    let Some(host) = at(hosts, entry).and_then(|&host| at(level, host)) else { return 1.0 };
    let own = own_weight(policy, host);
    let weight = match policy.algorithm {
        Algorithm::LeastRequest { bias, .. } => bias.weight(own, host.active().into()),
        Algorithm::RoundRobin
        | Algorithm::Random
        | Algorithm::RingHash { .. }
        | Algorithm::Maglev { .. }
        | Algorithm::Passthrough => weight_of(own),
    };
    match now_ms {
        None => weight,
        Some(now) => {
            let since = host.since_healthy_ms(now);
            policy.slow_start.weight(weight, host.health().coarse(), since)
        }
    }
}

/// A ring or table over the hosts of a level.
#[derive(Debug)]
pub(super) struct Table {
    /// The places in their level of the hosts that the table numbers.
    hosts: Box<[u32]>,
    weights: NormalizedWeights,
    kind: Kind,
    bound: Option<HashBalanceFactor>,
}

#[derive(Debug)]
enum Kind {
    Ring(Ring),
    Maglev(Maglev),
}

/// As many hosts as bounded load shuffles without allocating.
const SHUFFLED_IN_PLACE: usize = 1024;

impl Table {
    /// Builds the table that an algorithm asks for, of hosts by locality; none if it asks for none.
    pub(super) fn new(
        algorithm: &Algorithm,
        hosts: Box<[u32]>,
        weights: NormalizedWeights,
        level: &[Host],
    ) -> Option<Self> {
        let key = |number| {
            let host = at(&hosts, number).and_then(|&host| at(level, host));
            host.map_or("", Host::address)
        };
        let (kind, bound) = match algorithm {
            Algorithm::RingHash { config, bound } => {
                (Kind::Ring(Ring::new(config, &weights, key)), *bound)
            }
            Algorithm::Maglev { size, bound } => {
                (Kind::Maglev(Maglev::new(*size, &weights, key)), *bound)
            }
            Algorithm::RoundRobin
            | Algorithm::LeastRequest { .. }
            | Algorithm::Random
            | Algorithm::Passthrough => return None,
        };
        Some(Self { hosts, weights, kind, bound })
    }

    /// Returns the place of a host in its level.
    #[inline]
    pub(super) fn pick(
        &self,
        level: &Level,
        hash: u64,
        attempt: u32,
        traffic: &Traffic,
    ) -> Option<u32> {
        let base = match &self.kind {
            Kind::Ring(ring) => ring.pick(hash, attempt),
            Kind::Maglev(maglev) => maglev.pick(hash, attempt),
        }?;
        let number = match self.bound {
            None => base,
            Some(bound) => self.bounded(bound, base, level, hash, traffic),
        };
        at(&self.hosts, number).copied()
    }

    fn bounded(
        &self,
        bound: HashBalanceFactor,
        base: u32,
        level: &Level,
        hash: u64,
        traffic: &Traffic,
    ) -> u32 {
        let active = |number| {
            let host = at(&self.hosts, number).and_then(|&host| at(level.hosts(), host));
            host.map_or(0, |host| u64::from(host.active()))
        };
        let slots = bound.slots(traffic.active());
        if slots.overload(self.weights.of(base), active(base)) <= 1.0 {
            return base;
        }
        let count = self.weights.hosts().len();
        let mut in_place = [0; SHUFFLED_IN_PLACE];
        match in_place.get_mut(..count) {
            Some(scratch) => slots.pick(base, hash, &self.weights, active, scratch),
            None => slots.pick(base, hash, &self.weights, active, &mut vec![0; count]),
        }
    }
}
