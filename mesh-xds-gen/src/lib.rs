//! What Envoy is told: xDS resources, snapshots, deltas and ADS sessions.
pub mod cluster;
pub mod delta;
pub mod endpoint;
mod generator;
pub mod grpc;
pub mod listener;
pub mod name;
mod rbac;
pub mod resolve;
pub mod route;
pub mod snapshot;
pub mod stock;

pub use self::generator::{Generator, Resources};
