//! Looking for a request that a rule matches and that two sets of policies decide differently.
//!
//! Whatever makes both decide alike is one rule, or the want of one: that the rule does not match, or that
//! one does, is demanded of the request as well, and then what comes next is looked at. Where demands cannot
//! be met together other ones are tried, so that a request is found if there is one, unless the work
//! or the bounds of what is tried end before.
use std::rc::Rc;

use super::between::{Deciding, Side};
use super::demand::{Demands, Lead, meeting, missing};
use super::surroundings::Surroundings;
use crate::analysis::sample::Sample;
use crate::compile::Traffic;
use crate::decision::{Decision, Reason};
use crate::rbac::{Body, Entry, Policy, Test};

/// Requests that are looked at in all.
const WORK: usize = 100_000;
/// Requests that are looked at for one rule, at least while there is work left and at most.
const OF_A_RULE: [usize; 2] = [64, 4_000];
/// Rules, and ways to meet each of them, by which a request may come to be allowed.
const ALLOWED_BY: [usize; 2] = [256, 16];

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
    pub(super) own: &'h Side<'o>,
    pub(super) other: &'h Side<'n>,
    pub(super) traffic: Traffic,
    pub(super) around: &'h Surroundings,
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

/// Which decisions are looked for.
#[derive(Clone, Copy, Debug)]
struct Quarry<'w> {
    is_allow: bool,
    denier: Option<&'w str>,
}

/// A request, and what else shall be so of it.
type Next<'p> = (Rc<Lead<'p>>, Demands<'p>);

impl<'h> Hunt<'h, '_, '_> {
    /// A request for each of what is wanted, if one is found.
    pub(super) fn all(&self, wanted: &[Wanted<'h>]) -> Vec<Sample> {
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

    fn one(&self, wanted: &Wanted<'h>, budget: &mut Budget) -> Option<Sample> {
        let plain = Sample::of(self.own.authorizer, self.traffic);
        let first = Rc::new(Lead::new(self.around.entering(plain)));
        let Wanted::Rule(rule) = wanted else {
            let quarry = Quarry { is_allow: true, denier: None };
            return self.follow(quarry, (first, Vec::new()), budget);
        };
        let quarry = Quarry { is_allow: rule.is_allow, denier: rule.denier };
        self.meeting(self.own, rule.policy, usize::MAX)
            .find_map(|demands| self.follow(quarry, (Rc::clone(&first), demands), budget))
    }

    /// The ways to meet a rule, by so many pairs of its entries.
    fn meeting<'r>(
        &self,
        side: &'r Side<'_>,
        rule: &'r Policy,
        most: usize,
    ) -> impl Iterator<Item = Demands<'r>> + use<'r> {
        let (to, from) = match &rule.body {
            Body::Rule { permissions, principals } => (&**permissions, &**principals),
            Body::Never => (&[][..], &[][..]),
        };
        let met = move |[to_at, from_at]: [usize; 2]| {
            let to = to.get(to_at).map(|entry| meeting(side.authorizer, entry));
            let from = from.get(from_at).map(|entry| meeting(side.authorizer, entry));
            let from = from.unwrap_or_default();
            let pairs = to.unwrap_or_default().into_iter();
            pairs
                .flat_map(|to| from.iter().map(|from| [&*to, from].concat()).collect::<Vec<_>>())
                .collect::<Vec<_>>()
        };
        ways(to.len(), from.len()).take(most).flat_map(met)
    }

    /// Demands more until both sides decide differently.
    fn follow(&self, quarry: Quarry<'_>, first: Next<'h>, budget: &mut Budget) -> Option<Sample> {
        let mut stack = vec![first];
        while let Some((lead, more)) = stack.pop() {
            budget.spend(1 + more.len())?;
            let Some(lead) = lead.with(&more, self.around) else { continue };
            let own = self.own.decide(&lead.sample, quarry.denier);
            let other = self.other.decide(&lead.sample, quarry.denier);
            if own.is_allowed() == quarry.is_allow && other.is_allowed() != quarry.is_allow {
                return Some(lead.sample);
            }
            let next = self.next(quarry, &lead.sample, [own, other]);
            let lead = Rc::new(lead);
            stack.extend(next.into_iter().rev().map(|more| (Rc::clone(&lead), more)));
        }
        None
    }

    /// What shall be so for both sides not to decide alike any more, by any one of several ways.
    fn next(
        &self,
        quarry: Quarry<'_>,
        sample: &Sample,
        [own, other]: [Decision<'_>; 2],
    ) -> Vec<Demands<'h>> {
        match (quarry.is_allow, own.is_allowed()) {
            (true, false) => return without(self.own, own.reason(), sample),
            // Nothing makes a request denied that the rule lets through.
            (false, true) => return Vec::new(),
            (true, true) | (false, false) => {}
        }
        if !quarry.is_allow && other.reason() == Reason::NoAllowPolicyMatched {
            let [rules, ways_of_one] = ALLOWED_BY;
            let allow = self.other.allow().take(rules);
            return allow.flat_map(|rule| self.meeting(self.other, rule, ways_of_one)).collect();
        }
        without(self.other, other.reason(), sample)
    }
}

/// The ways for the rule that decided not to match any more.
fn without<'p>(side: &'p Side<'_>, reason: Reason<'_>, sample: &Sample) -> Vec<Demands<'p>> {
    let rules = reason.rule().map(|rule| side.rules_of(rule)).unwrap_or_default();
    let mut found = Vec::new();
    for rule in rules {
        let Body::Rule { permissions, principals } = &rule.body else { continue };
        let (to, from) = (met(side, permissions, sample), met(side, principals, sample));
        let Some((to, from)) = to.zip(from) else { continue };
        found.extend(missing(side.authorizer, to));
        found.extend(missing(side.authorizer, from));
    }
    found
}

/// The first of several entries that a request meets.
fn met<'p, T: Test>(
    side: &Side<'_>,
    entries: &'p [Entry<T>],
    sample: &Sample,
) -> Option<&'p Entry<T>> {
    sample.with(|request| {
        let seen = side.authorizer.see(request).ok()?;
        entries.iter().find(|entry| entry.matches(&seen))
    })
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
