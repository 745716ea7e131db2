//! Keys of tokens that no proxy can read.
use super::Subject;
use super::scene::Scene;
use crate::compat::JwksFetch;
use crate::manifest::Diagnostic;
use crate::manifest::decode::base64;
use crate::resource::{Json, JwtRule};

/// `HZ-JWT-NO-KEY`: keys that are written down, and none that an Envoy can read. Admission is content with
/// them, and with an empty set.
///
/// # Upstream
///
/// envoyproxy/envoy `source/extensions/filters/http/jwt_authn/jwks_cache.cc` `JwksDataImpl`, which refuses a
/// listener over them.
pub(super) fn check(scene: &Scene<'_>, found: &mut Vec<Diagnostic>) {
    let fetch = scene.mesh.compat().flags.pilot_jwt_enable_remote_jwks;
    // A proxy that fetches keys is told of no others.
    let is_told = |rule: &JwtRule| {
        !rule.jwks.is_empty() && (rule.jwks_uri.is_empty() || fetch == JwksFetch::Istiod)
    };
    let stores = scene.stores().into_iter();
    for policy in stores.flat_map(|store| store.request_authentications.values()) {
        let rules = policy.spec.jwt_rules.iter().enumerate();
        for (index, _) in rules.filter(|(_, rule)| is_told(rule) && !has_key(&rule.jwks)) {
            let message = "none of the keys is one that proxies can read: they refuse every listener with \
                           this rule, keep the one they had, and new ones get none";
            let help =
                "write the issuer's public keys as `{\"keys\": [...]}`, or name them by `jwksUri`";
            let subject =
                Subject::of(scene.mesh, &scene.plane.id, "RequestAuthentication", &policy.meta);
            let field = format!("spec.jwtRules[{index}].jwks");
            found.push(subject.error("HZ-JWT-NO-KEY", &field, (message.to_owned(), help)));
        }
    }
}

/// Whether a text is a set with a key that can be read; a key by itself is no set.
fn has_key(text: &str) -> bool {
    let Some(Json::Map(members)) = Json::parse(text) else { return false };
    let Some(Json::List(keys)) = members.get("keys") else { return false };
    keys.iter().any(is_key)
}

/// Whether a key has what its kind asks for; the numbers themselves are not checked.
///
/// # Upstream
///
/// google/jwt_verify_lib `src/jwks.cc` `extractJwk` and what it calls.
fn is_key(key: &Json) -> bool {
    let Json::Map(members) = key else { return false };
    let text = |name: &str| members.get(name).and_then(Json::as_str);
    let bytes = |name: &str| text(name).and_then(base64).filter(|bytes| !bytes.is_empty());
    // One that is no text is none.
    let algorithm = text("alg").unwrap_or_default();
    let begins = |prefixes: &[&str]| {
        algorithm.is_empty() || prefixes.iter().any(|prefix| algorithm.starts_with(prefix))
    };
    match text("kty") {
        Some("RSA") => begins(&["RS", "PS"]) && bytes("n").is_some() && bytes("e").is_some(),
        Some("EC") => {
            let curve = text("crv").unwrap_or_default();
            let pairs = [("ES256", "P-256"), ("ES384", "P-384"), ("ES512", "P-521")];
            let mut fitting = pairs.iter().filter(|(name, of)| {
                (algorithm.is_empty() || algorithm == *name) && (curve.is_empty() || curve == *of)
            });
            fitting.next().is_some() && bytes("x").is_some() && bytes("y").is_some()
        }
        Some("OKP") => {
            matches!(algorithm, "" | "EdDSA")
                && text("crv") == Some("Ed25519")
                && bytes("x").is_some_and(|bytes| bytes.len() == 32)
        }
        Some("oct") => {
            matches!(algorithm, "" | "HS256" | "HS384" | "HS512") && bytes("k").is_some()
        }
        Some(_) | None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What an Envoy 1.40 said of sets with one key.
    #[test]
    fn a_key_has_what_its_kind_asks_for() {
        let check = |members: &str, expected: bool| {
            let key = Json::parse(&format!("{{{members}}}"));
            assert_eq!(key.as_ref().map(is_key), Some(expected), "{members}");
        };
        let rsa = r#""kty": "RSA", "n": "0xObjM0UvS_oaazj", "e": "AQAB""#;
        check(rsa, true);
        check(r#""kty": "RSA", "n": "0xObjM0UvS_oaazj""#, false);
        check(r#""kty": "RSA", "n": "x", "e": "AQAB""#, false);
        check(r#""kty": "RSA", "n": "", "e": "AQAB""#, false);
        for (algorithm, expected) in [("\"RS256\"", true), ("\"PS256\"", true), ("1", true)] {
            check(&format!("{rsa}, \"alg\": {algorithm}"), expected);
        }
        check(&format!("{rsa}, \"alg\": \"ES256\""), false);
        let ec = r#""kty": "EC", "x": "f83OJ3D2", "y": "x_FEzRu9""#;
        check(ec, true);
        check(&format!("{ec}, \"crv\": \"P-256\", \"alg\": \"ES256\""), true);
        check(&format!("{ec}, \"crv\": \"P-256\", \"alg\": \"ES384\""), false);
        check(&format!("{ec}, \"alg\": \"ESx\""), false);
        check(r#""kty": "EC", "d": "x""#, false);
        let okp = r#""kty": "OKP", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo""#;
        check(okp, false);
        check(&format!("{okp}, \"crv\": \"Ed25519\""), true);
        check(&format!("{okp}, \"crv\": \"Ed25519\", \"alg\": \"Ed25519\""), false);
        check(&format!("{okp}, \"crv\": \"X25519\""), false);
        check(r#""kty": "OKP", "crv": "Ed25519", "x": "AAAA""#, false);
        let oct = r#""kty": "oct", "k": "AAAA""#;
        check(oct, true);
        check(&format!("{oct}, \"alg\": \"RS256\""), false);
        check(r#""kty": "oct", "k": """#, false);
        check(r#""n": "AA""#, false);
    }

    #[test]
    fn one_key_that_can_be_read_makes_a_set() {
        let good = r#"{"kty": "oct", "k": "AAAA"}"#;
        for (text, expected) in [
            (r#"{"keys":[]}"#.to_owned(), false),
            (good.to_owned(), false),
            (r#"{"keys": [1]}"#.to_owned(), false),
            (format!(r#"{{"keys": [1, {good}]}}"#), true),
        ] {
            assert_eq!(has_key(&text), expected, "{text}");
        }
    }
}
