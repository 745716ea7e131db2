//! Routes and conditions that never count, because others come before them.
//!
//! # Upstream
//!
//! istio/istio `pkg/config/validation/validation.go` `analyzeUnreachableHTTPRules`,
//! `analyzeUnreachableTCPRules`, `analyzeUnreachableTLSRules`.
use std::collections::BTreeMap;
use std::fmt::Debug;

use super::super::{HttpMatchRequest, StringMatch, VirtualServiceSpec};
use crate::resource::validate::Violations;

/// How many pairs of conditions are compared at most: all those of 2,000 conditions. Finding the
/// pairs takes the square of their number, and what is found is a hint only.
const PAIRS: usize = 2_000_000;

/// Warns of what never counts.
pub(super) fn check(violations: &mut Violations, spec: &VirtualServiceSpec) {
    violations.field("http", |violations| {
        let anonymous = |condition: &HttpMatchRequest| {
            let condition = HttpMatchRequest { name: Box::default(), ..condition.clone() };
            format!("{condition:?}")
        };
        let routes: Vec<_> = spec.http.iter().map(|route| &*route.matches).collect();
        let first = repeated(violations, &routes, anonymous);
        overlapping(violations, &first);
    });
    violations.field("tls", |violations| {
        let routes: Vec<_> = spec.tls.iter().map(|route| &*route.matches).collect();
        repeated(violations, &routes, text);
    });
    violations.field("tcp", |violations| {
        let routes: Vec<_> = spec.tcp.iter().map(|route| &*route.matches).collect();
        repeated(violations, &routes, text);
    });
}

fn text<M: Debug>(condition: &M) -> String {
    format!("{condition:?}")
}

/// Where a condition stands: the route, then the place in it.
type At = (usize, usize);

/// Warns of conditions that are there twice and of routes after one without conditions; returns the
/// conditions that may count.
fn repeated<'r, M>(
    violations: &mut Violations,
    routes: &[&'r [M]],
    text: impl Fn(&M) -> String,
) -> Vec<(At, &'r M)> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut open: Option<usize> = None;
    let mut first = Vec::new();
    for (route, conditions) in routes.iter().enumerate() {
        if let Some(open) = open {
            let message = format!("route {open} before it takes everything");
            unreachable(violations, route, &message);
        }
        if conditions.is_empty() {
            open = Some(route);
        } else if open.is_none() {
            let before = first.len();
            for (index, condition) in conditions.iter().enumerate() {
                match seen.get(&text(condition)) {
                    Some(other) => ineffective(violations, (route, index), *other),
                    None => {
                        seen.insert(text(condition), route);
                        first.push(((route, index), condition));
                    }
                }
            }
            if first.len() == before {
                unreachable(violations, route, "every condition of it is one of a route before it");
            }
        }
    }
    first
}

fn unreachable(violations: &mut Violations, route: usize, message: &str) {
    violations.warning_at(&format!("[{route}]"), "VS-UNREACHABLE", message, "put it first");
}

fn ineffective(violations: &mut Violations, (route, index): At, other: usize) {
    let message = format!("route {other} takes all that the condition would");
    let field = format!("[{route}].match[{index}]");
    violations.warning_at(&field, "VS-INEFFECTIVE", &message, "put the narrower one first");
}

/// What of a condition is compared with others.
#[derive(Debug)]
struct Prefixed<'r> {
    at: At,
    prefix: &'r str,
    port: u32,
    method: String,
    authority: String,
    headers: [BTreeMap<&'r str, String>; 3],
}

impl<'r> Prefixed<'r> {
    fn of(at: At, condition: &'r HttpMatchRequest) -> Option<Self> {
        let prefix = match condition.uri.as_ref()? {
            StringMatch::Prefix(prefix) if !prefix.is_empty() => prefix,
            StringMatch::Prefix(_)
            | StringMatch::Present
            | StringMatch::Exact(_)
            | StringMatch::Regex(_) => return None,
        };
        let method = match spelled(condition.method.as_ref()) {
            method if method.is_empty() => "exact:GET".to_owned(),
            method => method,
        };
        let maps = [&condition.headers, &condition.query_params, &condition.without_headers];
        let headers = maps
            .map(|map| map.iter().map(|(name, text)| (&**name, spelled(text.as_ref()))).collect());
        let authority = spelled(condition.authority.as_ref());
        Some(Self { at, prefix, port: condition.port, method, authority, headers })
    }

    /// Whether this takes what a later one would: other fields count as covered where their text
    /// begins with the later one's.
    ///
    /// # Upstream
    ///
    /// `coveredValidation`.
    fn covers(&self, later: &Self) -> bool {
        let is_wider = |ours: &BTreeMap<&str, String>, theirs: &BTreeMap<&str, String>| {
            ours.len() == theirs.len()
                && ours.iter().all(|(name, value)| {
                    theirs.get(name).is_some_and(|other| value.starts_with(other.as_str()))
                })
        };
        later.prefix != self.prefix
            && later.prefix.starts_with(self.prefix)
            && later.port == self.port
            && self.method.starts_with(&later.method)
            && self.authority.starts_with(&later.authority)
            && self.headers.iter().zip(&later.headers).all(|(ours, theirs)| is_wider(ours, theirs))
    }
}

/// The text and kind of a condition; empty for none and for expressions.
fn spelled(text: Option<&StringMatch>) -> String {
    match text {
        Some(StringMatch::Exact(text)) if !text.is_empty() => format!("exact:{text}"),
        Some(StringMatch::Prefix(text)) if !text.is_empty() => format!("prefix:{text}"),
        Some(
            StringMatch::Exact(_)
            | StringMatch::Prefix(_)
            | StringMatch::Present
            | StringMatch::Regex(_),
        )
        | None => String::new(),
    }
}

/// Warns of paths that begin with one of an earlier condition that is no narrower.
fn overlapping(violations: &mut Violations, conditions: &[(At, &HttpMatchRequest)]) {
    let conditions: Vec<Prefixed<'_>> =
        conditions.iter().filter_map(|(at, condition)| Prefixed::of(*at, condition)).collect();
    let mut pairs = PAIRS;
    for (index, later) in conditions.iter().enumerate() {
        let earlier = conditions.iter().take(index.min(pairs));
        pairs -= index.min(pairs);
        if let Some(wider) = earlier.into_iter().find(|earlier| earlier.covers(later)) {
            ineffective(violations, later.at, wider.at.0);
        }
    }
}
