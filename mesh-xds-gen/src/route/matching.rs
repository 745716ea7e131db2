//! Which requests a route means.
//!
//! # Upstream
//!
//! istio/istio `pilot/pkg/networking/core/route/route.go` `TranslateRouteMatch`;
//! `pkg/jwt/routing.go` `ToRoutingClaim`.
use mesh_envoy_proto::envoy::config::route::v3::header_matcher::HeaderMatchSpecifier;
use mesh_envoy_proto::envoy::config::route::v3::query_parameter_matcher::QueryParameterMatchSpecifier;
use mesh_envoy_proto::envoy::config::route::v3::route_match::PathSpecifier;
use mesh_envoy_proto::envoy::config::route::v3::{
    HeaderMatcher, QueryParameterMatcher, RouteMatch,
};
use mesh_envoy_proto::envoy::r#type::matcher::v3::metadata_matcher::{
    PathSegment, path_segment::Segment,
};
use mesh_envoy_proto::envoy::r#type::matcher::v3::{
    ListMatcher, MetadataMatcher, OrMatcher, ValueMatcher, list_matcher, value_matcher,
};
use mesh_model::resource::virtual_service::{HttpMatchRequest, Semantics, StringMatch};

use super::value::{regex, string_match};

const CLAIMS: &str = "@request.auth.claims";
const JWT_FILTER: &str = "envoy.filters.http.jwt_authn";
const PRESENT: StringMatch = StringMatch::Present;

/// A match of every request.
pub(super) fn everything() -> RouteMatch {
    RouteMatch { path_specifier: Some(PathSpecifier::Prefix("/".to_owned())), ..Default::default() }
}

/// The match for a condition; everything without one.
pub(super) fn route_match(
    condition: Option<&HttpMatchRequest>,
    semantics: Semantics,
) -> RouteMatch {
    let mut found = everything();
    let Some(condition) = condition else { return found };
    for (name, value) in &condition.headers {
        let value = value.as_ref().unwrap_or(&PRESENT);
        match claim(name) {
            Some(path) => found.dynamic_metadata.push(claim_matcher(&path, value, false)),
            None => found.headers.push(header(name, value)),
        }
    }
    for (name, value) in &condition.without_headers {
        let value = value.as_ref().unwrap_or(&PRESENT);
        match claim(name) {
            Some(path) => found.dynamic_metadata.push(claim_matcher(&path, value, true)),
            None => found.headers.push(HeaderMatcher {
                invert_match: true,
                treat_missing_header_as_empty: !is_presence(value),
                ..header(name, value)
            }),
        }
    }
    found.headers.sort_by(|a, b| a.name.cmp(&b.name));
    let pseudo = [
        (":method", &condition.method),
        (":authority", &condition.authority),
        (":scheme", &condition.scheme),
    ];
    let pseudo = pseudo.into_iter().filter_map(|(name, value)| Some((name, value.as_ref()?)));
    found.headers.extend(pseudo.map(|(name, value)| header(name, value)));
    if let Some(path) = condition.uri.as_ref().and_then(|uri| path(uri, semantics)) {
        found.path_specifier = Some(path);
    }
    found.case_sensitive = Some(!condition.ignore_uri_case);
    let parameters = condition.query_params.iter();
    found.query_parameters = parameters
        .map(|(name, value)| query_parameter(name, value.as_ref().unwrap_or(&PRESENT)))
        .collect();
    found
}

fn path(uri: &StringMatch, semantics: Semantics) -> Option<PathSpecifier> {
    Some(match uri {
        StringMatch::Present => return None,
        StringMatch::Exact(path) => PathSpecifier::Path(path.to_string()),
        StringMatch::Prefix(prefix) if semantics != Semantics::Istio && **prefix != *"/" => {
            let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
            PathSpecifier::PathSeparatedPrefix(prefix.to_owned())
        }
        StringMatch::Prefix(prefix) => PathSpecifier::Prefix(prefix.to_string()),
        StringMatch::Regex(pattern) => PathSpecifier::SafeRegex(regex(pattern)),
    })
}

/// Whether only presence is asked for: no condition, or `*`, which is no RE2 expression.
fn is_presence(value: &StringMatch) -> bool {
    match value {
        StringMatch::Present => true,
        StringMatch::Regex(pattern) => **pattern == *"*",
        StringMatch::Exact(_) | StringMatch::Prefix(_) => false,
    }
}

fn header(name: &str, value: &StringMatch) -> HeaderMatcher {
    let specifier = match string_match(value) {
        Some(matcher) if !is_presence(value) => HeaderMatchSpecifier::StringMatch(matcher),
        Some(_) | None => HeaderMatchSpecifier::PresentMatch(true),
    };
    HeaderMatcher {
        name: name.to_owned(),
        header_match_specifier: Some(specifier),
        ..Default::default()
    }
}

fn query_parameter(name: &str, value: &StringMatch) -> QueryParameterMatcher {
    let specifier = match string_match(value) {
        Some(matcher) if !is_presence(value) => QueryParameterMatchSpecifier::StringMatch(matcher),
        Some(_) | None => QueryParameterMatchSpecifier::PresentMatch(true),
    };
    QueryParameterMatcher {
        name: name.to_owned(),
        query_parameter_match_specifier: Some(specifier),
    }
}

/// The claim of a token that a header name means: `@request.auth.claims.a.b` or
/// `@request.auth.claims[a][b]`, the fixed part in any case.
fn claim(name: &str) -> Option<Vec<&str>> {
    let (head, rest) = name.split_at_checked(CLAIMS.len())?;
    if !head.eq_ignore_ascii_case(CLAIMS) {
        return None;
    }
    if let Some(rest) = rest.strip_prefix('.') {
        return (!rest.is_empty()).then(|| rest.split('.').collect());
    }
    let rest = rest.strip_prefix('[')?.strip_suffix(']')?;
    (!rest.is_empty()).then(|| rest.split("][").collect())
}

/// A claim is a text or a list of texts.
fn claim_matcher(path: &[&str], value: &StringMatch, invert: bool) -> MetadataMatcher {
    let text = string_match(value).unwrap_or_default();
    let one = ValueMatcher { match_pattern: Some(value_matcher::MatchPattern::StringMatch(text)) };
    let any = ListMatcher {
        match_pattern: Some(list_matcher::MatchPattern::OneOf(Box::new(one.clone()))),
    };
    let list =
        ValueMatcher { match_pattern: Some(value_matcher::MatchPattern::ListMatch(Box::new(any))) };
    let either = OrMatcher { value_matchers: vec![list, one] };
    let keys = std::iter::once("payload").chain(path.iter().copied());
    MetadataMatcher {
        filter: JWT_FILTER.to_owned(),
        path: keys.map(|key| PathSegment { segment: Some(Segment::Key(key.to_owned())) }).collect(),
        value: Some(ValueMatcher {
            match_pattern: Some(value_matcher::MatchPattern::OrMatch(either)),
        }),
        invert,
    }
}
