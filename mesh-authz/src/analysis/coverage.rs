//! Which rules a corpus of requests reaches.
use crate::authorizer::Authorizer;
use crate::compile::Traffic;
use crate::rbac::Origin;
use crate::request::Request;

/// How often a corpus reaches a rule.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "a report has these parts")]
pub struct RuleCoverage<'p> {
    /// The rule.
    pub rule: &'p Origin,
    /// How many requests it matches.
    pub matched: usize,
    /// How many of those it decides.
    pub decided: usize,
}

/// Counts for each rule of a workload the requests of one kind that it matches and decides, in the
/// order of the policies; external authorizers are taken to allow. Requests of the other kind do not
/// count, nor do those whose path is refused.
pub fn coverage<'p>(
    authorizer: &'p Authorizer,
    traffic: Traffic,
    requests: &[Request<'_>],
) -> Vec<RuleCoverage<'p>> {
    let compiled = authorizer.chain(traffic).compiled.iter();
    let rules = compiled.flat_map(|policy| &policy.rules).filter_map(|rule| rule.policy.as_deref());
    let mut found: Vec<_> = rules
        .map(|policy| (policy, RuleCoverage { rule: &policy.origin, matched: 0, decided: 0 }))
        .collect();
    for request in requests.iter().filter(|of| of.http.is_some() == (traffic == Traffic::Http)) {
        let Ok(seen) = authorizer.see(request) else { continue };
        let decided = authorizer.decide(request).reason().rule();
        for (policy, counts) in &mut found {
            counts.matched += usize::from(policy.matches(&seen));
            counts.decided += usize::from(decided == Some(counts.rule));
        }
    }
    found.into_iter().map(|(_, counts)| counts).collect()
}
