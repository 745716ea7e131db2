//! Paths: made normal before routes see them, and rewritten for destinations.
//!
//! # Upstream
//!
//! envoyproxy/envoy `source/common/http/path_utility.cc`, `source/common/router/config_impl.cc`
//! `RouteEntryImplBase::finalizePathHeader`, `getPathRewrite`.
use mesh_authz::matcher::{EscapedSlashes, NormalPath, PathNormalization, PathOptions};
use mesh_envoy_proto::envoy::config::route::v3::RouteMatch;
use mesh_envoy_proto::envoy::config::route::v3::route_match::PathSpecifier;
use mesh_envoy_proto::envoy::extensions::filters::network::http_connection_manager::v3::{
    HttpConnectionManager, http_connection_manager::PathWithEscapedSlashesAction,
};
use mesh_envoy_proto::envoy::r#type::matcher::v3::RegexMatchAndSubstitute;

use mesh_model::compat::EnvoyFeatures;

use super::{Request, text};

/// What a filter of requests makes of a path before routes see it.
pub(super) enum Normal {
    /// They see this.
    Seen(String),
    /// The client is sent here instead.
    Redirected(String),
    /// The request is refused.
    Rejected,
}

/// Normalizes a path; a client that speaks gRPC is refused instead of sent elsewhere.
///
/// # Upstream
///
/// envoyproxy/envoy `source/common/http/conn_manager_impl.cc` `ActiveStream::decodeHeaders`.
pub(super) fn normal(
    manager: &HttpConnectionManager,
    envoy: EnvoyFeatures,
    request: &Request,
) -> Normal {
    let is_normalized = manager.normalize_path == Some(true);
    let options = PathOptions {
        normalization: if is_normalized {
            PathNormalization::Base
        } else {
            PathNormalization::None
        },
        merge_slashes: Some(manager.merge_slashes),
        escaped_slashes: Some(escaped_slashes(manager.path_with_escaped_slashes_action)),
        dot_segments_with_parameters: envoy.strip_dotdot_segments_with_parameters,
        ..PathOptions::default()
    };
    let text = |path: NormalPath<'_>| path.as_str().to_owned();
    match NormalPath::new(&request.path, options) {
        Ok(path) => Normal::Seen(text(path)),
        Err(rejected) if rejected.is_redirected() && !is_grpc(request) => {
            let decodes = Some(EscapedSlashes::UnescapeAndForward);
            let options = PathOptions { escaped_slashes: decodes, ..options };
            let path = NormalPath::new(&request.path, options).map(text);
            path.map_or(Normal::Rejected, Normal::Redirected)
        }
        Err(_) => Normal::Rejected,
    }
}

fn escaped_slashes(action: i32) -> EscapedSlashes {
    match PathWithEscapedSlashesAction::try_from(action) {
        Ok(PathWithEscapedSlashesAction::RejectRequest) => EscapedSlashes::RejectRequest,
        Ok(PathWithEscapedSlashesAction::UnescapeAndRedirect) => {
            EscapedSlashes::UnescapeAndRedirect
        }
        Ok(PathWithEscapedSlashesAction::UnescapeAndForward) => EscapedSlashes::UnescapeAndForward,
        Ok(
            PathWithEscapedSlashesAction::KeepUnchanged
            | PathWithEscapedSlashesAction::ImplementationSpecificDefault,
        )
        | Err(_) => EscapedSlashes::KeepUnchanged,
    }
}

/// # Upstream
///
/// envoyproxy/envoy `source/common/grpc/common.cc` `Common::hasGrpcContentType`.
fn is_grpc(request: &Request) -> bool {
    let content_type =
        request.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-type"));
    let rest = content_type.and_then(|(_, value)| value.strip_prefix("application/grpc"));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('+'))
}

/// Splits off query and fragment.
pub(super) fn split(path: &str) -> (&str, &str) {
    let end = path.find(['?', '#']).unwrap_or(path.len());
    path.split_at_checked(end).unwrap_or((path, ""))
}

/// How paths are rewritten.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rewrite<'r> {
    pub(super) prefix: &'r str,
    pub(super) regex: Option<&'r RegexMatchAndSubstitute>,
}

impl Rewrite<'_> {
    /// The path for the destination; `None` if it stays. The query stays in any case.
    pub(super) fn apply(&self, condition: Option<&RouteMatch>, path: &str) -> Option<String> {
        let (bare, rest) = split(path);
        if let Some(regex) = self.regex {
            let expression = regex.pattern.as_ref().map_or("", |pattern| &pattern.regex);
            return Some(text::substitute(expression, bare, &regex.substitution) + rest);
        }
        if self.prefix.is_empty() {
            return None;
        }
        let specifier = condition.and_then(|condition| condition.path_specifier.as_ref());
        // Whole paths and what an expression matched are replaced whole.
        let matched = match specifier {
            Some(PathSpecifier::Prefix(prefix) | PathSpecifier::PathSeparatedPrefix(prefix)) => {
                prefix.len()
            }
            _ => bare.len(),
        };
        let kept = bare.get(matched..).unwrap_or_default();
        Some(format!("{}{kept}{rest}", self.prefix))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(specifier: PathSpecifier, prefix: &str, path: &str, expected: &str) {
        let condition = RouteMatch { path_specifier: Some(specifier), ..RouteMatch::default() };
        let rewrite = Rewrite { prefix, regex: None };
        assert_eq!(rewrite.apply(Some(&condition), path).as_deref(), Some(expected));
    }

    #[test]
    fn a_prefix_is_replaced_and_the_rest_stays() {
        check(PathSpecifier::Prefix("/v1".to_owned()), "/v2", "/v1/a?b=/v1", "/v2/a?b=/v1");
        check(PathSpecifier::Prefix("/v1/".to_owned()), "/", "/v1/a", "/a");
    }

    #[test]
    fn a_whole_path_is_replaced_whole() {
        check(PathSpecifier::Path("/a".to_owned()), "/b", "/a?c", "/b?c");
    }
}
