//! Looking for a request that a rule matches and that two sets of policies decide differently.
//!
//! Whatever makes both decide alike is one rule, or the want of one: that the rule does not match, or that
//! one does, is demanded of the request as well, and then what comes next is looked at. Where demands cannot
//! be met together other ones are tried, so that a request is found if there is one, unless the work
//! or the bounds of what is tried end before.
use std::rc::Rc;

use super::allowing::may_meet;
use super::between::{Deciding, Side};
use super::demand::{Demand, Demands, Lead, meeting, missing};
use super::search::Search;
use super::surroundings::Surroundings;
use crate::analysis::sample::Sample;
use crate::authorizer::Authorizer;
use crate::compile::Traffic;
use crate::decision::{Decision, Reason};
use crate::rbac::{Body, Entry, Origin, Policy, Test};

/// Requests that are looked at in all.
const WORK: usize = 100_000;
/// Requests that are looked at for one rule, at least while there is work left and at most.
const OF_A_RULE: [usize; 2] = [64, 4_000];

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

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Hunted {
    pub(super) samples: Vec<Sample>,
    /// What nothing was found for, and not all was tried: rules by their origin.
    pub(super) incomplete: Vec<Option<Origin>>,
}

/// A request, and what else may be made so of it, one way after the other.
type Open<'s, 'p> = (Rc<Lead<'p>>, Box<dyn Iterator<Item = Demands<'p>> + 's>);

impl<'h> Hunt<'h, '_, '_> {
    /// A request for each of what is wanted, if one is found.
    pub(super) fn all(&self, wanted: &[Wanted<'h>]) -> Hunted {
        let [least, most] = OF_A_RULE;
        let mut left = WORK;
        let mut found = Hunted::default();
        for (place, one) in wanted.iter().enumerate() {
            let share = left / (wanted.len() - place);
            let share = share.clamp(least, most).min(left);
            let mut budget = Budget(share);
            let search = Search::new(self.around);
            let sample = self.one(one, &mut budget, &search);
            if sample.is_none() && search.is_cut() {
                found.incomplete.push(match one {
                    Wanted::Rule(rule) => Some(rule.policy.origin.clone()),
                    Wanted::Closed => None,
                });
            }
            found.samples.extend(sample);
            left -= share - budget.0;
        }
        found
    }

    fn one(&self, wanted: &Wanted<'h>, budget: &mut Budget, search: &Search<'_>) -> Option<Sample> {
        let plain = Sample::of(self.own.authorizer, self.traffic);
        let first = Rc::new(Lead::new(self.around.entering(plain)));
        let Wanted::Rule(rule) = wanted else {
            let quarry = Quarry { is_allow: true, denier: None };
            let anything = Box::new(std::iter::once(Vec::new()));
            return self.follow(quarry, (first, anything), budget, search);
        };
        let quarry = Quarry { is_allow: rule.is_allow, denier: rule.denier };
        let ways = Box::new(meeting_rule(self.own.authorizer, rule.policy, &[], search));
        self.follow(quarry, (first, ways), budget, search)
    }

    /// Demands more until both sides decide differently.
    fn follow<'s>(
        &self,
        quarry: Quarry<'_>,
        first: Open<'s, 'h>,
        budget: &mut Budget,
        search: &'s Search<'_>,
    ) -> Option<Sample>
    where
        'h: 's,
    {
        let mut stack = vec![first];
        while let Some((lead, ways)) = stack.last_mut() {
            let Some(more) = ways.next() else {
                stack.pop();
                continue;
            };
            if budget.spend(1 + more.len()).is_none() {
                search.cut();
                return None;
            }
            let Some(lead) = lead.with(&more, search) else { continue };
            let own = self.own.decide(&lead.sample, quarry.denier);
            let other = self.other.decide(&lead.sample, quarry.denier);
            if own.is_allowed() == quarry.is_allow && other.is_allowed() != quarry.is_allow {
                return Some(lead.sample);
            }
            let lead = Rc::new(lead);
            let next = self.next(quarry, &lead, [own, other], search);
            stack.push((lead, next));
        }
        None
    }

    /// What shall be so for both sides not to decide alike any more, by any one of several ways.
    fn next<'s>(
        &self,
        quarry: Quarry<'_>,
        lead: &Lead<'h>,
        [own, other]: [Decision<'_>; 2],
        search: &'s Search<'_>,
    ) -> Box<dyn Iterator<Item = Demands<'h>> + 's>
    where
        'h: 's,
    {
        match (quarry.is_allow, own.is_allowed()) {
            (true, false) => {
                let ways = without(self.own, own.reason(), &lead.sample, search);
                return Box::new(ways.into_iter());
            }
            // Nothing makes a request denied that the rule lets through.
            (false, true) => return Box::new(std::iter::empty()),
            (true, true) | (false, false) => {}
        }
        if !quarry.is_allow && other.reason() == Reason::NoAllowPolicyMatched {
            let side = self.other;
            // What each side sees of a request may differ: then one demand says nothing of another.
            let is_alike = self.own.authorizer.sees_like(side.authorizer);
            let known = if is_alike { lead.demands().to_vec() } else { Vec::new() };
            let rules = side.allowing().meeting(&known).into_iter();
            return Box::new(
                rules.flat_map(move |rule| meeting_rule(side.authorizer, rule, &known, search)),
            );
        }
        Box::new(without(self.other, other.reason(), &lead.sample, search).into_iter())
    }
}

/// The ways to meet a rule, by each pair of its entries that may hold beside what is demanded already.
fn meeting_rule<'r, 's>(
    authorizer: &'r Authorizer,
    rule: &'r Policy,
    known: &[Demand<'_>],
    search: &'s Search<'_>,
) -> impl Iterator<Item = Demands<'r>> + use<'r, 's>
where
    'r: 's,
{
    let (to, from) = match &rule.body {
        Body::Rule { permissions, principals } => (&**permissions, &**principals),
        Body::Never => (&[][..], &[][..]),
    };
    let to: Vec<_> = to.iter().filter(|entry| may_meet(entry, known)).collect();
    let from: Vec<_> = from.iter().filter(|entry| may_meet(entry, known)).collect();
    let pairs = ways(to.len(), from.len());
    pairs.flat_map(move |[to_at, from_at]| {
        let to = to.get(to_at).map(|entry| meeting(authorizer, *entry, search));
        let from = from.get(from_at).map(|entry| meeting(authorizer, *entry, search));
        let from = from.unwrap_or_default();
        let pairs = to.unwrap_or_default().into_iter();
        pairs
            .flat_map(|to| from.iter().map(|from| [&*to, from].concat()).collect::<Vec<_>>())
            .collect::<Vec<_>>()
    })
}

/// The ways for the rule that decided not to match any more.
fn without<'p>(
    side: &'p Side<'_>,
    reason: Reason<'_>,
    sample: &Sample,
    search: &Search<'_>,
) -> Vec<Demands<'p>> {
    let rules = reason.rule().map(|rule| side.rules_of(rule)).unwrap_or_default();
    let mut found = Vec::new();
    for rule in rules {
        let Body::Rule { permissions, principals } = &rule.body else { continue };
        let (to, from) = (met(side, permissions, sample), met(side, principals, sample));
        let Some((to, from)) = to.zip(from) else { continue };
        found.extend(missing(side.authorizer, to, search));
        found.extend(missing(side.authorizer, from, search));
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
