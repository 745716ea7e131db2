//! What may the bearer of this token do?   cargo run -p mesh-examples --example token
//!
//! mesh-authz knows no keys and no clock: a library for JSON Web Tokens verifies signature and times with
//! the key set of the mesh's RequestAuthentication, and hands the claims over.
use std::collections::BTreeMap;
use std::error::Error;

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header as JwtHeader, Validation};
use mesh_authz::identity::{
    Authentication, Token, TokenLocation, TokenRequest, Validity, Value, authenticate,
};
use mesh_authz::{Authorizer, Connection, Http, Request, jwt_rules_of_proxy};
use mesh_model::Compat;
use mesh_model::registry::{Origin, Registry, Source};
use mesh_model::resource::JwtRule;
use rcgen::{KeyPair, PKCS_ED25519, PublicKeyData as _};
use serde_json::json;

type Failure = Box<dyn Error + Send + Sync>;

const POD: &str = "
apiVersion: v1
kind: Pod
metadata: {name: cart-0, namespace: shop, labels: {app: cart}}
spec: {serviceAccountName: cart}
status: {phase: Running, podIP: 10.0.0.1}
";

/// Tokens of one issuer are believed; its shoppers may read, its clerks may do all.
fn policies(keys: &str) -> String {
    format!(
        "
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {{name: tokens, namespace: shop}}
spec: {{jwtRules: [{{issuer: 'https://id.shop', jwks: '{keys}'}}]}}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {{name: shoppers, namespace: shop}}
spec:
  rules:
  - from: [{{source: {{requestPrincipals: ['https://id.shop/*']}}}}]
    to: [{{operation: {{methods: [GET]}}}}]
  - when: [{{key: 'request.auth.claims[groups]', values: [clerks]}}]
"
    )
}

fn main() -> Result<(), Failure> {
    for line in story()? {
        println!("{line}");
    }
    Ok(())
}

/// What happens, a line a request.
pub(crate) fn story() -> Result<Vec<String>, Failure> {
    let (issuer, stranger) = (Issuer::new()?, Issuer::new()?);
    let source =
        |origin, name: &str, text: String| Source { origin, name: name.into(), text: text.into() };
    let mut registry = Registry::new(Compat::default());
    let found = registry.load([
        source(Origin::Cluster("east".into()), "cart.yaml", POD.to_owned()),
        source(Origin::Config, "policies.yaml", policies(&issuer.key_set())),
    ]);
    found.iter().for_each(|diagnostic| eprintln!("{diagnostic}"));
    let mesh = registry.mesh();
    let proxy = mesh.proxy("east/shop/cart-0")?;
    let plane = mesh.control_plane_of("east").ok_or("no control plane serves the cluster")?;
    let rules: Vec<JwtRule> =
        jwt_rules_of_proxy(&mesh, plane, &proxy).into_iter().cloned().collect();
    let authorizer = Authorizer::of_proxy(&mesh, plane, &proxy);

    let tokens = [
        ("nobody", None),
        ("a shopper", Some(issuer.token("ann", &[])?)),
        ("a clerk", Some(issuer.token("bob", &["clerks"])?)),
        ("a forger", Some(stranger.token("bob", &["clerks"])?)),
    ];
    let mut told = Vec::new();
    for (who, token) in &tokens {
        for method in ["GET", "DELETE"] {
            let status = answer(&rules, &authorizer, method, token.as_deref());
            told.push(format!("{who} {method}: {status}"));
        }
    }
    Ok(told)
}

/// The status of a request's answer.
fn answer(rules: &[JwtRule], authorizer: &Authorizer, method: &str, token: Option<&str>) -> u16 {
    let verified = token.map(|token| verify(rules, token));
    let none = BTreeMap::new();
    let tokens: Vec<Token<'_>> = verified
        .iter()
        .map(|claims| Token {
            location: TokenLocation::Header { name: "authorization", prefix: "Bearer " },
            validity: if claims.is_some() { Validity::Valid } else { Validity::Untimely },
            claims: claims.as_ref().unwrap_or(&none),
        })
        .collect();
    let request = TokenRequest { method, has_preflight_headers: false, tokens: &tokens };
    let payload = match authenticate(rules, &request) {
        Authentication::Passed(payload) => payload,
        Authentication::Unauthenticated => return 401,
        Authentication::AudienceNotAllowed => return 403,
    };
    let decision = authorizer.decide(&Request {
        connection: Connection {
            source_ip: [10, 0, 0, 2].into(),
            remote_ip: None,
            destination_ip: [10, 0, 0, 1].into(),
            destination_port: 8080,
            peer: None,
            sni: None,
        },
        http: Some(Http {
            method,
            authority: Some("cart.shop"),
            path: "/items/7",
            headers: &[],
            payload: payload.as_ref(),
        }),
        metadata: None,
    });
    if decision.is_allowed() { 200 } else { 403 }
}

/// The claims of a token that a key of one of the rules signed and whose times are right.
fn verify(rules: &[JwtRule], token: &str) -> Option<BTreeMap<Box<str>, Value>> {
    let mut validation = Validation::new(Algorithm::EdDSA);
    // Issuers and audiences are the rules' business.
    validation.validate_aud = false;
    let sets = rules.iter().filter_map(|rule| serde_json::from_str::<JwkSet>(&rule.jwks).ok());
    sets.flat_map(|set| set.keys).find_map(|key| {
        let key = DecodingKey::from_jwk(&key).ok()?;
        let decoded = jsonwebtoken::decode::<serde_json::Value>(token, &key, &validation).ok()?;
        let claims = decoded.claims.as_object()?.iter();
        Some(claims.map(|(name, claim)| (name.as_str().into(), value(claim))).collect())
    })
}

/// JSON as mesh-authz reads claims.
fn value(json: &serde_json::Value) -> Value {
    match json {
        serde_json::Value::Null => Value::Null,
        serde_json::Value::Bool(value) => Value::Bool(*value),
        serde_json::Value::Number(number) => Value::Number(number.as_f64().unwrap_or_default()),
        serde_json::Value::String(text) => Value::Text(text.as_str().into()),
        serde_json::Value::Array(items) => Value::List(items.iter().map(value).collect()),
        serde_json::Value::Object(map) => {
            Value::Map(map.iter().map(|(name, item)| (name.as_str().into(), value(item))).collect())
        }
    }
}

/// Who signs tokens.
struct Issuer(KeyPair);

impl Issuer {
    fn new() -> Result<Self, Failure> {
        Ok(Self(KeyPair::generate_for(&PKCS_ED25519)?))
    }

    fn key_set(&self) -> String {
        let x = BASE64_URL_SAFE_NO_PAD.encode(self.0.der_bytes());
        json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "x": x}]}).to_string()
    }

    fn token(&self, subject: &str, groups: &[&str]) -> Result<String, Failure> {
        let claims = json!({"iss": "https://id.shop", "sub": subject, "groups": groups, "exp": 4102444800_u64});
        let key = EncodingKey::from_ed_der(&self.0.serialize_der());
        Ok(jsonwebtoken::encode(&JwtHeader::new(Algorithm::EdDSA), &claims, &key)?)
    }
}
