//! Where a client is sent instead.
//!
//! # Upstream
//!
//! envoyproxy/envoy `source/common/router/config_impl.cc` `RouteEntryImplBase::newUri`,
//! `processRequestHost`.
use mesh_envoy_proto::envoy::config::route::v3::redirect_action::{
    PathRewriteSpecifier, RedirectResponseCode, SchemeRewriteSpecifier,
};
use mesh_envoy_proto::envoy::config::route::v3::{RedirectAction, RouteMatch};

use super::condition::Seen;
use super::path::{self, Rewrite};

/// A redirect.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "a value that callers read")]
pub struct Redirected {
    /// The status.
    pub status: u32,
    /// The header `location`.
    pub location: String,
}

/// The same address over TLS.
pub(super) fn to_tls(seen: &Seen<'_>) -> Redirected {
    Redirected { status: 301, location: format!("https://{}{}", seen.host, seen.path) }
}

/// What a route says.
pub(super) fn of_action(
    seen: &Seen<'_>,
    condition: Option<&RouteMatch>,
    action: &RedirectAction,
) -> Redirected {
    let scheme = match &action.scheme_rewrite_specifier {
        Some(SchemeRewriteSpecifier::HttpsRedirect(true)) => "https",
        Some(SchemeRewriteSpecifier::SchemeRedirect(scheme)) => scheme,
        Some(SchemeRewriteSpecifier::HttpsRedirect(false)) | None => seen.came.scheme,
    };
    let port = match action.port_redirect {
        0 => String::new(),
        port => format!(":{port}"),
    };
    let host = if action.host_redirect.is_empty() {
        kept_host(seen, scheme, !port.is_empty())
    } else {
        &action.host_redirect
    };
    let status = match RedirectResponseCode::try_from(action.response_code) {
        Ok(RedirectResponseCode::Found) => 302,
        Ok(RedirectResponseCode::SeeOther) => 303,
        Ok(RedirectResponseCode::TemporaryRedirect) => 307,
        Ok(RedirectResponseCode::PermanentRedirect) => 308,
        Ok(RedirectResponseCode::MovedPermanently) | Err(_) => 301,
    };
    let path = new_path(seen, condition, action);
    Redirected { status, location: format!("{scheme}://{host}{port}{path}") }
}

/// The request's host; without its port where a new one comes, or where it is the own one of the old
/// scheme, as it was forwarded: `HTTP` is another scheme than `http` with the same port.
fn kept_host<'s>(seen: &'s Seen<'_>, scheme: &str, has_port: bool) -> &'s str {
    let host = seen.host;
    let end =
        if host.starts_with('[') { host.rfind("]:").map(|at| at + 1) } else { host.rfind(':') };
    let Some((name, port)) = end.and_then(|end| host.split_at_checked(end)) else { return host };
    let forwarded = &*seen.came.forwarded;
    let is_own =
        matches!((&*forwarded.to_ascii_lowercase(), port), ("http", ":80") | ("https", ":443"));
    if has_port || (scheme != forwarded && is_own) { name } else { host }
}

fn new_path(seen: &Seen<'_>, condition: Option<&RouteMatch>, action: &RedirectAction) -> String {
    let (bare, rest) = path::split(seen.path);
    let query = if action.strip_query { "" } else { rest };
    match &action.path_rewrite_specifier {
        Some(PathRewriteSpecifier::PathRedirect(path)) if !path.is_empty() => {
            // A query of its own replaces that of the request.
            if path.contains('?') { path.clone() } else { format!("{path}{query}") }
        }
        Some(PathRewriteSpecifier::PrefixRewrite(prefix)) => {
            let rewrite = Rewrite { prefix, regex: None };
            let given = format!("{bare}{query}");
            rewrite.apply(condition, &given).unwrap_or(given)
        }
        Some(PathRewriteSpecifier::RegexRewrite(regex)) => {
            let rewrite = Rewrite { prefix: "", regex: Some(regex) };
            let given = format!("{bare}{query}");
            rewrite.apply(condition, &given).unwrap_or(given)
        }
        Some(PathRewriteSpecifier::PathRedirect(_) | PathRewriteSpecifier::PathRewrite(_))
        | None => format!("{bare}{query}"),
    }
}
