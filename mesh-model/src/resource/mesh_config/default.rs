//! Istio's defaults.
use super::{
    AccessLogEncoding, AuthenticationPolicy, ClusterName, DefaultProviders, ExtensionProvider,
    FileAccessLogProvider, InboundTrafficPolicy, IngressControllerMode, LocalityLbSetting,
    MeshConfig, MeshH2UpgradePolicy, MeshOutboundTrafficPolicy, PathNormalization,
    PrometheusProvider, ProviderKind, ProxyConfig, StackdriverProvider,
};
use crate::name::Duration;
use crate::resource::sidecar::OutboundTrafficMode;

impl Default for MeshConfig {
    fn default() -> Self {
        let everyone = || vec![Box::from("*")];
        Self {
            proxy_listen_port: 15001,
            proxy_inbound_listen_port: 15006,
            proxy_http_port: 0,
            connect_timeout: Some(Duration::from_secs(10)),
            hbone_idle_timeout: None,
            protocol_detection_timeout: Some(Duration::ZERO),
            tcp_keepalive: None,
            ingress_class: "istio".into(),
            ingress_service: "istio-ingressgateway".into(),
            ingress_controller_mode: IngressControllerMode::Strict,
            ingress_selector: "".into(),
            enable_tracing: true,
            access_log_file: "".into(),
            access_log_format: "".into(),
            access_log_encoding: AccessLogEncoding::Text,
            enable_envoy_access_log_service: false,
            disable_envoy_listener_log: false,
            default_config: ProxyConfig::standard(),
            outbound_traffic_policy: MeshOutboundTrafficPolicy {
                mode: OutboundTrafficMode::AllowAny,
                tls: None,
            },
            inbound_traffic_policy: InboundTrafficPolicy::default(),
            config_sources: Vec::new(),
            enable_auto_mtls: true,
            trust_domain: "cluster.local".into(),
            trust_domain_aliases: Vec::new(),
            ca_certificates: Vec::new(),
            default_service_export_to: everyone(),
            default_virtual_service_export_to: everyone(),
            default_destination_rule_export_to: everyone(),
            root_namespace: "istio-system".into(),
            locality_lb_setting: LocalityLbSetting {
                enabled: Some(true),
                ..LocalityLbSetting::default()
            },
            zone_aware_lb_setting: None,
            dns_refresh_rate: Some(Duration::from_secs(60)),
            h2_upgrade_policy: MeshH2UpgradePolicy::DoNotUpgrade,
            inbound_cluster_stat_name: "".into(),
            outbound_cluster_stat_name: "".into(),
            certificates: Vec::new(),
            service_settings: Vec::new(),
            service_scope_configs: Vec::new(),
            enable_prometheus_merge: true,
            verify_certificate_at_client: None,
            ca: None,
            extension_providers: providers(),
            default_providers: DefaultProviders::default(),
            discovery_selectors: Vec::new(),
            path_normalization: PathNormalization::default(),
            default_http_retry_policy: None,
            default_inbound_http_retry_policy: None,
            mesh_mtls: None,
            tls_defaults: None,
            default_traffic_policy: None,
            service_entry_visibility: None,
        }
    }
}

/// The providers that every mesh has.
fn providers() -> Vec<ExtensionProvider> {
    let provider = |name: &str, kind| ExtensionProvider { name: name.into(), kind: Some(kind) };
    let log =
        FileAccessLogProvider { path: "/dev/stdout".into(), ..FileAccessLogProvider::default() };
    vec![
        provider("prometheus", ProviderKind::Prometheus(PrometheusProvider::default())),
        provider("stackdriver", ProviderKind::Stackdriver(StackdriverProvider::default())),
        provider("envoy", ProviderKind::EnvoyFileAccessLog(log)),
    ]
}

impl ProxyConfig {
    /// Returns Istio's own settings, which [`MeshConfig::default`] has as `default_config`; the
    /// default of the type is a document that says nothing.
    ///
    /// # Upstream
    ///
    /// istio/istio `pkg/config/mesh/mesh.go` `DefaultProxyConfig`.
    pub fn standard() -> Self {
        Self {
            config_path: "./etc/istio/proxy".into(),
            binary_path: "/usr/local/bin/envoy".into(),
            cluster_name: Some(ClusterName::ServiceCluster("istio-proxy".into())),
            drain_duration: Some(Duration::from_secs(45)),
            termination_drain_duration: Some(Duration::from_secs(5)),
            proxy_admin_port: 15000,
            control_plane_auth_policy: AuthenticationPolicy::MutualTls,
            discovery_address: "istiod.istio-system.svc:15012".into(),
            stat_name_length: 189,
            status_port: 15020,
            ..Self::default()
        }
    }
}
