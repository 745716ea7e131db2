//! Limits of policies of security.
use super::{exclusive, longest, most};
use crate::resource::validate::Violations;
use crate::resource::{AuthorizationPolicy, PeerAuthentication, RequestAuthentication};

/// Rules of a policy, sources and conditions of a rule.
const MOST_RULES: usize = 512;
/// Tokens of a RequestAuthentication.
const MOST_TOKENS: usize = 4096;
/// References of a policy.
pub(super) const MOST_TARGETS: usize = 16;
/// Characters of addresses of keys.
const LONGEST_ADDRESS: usize = 2048;

pub(super) fn authorization(violations: &mut Violations, policy: &AuthorizationPolicy) {
    let spec = &policy.spec;
    most(violations, "targetRefs", spec.target_refs.len(), MOST_TARGETS);
    most(violations, "rules", spec.rules.len(), MOST_RULES);
    violations.field("rules", |violations| {
        violations.each(&spec.rules, |violations, rule| {
            most(violations, "from", rule.from.len(), MOST_RULES);
            most(violations, "when", rule.when.len(), MOST_RULES);
        });
    });
}

pub(super) fn authentication(violations: &mut Violations, policy: &RequestAuthentication) {
    most(violations, "targetRefs", policy.spec.target_refs.len(), MOST_TARGETS);
    most(violations, "jwtRules", policy.spec.jwt_rules.len(), MOST_TOKENS);
    violations.field("jwtRules", |violations| {
        violations.each(&policy.spec.jwt_rules, |violations, rule| {
            longest(violations, "jwksUri", &rule.jwks_uri, LONGEST_ADDRESS);
            if !rule.jwks.is_empty() && !rule.jwks_uri.is_empty() {
                exclusive(violations, "jwks", "jwksUri");
            }
        });
    });
}

pub(super) fn ports_of_peers(violations: &mut Violations, policy: &PeerAuthentication) {
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
