//! What a proxy's settings say of connections, as its listeners and filters of requests have it.
//!
//! ```text
//! metadata IDLE_TIMEOUT ─┐
//! pathNormalization ─────┼─▶ filter of requests ◀─ over them: connectionSettings ─▶ gateway listeners
//! protocol of the port ──┘
//! ```
//!
//! What is not said leaves what stands there already. Which block counts is
//! [`Proxy::connection_settings`](mesh_model::view::Proxy::connection_settings)' to say.
//!
//! # Upstream
//!
//! istio/istio `pilot/pkg/networking/core/connection_settings.go` `applyConnectionSettingsToHCM`.
use mesh_envoy_proto::envoy::config::core::v3::http_protocol_options::HeadersWithUnderscoresAction;
use mesh_envoy_proto::envoy::extensions::filters::network::http_connection_manager::v3 as proto;
use mesh_envoy_proto::prost_types::Duration;
use mesh_model::name;
use mesh_model::resource::mesh_config::{
    ConnectionSettings, HeadersWithUnderscoresAction as Underscores,
    PathWithEscapedSlashesAction as EscapedSlashes,
};
use proto::HttpConnectionManager;
use proto::http_connection_manager::PathWithEscapedSlashesAction;

use super::wire;

/// Writes the settings over what a filter of requests says already.
pub(super) fn apply(settings: &ConnectionSettings, manager: &mut HttpConnectionManager) {
    timeouts(settings, manager);
    http2(settings, manager);
    if let Some(action) = underscores(settings.http_headers_with_underscores_action) {
        let options = manager.common_http_protocol_options.get_or_insert_default();
        options.headers_with_underscores_action = action.into();
    }
    if let Some(merges) = settings.http_merge_slashes {
        manager.merge_slashes = merges;
    }
    if let Some(action) = escaped_slashes(settings.http_path_with_escaped_slashes_action) {
        manager.path_with_escaped_slashes_action = action.into();
    }
}

/// The buffer of a gateway's listeners, bytes.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/networking/core/gateway.go` `buildGatewayListeners`.
pub(super) fn buffer_limit(settings: &ConnectionSettings) -> Option<u32> {
    natural(settings.listener_per_connection_buffer_limit_bytes)
}

fn timeouts(settings: &ConnectionSettings, manager: &mut HttpConnectionManager) {
    let common = [
        settings.http_idle_timeout,
        settings.http_max_connection_duration,
        settings.http_max_stream_duration,
    ];
    if common.iter().any(Option::is_some) {
        let options = manager.common_http_protocol_options.get_or_insert_default();
        let [idle_timeout, max_connection_duration, max_stream_duration] = common;
        set(&mut options.idle_timeout, idle_timeout);
        set(&mut options.max_connection_duration, max_connection_duration);
        set(&mut options.max_stream_duration, max_stream_duration);
    }
    set(&mut manager.stream_idle_timeout, settings.http_stream_idle_timeout);
    set(&mut manager.request_timeout, settings.http_request_timeout);
    set(&mut manager.request_headers_timeout, settings.http_request_headers_timeout);
    set(&mut manager.drain_timeout, settings.http_drain_timeout);
}

fn set(field: &mut Option<Duration>, given: Option<name::Duration>) {
    if let Some(given) = given {
        *field = Some(wire::duration(given));
    }
}

/// Limits of HTTP/2. Any that is said writes the block, even one below zero, which is left out of it: only
/// what a proxy says of itself can have such a one, because admission looks at the mesh's.
fn http2(settings: &ConnectionSettings, manager: &mut HttpConnectionManager) {
    let limits = [
        settings.http_max_concurrent_streams,
        settings.http2_initial_stream_window_size,
        settings.http2_initial_connection_window_size,
    ];
    if limits.iter().all(Option::is_none) {
        return;
    }
    let [streams, stream_window, connection_window] = limits.map(natural);
    let options = manager.http2_protocol_options.get_or_insert_default();
    options.max_concurrent_streams = streams.or(options.max_concurrent_streams);
    options.initial_stream_window_size = stream_window.or(options.initial_stream_window_size);
    options.initial_connection_window_size =
        connection_window.or(options.initial_connection_window_size);
}

/// # Upstream
///
/// istio/istio `pilot/pkg/networking/core/connection_settings.go` `safeUint32`.
fn natural(given: Option<i32>) -> Option<u32> {
    given.and_then(|given| u32::try_from(given).ok())
}

/// # Upstream
///
/// istio/istio `pilot/pkg/networking/core/connection_settings.go` `toEnvoyHeadersWithUnderscoresAction`.
const fn underscores(action: Underscores) -> Option<HeadersWithUnderscoresAction> {
    Some(match action {
        Underscores::Unspecified => return None,
        Underscores::Allow => HeadersWithUnderscoresAction::Allow,
        Underscores::RejectRequest => HeadersWithUnderscoresAction::RejectRequest,
        Underscores::DropHeader => HeadersWithUnderscoresAction::DropHeader,
    })
}

/// # Upstream
///
/// istio/istio `pilot/pkg/networking/core/connection_settings.go` `toEnvoyPathWithEscapedSlashesAction`.
const fn escaped_slashes(action: EscapedSlashes) -> Option<PathWithEscapedSlashesAction> {
    Some(match action {
        EscapedSlashes::Unspecified => return None,
        EscapedSlashes::KeepUnchanged => PathWithEscapedSlashesAction::KeepUnchanged,
        EscapedSlashes::RejectRequest => PathWithEscapedSlashesAction::RejectRequest,
        EscapedSlashes::UnescapeAndRedirect => PathWithEscapedSlashesAction::UnescapeAndRedirect,
        EscapedSlashes::UnescapeAndForward => PathWithEscapedSlashesAction::UnescapeAndForward,
    })
}
