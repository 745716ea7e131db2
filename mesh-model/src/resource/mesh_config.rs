//! The settings of the mesh as a whole.
//!
//! ```text
//! MeshConfig::default() ◀──laid over── a partial document  =  the settings in force
//! ```
//!
//! A field that a document gives replaces that of the default wholly, an empty block too; but
//! `defaultConfig` is merged by field, `extensionProviders` by name, and `trustDomainAliases` is the
//! sorted union.
mod default;
mod extension_provider;
mod log_provider;
mod policy;
mod proxy_config;
mod proxy_headers;
mod proxy_tracing;
mod tracing_provider;
mod validate;

pub(in crate::resource) use self::validate::trust_domain;
pub(super) mod wrapped;

pub(super) use self::validate::providers;
pub use self::validate::providers::is_status_on_error;

use std::collections::BTreeSet;
use std::sync::Arc;

pub use self::extension_provider::{
    DefaultProviders, ExtAuthzGrpcProvider, ExtAuthzHttpProvider, ExtAuthzRequestBody,
    ExtensionProvider, PrometheusProvider, ProviderKind, SdsProvider, StackdriverLogging,
    StackdriverProvider,
};
pub use self::log_provider::{
    FileAccessLogProvider, HttpAlsProvider, LogFormat, OtelAlsProvider, OtelLogFormat,
    TcpAlsProvider,
};
pub use self::policy::{
    AccessLogEncoding, CaSettings, Certificate, CertificateData, CertificateSource, ConfigSource,
    DefaultTrafficPolicy, InboundTrafficMode, InboundTrafficPolicy, IngressControllerMode,
    MeshH2UpgradePolicy, MeshOutboundTrafficPolicy, PathNormalization, PathNormalizationType,
    Scope, ServiceEntryVisibility, ServiceScopeConfigs, ServiceSettings, Settings,
    SubscribedResource, TlsConfig, TlsVersion, Visibility, VisibilityMatchRule, VisibilityPolicy,
};
pub use self::proxy_config::{
    AuthenticationPolicy, ClusterName, ConnectionProfile, ConnectionSettings, CryptoMb,
    ForwardClientCertDetails, HeadersWithUnderscoresAction, InterceptionMode,
    PathWithEscapedSlashesAction, PrivateKeyProvider, ProxyConfig, ProxyImage,
    ProxyProtocolConfiguration, ProxyStatsMatcher, Qat, RemoteService, Sds, Topology,
    TracingServiceName,
};
pub use self::proxy_headers::{
    AttemptCount, EnvoyDebugHeaders, MetadataExchangeHeaders, MetadataExchangeMode, ProxyHeaders,
    RequestId, ServerHeader, SetCurrentClientCertDetails, XForwardedHost, XForwardedPort,
};
pub use self::proxy_tracing::{
    CustomTag, DatadogTracer, EnvironmentTag, HeaderTag, LightstepTracer, LiteralTag,
    OpenCensusTracer, StackdriverTracer, TraceContext, Tracer, Tracing, ZipkinTracer,
};
pub use self::tracing_provider::{
    DatadogProvider, DynatraceApi, DynatraceSampler, EmptyDetector, GrpcService, HeaderValue,
    HttpService, LightstepProvider, OpenCensusProvider, OpenTelemetryProvider, ProviderHeader,
    ResourceDetectors, Sampling, ServiceAttributeEnrichment, SkyWalkingProvider,
    TraceContextOption, ZipkinProvider,
};
use super::destination_rule::{LocalityLbSetting, TcpKeepalive, ZoneAwareLbSetting};
use super::selector::LabelSelector;
use super::virtual_service::Retry;
use crate::manifest::decode::{Cursor, Message, message};
use crate::manifest::{Diagnostic, Node};
use crate::name::Duration;

message! {
    /// `MeshConfig`: the settings in force. The default is Istio's.
    ///
    /// # Upstream
    ///
    /// istio/api `mesh/v1alpha1/config.proto`; istio/istio `pkg/config/mesh/mesh.go`
    /// `DefaultMeshConfig`.
    pub struct MeshConfig with defaults {
        /// The port that outbound traffic is redirected to; 15001.
        proxy_listen_port: i32 = "proxyListenPort" | "proxy_listen_port",
        /// The port that inbound traffic is redirected to; 15006.
        proxy_inbound_listen_port: i32 =
            "proxyInboundListenPort" | "proxy_inbound_listen_port",
        /// The port of an HTTP proxy for applications; 0: none.
        proxy_http_port: i32 = "proxyHttpPort" | "proxy_http_port",
        /// How long connecting may take; 10 s.
        connect_timeout: Option<Duration> = "connectTimeout" | "connect_timeout",
        /// How long a tunnel may be without a byte; absent: Envoy's 1 h.
        hbone_idle_timeout: Option<Duration> = "hboneIdleTimeout" | "hbone_idle_timeout",
        /// How long a client may be silent while its protocol is detected; 0 s: no limit.
        protocol_detection_timeout: Option<Duration> =
            "protocolDetectionTimeout" | "protocol_detection_timeout",
        /// TCP keepalive of connections to endpoints; absent: none.
        tcp_keepalive: Option<TcpKeepalive> = "tcpKeepalive" | "tcp_keepalive",
        /// The class of Ingress objects that are read; `istio`.
        ingress_class: Box<str> = "ingressClass" | "ingress_class",
        /// The service of the ingress gateway; `istio-ingressgateway`.
        ingress_service: Box<str> = "ingressService" | "ingress_service",
        /// Which Ingress objects are read; STRICT.
        ingress_controller_mode: IngressControllerMode =
            "ingressControllerMode" | "ingress_controller_mode",
        /// The value of label `istio` of the ingress gateway's pods; empty: `ingressgateway`.
        ingress_selector: Box<str> = "ingressSelector" | "ingress_selector",
        /// Whether requests are traced where no Telemetry object says otherwise; true.
        enable_tracing: bool = "enableTracing" | "enable_tracing",
        /// The file of the access log; empty: none is written.
        access_log_file: Box<str> = "accessLogFile" | "access_log_file",
        /// The format of the access log; empty: Istio's.
        access_log_format: Box<str> = "accessLogFormat" | "access_log_format",
        /// The encoding of the access log.
        access_log_encoding: AccessLogEncoding = "accessLogEncoding" | "access_log_encoding",
        /// Whether the access log is also sent to the proxy's access log service; false.
        enable_envoy_access_log_service: bool =
            "enableEnvoyAccessLogService" | "enable_envoy_access_log_service",
        /// Whether listeners do not log connections without a route; false.
        disable_envoy_listener_log: bool =
            "disableEnvoyListenerLog" | "disable_envoy_listener_log",
        /// The settings of proxies that have none of their own.
        default_config: ProxyConfig = "defaultConfig" | "default_config",
        /// What happens to traffic for unknown hosts; ALLOW_ANY, REGISTRY_ONLY in a block without mode.
        outbound_traffic_policy: MeshOutboundTrafficPolicy =
            "outboundTrafficPolicy" | "outbound_traffic_policy",
        /// Where inbound traffic for unknown ports goes.
        inbound_traffic_policy: InboundTrafficPolicy =
            "inboundTrafficPolicy" | "inbound_traffic_policy",
        /// Where configuration comes from; empty: the Kubernetes API.
        config_sources: Vec<ConfigSource> = "configSources" | "config_sources",
        /// Whether clients use mutual TLS to workloads that speak it; true.
        enable_auto_mtls: bool = "enableAutoMtls" | "enable_auto_mtls",
        /// The trust domain of the mesh's identities; `cluster.local`.
        trust_domain: Box<str> = "trustDomain" | "trust_domain",
        /// Other trust domains whose identities count as the mesh's own, sorted.
        trust_domain_aliases: Vec<Box<str>> = "trustDomainAliases" | "trust_domain_aliases",
        /// More authorities that sign workloads.
        ca_certificates: Vec<CertificateData> = "caCertificates" | "ca_certificates",
        /// Who sees services that do not say it; `*`, as for an empty list.
        default_service_export_to: Vec<Box<str>> =
            "defaultServiceExportTo" | "default_service_export_to",
        /// Who sees VirtualServices that do not say it; `*`, as for an empty list.
        default_virtual_service_export_to: Vec<Box<str>> =
            "defaultVirtualServiceExportTo" | "default_virtual_service_export_to",
        /// Who sees DestinationRules that do not say it; `*`, as for an empty list.
        default_destination_rule_export_to: Vec<Box<str>> =
            "defaultDestinationRuleExportTo" | "default_destination_rule_export_to",
        /// The namespace whose policies hold everywhere; `istio-system`.
        root_namespace: Box<str> = "rootNamespace" | "root_namespace",
        /// Preference by locality; `enabled: true`, and a block that does not say it says nothing.
        locality_lb_setting: LocalityLbSetting = "localityLbSetting" | "locality_lb_setting",
        /// Envoy's zone-aware routing; absent: off.
        zone_aware_lb_setting: Option<ZoneAwareLbSetting> =
            "zoneAwareLbSetting" | "zone_aware_lb_setting",
        /// How often hosts without an address are looked up again; 60 s.
        dns_refresh_rate: Option<Duration> = "dnsRefreshRate" | "dns_refresh_rate",
        /// Whether HTTP/1.1 is carried as HTTP/2 inside the mesh.
        h2_upgrade_policy: MeshH2UpgradePolicy = "h2UpgradePolicy" | "h2_upgrade_policy",
        /// The pattern for names of inbound clusters in statistics; empty: their own.
        inbound_cluster_stat_name: Box<str> =
            "inboundClusterStatName" | "inbound_cluster_stat_name",
        /// The pattern for names of outbound clusters in statistics; empty: their own.
        outbound_cluster_stat_name: Box<str> =
            "outboundClusterStatName" | "outbound_cluster_stat_name",
        /// Certificates for control-plane components; deprecated.
        certificates: Vec<Certificate> = "certificates",
        /// Settings of single hosts.
        service_settings: Vec<ServiceSettings> = "serviceSettings" | "service_settings",
        /// Which services an ambient mesh shares with other clusters.
        service_scope_configs: Vec<ServiceScopeConfigs> =
            "serviceScopeConfigs" | "service_scope_configs",
        /// Whether proxies merge the application's metrics with their own; true.
        enable_prometheus_merge: bool = "enablePrometheusMerge" | "enable_prometheus_merge",
        /// Whether servers are verified even without named authorities; deprecated.
        verify_certificate_at_client: Option<bool> =
            "verifyCertificateAtClient" | "verify_certificate_at_client",
        /// Another authority than istiod that signs workloads.
        ca: Option<CaSettings> = "ca",
        /// Telemetry backends and external authorizers by name, first `prometheus`, `stackdriver` and
        /// `envoy`.
        extension_providers: Vec<ExtensionProvider> =
            "extensionProviders" | "extension_providers",
        /// The backends that are used where no Telemetry object says otherwise.
        default_providers: DefaultProviders = "defaultProviders" | "default_providers",
        /// Labels of namespaces that exist for the mesh, alternatives; empty: all.
        discovery_selectors: Vec<LabelSelector> = "discoverySelectors" | "discovery_selectors",
        /// How paths are normalized before policies see them.
        path_normalization: PathNormalization = "pathNormalization" | "path_normalization",
        /// Retries of routes that do not say it; absent: Istio's.
        default_http_retry_policy: Option<Retry> =
            "defaultHttpRetryPolicy" | "default_http_retry_policy",
        /// Retries of the server's proxy towards its application; absent: Istio's.
        default_inbound_http_retry_policy: Option<Retry> =
            "defaultInboundHttpRetryPolicy" | "default_inbound_http_retry_policy",
        /// TLS between workloads.
        mesh_mtls: Option<TlsConfig> = "meshMTLS" | "mesh_mTLS",
        /// TLS of everything else.
        tls_defaults: Option<TlsConfig> = "tlsDefaults" | "tls_defaults",
        /// Limits for hosts whose rules do not say them; absent: Istio's.
        default_traffic_policy: Option<DefaultTrafficPolicy> =
            "defaultTrafficPolicy" | "default_traffic_policy",
        /// Who may see ServiceEntries, whatever they export to.
        service_entry_visibility: Option<ServiceEntryVisibility> =
            "serviceEntryVisibility" | "service_entry_visibility",
    }
}

impl MeshConfig {
    /// Reads a partial document, laid over Istio's defaults.
    ///
    /// A field that cannot be read is reported and left at its default.
    pub fn decode(document: &Node, file: &Arc<str>) -> (Self, Vec<Diagnostic>) {
        Self::default().merged(document, file)
    }

    /// Lays a partial document over these settings.
    ///
    /// # Upstream
    ///
    /// istio/istio `pkg/config/mesh/mesh.go` `ApplyMeshConfig`.
    pub fn merged(self, document: &Node, file: &Arc<str>) -> (Self, Vec<Diagnostic>) {
        let mut cursor = Cursor::default();
        let mut merged = self.clone();
        // Null: an empty document.
        if !document.is_null() && cursor.expect_map(document) {
            merged.overlay(document, &mut cursor);
            merged.default_config = self.default_config;
            if let Some(node) = document
                .get(&["defaultConfig", "default_config"])
                .filter(|node| matches!(node.value, crate::manifest::Value::Map(_)))
            {
                // What is wrong has been reported by the reading above.
                merged.default_config.merge(node, &mut Cursor::default());
            }
            let given =
                std::mem::replace(&mut merged.extension_providers, self.extension_providers);
            merge_providers(&mut merged.extension_providers, given, document);
            let aliases: BTreeSet<Box<str>> =
                merged.trust_domain_aliases.drain(..).chain(self.trust_domain_aliases).collect();
            merged.trust_domain_aliases = aliases.into_iter().collect();
            for list in [
                &mut merged.default_service_export_to,
                &mut merged.default_virtual_service_export_to,
                &mut merged.default_destination_rule_export_to,
            ] {
                if list.is_empty() {
                    list.push("*".into());
                }
            }
        }
        (merged, cursor.into_diagnostics(file, "MeshConfig"))
    }
}

/// Replaces providers of equal name and appends the others.
fn merge_providers(
    providers: &mut Vec<ExtensionProvider>,
    given: Vec<ExtensionProvider>,
    document: &Node,
) {
    let names = ["extensionProviders", "extension_providers"];
    if document.get(&names).is_none_or(Node::is_null) {
        return;
    }
    for provider in given {
        match providers.iter_mut().find(|known| known.name == provider.name) {
            Some(known) => *known = provider,
            None => providers.push(provider),
        }
    }
}

#[cfg(test)]
mod tests;
