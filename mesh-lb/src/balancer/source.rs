//! The lists that hosts are picked from, and the tables that stand for them.
use std::sync::Arc;

use super::host::{Host, HostState, Traffic};
use super::level::{Level, LevelInput};
use super::policy::{Algorithm, BalancerPolicy, Selection};
use crate::number::Divisor;
use crate::pick::bounded_load::HashBalanceFactor;
use crate::pick::edf::{Edf, InSlowStart, is_scheduled, weight_of};
use crate::pick::least_request::{pick_of_all, pick_of_choices_in};
use crate::pick::maglev::Maglev;
use crate::pick::ring_hash::Ring;
use crate::pick::round_robin::RoundRobin;
use crate::pick::turns::Turns;
use crate::pick::weight::NormalizedWeights;

/// One list of hosts: healthy or degraded ones, of a priority or a locality, or all of a priority.
#[derive(Debug, Default)]
pub(super) struct Source {
    /// The places of the hosts in their level.
    hosts: Box<[u32]>,
    len: Divisor,
    /// What counts their requests, in the same order; of least request only.
    counters: Box<[Arc<HostState>]>,
    /// The weight of each host and all those before it; of random picks by weight only.
    sums: Box<[u64]>,
    /// Where each worker has got to.
    workers: Box<[Turn]>,
}

/// Where one worker has got to in a list.
#[derive(Debug)]
struct Turn {
    among_equals: Arc<RoundRobin>,
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
    /// `turns` says where a worker has got to among hosts of equal weight.
    pub(super) fn new(
        hosts: Box<[u32]>,
        mut turns: impl FnMut(usize) -> Arc<RoundRobin>,
        level: &LevelInput,
        policy: &BalancerPolicy,
    ) -> Self {
        let host = |&host: &u32| at(level.hosts(), host);
        let weights: Vec<u32> = hosts
            .iter()
            .map(|place| host(place).map_or(1, |host| own_weight(policy, host)))
            .collect();
        let counters = match policy.algorithm {
            Algorithm::LeastRequest { .. } => {
                hosts.iter().filter_map(host).map(|host| Arc::clone(host.state())).collect()
            }
            Algorithm::RoundRobin
            | Algorithm::ClientSide(_)
            | Algorithm::Random
            | Algorithm::RandomByWeight
            | Algorithm::RingHash { .. }
            | Algorithm::Maglev { .. }
            | Algorithm::Passthrough => Box::default(),
        };
        let by_weight = policy.algorithm == Algorithm::RandomByWeight;
        let sums = if by_weight { sums(&weights) } else { Box::default() };
        let workers = (0..policy.n_workers()).map(|worker| {
            let schedule = Schedule::new(&hosts, &weights, level, policy, policy.seed_of(worker));
            Turn { among_equals: turns(worker), schedule }
        });
        let workers = workers.collect();
        Self { len: Divisor::new(hosts.len()), hosts, counters, sums, workers }
    }

    /// Returns the place of a host in its level.
    #[inline]
    pub(super) fn pick(
        &self,
        draw: Draw<'_>,
        hash: u64,
        random: impl FnMut() -> u64,
    ) -> Option<u32> {
        let algorithm = &draw.policy.algorithm;
        let place = if let Algorithm::Random = algorithm {
            self.len.index(hash)?
        } else if let Algorithm::RandomByWeight = algorithm {
            let drawn = hash.checked_rem(*self.sums.last()?)?;
            self.sums.partition_point(|sum| *sum <= drawn)
        } else {
            let turn = self.workers.get(draw.worker)?;
            match &turn.schedule {
                Some(schedule) => usize::try_from(schedule.pick(&self.hosts, draw)?).ok()?,
                None => self.pick_among_equals(algorithm, &turn.among_equals, random)?,
            }
        };
        self.hosts.get(place).copied()
    }

    #[inline]
    fn pick_among_equals(
        &self,
        algorithm: &Algorithm,
        turn: &RoundRobin,
        random: impl FnMut() -> u64,
    ) -> Option<usize> {
        let active = |place: usize| {
            self.counters.get(place).map_or(0, |counter| u64::from(counter.active()))
        };
        match algorithm {
            Algorithm::RoundRobin | Algorithm::ClientSide(_) if self.hosts.is_empty() => None,
            Algorithm::RoundRobin | Algorithm::ClientSide(_) => self.len.index(turn.turn()),
            Algorithm::LeastRequest { selection: Selection::Choices(choices), .. } => {
                pick_of_choices_in(self.len, *choices, active, random)
            }
            Algorithm::LeastRequest { selection: Selection::FullScan, .. } => {
                pick_of_all(self.hosts.len(), active, random)
            }
            Algorithm::Random
            | Algorithm::RandomByWeight
            | Algorithm::RingHash { .. }
            | Algorithm::Maglev { .. }
            | Algorithm::Passthrough => None,
        }
    }
}

/// The sums of the weights up to each host.
fn sums(weights: &[u32]) -> Box<[u64]> {
    let mut sum = 0;
    let sums = weights.iter().map(|weight| {
        sum += u64::from(*weight);
        sum
    });
    sums.collect()
}

/// What one draw looks at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Draw<'b> {
    pub(super) policy: &'b BalancerPolicy,
    /// The hosts of the level.
    pub(super) hosts: &'b [Host],
    /// Whose turns are taken.
    pub(super) worker: usize,
    /// The time, which matters if hosts are warmed up.
    pub(super) now_ms: u64,
}

impl Schedule {
    fn new(
        hosts: &[u32],
        weights: &[u32],
        level: &LevelInput,
        policy: &BalancerPolicy,
        seed: u64,
    ) -> Option<Self> {
        let algorithm = &policy.algorithm;
        let by_turns =
            algorithm.takes_turns() || matches!(algorithm, Algorithm::LeastRequest { .. });
        if !by_turns || !is_scheduled(weights, level.in_slow_start) {
            return None;
        }
        let stays = level.in_slow_start == InSlowStart::No
            && level.now_ms.is_none()
            && algorithm.takes_turns();
        if stays {
            let weights: Vec<f64> = weights.iter().copied().map(weight_of).collect();
            return Some(Self::Fixed(Turns::with_picks(&weights, seed)));
        }
        let entries = u32::try_from(hosts.len()).unwrap_or(u32::MAX);
        let draw =
            Draw { policy, hosts: level.hosts(), worker: 0, now_ms: level.now_ms.unwrap_or(0) };
        let edf = Edf::with_picks(entries, seed, |entry| weight(hosts, entry, draw));
        Some(Self::Moving(Box::new(edf)))
    }

    #[inline]
    fn pick(&self, hosts: &[u32], draw: Draw<'_>) -> Option<u32> {
        match self {
            Self::Fixed(turns) => turns.pick(),
            Self::Moving(edf) => edf.pick(|entry| weight(hosts, entry, draw)),
        }
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
fn weight(hosts: &[u32], entry: u32, draw: Draw<'_>) -> f64 {
    let policy = draw.policy;
    let Some(host) = at(hosts, entry).and_then(|&host| at(draw.hosts, host)) else { return 1.0 };
    let own = own_weight(policy, host);
    let weight = match policy.algorithm {
        Algorithm::LeastRequest { bias, .. } => bias.weight(own, host.active().into()),
        Algorithm::RoundRobin
        | Algorithm::ClientSide(_)
        | Algorithm::Random
        | Algorithm::RandomByWeight
        | Algorithm::RingHash { .. }
        | Algorithm::Maglev { .. }
        | Algorithm::Passthrough => weight_of(own),
    };
    if policy.slow_start.window_ms == 0 {
        return weight;
    }
    let since = host.since_healthy_ms(draw.now_ms);
    policy.slow_start.weight(weight, host.health().coarse(), since)
}

/// A ring or table over the hosts of a level.
#[derive(Debug)]
pub(super) struct Table {
    /// Names hosts by their places in the level; by their numbers if they are bounded.
    pub(super) kind: Kind,
    pub(super) bound: Option<Box<Bound>>,
}

#[derive(Debug)]
pub(super) enum Kind {
    Ring(Ring),
    Maglev(Maglev),
}

/// What it takes to pass over hosts that carry too much.
#[derive(Debug)]
pub(super) struct Bound {
    factor: HashBalanceFactor,
    /// The places in their level of the hosts that the table numbers.
    hosts: Box<[u32]>,
    weights: NormalizedWeights,
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
            host.map_or("", Host::hash_key)
        };
        let (mut kind, bound) = match algorithm {
            Algorithm::RingHash { config, bound } => {
                (Kind::Ring(Ring::new(config, &weights, key)), *bound)
            }
            Algorithm::Maglev { size, bound } => {
                (Kind::Maglev(Maglev::new(*size, &weights, key)), *bound)
            }
            Algorithm::RoundRobin
            | Algorithm::ClientSide(_)
            | Algorithm::LeastRequest { .. }
            | Algorithm::Random
            | Algorithm::RandomByWeight
            | Algorithm::Passthrough => return None,
        };
        let place = |number| at(&hosts, number).copied().unwrap_or(u32::MAX);
        match (bound, &mut kind) {
            (Some(_), _) => {}
            (None, Kind::Ring(ring)) => ring.rename(place),
            (None, Kind::Maglev(maglev)) => maglev.rename(place),
        }
        let bound = bound.map(|factor| Box::new(Bound { factor, hosts, weights }));
        Some(Self { kind, bound })
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
        match &self.bound {
            None => Some(base),
            Some(bound) => at(&bound.hosts, bound.pick(base, level, hash, traffic)).copied(),
        }
    }
}

impl Bound {
    fn pick(&self, base: u32, level: &Level, hash: u64, traffic: &Traffic) -> u32 {
        let active = |number| {
            let host = at(&self.hosts, number).and_then(|&host| at(level.hosts(), host));
            host.map_or(0, |host| u64::from(host.active()))
        };
        let slots = self.factor.slots(traffic.active());
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
