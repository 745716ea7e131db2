//! The settings of a proxy.
use std::collections::BTreeMap;
use std::sync::Arc;

use super::{ProxyHeaders, Tracing};
use crate::manifest::decode::{Cursor, Decode, Message, choice, message, oneof};
use crate::manifest::encode::Encode;
use crate::manifest::{Diagnostic, Node};
use crate::name::Duration;
use crate::resource::Json;
use crate::resource::destination_rule::{ClientTlsSettings, TcpKeepalive};
use crate::resource::readiness_probe::ReadinessProbe;

message! {
    /// The settings of a proxy, as `defaultConfig` of the mesh, annotation `proxy.istio.io/config` or
    /// node metadata `PROXY_CONFIG` give them. The default says nothing; see
    /// [`ProxyConfig::standard`].
    ///
    /// # Upstream
    ///
    /// istio/api `mesh/v1alpha1/proxy.proto`.
    pub struct ProxyConfig {
        /// The folder of the proxy's files.
        config_path: Box<str> = "configPath" | "config_path",
        /// The proxy's program.
        binary_path: Box<str> = "binaryPath" | "binary_path",
        /// What the proxy calls itself in traces.
        cluster_name: Option<ClusterName> = (oneof ClusterName),
        /// How long connections may end in peace after a change; standard: 45 s.
        drain_duration: Option<Duration> = "drainDuration" | "drain_duration",
        /// The address of the control plane; standard: `istiod.istio-system.svc:15012`.
        discovery_address: Box<str> = "discoveryAddress" | "discovery_address",
        /// Never used.
        discovery_refresh_delay: Option<Duration> =
            "discoveryRefreshDelay" | "discovery_refresh_delay",
        /// The address of Zipkin; deprecated, `tracing` replaces it.
        zipkin_address: Box<str> = "zipkinAddress" | "zipkin_address",
        /// The address of a statsd server.
        statsd_udp_address: Box<str> = "statsdUdpAddress" | "statsd_udp_address",
        /// The address of a metrics service; deprecated, `envoy_metrics_service` replaces it.
        envoy_metrics_service_address: Box<str> =
            "envoyMetricsServiceAddress" | "envoy_metrics_service_address",
        /// The port of the proxy's administration; standard: 15000.
        proxy_admin_port: i32 = "proxyAdminPort" | "proxy_admin_port",
        /// Never used.
        availability_zone: Box<str> = "availabilityZone" | "availability_zone",
        /// How the control plane is verified; standard: MUTUAL_TLS.
        control_plane_auth_policy: AuthenticationPolicy =
            "controlPlaneAuthPolicy" | "control_plane_auth_policy",
        /// A bootstrap file instead of Istio's.
        custom_config_file: Box<str> = "customConfigFile" | "custom_config_file",
        /// The longest name in statistics; standard: 189.
        stat_name_length: i32 = "statNameLength" | "stat_name_length",
        /// The number of worker threads; 0: one a core; absent: by the CPU limit.
        concurrency: Option<i32> = "concurrency",
        /// A template for the bootstrap file instead of Istio's.
        proxy_bootstrap_template_path: Box<str> =
            "proxyBootstrapTemplatePath" | "proxy_bootstrap_template_path",
        /// How traffic reaches the proxy.
        interception_mode: InterceptionMode = "interceptionMode" | "interception_mode",
        /// How requests are traced.
        tracing: Option<Tracing> = "tracing",
        /// Secret discovery; deprecated.
        sds: Option<Sds> = "sds",
        /// The access log service.
        envoy_access_log_service: Option<RemoteService> =
            "envoyAccessLogService" | "envoy_access_log_service",
        /// The metrics service.
        envoy_metrics_service: Option<RemoteService> =
            "envoyMetricsService" | "envoy_metrics_service",
        /// Environment of the proxy; `ISTIO_META_` keys become node metadata.
        proxy_metadata: BTreeMap<Box<str>, Box<str>> = "proxyMetadata" | "proxy_metadata",
        /// Envoy's runtime keys.
        runtime_values: BTreeMap<Box<str>, Box<str>> = "runtimeValues" | "runtime_values",
        /// The port of the agent's health; standard: 15020.
        status_port: i32 = "statusPort" | "status_port",
        /// More tags of statistics.
        extra_stat_tags: Vec<Box<str>> = "extraStatTags" | "extra_stat_tags",
        /// What is in front of a gateway.
        gateway_topology: Option<Topology> = "gatewayTopology" | "gateway_topology",
        /// How long the agent waits when it ends; standard: 5 s.
        termination_drain_duration: Option<Duration> =
            "terminationDrainDuration" | "termination_drain_duration",
        /// The id of the mesh; empty: its trust domain.
        mesh_id: Box<str> = "meshId" | "mesh_id",
        /// Whether a machine takes traffic.
        readiness_probe: Option<ReadinessProbe> = "readinessProbe" | "readiness_probe",
        /// More statistics that are kept.
        proxy_stats_matcher: Option<ProxyStatsMatcher> =
            "proxyStatsMatcher" | "proxy_stats_matcher",
        /// Whether the application's containers wait for the proxy; absent: no.
        hold_application_until_proxy_starts: Option<bool> =
            "holdApplicationUntilProxyStarts" | "hold_application_until_proxy_starts",
        /// More authorities that sign workloads.
        ca_certificates_pem: Vec<Box<str>> = "caCertificatesPem" | "ca_certificates_pem",
        /// The proxy's image.
        image: Option<ProxyImage> = "image",
        /// Hardware for private keys.
        private_key_provider: Option<PrivateKeyProvider> =
            "privateKeyProvider" | "private_key_provider",
        /// Which headers the proxy adds.
        proxy_headers: Option<ProxyHeaders> = "proxyHeaders" | "proxy_headers",
        /// How often the access log is written; absent: 10 s.
        file_flush_interval: Option<Duration> = "fileFlushInterval" | "file_flush_interval",
        /// How much of the access log is kept before it is written, KiB; 0: 64.
        file_flush_min_size_kb: u32 = "fileFlushMinSizeKb" | "file_flush_min_size_kb",
        /// Whether metrics are compressed on demand; absent: yes.
        stats_compression: Option<bool> = "statsCompression" | "stats_compression",
        /// Limits of downstream connections.
        connection_settings: Option<ConnectionSettings> =
            "connectionSettings" | "connection_settings",
    }
}

impl ProxyConfig {
    /// Reads a document that says everything itself (node metadata `PROXY_CONFIG`).
    ///
    /// A field that cannot be read is reported and left out.
    pub fn decode(document: &Node, file: &Arc<str>) -> (Self, Vec<Diagnostic>) {
        Self::default().merged(document, file)
    }

    /// Returns what the settings say, as an agent tells them in the node metadata `PROXY_CONFIG`: what
    /// [`decode`](Self::decode) reads them from.
    ///
    /// # Upstream
    ///
    /// istio/istio `pkg/model/proxy.go` `NodeMetaProxyConfig.MarshalJSON`.
    pub fn to_json(&self) -> Json {
        Json::decode(&self.node(), &mut Cursor::default()).unwrap_or(Json::Null)
    }

    /// Lays a partial document over these settings: a field replaces, `proxyMetadata` merges by key.
    ///
    /// # Upstream
    ///
    /// istio/istio `pkg/config/mesh/mesh.go` `MergeProxyConfig`.
    pub fn merged(mut self, document: &Node, file: &Arc<str>) -> (Self, Vec<Diagnostic>) {
        let mut cursor = Cursor::default();
        if !document.is_null() && cursor.expect_map(document) {
            self.merge(document, &mut cursor);
        }
        (self, cursor.into_diagnostics(file, "ProxyConfig"))
    }

    /// Lays a map over these settings.
    pub(super) fn merge(&mut self, node: &Node, cursor: &mut Cursor) {
        let metadata = std::mem::take(&mut self.proxy_metadata);
        let headers = self.proxy_headers.take();
        self.overlay(node, cursor);
        for (key, value) in metadata {
            self.proxy_metadata.entry(key).or_insert(value);
        }
        self.proxy_headers = match (self.proxy_headers.take(), headers) {
            (Some(new), Some(old)) => Some(new.or(old)),
            (new, old) => new.or(old),
        };
    }
}

oneof! {
    /// What a proxy calls itself in traces.
    pub enum ClusterName {
        /// A name.
        ServiceCluster(Box<str>) = "serviceCluster" | "service_cluster",
        /// A rule.
        TracingServiceName(TracingServiceName) = "tracingServiceName" | "tracing_service_name",
    }
}

choice! {
    /// How a name in traces is made.
    pub enum TracingServiceName default AppLabelAndNamespace {
        /// Label `app` and the namespace.
        AppLabelAndNamespace = 0 | "APP_LABEL_AND_NAMESPACE",
        /// The canonical name.
        CanonicalNameOnly = 1 | "CANONICAL_NAME_ONLY",
        /// The canonical name and the namespace.
        CanonicalNameAndNamespace = 2 | "CANONICAL_NAME_AND_NAMESPACE",
    }
}

choice! {
    /// How the control plane is verified.
    pub enum AuthenticationPolicy default None {
        /// Not at all.
        None = 0 | "NONE",
        /// By TLS, both ways.
        MutualTls = 1 | "MUTUAL_TLS",
        /// As the layer above says.
        Inherit = 1000 | "INHERIT",
    }
}

choice! {
    /// How traffic reaches a proxy.
    pub enum InterceptionMode default Redirect {
        /// By iptables, which change the address.
        Redirect = 0 | "REDIRECT",
        /// By iptables, which keep the client's address.
        Tproxy = 1 | "TPROXY",
        /// Not at all: listeners bind to their ports.
        None = 2 | "NONE",
    }
}

message! {
    /// Secret discovery.
    pub struct Sds {
        /// Whether it is used.
        enabled: bool = "enabled",
        /// The path of a token.
        k8s_sa_jwt_path: Box<str> = "k8sSaJwtPath" | "k8s_sa_jwt_path",
    }
}

message! {
    /// A service outside the mesh.
    pub struct RemoteService {
        /// Its address, `HOST:PORT`.
        address: Box<str> = "address",
        /// TLS to it.
        tls_settings: Option<ClientTlsSettings> = "tlsSettings" | "tls_settings",
        /// TCP keepalive of connections to it.
        tcp_keepalive: Option<TcpKeepalive> = "tcpKeepalive" | "tcp_keepalive",
    }
}

message! {
    /// What is in front of a gateway.
    pub struct Topology {
        /// The trusted proxies, whose `x-forwarded-for` counts.
        num_trusted_proxies: u32 = "numTrustedProxies" | "num_trusted_proxies",
        /// What happens to `x-forwarded-client-cert`.
        forward_client_cert_details: ForwardClientCertDetails =
            "forwardClientCertDetails" | "forward_client_cert_details",
        /// Present: connections begin with the PROXY protocol.
        proxy_protocol: Option<ProxyProtocolConfiguration> = "proxyProtocol" | "proxy_protocol",
    }
}

message! {
    /// The PROXY protocol; only its presence says something.
    pub struct ProxyProtocolConfiguration {}
}

choice! {
    /// What happens to the header `x-forwarded-client-cert`.
    pub enum ForwardClientCertDetails default Undefined {
        /// Istio's choice.
        Undefined = 0 | "UNDEFINED",
        /// It is removed.
        Sanitize = 1 | "SANITIZE",
        /// It is kept where the client is verified.
        ForwardOnly = 2 | "FORWARD_ONLY",
        /// The client's is added where it is verified.
        AppendForward = 3 | "APPEND_FORWARD",
        /// It is replaced by the client's where it is verified.
        SanitizeSet = 4 | "SANITIZE_SET",
        /// It is kept.
        AlwaysForwardOnly = 5 | "ALWAYS_FORWARD_ONLY",
    }
}

message! {
    /// More statistics that are kept.
    pub struct ProxyStatsMatcher {
        /// Names that begin so.
        inclusion_prefixes: Vec<Box<str>> = "inclusionPrefixes" | "inclusion_prefixes",
        /// Names that end so.
        inclusion_suffixes: Vec<Box<str>> = "inclusionSuffixes" | "inclusion_suffixes",
        /// Names that match.
        inclusion_regexps: Vec<Box<str>> = "inclusionRegexps" | "inclusion_regexps",
    }
}

message! {
    /// A proxy's image.
    pub struct ProxyImage {
        /// Its variant: `default`, `debug` or `distroless`.
        image_type: Box<str> = "imageType" | "image_type",
    }
}

oneof! {
    /// Hardware for private keys.
    pub enum PrivateKeyProvider or Unset {
        /// Not said: `{}`; validation refuses it.
        _,
        /// Vector instructions.
        CryptoMb(CryptoMb) = "cryptomb",
        /// An accelerator.
        Qat(Qat) = "qat",
    }
}

message! {
    /// Intel's vector instructions for private keys.
    pub struct CryptoMb {
        /// How long operations are gathered.
        poll_delay: Option<Duration> = "pollDelay" | "poll_delay",
        /// Whether software is used where the hardware is missing; absent: no.
        fallback: Option<bool> = "fallback",
    }
}

message! {
    /// Intel's accelerator for private keys.
    pub struct Qat {
        /// How often results are fetched.
        poll_delay: Option<Duration> = "pollDelay" | "poll_delay",
        /// Whether software is used where the hardware is missing; absent: no.
        fallback: Option<bool> = "fallback",
    }
}

message! {
    /// Limits of downstream connections; what is absent is the profile's. Which block counts for a proxy:
    /// `Proxy::connection_settings`.
    pub struct ConnectionSettings {
        /// Where the absent limits come from.
        profile: ConnectionProfile = "profile",
        /// The buffer of a downstream connection, bytes; of gateways only.
        listener_per_connection_buffer_limit_bytes: Option<i32> =
            "listenerPerConnectionBufferLimitBytes" | "listener_per_connection_buffer_limit_bytes",
        /// The buffer of an upstream connection, bytes; istiod writes it nowhere yet.
        cluster_per_connection_buffer_limit_bytes: Option<i32> =
            "clusterPerConnectionBufferLimitBytes" | "cluster_per_connection_buffer_limit_bytes",
        /// How long a connection may be without a request.
        http_idle_timeout: Option<Duration> = "httpIdleTimeout" | "http_idle_timeout",
        /// How long a connection may live.
        http_max_connection_duration: Option<Duration> =
            "httpMaxConnectionDuration" | "http_max_connection_duration",
        /// How long a connection may end in peace.
        http_drain_timeout: Option<Duration> = "httpDrainTimeout" | "http_drain_timeout",
        /// How long a request may take to come in.
        http_request_timeout: Option<Duration> = "httpRequestTimeout" | "http_request_timeout",
        /// How long the headers of a request may take to come in.
        http_request_headers_timeout: Option<Duration> =
            "httpRequestHeadersTimeout" | "http_request_headers_timeout",
        /// How long a stream may be without a byte.
        http_stream_idle_timeout: Option<Duration> =
            "httpStreamIdleTimeout" | "http_stream_idle_timeout",
        /// How long a stream may live.
        http_max_stream_duration: Option<Duration> =
            "httpMaxStreamDuration" | "http_max_stream_duration",
        /// The most streams of one HTTP/2 connection.
        http_max_concurrent_streams: Option<i32> =
            "httpMaxConcurrentStreams" | "http_max_concurrent_streams",
        /// The window of a stream, bytes.
        http2_initial_stream_window_size: Option<i32> =
            "http2InitialStreamWindowSize" | "http2_initial_stream_window_size",
        /// The window of a connection, bytes.
        http2_initial_connection_window_size: Option<i32> =
            "http2InitialConnectionWindowSize" | "http2_initial_connection_window_size",
        /// What happens to headers with an underscore.
        http_headers_with_underscores_action: HeadersWithUnderscoresAction =
            "httpHeadersWithUnderscoresAction" | "http_headers_with_underscores_action",
        /// Whether repeated slashes of a path become one.
        http_merge_slashes: Option<bool> = "httpMergeSlashes" | "http_merge_slashes",
        /// What happens to paths with encoded slashes.
        http_path_with_escaped_slashes_action: PathWithEscapedSlashesAction =
            "httpPathWithEscapedSlashesAction" | "http_path_with_escaped_slashes_action",
        /// The most connections of a listener; istiod writes it nowhere yet.
        listener_connection_limit: Option<i32> =
            "listenerConnectionLimit" | "listener_connection_limit",
        /// The most downstream connections of the proxy; its agent writes it into the bootstrap.
        global_downstream_connection_limit: Option<i32> =
            "globalDownstreamConnectionLimit" | "global_downstream_connection_limit",
    }
}

choice! {
    /// Where limits come from that are not given.
    pub enum ConnectionProfile default Sidecar {
        /// A proxy inside the mesh.
        Sidecar = 0 | "SIDECAR",
        /// A proxy that faces the world.
        Edge = 1 | "EDGE",
    }
}

choice! {
    /// What happens to headers with an underscore.
    pub enum HeadersWithUnderscoresAction default Unspecified {
        /// The profile's choice.
        Unspecified = 0 | "HEADERS_WITH_UNDERSCORES_UNSPECIFIED",
        /// They pass.
        Allow = 1 | "HEADERS_WITH_UNDERSCORES_ALLOW",
        /// The request is refused.
        RejectRequest = 2 | "HEADERS_WITH_UNDERSCORES_REJECT_REQUEST",
        /// They are dropped.
        DropHeader = 3 | "HEADERS_WITH_UNDERSCORES_DROP_HEADER",
    }
}

choice! {
    /// What happens to paths with encoded slashes.
    pub enum PathWithEscapedSlashesAction default Unspecified {
        /// The profile's choice.
        Unspecified = 0 | "PATH_WITH_ESCAPED_SLASHES_UNSPECIFIED",
        /// They stay.
        KeepUnchanged = 1 | "KEEP_UNCHANGED",
        /// The request is refused.
        RejectRequest = 2 | "REJECT_REQUEST",
        /// They are decoded, and the client is redirected.
        UnescapeAndRedirect = 3 | "UNESCAPE_AND_REDIRECT",
        /// They are decoded.
        UnescapeAndForward = 4 | "UNESCAPE_AND_FORWARD",
    }
}
