//! What one proxy sees.
//!
//! ```text
//! Proxy + control plane ──scope──▶ services, rules ──destination──▶ policy of a port and subset
//! ```
mod auto_passthrough;
mod connection_settings;
mod data_plane;
pub mod destination;
mod dns_names;
mod gateway_destinations;
pub mod gateway_servers;
mod host_selection;
pub mod injection;
pub mod mtls;
pub mod network;
pub mod node_id;
mod of_mesh;
mod proxy;
mod proxy_of_pod;
mod proxy_view;
mod rule_destinations;
mod scope;
mod scopes;
mod service_targets;
mod workload_balancing;

pub(crate) use self::data_plane::is_captured;
pub use self::data_plane::{data_plane, is_in_mesh, may_be_captured, selects_behind_ztunnel};
pub use self::dns_names::{NamedHost, dns_names};
pub use self::gateway_servers::{GatewayServer, GatewayServers, ServerGroup, ServerRoute};
pub use self::host_selection::HostSelection;
pub use self::of_mesh::UnknownProxy;
pub use self::proxy::{InterceptionMode, IpFamilies, Proxy, ProxyKind};
pub use self::proxy_of_pod::PodSite;
pub(crate) use self::proxy_of_pod::{Evidence, has_proxy, kind_of_pod, proxy_of_pod, variable};
pub use self::proxy_view::{Destination, ProxyView, Subset, UnknownDestination};
pub use self::scope::{Egress, Scope};
pub use self::scopes::Scopes;
pub use self::service_targets::ServiceTarget;
pub use self::workload_balancing::{
    BalancingMode, BalancingScope, HealthPolicy, WorkloadBalancing,
};
