//! Which token of a request is believed, and what becomes of a request whose tokens are not.
//!
//! ```text
//! any of: rule 0, …, rule n, all of: (rule 0 or no token), …, (rule n or no token)
//! ```
//!
//! Signatures and times are checked by the caller: nothing here knows keys or clocks.
//!
//! # Upstream
//!
//! istio/istio `pilot/pkg/security/authn/policy_applier.go` `convertToEnvoyJwtConfig`;
//! envoyproxy/envoy `source/extensions/filters/http/jwt_authn/{extractor,verifier,authenticator}.cc`.
use std::collections::BTreeMap;

use mesh_model::resource::JwtRule;

use super::{Payload, Value};

/// A request as far as tokens are concerned.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "callers build requests by hand")]
pub struct TokenRequest<'r> {
    /// The method.
    pub method: &'r str,
    /// Whether the headers `origin` and `access-control-request-method` are there and not empty; with
    /// the method OPTIONS tokens are not looked at.
    pub has_preflight_headers: bool,
    /// Every token in the request, wherever a rule may look for one.
    pub tokens: &'r [Token<'r>],
}

/// A token in a request.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "callers build tokens by hand")]
pub struct Token<'r> {
    /// Where it stands.
    pub location: TokenLocation<'r>,
    /// What the caller found of its signature and times.
    pub validity: Validity,
    /// Its payload.
    pub claims: &'r BTreeMap<Box<str>, Value>,
}

/// What is so of a token's signature and times. Envoy looks at the times first, then at the audience,
/// then at the signature, and the first that is wrong decides between 401 and 403.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "callers say which it is")]
pub enum Validity {
    /// A key of its issuer signed it and its times allow it now.
    Valid,
    /// It is no token, or not one of this time.
    Untimely,
    /// Its times allow it now, and no key of its issuer signed it.
    Forged,
}

/// Where a token stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a token stands in one of these")]
pub enum TokenLocation<'r> {
    /// In a header.
    Header {
        /// The name, in any case of letters.
        name: &'r str,
        /// What stands before the token.
        prefix: &'r str,
    },
    /// In a parameter of the query.
    Param(&'r str),
    /// In a cookie.
    Cookie(&'r str),
}

/// What becomes of a request.
#[must_use]
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "callers act on every outcome")]
pub enum Authentication {
    /// It goes on; policies see the payload of the token that was believed, if there was one.
    Passed(Option<Payload>),
    /// A token is not believed: 401.
    Unauthenticated,
    /// A token is meant for others: 403.
    AudienceNotAllowed,
}

/// What a rule says of the tokens of a request.
#[derive(Debug)]
enum Finding<'r> {
    /// There is none where the rule looks.
    Missing,
    /// All are believed; the first is used.
    Believed(&'r Token<'r>),
    /// One is of another issuer.
    UnknownIssuer,
    Invalid,
    Audience,
}

/// Authenticates a request by the rules of a workload, in any order.
///
/// A request without a token passes; one that a rule believes passes with its payload, whatever other
/// rules say; else every token where a rule looks must be one that the rule believes. Of several rules
/// that refuse, the first says how, unless to it the issuer is unknown: then the last to which it is not.
pub fn authenticate(rules: &[JwtRule], request: &TokenRequest<'_>) -> Authentication {
    if request.method == "OPTIONS" && request.has_preflight_headers {
        return Authentication::Passed(None);
    }
    // Stable, as istiod sorts them.
    let mut rules: Vec<&JwtRule> = rules.iter().collect();
    rules.sort_by(|a, b| a.issuer.cmp(&b.issuer));
    let mut refused = Vec::new();
    for rule in rules {
        let outcome = match look(rule, request.tokens) {
            Finding::Missing => continue,
            Finding::Believed(token) => {
                let payload = Payload::new(token.claims.clone(), &rule.space_delimited_claims);
                return Authentication::Passed(Some(payload));
            }
            Finding::UnknownIssuer => None,
            Finding::Invalid => Some(Authentication::Unauthenticated),
            Finding::Audience => Some(Authentication::AudienceNotAllowed),
        };
        refused.push(outcome);
    }
    if refused.is_empty() {
        return Authentication::Passed(None);
    }
    let first = refused.first().cloned().flatten();
    let last = refused.into_iter().rev().flatten().next();
    first.or(last).unwrap_or(Authentication::Unauthenticated)
}

/// What a rule says: its tokens are looked at from the last place to the first, until one fails.
fn look<'r>(rule: &JwtRule, tokens: &'r [Token<'r>]) -> Finding<'r> {
    let mut finding = Finding::Missing;
    for (token, is_garbled) in extract(rule, tokens).into_iter().rev() {
        finding = if is_garbled { Finding::Invalid } else { verify(rule, token) };
        if !matches!(finding, Finding::Believed(_)) {
            return finding;
        }
    }
    finding
}

fn verify<'r>(rule: &JwtRule, token: &'r Token<'r>) -> Finding<'r> {
    let issuer = match token.claims.get("iss") {
        Some(Value::Text(issuer)) => issuer,
        _ => "",
    };
    if !rule.issuer.is_empty() && *rule.issuer != *issuer {
        Finding::UnknownIssuer
    } else if token.validity == Validity::Untimely {
        Finding::Invalid
    } else if !is_for(rule, token) {
        Finding::Audience
    } else if token.validity == Validity::Forged {
        Finding::Invalid
    } else {
        Finding::Believed(token)
    }
}

/// The tokens where a rule looks, headers before parameters before cookies, each with whether the
/// rule's prefix leaves more than the token.
fn extract<'r>(rule: &JwtRule, tokens: &'r [Token<'r>]) -> Vec<(&'r Token<'r>, bool)> {
    let is_default =
        rule.from_headers.is_empty() && rule.from_params.is_empty() && rule.from_cookies.is_empty();
    let mut headers: Vec<(&str, &str)> =
        rule.from_headers.iter().map(|header| (&*header.name, &*header.prefix)).collect();
    let mut params: Vec<&str> = rule.from_params.iter().map(|param| &**param).collect();
    if is_default {
        headers.push(("authorization", "Bearer "));
        params.push("access_token");
    }
    let mut found = Vec::new();
    for (name, prefix) in headers {
        found.extend(tokens.iter().filter_map(|token| match token.location {
            TokenLocation::Header { name: at, prefix: given } if at.eq_ignore_ascii_case(name) => {
                given.strip_prefix(prefix).map(|rest| (token, is_garbage(rest)))
            }
            TokenLocation::Header { .. } | TokenLocation::Param(_) | TokenLocation::Cookie(_) => {
                None
            }
        }));
    }
    let mut plain = |location: TokenLocation<'_>| {
        found.extend(
            tokens.iter().filter(|token| token.location == location).map(|token| (token, false)),
        );
    };
    params.into_iter().for_each(|param| plain(TokenLocation::Param(param)));
    rule.from_cookies.iter().for_each(|cookie| plain(TokenLocation::Cookie(cookie)));
    found
}

/// A token starts at the first character that one may have; blanks before it do not count.
fn is_garbage(rest: &str) -> bool {
    rest.bytes().any(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

/// Whether one of the audiences of a token is one of the rule's.
fn is_for(rule: &JwtRule, token: &Token<'_>) -> bool {
    let allows = |audience: &Value| match audience {
        Value::Text(audience) => {
            rule.audiences.iter().any(|allowed| bare(allowed) == bare(audience))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::List(_) | Value::Map(_) => false,
    };
    rule.audiences.is_empty()
        || match token.claims.get("aud") {
            Some(Value::List(audiences)) => audiences.iter().any(allows),
            Some(audience) => allows(audience),
            None => false,
        }
}

/// An audience without scheme and final slash, as Envoy compares them.
fn bare(audience: &str) -> &str {
    let bare = audience.strip_prefix("http://").or_else(|| audience.strip_prefix("https://"));
    let bare = bare.unwrap_or(audience);
    bare.strip_suffix('/').unwrap_or(bare)
}

#[cfg(test)]
mod tests {
    use mesh_model::resource::JwtHeader;

    use super::*;

    /// A rule that looks in one header, and its audience unless empty.
    fn rule(issuer: &str, audience: &str, header: &str) -> JwtRule {
        JwtRule {
            issuer: issuer.into(),
            audiences: Some(audience)
                .filter(|of| !of.is_empty())
                .map(Box::from)
                .into_iter()
                .collect(),
            from_headers: vec![JwtHeader { name: header.into(), prefix: Box::default() }],
            ..JwtRule::default()
        }
    }

    /// Tokens are `HEADER ISSUER AUDIENCE`, with `bad` or `old` behind it; the answer is the issuer
    /// believed, `none`, `401` or `403`.
    fn check(rules: &[JwtRule], tokens: &[&str], expected: &str) {
        let claims: Vec<BTreeMap<Box<str>, Value>> = tokens
            .iter()
            .map(|token| {
                let mut words = token.split(' ').skip(1);
                ["iss", "aud"]
                    .map(|name| (name.into(), Value::Text(words.next().unwrap_or("").into())))
                    .into()
            })
            .collect();
        let tokens: Vec<Token<'_>> = tokens
            .iter()
            .zip(&claims)
            .map(|(token, claims)| Token {
                location: TokenLocation::Header {
                    name: token.split(' ').next().unwrap_or(""),
                    prefix: "",
                },
                validity: match token.split(' ').next_back() {
                    Some("bad") => Validity::Forged,
                    Some("old") => Validity::Untimely,
                    _ => Validity::Valid,
                },
                claims,
            })
            .collect();
        let request = TokenRequest { method: "GET", has_preflight_headers: false, tokens: &tokens };
        let answer = match authenticate(rules, &request) {
            Authentication::Passed(None) => "none".to_owned(),
            Authentication::Passed(Some(payload)) => {
                format!("{:?}", payload.value().at(&["iss".into()]).unwrap())
            }
            Authentication::Unauthenticated => "401".to_owned(),
            Authentication::AudienceNotAllowed => "403".to_owned(),
        };
        assert!(answer.contains(expected), "{answer} is not {expected}");
    }

    #[test]
    fn a_request_without_a_token_where_a_rule_looks_passes() {
        check(&[rule("i", "", "a")], &[], "none");
        check(&[rule("i", "", "a")], &["b i x bad"], "none");
    }

    #[test]
    fn every_token_where_a_rule_looks_must_be_good() {
        let mut two = rule("i", "", "a");
        two.from_headers.push(JwtHeader { name: "b".into(), prefix: Box::default() });
        check(std::slice::from_ref(&two), &["a i x", "b i x bad"], "401");
        check(std::slice::from_ref(&two), &["a i x bad", "b i x"], "401");
        check(&[two], &["a i x", "b i x"], "i");
    }

    #[test]
    fn one_good_rule_is_enough() {
        let rules = [rule("i", "", "a"), rule("j", "", "b")];
        check(&rules, &["a i x bad", "b j x"], "j");
        check(&rules, &["a i x bad"], "401");
    }

    #[test]
    fn a_wrong_audience_is_forbidden_unless_the_issuer_is_unknown_to_all() {
        check(&[rule("i", "x", "a"), rule("j", "", "a")], &["a i y"], "403");
        check(&[rule("h", "", "a"), rule("i", "x", "a")], &["a i y"], "403");
        check(&[rule("i", "x", "a")], &["a j x"], "401");
        check(&[rule("i", "https://x/", "a")], &["a i x"], "i");
    }
    #[test]
    fn times_are_looked_at_before_audiences_and_signatures_after_them() {
        check(&[rule("i", "x", "a")], &["a i y bad"], "403");
        check(&[rule("i", "x", "a")], &["a i y old"], "401");
        check(&[rule("i", "x", "a")], &["a i x bad"], "401");
    }

    #[test]
    fn the_first_rule_that_refuses_says_how() {
        check(&[rule("i", "x", "a"), rule("i", "", "b")], &["a i y", "b i x bad"], "403");
        check(&[rule("i", "", "b"), rule("i", "x", "a")], &["a i y", "b i x bad"], "401");
        // To the first the issuer is unknown: then it is the last.
        let rules = [rule("h", "", "c"), rule("i", "", "b"), rule("i", "x", "a")];
        check(&rules, &["c j x", "a i y", "b i x bad"], "403");
    }
}
