//! What all listeners of one proxy share.
use std::borrow::Cow;

use mesh_envoy_proto::prost_types::Duration;
use mesh_model::compat::Flags;
use mesh_model::name::Protocol;
use mesh_model::resource::mesh_config::{ConnectionSettings, ProxyConfig};
use mesh_model::resource::{Json, MeshConfig};
use mesh_model::view::{InterceptionMode, IpFamilies, Proxy, ProxyKind, ProxyView};

use super::wire;
use crate::rbac::Authorization;
use crate::telemetry::{Class, Signals};

/// The metadata keys of ports that the bootstrap or the agent listens on.
const RESERVED: [&str; 4] = [
    "ENVOY_STATUS_PORT",
    "ENVOY_PROMETHEUS_PORT",
    "ENVOY_SECURE_METRICS_PORT",
    "ENVOY_SECURE_MERGED_METRICS_PORT",
];

/// What all listeners of one proxy share.
pub(super) struct Context<'v, 'm> {
    pub(super) view: &'v ProxyView<'m>,
    /// The proxy's own settings.
    pub(super) settings: Cow<'v, ProxyConfig>,
    /// What counts for the connections that the proxy takes.
    pub(super) connections: ConnectionSettings,
    /// What is told of the traffic that the workload receives.
    pub(super) inbound: Signals,
    /// What is told of the traffic that the workload sends, or that passes a gateway.
    pub(super) outbound: Signals,
    /// Metadata `IDLE_TIMEOUT`.
    pub(super) idle_timeout: Option<Duration>,
    /// What decides who may call the workload.
    pub(super) authorization: Authorization,
}

/// Which ports are taken already.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Reserved {
    /// Those of the bootstrap and the agent.
    Static,
    /// Also the two that traffic is redirected to.
    AndVirtual,
}

impl<'v, 'm> Context<'v, 'm> {
    pub(super) fn new(view: &'v ProxyView<'m>) -> Self {
        let timeout = view.proxy().metadata_text("IDLE_TIMEOUT");
        let plane = view.plane();
        let settings = view.proxy().settings(&plane.config);
        let sends = match view.proxy().kind {
            ProxyKind::Sidecar => Class::Outbound,
            ProxyKind::Router | ProxyKind::Waypoint | ProxyKind::Ztunnel => Class::Gateway,
        };
        Self {
            view,
            inbound: Signals::of(view, &settings, Class::Inbound),
            outbound: Signals::of(view, &settings, sends),
            connections: view.proxy().connection_settings(&settings, &plane.config),
            settings,
            idle_timeout: timeout.parse().ok().map(wire::duration),
            authorization: Authorization::of(view),
        }
    }

    pub(super) fn proxy(&self) -> &'m Proxy {
        self.view.proxy()
    }

    /// What is told of the traffic of a direction.
    pub(super) fn signals(&self, is_inbound: bool) -> &Signals {
        if is_inbound { &self.inbound } else { &self.outbound }
    }

    pub(super) fn config(&self) -> &'v MeshConfig {
        &self.view.plane().config
    }

    pub(super) fn flags(&self) -> &'m Flags {
        &self.view.mesh().compat().flags
    }

    pub(super) fn is_captured(&self) -> bool {
        self.proxy().interception != InterceptionMode::None
    }

    pub(super) fn is_tproxy(&self) -> bool {
        self.proxy().interception == InterceptionMode::Tproxy
    }

    /// The addresses that stand for all, the primary one first.
    pub(super) fn wildcards(&self) -> &'static [&'static str] {
        match self.proxy().ip_families() {
            IpFamilies::V6 => &["::"],
            IpFamilies::Dual => &["0.0.0.0", "::"],
            IpFamilies::V4 | IpFamilies::Unknown => &["0.0.0.0"],
        }
    }

    pub(super) fn wildcard(&self) -> &'static str {
        self.wildcards().first().copied().unwrap_or("0.0.0.0")
    }

    /// The addresses of the machine itself, the primary one first.
    pub(super) fn loopbacks(&self) -> &'static [&'static str] {
        match self.proxy().ip_families() {
            IpFamilies::V6 => &["::1"],
            IpFamilies::Dual => &["127.0.0.1", "::1"],
            IpFamilies::V4 | IpFamilies::Unknown => &["127.0.0.1"],
        }
    }

    /// The port that outbound traffic is redirected to.
    pub(super) fn outbound_port(&self) -> u16 {
        u16::try_from(self.config().proxy_listen_port).unwrap_or_default()
    }

    /// The port that inbound traffic is redirected to.
    pub(super) fn inbound_port(&self) -> u16 {
        u16::try_from(self.config().proxy_inbound_listen_port).unwrap_or_default()
    }

    pub(super) fn allows_http10(&self) -> bool {
        self.flags().pilot_http10 || self.proxy().metadata_text("HTTP10") == "1"
    }

    /// Whether HTTP/1.0 is looked for where protocols are detected: by the flag alone.
    pub(super) fn allows_http10_at_inspection(&self) -> bool {
        self.flags().pilot_http10
    }

    /// Whether a listener may be on a port: not where one of the proxy's own is, nor, with a real
    /// bind, below 1024 without privileges.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/model/context.go` `CanBindToPort`.
    pub(super) fn can_bind(
        &self,
        binds_to_port: bool,
        bind: &str,
        port: u16,
        protocol: Protocol,
        reserved: Reserved,
    ) -> bool {
        let is_privileged = (1..1024).contains(&port);
        if binds_to_port && is_privileged && self.is_unprivileged() {
            return false;
        }
        let is_wildcard =
            if bind.is_empty() { protocol.is_http() } else { bind == self.wildcard() };
        let virtual_ports = [self.outbound_port(), self.inbound_port()];
        let is_virtual = reserved == Reserved::AndVirtual && virtual_ports.contains(&port);
        !(is_wildcard && (is_virtual || self.is_static(port)))
    }

    fn is_static(&self, port: u16) -> bool {
        RESERVED.iter().any(|key| match self.proxy().metadata.get(*key) {
            Some(Json::Number(number)) => *number == f64::from(port),
            Some(_) | None => false,
        })
    }

    pub(super) fn is_unprivileged(&self) -> bool {
        match self.proxy().metadata.get("UNPRIVILEGED_POD") {
            Some(Json::Bool(value)) => *value,
            Some(_) | None => self.proxy().metadata_bool("UNPRIVILEGED_POD"),
        }
    }

    /// Whether metadata asks for connections to be spread exactly over threads.
    pub(super) fn balances(&self, key: &str) -> bool {
        match self.proxy().metadata.get(key) {
            Some(Json::Bool(value)) => *value,
            Some(_) | None => self.proxy().metadata_bool(key),
        }
    }
}
