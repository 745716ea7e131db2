//! Every type that a mesh puts into an `Any`, whether or not a recorded answer has it.
#![cfg(feature = "json")]
use mesh_envoy_proto::json;

/// What istiod emits, by its feature; `envoy.extensions.` is left out.
const EXTENSIONS: &[&str] = &[
    "access_loggers.file.v3.FileAccessLog",
    "access_loggers.filters.cel.v3.ExpressionFilter",
    "access_loggers.grpc.v3.HttpGrpcAccessLogConfig",
    "access_loggers.grpc.v3.TcpGrpcAccessLogConfig",
    "access_loggers.open_telemetry.v3.OpenTelemetryAccessLogConfig",
    "access_loggers.stream.v3.StdoutAccessLog",
    "bootstrap.internal_listener.v3.InternalListener",
    "clusters.aggregate.v3.ClusterConfig",
    "clusters.dns.v3.DnsCluster",
    "clusters.dynamic_forward_proxy.v3.ClusterConfig",
    "filters.http.cors.v3.Cors",
    "filters.http.cors.v3.CorsPolicy",
    "filters.http.dynamic_forward_proxy.v3.FilterConfig",
    "filters.http.ext_authz.v3.ExtAuthz",
    "filters.http.fault.v3.HTTPFault",
    "filters.http.grpc_stats.v3.FilterConfig",
    "filters.http.grpc_web.v3.GrpcWeb",
    "filters.http.jwt_authn.v3.JwtAuthentication",
    "filters.http.rbac.v3.RBAC",
    "filters.http.rbac.v3.RBACPerRoute",
    "filters.http.router.v3.Router",
    "filters.http.stateful_session.v3.StatefulSession",
    "filters.http.stateful_session.v3.StatefulSessionPerRoute",
    "filters.listener.http_inspector.v3.HttpInspector",
    "filters.listener.original_dst.v3.OriginalDst",
    "filters.listener.original_src.v3.OriginalSrc",
    "filters.listener.proxy_protocol.v3.ProxyProtocol",
    "filters.listener.tls_inspector.v3.TlsInspector",
    "filters.network.ext_authz.v3.ExtAuthz",
    "filters.network.http_connection_manager.v3.HttpConnectionManager",
    "filters.network.mongo_proxy.v3.MongoProxy",
    "filters.network.mysql_proxy.v3.MySQLProxy",
    "filters.network.rbac.v3.RBAC",
    "filters.network.redis_proxy.v3.RedisProxy",
    "filters.network.sni_cluster.v3.SniCluster",
    "filters.network.sni_dynamic_forward_proxy.v3.FilterConfig",
    "filters.network.tcp_proxy.v3.TcpProxy",
    "formatter.req_without_query.v3.ReqWithoutQuery",
    "http.header_formatters.preserve_case.v3.PreserveCaseFormatterConfig",
    "http.stateful_session.cookie.v3.CookieBasedSessionState",
    "http.stateful_session.header.v3.HeaderBasedSessionState",
    "load_balancing_policies.least_request.v3.LeastRequest",
    "load_balancing_policies.maglev.v3.Maglev",
    "load_balancing_policies.override_host.v3.OverrideHost",
    "load_balancing_policies.ring_hash.v3.RingHash",
    "load_balancing_policies.round_robin.v3.RoundRobin",
    "load_balancing_policies.subset.v3.Subset",
    "load_balancing_policies.wrr_locality.v3.WrrLocality",
    "matching.common_inputs.network.v3.DestinationPortInput",
    "network.dns_resolver.cares.v3.CaresDnsResolverConfig",
    "path.match.uri_template.v3.UriTemplateMatchConfig",
    "request_id.uuid.v3.UuidRequestIdConfig",
    "retry.host.omit_canary_hosts.v3.OmitCanaryHostsPredicate",
    "retry.host.omit_host_metadata.v3.OmitHostMetadataConfig",
    "retry.host.previous_hosts.v3.PreviousHostsPredicate",
    "retry.priority.previous_priorities.v3.PreviousPrioritiesConfig",
    "tracers.opentelemetry.resource_detectors.v3.DynatraceResourceDetectorConfig",
    "tracers.opentelemetry.resource_detectors.v3.EnvironmentResourceDetectorConfig",
    "tracers.opentelemetry.samplers.v3.DynatraceSamplerConfig",
    "transport_sockets.internal_upstream.v3.InternalUpstreamTransport",
    "transport_sockets.proxy_protocol.v3.ProxyProtocolUpstreamTransport",
    "transport_sockets.quic.v3.QuicDownstreamTransport",
    "transport_sockets.raw_buffer.v3.RawBuffer",
    "transport_sockets.tls.v3.DownstreamTlsContext",
    "transport_sockets.tls.v3.Secret",
    "transport_sockets.tls.v3.UpstreamTlsContext",
    "upstreams.http.v3.HttpProtocolOptions",
];

/// Resources, discovery, tracers, and Istio's own.
const OTHERS: &[&str] = &[
    "envoy.config.bootstrap.v3.Bootstrap",
    "envoy.config.cluster.v3.Cluster",
    "envoy.config.endpoint.v3.ClusterLoadAssignment",
    "envoy.config.listener.v3.Listener",
    "envoy.config.route.v3.RouteConfiguration",
    "envoy.config.trace.v3.DatadogConfig",
    "envoy.config.trace.v3.OpenTelemetryConfig",
    "envoy.config.trace.v3.SkyWalkingConfig",
    "envoy.config.trace.v3.ZipkinConfig",
    "envoy.service.discovery.v3.DeltaDiscoveryRequest",
    "envoy.service.discovery.v3.DeltaDiscoveryResponse",
    "envoy.service.discovery.v3.DiscoveryRequest",
    "envoy.service.discovery.v3.DiscoveryResponse",
    "istio.envoy.config.filter.http.alpn.v2alpha1.FilterConfig",
    "istio.networking.nds.v1.NameTable",
    "istio.security.Authorization",
    "istio.workload.Address",
    "stats.PluginConfig",
    "udpa.type.v1.TypedStruct",
    "xds.type.v3.TypedStruct",
];

#[test]
fn every_type_that_a_mesh_sends_is_known() {
    for name in EXTENSIONS {
        let url = format!("type.googleapis.com/envoy.extensions.{name}");
        assert!(json::knows(&url), "{url}");
    }
    for name in OTHERS {
        assert!(json::knows(name), "{name}");
    }
}

#[test]
fn what_only_annotates_is_not_generated() {
    assert!(!json::knows("validate.FieldRules"));
    assert!(!json::knows("google.protobuf.FileDescriptorProto"));
}
