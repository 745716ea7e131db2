//! Cross-origin rules.
//!
//! # Upstream
//!
//! istio/istio `pilot/pkg/networking/core/route/route.go` `TranslateCORSPolicy`.
use mesh_envoy_proto::envoy::extensions::filters::http::cors::v3::CorsPolicy;
use mesh_model::resource::virtual_service::{self as model, StringMatch, UnmatchedPreflights};

use super::value::{fraction, string_match, whole_percent};

/// The filter that answers preflight requests.
pub(super) const FILTER: &str = "envoy.filters.http.cors";

/// The settings of the filter.
pub(super) fn policy(cors: &model::CorsPolicy) -> CorsPolicy {
    let origins = if cors.allow_origins.is_empty() {
        let exact = cors.allow_origin.iter().cloned().map(StringMatch::Exact);
        exact.filter_map(|origin| string_match(&origin)).collect()
    } else {
        cors.allow_origins.iter().filter_map(string_match).collect()
    };
    CorsPolicy {
        allow_origin_string_match: origins,
        allow_methods: cors.allow_methods.join(","),
        allow_headers: cors.allow_headers.join(","),
        expose_headers: cors.expose_headers.join(","),
        max_age: cors.max_age.map(|age| age.as_secs().to_string()).unwrap_or_default(),
        allow_credentials: cors.allow_credentials,
        filter_enabled: Some(fraction(whole_percent(100))),
        forward_not_matching_preflights: Some(
            cors.unmatched_preflights != UnmatchedPreflights::Ignore,
        ),
        ..Default::default()
    }
}
