//! Pairs of ALLOW rules of which one lets through what the other seems to keep out.
use mesh_model::resource::Action;

use super::prove::side_covers;
use super::sample::Sample;
use super::witness::fit;
use crate::authorizer::Authorizer;
use crate::compile::Traffic;
use crate::decision::Reason;
use crate::rbac::{Body, Origin, Policy};

/// A rule that says who may ask for something, and a broader one that lets others ask for it, too.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "a report has these parts")]
pub struct Widening<'p> {
    /// The rule that says who may.
    pub narrow: &'p Origin,
    /// The rule of another policy that lets others.
    pub broad: &'p Origin,
    /// A request for what the narrow rule is about, that it does not match and that is allowed all the
    /// same.
    pub request: Sample,
}

/// Finds the widenings among the ALLOW policies of a chain: policies add up, so that the one that
/// restricts a path, a port or a host does not restrict it where a broader one is in force.
///
/// Costs the square of the number of rules.
///
/// Where a request of another peer shows the same, it is one of the first of `trust_domains`.
pub fn widenings<'p>(
    authorizer: &'p Authorizer,
    traffic: Traffic,
    trust_domains: &[&str],
) -> Vec<Widening<'p>> {
    let compiled = authorizer.chain(traffic).compiled.iter();
    let rules: Vec<&Policy> = compiled
        .filter(|policy| policy.action == Action::Allow && !policy.is_dry_run)
        .flat_map(|policy| &policy.rules)
        .filter_map(|rule| rule.policy.as_deref())
        .collect();
    let pairs = rules.iter().flat_map(|narrow| rules.iter().map(move |broad| (*narrow, *broad)));
    let found = pairs.filter_map(|(narrow, broad)| {
        let mut found = widening(authorizer, traffic, narrow, broad)?;
        let mut near = trust_domains.iter().filter_map(|of| moved(&found.request, of));
        if let Some(request) = near.find(|near| is_widened(authorizer, near, narrow)) {
            found.request = request;
        }
        Some(found)
    });
    found.collect()
}

/// The same request by a peer of a trust domain.
fn moved(sample: &Sample, trust_domain: &str) -> Option<Sample> {
    let (_, rest) = sample.identity.as_deref()?.strip_prefix("spiffe://")?.split_once('/')?;
    let identity = Some(format!("spiffe://{trust_domain}/{rest}").into());
    Some(Sample { identity, ..sample.clone() })
}

fn widening<'p>(
    authorizer: &Authorizer,
    traffic: Traffic,
    narrow: &'p Policy,
    broad: &'p Policy,
) -> Option<Widening<'p>> {
    let of = |origin: &'p Origin| (&origin.namespace, &origin.name);
    if of(&narrow.origin) == of(&broad.origin) {
        return None;
    }
    let (
        Body::Rule { permissions, principals },
        Body::Rule { permissions: wide, principals: others },
    ) = (&narrow.body, &broad.body)
    else {
        return None;
    };
    let restricts_what = permissions.iter().all(|entry| !entry.clauses.is_empty());
    let restricts_who = principals.iter().all(|entry| !entry.clauses.is_empty());
    let is_broader = side_covers(wide, permissions) && !side_covers(permissions, wide);
    if !restricts_what || !restricts_who || !is_broader {
        return None;
    }
    let tried = others.iter().flat_map(|who| permissions.iter().map(move |what| (who, what)));
    let request = tried.into_iter().find_map(|(who, what)| {
        let sample = fit(authorizer, who, Sample::of(authorizer, traffic))?;
        let sample = fit(authorizer, what, sample)?;
        is_widened(authorizer, &sample, narrow).then_some(sample)
    })?;
    Some(Widening { narrow: &narrow.origin, broad: &broad.origin, request })
}

/// Whether a request is allowed although a rule does not match it.
fn is_widened(authorizer: &Authorizer, sample: &Sample, narrow: &Policy) -> bool {
    sample.with(|request| {
        let misses = authorizer.see(request).is_ok_and(|seen| !narrow.matches(&seen));
        misses && matches!(authorizer.decide(request).reason(), Reason::AllowMatched(_))
    })
}
