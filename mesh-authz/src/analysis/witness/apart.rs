//! Requests of which one rule alone decides: a change of the rule changes the decision.
use std::cell::Cell;
use std::collections::BTreeMap;

use mesh_model::resource::Action;

use super::super::literal::{Literal, Plain, Subject};
use super::super::sample::Sample;
use super::part::set;
use super::value::Candidate;
use super::{Way, changes, fit};
use crate::authorizer::Authorizer;
use crate::compile::Traffic;
use crate::identity::Value;
use crate::rbac::{Body, Entry, Policy, Test};
use crate::request::Seen;

/// Changes of a request that are kept, one after the other.
const STEPS: usize = 6;
/// Rules whose requests are looked at: with more the rules stand in each other's way less often.
const MOST_RULES: usize = 200;
/// Ways to be allowed that are tried.
const WAYS: usize = 16;
/// Rules and entries that are asked in all for one chain. Past it requests are left as they are found: what
/// other rules decide may hide what one rule does.
const WORK: usize = 1_000_000;

/// What a request is about, which stays as it is.
#[derive(Clone, Debug)]
pub(super) enum Lock<'t> {
    /// Nothing in particular.
    None,
    /// A part with a value.
    Part(Subject<'t>, Candidate),
    /// The claims of the token.
    Token(Option<BTreeMap<Box<str>, Value>>),
}

/// The rules of a chain that may stand in each other's way.
#[derive(Debug)]
pub(super) struct Apart<'p> {
    pub(super) authorizer: &'p Authorizer,
    pub(super) traffic: Traffic,
    deny: Vec<&'p Policy>,
    allow: Vec<&'p Policy>,
    /// Whether what no ALLOW rule matches is denied.
    is_closed: bool,
    /// What is left of [`WORK`].
    work: Cell<usize>,
}

impl<'p> Apart<'p> {
    pub(super) fn new(authorizer: &'p Authorizer, traffic: Traffic) -> Self {
        let compiled = &authorizer.chain(traffic).compiled;
        let of = |action: Action| {
            compiled.iter().filter(move |of| of.action == action && !of.is_dry_run)
        };
        let rules = |action: Action| -> Vec<&'p Policy> {
            let rules = of(action).flat_map(|policy| &policy.rules);
            rules.filter_map(|rule| rule.policy.as_deref()).collect()
        };
        let is_closed = of(Action::Allow).next().is_some();
        let (deny, allow) = (rules(Action::Deny), rules(Action::Allow));
        let work = Cell::new(WORK);
        Self { authorizer, traffic, deny, allow, is_closed, work }
    }

    /// Adds a request for one way to meet a rule, changed until no other rule decides it, if that is
    /// found; returns it.
    pub(super) fn push(
        &self,
        way: &Way<'_>,
        sample: Sample,
        lock: &Lock<'_>,
        found: &mut Vec<Sample>,
    ) -> Sample {
        let sample = self.freed(way, sample, lock);
        found.push(sample.clone());
        sample
    }

    fn freed(&self, way: &Way<'_>, mut sample: Sample, lock: &Lock<'_>) -> Sample {
        if self.deny.len() + self.allow.len() > MOST_RULES {
            return sample;
        }
        let Some(mut standing) = self.standing(way, lock, &sample) else { return sample };
        for _ in 0..STEPS {
            if standing == 0 {
                break;
            }
            let tries =
                self.tries(way, &sample).into_iter().filter_map(|sample| locked(sample, lock));
            let better = tries.into_iter().find_map(|changed| {
                let left = self.standing(way, lock, &changed)?;
                (left < standing).then_some((changed, left))
            });
            let Some((changed, left)) = better else { break };
            (sample, standing) = (changed, left);
        }
        sample
    }

    /// Takes what one look at all rules costs; `None` once nothing is left.
    fn spend(&self, way: &Way<'_>) -> Option<()> {
        let entries = match &way.policy.body {
            Body::Rule { permissions, principals } => permissions.len() + principals.len(),
            Body::Never => 0,
        };
        let cost = 1 + self.deny.len() + self.allow.len() + entries;
        self.work.set(self.work.get().checked_sub(cost)?);
        Some(())
    }

    /// How much stands in the way of a rule; `None`: the rule's other fields do not pass.
    fn standing(&self, way: &Way<'_>, lock: &Lock<'_>, sample: &Sample) -> Option<usize> {
        self.spend(way)?;
        sample.with(|request| {
            let seen = self.authorizer.see(request).ok()?;
            if !passes_beside(way.to, lock, &seen) || !passes_beside(way.from, lock, &seen) {
                return None;
            }
            let count = |rules: &[&Policy]| {
                rules.iter().filter(|of| !is_same(of, way.policy) && of.matches(&seen)).count()
            };
            let own = usize::from(other_entries(way, lock, &seen));
            let deny = count(&self.deny);
            let allowed = count(&self.allow);
            Some(
                own + deny
                    + match way.policy.origin.action {
                        Action::Allow => allowed,
                        Action::Deny | Action::Audit | Action::Custom => {
                            usize::from(self.is_closed && allowed == 0)
                        }
                    },
            )
        })
    }

    /// Requests that differ in one part that a rule in the way is about, and those that an ALLOW rule
    /// lets through.
    fn tries(&self, way: &Way<'_>, sample: &Sample) -> Vec<Sample> {
        let is_allow = way.policy.origin.action == Action::Allow;
        let mut found = Vec::new();
        let allow = self.allow.iter().filter(|_| is_allow);
        let others = self.deny.iter().chain(allow).filter(|of| !is_same(of, way.policy));
        let matching = others.filter(|of| {
            sample.with(|request| self.authorizer.see(request).is_ok_and(|seen| of.matches(&seen)))
        });
        for policy in matching.copied().chain([way.policy]) {
            let Body::Rule { permissions, principals } = &policy.body else { continue };
            found.extend(of_entries(permissions, sample));
            found.extend(of_entries(principals, sample));
        }
        let is_denied = !is_allow && self.is_closed;
        for policy in self.allow.iter().filter(|_| is_denied) {
            let Body::Rule { permissions, principals } = &policy.body else { continue };
            let ways =
                permissions.iter().flat_map(|to| principals.iter().map(move |from| (to, from)));
            found.extend(ways.take(WAYS).filter_map(|(to, from)| {
                let sample = fit(self.authorizer, to, sample.clone())?;
                fit(self.authorizer, from, sample)
            }));
        }
        found
    }
}

fn is_same(a: &Policy, b: &Policy) -> bool {
    a.name == b.name && a.origin == b.origin
}

fn of_entries<T: Literal>(entries: &[Entry<T>], sample: &Sample) -> Vec<Sample> {
    let clauses = entries.iter().flat_map(|entry| &entry.clauses);
    clauses.flat_map(|clause| changes(&[clause], sample)).collect()
}

/// Puts back what the request is about.
fn locked(mut sample: Sample, lock: &Lock<'_>) -> Option<Sample> {
    match lock {
        Lock::None => Some(sample),
        Lock::Part(subject, value) => set(sample, *subject, value.clone()),
        Lock::Token(claims) => {
            sample.http.as_mut()?.claims.clone_from(claims);
            Some(sample)
        }
    }
}

/// Whether the clauses of an entry pass that are not about what the request is about.
fn passes_beside<T: Literal + Test>(entry: &Entry<T>, lock: &Lock<'_>, seen: &Seen<'_>) -> bool {
    entry.clauses.iter().all(|clause| {
        let is_meant = match (lock, Plain::of(clause)) {
            (Lock::None, _) => false,
            (Lock::Part(subject, _), plain) => plain.is_some_and(|plain| plain.subject == *subject),
            (Lock::Token(_), plain) => plain.is_none(),
        };
        is_meant || clause.node.matches(seen)
    })
}

/// Whether the rule matches by another of its entries, whatever this one says.
fn other_entries(way: &Way<'_>, lock: &Lock<'_>, seen: &Seen<'_>) -> bool {
    let Body::Rule { permissions, principals } = &way.policy.body else { return false };
    let [to, from] = way.places;
    let by_to = permissions.iter().enumerate().any(|(at, of)| at != to && of.matches(seen));
    let by_from = principals.iter().enumerate().any(|(at, of)| at != from && of.matches(seen));
    // An entry that is about the same part stands in the way only of the side that is asked.
    let mentions = |is_meant: bool| matches!(lock, Lock::None) || is_meant;
    (by_to && mentions(is_about(way.to, lock))) || (by_from && mentions(is_about(way.from, lock)))
}

/// Whether an entry asks for what the request is about.
fn is_about<T: Literal>(entry: &Entry<T>, lock: &Lock<'_>) -> bool {
    entry.clauses.iter().any(|clause| match (lock, Plain::of(clause)) {
        (Lock::None, _) => true,
        (Lock::Part(subject, _), plain) => plain.is_some_and(|plain| plain.subject == *subject),
        (Lock::Token(_), plain) => plain.is_none(),
    })
}
