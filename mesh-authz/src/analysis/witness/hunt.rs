//! Looking for a request that a rule matches and that two sets of policies decide differently.
//!
//! Whatever makes both decide alike is one rule, or the want of one: the request is changed until that
//! rule does not match it any more, or until one does, and then what comes next is looked at. Where a change
//! leads nowhere another one is tried.
use std::collections::BTreeSet;

use super::between::{Deciding, Side};
use super::{Way, changes, fit, meet};
use crate::analysis::literal::{Literal, Plain, Subject};
use crate::analysis::sample::Sample;
use crate::authorizer::Authorizer;
use crate::compile::Traffic;
use crate::decision::{Decision, Reason};
use crate::rbac::{Body, Clause, Entry, Policy, Test};

/// Requests that are looked at in all.
const WORK: usize = 200_000;
/// Requests that are looked at for one rule, at least while there is work left and at most.
const OF_A_RULE: [usize; 2] = [64, 20_000];
/// Values of a part that are tried in one place.
const VALUES: usize = 600;
/// Rules, and ways to meet each of them, by which a request may come to be allowed.
const ALLOWED_BY: [usize; 2] = [64, 4];

/// What the requests have in common that are looked for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wanted<'p> {
    /// They match a rule of the own side.
    Rule(Deciding<'p>),
    /// Only the other side denies what no ALLOW rule matches.
    Closed,
}

/// Two sides, of which the own one has what is wanted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hunt<'h, 'o, 'n> {
    own: &'h Side<'o>,
    other: &'h Side<'n>,
    traffic: Traffic,
}

/// What is left to look at.
#[derive(Debug)]
struct Budget(usize);

impl Budget {
    fn spend(&mut self, cost: usize) -> Option<()> {
        self.0 = self.0.saturating_sub(cost);
        (self.0 > 0).then_some(())
    }
}

/// What a request must keep while it is changed.
#[derive(Clone, Copy, Debug)]
struct Quarry<'w> {
    way: Option<Way<'w>>,
    is_allow: bool,
    denier: Option<&'w str>,
}

impl<'h, 'o, 'n> Hunt<'h, 'o, 'n> {
    pub(super) const fn new(own: &'h Side<'o>, other: &'h Side<'n>, traffic: Traffic) -> Self {
        Self { own, other, traffic }
    }

    /// A request for each of what is wanted, if one is found.
    pub(super) fn all(&self, wanted: &[Wanted<'o>]) -> Vec<Sample> {
        let [least, most] = OF_A_RULE;
        let mut left = WORK;
        let mut found = Vec::new();
        for (place, one) in wanted.iter().enumerate() {
            let share = left / (wanted.len() - place);
            let share = share.clamp(least, most).min(left);
            let mut budget = Budget(share);
            found.extend(self.one(one, &mut budget));
            left -= share - budget.0;
        }
        found
    }

    fn one(&self, wanted: &Wanted<'o>, budget: &mut Budget) -> Option<Sample> {
        let Wanted::Rule(rule) = wanted else {
            let quarry = Quarry { way: None, is_allow: true, denier: None };
            return self.follow(&quarry, Sample::of(self.own.authorizer, self.traffic), budget);
        };
        let Body::Rule { permissions, principals } = &rule.policy.body else { return None };
        for places in ways(permissions.len(), principals.len()) {
            let [to, from] = places;
            let (Some(to), Some(from)) = (permissions.get(to), principals.get(from)) else {
                continue;
            };
            budget.spend(1 + to.clauses.len() + from.clauses.len())?;
            let Some(first) = meet(self.own.authorizer, self.traffic, to, from) else { continue };
            let way = Some(Way { policy: rule.policy, places, to, from });
            let quarry = Quarry { way, is_allow: rule.is_allow, denier: rule.denier };
            if let Some(found) = self.follow(&quarry, first, budget) {
                return Some(found);
            }
        }
        None
    }

    /// Changes a request until both sides decide differently.
    fn follow(&self, quarry: &Quarry<'_>, first: Sample, budget: &mut Budget) -> Option<Sample> {
        let mut seen = BTreeSet::new();
        let mut stack = vec![first];
        while let Some(sample) = stack.pop() {
            if !seen.insert(format!("{sample:?}")) {
                continue;
            }
            budget.spend(1)?;
            let own = self.own.decide(&sample, quarry.denier);
            let other = self.other.decide(&sample, quarry.denier);
            if own.is_allowed() != other.is_allowed() {
                return Some(sample);
            }
            let mut next = self.next(quarry, &sample, [own, other], budget);
            next.reverse();
            stack.extend(next);
        }
        None
    }

    /// The request without what makes both sides decide alike.
    fn next(
        &self,
        quarry: &Quarry<'_>,
        sample: &Sample,
        [own, other]: [Decision<'_>; 2],
        budget: &mut Budget,
    ) -> Vec<Sample> {
        let is_hidden = quarry.is_allow && !own.is_allowed();
        let (side, reason) = if is_hidden {
            (self.own.authorizer, own.reason())
        } else {
            (self.other.authorizer, other.reason())
        };
        let rules = match reason.rule() {
            Some(rule) if is_hidden => self.own.rules_of(rule),
            Some(rule) => self.other.rules_of(rule),
            None => &[],
        };
        if reason == Reason::NoAllowPolicyMatched && !quarry.is_allow {
            return self.allowed(quarry, sample, budget);
        }
        let without = |rule: &&Policy| self.without(side, rule, quarry, sample);
        let found: Vec<Sample> = rules.iter().flat_map(without).collect();
        budget.spend(found.len());
        found
    }

    /// The request with other values, so that a rule does not match it by one of its entries any more.
    fn without(
        &self,
        side: &Authorizer,
        rule: &Policy,
        quarry: &Quarry<'_>,
        sample: &Sample,
    ) -> Vec<Sample> {
        let Body::Rule { permissions, principals } = &rule.body else { return Vec::new() };
        let own = quarry.way.as_ref();
        let to = own.map(|way| &*way.to.clauses).unwrap_or_default();
        let from = own.map(|way| &*way.from.clauses).unwrap_or_default();
        let mut found = missing(side, permissions, to, sample);
        found.extend(missing(side, principals, from, sample));
        found.retain(|sample| self.keeps(quarry, sample));
        found
    }

    /// The request as a rule of the other side allows it.
    fn allowed(&self, quarry: &Quarry<'_>, sample: &Sample, budget: &mut Budget) -> Vec<Sample> {
        let [rules, ways_of_one] = ALLOWED_BY;
        let side = self.other.authorizer;
        let mut found = Vec::new();
        for rule in self.other.allow().take(rules) {
            let Body::Rule { permissions, principals } = &rule.body else { continue };
            for [to, from] in ways(permissions.len(), principals.len()).take(ways_of_one) {
                let met = permissions.get(to).and_then(|to| fit(side, to, sample.clone()));
                let met = met.and_then(|met| fit(side, principals.get(from)?, met));
                found.extend(met.filter(|sample| self.keeps(quarry, sample)));
                budget.spend(2);
            }
        }
        found
    }

    /// Whether a request is still one that is looked for.
    fn keeps(&self, quarry: &Quarry<'_>, sample: &Sample) -> bool {
        sample.with(|request| {
            self.own.authorizer.see(request).is_ok_and(|seen| {
                quarry.way.is_none_or(|way| way.to.matches(&seen) && way.from.matches(&seen))
            })
        })
    }
}

/// The request with other values for each clause of the entries that it meets, so that it misses them.
/// `own` are clauses whose values are tried first.
fn missing<T: Literal + Test>(
    side: &Authorizer,
    entries: &[Entry<T>],
    own: &[Clause<T>],
    sample: &Sample,
) -> Vec<Sample> {
    let meets = |entry: &Entry<T>, sample: &Sample| {
        sample.with(|request| side.see(request).is_ok_and(|seen| entry.matches(&seen)))
    };
    let mut found = Vec::new();
    for entry in entries.iter().filter(|entry| meets(entry, sample)) {
        for clause in &entry.clauses {
            let about = own.iter().filter(|known| subject(known) == subject(clause));
            let about: Vec<&Clause<T>> = about.chain([clause]).collect();
            let changed = changes(&about, sample).take(VALUES);
            found.extend(changed.filter(|changed| !meets(entry, changed)));
        }
    }
    found
}

fn subject<T: Literal>(clause: &Clause<T>) -> Option<Subject<'_>> {
    Plain::of(clause).map(|plain| plain.subject)
}

/// All pairs of entries of two sides, first some that have each entry once.
fn ways(to: usize, from: usize) -> impl Iterator<Item = [usize; 2]> {
    let (many, few) = (to.max(from), to.min(from));
    let pair = move |one: usize, other: usize| if to < from { [other, one] } else { [one, other] };
    let each = (0..many).filter_map(move |one| Some(pair(one, one.checked_rem(few)?)));
    let rest = (0..many).flat_map(move |one| (0..few).map(move |other| (one, other)));
    let rest = rest.filter(move |(one, other)| one.checked_rem(few) != Some(*other));
    each.chain(rest.map(move |(one, other)| pair(one, other)))
}
