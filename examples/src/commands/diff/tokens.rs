//! Tokens of whoever may issue them for a workload, and of somebody else.
use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::requests::differing_first;
use crate::commands::authz::entrance::Door;

/// An issuer, and for whom its token is.
type Token<'d> = (&'d str, Option<&'d str>);

/// The tokens that requests are tried with.
#[derive(Debug)]
pub(super) struct Tokens<'d> {
    /// Those that a rule of either side takes; where the rules differ, those of somebody else too.
    known: BTreeSet<Token<'d>>,
    /// Those for which the rules differ, whatever the policies say.
    differing: BTreeSet<Token<'d>>,
}

/// Tokens that are tried.
const MOST: usize = 8;
/// An issuer that no rule names.
const OTHER: &str = "https://other.invalid";

impl<'d> Tokens<'d> {
    pub(super) fn of(doors: [&'d Option<Door<'_>>; 2]) -> Self {
        let [old, new] = doors.map(Option::as_ref);
        let mut known = differing_first([old, new].map(|door| taken(door).collect()), MOST);
        let mut differing = BTreeSet::new();
        // Where no rule is, tokens are not looked at; where some are and none takes it, it is refused.
        let fate = |door: Option<&'d Door<'_>>, (issuer, audience): Token<'_>| {
            door.map(|door| {
                let places: BTreeSet<_> = door.tokens.iter().map(|(service, _)| service).collect();
                (door.may_refuse_tokens, door.rules_for(issuer, audience), places)
            })
        };
        let plain = known.iter().map(|(issuer, _)| (*issuer, None)).chain([(OTHER, None)]);
        for token in known.iter().copied().chain(plain) {
            if fate(old, token) != fate(new, token) {
                differing.insert(token);
            }
        }
        known.extend(&differing);
        Self { known, differing }
    }

    /// A request with a token as each issuer would have made it. One without a token gets those for which
    /// the rules differ.
    pub(super) fn with(&self, request: &Value) -> Vec<Value> {
        if request.get("jwt").is_some() {
            return self.known.iter().flat_map(|token| with_token(request, *token)).collect();
        }
        if request.get("method").is_none() {
            return Vec::new();
        }
        let mut request = request.clone();
        if let Some(fields) = request.as_object_mut() {
            fields.insert("jwt".to_owned(), json!({"claims": {}}));
        }
        self.differing.iter().flat_map(|token| with_token(&request, *token)).collect()
    }
}

/// The tokens that the rules of a side take.
fn taken<'d>(door: Option<&'d Door<'_>>) -> impl Iterator<Item = Token<'d>> {
    let rules = door.into_iter().flat_map(|door| &door.tokens);
    rules.flat_map(|(_, rule)| {
        let issuer = &*rule.issuer;
        let audiences = rule.audiences.iter().map(move |audience| (issuer, Some(&**audience)));
        audiences.chain(rule.audiences.is_empty().then_some((issuer, None)))
    })
}

fn with_token(request: &Value, (issuer, audience): Token<'_>) -> Vec<Value> {
    let mut request = request.clone();
    let Some(claims) = request.pointer_mut("/jwt/claims").and_then(Value::as_object_mut) else {
        return Vec::new();
    };
    claims.insert("iss".to_owned(), issuer.into());
    let Some(audience) = audience else { return vec![request] };
    let known = claims.insert("aud".to_owned(), audience.into());
    // A token for one more audience is believed as well.
    let longer = known.map(|known| {
        let mut audiences = if let Value::Array(known) = known { known } else { vec![known] };
        audiences.push(audience.into());
        let mut request = request.clone();
        if let Some(of) = request.pointer_mut("/jwt/claims/aud") {
            *of = audiences.into();
        }
        request
    });
    [request].into_iter().chain(longer).collect()
}
