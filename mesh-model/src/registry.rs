//! The index: resources in, an immutable [`Mesh`] out.
//!
//! ```text
//! sources ──load──▶ parts ──topology──▶ control planes, each with
//!                                       services, endpoints, gateways, rules, policies
//! ```
mod cluster_local;
mod control_plane;
pub mod delegates;
mod destination_rules;
mod external;
pub mod gateways;
mod kubernetes;
mod load;
mod merge;
mod mesh;
mod objects;
mod origin;
mod peer_authentications;
pub mod place;
mod service;
mod topology;
mod virtual_services;
mod visibility;

pub use self::cluster_local::ClusterLocalHosts;
pub use self::control_plane::{ControlPlane, SYSTEM_NAMESPACE};
pub(crate) use self::control_plane::{is_discovered, service_of, workload_of};
pub use self::destination_rules::{DestinationRules, MergedRule, Scoping};
pub(crate) use self::kubernetes::pod_port;
pub use self::load::{Broken, Registry};
pub use self::merge::merge_clusters;
pub(crate) use self::mesh::DOMAIN;
pub use self::mesh::Mesh;
pub(crate) use self::objects::Store;
pub use self::origin::{Origin, Source};
pub use self::peer_authentications::{PeerAuthentications, ServerMode};
pub use self::service::{
    AutoAllocated, ClusterVips, ExportTo, Resolution, Service, ServicePort, TrafficDistribution,
    UNSPECIFIED,
};
pub use self::virtual_services::{MESH, VirtualServices};
pub use self::visibility::Services;
