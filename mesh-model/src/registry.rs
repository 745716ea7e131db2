//! The index: resources in, an immutable [`Mesh`] out.
//!
//! ```text
//! sources ──load──▶ parts ──topology──▶ control planes, each with
//!                                       services, endpoints, gateways, rules, policies
//! ```
mod control_plane;
pub mod delegates;
mod destination_rules;
pub mod gateways;
mod kubernetes;
mod load;
mod merge;
mod mesh;
mod objects;
mod origin;
pub mod place;
mod service;
mod topology;
mod virtual_services;
mod visibility;

pub use self::control_plane::{ControlPlane, SYSTEM_NAMESPACE};
pub use self::destination_rules::{DestinationRules, MergedRule, Scoping};
pub use self::load::{Broken, Registry};
pub use self::merge::merge_clusters;
pub use self::mesh::{Mesh, UnknownProxy};
pub use self::origin::{Origin, Source};
pub use self::service::{
    AutoAllocated, ExportTo, Resolution, Service, ServicePort, TrafficDistribution, UNSPECIFIED,
};
pub use self::virtual_services::{MESH, VirtualServices};
pub use self::visibility::Services;
