//! What a change of policies does to requests.
use std::collections::BTreeMap;

use super::sample::Sample;
use super::witness::samples;
use crate::authorizer::Authorizer;
use crate::compile::Traffic;
use crate::decision::Decision;
use crate::rbac::Origin;

/// Requests that are decided differently after a change, all by the same two rules.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "a report has these parts")]
pub struct Difference<'o, 'n> {
    /// The first such request.
    pub request: Sample,
    /// What was decided, and by which rule.
    pub old: Decision<'o>,
    /// What is decided, and by which rule.
    pub new: Decision<'n>,
    /// How many of the requests that were tried differ so.
    pub count: usize,
}

/// Compares two sets of policies of a workload over requests that meet and just miss every rule of
/// both; external authorizers are taken to allow.
///
/// Differences are grouped by the deciding rules, those of HTTP first. That nothing differs is no
/// proof that the two are the same.
pub fn diff<'o, 'n>(old: &'o Authorizer, new: &'n Authorizer) -> Vec<Difference<'o, 'n>> {
    let mut found = Vec::new();
    for traffic in [Traffic::Http, Traffic::Tcp] {
        let tried = samples(old, traffic).into_iter().chain(samples(new, traffic));
        found.extend(diff_over(old, new, tried));
    }
    found
}

/// The same over given requests.
fn diff_over<'o, 'n>(
    old: &'o Authorizer,
    new: &'n Authorizer,
    tried: impl IntoIterator<Item = Sample>,
) -> Vec<Difference<'o, 'n>> {
    type Rules<'o, 'n> = (bool, Option<&'o Origin>, Option<&'n Origin>);
    let mut found: BTreeMap<Rules<'o, 'n>, Difference<'o, 'n>> = BTreeMap::new();
    for request in tried {
        let (was, is) = request.with(|request| (old.decide(request), new.decide(request)));
        if was.is_allowed() == is.is_allowed() {
            continue;
        }
        let rules = (is.is_allowed(), was.reason().rule(), is.reason().rule());
        found.entry(rules).and_modify(|known| known.count += 1).or_insert(Difference {
            request,
            old: was,
            new: is,
            count: 1,
        });
    }
    found.into_values().collect()
}
