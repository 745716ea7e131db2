//! The filters that are the same on every listener.
//!
//! # Upstream
//!
//! istio/istio `pilot/pkg/xds/filters/filters.go`.
use mesh_envoy_proto::envoy::config::listener::v3 as proto;
use mesh_envoy_proto::envoy::extensions::filters::http::{
    cors, fault, grpc_stats, grpc_web, router,
};
use mesh_envoy_proto::envoy::extensions::filters::listener::{
    http_inspector, original_dst, original_src, proxy_protocol, tls_inspector,
};
use mesh_envoy_proto::envoy::extensions::filters::network::http_connection_manager::v3::HttpFilter;
use mesh_envoy_proto::envoy::extensions::filters::network::{
    mongo_proxy, mysql_proxy, redis_proxy,
};
use mesh_envoy_proto::istio::envoy::config::filter::http::alpn::v2alpha1 as alpn;
use mesh_envoy_proto::prost_types::Duration;

use super::wire::{
    filter, http_filter, list, listener_filter, map, object, text, truth, typed_struct,
};

/// The name of the filters that tell proxies of each other.
pub(crate) const METADATA_EXCHANGE: &str = "istio.metadata_exchange";
/// The name of the filter that offers Istio's own ALPN names.
pub(crate) const ALPN: &str = "istio.alpn";
/// The name of the filter of the mesh's statistics.
pub(crate) const STATS: &str = "istio.stats";
/// The name of the filter of `MySQL`'s statistics.
pub(crate) const MYSQL: &str = "envoy.filters.network.mysql_proxy";
/// How long Redis may take for a command.
const REDIS_TIMEOUT: Duration = Duration { seconds: 5, nanos: 0 };
/// The mark that a TPROXY's connections to the application carry.
const ORIGINAL_SRC_MARK: u32 = 1337;

/// Which way metadata is exchanged.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Side {
    /// With the client.
    Downstream,
    /// With the server.
    Upstream,
    /// With the server, but nothing is told to hosts outside the mesh.
    UpstreamInMesh,
}

/// Peers' metadata in headers of requests.
pub(super) fn http_metadata_exchange(side: Side) -> HttpFilter {
    let headers = || map([("istio_headers", map([]))]);
    let discovery = list([headers(), map([("workload_discovery", map([]))])]);
    let (discovered, propagated) = match side {
        Side::Downstream => ("downstream_discovery", "downstream_propagation"),
        Side::Upstream | Side::UpstreamInMesh => ("upstream_discovery", "upstream_propagation"),
    };
    let told = if side == Side::UpstreamInMesh {
        map([("istio_headers", map([("skip_external_clusters", truth(true))]))])
    } else {
        headers()
    };
    let value = object([(discovered, discovery), (propagated, list([told]))]);
    http_filter(METADATA_EXCHANGE, &typed_struct("io.istio.http.peer_metadata.Config", value))
}

/// Peers' metadata at the start of connections.
pub(super) fn tcp_metadata_exchange() -> proto::Filter {
    let value =
        object([("enable_discovery", truth(true)), ("protocol", text("istio-peer-exchange"))]);
    let type_name = "envoy.tcp.metadataexchange.config.MetadataExchange";
    filter(METADATA_EXCHANGE, &typed_struct(type_name, value))
}

/// gRPC-Web in front of gRPC servers.
pub(super) fn grpc_web() -> HttpFilter {
    http_filter("envoy.filters.http.grpc_web", &grpc_web::v3::GrpcWeb::default())
}

/// Statistics of gRPC.
pub(super) fn grpc_stats() -> HttpFilter {
    use grpc_stats::v3::filter_config::PerMethodStatSpecifier;
    let config = grpc_stats::v3::FilterConfig {
        emit_filter_state: true,
        per_method_stat_specifier: Some(PerMethodStatSpecifier::StatsForAllMethods(false)),
        ..grpc_stats::v3::FilterConfig::default()
    };
    http_filter("envoy.filters.http.grpc_stats", &config)
}

/// Istio's ALPN names towards servers, by the protocol that the cluster speaks.
pub(super) fn alpn() -> HttpFilter {
    use alpn::filter_config::{AlpnOverride, Protocol};
    let names = [
        (Protocol::Http10, ["istio-http/1.0", "istio", "http/1.0"]),
        (Protocol::Http11, ["istio-http/1.1", "istio", "http/1.1"]),
        (Protocol::Http2, ["istio-h2", "istio", "h2"]),
    ];
    let alpn_override = names
        .into_iter()
        .map(|(protocol, names)| AlpnOverride {
            upstream_protocol: protocol.into(),
            alpn_override: names.map(str::to_owned).to_vec(),
        })
        .collect();
    http_filter(ALPN, &alpn::FilterConfig { alpn_override })
}

/// Faults that routes ask for.
pub(crate) fn fault() -> HttpFilter {
    http_filter("envoy.filters.http.fault", &fault::v3::HttpFault::default())
}

/// Cross-origin rules that routes ask for.
pub(super) fn cors() -> HttpFilter {
    http_filter("envoy.filters.http.cors", &cors::v3::Cors::default())
}

/// The last filter of requests.
pub(crate) fn router(suppress_envoy_headers: bool) -> HttpFilter {
    let config = router::v3::Router { suppress_envoy_headers, ..router::v3::Router::default() };
    http_filter("envoy.filters.http.router", &config)
}

/// Statistics of `MongoDB`.
pub(super) fn mongo_proxy(stat_prefix: &str) -> proto::Filter {
    let config = mongo_proxy::v3::MongoProxy {
        stat_prefix: stat_prefix.to_owned(),
        ..mongo_proxy::v3::MongoProxy::default()
    };
    filter("envoy.filters.network.mongo_proxy", &config)
}

/// Statistics of `MySQL`.
pub(super) fn mysql_proxy(stat_prefix: &str) -> proto::Filter {
    let config = mysql_proxy::v3::MySqlProxy {
        stat_prefix: stat_prefix.to_owned(),
        ..mysql_proxy::v3::MySqlProxy::default()
    };
    filter(MYSQL, &config)
}

/// Sends each command of Redis to the host of a cluster that its key says.
pub(super) fn redis_proxy(stat_prefix: &str, cluster: &str) -> proto::Filter {
    use redis_proxy::v3::redis_proxy::{ConnPoolSettings, PrefixRoutes, prefix_routes::Route};
    let route = Route { cluster: cluster.to_owned(), ..Route::default() };
    let config = redis_proxy::v3::RedisProxy {
        stat_prefix: stat_prefix.to_owned(),
        settings: Some(ConnPoolSettings {
            op_timeout: Some(REDIS_TIMEOUT),
            ..ConnPoolSettings::default()
        }),
        latency_in_micros: true,
        prefix_routes: Some(PrefixRoutes {
            catch_all_route: Some(route),
            ..PrefixRoutes::default()
        }),
        ..redis_proxy::v3::RedisProxy::default()
    };
    filter("envoy.filters.network.redis_proxy", &config)
}

/// Finds server name and ALPN in TLS.
pub(super) fn tls_inspector() -> proto::ListenerFilter {
    let config = tls_inspector::v3::TlsInspector {
        initial_read_buffer_size: Some(512),
        ..tls_inspector::v3::TlsInspector::default()
    };
    listener_filter("envoy.filters.listener.tls_inspector", &config)
}

/// Finds HTTP in plain text.
pub(super) fn http_inspector() -> proto::ListenerFilter {
    let config = http_inspector::v3::HttpInspector::default();
    listener_filter("envoy.filters.listener.http_inspector", &config)
}

/// Reads the client's address where something in front of the proxy tells it.
pub(super) fn proxy_protocol() -> proto::ListenerFilter {
    let config = proxy_protocol::v3::ProxyProtocol::default();
    listener_filter("envoy.filters.listener.proxy_protocol", &config)
}

/// Restores the address that a redirected connection was for.
pub(super) fn original_dst() -> proto::ListenerFilter {
    let config = original_dst::v3::OriginalDst::default();
    listener_filter("envoy.filters.listener.original_dst", &config)
}

/// Keeps the client's address towards the application.
pub(super) fn original_src() -> proto::ListenerFilter {
    let config = original_src::v3::OriginalSrc {
        mark: ORIGINAL_SRC_MARK,
        ..original_src::v3::OriginalSrc::default()
    };
    listener_filter("envoy.filters.listener.original_src", &config)
}
