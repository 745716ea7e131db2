//! Sessions: requests that carry a cookie or header with an endpoint's address go back to it, where
//! the service's labels ask for it and the mesh has switched it on.
//!
//! # Upstream
//!
//! istio/istio `pilot/pkg/networking/util/util.go` `MaybeBuildStatefulSessionFilterConfig`,
//! `BuildStatefulSessionFilter`; `core/route/route.go` `TranslateRoute`.
use mesh_envoy_proto::envoy::config::core::v3::TypedExtensionConfig;
use mesh_envoy_proto::envoy::extensions::filters::http::stateful_session::v3::{
    StatefulSession, StatefulSessionPerRoute, stateful_session_per_route::Override,
};
use mesh_envoy_proto::envoy::extensions::filters::network::http_connection_manager::v3 as hcm;
use mesh_envoy_proto::envoy::extensions::http::stateful_session::cookie::v3::CookieBasedSessionState;
use mesh_envoy_proto::envoy::extensions::http::stateful_session::header::v3::HeaderBasedSessionState;
use mesh_envoy_proto::envoy::r#type::http::v3::Cookie;
use mesh_envoy_proto::pack;
use mesh_envoy_proto::prost_types::Any;
use mesh_model::compat::Flags;
use mesh_model::registry::Service;

/// The filter.
pub(crate) const FILTER: &str = "envoy.filters.http.stateful_session";
const COOKIE_LABEL: &str = "istio.io/persistent-session";
const HEADER_LABEL: &str = "istio.io/persistent-session-header";

/// How a service's sessions are kept; `None` if they are not.
///
/// A cookie label is `NAME` or `NAME:PATH`, and goes before that of a header.
fn config(service: &Service, flags: &Flags) -> Option<StatefulSession> {
    if !flags.pilot_enable_persistent_session_filter {
        return None;
    }
    let (cookie, header) = (service.labels.value(COOKIE_LABEL), service.labels.value(HEADER_LABEL));
    let (name, state) = if !cookie.is_empty() {
        let (name, path) = cookie.split_once(':').unwrap_or((cookie, "/"));
        // Without a life time the cookie ends with the client.
        let cookie = Cookie { name: name.to_owned(), path: path.to_owned(), ..Cookie::default() };
        let state = CookieBasedSessionState { cookie: Some(cookie) };
        ("envoy.http.stateful_session.cookie", pack(&state))
    } else if !header.is_empty() {
        let state = HeaderBasedSessionState { name: header.to_owned() };
        ("envoy.http.stateful_session.header", pack(&state))
    } else {
        return None;
    };
    let session_state =
        Some(TypedExtensionConfig { name: name.to_owned(), typed_config: Some(state) });
    Some(StatefulSession { session_state, ..StatefulSession::default() })
}

/// The filter of a service's listener.
pub(crate) fn filter(service: &Service, flags: &Flags) -> Option<hcm::HttpFilter> {
    config(service, flags).as_ref().map(filter_of)
}

/// The filter of what carries requests of many services: their routes say how it works.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/xds/filters/filters.go` `EmptySessionFilter`.
pub(crate) fn unset_filter(flags: &Flags) -> Option<hcm::HttpFilter> {
    flags.pilot_enable_persistent_session_filter.then(|| filter_of(&StatefulSession::default()))
}

fn filter_of(config: &StatefulSession) -> hcm::HttpFilter {
    hcm::HttpFilter {
        name: FILTER.to_owned(),
        config_type: Some(hcm::http_filter::ConfigType::TypedConfig(pack(config))),
        ..hcm::HttpFilter::default()
    }
}

/// What a virtual host or route of a service says to the filter.
pub(super) fn per_route(service: Option<&Service>, flags: &Flags) -> Option<Any> {
    let stateful = config(service?, flags)?;
    let value = Some(Override::StatefulSession(stateful));
    Some(pack(&StatefulSessionPerRoute { r#override: value }))
}

/// What a route with several destinations says to the filter: upstream looks at them in order until
/// a second one has sessions, and one without sessions makes it forget those before.
pub(super) fn of_destinations<'s>(
    services: impl IntoIterator<Item = Option<&'s Service>>,
    flags: &Flags,
) -> Option<Any> {
    let mut found = None;
    for service in services {
        let own = per_route(service, flags);
        if own.is_some() && found.is_some() {
            break;
        }
        found = own;
    }
    found
}
