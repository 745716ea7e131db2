//! Answers that the proxy makes itself: redirects, and fixed ones.
//!
//! # Upstream
//!
//! istio/istio `pilot/pkg/networking/core/route/route.go` `ApplyRedirect`, `ApplyDirectResponse`.
use mesh_envoy_proto::envoy::config::core::v3::DataSource;
use mesh_envoy_proto::envoy::config::core::v3::data_source::Specifier;
use mesh_envoy_proto::envoy::config::route::v3::redirect_action::{
    PathRewriteSpecifier, RedirectResponseCode, SchemeRewriteSpecifier,
};
use mesh_envoy_proto::envoy::config::route::v3::route::Action;
use mesh_envoy_proto::envoy::config::route::v3::{DirectResponseAction, RedirectAction};
use mesh_model::resource::virtual_service::{
    DirectResponse, HttpBody, Redirect, RedirectPort, RedirectPortSelection,
};

/// The redirect; `None` for a status that Envoy has not.
pub(super) fn redirect(redirect: &Redirect, listener_port: u32, is_tls: bool) -> Option<Action> {
    let code = match redirect.redirect_code {
        0 | 301 => RedirectResponseCode::MovedPermanently,
        302 => RedirectResponseCode::Found,
        303 => RedirectResponseCode::SeeOther,
        307 => RedirectResponseCode::TemporaryRedirect,
        308 => RedirectResponseCode::PermanentRedirect,
        _ => return None,
    };
    // An empty path is written too: the choice is made, the path stays.
    let path = if redirect.prefix_rewrite.is_empty() {
        PathRewriteSpecifier::PathRedirect(redirect.uri.to_string())
    } else {
        PathRewriteSpecifier::PrefixRewrite(redirect.prefix_rewrite.to_string())
    };
    let scheme = (!redirect.scheme.is_empty())
        .then(|| SchemeRewriteSpecifier::SchemeRedirect(redirect.scheme.to_string()));
    Some(Action::Redirect(RedirectAction {
        host_redirect: redirect.authority.to_string(),
        port_redirect: port(redirect, listener_port, is_tls),
        response_code: code.into(),
        scheme_rewrite_specifier: scheme,
        path_rewrite_specifier: Some(path),
        ..Default::default()
    }))
}

/// The port to send clients to; 0, the scheme's, where it would say the same.
fn port(redirect: &Redirect, listener_port: u32, is_tls: bool) -> u32 {
    let port = match redirect.port {
        None | Some(RedirectPort::DerivePort(RedirectPortSelection::FromProtocolDefault)) => 0,
        Some(RedirectPort::DerivePort(RedirectPortSelection::FromRequestPort)) => listener_port,
        Some(RedirectPort::Port(port)) => port,
    };
    let scheme = match &*redirect.scheme {
        "" if is_tls => "https",
        "" => "http",
        scheme => scheme,
    };
    match (port, scheme) {
        (80, "http") | (443, "https") => 0,
        _ => port,
    }
}

/// The fixed answer.
pub(super) fn direct_response(response: &DirectResponse) -> Action {
    let body = response.body.as_ref().map(|body| match body {
        HttpBody::String(text) => Specifier::InlineString(text.to_string()),
        HttpBody::Bytes(bytes) => Specifier::InlineBytes(bytes.to_vec()),
    });
    Action::DirectResponse(DirectResponseAction {
        status: response.status,
        body: body.map(|body| DataSource { specifier: Some(body), ..Default::default() }),
        ..Default::default()
    })
}
