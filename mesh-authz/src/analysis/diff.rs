//! What a change of policies does to requests.
use std::collections::BTreeMap;

use super::sample::Sample;
use super::witness::{decide, samples_between};
use crate::authorizer::Authorizer;
use crate::compile::Traffic;
use crate::decision::Decision;

/// Requests that are decided differently after a change, all by the same two rules.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "a report has these parts")]
pub struct Difference<'o, 'n> {
    /// The first such request.
    pub request: Sample,
    /// The external authorizer that denies it, or would if it was asked; `None`: all of them allow.
    pub if_denied_by: Option<Box<str>>,
    /// What was decided, and by which rule.
    pub old: Decision<'o>,
    /// What is decided, and by which rule.
    pub new: Decision<'n>,
    /// How many of the requests that were tried differ so.
    pub count: usize,
}

/// Compares two sets of policies of a workload over requests that the rules of one side alone tell apart,
/// see [`samples_between`]: with external authorizers that allow, and with each of them denying alone.
///
/// Differences are grouped by the deciding rules, those of HTTP first. That nothing differs is no
/// proof that the two are the same.
pub fn diff<'o, 'n>(old: &'o Authorizer, new: &'n Authorizer) -> Vec<Difference<'o, 'n>> {
    let mut found = Vec::new();
    for traffic in [Traffic::Http, Traffic::Tcp] {
        let between = samples_between(old, new, traffic);
        let tried = [between.hunted, between.around].concat();
        found.extend(diff_over(old, new, traffic, &tried));
    }
    found
}

/// The same over given requests.
fn diff_over<'o, 'n>(
    old: &'o Authorizer,
    new: &'n Authorizer,
    traffic: Traffic,
    tried: &[Sample],
) -> Vec<Difference<'o, 'n>> {
    let mut found = BTreeMap::new();
    let [mut deniers, others] = [old, new].map(|side| side.external_authorizers(traffic));
    deniers.extend(others);
    for request in tried {
        let told = |denier| (decide(old, request, denier), decide(new, request, denier));
        let (was, is) = told(None);
        let usual = (was.is_allowed(), is.is_allowed());
        let by_all = std::iter::once((None, was, is));
        let by_one = deniers.iter().map(|denier| {
            let (was, is) = told(Some(denier));
            (Some(*denier), was, is)
        });
        for (denier, was, is) in by_all.chain(by_one) {
            let answers = (was.is_allowed(), is.is_allowed());
            // What is different whoever denies is told once.
            if answers.0 == answers.1 || (denier.is_some() && answers == usual) {
                continue;
            }
            let rules = (is.is_allowed(), denier, was.reason().rule(), is.reason().rule());
            let difference = || Difference {
                request: request.clone(),
                if_denied_by: denier.map(Box::from),
                old: was,
                new: is,
                count: 0,
            };
            found.entry(rules).or_insert_with(difference).count += 1;
        }
    }
    found.into_values().collect()
}
