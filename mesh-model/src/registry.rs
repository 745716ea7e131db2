//! The index: resources in, an immutable [`Mesh`](self) out.
pub mod place;
mod service;
mod visibility;

pub use self::service::{
    AutoAllocated, ExportTo, Resolution, Service, ServicePort, TrafficDistribution, UNSPECIFIED,
};
pub use self::visibility::Services;
