//! Tokens of requests.
use std::collections::BTreeMap;
use std::sync::Arc;

use mesh_authz::identity::{
    Authentication, Token, TokenLocation, TokenRequest, Validity, Value as Claim, authenticate,
};
use mesh_model::manifest::Node;
use mesh_model::resource::{self, JwtRule, Resource};
use serde_json::{Value, json};

use super::json::{self, Fields, Rejection, text};
use super::request::{claims, headers};

pub(super) fn authenticate_request(input: &Value) -> Result<Value, Rejection> {
    let mut fields = Fields::of(input)?;
    let rules = rules(fields.required("jwt_rules")?)?;
    let mut request = Fields::of(fields.required("request")?)?;
    fields.end()?;
    let method = text(&mut request, "method")?;
    let headers = request.take("headers").map_or(Ok(Vec::new()), headers)?;
    let tokens = json::list(request.required("tokens")?)?;
    let owned: Result<Vec<Owned<'_>>, Rejection> = tokens.iter().map(token).collect();
    let owned = owned?;
    request.end()?;

    let tokens: Vec<Token<'_>> = owned
        .iter()
        .map(|token| Token {
            location: token.location,
            // Cases do not say which of the two is wrong; what is seen first counts.
            validity: if token.is_valid { Validity::Valid } else { Validity::Untimely },
            claims: &token.claims,
        })
        .collect();
    let has = |name: &str| {
        headers.iter().any(|(other, value)| other.eq_ignore_ascii_case(name) && !value.is_empty())
    };
    let request = TokenRequest {
        method,
        has_preflight_headers: has("origin") && has("access-control-request-method"),
        tokens: &tokens,
    };
    Ok(match authenticate(&rules, &request) {
        Authentication::Passed(payload) => {
            json!({ "status": null, "payload": payload.map(|payload| value(payload.value())) })
        }
        Authentication::Unauthenticated => json!({ "status": 401 }),
        Authentication::AudienceNotAllowed => json!({ "status": 403 }),
    })
}

struct Owned<'v> {
    location: TokenLocation<'v>,
    is_valid: bool,
    claims: BTreeMap<Box<str>, Claim>,
}

fn token(value: &Value) -> Result<Owned<'_>, Rejection> {
    let mut fields = Fields::of(value)?;
    let token = Owned {
        location: location(fields.required("location")?)?,
        is_valid: json::boolean(fields.required("valid_signature_and_time")?)?,
        claims: claims(fields.required("claims")?)?,
    };
    fields.end()?;
    Ok(token)
}

fn location(value: &Value) -> Result<TokenLocation<'_>, Rejection> {
    let mut fields = Fields::of(value)?;
    let mut take = |name: &str| fields.take(name).map(json::as_text).transpose();
    let location = match (take("header")?, take("param")?, take("cookie")?) {
        (Some(name), None, None) => {
            TokenLocation::Header { name, prefix: take("prefix")?.unwrap_or_default() }
        }
        (None, Some(name), None) => TokenLocation::Param(name),
        (None, None, Some(name)) => TokenLocation::Cookie(name),
        _ => return Err(format!("not one location: {value}")),
    };
    fields.end()?;
    Ok(location)
}

/// The rules, by way of the object that holds them.
fn rules(value: &Value) -> Result<Vec<JwtRule>, Rejection> {
    let object = json!({
        "apiVersion": "security.istio.io/v1",
        "kind": "RequestAuthentication",
        "metadata": { "name": "case", "namespace": "default" },
        "spec": { "jwtRules": value },
    });
    let mut decoded = resource::decode(&Node::from(&object), &Arc::from("case"), "default");
    if let Some(problem) = decoded.diagnostics.pop() {
        return Err(problem.to_string());
    }
    match decoded.resource {
        Some(Resource::RequestAuthentication(policy)) => Ok(policy.spec.jwt_rules),
        _ => Err(format!("not a list of rules: {value}")),
    }
}

/// A value as JSON.
fn value(claim: &Claim) -> Value {
    match claim {
        Claim::Null => Value::Null,
        Claim::Bool(value) => json!(value),
        Claim::Number(number) => json!(number),
        Claim::Text(text) => json!(text),
        Claim::List(items) => items.iter().map(value).collect(),
        Claim::Map(map) => map.iter().map(|(key, item)| (key.to_string(), value(item))).collect(),
    }
}
