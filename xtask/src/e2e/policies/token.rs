//! JSON Web Tokens, signed by a key made for the run.
use std::collections::BTreeMap;

use mesh_authz::identity::{Validity, Value as Claim};
use rcgen::{KeyPair, PKCS_ED25519, PublicKeyData as _, SigningKey as _};
use serde_json::{Value, json};

use crate::e2e::random::Random;
use crate::problem::{Attempt, Problem};

/// 2100-01-01 and 2001-09-09, in seconds.
const LATER: u64 = 4_102_444_800;
const LONG_AGO: u64 = 1_000_000_000;

/// Who signs: the issuer's key, and one that nobody knows.
#[derive(Debug)]
pub(super) struct Signer {
    key: KeyPair,
    stranger: KeyPair,
}

/// A token somewhere in a request.
#[derive(Clone, Debug)]
pub(super) struct Token {
    pub(super) place: Place,
    pub(super) text: String,
    pub(super) validity: Validity,
    pub(super) claims: Value,
}

/// Where a token stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Place {
    /// `Authorization: Bearer …`.
    Bearer,
    /// `X-Token: …`.
    Header,
    /// `X-Token: Tok …`.
    Prefixed,
    /// Cookie `session`.
    Cookie,
}

impl Signer {
    pub(super) fn new() -> Result<Self, Problem> {
        let key = || KeyPair::generate_for(&PKCS_ED25519).attempt("make a key for tokens");
        Ok(Self { key: key()?, stranger: key()? })
    }

    /// The key set that verifies what the issuer signs.
    pub(super) fn key_set(&self) -> String {
        let x = base64url(self.key.der_bytes());
        let key = json!({"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "x": x});
        json!({"keys": [key]}).to_string()
    }

    /// A random token, believable more often than not.
    pub(super) fn token(&self, random: &mut Random) -> Result<Token, Problem> {
        let place = [Place::Bearer, Place::Header, Place::Prefixed, Place::Cookie];
        let place = random.of(&place, Place::Bearer);
        let is_expired = random.once_in(10);
        let is_forged = random.once_in(10);
        let value = value(random);
        let claims = json!({
            "iss": random.text(&["iss-1", "https://iss", "iss-1", "https://iss", "elsewhere"]),
            "sub": random.text(&["s", "t", "xs"]),
            "aud": audience(random),
            "azp": value,
            "c": value,
            "n": {"c": value},
            "exp": if is_expired { LONG_AGO } else { LATER },
        });
        let key = if is_forged { &self.stranger } else { &self.key };
        let text = signed(key, &claims)?;
        let validity = match (is_expired, is_forged) {
            (true, _) => Validity::Untimely,
            (false, true) => Validity::Forged,
            (false, false) => Validity::Valid,
        };
        Ok(Token { place, text, validity, claims })
    }
}

fn value(random: &mut Random) -> Value {
    match random.below(8) {
        0 => json!("v"),
        1 => json!("vw"),
        2 => json!("v x"),
        3 => json!(["v", 1]),
        4 => json!(["x", "vw"]),
        5 => json!(true),
        6 => json!({"c": ["v"]}),
        _ => Value::Null,
    }
}

/// The claim must be a text or a list of texts for a token to be one.
fn audience(random: &mut Random) -> Value {
    match random.below(4) {
        0 => json!("v"),
        1 => json!(["x", "vw", "aud"]),
        2 => json!("x"),
        _ => json!(["x"]),
    }
}

fn signed(key: &KeyPair, claims: &Value) -> Result<String, Problem> {
    let header = json!({"alg": "EdDSA", "typ": "JWT"});
    let part = |value: &Value| base64url(value.to_string().as_bytes());
    let text = format!("{}.{}", part(&header), part(claims));
    let signature = key.sign(text.as_bytes()).attempt("sign a token")?;
    Ok(format!("{text}.{}", base64url(&signature)))
}

/// Base64 for URLs, without padding.
fn base64url(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let number = (0..3)
            .fold(0_u32, |number, at| (number << 8) | chunk.get(at).copied().map_or(0, u32::from));
        for at in 0..=chunk.len() {
            let place = usize::try_from((number >> (18 - 6 * at)) & 63).unwrap_or(0);
            text.push(LETTERS.get(place).copied().map_or('A', char::from));
        }
    }
    text
}

/// JSON as mesh-authz reads claims.
pub(super) fn claims(json: &Value) -> BTreeMap<Box<str>, Claim> {
    let members = json.as_object().into_iter().flatten();
    members.map(|(name, value)| (name.as_str().into(), claim(value))).collect()
}

fn claim(json: &Value) -> Claim {
    match json {
        Value::Null => Claim::Null,
        Value::Bool(value) => Claim::Bool(*value),
        Value::Number(number) => Claim::Number(number.as_f64().unwrap_or_default()),
        Value::String(text) => Claim::Text(text.as_str().into()),
        Value::Array(items) => Claim::List(items.iter().map(claim).collect()),
        Value::Object(_) => Claim::Map(claims(json)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_for_urls_has_no_padding() {
        assert_eq!(base64url(b""), "");
        assert_eq!(base64url(b"f"), "Zg");
        assert_eq!(base64url(b"fo"), "Zm8");
        assert_eq!(base64url(b"foobar"), "Zm9vYmFy");
        assert_eq!(base64url(&[0xfb, 0xff]), "-_8");
    }
}
