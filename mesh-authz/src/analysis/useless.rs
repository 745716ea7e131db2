//! Rules that a workload could do without, whatever speaks to it.
//!
//! HTTP and TCP have chains of their own, in which a rule may be two different things: a DENY rule of
//! which only HTTP has the fields denies every connection that is not HTTP.
use std::collections::BTreeMap;

use mesh_model::name::Namespace;

use super::prove::{Never, never_matching, shadowed};
use crate::authorizer::Authorizer;
use crate::compile::{Chain, Traffic};
use crate::rbac::Origin;

/// A rule that does nothing in one chain of a workload or in both.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "a report has these parts")]
pub struct Useless<'p> {
    /// The policy's namespace.
    pub namespace: &'p Namespace,
    /// The policy's name.
    pub name: &'p str,
    /// The place of the rule in `spec.rules`.
    pub rule: usize,
    /// Why it does nothing for HTTP requests.
    pub http: Idle<'p>,
    /// Why it does nothing for other connections; `None`: it does something there.
    pub tcp: Option<Idle<'p>>,
}

/// Why a rule does nothing.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "callers tell both")]
pub enum Idle<'p> {
    /// Nothing matches it.
    Never(Never<'p>),
    /// This rule matches whatever it matches.
    Shadowed(&'p Origin),
}

/// Pairs of rules are compared in chains with at most so many: the work grows with the square.
const MOST_RULES: usize = 100;

/// Finds the rules that do nothing for HTTP requests, and whether they do nothing at all: those that
/// nothing matches, and those that others make useless. In the order of namespaces and names.
///
/// What does nothing in both chains can go: no decision changes. Nothing is said of a ztunnel, and not of
/// the only ALLOW rule of a gRPC server, without which it allows everything.
pub fn useless(authorizer: &Authorizer) -> Vec<Useless<'_>> {
    let mut tcp = idle(authorizer.chain(Traffic::Tcp));
    let http = idle(authorizer.chain(Traffic::Http)).into_iter();
    let only = authorizer.only_allow();
    let is_needed =
        |key: &Key<'_>| only.is_some_and(|rule| (&rule.namespace, &*rule.name, rule.rule) == *key);
    http.filter(|(key, _)| !is_needed(key))
        .map(|(key, http)| {
            let (namespace, name, rule) = key;
            Useless { namespace, name, rule, http, tcp: tcp.remove(&key) }
        })
        .collect()
}

type Key<'p> = (&'p Namespace, &'p str, usize);

fn idle(chain: &Chain) -> BTreeMap<Key<'_>, Idle<'_>> {
    let never = never_matching(chain).into_iter();
    let mut found: BTreeMap<Key<'_>, Idle<'_>> = never
        .map(|of| ((&of.policy.namespace, &*of.policy.name, of.rule), Idle::Never(of.why)))
        .collect();
    let count: usize = chain.compiled.iter().map(|policy| policy.rules.len()).sum();
    if count <= MOST_RULES {
        found.extend(
            shadowed(chain).into_iter().map(|of| {
                ((&of.rule.namespace, &*of.rule.name, of.rule.rule), Idle::Shadowed(of.by))
            }),
        );
    }
    found
}
