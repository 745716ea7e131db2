//! Who asks, for what, by which rules, and the answer: plain data.
use std::collections::BTreeMap;

/// Labels by key.
pub type Labels = BTreeMap<String, String>;

/// What a client is.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "plain data")]
pub enum Kind {
    /// Beside a workload.
    #[default]
    Sidecar,
    /// A gateway of any sort.
    Router,
    /// An ambient waypoint.
    Waypoint,
}

/// Who asks.
#[derive(Clone, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "plain data")]
pub struct Client {
    /// What it is.
    pub kind: Kind,
    /// Whether it may send HBONE.
    pub sends_tunnels: bool,
    /// Whether it is a gRPC client without a proxy.
    pub is_grpc: bool,
    /// Its IP addresses; none: it may reach any family.
    pub addresses: Vec<String>,
    /// Its cluster.
    pub cluster: String,
    /// Its network, possibly unknown.
    pub network: String,
    /// Its node.
    pub node: String,
    /// Region, zone and sub-zone.
    pub place: [String; 3],
    /// Its labels.
    pub labels: Labels,
    /// The networks it wants to see; empty: all.
    pub view: Vec<String>,
}

/// How an endpoint is.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
#[expect(clippy::exhaustive_enums, reason = "plain data")]
pub enum Health {
    /// Nothing is said.
    #[default]
    Unknown,
    /// Ready.
    Healthy,
    /// Not ready.
    Unhealthy,
    /// Still serving the sessions that it has.
    Draining,
    /// Shutting down.
    Terminating,
}

/// An endpoint of the service.
#[derive(Clone, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "plain data")]
pub struct Backend {
    /// Its IP address, host name, or `unix://` and the path of its socket, unique; empty: unknown.
    pub address: String,
    /// Its further addresses.
    pub more_addresses: Vec<String>,
    /// The name of the service port that it serves.
    pub port_name: String,
    /// The number of the service port that it serves.
    pub service_port: u16,
    /// Its cluster.
    pub cluster: String,
    /// Its network, possibly unknown.
    pub network: String,
    /// Its node.
    pub node: String,
    /// The raw text of its locality.
    pub locality: String,
    /// Its weight, at least 1.
    pub weight: u32,
    /// Its labels.
    pub labels: Labels,
    /// Its label `security.istio.io/tlsMode`: `istio` speaks Istio's mutual TLS.
    pub tls_mode: String,
    /// Whether ambient captures it.
    pub is_captured: bool,
    /// How it is, if no label `istio.io/draining` says that it is draining.
    pub health: Health,
    /// Whether only its own cluster may use it.
    pub is_private: bool,
}

/// A gateway into a network.
///
/// Their order is that of an answer: by address and port; of equal ones upstream has none, here it is that of
/// the rest.
#[derive(Clone, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
#[expect(clippy::exhaustive_structs, reason = "plain data")]
pub struct Gateway {
    /// Its IP address; for clusters that DNS resolves, possibly a host name.
    pub address: String,
    /// Its port for mutual TLS; 0: none.
    pub port: u16,
    /// The network behind it.
    pub network: String,
    /// Its cluster, empty if it is of none.
    pub cluster: String,
    /// Its port for HBONE; 0: none.
    pub hbone_port: u16,
}

/// What the cluster is.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "plain data")]
pub enum Form {
    /// `outbound|…`, sent by EDS.
    #[default]
    Outbound,
    /// `outbound|…`, its endpoints part of it and resolved by DNS.
    Dns,
    /// `outbound_.…`, only what speaks mutual TLS.
    SniDnat,
    /// The same, its endpoints part of it and resolved by DNS.
    SniDnatDns,
    /// `inbound-vip|…` of a waypoint.
    InboundVip,
}

impl Form {
    /// Returns whether DNS resolves the cluster.
    pub const fn is_dns(self) -> bool {
        matches!(self, Self::Dns | Self::SniDnatDns)
    }
}

/// The switches of ambient.
#[derive(Clone, Debug, Default)]
#[expect(clippy::exhaustive_structs, clippy::struct_excessive_bools, reason = "plain data")]
pub struct Ambient {
    /// HBONE is sent even to what speaks Istio's mutual TLS.
    pub prefers_tunnels: bool,
    /// It spans networks.
    pub spans_networks: bool,
    /// If it does, waypoints use other networks.
    pub waypoints_leave: bool,
    /// If it does, ingress gateways use other networks.
    pub ingresses_leave: bool,
    /// It knows the service, and not as one of global scope.
    pub keeps_in_cluster: bool,
}

/// What is configured.
#[derive(Clone, Debug, Default)]
#[expect(clippy::exhaustive_structs, clippy::struct_excessive_bools, reason = "plain data")]
pub struct Rules {
    /// What the cluster is.
    pub form: Form,
    /// Ambient; `None`: there is none.
    pub ambient: Option<Ambient>,
    /// The name of the service port.
    pub port_name: String,
    /// Its number.
    pub port: u16,
    /// The service is one that DNS resolves.
    pub is_resolved_by_dns: bool,
    /// Labels of the subset; `None` for the cluster of the whole service.
    pub subset: Option<Labels>,
    /// The service stays in its cluster.
    pub is_cluster_local: bool,
    /// The service stays on its node.
    pub is_node_local: bool,
    /// The value of the service's label `istio.io/persistent-session`; empty: it keeps no sessions.
    pub sessions: String,
    /// The TLS mode that the rule asks for by name, such as `ISTIO_MUTUAL`.
    pub tls: Option<String>,
    /// A PeerAuthentication switches mutual TLS off.
    pub refuses_mutual_tls: bool,
    /// The rule lets Envoy see unhealthy endpoints.
    pub sends_unhealthy: bool,
    /// Outlier detection is configured.
    pub has_outlier_detection: bool,
    /// How the rule tells localities apart.
    pub setting: Setting,
    /// What the service prefers: `PreferSameZone`, `PreferSameNode`, or nothing.
    pub prefers: String,
    /// The mesh's zone-aware setting.
    pub of_mesh_zones: Setting,
    /// The mesh's other setting.
    pub of_mesh: Setting,
    /// What is mended.
    pub fixes: Fixes,
}

/// Defects of upstream that are mended.
#[derive(Clone, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "plain data")]
pub struct Fixes {
    /// A gateway occurs once, with the weight of all localities behind it.
    pub gateway_weights: bool,
    /// A gateway has the labels that all endpoints behind it have.
    pub gateway_labels: bool,
}

/// How localities are told apart.
#[derive(Clone, Debug, Default)]
#[expect(clippy::exhaustive_enums, reason = "plain data")]
pub enum Setting {
    /// Nothing is said.
    #[default]
    Unset,
    /// They are not, whatever others say.
    Off,
    /// Shares by the client's locality: entries of `from` and keys with percents. No key of an entry
    /// covers another.
    Distribute(Vec<(String, Vec<(String, u32)>)>),
    /// Labels and regions; needs outlier detection.
    Failover(Vec<String>, Vec<(String, String)>),
    /// Zone-aware and switched off, whatever others say.
    ZoneAwareOff,
    /// Labels and regions, zone-aware; not for waypoints.
    ZoneAware(Vec<String>, Vec<(String, String)>),
}

/// A locality of the answer.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "plain data")]
pub struct Locality {
    /// Region, zone and sub-zone.
    pub place: [String; 3],
    /// The priority.
    pub priority: u32,
    /// The weight, `None` if not told.
    pub weight: Option<u32>,
    /// Its endpoints, then gateways.
    pub endpoints: Vec<Used>,
}

/// An endpoint or gateway of the answer.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[expect(clippy::exhaustive_structs, reason = "plain data")]
pub struct Used {
    /// The address that is dialled.
    pub address: String,
    /// The weight.
    pub weight: u32,
    /// Whether it is a gateway.
    pub is_gateway: bool,
    /// Whether it is dialled by HBONE; a gateway by HBONE within HBONE.
    pub is_tunnelled: bool,
    /// What its transport has to match: `istio` is of `tlsMode`, `http` of `tunnel`, empty nothing.
    pub transport: &'static str,
    /// The health that is told; of gateways nothing.
    pub health: Health,
}
