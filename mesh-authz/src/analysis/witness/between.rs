//! Requests that a change of policies decides differently.
//!
//! ```text
//! old ─┐                 ┌─ hunt ─▶ a request that each of them matches and that is decided differently
//!      ├─ changed rules ─┤
//! new ─┘                 └─ around ─▶ what lies around each of their values
//! ```
//!
//! What is decided differently matches a rule that one side alone has, unless that side alone denies what
//! no ALLOW rule matches. So rules that stay as they are cost next to nothing, however many there are.
use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};

use super::allowing::Allowing;
use super::apart::Apart;
use super::hunt::{Hunt, Wanted};
use super::surroundings::Surroundings;
use super::{distinct, of_rule};
use crate::analysis::sample::Sample;
use crate::authorizer::Authorizer;
use crate::compile::{Chain, Traffic};
use crate::decision::{Decision, Verdict};
use crate::rbac::{Filter, Origin, Policy, Purpose};

/// Requests that are made of the values of one side's rules: past it what is left of them is not tried.
const MOST_AROUND: usize = 4_000;

/// Requests that tell one set of policies from another.
#[derive(Clone, Debug, Default, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "callers use every part")]
pub struct Between {
    /// One that nobody wonders at, and one for each rule that only one side has and that decides it.
    pub hunted: Vec<Sample>,
    /// What lies around the values of those rules.
    pub around: Vec<Sample>,
    /// The rules that only one side has of which bounds ended the search before a request was found: one
    /// may be decided differently all the same. `None`: that only one side denies what no ALLOW rule
    /// matches.
    pub incomplete: Vec<Option<Origin>>,
}

/// Returns requests that tell one set of policies from another: for each rule that only one of them has one
/// that is decided differently because of it, if that is found, and those that lie around its values.
///
/// All that one part of a request must be at once is met together: values are spelled out of the starts, the
/// ends and the templates of the rules of both sides, and a part that may have several values has as many as
/// it takes. Certificates have several names only where one will not do. So one is found for each changed
/// rule if there is one, within these bounds: 4,000 requests looked at
/// for one rule and 100,000 for one side (with many changed rules at least 64 for each, as long as any are
/// left), 64 ways to meet or miss an entry, 2,000 addresses for one part, and 3,000 places in the patterns for
/// one text. Where one of them ended a search in vain [`Between::incomplete`] says so. What lies around
/// values is 4,000 requests a side at most; that is no part of the search. Patterns are taken
/// for what they are before normalization, so that finding none still proves nothing.
pub fn samples_between(old: &Authorizer, new: &Authorizer, traffic: Traffic) -> Between {
    samples_between_in(old, new, traffic, &Surroundings::default())
}

/// Returns the same, of requests that come as far as the policies and go where the workload is: others need
/// not be told from each other.
///
/// What lies around the values of rules is not looked for with regard to that.
pub fn samples_between_in(
    old: &Authorizer,
    new: &Authorizer,
    traffic: Traffic,
    around: &Surroundings,
) -> Between {
    let [old, new] = [old, new].map(|authorizer| Side::new(authorizer, traffic));
    let [lost, gained] = [(&old, &new), (&new, &old)].map(|(own, other)| {
        let changed = own.changed(other);
        let mut wanted: Vec<Wanted<'_>> = changed.iter().copied().map(Wanted::Rule).collect();
        if other.is_closed && !own.is_closed {
            wanted.push(Wanted::Closed);
        }
        let hunted = Hunt { own, other, traffic, around }.all(&wanted);
        (hunted, around_values(own.authorizer, traffic, &changed))
    });
    let of_both = [old.authorizer, new.authorizer];
    let told = |first: Option<Sample>, lost, gained| {
        let mut found: Vec<Sample> = first.into_iter().chain(in_turn(lost, gained)).collect();
        found.retain(exists);
        // Workloads have one name.
        found.sort_by_key(|sample| !sample.other_names.is_empty());
        distinct(&of_both, found)
    };
    let plain = Sample::of(new.authorizer, traffic);
    let incomplete = [lost.0.incomplete, gained.0.incomplete].concat();
    Between {
        hunted: told(Some(plain), lost.0.samples, gained.0.samples),
        around: told(None, lost.1, gained.1),
        incomplete,
    }
}

/// Whether anybody can send a request: the names of a certificate are URIs, and those of hosts have no
/// blanks.
fn exists(sample: &Sample) -> bool {
    let mut names = sample.identity.iter().chain(&sample.other_names).chain(&sample.server_name);
    names.all(|name| name.bytes().all(|letter| letter.is_ascii_graphic()))
}

/// What lies around the values of rules.
fn around_values(authorizer: &Authorizer, traffic: Traffic, rules: &[Deciding<'_>]) -> Vec<Sample> {
    let apart = Apart::new(authorizer, traffic);
    let mut found = Vec::new();
    for rule in rules {
        if found.len() >= MOST_AROUND {
            break;
        }
        of_rule(&apart, rule.policy, &mut found);
    }
    found.truncate(MOST_AROUND);
    found
}

/// One of each as long as there are any, so that whoever takes the first few has some of both.
fn in_turn(one: Vec<Sample>, other: Vec<Sample>) -> Vec<Sample> {
    let mut found = Vec::with_capacity(one.len() + other.len());
    let (mut one, mut other) = (one.into_iter(), other.into_iter());
    loop {
        let pair = [one.next(), other.next()];
        if pair == [None, None] {
            return found;
        }
        found.extend(pair.into_iter().flatten());
    }
}

/// A rule that decides something.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deciding<'p> {
    pub(super) policy: &'p Policy,
    pub(super) is_allow: bool,
    /// The external authorizer that denies what the rule means; others are taken to allow.
    pub(super) denier: Option<&'p str>,
}

/// The rules of one side.
#[derive(Debug)]
pub(super) struct Side<'p> {
    pub(super) authorizer: &'p Authorizer,
    rules: Vec<Deciding<'p>>,
    by_origin: BTreeMap<&'p Origin, Vec<&'p Policy>>,
    /// Whether what no ALLOW rule matches is denied.
    is_closed: bool,
    /// The ALLOW rules, once they are asked for.
    allowing: OnceCell<Allowing<'p>>,
}

impl<'p> Side<'p> {
    fn new(authorizer: &'p Authorizer, traffic: Traffic) -> Self {
        let chain = authorizer.chain(traffic);
        let rules = deciding(chain);
        let mut by_origin = BTreeMap::<_, Vec<_>>::new();
        for rule in &rules {
            by_origin.entry(&rule.policy.origin).or_default().push(rule.policy);
        }
        let is_closed = chain.filters.iter().any(|filter| match filter {
            Filter::Rbac(filter) => filter.purpose == Purpose::Allow && filter.rules.is_some(),
            Filter::ExternalAuthorization { .. } => false,
        });
        Self { authorizer, rules, by_origin, is_closed, allowing: OnceCell::new() }
    }

    pub(super) fn decide(&self, sample: &Sample, denier: Option<&str>) -> Decision<'p> {
        decide(self.authorizer, sample, denier)
    }

    /// The rules of an origin, of which there is one as a rule.
    pub(super) fn rules_of(&self, origin: &Origin) -> &[&'p Policy] {
        self.by_origin.get(origin).map(Vec::as_slice).unwrap_or_default()
    }

    /// The ALLOW rules by what they name.
    pub(super) fn allowing(&self) -> &Allowing<'p> {
        let rules = || self.rules.iter().filter(|rule| rule.is_allow).map(|rule| rule.policy);
        self.allowing.get_or_init(|| Allowing::new(rules()))
    }

    /// The rules that the other side has not, by whatever name.
    fn changed(&self, other: &Self) -> Vec<Deciding<'p>> {
        if !self.authorizer.sees_like(other.authorizer) {
            return self.rules.clone();
        }
        let (own, others) = (self.unlike(other), other.unlike(self));
        let what = |rule: &Deciding<'_>| {
            (rule.is_allow, rule.denier.map(str::to_owned), format!("{:?}", rule.policy.body))
        };
        let others: BTreeSet<_> = others.iter().map(what).collect();
        own.into_iter().filter(|rule| !others.contains(&what(rule))).collect()
    }

    /// The rules that the other side has not by the same name.
    fn unlike(&self, other: &Self) -> Vec<Deciding<'p>> {
        let key = |rule: &Deciding<'p>| (rule.is_allow, rule.denier, &*rule.policy.name);
        let known: BTreeMap<_, _> =
            other.rules.iter().map(|rule| (key(rule), &rule.policy.body)).collect();
        let is_new = |rule: &&Deciding<'p>| known.get(&key(rule)) != Some(&&rule.policy.body);
        self.rules.iter().filter(is_new).copied().collect()
    }
}

/// Decides, one external authorizer being taken to deny, others to allow.
pub(in crate::analysis) fn decide<'p>(
    authorizer: &'p Authorizer,
    sample: &Sample,
    denier: Option<&str>,
) -> Decision<'p> {
    sample.with(|request| {
        authorizer.decide_asking(request, |check| {
            if denier == Some(check.provider) { Verdict::Deny } else { Verdict::Allow }
        })
    })
}

/// The rules of a chain that decide something, in the order of the filters.
fn deciding(chain: &Chain) -> Vec<Deciding<'_>> {
    let mut found = Vec::new();
    let mut filters = chain.filters.iter().peekable();
    while let Some(filter) = filters.next() {
        let Filter::Rbac(filter) = filter else { continue };
        let denier = match filters.peek() {
            Some(Filter::ExternalAuthorization { provider }) => Some(&**provider),
            Some(Filter::Rbac(_)) | None => None,
        };
        let asked = filter.shadow_rules.as_ref().filter(|_| filter.purpose == Purpose::Custom);
        let enforced = filter.rules.as_ref().filter(|_| filter.purpose != Purpose::Audit);
        for (rules, denier) in [(asked, denier), (enforced, None)] {
            let policies = rules.into_iter().flat_map(|rules| rules.policies());
            let is_allow = filter.purpose == Purpose::Allow;
            found.extend(policies.map(|policy| Deciding { policy, is_allow, denier }));
        }
    }
    found
}
