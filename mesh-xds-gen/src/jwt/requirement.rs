//! What is required of the tokens of a request.
//!
//! # Upstream
//!
//! istio/istio `pilot/pkg/security/authn/policy_applier.go` `convertToEnvoyJwtConfig`.
use mesh_envoy_proto::envoy::config::route::v3::{RouteMatch, route_match::PathSpecifier};
use mesh_envoy_proto::envoy::extensions::filters::http::jwt_authn::v3::jwt_requirement::RequiresType;
use mesh_envoy_proto::envoy::extensions::filters::http::jwt_authn::v3::requirement_rule::RequirementType;
use mesh_envoy_proto::envoy::extensions::filters::http::jwt_authn::v3::{
    JwtRequirement, JwtRequirementAndList, JwtRequirementOrList, RequirementRule,
};

/// Requires of every request that a provider believes it, or that it has no token that none believes.
pub(super) fn everywhere(providers: Vec<String>) -> RequirementRule {
    RequirementRule {
        r#match: Some(RouteMatch {
            path_specifier: Some(PathSpecifier::Prefix("/".to_owned())),
            ..RouteMatch::default()
        }),
        requirement_type: Some(RequirementType::Requires(of_all(providers))),
    }
}

/// The first alternatives serve providers that look in one place: each refuses the others' tokens.
fn of_all(providers: Vec<String>) -> JwtRequirement {
    let mut optional: Vec<JwtRequirement> = providers.iter().cloned().map(or_missing).collect();
    match (optional.len(), optional.pop()) {
        (1, Some(only)) => only,
        (_, last) => {
            optional.extend(last);
            let each = RequiresType::RequiresAll(JwtRequirementAndList { requirements: optional });
            any(providers.into_iter().map(provider).chain([of(each)]).collect())
        }
    }
}

fn or_missing(name: String) -> JwtRequirement {
    any(vec![provider(name), of(RequiresType::AllowMissing(()))])
}

fn provider(name: String) -> JwtRequirement {
    of(RequiresType::ProviderName(name))
}

fn any(requirements: Vec<JwtRequirement>) -> JwtRequirement {
    of(RequiresType::RequiresAny(JwtRequirementOrList { requirements }))
}

fn of(requires: RequiresType) -> JwtRequirement {
    JwtRequirement { requires_type: Some(requires) }
}
