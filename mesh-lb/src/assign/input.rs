//! What an assignment is computed from.
use std::fmt;

use mesh_model::Compat;
use mesh_model::endpoint::{Endpoint, Gateways, Shards};
use mesh_model::name::Labels;
use mesh_model::registry::{Resolution, Service, ServicePort};
use mesh_model::resource::MutualTlsMode;
use mesh_model::resource::destination_rule::{
    ClientTlsMode, LoadBalancerSettings, LocalityLbSetting, ZoneAwareLbSetting,
};
use mesh_model::view::Proxy;

use super::EffectiveSetting;

/// Everything that decides which endpoints of one service port one proxy uses.
///
/// [`Input::new`] fills in what holds without any policy; single fields are then set.
#[derive(Clone, Copy)]
#[expect(clippy::exhaustive_structs, reason = "callers set single fields over `new`")]
pub struct Input<'a> {
    /// The client.
    pub proxy: &'a Proxy,
    /// The upstream that is followed.
    pub compat: &'a Compat,
    /// The service.
    pub service: &'a Service,
    /// Its port: the first with the wanted number that is not UDP.
    pub port: &'a ServicePort,
    /// The service's endpoints, of all clusters.
    pub shards: &'a Shards,
    /// How networks are entered: for [`ClusterForm::Dns`] also by host names, else by addresses
    /// only (names are resolved before).
    pub gateways: &'a Gateways,
    /// Whether gateways by host name count for clusters that EDS fills, each name as one gateway that any
    /// proxy reaches: the control plane sends the addresses that it resolves, which nobody else knows.
    pub counts_names: bool,
    /// The kind of cluster that the endpoints are for.
    pub form: ClusterForm,
    /// Whether the service stays in its cluster (`serviceSettings`).
    pub is_cluster_local: bool,
    /// The labels of the subset, `None` for the default cluster and for a subset that the rule does
    /// not have.
    pub subset: Option<&'a Labels>,
    /// The load balancer of the effective policy.
    pub load_balancer: Option<&'a LoadBalancerSettings>,
    /// Whether outlier detection is configured: in the effective policy, and for
    /// [`ClusterForm::Dns`] also by the mesh's default policy.
    pub has_outlier_detection: bool,
    /// `outlierDetection.minHealthPercent` of the effective policy, 0 without.
    pub min_health_percent: i32,
    /// The mode that the DestinationRule asks for by name, `None` if it leaves the choice.
    pub tls_mode: Option<ClientTlsMode>,
    /// The mesh's `localityLbSetting`; the mesh has one by default.
    pub mesh_locality: Option<&'a LocalityLbSetting>,
    /// The mesh's `zoneAwareLbSetting`.
    pub mesh_zone_aware: Option<&'a ZoneAwareLbSetting>,
    /// Whether ambient multi-network knows the service and it is not of global scope, so that only
    /// endpoints of the proxy's cluster count.
    pub is_ambient_local: bool,
    /// The effective PeerAuthentication of an endpoint's port; asked only where it matters.
    pub peer_mode: &'a dyn Fn(&Endpoint) -> MutualTlsMode,
    /// Whether [`peer_mode`](Self::peer_mode) may be different for endpoints of one
    /// namespace and cluster, asked with one of them.
    pub peer_mode_varies: &'a dyn Fn(&Endpoint) -> bool,
    /// Whether an endpoint's workload is captured by ambient and so accepts HBONE; asked only with
    /// `PILOT_ENABLE_AMBIENT`.
    pub is_ambient: &'a dyn Fn(&Endpoint) -> bool,
}

/// The kind of cluster that endpoints are for.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[expect(clippy::exhaustive_enums, reason = "rules act on every form")]
pub enum ClusterForm {
    /// `outbound|…`, its endpoints sent by EDS.
    #[default]
    Outbound,
    /// `outbound|…` of a service that DNS resolves: the endpoints are part of the cluster, host
    /// names are allowed and ports match by number.
    Dns,
    /// `outbound_.…`, as gateways that pass mutual TLS through by its SNI use it.
    SniDnat,
    /// The same of a service that DNS resolves: as [`Dns`](Self::Dns), but only what speaks Istio's mutual
    /// TLS.
    SniDnatDns,
    /// `inbound-vip|…` of a waypoint.
    InboundVip,
    /// `local_cluster`: the proxy's own workload.
    SelfDiscovery,
}

impl ClusterForm {
    /// Returns the form of `outbound|…` clusters of a service.
    pub const fn of(resolution: Resolution) -> Self {
        match resolution {
            Resolution::DnsLb | Resolution::DnsRoundRobinLb => Self::Dns,
            Resolution::ClientSideLb
            | Resolution::Passthrough
            | Resolution::Alias
            | Resolution::DynamicDns => Self::Outbound,
        }
    }

    /// Returns the form of `outbound_.…` clusters of a service.
    pub const fn sni_dnat_of(resolution: Resolution) -> Self {
        if Self::of(resolution).is_dns() { Self::SniDnatDns } else { Self::SniDnat }
    }

    /// Returns whether the endpoints are part of a cluster that DNS resolves.
    pub const fn is_dns(self) -> bool {
        matches!(self, Self::Dns | Self::SniDnatDns)
    }

    /// Returns whether the cluster passes mutual TLS through.
    pub const fn passes_through(self) -> bool {
        matches!(self, Self::SniDnat | Self::SniDnatDns)
    }
}

impl<'a> Input<'a> {
    /// The endpoints of a service port for a proxy, without any policy: no rule for the host, no
    /// PeerAuthentication, no setting of the mesh, nothing captured by ambient.
    pub fn new(
        proxy: &'a Proxy,
        compat: &'a Compat,
        (service, port): (&'a Service, &'a ServicePort),
        shards: &'a Shards,
        gateways: &'a Gateways,
    ) -> Self {
        Self {
            proxy,
            compat,
            service,
            port,
            shards,
            gateways,
            counts_names: false,
            form: ClusterForm::Outbound,
            is_cluster_local: false,
            subset: None,
            load_balancer: None,
            has_outlier_detection: false,
            min_health_percent: 0,
            tls_mode: None,
            mesh_locality: None,
            mesh_zone_aware: None,
            is_ambient_local: false,
            peer_mode: &|_| MutualTlsMode::Permissive,
            peer_mode_varies: &|_| true,
            is_ambient: &|_| false,
        }
    }

    /// The setting in effect.
    pub(super) fn setting(&self) -> EffectiveSetting<'a> {
        EffectiveSetting::new(
            self.load_balancer,
            self.service.traffic_distribution,
            self.mesh_zone_aware,
            self.mesh_locality,
        )
    }
}

impl fmt::Debug for Input<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Input")
            .field("proxy", &self.proxy.name)
            .field("service", &self.service.hostname)
            .field("port", &self.port.number)
            .field("form", &self.form)
            .finish_non_exhaustive()
    }
}
