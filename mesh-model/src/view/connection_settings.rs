//! What a proxy's settings say of the connections that it takes.
//!
//! ```text
//! PROXY_CONFIG has the block? ──yes──▶ its own ──┐
//!            └──no──▶ the mesh's `defaultConfig` ┴──▶ EDGE on a gateway? fill what is not said
//! ```
//!
//! # Upstream
//!
//! istio/istio `pilot/pkg/networking/core/connection_settings.go` `resolveConnectionSettings`,
//! `applyEdgeProfileDefaults`.
use super::{Proxy, ProxyKind};
use crate::name::Duration;
use crate::resource::MeshConfig;
use crate::resource::mesh_config::{
    ConnectionProfile, ConnectionSettings, HeadersWithUnderscoresAction,
    PathWithEscapedSlashesAction, ProxyConfig,
};

impl Proxy {
    /// The block `connectionSettings` that counts for the proxy, with nothing said where there is none.
    ///
    /// That of the proxy's own settings (`own`, from [`Proxy::settings`]) counts whole; without one, even
    /// where it has settings of its own, that of the mesh. Profile EDGE fills in what is not said, on
    /// gateways only: sidecars and waypoints have what is written and nothing else.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/networking/core/connection_settings.go` `resolveConnectionSettings`.
    pub fn connection_settings(
        &self,
        own: &ProxyConfig,
        config: &MeshConfig,
    ) -> ConnectionSettings {
        let of_mesh = config.default_config.connection_settings.as_ref();
        let given = own.connection_settings.as_ref().or(of_mesh);
        let mut settings = given.cloned().unwrap_or_default();
        if self.kind == ProxyKind::Router && settings.profile == ConnectionProfile::Edge {
            fill_in(&mut settings);
        }
        settings
    }
}

/// Fills in what Envoy advises for proxies that face the world. The buffer of upstream connections and
/// limits of connections have no default there.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/networking/core/connection_settings.go` `applyEdgeProfileDefaults`.
fn fill_in(settings: &mut ConnectionSettings) {
    let ConnectionSettings {
        listener_per_connection_buffer_limit_bytes,
        http_idle_timeout,
        http_stream_idle_timeout,
        http_request_timeout,
        http_request_headers_timeout,
        http_max_concurrent_streams,
        http2_initial_stream_window_size,
        http2_initial_connection_window_size,
        http_headers_with_underscores_action,
        http_merge_slashes,
        http_path_with_escaped_slashes_action,
        ..
    } = settings;
    listener_per_connection_buffer_limit_bytes.get_or_insert(32_768);
    http_idle_timeout.get_or_insert(Duration::from_secs(3600));
    http_stream_idle_timeout.get_or_insert(Duration::from_secs(300));
    http_request_timeout.get_or_insert(Duration::from_secs(300));
    http_request_headers_timeout.get_or_insert(Duration::from_secs(60));
    http_max_concurrent_streams.get_or_insert(100);
    http2_initial_stream_window_size.get_or_insert(65_536);
    http2_initial_connection_window_size.get_or_insert(1_048_576);
    http_merge_slashes.get_or_insert(true);
    if *http_headers_with_underscores_action == HeadersWithUnderscoresAction::Unspecified {
        *http_headers_with_underscores_action = HeadersWithUnderscoresAction::RejectRequest;
    }
    if *http_path_with_escaped_slashes_action == PathWithEscapedSlashesAction::Unspecified {
        *http_path_with_escaped_slashes_action = PathWithEscapedSlashesAction::UnescapeAndRedirect;
    }
}
