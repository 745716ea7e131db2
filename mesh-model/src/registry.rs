//! The index: resources in, an immutable [`Mesh`] out.
//!
//! ```text
//! sources ──load──▶ parts ──topology──▶ control planes, each with
//!                                       services, endpoints, gateways, rules, policies
//! ```
mod absent;
pub mod allocation;
mod alone;
mod attachment;
mod authorization_policies;
mod autoscalers;
mod broken;
mod carried;
mod change;
mod cluster_local;
mod control_plane;
pub mod delegates;
mod destination_rules;
mod difference;
mod discovery;
mod effect;
mod external;
pub mod gateways;
mod index;
mod kubernetes;
mod load;
pub mod manifests;
mod map;
#[cfg(test)]
mod memory;
mod merge;
mod mesh;
mod misplaced;
mod multimap;
mod objects;
mod origin;
mod peer_authentications;
pub mod place;
mod security;
mod service;
mod service_endpoints;
mod serving;
mod settings;
mod texts;
mod topology;
mod virtual_services;
mod visibility;

pub use self::absent::{Absences, Absent, AbsentReason};
pub(crate) use self::alone::{machine_ports, may_be_machine_at, service_of, workload_of};
pub use self::attachment::{USE_WAYPOINT, USE_WAYPOINT_NAMESPACE};
pub use self::authorization_policies::AuthorizationPolicies;
pub use self::autoscalers::{Autoscalers, Replicas};
pub use self::broken::{Broken, TokenPlace};
pub use self::change::Change;
pub use self::cluster_local::ClusterLocalHosts;
pub use self::control_plane::{ControlPlane, SYSTEM_NAMESPACE};
pub use self::destination_rules::{DestinationRules, MergedRule, Scoping};
pub use self::difference::Difference;
pub(crate) use self::discovery::is_discovered;
pub use self::effect::Effect;
pub(crate) use self::kubernetes::pod_port;
pub use self::load::Registry;
pub use self::manifests::Manifests;
pub(crate) use self::map::{Entry, Key};
pub use self::merge::merge_clusters;
pub use self::mesh::Mesh;
pub(crate) use self::mesh::Refused;
pub(crate) use self::mesh::{ClusterPart, DOMAIN};
pub use self::misplaced::decides_security;
pub(crate) use self::objects::Store;
pub use self::origin::{Origin, Source};
pub use self::peer_authentications::{PeerAuthentications, ServerMode};
pub use self::service::{
    AutoAllocated, ClusterVips, ExportTo, Resolution, Service, ServicePort, TrafficDistribution,
    UNSPECIFIED,
};
pub use self::virtual_services::{MESH, VirtualServices};
pub use self::visibility::{Lookup, Services};
