//! Limits of policies of security.
use super::{attachment, exclusive, longest, most, not_empty};
use crate::resource::validate::{Violations, url};
use crate::resource::{AuthorizationPolicy, PeerAuthentication, RequestAuthentication};

/// Rules of a policy, sources and conditions of a rule.
const MOST_RULES: usize = 512;
/// Tokens of a RequestAuthentication.
const MOST_TOKENS: usize = 4096;
/// Claims of a token that are lists.
const MOST_CLAIMS: usize = 64;
/// Characters of addresses of keys.
const LONGEST_ADDRESS: usize = 2048;

pub(super) fn authorization(violations: &mut Violations, policy: &AuthorizationPolicy) {
    let spec = &policy.spec;
    let (selector, target) = (spec.selector.as_ref(), spec.target_ref.as_ref());
    attachment::policy(violations, selector, target, &spec.target_refs);
    most(violations, "rules", spec.rules.len(), MOST_RULES);
    violations.field("rules", |violations| {
        violations.each(&spec.rules, |violations, rule| {
            most(violations, "from", rule.from.len(), MOST_RULES);
            most(violations, "when", rule.when.len(), MOST_RULES);
        });
    });
}

pub(super) fn authentication(violations: &mut Violations, policy: &RequestAuthentication) {
    let spec = &policy.spec;
    let (selector, target) = (spec.selector.as_ref(), spec.target_ref.as_ref());
    attachment::policy(violations, selector, target, &spec.target_refs);
    most(violations, "jwtRules", spec.jwt_rules.len(), MOST_TOKENS);
    violations.field("jwtRules", |violations| {
        violations.each(&spec.jwt_rules, |violations, rule| {
            let claims = &rule.space_delimited_claims;
            most(violations, "spaceDelimitedClaims", claims.len(), MOST_CLAIMS);
            violations.field("spaceDelimitedClaims", |violations| {
                violations.each(claims, |violations, claim| not_empty(violations, claim));
            });
            longest(violations, "jwksUri", &rule.jwks_uri, LONGEST_ADDRESS);
            violations.take_at("jwksUri", url::of_request(&rule.jwks_uri));
            if !rule.jwks.is_empty() && !rule.jwks_uri.is_empty() {
                exclusive(violations, "jwks", "jwksUri");
            }
        });
    });
}

pub(super) fn peers(violations: &mut Violations, policy: &PeerAuthentication) {
    attachment::selector(violations, "selector", policy.spec.selector.as_ref());
    violations.field("portLevelMtls", |violations| {
        for port in policy.spec.port_level_mtls.iter().flatten().map(|(port, _)| *port) {
            if !(1..=65535).contains(&port) {
                let message = format!("`{port}` is not the number of a port");
                let help = "write a number of 1 to 65535";
                violations.error_at(&port.to_string(), "SCHEMA-PORT", &message, help);
            }
        }
    });
}
