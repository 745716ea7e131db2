//! Where the RPCs of a gRPC client go, endpoint by endpoint, and on a ring hash by hash.
use super::assignment;
use super::channel::{State, of_all, of_ring};
use crate::oracle::hash::xx_64;
use crate::oracle::pick::ring_entries;

/// An endpoint.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Whether it is healthy, as far as the control plane knows.
    pub is_usable: bool,
    /// The state of its connection.
    pub state: State,
    /// Its weight.
    pub weight: u32,
    /// Its name on a ring.
    pub key: String,
}

/// A locality.
#[derive(Clone, Debug)]
pub struct Locality {
    /// Its level.
    pub level: u32,
    /// Its weight, not 0.
    pub weight: u32,
    /// Its endpoints.
    pub endpoints: Vec<Endpoint>,
}

/// How endpoints are picked.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_enums, reason = "a test maps each one to the engine's")]
pub enum Policy {
    /// A locality by its weight, there each alike.
    Turns,
    /// Each alike.
    Least,
    /// A ring of so many entries, from and to.
    Ring(u32, u32),
}

/// What happens to a hundred RPCs.
#[derive(Clone, Debug, Default)]
pub struct Shares {
    /// The level in use, and its state.
    pub level: (u32, State),
    /// The share of each endpoint, by the place of its locality and in it.
    pub endpoints: Vec<((usize, usize), f64)>,
    /// How many wait.
    pub waiting: f64,
    /// How many fail.
    pub failing: f64,
    /// How many each category drops.
    pub dropped: Vec<f64>,
}

/// Distributes a hundred RPCs. `drops` are parts of a million; `tired` are levels that have been
/// connecting for too long.
pub fn shares(policy: Policy, localities: &[Locality], drops: &[u32], tired: &[u32]) -> Shares {
    let last = localities.iter().map(|locality| locality.level).max().unwrap_or(0);
    let state = |level: u32| {
        let states: Vec<State> =
            of_level(localities, level).iter().map(|one| one.1.state).collect();
        match policy {
            Policy::Turns | Policy::Least => of_all(&states),
            Policy::Ring(..) => of_ring(&states),
        }
    };
    let is_good = |level: &u32| match state(*level) {
        State::Failing => false,
        State::Connecting => !tired.contains(level),
        State::Ready | State::Idle => true,
    };
    let level = (0..=last).find(is_good).unwrap_or(last);
    let mut shares = Shares { level: (level, state(level)), ..Shares::default() };
    match state(level) {
        State::Failing => shares.failing = 100.0,
        State::Connecting | State::Idle => shares.waiting = 100.0,
        State::Ready => {
            let passes: Vec<f64> = drops.iter().map(|drop| 1.0 - f64::from(*drop) / 1e6).collect();
            let passed = |count: usize| 100.0 * passes.iter().take(count).product::<f64>();
            shares.dropped = (0..drops.len()).map(|at| passed(at) - passed(at + 1)).collect();
            shares.send(policy, localities, passed(drops.len()));
        }
    }
    shares
}

type Found<'a> = ((usize, usize), &'a Endpoint);

/// The usable endpoints of a level.
fn of_level(localities: &[Locality], level: u32) -> Vec<Found<'_>> {
    let mut found = Vec::new();
    for (place, locality) in localities.iter().enumerate() {
        for (at, endpoint) in locality.endpoints.iter().enumerate() {
            if locality.level == level && endpoint.is_usable {
                found.push(((place, at), endpoint));
            }
        }
    }
    found
}

impl Shares {
    fn send(&mut self, policy: Policy, localities: &[Locality], all: f64) {
        let usable = of_level(localities, self.level.0);
        let ready: Vec<(usize, usize)> = usable
            .iter()
            .filter(|(_, endpoint)| endpoint.state == State::Ready)
            .map(|(place, _)| *place)
            .collect();
        if let Policy::Ring(minimum, maximum) = policy {
            return self.by_ring(localities, (minimum, maximum), &usable, all);
        }
        // What each endpoint would get of 1 in its locality, times the weight of that.
        let part = |(place, _): &(usize, usize)| {
            let there = ready.iter().filter(|other| other.0 == *place).map(|_| 1.0).sum::<f64>();
            let weight = localities.get(*place).map_or(0.0, |one| f64::from(one.weight));
            if matches!(policy, Policy::Least) { 1.0 } else { weight / there }
        };
        let sum: f64 = ready.iter().map(part).sum();
        self.endpoints = ready.iter().map(|place| (*place, all * part(place) / sum)).collect();
    }

    fn by_ring(
        &mut self,
        localities: &[Locality],
        sizes: (u32, u32),
        usable: &[Found<'_>],
        all: f64,
    ) {
        let here = || localities.iter().filter(|locality| locality.level == self.level.0);
        let level: Vec<(u32, Vec<u32>)> = here()
            .map(|one| (one.weight, one.endpoints.iter().map(|endpoint| endpoint.weight).collect()))
            .collect();
        let flags = here().flat_map(|one| &one.endpoints).map(|endpoint| endpoint.is_usable);
        let weights = assignment::weights(&level, false).concat();
        let weights: Vec<u32> = weights
            .into_iter()
            .zip(flags)
            .filter(|(_, is_usable)| *is_usable)
            .map(|(weight, _)| u32::try_from(weight).unwrap_or(u32::MAX))
            .collect();
        let keys: Vec<(&str, u32)> =
            usable.iter().map(|found| found.1.key.as_str()).zip(weights).collect();
        let states: Vec<State> = usable.iter().map(|found| found.1.state).collect();
        let entries = entries(&keys, sizes);
        let mut sums = vec![0.0; usable.len()];
        let mut before = entries.last().map_or(0, |entry| entry.0);
        for (hash, _) in &entries {
            let arc = match hash.wrapping_sub(before) {
                0 if entries.len() == 1 => 1.0,
                arc => float(arc) / float(1 << 32) / float(1 << 32),
            };
            before = *hash;
            match answer(&entries, &states, *hash).0 {
                Outcome::Sent(to) => {
                    if let Some(sum) = sums.get_mut(to) {
                        *sum += all * arc;
                    }
                }
                Outcome::Waits(_) => self.waiting += all * arc,
                Outcome::Fails(_) => self.failing += all * arc,
            }
        }
        let shares = usable.iter().zip(sums);
        let ready = shares.filter(|((_, endpoint), _)| endpoint.state == State::Ready);
        self.endpoints = ready.map(|((place, _), share)| (*place, share)).collect();
    }
}

/// The entries of a ring of endpoints, given by key and weight; the endpoints are sorted by them first.
pub fn entries(endpoints: &[(&str, u32)], (minimum, maximum): (u32, u32)) -> Vec<(u64, usize)> {
    let mut sorted: Vec<(&str, usize, u32)> =
        endpoints.iter().enumerate().map(|(at, (key, weight))| (*key, at, *weight)).collect();
    sorted.sort();
    let sum: f64 = sorted.iter().map(|one| f64::from(one.2)).sum();
    let weights: Vec<f64> = sorted.iter().map(|one| f64::from(one.2) / sum).collect();
    let hash = |host: usize, entry: u32| {
        let key = sorted.get(host).map_or("", |one| one.0);
        xx_64(format!("{key}_{entry}").as_bytes(), 0)
    };
    let entries = ring_entries(&weights, (f64::from(minimum), f64::from(maximum)), hash);
    let number = |host: usize| sorted.get(host).map_or(host, |one| one.1);
    entries.into_iter().map(|(hash, host)| (hash, number(host))).collect()
}

/// What becomes of an RPC on a ring.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "an oracle is plain data")]
pub enum Outcome {
    /// It is sent.
    Sent(usize),
    /// It waits for an endpoint, or for any.
    Waits(Option<usize>),
    /// It fails, as that endpoint did.
    Fails(Option<usize>),
}

/// The ring once around, from the first entry that is not before a hash.
fn around(entries: &[(u64, usize)], hash: u64) -> Vec<usize> {
    let after = entries.iter().filter(|entry| entry.0 >= hash);
    let before = entries.iter().filter(|entry| entry.0 < hash);
    after.chain(before).map(|entry| entry.1).collect()
}

/// The answer for a hash, and the endpoint that is connected to for it.
pub fn answer(entries: &[(u64, usize)], states: &[State], hash: u64) -> (Outcome, Option<usize>) {
    let walk = around(entries, hash);
    let state = |endpoint: &usize| states.get(*endpoint).copied().unwrap_or_default();
    let Some(first) = walk.iter().find(|endpoint| state(endpoint) != State::Failing).copied()
    else {
        return (Outcome::Fails(walk.first().copied()), None);
    };
    match state(&first) {
        State::Ready => (Outcome::Sent(first), None),
        State::Idle => (Outcome::Waits(Some(first)), Some(first)),
        State::Connecting | State::Failing => (Outcome::Waits(Some(first)), None),
    }
}

/// The answer for a number that was drawn because there is no hash.
pub fn answer_to_any(
    entries: &[(u64, usize)],
    states: &[State],
    drawn: u64,
) -> (Outcome, Option<usize>) {
    let walk = around(entries, drawn);
    let is = |wanted: State| move |endpoint: &usize| states.get(*endpoint) == Some(&wanted);
    let ready = walk.iter().copied().position(|endpoint| is(State::Ready)(&endpoint));
    let passed = walk.iter().take(ready.unwrap_or(walk.len()));
    let connects = states.contains(&State::Connecting);
    let woken = passed.copied().find(is(State::Idle)).filter(|_| !connects);
    match ready.and_then(|at| walk.get(at)) {
        Some(endpoint) => (Outcome::Sent(*endpoint), woken),
        None if connects || woken.is_some() => (Outcome::Waits(None), woken),
        None => (Outcome::Fails(walk.first().copied()), None),
    }
}

fn float(number: u64) -> f64 {
    let half = |half: u64| u32::try_from(half).map_or(0.0, f64::from);
    half(number >> 32) * 4_294_967_296.0 + half(number & 0xffff_ffff)
}
