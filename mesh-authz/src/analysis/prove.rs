//! Rules that cannot matter: that match nothing, or nothing that another one does not decide.
//!
//! A peer's certificate may have several names, of which each test may mean another one: that two tests of
//! the identity exclude each other proves nothing.
use std::collections::BTreeMap;

use crate::compile::{Chain, CompiledPolicy};
use crate::rbac::{Body, Entry, Field, Filter, Node, Origin, Policy, Purpose};
use crate::rule::Omission;
use mesh_model::resource::Action;

use super::literal::{Literal, Plain, Shape, Subject, any_covers, covers, disjoint};

/// A rule that no request matches.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "a report has these parts")]
pub struct NeverMatches<'p> {
    /// The policy.
    pub policy: &'p CompiledPolicy,
    /// The place of the rule in `spec.rules`.
    pub rule: usize,
    /// Why.
    pub why: Never<'p>,
}

/// Why a rule matches nothing.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Never<'p> {
    /// Proxies do not get the rule: they would not understand it.
    LeftOut(&'p [Omission]),
    /// No value that the field allows is left by the other fields of its entry.
    Contradiction(&'p Field),
}

/// Finds the rules of a chain that none of its requests matches, in the order of the policies.
pub fn never_matching(chain: &Chain) -> Vec<NeverMatches<'_>> {
    let mut found = Vec::new();
    for policy in &chain.compiled {
        for (rule, compiled) in policy.rules.iter().enumerate() {
            let why = match &compiled.policy {
                None => Some(Never::LeftOut(&compiled.omissions)),
                Some(written) => contradiction(written, Names::Several).map(Never::Contradiction),
            };
            found.extend(why.map(|why| NeverMatches { policy, rule, why }));
        }
    }
    found
}

/// How many names the certificates of peers have.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Names {
    /// One at most, as workloads of a mesh have it.
    One,
    /// Any number.
    Several,
}

/// Finds the rules of a chain that a peer with one name in its certificate never matches, although a
/// peer with several may: two fields ask for identities that no workload of a mesh has both of.
pub fn needing_several_names(chain: &Chain) -> Vec<NeverMatches<'_>> {
    let mut found = Vec::new();
    for policy in &chain.compiled {
        for (rule, compiled) in policy.rules.iter().enumerate() {
            let Some(written) = &compiled.policy else { continue };
            let is_possible = contradiction(written, Names::Several).is_none();
            let why = contradiction(written, Names::One).filter(|_| is_possible);
            let why = why.map(Never::Contradiction);
            found.extend(why.map(|why| NeverMatches { policy, rule, why }));
        }
    }
    found
}

/// The field that leaves a rule without a match.
fn contradiction(policy: &Policy, names: Names) -> Option<&Field> {
    let Body::Rule { permissions, principals } = &policy.body else { return None };
    of_all(permissions, names).or_else(|| of_all(principals, names))
}

/// The first contradiction, if every entry has one.
fn of_all<T: Literal + PartialEq>(entries: &[Entry<T>], names: Names) -> Option<&Field> {
    let mut contradictions = entries.iter().map(|entry| of_entry(entry, names));
    let first = contradictions.next()??;
    contradictions.all(|of| of.is_some()).then_some(first)
}

/// The positive clause of an entry of which no value is possible.
fn of_entry<T: Literal + PartialEq>(entry: &Entry<T>, names: Names) -> Option<&Field> {
    let clauses: Vec<Plain<'_>> = entry.clauses.iter().filter_map(Plain::of).collect();
    let positive = clauses.iter().enumerate().filter(|(_, clause)| !clause.is_negated);
    let dead = |(place, clause): &(usize, &Plain<'_>)| {
        !clause.shapes.iter().any(|shape| is_possible(*shape, *place, &clauses, names))
    };
    let dead = positive.into_iter().find(dead).map(|(_, clause)| clause.field);
    dead.or_else(|| negated_whole(entry))
}

/// The clause of an entry that another one negates as it is, whatever it is made of.
fn negated_whole<T: PartialEq>(entry: &Entry<T>) -> Option<&Field> {
    let is_negated = |node: &Node<T>| {
        entry.clauses.iter().any(|of| matches!(&of.node, Node::Not(inner) if **inner == *node))
    };
    entry.clauses.iter().find(|clause| is_negated(&clause.node)).map(|clause| &clause.field)
}

/// Whether nothing is known that excludes what a test of one clause asks for.
fn is_possible(shape: Shape<'_>, place: usize, clauses: &[Plain<'_>], names: Names) -> bool {
    let Some(own) = clauses.get(place) else { return true };
    let has_one = names == Names::One && own.subject == Subject::Identity;
    let is_single = has_one || own.subject.is_single();
    let mut others =
        clauses.iter().enumerate().filter(|(at, of)| *at != place && of.subject == own.subject);
    shape != Shape::Refused(false)
        && others.all(|(_, of)| {
            if of.is_negated {
                !any_covers(own.subject, &of.shapes, shape)
            } else {
                !is_single || of.shapes.iter().any(|other| !disjoint(*other, shape))
            }
        })
}

/// A rule that another one makes useless.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "a report has these two parts")]
pub struct Shadowed<'p> {
    /// The rule.
    pub rule: &'p Origin,
    /// One that matches whatever it matches: of the same action, or a DENY over an ALLOW.
    pub by: &'p Origin,
}

/// Finds the rules of a chain whose removal changes no decision of it, each with one rule that is why.
/// The other chain of the workload may need them: see [`useless`](super::useless()).
///
/// Only enforced ALLOW and DENY policies count. Of two rules that match the same the later one is
/// reported. Costs the square of the number of rules. Where a gRPC server has one ALLOW rule only, that
/// one keeps the workload closed even if it matches nothing: see [`useless`](super::useless()).
pub fn shadowed(chain: &Chain) -> Vec<Shadowed<'_>> {
    let rules: Vec<&Policy> = chain
        .compiled
        .iter()
        .filter(|policy| !policy.is_dry_run)
        .filter(|policy| matches!(policy.action, Action::Allow | Action::Deny))
        .flat_map(|policy| &policy.rules)
        .filter_map(|rule| rule.policy.as_deref())
        .filter(|rule| !is_never(rule))
        .collect();
    // Of rules of one name, which only gRPC servers have, the last counts.
    let mut named = BTreeMap::<_, Vec<usize>>::new();
    for (place, rule) in rules.iter().enumerate() {
        named.entry((rule.origin.action, &rule.name)).or_default().push(place);
    }
    let counts_without = |(at, other): (usize, &Policy), place: usize| {
        let mut alike = named.get(&(other.origin.action, &other.name)).into_iter().flatten();
        alike.rfind(|known| **known != place) == Some(&at)
    };
    let by = |(place, rule): (usize, &&Policy)| {
        let mut others = rules.iter().enumerate();
        let decides = |(at, other): &(usize, &&Policy)| {
            let is_same = other.origin.action == rule.origin.action;
            let is_over = other.origin.action == Action::Deny;
            *at != place
                && (is_same || is_over)
                && counts_without((*at, other), place)
                && rule_covers(other, rule)
                && (*at < place || !is_same || !rule_covers(rule, other))
        };
        others.find(decides).map(|(_, other)| &other.origin)
    };
    // What a rule keeps out of force by its name comes into force where it goes; and what is kept out of force
    // itself is told as that.
    let is_entangled = |place: usize, rule: &Policy| {
        let alike = named.get(&(rule.origin.action, &rule.name)).map(Vec::as_slice);
        let of = |place: &usize| rules.get(*place).copied();
        match alike.unwrap_or_default() {
            [.., before, last] if *last == place => {
                of(before).is_none_or(|of| !rule_covers(of, rule) || !rule_covers(rule, of))
            }
            [_, .., last] => of(last).is_none_or(|last| !rule_covers(last, rule)),
            _ => false,
        }
    };
    // What stands in for a policy that cannot be read has no rule that could go.
    let written = rules.iter().enumerate().filter(|(_, rule)| !rule.origin.is_broken);
    let written = written.filter(|(place, rule)| !is_entangled(*place, rule));
    written.filter_map(|entry| Some(Shadowed { by: by(entry)?, rule: &entry.1.origin })).collect()
}

/// Whether a rule matches whatever another one matches; false where that is not known.
pub(super) fn rule_covers(a: &Policy, b: &Policy) -> bool {
    match (&a.body, &b.body) {
        (
            Body::Rule { permissions, principals },
            Body::Rule { permissions: others, principals: other_principals },
        ) => side_covers(permissions, others) && side_covers(principals, other_principals),
        (Body::Never, _) | (_, Body::Never) => false,
    }
}

/// Whether each entry of `b` that can match has one of `a` that matches as much.
pub(super) fn side_covers<T: Literal + PartialEq>(a: &[Entry<T>], b: &[Entry<T>]) -> bool {
    b.iter()
        .filter(|entry| of_entry(entry, Names::Several).is_none())
        .all(|entry| a.iter().any(|wider| entry_covers(wider, entry)))
}

fn entry_covers<T: Literal + PartialEq>(a: &Entry<T>, b: &Entry<T>) -> bool {
    let known: Vec<Plain<'_>> = b.clauses.iter().filter_map(Plain::of).collect();
    a.clauses.iter().all(|wider| {
        b.clauses.iter().any(|clause| clause.node == wider.node)
            || Plain::of(wider).is_some_and(|wider| is_implied(&wider, &known))
    })
}

/// Whether clauses that all hold leave nothing that another one excludes.
fn is_implied(wider: &Plain<'_>, known: &[Plain<'_>]) -> bool {
    let mut about = known.iter().filter(|clause| clause.subject == wider.subject);
    let passes = |shape: Shape<'_>| any_covers(wider.subject, &wider.shapes, shape);
    if !wider.is_negated {
        return about
            .any(|clause| !clause.is_negated && clause.shapes.iter().all(|shape| passes(*shape)));
    }
    let about: Vec<&Plain<'_>> = about.collect();
    wider.shapes.iter().all(|excluded| {
        about.iter().any(|clause| {
            if clause.is_negated {
                clause.shapes.iter().any(|shape| covers(wider.subject, *shape, *excluded))
            } else {
                clause.subject.is_single()
                    && clause.shapes.iter().all(|shape| disjoint(*shape, *excluded))
            }
        })
    })
}

/// Returns whether ALLOW policies are enforced of which no rule can match: everything is denied.
pub fn allows_nothing(chain: &Chain) -> bool {
    let mut rules = chain.filters.iter().filter_map(|filter| match filter {
        Filter::Rbac(filter) if filter.purpose == Purpose::Allow => filter.rules.as_ref(),
        Filter::Rbac(_) | Filter::ExternalAuthorization { .. } => None,
    });
    rules.next().is_some_and(|rules| rules.policies().iter().all(|rule| is_never(rule)))
}

/// Whether it is known that nothing matches a rule.
fn is_never(rule: &Policy) -> bool {
    let is_empty = match &rule.body {
        Body::Never => true,
        Body::Rule { permissions, principals } => permissions.is_empty() || principals.is_empty(),
    };
    is_empty || contradiction(rule, Names::Several).is_some()
}

/// Returns the policy whose removal opens the workload: the only ALLOW policy that is enforced, without
/// which whatever no DENY policy denies is allowed.
pub fn last_allow(chain: &Chain) -> Option<&CompiledPolicy> {
    let mut allow = enforced_allow(chain);
    let only = allow.next()?;
    allow.next().is_none().then_some(only)
}

fn enforced_allow(chain: &Chain) -> impl Iterator<Item = &CompiledPolicy> {
    chain.compiled.iter().filter(|policy| policy.action == Action::Allow && !policy.is_dry_run)
}
