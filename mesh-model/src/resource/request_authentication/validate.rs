//! What admission refuses in a RequestAuthentication.
mod keys;

use super::{ClaimToHeader, JwtRule, RequestAuthentication};
use crate::resource::validate::{
    Violation, Violations, attachment, duration, header, metadata, url,
};

impl RequestAuthentication {
    /// Returns the rules of admission that the object breaks.
    ///
    /// # Upstream
    ///
    /// istio/istio `pkg/config/validation/validation.go` `ValidateRequestAuthentication`.
    pub fn validate(&self) -> Vec<Violation> {
        metadata::then(&self.meta, |violations| {
            let spec = &self.spec;
            let (selector, target) = (spec.selector.as_ref(), spec.target_ref.as_ref());
            attachment::check(violations, selector, target, &spec.target_refs);
            violations.field("jwtRules", |violations| violations.each(&spec.jwt_rules, rule));
        })
    }
}

/// # Upstream
///
/// istio/istio `pkg/config/validation/validation.go` `validateJwtRule`.
fn rule(violations: &mut Violations, rule: &JwtRule) {
    texts(violations, "audiences", &rule.audiences, "JWT-AUDIENCE");
    if rule.issuer.is_empty() && rule.jwks_uri.is_empty() {
        let message = "the rule says nothing of who issues tokens";
        violations.error("JWT-ISSUER", message, "add `issuer`");
    }
    if !rule.jwks_uri.is_empty() {
        violations.take_at("jwksUri", url::of_keys(&rule.jwks_uri));
    }
    if !rule.jwks.is_empty() {
        violations.field("jwks", |violations| keys::check(violations, &rule.jwks));
    }
    violations.field("fromHeaders", |violations| {
        violations.each(&rule.from_headers, |violations, location| {
            if location.name.is_empty() {
                violations.error_at("name", "JWT-LOCATION", "the header has no name", "add one");
            }
        });
    });
    texts(violations, "fromParams", &rule.from_params, "JWT-LOCATION");
    texts(violations, "fromCookies", &rule.from_cookies, "JWT-LOCATION");
    violations.field("outputClaimToHeaders", |violations| {
        violations.each(&rule.output_claim_to_headers, output);
    });
    duration::check(violations, "timeout", rule.timeout);
}

fn texts(violations: &mut Violations, name: &str, texts: &[Box<str>], rule: &'static str) {
    violations.field(name, |violations| {
        violations.each(texts, |violations, text| {
            if text.is_empty() {
                violations.error(rule, "a value is empty", "remove it");
            }
        });
    });
}

fn output(violations: &mut Violations, output: &ClaimToHeader) {
    if output.header.is_empty() || output.claim.is_empty() {
        let message = "a claim is written to a header";
        violations.error("JWT-OUTPUT-CLAIM", message, "add both `header` and `claim`");
    } else {
        violations.take_at("header", header::strict(&output.header));
    }
}

#[cfg(test)]
mod tests;
