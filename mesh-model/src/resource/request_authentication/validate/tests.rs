use serde_json::{Value, json};

use crate::resource::testing::check_rules;

fn check(rule: &Value, expected: &[&str]) {
    check_rules("RequestAuthentication", &json!({ "jwtRules": [rule] }), expected);
}

#[test]
fn keys_are_fetched_by_http() {
    let check_uri = |uri: &str, expected: &[&str]| check(&json!({ "jwksUri": uri }), expected);
    for uri in ["https://a.com/x?y#z", "HTTP://[::1]:80/%20", "http://u:p@a.com"] {
        check_uri(uri, &[]);
    }
    for uri in
        ["ftp://a.com", "a.com", "http://a.com:x", "http://a b", "http://[::1", "http://a/%2"]
    {
        check_uri(uri, &["JWT-JWKS-URI jwtRules[0].jwksUri"]);
    }
}

#[test]
fn keys_are_public_ones_in_json() {
    let check_keys = |keys: &str, expected: &[&str]| {
        check(&json!({ "issuer": "a", "jwks": keys }), expected);
    };
    check_keys(r#"{"keys": [{"kty": "RSA", "n": "x", "e": "AQAB"}]}"#, &[]);
    check_keys("nothing", &["JWT-JWKS jwtRules[0].jwks"]);
    check_keys(r#"{"keys": [{"kty": "none"}]}"#, &["JWT-JWKS jwtRules[0].jwks"]);
    check_keys(r#"{"kty": "EC", "d": "x"}"#, &["JWT-PRIVATE-KEY jwtRules[0].jwks"]);
}

#[test]
fn names_are_not_empty() {
    check(
        &json!({
            "issuer": "a", "audiences": [""], "fromHeaders": [{}], "fromParams": [""],
            "fromCookies": [""], "timeout": "0s",
            "outputClaimToHeaders": [{ "claim": "a" }, { "claim": "a", "header": "a.b" }],
        }),
        &[
            "JWT-AUDIENCE jwtRules[0].audiences[0]",
            "JWT-LOCATION jwtRules[0].fromHeaders[0].name",
            "JWT-LOCATION jwtRules[0].fromParams[0]",
            "JWT-LOCATION jwtRules[0].fromCookies[0]",
            "JWT-OUTPUT-CLAIM jwtRules[0].outputClaimToHeaders[0]",
            "HEADER-NAME jwtRules[0].outputClaimToHeaders[1].header",
            "DUR-MIN jwtRules[0].timeout",
        ],
    );
}
