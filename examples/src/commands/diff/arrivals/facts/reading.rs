//! How what arrives is read: as requests, or as bytes.
use mesh_envoy_proto::envoy::config::core::v3::HttpProtocolOptions;
use mesh_envoy_proto::envoy::config::route::v3::Route;
use mesh_envoy_proto::envoy::config::route::v3::route::Action;
use mesh_envoy_proto::envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager;
use mesh_envoy_proto::envoy::extensions::filters::network::http_connection_manager::v3::http_connection_manager::{
    ForwardClientCertDetails, PathWithEscapedSlashesAction, RouteSpecifier,
};
use mesh_envoy_proto::envoy::extensions::filters::network::redis_proxy::v3::RedisProxy;
use mesh_envoy_proto::envoy::extensions::filters::network::tcp_proxy::v3::TcpProxy;

use super::{Facts, limit, limit_or};

/// How long a connection may be idle where nothing is said, in seconds.
const IDLE: u64 = 3600;

impl Facts {
    pub(super) fn of_requests(&mut self, manager: &HttpConnectionManager) {
        let mut rest = manager.clone();
        self.say("read as", "HTTP".to_owned());
        let decoded =
            PathWithEscapedSlashesAction::try_from(manager.path_with_escaped_slashes_action);
        let decoded = match decoded {
            Ok(PathWithEscapedSlashesAction::RejectRequest) => {
                ", those with escaped slashes refused"
            }
            Ok(PathWithEscapedSlashesAction::UnescapeAndRedirect) => {
                ", escaped slashes decoded by a redirect"
            }
            Ok(PathWithEscapedSlashesAction::UnescapeAndForward) => ", escaped slashes decoded",
            Ok(
                PathWithEscapedSlashesAction::KeepUnchanged
                | PathWithEscapedSlashesAction::ImplementationSpecificDefault,
            )
            | Err(_) => "",
        };
        let normal =
            if manager.normalize_path == Some(true) { "normalized" } else { "as they are written" };
        let merged = if manager.merge_slashes { ", slashes merged" } else { "" };
        self.say("paths", format!("{normal}{merged}{decoded}"));
        (rest.path_with_escaped_slashes_action, rest.normalize_path, rest.merge_slashes) =
            (0, None, false);
        let common = rest.common_http_protocol_options.take().unwrap_or_default();
        self.say("idle connections end after", limit_or(common.idle_timeout.as_ref(), IDLE));
        self.say("connections end after", limit(common.max_connection_duration.as_ref()));
        self.say("requests end after", limit(common.max_stream_duration.as_ref()));
        self.keep(
            "other settings of requests",
            &HttpProtocolOptions {
                idle_timeout: None,
                max_connection_duration: None,
                max_stream_duration: None,
                ..common
            },
        );
        self.say(
            "requests may be silent for",
            limit_or(rest.stream_idle_timeout.take().as_ref(), 300),
        );
        self.say("requests must be there after", limit(rest.request_timeout.take().as_ref()));
        self.say(
            "headers must be there after",
            limit(rest.request_headers_timeout.take().as_ref()),
        );
        let forwards = ForwardClientCertDetails::try_from(manager.forward_client_cert_details);
        let forwards = match forwards {
            Ok(ForwardClientCertDetails::Sanitize) | Err(_) => "told to nobody",
            Ok(ForwardClientCertDetails::ForwardOnly) => "as the client tells, over mutual TLS",
            Ok(ForwardClientCertDetails::AppendForward) => "added to what the client tells",
            Ok(ForwardClientCertDetails::SanitizeSet) => "told instead of what the client tells",
            Ok(ForwardClientCertDetails::AlwaysForwardOnly) => "as the client tells",
        };
        self.say("the client's certificate is", forwards.to_owned());
        rest.forward_client_cert_details = 0;
        let options = manager.http_protocol_options.as_ref();
        let takes = options.is_some_and(|options| options.accept_http_10);
        self.say("HTTP/1.0", if takes { "taken" } else { "refused" }.to_owned());
        // What only tells, and what is compared by itself.
        rest.http_filters.clear();
        rest.access_log.clear();
        (rest.tracing, rest.request_id_extension, rest.stat_prefix) = (None, None, String::new());
        let routes = rest.route_specifier.take();
        self.keep("other settings of requests", &rest);
        if let Some(RouteSpecifier::RouteConfig(routes)) = &routes {
            self.of_route(routes.virtual_hosts.iter().flat_map(|host| &host.routes).next());
        }
    }

    /// What a route says beside where to, how long and how often.
    fn of_route(&mut self, route: Option<&Route>) {
        let Some(route) = route else { return };
        let mut rest = route.clone();
        (rest.decorator, rest.name) = (None, String::new());
        if let Some(Action::Route(action)) = &mut rest.action {
            (action.timeout, action.retry_policy, action.cluster_specifier) = (None, None, None);
        }
        self.keep("other settings of the route", &rest);
    }

    pub(super) fn of_commands(&mut self, proxy: &RedisProxy) {
        self.say("read as", "commands of Redis".to_owned());
        let rest = RedisProxy { stat_prefix: String::new(), prefix_routes: None, ..proxy.clone() };
        self.keep("other settings of commands", &rest);
    }

    pub(super) fn of_bytes(&mut self, proxy: &TcpProxy) {
        self.say("read as", "bytes".to_owned());
        self.say("idle connections end after", limit_or(proxy.idle_timeout.as_ref(), IDLE));
        let rest = TcpProxy {
            stat_prefix: String::new(),
            idle_timeout: None,
            access_log: Vec::new(),
            cluster_specifier: None,
            ..proxy.clone()
        };
        self.keep("other settings of the connection", &rest);
    }
}
