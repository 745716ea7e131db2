//! Requests that meet a rule, requests that just miss it, and what lies around each of its values.
//!
//! ```text
//! rule ── demand ─▶ what each part must be ── settle ─▶ a request that meets it ── apart ─▶ one that no
//!                        (texts: glob)             │                                other rule decides
//!                                                  └─ each value of each list, listed or excluded ─▶ requests
//! ```
//!
//! A clause is about one part of the request as a rule, so parts are settled one by one: a value is found for
//! all that is demanded of a part at once. Every answer is asked of the clauses themselves, so a request
//! that is found does match. The number of requests grows with the number of values, not with that of
//! their combinations.
use std::collections::BTreeSet;

use super::literal::{Literal, Plain, Shape, Subject};
use super::sample::Sample;
use crate::authorizer::Authorizer;
use crate::compile::Traffic;
use crate::rbac::{Body, Clause, Entry, Node, PermissionTest, Policy, PrincipalTest, Test};

mod allowing;
mod apart;
mod between;
mod demand;
mod hunt;
mod identity;
mod part;
mod search;
mod settle;
mod spelling;
mod surroundings;
mod value;

use self::apart::{Apart, Lock};
pub(super) use self::between::decide;
pub use self::between::{Between, samples_between, samples_between_in};
use self::demand::{Lead, meeting};
use self::part::set;
use self::search::Search;
pub use self::surroundings::Surroundings;
use self::value::{candidates, others, telling};

/// Entries of the other side that are tried for an entry.
const ENTRIES: usize = 16;

/// Returns a request that a rule of the chain matches; `None` if none was found, which proves nothing.
pub fn example(authorizer: &Authorizer, traffic: Traffic, policy: &Policy) -> Option<Sample> {
    let Body::Rule { permissions, principals } = &policy.body else { return None };
    let pairs = permissions.iter().flat_map(|to| principals.iter().map(move |from| (to, from)));
    pairs.take(ENTRIES).find_map(|(to, from)| meet(authorizer, traffic, to, from))
}

/// Returns requests that meet and just miss every rule of a chain, with each of its values, listed or
/// excluded, and one that has nothing special.
///
/// Where another rule would decide a request whatever the value is, the rest of it is changed until none
/// does, if that is found. None has a path that the proxy refuses before it asks any policy.
pub fn samples(authorizer: &Authorizer, traffic: Traffic) -> Vec<Sample> {
    let mut found = vec![Sample::of(authorizer, traffic)];
    let compiled = authorizer.chain(traffic).compiled.iter();
    let apart = Apart::new(authorizer, traffic);
    for policy in compiled.flat_map(|policy| &policy.rules).filter_map(|rule| rule.policy.as_ref())
    {
        of_rule(&apart, policy, &mut found);
    }
    distinct(&[authorizer], found)
}

/// The requests without repetition, and without those that each of the proxies refuses before it asks any
/// policy.
fn distinct(authorizers: &[&Authorizer], mut found: Vec<Sample>) -> Vec<Sample> {
    let mut seen = BTreeSet::new();
    found.retain(|sample| {
        sample.with(|request| authorizers.iter().any(|authorizer| authorizer.see(request).is_ok()))
            && seen.insert(format!("{sample:?}"))
    });
    found
}

/// One way to meet a rule.
#[derive(Clone, Copy, Debug)]
struct Way<'p> {
    policy: &'p Policy,
    /// The places of the entries.
    places: [usize; 2],
    to: &'p Entry<PermissionTest>,
    from: &'p Entry<PrincipalTest>,
}

fn of_rule(apart: &Apart<'_>, policy: &Policy, found: &mut Vec<Sample>) {
    let Body::Rule { permissions, principals } = &policy.body else { return };
    let meet = |places: [usize; 2]| {
        let [to, from] = places;
        let (to, from) = (permissions.get(to)?, principals.get(from)?);
        let sample = meet(apart.authorizer, apart.traffic, to, from)?;
        Some((Way { policy, places, to, from }, sample))
    };
    let mut is_met = vec![false; principals.len()];
    for place in 0..permissions.len() {
        let tries = (0..principals.len()).take(ENTRIES);
        let Some((way, sample)) = tries.into_iter().find_map(|from| meet([place, from])) else {
            continue;
        };
        let sample = apart.push(&way, sample, &Lock::None, found);
        around(apart, &way, &way.to.clauses, &sample, found);
        let [_, from] = way.places;
        if let Some(is_met) = is_met.get_mut(from).filter(|is_met| !**is_met) {
            *is_met = true;
            around(apart, &way, &way.from.clauses, &sample, found);
        }
    }
    for place in (0..principals.len()).filter(|place| is_met.get(*place) == Some(&false)) {
        let tries = (0..permissions.len()).take(ENTRIES);
        let Some((way, sample)) = tries.into_iter().find_map(|to| meet([to, place])) else {
            continue;
        };
        let sample = apart.push(&way, sample, &Lock::None, found);
        around(apart, &way, &way.from.clauses, &sample, found);
    }
}

/// A request that meets an entry of either side.
fn meet(
    authorizer: &Authorizer,
    traffic: Traffic,
    to: &Entry<PermissionTest>,
    from: &Entry<PrincipalTest>,
) -> Option<Sample> {
    let plain = Lead::new(Sample::of(authorizer, traffic));
    let anywhere = Surroundings::default();
    let search = Search::new(&anywhere);
    let from = meeting(authorizer, from, &search);
    meeting(authorizer, to, &search).into_iter().find_map(|to| {
        let mut both = from.iter().map(|from| [&*to, from].concat());
        both.find_map(|all| Some(plain.with(&all, &search)?.sample))
    })
}

/// Collects a request with each value of some clauses of a rule that a request meets.
fn around<T: Literal + Test>(
    apart: &Apart<'_>,
    way: &Way<'_>,
    clauses: &[Clause<T>],
    sample: &Sample,
    found: &mut Vec<Sample>,
) {
    let plain: Vec<Option<Plain<'_>>> = clauses.iter().map(Plain::of).collect();
    for (place, clause) in plain.iter().enumerate() {
        let Some(clause) = clause else {
            for changed in clauses.get(place).into_iter().flat_map(|of| alternatives(of, sample)) {
                let lock = Lock::Token(changed.http.as_ref().and_then(|http| http.claims.clone()));
                apart.push(way, changed, &lock, found);
            }
            continue;
        };
        let beside: Vec<Shape<'_>> = plain
            .iter()
            .enumerate()
            .filter(|(at, _)| *at != place)
            .filter_map(|(_, other)| other.as_ref().filter(|of| of.subject == clause.subject))
            .flat_map(|other| other.shapes.iter().copied())
            .collect();
        let told = clause.shapes.iter().flat_map(|shape| telling(clause.subject, *shape, &beside));
        for value in told.chain(others(clause.subject)) {
            let changed = set(sample.clone(), clause.subject, value.clone());
            let lock = Lock::Part(clause.subject, value);
            if let Some(changed) = changed {
                apart.push(way, changed, &lock, found);
            }
        }
    }
}

/// Changes a request until it meets an entry; `None` if that was not found.
pub(super) fn fit<T: Literal>(
    authorizer: &Authorizer,
    entry: &Entry<T>,
    sample: Sample,
) -> Option<Sample> {
    let lead = Lead::new(sample);
    let anywhere = Surroundings::default();
    let search = Search::new(&anywhere);
    let mut ways = meeting(authorizer, entry, &search).into_iter();
    ways.find_map(|way| Some(lead.with(&way, &search)?.sample))
}

/// The request with other values in the part that some clauses are about, made one by one.
fn changes<'c, T: Literal>(
    clauses: &[&'c Clause<T>],
    sample: &'c Sample,
) -> impl Iterator<Item = Sample> + use<'c, T> {
    let plain: Vec<Plain<'_>> = clauses.iter().filter_map(|clause| Plain::of(clause)).collect();
    let subject = plain.first().map(|plain| plain.subject);
    let values = subject.map(|subject| {
        let shapes: Vec<Shape<'_>> = plain.iter().flat_map(|plain| plain.shapes.clone()).collect();
        candidates(subject, &shapes).into_iter().map(move |value| (subject, value))
    });
    let others = clauses.iter().filter(|_| subject.is_none());
    let others: Vec<Sample> = others.flat_map(|clause| alternatives(clause, sample)).collect();
    let values = values.into_iter().flatten();
    values.filter_map(|(subject, value)| set(sample.clone(), subject, value)).chain(others)
}

/// The request with every part of an alternative settled, for clauses about several parts: the issuer and
/// the subject of a token. One of them at a time has other values than the first.
fn alternatives<T: Literal>(clause: &Clause<T>, sample: &Sample) -> Vec<Sample> {
    let node = if let Node::Not(node) = &clause.node { node } else { &clause.node };
    let mut found = match node {
        Node::All(nodes) => settled(nodes, sample),
        Node::AnyOf(nodes) => nodes
            .iter()
            .flat_map(|node| match node {
                Node::All(nodes) => settled(nodes, sample),
                Node::AnyOf(_) | Node::Not(_) | Node::Test(_) => Vec::new(),
            })
            .collect(),
        Node::Not(_) | Node::Test(_) => Vec::new(),
    };
    let mut without = sample.clone();
    if let Some(http) = &mut without.http {
        http.claims = None;
    }
    found.push(without);
    found
}

/// The request with what all of several tests ask for, and with one of the parts different.
fn settled<T: Literal>(nodes: &[Node<T>], sample: &Sample) -> Vec<Sample> {
    let literals: Vec<(Subject<'_>, Shape<'_>)> = nodes
        .iter()
        .filter_map(|node| match node {
            Node::Test(test) => Some(test.literal()),
            Node::All(_) | Node::AnyOf(_) | Node::Not(_) => None,
        })
        .collect();
    let met = literals.iter().try_fold(sample.clone(), |sample, (subject, shape)| {
        set(sample, *subject, value::first(*shape).into_iter().next()?)
    });
    let Some(met) = met else { return Vec::new() };
    let mut found = vec![met.clone()];
    for (subject, shape) in literals {
        let values = telling(subject, shape, &[]).into_iter().chain(others(subject));
        found.extend(values.filter_map(|value| set(met.clone(), subject, value)));
    }
    found
}
