//! Why: every policy and rule that was looked at, and the first field of each that failed.
use std::fmt;

use mesh_model::name::Namespace;
use mesh_model::resource::Action;

use crate::authorizer::{Authorizer, L4Outcome, Looked, Observer};
use crate::compile::{CompiledPolicy, CompiledRule, Traffic};
use crate::decision::{Decision, ExternalCheck, Reason, Verdict};
use crate::dry_run::DryRun;
use crate::rbac::{Body, Clause, Entry, Field, Origin, Place, Policy, Test};
use crate::request::{Request, Seen};
use crate::rule::Omission;
use crate::ztunnel::L4Failure;

mod saw;

use self::saw::Saw;

/// The whole answer to a request.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "callers print every part")]
pub struct Explanation<'p> {
    /// The decision.
    pub decision: Decision<'p>,
    /// Whether an AUDIT policy matches; `None` if none applies.
    pub audit: Option<bool>,
    /// What policies on trial say, one entry for each action that has any, DENY first.
    pub dry_run: Vec<DryRun<'p>>,
    /// The external authorizers that were asked, in order.
    pub custom: Vec<ExternalCheck<'p>>,
    /// Each policy of the workload, in the order of the filters. Rules past the deciding one are
    /// evaluated all the same. Where a ztunnel may decide, too, what it says of each comes after that.
    pub trace: Vec<PolicyTrace<'p>>,
}

/// What a policy says of a request.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "callers print every part")]
pub struct PolicyTrace<'p> {
    /// The policy's namespace.
    pub namespace: &'p Namespace,
    /// The policy's name.
    pub name: &'p str,
    /// The policy's action.
    pub action: Action,
    /// Whether it is on trial only.
    pub is_dry_run: bool,
    /// Its rules, in order.
    pub rules: Vec<RuleTrace<'p>>,
}

/// What a rule says of a request.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "callers print every part")]
pub struct RuleTrace<'p> {
    /// The rule's place in `spec.rules`.
    pub rule: usize,
    /// Whether it matches, and if not why.
    pub outcome: Outcome<'p>,
    /// Values of the rule that the data plane does not have.
    pub omissions: &'p [Omission],
}

/// Whether a rule matches.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_enums, reason = "callers print every outcome")]
pub enum Outcome<'p> {
    /// It does.
    Matched,
    /// A field does not.
    Failed(Failure<'p>),
    /// A field of the connection does not, as a ztunnel has it.
    Unmatched(L4Failure),
    /// The rule was left out of what the proxy got; its omissions say why.
    LeftOut,
    /// The path is refused before any policy is asked.
    NotAsked,
}

/// The field that kept a rule from matching, in the order `from`, `to`, `when`.
///
/// Of several entries of `from` or `to` it is the one that came furthest, the first of equals.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "callers print every part")]
pub struct Failure<'p> {
    /// The field with what was expected.
    pub field: &'p Field,
    /// What the request has there.
    pub saw: String,
}

/// What a policy on trial would do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "callers print every part")]
pub struct Trial<'p> {
    /// The policy's namespace.
    pub namespace: &'p Namespace,
    /// The policy's name.
    pub name: &'p str,
    /// What the proxy notes that it would have decided.
    pub would: Verdict,
}

impl<'p> Explanation<'p> {
    /// Returns what the policies on trial would do, as the proxy notes it: of those of one action that
    /// match the first, and all the ALLOW policies where none of them matches, which denies. Of policies
    /// that the request does not get to, because it was denied before, nothing is known.
    ///
    /// Policies on trial are decided by themselves: another ALLOW policy that lets the request through does
    /// not count.
    ///
    /// # Upstream
    ///
    /// envoyproxy/envoy `source/extensions/filters/http/rbac/rbac_filter.cc`
    /// `RoleBasedAccessControlFilter::decodeHeaders`.
    pub fn trials(&self) -> Vec<Trial<'p>> {
        let matched = self.dry_run.iter().filter_map(|trial| {
            let rule = trial.matched?;
            let would = if trial.action == Action::Deny { Verdict::Deny } else { Verdict::Allow };
            Some(Trial { namespace: &rule.namespace, name: &rule.name, would })
        });
        let is_missed =
            |trial: &DryRun<'_>| trial.action == Action::Allow && trial.matched.is_none();
        let misses = self.asks_allow() && self.dry_run.iter().any(is_missed);
        let allow = self.trace.iter().filter(|of| of.is_dry_run && of.action == Action::Allow);
        let missed = allow.filter(|_| misses).map(|policy| Trial {
            namespace: policy.namespace,
            name: policy.name,
            would: Verdict::Deny,
        });
        matched.chain(missed).collect()
    }

    /// Whether the ALLOW policies are asked, which come last.
    fn asks_allow(&self) -> bool {
        match self.decision {
            Decision::Allow(_) => true,
            Decision::Deny(reason) => reason == Reason::NoAllowPolicyMatched,
        }
    }
}

impl PolicyTrace<'_> {
    /// Returns whether a rule of the policy matches.
    pub fn is_match(&self) -> bool {
        self.rules.iter().any(|rule| matches!(rule.outcome, Outcome::Matched))
    }
}

impl fmt::Display for Failure<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let not = if self.field.is_negated { "none of " } else { "" };
        write!(f, "{}: expected {not}{:?}, saw {}", self.field, self.field.values, self.saw)
    }
}

impl Authorizer {
    /// Explains a decision, external authorizers taken to allow; [`Self::explain_asking`] asks them.
    pub fn explain<'p>(&'p self, request: &Request<'_>) -> Explanation<'p> {
        self.explain_asking(request, |_| Verdict::Allow)
    }

    /// Explains a decision, with the verdicts of external authorizers from `ask`.
    pub fn explain_asking<'p>(
        &'p self,
        request: &Request<'_>,
        ask: impl FnMut(ExternalCheck<'p>) -> Verdict,
    ) -> Explanation<'p> {
        let traffic = if request.http.is_some() { Traffic::Http } else { Traffic::Tcp };
        let facing = self.facing(request);
        let compiled = &facing.chain(traffic).compiled;
        let has_audit = compiled.iter().any(|of| of.action == Action::Audit && !of.is_dry_run);
        let trials = [Action::Deny, Action::Allow].into_iter();
        let trials = trials.filter(|action| facing.has_trial(traffic, *action));
        let mut notes = Notes {
            ask,
            audit: has_audit.then_some(false),
            dry_run: trials.map(|action| DryRun { action, matched: None }).collect(),
            custom: Vec::new(),
        };
        let decision = facing.observe(request, &mut notes);
        let trace = match facing.l4() {
            Some(l4) => l4.look(request, trace_of_connection),
            None => {
                let seen = facing.see(request).ok();
                let of_chain = compiled.iter().map(|policy| trace(policy, seen.as_ref()));
                let perhaps = facing.perhaps().into_iter();
                let perhaps = perhaps.flat_map(|l4| l4.look(request, trace_of_connection));
                of_chain.chain(perhaps).collect()
            }
        };
        let Notes { audit, dry_run, custom, .. } = notes;
        Explanation { decision, audit, dry_run, custom, trace }
    }
}

struct Notes<'p, F> {
    ask: F,
    audit: Option<bool>,
    dry_run: Vec<DryRun<'p>>,
    custom: Vec<ExternalCheck<'p>>,
}

impl<'p, F: FnMut(ExternalCheck<'p>) -> Verdict> Observer<'p> for Notes<'p, F> {
    const WATCHES: bool = true;

    fn ask(&mut self, check: ExternalCheck<'p>) -> Verdict {
        self.custom.push(check);
        (self.ask)(check)
    }

    fn audit(&mut self, is_match: bool) {
        self.audit = Some(is_match);
    }

    fn dry_run(&mut self, dry_run: DryRun<'p>) {
        self.dry_run
            .iter_mut()
            .filter(|known| known.action == dry_run.action)
            .for_each(|known| *known = dry_run);
    }
}

fn trace<'p>(policy: &'p CompiledPolicy, seen: Option<&Seen<'_>>) -> PolicyTrace<'p> {
    // CUSTOM comes before the token is validated.
    let early = seen.filter(|_| policy.action == Action::Custom).map(|seen| {
        let mut early = seen.clone();
        early.payload = None;
        early
    });
    let seen = early.as_ref().or(seen);
    let rules = policy.rules.iter().enumerate().map(|(rule, compiled)| RuleTrace {
        rule,
        outcome: seen.map_or(Outcome::NotAsked, |seen| outcome(compiled, seen)),
        omissions: &compiled.omissions,
    });
    PolicyTrace {
        namespace: &policy.namespace,
        name: &policy.name,
        action: policy.action,
        is_dry_run: policy.is_dry_run,
        rules: rules.collect(),
    }
}

/// What a ztunnel's policy says, whose rules match, or fail by a field.
fn trace_of_connection<'p>(
    policy: &'p Origin,
    is_dry_run: bool,
    rules: Vec<Looked<'p>>,
) -> PolicyTrace<'p> {
    let rules = rules.into_iter().map(|Looked { rule, outcome, omissions }| RuleTrace {
        rule,
        outcome: match outcome {
            L4Outcome::Matched => Outcome::Matched,
            L4Outcome::Failed(failure) => Outcome::Unmatched(failure),
            L4Outcome::LeftOut => Outcome::LeftOut,
        },
        omissions,
    });
    PolicyTrace {
        namespace: &policy.namespace,
        name: &policy.name,
        action: policy.action,
        is_dry_run,
        rules: rules.collect(),
    }
}

fn outcome<'p>(rule: &'p CompiledRule, seen: &Seen<'_>) -> Outcome<'p> {
    let Some(policy) = &rule.policy else { return Outcome::LeftOut };
    if policy.matches(seen) {
        return Outcome::Matched;
    }
    failure(policy, seen).map_or(Outcome::LeftOut, Outcome::Failed)
}

/// The first field that failed; `None` for a policy that matches nothing at all.
fn failure<'p>(policy: &'p Policy, seen: &Seen<'_>) -> Option<Failure<'p>> {
    let Body::Rule { permissions, principals } = &policy.body else { return None };
    nearest(principals, seen).or_else(|| nearest(permissions, seen)).or_else(|| {
        // The conditions are the same in every entry.
        let mut failures = [condition(principals, seen), condition(permissions, seen)];
        failures.sort_by_key(|failure| failure.as_ref().map_or(usize::MAX, |(at, _)| *at));
        failures.into_iter().flatten().next().map(|(_, failure)| failure)
    })
}

/// The first failed field of the entry that came furthest, unless an entry has none.
fn nearest<'p, T: Test + Saw>(entries: &'p [Entry<T>], seen: &Seen<'_>) -> Option<Failure<'p>> {
    let mut nearest: Option<(usize, &Clause<T>)> = None;
    for entry in entries {
        let fields = entry.clauses.iter().filter(|clause| condition_index(clause).is_none());
        let failed = fields.enumerate().find(|(_, clause)| !clause.node.matches(seen))?;
        if nearest.is_none_or(|(at, _)| failed.0 > at) {
            nearest = Some(failed);
        }
    }
    nearest.map(|(_, clause)| failed(clause, seen))
}

/// The first failed condition, with its place in `when`.
fn condition<'p, T: Test + Saw>(
    entries: &'p [Entry<T>],
    seen: &Seen<'_>,
) -> Option<(usize, Failure<'p>)> {
    entries.first()?.clauses.iter().find_map(|clause| {
        let index = condition_index(clause)?;
        (!clause.node.matches(seen)).then(|| (index, failed(clause, seen)))
    })
}

fn condition_index<T>(clause: &Clause<T>) -> Option<usize> {
    match &clause.field.place {
        Place::When { index, .. } => Some(*index),
        Place::Source(_) | Place::Operation(_) => None,
    }
}

fn failed<'p, T: Saw>(clause: &'p Clause<T>, seen: &Seen<'_>) -> Failure<'p> {
    let is_principal = match &clause.field.place {
        Place::Source(name) => *name == "requestPrincipals",
        Place::When { key, .. } => **key == *"request.auth.principal",
        Place::Operation(_) => false,
    };
    Failure { field: &clause.field, saw: saw::saw(&clause.node, is_principal, seen) }
}
