use serde_json::{Value, json};

use crate::resource::testing::check_rules;

fn check(rule: &Value, expected: &[&str]) {
    check_rules("RequestAuthentication", &json!({ "jwtRules": [rule] }), expected);
}

#[test]
fn keys_are_fetched_by_http() {
    let check_uri = |uri: &str, expected: &[&str]| check(&json!({ "jwksUri": uri }), expected);
    for uri in [
        "https://a.com/x?y#z",
        "HTTP://[::1]:80/%20",
        "http://u:p@a.com",
        "http://%c3%a9/x",
        "http://%25/x",
        "http://u%20%C3:p;=@a.com",
        "http://u@b@a.com",
        "http://[fe80::1%25eth0]/",
        "http://[::ffff:1.2.3.4]/",
    ] {
        check_uri(uri, &[]);
    }
    for uri in [
        "ftp://a.com",
        "a.com",
        "http://a.com:x",
        "http://a b",
        "http://[::1",
        "http://a/%2",
        "http://[a]/",
        "http://[1.2.3.4]/",
        "http://[::1%25]/",
        "http://a[::1]/",
        "http://%41/x",
        "http://%20/x",
        "http://a^b@a.com",
        "http://é@a.com",
        "http://u%zz@a.com",
        "http://[::1][::1]",
        "http://[::1%25e][a]",
    ] {
        check_uri(uri, &["JWT-JWKS-URI jwtRules[0].jwksUri"]);
    }
}

#[test]
fn keys_are_public_ones_in_json() {
    let check_keys = |keys: &str, expected: &[&str]| {
        check(&json!({ "issuer": "a", "jwks": keys }), expected);
    };
    check_keys(r#"{"keys": [{"kty": "RSA", "n": "xQ", "e": "AQAB"}]}"#, &[]);
    check_keys("nothing", &["JWT-JWKS jwtRules[0].jwks"]);
    check_keys(r#"{"keys": [{"kty": "none"}]}"#, &["JWT-JWKS jwtRules[0].jwks"]);
    let private = r#"{"kty": "EC", "crv": "P-256", "x": "", "y": "", "d": ""}"#;
    check_keys(private, &["JWT-PRIVATE-KEY jwtRules[0].jwks"]);
    check_keys(r#"{"kty": "oct", "k": "AQAB"}"#, &["JWT-PRIVATE-KEY jwtRules[0].jwks"]);
}

#[test]
fn a_set_of_keys_is_an_object() {
    let check_keys = |keys: &str, expected: &[&str]| {
        check(&json!({ "issuer": "a", "jwks": keys }), expected);
    };
    for keys in [r#"{"keys": []}"#, r#"{"keys": null}"#, r#"{"keys": []} x"#, r#"{"keys":[]}}"#] {
        check_keys(keys, &[]);
    }
    for keys in
        ["null", "[]", "\"a\"", "{}", r#"{"keys": {}}"#, r#"{"keys": [null]}"#, r#"{"keys": []"#]
    {
        check_keys(keys, &["JWT-JWKS jwtRules[0].jwks"]);
    }
}

#[test]
fn a_key_has_all_its_parts() {
    let check_key = |key: &Value, expected: &[&str]| {
        let keys = json!({ "keys": [key] }).to_string();
        check(&json!({ "issuer": "a", "jwks": keys }), expected);
    };
    let base = "AQAB";
    for (whole, parts) in [
        (json!({ "kty": "RSA", "n": base, "e": base }), &["n", "e", "kty"][..]),
        (json!({ "kty": "EC", "crv": "any", "x": base, "y": base }), &["crv", "x", "y"]),
        (json!({ "kty": "OKP", "crv": null, "x": base }), &["crv", "x"]),
    ] {
        check_key(&whole, &[]);
        for part in parts {
            let mut key = whole.clone();
            key.as_object_mut().unwrap().remove(*part);
            check_key(&key, &["JWT-JWKS jwtRules[0].jwks"]);
            key[part] = json!(5);
            check_key(&key, &["JWT-JWKS jwtRules[0].jwks"]);
        }
    }
    let with = |name: &str, value: Value| {
        let mut key = json!({ "kty": "RSA", "n": base, "e": base });
        key[name] = value;
        key
    };
    for (name, value) in [
        ("n", json!("-_-_")),
        ("n", json!("+/==")),
        ("n", json!("")),
        ("n", json!(null)),
        ("kid", json!("a")),
        ("kid", json!(null)),
        ("key_ops", json!(["any"])),
        ("x5c", json!(null)),
        ("own", json!({ "a": 5 })),
        ("x5u", json!(5)),
        ("p", json!("not base64")),
    ] {
        check_key(&with(name, value), &[]);
    }
    for (name, value) in [
        ("n", json!("a")),
        ("n", json!("+_+_")),
        ("n", json!("a b")),
        ("kid", json!(5)),
        ("use", json!(["sig"])),
        ("key_ops", json!("verify")),
        ("x5c", json!([5])),
        ("d", json!("a b")),
    ] {
        check_key(&with(name, value), &["JWT-JWKS jwtRules[0].jwks"]);
    }
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
