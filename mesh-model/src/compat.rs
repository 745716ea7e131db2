//! Which upstream is followed: version, feature flags, data plane, and corrected defects.
//!
//! Upstream changes its answers between versions and by flags. All of it is one explicit value that
//! is always passed in: public fields, today's defaults, never global.

/// The upstream whose answers are computed.
///
/// With the default the answers are those of Istio 1.32 with its flags at their defaults, defects
/// included.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "callers set single fields over the default")]
pub struct Compat {
    /// The program that carries out what is computed.
    pub data_plane: DataPlane,
    /// istiod's feature flags.
    pub flags: Flags,
    /// Corrections of known upstream defects, each off by default.
    pub fixes: Fixes,
    /// What the Envoys that decide requests do, which their releases differ in.
    pub envoy: EnvoyFeatures,
}

/// The program that carries out what is computed.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[expect(clippy::exhaustive_enums, reason = "generators act on every data plane")]
pub enum DataPlane {
    /// Istio's build of Envoy: resources equal istiod's.
    #[default]
    IstioProxy,
    /// A stock Envoy: Istio's own filters are left out.
    Envoy,
    /// A proxyless gRPC client: no overprovisioning, whole-priority failover.
    Grpc,
    /// A ztunnel: only the best rank is used.
    Ztunnel,
}

/// istiod's feature flags that change results, named after their environment variables.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(
    clippy::exhaustive_structs,
    clippy::struct_excessive_bools,
    reason = "each flag is one switch of istiod's"
)]
pub struct Flags {
    /// `ENABLE_LOCALITY_WEIGHTED_LB_CONFIG` (false): locality weights on every cluster.
    pub enable_locality_weighted_lb_config: bool,
    /// `PILOT_AUTO_SEND_UNHEALTHY_ENDPOINTS` (true): unhealthy endpoints are sent unless
    /// `minHealthPercent` asks for panic.
    pub pilot_auto_send_unhealthy_endpoints: bool,
    /// `PILOT_SEND_UNHEALTHY_ENDPOINTS` (false): unhealthy endpoints are always sent.
    pub pilot_send_unhealthy_endpoints: bool,
    /// `ENABLE_ENHANCED_DESTINATIONRULE_MERGE` (true): rules of one host merge only by `exportTo`.
    pub enable_enhanced_destinationrule_merge: bool,
    /// `PILOT_UNIFIED_SIDECAR_SCOPE` (true): where an egress listener imports one host of several namespaces
    /// a Kubernetes service is preferred, and rules of the Gateway API of the client's namespace come first.
    pub pilot_unified_sidecar_scope: bool,
    /// `RESOLVE_HOSTNAME_GATEWAYS` (true): network gateways that are host names are resolved.
    pub resolve_hostname_gateways: bool,
    /// `PILOT_MULTI_NETWORK_DISCOVER_GATEWAY_API` (true): Gateway API objects are network gateways.
    pub pilot_multi_network_discover_gateway_api: bool,
    /// `PILOT_ENABLE_EDS_FOR_HEADLESS_SERVICES` (false).
    pub pilot_enable_eds_for_headless_services: bool,
    /// `PILOT_ENABLE_HEADLESS_FILTER_CHAIN_LISTENER` (false).
    pub pilot_enable_headless_filter_chain_listener: bool,
    /// `PILOT_ENABLE_MONGO_FILTER` (true).
    pub pilot_enable_mongo_filter: bool,
    /// `PILOT_ENABLE_REDIS_FILTER` (false): ports of Redis are read for commands, each of which goes to the
    /// host that its key says.
    pub pilot_enable_redis_filter: bool,
    /// `PILOT_ENABLE_MYSQL_FILTER` (false): ports of `MySQL` are read for statistics; not by a stock Envoy, which
    /// does not know how.
    pub pilot_enable_mysql_filter: bool,
    /// `ISTIO_DUAL_STACK` (false).
    pub istio_dual_stack: bool,
    /// `ENABLE_MULTICLUSTER_HEADLESS` (true).
    pub enable_multicluster_headless: bool,
    /// `ENABLE_MCS_SERVICE_DISCOVERY` (false): `ServiceExport` decides what other clusters see.
    pub enable_mcs_service_discovery: bool,
    /// `ENABLE_MCS_HOST` (false): `clusterset.local` hosts; needs the previous one.
    pub enable_mcs_host: bool,
    /// `ENABLE_MCS_CLUSTER_LOCAL` (false): `cluster.local` hosts stay in their cluster; needs the
    /// previous one.
    pub enable_mcs_cluster_local: bool,
    /// `ENABLE_MCS_AUTO_EXPORT` (false).
    pub enable_mcs_auto_export: bool,
    /// `PILOT_ENABLE_IP_AUTOALLOCATE` (true): service entries get addresses from a controller.
    pub pilot_enable_ip_autoallocate: bool,
    /// `PILOT_ENABLE_CROSS_CLUSTER_WORKLOAD_ENTRY` (true).
    pub pilot_enable_cross_cluster_workload_entry: bool,
    /// `PILOT_ENABLE_AMBIENT` (false); the five below need it.
    pub pilot_enable_ambient: bool,
    /// `PILOT_ENABLE_SENDING_HBONE` (true, with ambient).
    pub pilot_enable_sending_hbone: bool,
    /// `PILOT_PREFER_SENDING_HBONE` (false).
    pub pilot_prefer_sending_hbone: bool,
    /// `AMBIENT_ENABLE_MULTI_NETWORK` (false).
    pub ambient_enable_multi_network: bool,
    /// `AMBIENT_ENABLE_MULTI_NETWORK_WAYPOINT` (true).
    pub ambient_enable_multi_network_waypoint: bool,
    /// `AMBIENT_ENABLE_MULTI_NETWORK_INGRESS` (false).
    pub ambient_enable_multi_network_ingress: bool,
    /// `PILOT_ENABLE_METADATA_EXCHANGE` (true).
    pub pilot_enable_metadata_exchange: bool,
    /// `PILOT_ENABLE_ALPN_FILTER` (true).
    pub pilot_enable_alpn_filter: bool,
    /// `PILOT_ENABLE_PERSISTENT_SESSION_FILTER` (false).
    pub pilot_enable_persistent_session_filter: bool,
    /// `PILOT_HTTP10` (false).
    pub pilot_http10: bool,
    /// `PILOT_FILTER_GATEWAY_CLUSTER_CONFIG` (false): gateways have clusters only of what they can be told
    /// to send to.
    pub pilot_filter_gateway_cluster_config: bool,
    /// `PILOT_SCOPE_GATEWAY_TO_NAMESPACE` (false).
    pub pilot_scope_gateway_to_namespace: bool,
    /// `PILOT_ENABLE_MULTIPLE_CUSTOM_AUTHZ_PROVIDERS` (false).
    pub pilot_enable_multiple_custom_authz_providers: bool,
    /// `ENABLE_SELECTOR_BASED_K8S_GATEWAY_POLICY` (true).
    pub enable_selector_based_k8s_gateway_policy: bool,
    /// `PILOT_SKIP_VALIDATE_TRUST_DOMAIN` (false).
    pub pilot_skip_validate_trust_domain: bool,
    /// `AMBIENT_ENABLE_DRY_RUN_AUTHORIZATION_POLICY` (false): ztunnels get policies on trial, too.
    pub ambient_enable_dry_run_authorization_policy: bool,
    /// `ENABLE_LAYERED_WAYPOINT_AUTHORIZATION_POLICIES` (false): policies with selectors count in front
    /// of a waypoint, too.
    pub enable_layered_waypoint_authorization_policies: bool,
    /// `PREFER_DESTINATIONRULE_TLS_FOR_EXTERNAL_SERVICES` (true): certificates of a proxy's metadata do
    /// not replace those of a rule for a service outside the mesh.
    pub prefer_destinationrule_tls_for_external_services: bool,
    /// `PILOT_JWT_ENABLE_REMOTE_JWKS` (`istiod`).
    pub pilot_jwt_enable_remote_jwks: JwksFetch,
}

/// Who fetches the keys that a RequestAuthentication names by `jwksUri`.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[expect(clippy::exhaustive_enums, reason = "generators act on every mode")]
pub enum JwksFetch {
    /// `istiod`, `false`: the control plane, which sends what it got inline.
    #[default]
    Istiod,
    /// `hybrid`, `true`: the proxy where the host is a service of the mesh, else the control plane.
    Hybrid,
    /// `envoy`: the proxy.
    Envoy,
}

impl Default for Flags {
    fn default() -> Self {
        Self {
            enable_locality_weighted_lb_config: false,
            pilot_auto_send_unhealthy_endpoints: true,
            pilot_send_unhealthy_endpoints: false,
            enable_enhanced_destinationrule_merge: true,
            pilot_unified_sidecar_scope: true,
            resolve_hostname_gateways: true,
            pilot_multi_network_discover_gateway_api: true,
            pilot_enable_eds_for_headless_services: false,
            pilot_enable_headless_filter_chain_listener: false,
            pilot_enable_mongo_filter: true,
            pilot_enable_redis_filter: false,
            pilot_enable_mysql_filter: false,
            istio_dual_stack: false,
            enable_multicluster_headless: true,
            enable_mcs_service_discovery: false,
            enable_mcs_host: false,
            enable_mcs_cluster_local: false,
            enable_mcs_auto_export: false,
            pilot_enable_ip_autoallocate: true,
            pilot_enable_cross_cluster_workload_entry: true,
            pilot_enable_ambient: false,
            pilot_enable_sending_hbone: true,
            pilot_prefer_sending_hbone: false,
            ambient_enable_multi_network: false,
            ambient_enable_multi_network_waypoint: true,
            ambient_enable_multi_network_ingress: false,
            pilot_enable_metadata_exchange: true,
            pilot_enable_alpn_filter: true,
            pilot_enable_persistent_session_filter: false,
            pilot_http10: false,
            pilot_filter_gateway_cluster_config: false,
            pilot_scope_gateway_to_namespace: false,
            pilot_enable_multiple_custom_authz_providers: false,
            enable_selector_based_k8s_gateway_policy: true,
            pilot_skip_validate_trust_domain: false,
            ambient_enable_dry_run_authorization_policy: false,
            enable_layered_waypoint_authorization_policies: false,
            prefer_destinationrule_tls_for_external_services: true,
            pilot_jwt_enable_remote_jwks: JwksFetch::Istiod,
        }
    }
}

impl Flags {
    /// Whether proxies send HBONE: only with ambient.
    pub const fn sends_hbone(&self) -> bool {
        self.pilot_enable_ambient && self.pilot_enable_sending_hbone
    }

    /// Whether ambient spans networks: only with ambient.
    pub const fn ambient_multi_network(&self) -> bool {
        self.pilot_enable_ambient && self.ambient_enable_multi_network
    }
}

/// Corrections of known upstream defects; each names the upstream issue.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "callers set single fields over the default")]
pub struct Fixes {
    /// istio/istio#56355: a remote cluster that spans localities keeps its gateways' weights.
    pub gateway_weights: bool,
    /// istio/istio#49500: a gateway keeps the labels that its endpoints share, for
    /// `failoverPriority`.
    pub gateway_labels: bool,
}

/// What releases of Envoy do differently when they decide about requests, named after the runtime guards
/// that bring the older behaviour back. Each true by default: a patched Envoy.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(
    clippy::exhaustive_structs,
    clippy::struct_excessive_bools,
    reason = "each is one switch of Envoy's"
)]
pub struct EnvoyFeatures {
    /// `rbac_match_headers_individually` (since 1.38): each line of a header is matched by itself;
    /// before, the lines were matched as one text, joined by commas.
    pub rbac_match_headers_individually: bool,
    /// An operator of a path template stands for a `*` in a path, too (since 1.34.1, 1.33.3, 1.32.6 and
    /// 1.31.8; CVE-2025-46821). There is no runtime guard.
    pub uri_template_matches_star: bool,
    /// `strip_dotdot_segments_with_parameters` (since the releases of 2026-09): `.;a=b` and `..;a=b` are
    /// dot segments.
    pub strip_dotdot_segments_with_parameters: bool,
    /// `rbac_respect_ignore_path_parameters` (since the releases of 2026-09): rules see no path parameters
    /// where routes do not.
    pub rbac_respect_ignore_path_parameters: bool,
    /// `re2_use_latin1_mode` (since the releases of 2026-09): a byte is a character to regular
    /// expressions, so that bytes that are no UTF-8 match what any character matches. What rules of
    /// AuthorizationPolicies are made of says the same either way; expressions in routes do not.
    pub re2_use_latin1_mode: bool,
}

impl Default for EnvoyFeatures {
    fn default() -> Self {
        Self {
            rbac_match_headers_individually: true,
            uri_template_matches_star: true,
            strip_dotdot_segments_with_parameters: true,
            rbac_respect_ignore_path_parameters: true,
            re2_use_latin1_mode: true,
        }
    }
}
