//! What a workload's jwt_authn filter makes of a request before policies see it.
use std::collections::BTreeMap;

use mesh_model::resource::JwtRule;
use serde_json::Value;

use super::request::RequestFile;

/// What became of the token and the headers.
#[derive(Debug)]
pub(super) struct Passed<'r> {
    /// The rule that validates the token, or why none does.
    pub(super) rule: Result<Option<&'r JwtRule>, String>,
    /// The request with other headers, where the filter changes some.
    pub(super) request: Option<RequestFile>,
}

/// Passes a request through the filter of some rules.
///
/// Headers that the filter writes from tokens are its own: what clients send there is taken out. The
/// token is taken out of its headers unless the rule forwards it. A CORS preflight passes as it is, without
/// its token.
///
/// # Upstream
///
/// envoyproxy/envoy `source/extensions/filters/http/jwt_authn/filter.cc` `decodeHeaders`,
/// `extractor.cc` `sanitizeHeaders`, `authenticator.cc` `handleGoodJwt`.
pub(super) fn pass<'r>(request: &RequestFile, rules: &[&'r JwtRule]) -> Passed<'r> {
    let Some((method, headers)) = request.http().filter(|_| !rules.is_empty()) else {
        return Passed { rule: Ok(None), request: None };
    };
    if is_preflight(method, headers) {
        return Passed { rule: Ok(None), request: None };
    }
    let rule = request.claims().map(|claims| find(claims, rules)).transpose();
    let mut left = headers.to_vec();
    let written = |name: &str| rules.iter().any(|rule| writes(rule, name));
    left.retain(|(name, _)| !written(name));
    if let (Ok(Some(rule)), Some(claims)) = (&rule, request.claims()) {
        if !rule.forward_original_token {
            left.retain(|(name, value)| !holds_token(rule, name, value));
        }
        left.extend(outputs(rule, claims));
    }
    let is_same = left == headers;
    Passed { rule, request: (!is_same).then(|| request.with_headers(left)) }
}

fn is_preflight(method: &str, headers: &[(String, String)]) -> bool {
    let has = |name: &str| {
        headers.iter().any(|(key, value)| key.eq_ignore_ascii_case(name) && !value.is_empty())
    };
    method == "OPTIONS" && has("origin") && has("access-control-request-method")
}

/// The first rule that takes a token, as they are sorted by issuer; a rule without issuer takes any.
fn find<'r>(
    claims: &BTreeMap<String, Value>,
    rules: &[&'r JwtRule],
) -> Result<&'r JwtRule, String> {
    let issuer = claims.get("iss").and_then(Value::as_str).unwrap_or_default();
    let mut of_issuer: Vec<&&JwtRule> = rules.iter().filter(|rule| is_of(rule, issuer)).collect();
    of_issuer.sort_by_key(|rule| &rule.issuer);
    if let Some(rule) = of_issuer.iter().find(|rule| is_for(rule, claims.get("aud"))) {
        return Ok(rule);
    }
    Err(match of_issuer.len() {
        0 => {
            format!("no RequestAuthentication of the workload knows the token's issuer `{issuer}`")
        }
        _ => format!("the token of `{issuer}` is for another audience"),
    })
}

/// Whether a rule takes a token.
pub(super) fn takes(rule: &JwtRule, issuer: &str, audience: Option<&Value>) -> bool {
    is_of(rule, issuer) && is_for(rule, audience)
}

fn is_of(rule: &JwtRule, issuer: &str) -> bool {
    rule.issuer.is_empty() || *rule.issuer == *issuer
}

/// Whether a token is for an audience of the rule; schemes and a slash at the end do not count.
fn is_for(rule: &JwtRule, audience: Option<&Value>) -> bool {
    let is_meant = |one: &str| rule.audiences.iter().any(|known| bare(known) == bare(one));
    rule.audiences.is_empty()
        || match audience {
            Some(Value::String(one)) => is_meant(one),
            Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).any(is_meant),
            _ => false,
        }
}

fn bare(audience: &str) -> &str {
    let schemes = ["https://", "http://"];
    let rest = schemes.iter().find_map(|scheme| audience.strip_prefix(scheme)).unwrap_or(audience);
    rest.strip_suffix('/').unwrap_or(rest)
}

/// Whether the filter writes a header by this rule.
fn writes(rule: &JwtRule, name: &str) -> bool {
    let of_claims = rule.output_claim_to_headers.iter().map(|output| &*output.header);
    let mut written = of_claims.chain([&*rule.output_payload_to_header]);
    written.any(|header| !header.is_empty() && header.eq_ignore_ascii_case(name))
}

/// Whether a header is where the token comes from.
fn holds_token(rule: &JwtRule, name: &str, value: &str) -> bool {
    let is_default =
        rule.from_headers.is_empty() && rule.from_params.is_empty() && rule.from_cookies.is_empty();
    let is_of =
        |header: &str, prefix: &str| header.eq_ignore_ascii_case(name) && value.starts_with(prefix);
    (is_default && is_of("authorization", "Bearer "))
        || rule.from_headers.iter().any(|from| is_of(&from.name, &from.prefix))
}

/// The headers that a rule makes of a token. Of the payload nobody knows the order of its members: it is
/// that of their names here.
fn outputs(rule: &JwtRule, claims: &BTreeMap<String, Value>) -> Vec<(String, String)> {
    let mut found = Vec::new();
    if !rule.output_payload_to_header.is_empty() {
        let payload = serde_json::to_vec(claims).unwrap_or_default();
        found.push((rule.output_payload_to_header.to_string(), base64url(&payload)));
    }
    for output in &rule.output_claim_to_headers {
        let value = claim(claims, &output.claim).map(|value| match value {
            Value::String(text) => text.clone(),
            Value::Bool(_) | Value::Number(_) => value.to_string(),
            Value::Null | Value::Array(_) | Value::Object(_) => {
                base64url(value.to_string().as_bytes())
            }
        });
        found.extend(value.map(|value| (output.header.to_string(), value)));
    }
    found
}

/// A claim, or one inside of it by a path with dots.
fn claim<'c>(claims: &'c BTreeMap<String, Value>, path: &str) -> Option<&'c Value> {
    let mut names = path.split('.');
    let first = claims.get(names.next()?)?;
    names.try_fold(first, |value, name| value.get(name))
}

/// Base64 for URLs, without padding.
fn base64url(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rule(text: &str) -> JwtRule {
        use mesh_model::manifest::{Limits, read};
        let object = format!(
            "apiVersion: security.istio.io/v1\nkind: RequestAuthentication\nmetadata: {{name: r, namespace: \
             a}}\nspec: {{jwtRules: [{text}]}}\n"
        );
        let reading = read("r.yaml", object.as_bytes(), &Limits::default());
        let decoded =
            mesh_model::resource::decode(&reading.documents[0].node, &"r.yaml".into(), "a");
        let mesh_model::resource::Resource::RequestAuthentication(object) =
            decoded.resource.unwrap()
        else {
            panic!("{text}")
        };
        object.spec.jwt_rules.into_iter().next().unwrap()
    }

    /// The headers behind the filter of one rule, and whether the token counts.
    #[track_caller]
    fn check(rule_text: &str, request: &Value, expected: &[(&str, &str)], counts: bool) {
        let (rule, request) = (rule(rule_text), RequestFile::parse(&request.to_string()).unwrap());
        let passed = pass(&request, &[&rule]);
        assert_eq!(matches!(passed.rule, Ok(Some(_))), counts, "{:?}", passed.rule);
        let request = passed.request.unwrap_or(request);
        let headers: Vec<(&str, &str)> =
            request.http().unwrap().1.iter().map(|(name, value)| (&**name, &**value)).collect();
        assert_eq!(headers, expected);
    }

    const ROLE: &str = "{issuer: me, jwksUri: 'https://a', outputClaimToHeaders: [{header: x-role, claim: a.role}], outputPayloadToHeader: x-all}";

    #[test]
    fn headers_of_claims_are_the_filters_own() {
        let forged = json!([["X-Role", "admin"], ["x-all", "e30"], ["other", "1"]]);
        check(ROLE, &json!({"headers": forged}), &[("other", "1")], false);
        let claims = json!({"iss": "me", "a": {"role": "user"}});
        let payload = "eyJhIjp7InJvbGUiOiJ1c2VyIn0sImlzcyI6Im1lIn0";
        check(
            ROLE,
            &json!({"headers": forged, "jwt": {"claims": claims}}),
            &[("other", "1"), ("x-all", payload), ("x-role", "user")],
            true,
        );
    }

    #[test]
    fn a_token_goes_on_only_where_the_rule_says_so() {
        let request = json!({"headers": [["authorization", "Bearer a.b.c"]], "jwt": {"claims": {"iss": "me"}}});
        check("{issuer: me, jwksUri: 'https://a'}", &request, &[], true);
        let forward = "{issuer: me, jwksUri: 'https://a', forwardOriginalToken: true}";
        check(forward, &request, &[("authorization", "Bearer a.b.c")], true);
        let elsewhere = "{issuer: me, jwksUri: 'https://a', fromHeaders: [{name: x-token}]}";
        check(elsewhere, &request, &[("authorization", "Bearer a.b.c")], true);
    }

    #[test]
    fn preflights_pass_without_their_token() {
        let headers = json!([
            ["origin", "http://a"],
            ["access-control-request-method", "GET"],
            ["x-role", "1"]
        ]);
        let request =
            json!({"method": "OPTIONS", "headers": headers, "jwt": {"claims": {"iss": "you"}}});
        let kept =
            [("origin", "http://a"), ("access-control-request-method", "GET"), ("x-role", "1")];
        check(ROLE, &request, &kept, false);
    }

    #[test]
    fn audiences_are_compared_without_scheme_and_slash() {
        let rule = "{jwksUri: 'https://a', audiences: ['https://a/']}";
        for (audience, counts) in [("a", true), ("http://a", true), ("a//", false), ("b", false)] {
            let claims = json!({"iss": "anyone", "aud": [audience]});
            check(rule, &json!({"jwt": {"claims": claims}}), &[], counts);
        }
    }
}
